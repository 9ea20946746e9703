import type { StampedEvent } from '../engine/event.ts';
import type { Palette } from './color.ts';
import { type DiffMark, diffMark, diffView } from './diff-view.ts';
import { faultView } from './fault-view.ts';
import { groupBy } from './grouping.ts';
import type { StampedEventOf } from './renderer.ts';
import { wavesView } from './waves-view.ts';
import { count, indent, nameList, oneLine, taskTitle } from './wording.ts';

type TaskEnd = StampedEventOf<'task-finished'>;

export interface PlanCounts {
  readonly toChange: number;
  readonly hostsToChange: number;
  readonly unchanged: number;
  readonly failed: number;
}

/** How much a plan would do. */
export function countPlan(events: readonly StampedEvent[]): PlanCounts {
  const ends = events.filter((event) => event.kind === 'task-finished');
  const changes = ends.filter(({ status }) => status === 'would-change' || status === 'changed');
  return {
    toChange: changes.length,
    hostsToChange: new Set(changes.map(({ host }) => host)).size,
    unchanged: ends.filter(({ status }) => status === 'unchanged').length,
    failed: events.filter(({ kind }) => kind === 'host-failed' || kind === 'run-failed').length,
  };
}

/**
 * A plan for a person who will say yes or no: the order in which hosts are worked on, then per play what changes, hosts with equal changes together, each with the
 * reason, the difference and what is done. Hosts and tasks with nothing to change only count.
 */
export function planView(events: readonly StampedEvent[], palette: Palette): string {
  const ends = events.filter((event) => event.kind === 'task-finished');
  const waves = events.findLast((event) => event.kind === 'waves-planned');
  const plays = groupBy(
    ends.filter(({ status }) => status === 'would-change' || status === 'changed' || status === 'failed'),
    ({ play }) => play,
  ).map((group) => playView(group, palette));
  const failures = events
    .filter((event) => event.kind === 'host-failed' || event.kind === 'run-failed')
    .filter(({ error }) => !ends.some((end) => end.status === 'failed' && isSameFault(end.error, error)))
    .map(({ error }) => faultView(error, palette));
  const order = waves === undefined ? [] : [wavesView(waves, palette)];
  return [...order, ...plays, ...failures, planSummary(countPlan(events), palette)].join('\n\n');
}

/** `Plan: 7 to change on 3 hosts, 45 unchanged.` */
export function planSummary(counts: PlanCounts, palette: Palette): string {
  const failed = counts.failed === 0 ? '' : `, ${palette.red(`${counts.failed} failed`)}`;
  if (counts.toChange === 0 && counts.failed === 0) {
    return `${palette.green(palette.bold('Nothing to change.'))} ${palette.dim(`${counts.unchanged} checked.`)}`;
  }
  return (
    `${palette.bold('Plan:')} ${palette.yellow(`${counts.toChange} to change`)} on ` +
    `${count(counts.hostsToChange, 'host')}, ${counts.unchanged} unchanged${failed}.`
  );
}

function playView(ends: readonly [TaskEnd, ...TaskEnd[]], palette: Palette): string {
  // In the order of the tasks, whichever host was decided first.
  const groups = groupBy(ends, taskTitle).flatMap((ofTask) => groupBy(ofTask, changeKey));
  const hosts = [...new Set(ends.map(({ host }) => host))].map(oneLine);
  return [
    `${palette.bold(oneLine(ends[0].play))} ${palette.dim(`(${nameList(hosts)})`)}`,
    ...groups.map((group) => changeView(group, hosts.length, palette)),
  ].join('\n\n');
}

/** Hosts are grouped when a person would read the same twice. */
function changeKey(end: TaskEnd): string {
  const { task, item, because, diff, actions, knownAfterApply, status } = end;
  return JSON.stringify([task, item, because, diff, actions, knownAfterApply, status, end.error?.message]);
}

function changeView(group: readonly [TaskEnd, ...TaskEnd[]], hostsInPlay: number, palette: Palette): string {
  const [first] = group;
  const mark = markOf(first);
  const names = group.map(({ host }) => oneLine(host));
  const where =
    names.length === hostsInPlay && hostsInPlay > 1 ? `all ${hostsInPlay} hosts` : nameList(names);
  const head = `${paintMark(mark, palette)} ${palette.bold(taskTitle(first))}  ${palette.cyan(where)}`;
  if (first.status === 'failed') {
    const fault = first.error ?? { code: 'REFUSED', message: first.because };
    // Every host of the group stands in the head; the fault names but one of them.
    const { host: _host, step: _step, ...shared } = fault;
    return indent([head, indent(faultView(shared, palette), '    ')].join('\n'), '  ');
  }
  const steps = first.actions ?? [];
  return indent(
    [
      head,
      `    ${oneLine(first.because)}${first.knownAfterApply === true ? palette.dim(' (known after apply)') : ''}`,
      ...(first.diff ?? []).map((diff) => indent(diffView(diff, palette), '    ')),
      ...(steps.length === 0 ? [] : [palette.dim(`    does: ${steps.map(oneLine).join('; ')}`)]),
    ].join('\n'),
    '  ',
  );
}

function markOf(end: TaskEnd): DiffMark | '!' {
  if (end.status === 'failed') return '!';
  const marks = new Set((end.diff ?? []).map(diffMark));
  const [only] = marks;
  return marks.size === 1 && only !== undefined ? only : '~';
}

function paintMark(mark: DiffMark | '!', palette: Palette): string {
  const paints = { '+': palette.green, '-': palette.red, '~': palette.yellow, '!': palette.red };
  return palette.bold(paints[mark](mark));
}

function isSameFault(a: TaskEnd['error'], b: NonNullable<TaskEnd['error']>): boolean {
  return a !== undefined && a.code === b.code && a.message === b.message && a.host === b.host;
}
