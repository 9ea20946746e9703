/**
 * The choices of one sequence, drawn one after the other. What fast-check shrinks is the tape: a shorter one, with smaller
 * numbers, is a simpler sequence, for an ended tape answers zero and zero is always the quiet choice.
 */
export class Tape {
  readonly #bytes: ArrayLike<number>;
  #at = 0;

  constructor(bytes: ArrayLike<number>) {
    this.#bytes = bytes;
  }

  get ended(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** A whole number below `end`. */
  below(end: number): number {
    const byte = this.#bytes[this.#at] ?? 0;
    this.#at += 1;
    return byte % end;
  }

  /** True in about so many of a hundred cases. */
  percent(share: number): boolean {
    const byte = this.#bytes[this.#at] ?? 0;
    this.#at += 1;
    return byte >= 256 - (share * 256) / 100;
  }

  one<Item>(items: readonly Item[]): Item | undefined {
    return items.length === 0 ? undefined : items[this.below(items.length)];
  }
}
