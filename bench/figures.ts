/** Numbers as a person reads them. */

/** The middle of some numbers; of an even count, the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const high = sorted[Math.floor(middle)] ?? Number.NaN;
  return Number.isInteger(middle) ? (high + (sorted[middle - 1] ?? Number.NaN)) / 2 : high;
}

/** `1.23 s (1.20–1.31)`: the median, and between which values all are. */
export function seconds(milliseconds: readonly number[]): string {
  const text = digits(median(milliseconds) / 1000);
  if (milliseconds.length < 2) return `${text} s`;
  return `${text} s (${digits(Math.min(...milliseconds) / 1000)}–${digits(Math.max(...milliseconds) / 1000)})`;
}

/** Three digits that count. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}

export function megabytes(bytes: number | undefined): string {
  return bytes === undefined ? '–' : `${Math.round(bytes / 1e6)} MB`;
}

/** `43×`. */
export function times(value: number): string {
  return `${digits(value)}×`;
}

/** A Markdown table. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  return line(head) + line(head.map(() => '---')) + rows.map(line).join('');
}
