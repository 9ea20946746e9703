import type { StampedEvent } from '../engine/event.ts';
import type { Palette } from './color.ts';
import { formatDeadline, formatDuration } from './duration.ts';
import type { LiveContent, Row } from './live-list.ts';
import { dispatch, type EventHandlers, type StampedEventOf } from './renderer.ts';
import { count, formatBytes, nameList, oneLine, taskTitle } from './wording.ts';

type Finished = StampedEventOf<'task-finished'>;
type AtWork = StampedEventOf<'task-started' | 'task-waiting' | 'task-progress'>;

interface HostState {
  readonly name: string;
  /** By task: what it does now and since when. */
  readonly atWork: Map<string, { title: string; detail?: string; deadlineMs?: number; since: number }>;
  readonly changes: string[];
  unchanged: number;
  ended: number;
  startedAt: number | undefined;
  lastAt: number;
  failure: string | undefined;
}

/** With more changes than this, the row of a host that is done only counts them. */
const MOST_CHANGES = 6;

const STOPPING = 'finishing what runs, Ctrl-C again stops at once';

const nothing = (): void => {};

/** One play as it goes: each host with what it does or waits for, and for how long. Fed with events, read by a live list. */
export class PlayBoard implements LiveContent {
  readonly #play: string;
  readonly #hosts = new Map<string, HostState>();
  readonly #palette: Palette;
  readonly #now: () => number;
  readonly #startedAt: number;
  #batch: string | undefined;
  /** What must hold before the next wave and did not when last asked, by the host that it is about. */
  readonly #awaited = new Map<string, string>();
  #stopping = false;
  #endedAt: number | undefined;

  constructor(start: StampedEventOf<'play-started'>, palette: Palette, now: () => number) {
    this.#play = start.play;
    this.#palette = palette;
    this.#now = now;
    this.#startedAt = Date.parse(start.at);
    for (const name of start.hosts) this.#host(name);
  }

  handle(event: StampedEvent): void {
    dispatch(this.#handlers, event);
  }

  /** The play is over; clocks stop. */
  close(at: number): void {
    this.#endedAt = at;
  }

  /** Ctrl-C: said in the title until the play ends. */
  stopping(): void {
    this.#stopping = true;
  }

  hasFailed(): boolean {
    return [...this.#hosts.values()].some((host) => host.failure !== undefined);
  }

  title(): string {
    const { bold, dim, yellow, red } = this.#palette;
    const hosts = [...this.#hosts.values()];
    const changed = hosts.filter((host) => host.changes.length > 0 && host.failure === undefined).length;
    const failed = hosts.filter((host) => host.failure !== undefined).length;
    const isOver = this.#endedAt !== undefined;
    const parts = [
      count(hosts.length, 'host'),
      ...(this.#batch === undefined || isOver ? [] : [this.#batch]),
      ...(isOver ? [] : [...this.#awaited.values()].slice(-1)),
      ...(changed > 0 ? [yellow(`${changed} changed`)] : isOver && failed === 0 ? ['nothing to change'] : []),
      ...(failed > 0 ? [red(`${failed} failed`)] : []),
      dim(formatDuration((this.#endedAt ?? this.#now()) - this.#startedAt)),
      ...(this.#stopping && !isOver ? [yellow(STOPPING)] : []),
    ];
    return `${bold(oneLine(this.#play))}  ${parts.join(dim(' · '))}`;
  }

  rows(most: number): readonly Row[] {
    const all = [...this.#hosts.values()];
    const telling = this.#endedAt === undefined ? all : all.filter((host) => isTelling(host));
    if (telling.length === 0) return [];
    const width = Math.min(32, Math.max(...telling.map(({ name }) => oneLine(name).length)));
    if (telling.length <= most) return telling.map((host) => this.#row(host, width));
    // What a person must see first: what broke, then what is at work the longest, then what is over, then who waits.
    const chosen = new Set([...telling].sort((a, b) => this.#rank(a) - this.#rank(b)).slice(0, most - 1));
    const rest = telling.filter((host) => !chosen.has(host));
    return [
      ...telling.filter((host) => chosen.has(host)).map((host) => this.#row(host, width)),
      this.#restRow(rest),
    ];
  }

  readonly #handlers: EventHandlers = {
    'run-started': nothing,
    'host-connected': nothing,
    'host-lost': (event) => {
      const host = this.#hosts.get(event.host);
      for (const work of host?.atWork.values() ?? [])
        work.detail = `connection lost: ${oneLine(event.reason)}`;
    },
    'look-finished': nothing,
    'play-started': nothing,
    'batch-started': (event) => {
      this.#batch = event.of === 1 ? undefined : `batch ${event.number} of ${event.of}`;
    },
    'waves-planned': nothing,
    'wave-started': (event) => {
      this.#batch = `wave ${event.number} of ${event.of}: ${oneLine(event.wave)}`;
      this.#awaited.clear();
    },
    'wave-waiting': (event) => {
      this.#awaited.set(event.host, `waiting for ${oneLine(event.what)}: ${oneLine(event.reason)}`);
    },
    'wave-paused': nothing,
    'task-started': (event) => {
      this.#atWork(event);
    },
    'task-waiting': (event) => {
      const work = this.#atWork(event);
      work.detail = `waiting for ${oneLine(event.what)}: ${oneLine(event.reason)}`;
      work.deadlineMs = event.deadlineMs;
    },
    'task-progress': (event) => {
      this.#atWork(event).detail = progressText(event);
    },
    'task-finished': (event) => this.#finished(event),
    message: nothing,
    warning: nothing,
    'host-failed': (event) => {
      const host = this.#hosts.get(event.host);
      if (host === undefined) return;
      host.failure ??= oneLine(event.error.message);
      host.atWork.clear();
    },
    'run-failed': nothing,
    interrupted: () => this.stopping(),
    'run-finished': nothing,
  };

  #finished(event: Finished): void {
    const host = this.#host(event.host);
    host.atWork.delete(taskKey(event));
    host.lastAt = Date.parse(event.at);
    host.startedAt ??= host.lastAt - event.durationMs;
    host.ended += 1;
    if (event.status === 'unchanged') host.unchanged += 1;
    if (event.status === 'changed' || event.status === 'would-change') host.changes.push(taskTitle(event));
    if (event.status === 'failed' && event.rescued !== true) {
      host.failure ??= `${taskTitle(event)}: ${oneLine(event.error?.message ?? event.because)}`;
    }
  }

  #atWork(event: AtWork) {
    const host = this.#host(event.host);
    const since = Date.parse(event.at);
    host.startedAt ??= since;
    const key = taskKey(event);
    let work = host.atWork.get(key);
    if (work === undefined) {
      work = { title: taskTitle(event), since };
      host.atWork.set(key, work);
    }
    return work;
  }

  #host(name: string): HostState {
    let host = this.#hosts.get(name);
    if (host === undefined) {
      host = {
        name,
        atWork: new Map(),
        changes: [],
        unchanged: 0,
        ended: 0,
        startedAt: undefined,
        lastAt: 0,
        failure: undefined,
      };
      this.#hosts.set(name, host);
    }
    return host;
  }

  #row(host: HostState, width: number): Row {
    const { dim, red, yellow, bold } = this.#palette;
    const name = bold(oneLine(host.name).padEnd(width));
    if (host.failure !== undefined) return { state: 'failed', text: `${name}  ${red(host.failure)}` };
    const [work] = [...host.atWork.values()].slice(-1);
    if (work !== undefined && this.#endedAt === undefined) {
      const clock = formatDuration(this.#now() - work.since);
      const until = work.deadlineMs === undefined ? clock : `${clock} of ${formatDeadline(work.deadlineMs)}`;
      const detail = work.detail === undefined ? '' : ` ${dim('·')} ${work.detail}`;
      return { state: 'working', text: `${name}  ${dim(until.padStart(5))}  ${work.title}${detail}` };
    }
    const done = [
      ...(host.changes.length > 0 ? [yellow(`${host.changes.length} changed`)] : []),
      ...(host.unchanged > 0 ? [`${host.unchanged} unchanged`] : []),
    ].join(dim(', '));
    if (this.#endedAt === undefined) {
      return {
        state: host.ended === 0 ? 'waiting' : 'done',
        text: `${name}  ${host.ended === 0 ? dim('waits') : done}`,
      };
    }
    const took = dim(formatDuration(host.lastAt - (host.startedAt ?? host.lastAt)).padStart(5));
    const changes = host.changes.length > MOST_CHANGES ? '' : `${dim(':')} ${host.changes.join(dim(', '))}`;
    return { state: 'done', text: `${name}  ${took}  ${yellow(`${host.changes.length} changed`)}${changes}` };
  }

  #restRow(rest: readonly HostState[]): Row {
    const atWork = rest.filter((host) => host.atWork.size > 0).length;
    const over = rest.filter((host) => host.atWork.size === 0 && host.ended > 0).length;
    const parts = [
      ...(atWork > 0 ? [`${atWork} at work`] : []),
      ...(over > 0 ? [`${over} ${this.#endedAt === undefined ? 'done' : 'changed'}`] : []),
      ...(rest.length - atWork - over > 0 ? [`${rest.length - atWork - over} waiting`] : []),
    ];
    return {
      state: this.#endedAt === undefined && atWork > 0 ? 'working' : 'done',
      text: this.#palette.dim(`and ${count(rest.length, 'more host')}: ${parts.join(', ')}`),
    };
  }

  #rank(host: HostState): number {
    if (host.failure !== undefined) return 0;
    const [work] = host.atWork.values();
    if (work !== undefined) return work.since;
    return host.ended > 0 ? Number.MAX_SAFE_INTEGER - 1 : Number.MAX_SAFE_INTEGER;
  }
}

/** Hosts in which nothing happened leave no row behind. */
function isTelling(host: HostState): boolean {
  return host.changes.length > 0 || host.failure !== undefined;
}

function taskKey(event: { task: string; item?: string }): string {
  return JSON.stringify([event.task, event.item]);
}

function progressText(event: StampedEventOf<'task-progress'>): string {
  const { done, total, unit } = event;
  const text = oneLine(event.text);
  if (done === undefined) return text;
  const format = unit === 'bytes' ? formatBytes : String;
  return total === undefined || total === 0
    ? `${text} ${format(done)}`
    : `${text} ${progressBar(done / total)} ${format(done)} of ${format(total)}`;
}

function progressBar(share: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * 10);
  return '█'.repeat(filled) + '░'.repeat(10 - filled);
}

/** What stands on the screen before the first play: who was reached, and in a plan how far the looking is. */
export class LookBoard implements LiveContent {
  readonly #palette: Palette;
  readonly #now: () => number;
  readonly #startedAt: number;
  readonly #hosts: number;
  readonly #failed: string[] = [];
  #connected = 0;
  #stopping = false;
  #facts = 0;
  #decided = 0;
  #play: string | undefined;
  #endedAt: number | undefined;

  constructor(start: StampedEventOf<'run-started'>, palette: Palette, now: () => number) {
    this.#palette = palette;
    this.#now = now;
    this.#hosts = start.hosts;
    this.#startedAt = Date.parse(start.at);
  }

  handle(event: StampedEvent): void {
    if (event.kind === 'host-connected') this.#connected += 1;
    else if (event.kind === 'look-finished') this.#facts += event.facts;
    else if (event.kind === 'task-finished') this.#decided += 1;
    else if (event.kind === 'play-started') this.#play = event.play;
    else if (event.kind === 'host-failed') this.#failed.push(oneLine(event.host));
  }

  close(at: number): void {
    this.#endedAt = at;
  }

  stopping(): void {
    this.#stopping = true;
  }

  hasFailed(): boolean {
    return this.#failed.length > 0;
  }

  title(): string {
    const { bold, dim, red, yellow } = this.#palette;
    const isOver = this.#endedAt !== undefined;
    const parts = [
      ...(isOver ? [] : [`${this.#connected} reached`]),
      ...(this.#failed.length === 0 ? [] : [red(`${nameList(this.#failed, 3)} failed`)]),
      ...(this.#facts === 0 ? [] : [count(this.#facts, 'fact')]),
      ...(this.#decided === 0 ? [] : [`${count(this.#decided, 'step')} decided`]),
      ...(this.#play === undefined || isOver ? [] : [oneLine(this.#play)]),
      ...(this.#stopping && !isOver ? [yellow(STOPPING)] : []),
      dim(formatDuration((this.#endedAt ?? this.#now()) - this.#startedAt)),
    ];
    const title = `${isOver ? 'Looked' : 'Looking'} at ${count(this.#hosts, 'host')}`;
    return `${bold(title)}  ${parts.join(dim(' · '))}`;
  }

  rows(): readonly Row[] {
    return [];
  }
}
