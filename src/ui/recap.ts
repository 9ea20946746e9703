import type { Palette, Style } from './color.ts';
import { formatDuration } from './duration.ts';
import { faultsView, type ShownFault } from './fault-view.ts';
import { groupBy } from './grouping.ts';
import type { StampedEventOf } from './renderer.ts';
import { count, nameList, oneLine } from './wording.ts';

type Finished = StampedEventOf<'run-finished'>;
type Counts = Finished['hosts'][string];

/** With more hosts than this, hosts that ended alike share a line. */
const MOST_LINES = 24;

/** What a run leaves behind: every error with its fix, a line per host, and one sentence that says how it ended. */
export function recapView(event: Finished, faults: readonly ShownFault[], palette: Palette): string {
  const table = hostTable(event.hosts, failedHosts(event, faults), palette);
  return [
    ...(table.length === 0 ? [] : [palette.bold('Recap'), ...table.map((line) => `  ${line}`), '']),
    ...(faults.length === 0 ? [] : [faultsView(faults, palette), '']),
    verdictLine(event, faults, palette),
  ].join('\n');
}

/** Those where a step failed, and those that could not even be reached. */
function failedHosts(event: Finished, faults: readonly ShownFault[]): ReadonlySet<string> {
  const steps = Object.entries(event.hosts).filter(([, counts]) => counts.failed > 0);
  const left = faults.map(({ host }) => host).filter((host) => host !== undefined && host in event.hosts);
  return new Set([...steps.map(([host]) => host), ...left.filter((host) => host !== undefined)]);
}

function hostTable(hosts: Finished['hosts'], failed: ReadonlySet<string>, palette: Palette): string[] {
  const rows = Object.entries(hosts).map(([host, counts]) => ({
    name: oneLine(host),
    // A host that was never reached failed in no step of its own.
    counts: failed.has(host) && counts.failed === 0 ? { ...counts, failed: 1 } : counts,
  }));
  const shown =
    rows.length <= MOST_LINES
      ? rows
      : groupBy(rows, ({ counts }) => countsKey(counts)).map((group) => ({
          name: nameList(
            group.map(({ name }) => name),
            3,
          ),
          counts: group[0]?.counts ?? noCounts,
        }));
  const width = Math.max(0, ...shown.map(({ name }) => name.length));
  const columns = Object.keys(paints) as (keyof typeof paints)[];
  const used = columns.filter(
    (column) => column === 'unchanged' || column === 'changed' || shown.some((row) => row.counts[column] > 0),
  );
  const digits = new Map(
    used.map((column) => [column, Math.max(...shown.map((row) => String(row.counts[column]).length))]),
  );
  return shown.map(({ name, counts }) => {
    const cells = used.map((column) => {
      const text = `${String(counts[column]).padStart(digits.get(column) ?? 1)} ${column}`;
      return counts[column] > 0 ? palette[paints[column]](text) : palette.dim(text);
    });
    return `${name.padEnd(width)}  ${cells.join('  ')}`;
  });
}

const noCounts: Counts = { unchanged: 0, changed: 0, skipped: 0, failed: 0, ignored: 0, roundTrips: 0 };

const paints = {
  unchanged: 'green',
  changed: 'yellow',
  skipped: 'cyan',
  failed: 'red',
  ignored: 'red',
} as const satisfies Record<string, keyof Palette>;

function countsKey(counts: Counts): string {
  return (Object.keys(paints) as (keyof typeof paints)[]).map((column) => counts[column]).join();
}

const verdicts = {
  unchanged: (hosts) => `Nothing to change on ${hosts}`,
  changed: (hosts) => `Done on ${hosts}`,
  'would-change': (hosts) => `Planned for ${hosts}; nothing was changed`,
  failed: () => 'Failed',
  interrupted: () => 'Interrupted; run again to go on from there',
} as const satisfies Record<Finished['status'], (hosts: string) => string>;

const verdictPaints = {
  unchanged: 'green',
  changed: 'green',
  'would-change': 'yellow',
  failed: 'red',
  interrupted: 'yellow',
} as const satisfies Record<Finished['status'], keyof Palette>;

/** The last line: how it ended, how much changed, and how long it took. */
function verdictLine(event: Finished, faults: readonly ShownFault[], palette: Palette): string {
  const all = Object.values(event.hosts);
  const changed = all.reduce((sum, counts) => sum + counts.changed, 0);
  const failed = failedHosts(event, faults).size;
  const paint: Style = palette[verdictPaints[event.status]];
  const details = [
    ...(event.status === 'unchanged' || event.status === 'would-change' ? [] : [`${changed} changed`]),
    ...(failed === 0 ? [] : [`${failed} of ${count(all.length, 'host')} failed`]),
    formatDuration(event.durationMs),
  ];
  return `${paint(palette.bold(verdicts[event.status](count(all.length, 'host'))))} ${palette.dim(`(${details.join(', ')})`)}`;
}
