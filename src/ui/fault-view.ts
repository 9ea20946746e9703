import { type Fault, formatPlace, type Place } from '../core/errors.ts';
import { visible } from '../core/terminal-text.ts';
import type { Palette } from './color.ts';
import { indent, oneLine } from './wording.ts';

/** What of a fault a person sees; events carry the same fields without the blame. */
export type ShownFault = Omit<Fault, 'blame'>;

/** One error, with where it stands and what to do next. */
export function faultView(fault: ShownFault, palette: Palette, mark = 'error'): string {
  const paint = mark === 'error' ? palette.red : palette.yellow;
  const [first = '', ...more] = visible(fault.message).trimEnd().split('\n');
  const subject = [fault.host, fault.step].filter((part) => part !== undefined).map(oneLine);
  const head = [
    paint(palette.bold(mark)) + paint(`[${oneLine(fault.code)}]`),
    ...(subject.length === 0 ? [] : [palette.bold(`${subject.join(', ')}:`)]),
    first,
  ].join(' ');
  return [
    head,
    ...(more.length === 0 ? [] : [indent(more.join('\n'), '    ')]),
    ...(fault.where === undefined
      ? []
      : [`  at: ${palette.cyan(oneLine(formatPlace(nearby(fault.where))))}`]),
    ...(fault.fix === undefined ? [] : [fixLines(fault.fix, palette)]),
  ].join('\n');
}

/** Several errors, in the order in which a person goes through them: by file and line, then by host. */
export function faultsView(faults: readonly ShownFault[], palette: Palette): string {
  return sortFaults(withoutRepeats(faults))
    .map((fault) => faultView(fault, palette))
    .join('\n');
}

export function sortFaults(faults: readonly ShownFault[]): ShownFault[] {
  return [...faults].sort(
    (a, b) =>
      compare(a.where?.file, b.where?.file) ||
      (a.where?.line ?? 0) - (b.where?.line ?? 0) ||
      (a.where?.column ?? 0) - (b.where?.column ?? 0) ||
      compare(a.host, b.host) ||
      compare(a.code, b.code),
  );
}

/** A failed task and the host that leaves the run because of it tell of the same fault. */
function withoutRepeats(faults: readonly ShownFault[]): ShownFault[] {
  const seen = new Map<string, ShownFault>();
  for (const fault of faults) {
    const key = JSON.stringify([fault.code, fault.host, fault.message]);
    const known = seen.get(key);
    if (known === undefined || (known.step === undefined && fault.step !== undefined)) seen.set(key, fault);
  }
  return [...seen.values()];
}

/** A file below the folder that the person is in, as they would name it. */
function nearby(place: Place): Place {
  const folder = `${process.cwd()}/`;
  return place.file.startsWith(folder) ? { ...place, file: place.file.slice(folder.length) } : place;
}

function fixLines(fix: string, palette: Palette): string {
  const [first = '', ...more] = visible(fix).trimEnd().split('\n');
  return [`  ${palette.green('fix:')} ${first}`, ...more.map((line) => `       ${line}`)].join('\n');
}

/** Absent comes last: an error without a place is about everything. */
function compare(a: string | undefined, b: string | undefined): number {
  if (a === b) return 0;
  if (a === undefined) return 1;
  if (b === undefined) return -1;
  return a.localeCompare(b, 'en', { numeric: true });
}
