import type { Place } from '../core/errors.ts';

/** The text of a file and the way from an offset in it to a line and column. */
export class SourceText {
  #lineStarts: readonly number[] | undefined;

  constructor(
    /** As the user named it, or found beside what the user named. */
    readonly file: string,
    readonly text: string,
    /** Lines that stand before the text, where it is a part of a longer file. */
    readonly linesBefore = 0,
  ) {}

  /** The place of an offset, lines and columns counted from 1. */
  place(offset: number): Place {
    this.#lineStarts ??= lineStartsOf(this.text);
    const starts = this.#lineStarts;
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { file: this.file, line: this.linesBefore + low + 1, column: offset - (starts[low] ?? 0) + 1 };
  }
}

function lineStartsOf(text: string): readonly number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}
