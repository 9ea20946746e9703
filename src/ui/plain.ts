import { visible } from '../core/terminal-text.ts';
import type { StampedEvent } from '../engine/event.ts';
import type { Palette } from './color.ts';
import { diffView } from './diff-view.ts';
import { formatDeadline, formatDuration } from './duration.ts';
import { faultView, type ShownFault } from './fault-view.ts';
import { recapView } from './recap.ts';
import { dispatch, type EventHandlers, type Renderer, type Sink, type StampedEventOf } from './renderer.ts';
import { pausedLine, wavesView } from './waves-view.ts';
import { count, formatBytes, indent, nameList, oneLine, taskTitle } from './wording.ts';

export interface PlainOptions {
  readonly out: Sink;
  readonly palette: Palette;
  /** Also what changed nothing: unchanged and skipped tasks, connections. */
  readonly verbose: boolean;
  /** Differences below each change. */
  readonly diff: boolean;
  /** A plan is shown by `planView` once it is complete: only what went wrong is said on the way. */
  readonly planOnly?: boolean;
}

/** A wait that goes on is mentioned again only this often: a log that repeats itself hides what matters. */
const REMIND_EVERY_MS = 30_000;

/**
 * One line for each thing worth saying, for logs and pipes. Its shape does not depend on the width of anything, and
 * a line never changes once written. Everything stands on the host's own line, so `grep server2:` tells its story.
 */
export class PlainRenderer implements Renderer {
  readonly #out: Sink;
  readonly #options: PlainOptions;
  readonly #faults: ShownFault[] = [];
  /** Per host and task: what was last said about its wait or progress, and when. */
  readonly #said = new Map<string, { readonly text: string; readonly at: number }>();

  constructor(options: PlainOptions) {
    this.#out = options.out;
    this.#options = options;
  }

  handle(event: StampedEvent): void {
    dispatch(this.#handlers, event);
  }

  async end(): Promise<void> {}

  readonly #handlers: EventHandlers = {
    'run-started': (event) => {
      const sources = event.sources.map(oneLine).join(', ');
      this.#line(`fleet ${oneLine(event.command)}: ${count(event.hosts, 'host')} from ${sources}`);
    },
    'host-connected': (event) => {
      if (this.#options.verbose)
        this.#hostLine(event.host, `connected (${formatDuration(event.durationMs)})`);
    },
    'host-lost': (event) => {
      this.#hostLine(event.host, `connection lost: ${oneLine(event.reason)}; connecting again`);
    },
    'look-finished': (event) => {
      if (!this.#options.verbose) return;
      const questions = `${count(event.facts, 'fact')} of ${count(event.hosts, 'host')}`;
      this.#line(`looked at ${questions} (${formatDuration(event.durationMs)})`);
    },
    'play-started': (event) => {
      if (this.#options.planOnly === true || event.hosts.length === 0) return;
      const { bold, dim } = this.#options.palette;
      const hosts = `${count(event.hosts.length, 'host')}: ${nameList(event.hosts.map(oneLine))}`;
      this.#line('');
      this.#line(`${bold(`Play: ${oneLine(event.play)}`)} ${dim(`(${hosts})`)}`);
    },
    'batch-started': (event) => {
      if (event.of === 1 || this.#options.planOnly === true) return;
      this.#line(`batch ${event.number} of ${event.of}: ${nameList(event.hosts.map(oneLine))}`);
    },
    'waves-planned': (event) => {
      if (this.#options.planOnly === true) return;
      const text = wavesView(event, this.#options.palette);
      if (event.waves.length > 1 || event.strangers.length > 0) this.#line(text);
    },
    'wave-started': (event) => {
      const hosts = nameList(event.hosts.map(oneLine));
      const which = `wave ${event.number} of ${event.of}, ${oneLine(event.wave)}`;
      this.#line(`${which}: ${hosts} (${oneLine(event.because)})`);
    },
    'wave-waiting': (event) => {
      const { host, what, reason, deadlineMs } = event;
      this.#sayNowAndThen(
        { at: event.at, host, task: `behind wave ${event.number}` },
        `waiting for ${oneLine(what)}`,
        `: ${oneLine(reason)} (gives up after ${formatDeadline(deadlineMs)})`,
      );
    },
    'wave-paused': (event) => this.#line(pausedLine(event)),
    'task-started': (event) => {
      this.#hostLine(event.host, `${taskTitle(event)}: ${oneLine(event.because)}`);
    },
    'task-waiting': (event) => {
      this.#sayNowAndThen(
        event,
        `waiting for ${oneLine(event.what)}`,
        `: ${oneLine(event.reason)} (gives up after ${formatDeadline(event.deadlineMs)})`,
      );
    },
    'task-progress': (event) => {
      this.#sayNowAndThen(event, oneLine(event.text), progressSuffix(event));
    },
    'task-finished': (event) => this.#taskFinished(event),
    message: (event) => {
      const text = event.text.trimEnd();
      this.#hostLine(event.host, text.includes('\n') ? `\n${indent(visible(text), '    ')}` : oneLine(text));
    },
    warning: (event) => {
      this.#line(faultView(event, this.#options.palette, 'warning'));
    },
    'host-failed': (event) => {
      const isKnown = this.#faults.some(
        ({ host, message }) => host === event.host && message === event.error.message,
      );
      this.#faults.push({ host: event.host, ...event.error });
      const because = isKnown ? '' : `: ${oneLine(event.error.message)}`;
      this.#hostLine(event.host, `${this.#options.palette.red('leaves the run')}${because}`);
    },
    'run-failed': (event) => {
      this.#faults.push(event.error);
    },
    interrupted: (event) => {
      const running =
        event.running.length === 0
          ? 'nothing is at work'
          : `finishing ${nameList(event.running.map(oneLine))}`;
      this.#line(this.#options.palette.yellow(`interrupted: nothing new is begun, ${running}`));
    },
    'run-finished': (event) => {
      if (this.#options.planOnly === true) return;
      this.#line('');
      this.#line(recapView(event, this.#faults, this.#options.palette));
    },
  };

  #taskFinished(event: StampedEventOf<'task-finished'>): void {
    const { palette, verbose, diff, planOnly } = this.#options;
    this.#said.delete(taskKey(event));
    const isQuiet = event.status === 'unchanged' || event.status === 'skipped' || planOnly === true;
    if (isQuiet && !verbose) return;
    const words = {
      unchanged: palette.green('unchanged'),
      changed: palette.yellow('changed'),
      'would-change': palette.yellow('would change'),
      skipped: palette.cyan('skipped'),
      failed: palette.red(palette.bold('FAILED')),
      'failed-ignored': palette.red('failed, ignored'),
    } as const satisfies Record<typeof event.status, string>;
    const took = event.durationMs < 100 ? '' : ` (${formatDuration(event.durationMs)})`;
    const because = event.error?.message ?? event.because;
    const word = words[event.status] + (event.rescued === true ? ', rescued' : '');
    this.#hostLine(event.host, `${taskTitle(event)}: ${word}${took}: ${oneLine(because)}`);
    if (diff) for (const one of event.diff ?? []) this.#line(indent(diffView(one, palette), '    '));
    if (event.error?.fix !== undefined)
      this.#line(`    ${palette.green('fix:')} ${oneLine(event.error.fix)}`);
    const isTelling = verbose || event.status === 'failed' || event.status === 'failed-ignored';
    if (isTelling && event.output !== undefined && event.output.trim() !== '') {
      this.#line(indent(visible(event.output.trimEnd()), '    | '));
    }
    if (event.error !== undefined && event.status === 'failed' && event.rescued !== true) {
      this.#faults.push({ ...event.error, host: event.host, step: event.task });
    }
  }

  #sayNowAndThen(
    event: { readonly at: string; readonly host: string; readonly task: string; readonly item?: string },
    text: string,
    detail: string,
  ): void {
    const at = Date.parse(event.at);
    const key = taskKey(event);
    const last = this.#said.get(key);
    if (last !== undefined && last.text === text && at - last.at < REMIND_EVERY_MS) return;
    this.#said.set(key, { text, at });
    this.#hostLine(event.host, `${taskTitle(event)}: ${text}${detail}`);
  }

  #hostLine(host: string, text: string): void {
    this.#line(`${this.#options.palette.bold(`${oneLine(host)}:`)} ${text}`);
  }

  #line(text: string): void {
    this.#out.write(`${text}\n`);
  }
}

function taskKey(event: { host: string; task: string; item?: string }): string {
  return JSON.stringify([event.host, event.task, event.item]);
}

function progressSuffix(event: StampedEventOf<'task-progress'>): string {
  const { done, total, unit } = event;
  if (done === undefined) return '';
  const format = unit === 'bytes' ? formatBytes : String;
  if (total === undefined || total === 0) return `: ${format(done)}`;
  return `: ${format(done)} of ${format(total)} (${Math.floor((done / total) * 100)} %)`;
}
