import type { FleetError } from '../core/errors.ts';

/** What is known of one fact: its value, or why it could not be read. */
export type Known = { readonly value: unknown } | { readonly error: FleetError };

interface Entry {
  readonly known: Known;
  /** The number of actions begun anywhere when this was asked. */
  readonly epoch: number;
  readonly volatile: boolean;
}

/** Counts actions begun on any host: a volatile fact asked before the last of them is no longer believed. */
export interface Epoch {
  count: number;
}

/**
 * What is known of one host (as one user). A plan lays foreseen values over it without ever touching what was really
 * seen; `unforeseeable` marks what an earlier change of the same plan will alter in a way nobody can tell yet.
 */
export class FactStore {
  readonly #entries = new Map<string, Entry>();
  readonly #foreseen = new Map<string, unknown>();
  #unforeseeable: string[] = [];
  readonly #epoch: Epoch;

  constructor(epoch: Epoch) {
    this.#epoch = epoch;
  }

  /** What is known, foreseen values first; `undefined` when it must be asked. */
  get(key: string): Known | undefined {
    if (this.#foreseen.has(key)) return { value: this.#foreseen.get(key) };
    const entry = this.#entries.get(key);
    if (entry === undefined || (entry.volatile && entry.epoch !== this.#epoch.count)) return undefined;
    return entry.known;
  }

  set(key: string, known: Known, volatile: boolean): void {
    this.#entries.set(key, { known, epoch: this.#epoch.count, volatile });
  }

  /** Forgets what the patterns name (`family:subject`, `family:*`, or everything), so that it is asked again. */
  forget(touched: readonly string[] | 'everything'): void {
    for (const key of [...this.#entries.keys()]) {
      if (touches(touched, key)) this.#entries.delete(key);
    }
  }

  foresee(key: string, value: unknown): void {
    this.#unforeseeable = this.#unforeseeable.filter((pattern) => pattern !== key);
    this.#foreseen.set(key, value);
  }

  /** In a plan: what the pattern names is only known once an earlier change has been applied. */
  markUnforeseeable(pattern: string): void {
    for (const key of [...this.#foreseen.keys()]) if (touches([pattern], key)) this.#foreseen.delete(key);
    this.#unforeseeable = [...this.#unforeseeable, pattern];
  }

  isUnforeseeable(key: string): boolean {
    return !this.#foreseen.has(key) && touches(this.#unforeseeable, key);
  }

  /** @returns a function that takes the foresight back to what it is now, whatever is foreseen meanwhile */
  foresight(): () => void {
    const foreseen = new Map(this.#foreseen);
    const unforeseeable = this.#unforeseeable;
    return () => {
      this.endForesight();
      for (const [key, value] of foreseen) this.#foreseen.set(key, value);
      this.#unforeseeable = unforeseeable;
    };
  }

  /** Back to what was really seen: a plan is over. */
  endForesight(): void {
    this.#foreseen.clear();
    this.#unforeseeable = [];
  }
}

/** Whether patterns name a key. */
export function touches(patterns: readonly string[] | 'everything', key: string): boolean {
  if (patterns === 'everything') return true;
  return patterns.some((pattern) =>
    pattern.endsWith('*') ? key.startsWith(pattern.slice(0, -1)) : pattern === key,
  );
}
