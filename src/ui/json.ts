import type { StampedEvent } from '../engine/event.ts';
import type { Renderer, Sink } from './renderer.ts';

/** One event per line. Data, not prose: schemas/events.schema.json is its contract. */
export class JsonRenderer implements Renderer {
  readonly #out: Sink;

  constructor(out: Sink) {
    this.#out = out;
  }

  handle(event: StampedEvent): void {
    this.#out.write(`${safeJson(event)}\n`);
  }

  async end(): Promise<void> {}
}

/** JSON that a terminal cannot be tricked by: what JSON leaves bare (C1 controls, reordering marks) is escaped too, losing nothing. */
export function safeJson(value: unknown, space?: number): string {
  return JSON.stringify(value, undefined, space).replace(
    /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
