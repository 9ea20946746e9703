import type { Palette } from '../ui/color.ts';
import { oneLine } from '../ui/wording.ts';

/** One cell: its text, and how it is painted once its column's width is known. */
export interface Cell {
  readonly text: string;
  readonly paint?: keyof Palette;
}

/** Rows in columns, two spaces apart, as `kubectl get` prints them. */
export function columnText(
  head: readonly string[],
  rows: readonly (readonly (string | Cell)[])[],
  palette: Palette,
): string {
  const cells = rows.map((row) =>
    row.map((cell) => {
      const { text, paint } = typeof cell === 'string' ? { text: cell, paint: undefined } : cell;
      return { text: oneLine(text), paint };
    }),
  );
  const widths = head.map((title, column) =>
    Math.max(title.length, ...cells.map((row) => row[column]?.text.length ?? 0)),
  );
  const pad = (text: string, column: number): string =>
    column === head.length - 1 ? text : text.padEnd((widths[column] ?? 0) + 2);
  return [
    palette.dim(head.map(pad).join('')),
    ...cells.map((row) =>
      row
        .map(({ text, paint }, column) =>
          paint === undefined ? pad(text, column) : palette[paint](pad(text, column)),
        )
        .join('')
        .trimEnd(),
    ),
  ].join('\n');
}
