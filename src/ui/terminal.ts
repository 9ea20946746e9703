import { visible } from '../core/terminal-text.ts';
import type { StampedEvent } from '../engine/event.ts';
import type { Palette } from './color.ts';
import { faultView, type ShownFault } from './fault-view.ts';
import { LiveList } from './live-list.ts';
import { LookBoard, PlayBoard } from './play-board.ts';
import { recapView } from './recap.ts';
import { dispatch, type EventHandlers, type Renderer } from './renderer.ts';
import { pausedLine } from './waves-view.ts';
import { indent, oneLine, taskTitle } from './wording.ts';

export interface TerminalOptions {
  /** Where to draw: stderr, which is a terminal. */
  readonly screen: NodeJS.WriteStream;
  readonly palette: Palette;
  /** A plan is shown by `planView` once it is complete: on the way only how far it is. */
  readonly planOnly?: boolean;
  readonly now?: () => number;
}

const nothing = (): void => {};

/**
 * A run on a terminal: one live list at a time, for the looking and then for each play. A list that is finished stays
 * where it stands, and what was said meanwhile follows below it. At the end come the errors, the recap and the verdict.
 */
export class TerminalRenderer implements Renderer {
  readonly #options: TerminalOptions;
  readonly #now: () => number;
  readonly #faults: ShownFault[] = [];
  #board: PlayBoard | LookBoard | undefined;
  #list: LiveList | undefined;
  #leavesNothing = false;
  #isStopping = false;
  /** What is said while a list is up, printed once it is finished. */
  #held: string[] = [];
  /** Drawings and lines in the order in which they were begun: the next starts when the last one stands. */
  #drawn: Promise<void> = Promise.resolve();

  constructor(options: TerminalOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  handle(event: StampedEvent): void {
    dispatch(this.#handlers, event);
    this.#board?.handle(event);
  }

  async end(): Promise<void> {
    this.#closeBoard(this.#now());
    await this.#drawn;
  }

  stopping(): void {
    this.#isStopping = true;
    this.#board?.stopping();
  }

  /** The list steps back, the question is asked, and the list goes on below. Events that come meanwhile are drawn then. */
  aside<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    const board = this.#board;
    this.#list?.vanish();
    const asked = this.#drawn.then(ask);
    this.#drawn = asked.then(
      () => {},
      () => {},
    );
    if (board !== undefined) this.#openBoard(board, this.#leavesNothing);
    return asked;
  }

  readonly #handlers: EventHandlers = {
    'run-started': (event) => {
      // Looking leaves a line only where it is the whole run.
      this.#openBoard(
        new LookBoard(event, this.#options.palette, this.#now),
        this.#options.planOnly !== true,
      );
    },
    'host-connected': nothing,
    'host-lost': nothing,
    'look-finished': nothing,
    'play-started': (event) => {
      if (this.#options.planOnly === true) return;
      this.#closeBoard(Date.parse(event.at));
      // All its hosts have left the run.
      if (event.hosts.length === 0) return;
      this.#openBoard(new PlayBoard(event, this.#options.palette, this.#now), false);
    },
    'batch-started': nothing,
    // Who agrees to a plan has read them; on the way the title of the board says which one it is.
    'waves-planned': nothing,
    'wave-started': nothing,
    'wave-waiting': nothing,
    'wave-paused': (event) => this.#say(pausedLine(event)),
    'task-started': nothing,
    'task-waiting': nothing,
    'task-progress': nothing,
    'task-finished': (event) => {
      if (event.status !== 'failed') return;
      if (event.rescued === true) {
        const { bold } = this.#options.palette;
        const why = oneLine(event.error?.message ?? event.because);
        this.#say(`${bold(`${oneLine(event.host)}:`)} ${taskTitle(event)} failed and is rescued: ${why}`);
      } else if (event.error !== undefined)
        this.#faults.push({ ...event.error, host: event.host, step: event.task });
      if (event.output !== undefined && event.output.trim() !== '') {
        const { dim, bold } = this.#options.palette;
        const head = `${bold(`${oneLine(event.host)}:`)} ${dim('what it printed')}`;
        this.#say(`${head}\n${indent(visible(event.output.trimEnd()), dim('    | '))}`);
      }
    },
    message: (event) => {
      const { bold } = this.#options.palette;
      const text = visible(event.text.trimEnd());
      this.#say(
        `${bold(`${oneLine(event.host)}:`)}${text.includes('\n') ? `\n${indent(text, '    ')}` : ` ${text}`}`,
      );
    },
    warning: (event) => {
      this.#say(faultView(event, this.#options.palette, 'warning'));
    },
    'host-failed': (event) => {
      this.#faults.push({ host: event.host, ...event.error });
    },
    'run-failed': (event) => {
      this.#faults.push(event.error);
    },
    interrupted: nothing,
    'run-finished': (event) => {
      this.#closeBoard(Date.parse(event.at));
      if (this.#options.planOnly === true) return;
      this.#say(`\n${recapView(event, this.#faults, this.#options.palette)}`);
    },
  };

  #openBoard(board: PlayBoard | LookBoard, leavesNothing: boolean): void {
    const { screen, palette } = this.#options;
    const list = new LiveList(board, { screen, palette, leavesNothing });
    if (this.#isStopping) board.stopping();
    this.#board = board;
    this.#leavesNothing = leavesNothing;
    this.#list = list;
    this.#drawn = this.#drawn.then(() => list.draw());
  }

  #closeBoard(at: number): void {
    this.#board?.close(at);
    this.#list?.finish();
    this.#board = undefined;
    this.#list = undefined;
    const held = this.#held;
    this.#held = [];
    for (const text of held) this.#print(text);
  }

  #say(text: string): void {
    if (this.#list === undefined) this.#print(text);
    else this.#held.push(text);
  }

  #print(text: string): void {
    this.#drawn = this.#drawn.then(() => {
      this.#options.screen.write(`${text}\n`);
    });
  }
}
