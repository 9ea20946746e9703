import type { StampedEvent } from '../engine/event.ts';
import type { Palette } from './color.ts';
import { faultsView, type ShownFault } from './fault-view.ts';
import { dispatch, type EventHandlers, type Renderer, type Sink, untoldProgress } from './renderer.ts';

const nothing = (): void => {};

/** Says nothing but what failed, once the run is over. */
export class QuietRenderer implements Renderer {
  readonly #out: Sink;
  readonly #palette: Palette;
  readonly #faults: ShownFault[] = [];

  constructor(options: { readonly out: Sink; readonly palette: Palette }) {
    this.#out = options.out;
    this.#palette = options.palette;
  }

  handle(event: StampedEvent): void {
    dispatch(this.#handlers, event);
  }

  async end(): Promise<void> {}

  readonly #handlers: EventHandlers = {
    ...untoldProgress,
    'task-finished': (event) => {
      if (event.status !== 'failed' || event.rescued === true || event.error === undefined) return;
      this.#faults.push({ ...event.error, host: event.host, step: event.task });
    },
    message: nothing,
    warning: nothing,
    'host-failed': (event) => {
      this.#faults.push({ host: event.host, ...event.error });
    },
    'run-failed': (event) => {
      this.#faults.push(event.error);
    },
    'run-finished': () => {
      if (this.#faults.length > 0) this.#out.write(`${faultsView(this.#faults, this.#palette)}\n`);
      this.#faults.length = 0;
    },
  };
}
