import { structuredPatch } from 'diff';
import { visible } from '../core/terminal-text.ts';
import type { Palette } from './color.ts';

/** As a plan or a finished task carries it. */
export interface ShownDiff {
  readonly subject: string;
  readonly before?: string | undefined;
  readonly after?: string | undefined;
}

export type DiffMark = '+' | '-' | '~';

/** Longer diffs are cut: nobody reads them on a terminal, and `--output json` has them whole. */
const MOST_LINES = 120;

export function diffMark(diff: ShownDiff): DiffMark {
  if (diff.before === undefined && diff.after !== undefined) return '+';
  if (diff.before !== undefined && diff.after === undefined) return '-';
  return '~';
}

/** A before and after as unified lines with three lines of context; a single short line becomes `before → after`. */
export function diffView(diff: ShownDiff, palette: Palette): string {
  const subject = visible(diff.subject);
  if (isShort(diff.before) && isShort(diff.after) && !subject.startsWith('/')) {
    const sides = [
      ...(diff.before === undefined ? [] : [palette.red(visible(diff.before))]),
      ...(diff.after === undefined ? ['nothing'] : [palette.green(visible(diff.after))]),
    ];
    return `${subject}: ${sides.join(' → ')}`;
  }
  const mark = diffMark(diff);
  const title = mark === '+' ? `${subject} (new)` : mark === '-' ? `${subject} (removed)` : subject;
  // A missing line end matters only where it is what differs.
  const endsDiffer = mark === '~' && diff.before?.endsWith('\n') !== diff.after?.endsWith('\n');
  const lined = (text: string): string =>
    endsDiffer || text === '' || text.endsWith('\n') ? text : `${text}\n`;
  const body = patchLines(lined(diff.before ?? ''), lined(diff.after ?? ''), palette);
  return [palette.bold(title), ...body.map((line) => `  ${line}`)].join('\n');
}

function patchLines(before: string, after: string, palette: Palette): string[] {
  // A diff of two large unlike texts is quadratic; past this effort it is enough to say that they differ.
  const patch = structuredPatch('', '', visible(before), visible(after), undefined, undefined, {
    context: 3,
    maxEditLength: 4000,
  });
  if (patch === undefined) return [palette.dim('too different to compare line by line')];
  const lines = patch.hunks.flatMap((hunk, index) => [
    ...(index === 0 ? [] : [palette.dim('…')]),
    ...hunk.lines.map((line) => paintLine(line, palette)),
  ]);
  if (lines.length <= MOST_LINES) return lines;
  return [...lines.slice(0, MOST_LINES), palette.dim(`… ${lines.length - MOST_LINES} more lines`)];
}

function paintLine(line: string, palette: Palette): string {
  if (line.startsWith('+')) return palette.green(`+ ${line.slice(1)}`);
  if (line.startsWith('-')) return palette.red(`- ${line.slice(1)}`);
  if (line.startsWith('\\')) return palette.dim('  (no line end at the end)');
  return palette.dim(`  ${line.slice(1)}`);
}

function isShort(text: string | undefined): boolean {
  return text === undefined || (text.length <= 60 && !text.includes('\n'));
}
