import { visible } from '../core/terminal-text.ts';
import type { StampedEvent } from '../engine/event.ts';
import type { Palette } from './color.ts';
import { faultsView, faultView, type ShownFault } from './fault-view.ts';
import {
  dispatch,
  type EventHandlers,
  type Renderer,
  type Sink,
  type StampedEventOf,
  untoldProgress,
} from './renderer.ts';
import { oneLine } from './wording.ts';

export interface AdhocOptions {
  /** What the hosts said. */
  readonly out: Sink;
  readonly outPalette: Palette;
  /** What went wrong. */
  readonly err: Sink;
  readonly errPalette: Palette;
  /** Nobody wonders whose words they are. */
  readonly isOneHost: boolean;
}

/** `fleet run`: what each host printed, every line behind its name, as soon as it is done. */
export class AdhocRenderer implements Renderer {
  readonly #options: AdhocOptions;
  readonly #faults: ShownFault[] = [];

  constructor(options: AdhocOptions) {
    this.#options = options;
  }

  handle(event: StampedEvent): void {
    dispatch(this.#handlers, event);
  }

  async end(): Promise<void> {}

  readonly #handlers: EventHandlers = {
    ...untoldProgress,
    'task-finished': (event) => this.#finished(event),
    message: (event) => this.#say(event.host, event.text),
    warning: (event) => {
      this.#options.err.write(`${faultView(event, this.#options.errPalette, 'warning')}\n`);
    },
    'host-failed': (event) => {
      this.#faults.push({ host: event.host, ...event.error });
    },
    'run-failed': (event) => {
      this.#faults.push(event.error);
    },
    'run-finished': () => {
      if (this.#faults.length > 0) {
        this.#options.err.write(`${faultsView(this.#faults, this.#options.errPalette)}\n`);
      }
    },
  };

  #finished(event: StampedEventOf<'task-finished'>): void {
    if (event.output !== undefined && event.output.trim() !== '') this.#say(event.host, event.output);
    else if (event.status !== 'failed') this.#say(event.host, `${event.status}: ${event.because}`);
    if (event.status === 'failed' && event.error !== undefined) {
      this.#faults.push({ host: event.host, ...event.error });
    }
  }

  #say(host: string, text: string): void {
    const { out, outPalette, isOneHost } = this.#options;
    const prefix = isOneHost ? '' : `${outPalette.bold(`${oneLine(host)}:`)} `;
    for (const line of visible(text).trimEnd().split('\n')) out.write(`${prefix}${line}\n`);
  }
}
