import type { EventKind, StampedEvent } from '../engine/event.ts';

export type StampedEventOf<Kind extends EventKind> = Extract<StampedEvent, { readonly kind: Kind }>;

/** What to do with each kind of event. A mapped type, so that a kind nobody thought of does not compile. */
export type EventHandlers<Result = void> = {
  readonly [Kind in EventKind]: (event: StampedEventOf<Kind>) => Result;
};

const nothing = (): void => {};

/** For who tells only what came of it. A kind of event that is new has to be named here, or by each of them. */
export const untoldProgress = {
  'run-started': nothing,
  'host-connected': nothing,
  'host-lost': nothing,
  'look-finished': nothing,
  'play-started': nothing,
  'batch-started': nothing,
  'waves-planned': nothing,
  'wave-started': nothing,
  'wave-waiting': nothing,
  'wave-paused': nothing,
  'task-started': nothing,
  'task-waiting': nothing,
  'task-progress': nothing,
  interrupted: nothing,
} satisfies Partial<EventHandlers>;

/** Draws a run from its events. Never asks anybody else anything. */
export interface Renderer {
  handle(event: StampedEvent): void;
  /** Resolves when all that was handed over stands on the screen. */
  end(): Promise<void>;
  /** Ctrl-C was pressed: what runs is finished first. Absent where a line says so. */
  stopping?(): void;
  /** Makes room for a question to a person while a drawing is up. Absent where nothing is in the way. */
  aside?<Answer>(ask: () => Promise<Answer>): Promise<Answer>;
}

/** Where text goes: a stream, or a test's array. */
export interface Sink {
  write(text: string): unknown;
}

/** Hands an event to the handler of its kind. */
export function dispatch<Result>(handlers: EventHandlers<Result>, event: StampedEvent): Result {
  // The kind that picks the handler is the event's own; TypeScript cannot follow that across a union.
  const handler = handlers[event.kind] as (event: StampedEvent) => Result;
  return handler(event);
}
