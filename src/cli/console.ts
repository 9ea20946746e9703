import type { Fault, FleetError } from '../core/errors.ts';
import { Redactor, Secret } from '../core/secret.ts';
import { createPalette, type Palette, wantsColor } from '../ui/color.ts';
import { faultsView, faultView } from '../ui/fault-view.ts';
import type { Renderer } from '../ui/renderer.ts';
import { askSecret } from './prompt.ts';
import type { Settings } from './settings.ts';

/** Where a command speaks: results to stdout, everything else to stderr. Known secrets are masked on both. */
export class Console {
  readonly out: NodeJS.WriteStream;
  readonly err: NodeJS.WriteStream;
  readonly outPalette: Palette;
  readonly errPalette: Palette;
  /** Secrets met so far; every text that leaves goes through it. */
  readonly redactor = new Redactor();
  readonly #quiet: boolean;
  readonly #typed = new Map<string, Promise<Secret>>();
  #renderer: Renderer | undefined;

  constructor(settings: Pick<Settings, 'color' | 'quiet'>, process: NodeJS.Process) {
    this.out = process.stdout;
    this.err = process.stderr;
    const { env } = process;
    this.outPalette = createPalette(
      wantsColor({ choice: settings.color, env, isTerminal: this.out.isTTY === true }),
    );
    this.errPalette = createPalette(
      wantsColor({ choice: settings.color, env, isTerminal: this.err.isTTY === true }),
    );
    this.#quiet = settings.quiet;
  }

  /** What draws the run that goes on; `undefined` when none does. */
  drawnBy(renderer: Renderer | undefined): void {
    this.#renderer = renderer;
  }

  /** Asks a person something while a run may be drawn. */
  aside<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    return this.#renderer?.aside === undefined ? ask() : this.#renderer.aside(ask);
  }

  /**
   * A secret that a person types: asked once in a command, however often it opens the inventory or connects. A run of
   * hours must not come to a stop at a question that was answered at its begin.
   * @throws FleetError NOBODY_TO_ASK
   */
  secretOnce(question: string, ask: (question: string) => Promise<string> = askSecret): Promise<Secret> {
    const known = this.#typed.get(question);
    if (known !== undefined) return known;
    const typed = ask(question).then((text) => {
      const secret = new Secret(text);
      this.redactor.add(secret);
      return secret;
    });
    this.#typed.set(question, typed);
    return typed;
  }

  /** A result: what the command was called for. */
  result(text: string): void {
    this.out.write(`${this.redactor.mask(text)}\n`);
  }

  /** A result on purpose unmasked: a file's content that the person asked for (a kubeconfig). */
  revealed(text: string): void {
    this.out.write(text);
  }

  /** Something said along the way. */
  note(text: string): void {
    if (!this.#quiet) this.err.write(`${this.redactor.mask(text)}\n`);
  }

  errors(errors: readonly FleetError[]): void {
    this.err.write(
      `${this.redactor.mask(
        faultsView(
          errors.map((error) => error.toFault()),
          this.errPalette,
        ),
      )}\n`,
    );
  }

  warn(warning: Fault): void {
    this.note(faultView(warning, this.errPalette, 'warning'));
  }
}
