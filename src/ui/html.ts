import { formatPlace } from '../core/errors.ts';
import { visible } from '../core/terminal-text.ts';
import type { StampedEvent, TaskStatus } from '../engine/event.ts';
import { createPalette } from './color.ts';
import { diffView } from './diff-view.ts';
import { formatDuration } from './duration.ts';
import { sortFaults } from './fault-view.ts';
import { groupBy } from './grouping.ts';
import { htmlStyle } from './html-style.ts';
import type { StampedEventOf } from './renderer.ts';
import { count, nameList, taskTitle } from './wording.ts';

type TaskEnd = StampedEventOf<'task-finished'>;

const plain = createPalette(false);

/** A run as one self-contained page: how it ended, what failed, who did what when, and every change with its difference. */
export function htmlReport(events: readonly StampedEvent[]): string {
  const started = events.findLast((event) => event.kind === 'run-started');
  const finished = events.findLast((event) => event.kind === 'run-finished');
  // A journal holds the plan that a person agreed to and then the run; the page tells of the last of them.
  const from = started === undefined ? 0 : events.indexOf(started);
  const own = events.slice(from);
  const ends = own.filter((event) => event.kind === 'task-finished');
  const status = finished?.status ?? 'broken off';
  const title = `fleet ${started?.command ?? 'run'}: ${status}`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeHtml(title)}</title>
<style>${htmlStyle}</style>
<main>
<header>
<h1>fleet ${escapeHtml(started?.command ?? 'run')} <span class="badge ${escapeHtml(status)}">${escapeHtml(status)}</span></h1>
<p>${headline(started, finished, own)}</p>
${tiles(ends)}
</header>
${faultsSection(own)}
${timelineSection(own)}
${changesSection(ends)}
${recapSection(finished)}
</main>
</html>
`;
}

/** Nothing from outside reaches the page but through here. */
function escapeHtml(text: string): string {
  return visible(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

function headline(
  started: StampedEventOf<'run-started'> | undefined,
  finished: StampedEventOf<'run-finished'> | undefined,
  events: readonly StampedEvent[],
): string {
  const at = events[0]?.at ?? '';
  const parts = [
    `${at.slice(0, 10)} ${at.slice(11, 19)} UTC`,
    ...(finished === undefined ? [] : [formatDuration(finished.durationMs)]),
    ...(started === undefined ? [] : [count(started.hosts, 'host'), started.sources.join(', '), started.run]),
  ];
  return parts.map(escapeHtml).join(' · ');
}

function tiles(ends: readonly TaskEnd[]): string {
  const amount = (...statuses: TaskStatus[]): number =>
    ends.filter(({ status }) => statuses.includes(status)).length;
  const all = [
    ['changed', amount('changed', 'would-change')],
    ['unchanged', amount('unchanged')],
    ['skipped', amount('skipped')],
    ['failed', amount('failed', 'failed-ignored')],
  ] as const;
  return `<ul class="tiles">${all
    .map(([name, value]) => `<li class="${value === 0 ? 'none' : name}"><b>${value}</b> ${name}</li>`)
    .join('')}</ul>`;
}

function faultsSection(events: readonly StampedEvent[]): string {
  const faults = events.flatMap((event) => {
    if (event.kind === 'run-failed') return [event.error];
    if (event.kind === 'host-failed') return [{ host: event.host, ...event.error }];
    return [];
  });
  if (faults.length === 0) return '';
  const items = sortFaults(faults).map((fault) => {
    const subject = [fault.host, fault.step].filter((part) => part !== undefined).map(escapeHtml);
    const where =
      fault.where === undefined ? '' : `<p class="where">${escapeHtml(formatPlace(fault.where))}</p>`;
    const fix = fault.fix === undefined ? '' : `<p class="fix">${escapeHtml(fault.fix)}</p>`;
    return `<li><h3>${subject.join(', ')} <code>${escapeHtml(fault.code)}</code></h3><p>${escapeHtml(fault.message)}</p>${where}${fix}</li>`;
  });
  return `<section class="faults"><h2>What failed</h2><ul>${items.join('')}</ul></section>`;
}

interface Bar {
  readonly from: number;
  readonly to: number;
  readonly kind: string;
  readonly text: string;
}

function timelineSection(events: readonly StampedEvent[]): string {
  const times = events.map(({ at }) => Date.parse(at));
  const start = times[0] ?? 0;
  const end = Math.max(start + 1, times.at(-1) ?? start);
  const bars = new Map<string, Bar[]>();
  const add = (host: string, bar: Bar): void => {
    const row = bars.get(host);
    if (row === undefined) bars.set(host, [bar]);
    else row.push(bar);
  };
  for (const event of events) {
    const at = Date.parse(event.at);
    if (event.kind === 'host-connected') {
      add(event.host, { from: at - event.durationMs, to: at, kind: 'connect', text: 'connecting' });
    }
    // What took no time and changed nothing would only be noise.
    if (event.kind === 'task-finished' && !(event.durationMs < 1 && event.status === 'unchanged')) {
      if (event.status === 'skipped') continue;
      add(event.host, { from: at - event.durationMs, to: at, kind: event.status, text: taskTitle(event) });
    }
  }
  if (bars.size === 0) return '';
  const percent = (ms: number): string => `${((100 * ms) / (end - start)).toFixed(3)}%`;
  const rows = [...bars].map(([host, row]) => {
    const spans = row.map(({ from, to, kind, text }) => {
      const left = Math.max(0, from - start);
      const label = escapeHtml(`${text}: ${kind}, ${formatDuration(to - from)}, at ${formatDuration(left)}`);
      return `<i class="${kind}" style="left:${percent(left)};width:${percent(Math.max(0, to - start - left))}" title="${label}"></i>`;
    });
    return `<tr><th>${escapeHtml(host)}</th><td><div>${spans.join('')}</div></td></tr>`;
  });
  const plays = playSpans(events, end).map(
    ({ name, from, to }) =>
      `<i style="left:${percent(from - start)};width:${percent(to - from)}" title="${escapeHtml(`${name}, ${formatDuration(to - from)}`)}">${escapeHtml(name)}</i>`,
  );
  const ticks = [0, 0.25, 0.5, 0.75, 1].map(
    (share) => `<span style="left:${share * 100}%">${formatDuration(share * (end - start))}</span>`,
  );
  return `<section><h2>Timeline</h2><table class="timeline">
<tr class="plays"><th></th><td><div>${plays.join('')}</div></td></tr>
${rows.join('\n')}
<tr class="ticks"><th></th><td><div>${ticks.join('')}</div></td></tr>
</table></section>`;
}

function playSpans(
  events: readonly StampedEvent[],
  end: number,
): { name: string; from: number; to: number }[] {
  const starts = events.filter((event) => event.kind === 'play-started');
  return starts.map((event, index) => {
    const next = starts[index + 1];
    return {
      name: event.play,
      from: Date.parse(event.at),
      to: next === undefined ? end : Date.parse(next.at),
    };
  });
}

function changesSection(ends: readonly TaskEnd[]): string {
  const telling = ends.filter(({ status }) => status !== 'unchanged' && status !== 'skipped');
  if (telling.length === 0) return '<section><h2>Changes</h2><p>Nothing had to be changed.</p></section>';
  const plays = groupBy(telling, ({ play }) => play).map((ofPlay) => {
    const changes = groupBy(ofPlay, (end) =>
      JSON.stringify([end.task, end.item, end.status, end.because, end.diff, end.actions, end.output]),
    ).map((group) => changeItem(group));
    return `<h3>${escapeHtml(ofPlay[0].play)}</h3>${changes.join('\n')}`;
  });
  return `<section class="changes"><h2>Changes</h2>${plays.join('\n')}</section>`;
}

function changeItem(group: readonly [TaskEnd, ...TaskEnd[]]): string {
  const [first] = group;
  const longest = Math.max(...group.map(({ durationMs }) => durationMs));
  const summary = [
    `<b class="${first.status}">${escapeHtml(taskTitle(first))}</b>`,
    `<span class="hosts">${escapeHtml(nameList(group.map(({ host }) => host)))}</span>`,
    `<span class="took">${formatDuration(longest)}</span>`,
  ].join(' ');
  const diffs = (first.diff ?? []).map((diff) => `<pre>${paintDiff(diffView(diff, plain))}</pre>`);
  const actions = (first.actions ?? []).map((action) => `<li>${escapeHtml(action)}</li>`);
  const body = [
    `<p>${escapeHtml(first.error?.message ?? first.because)}${first.knownAfterApply === true ? ' (known after apply)' : ''}</p>`,
    ...(actions.length === 0 ? [] : [`<ol>${actions.join('')}</ol>`]),
    ...diffs,
    ...(first.output === undefined || first.output === '' ? [] : [`<pre>${escapeHtml(first.output)}</pre>`]),
  ];
  return `<details${first.status === 'failed' ? ' open' : ''}><summary>${summary}</summary>${body.join('')}</details>`;
}

function paintDiff(text: string): string {
  return text
    .split('\n')
    .map((line) => {
      const kind = /^ {2}\+ /.test(line) ? 'ins' : /^ {2}- /.test(line) ? 'del' : undefined;
      return kind === undefined ? escapeHtml(line) : `<${kind}>${escapeHtml(line)}</${kind}>`;
    })
    .join('\n');
}

function recapSection(finished: StampedEventOf<'run-finished'> | undefined): string {
  const rows = Object.entries(finished?.hosts ?? {});
  if (rows.length === 0) return '';
  const columns = ['unchanged', 'changed', 'skipped', 'failed', 'ignored', 'roundTrips'] as const;
  const cells = rows.map(
    ([host, counts]) =>
      `<tr><th>${escapeHtml(host)}</th>${columns
        .map((column) => `<td class="${counts[column] === 0 ? 'none' : column}">${counts[column]}</td>`)
        .join('')}</tr>`,
  );
  return `<section><h2>Hosts</h2><table class="recap"><tr><th></th>${columns
    .map((column) => `<th>${column === 'roundTrips' ? 'round trips' : column}</th>`)
    .join('')}</tr>${cells.join('')}</table></section>`;
}
