import type { Place } from '../core/errors.ts';
import type { SourceText } from './source-text.ts';

/** A variable's value as it was written, with where. */
export interface WrittenValue {
  readonly value: unknown;
  readonly source?: SourceText;
  readonly offset?: number;
  /** For values that come from elsewhere than a file, where they do have a place. */
  readonly where?: Place;
}

export function placeOf(written: WrittenValue): Place | undefined {
  if (written.where !== undefined) return written.where;
  if (written.source === undefined) return undefined;
  return written.offset === undefined ? { file: written.source.file } : written.source.place(written.offset);
}

/** Text that must not be templated (`!unsafe` in YAML). */
export class UnsafeText {
  constructor(readonly text: string) {}

  toString(): string {
    return this.text;
  }

  /** As `ansible-inventory --list` prints it. */
  toJSON(): unknown {
    return { __ansible_unsafe: this.text };
  }
}
