import type { FleetError } from '../core/errors.ts';
import { describeAction } from './action-text.ts';
import type { TaskStatus } from './event.ts';
import type { DynamicInclude, Play, Task } from './play.ts';
import type { HostState, RunContext } from './run-context.ts';
import type { Change, Diff, Notice } from './step.ts';

/** One task, or one item of its loop, as events name it. */
export interface Told {
  readonly task: Task;
  readonly name: string;
  readonly item?: string;
}

export interface Ending {
  readonly startedAt?: number;
  readonly plan?: Change<Record<string, unknown>>;
  readonly error?: FleetError;
  readonly knownAfterApply?: true;
  readonly output?: string;
  readonly rescued?: true;
}

const counters = {
  unchanged: 'unchanged',
  changed: 'changed',
  'would-change': 'changed',
  skipped: 'skipped',
  failed: 'failed',
  'failed-ignored': 'ignored',
} as const;

/** Tells what happens to the tasks of one host, and counts it. `no_log` hides everything but that it happened. */
export class TaskReport {
  constructor(
    private readonly context: RunContext,
    private readonly play: Play,
    private readonly host: string,
    private readonly state: HostState,
  ) {}

  #names({ task, name, item }: Told) {
    return {
      play: this.play.name,
      host: this.host,
      task: name,
      step: task.step.name,
      ...(item === undefined ? {} : { item: task.noLog ? hiddenText : item }),
    };
  }

  #runningName({ task, name, item }: Told): string {
    return `${this.host}: ${name}${item === undefined || task.noLog ? '' : ` (${item})`}`;
  }

  started(told: Told, because: string): void {
    this.context.running.add(this.#runningName(told));
    this.context.emit({
      kind: 'task-started',
      ...this.#names(told),
      because: told.task.noLog ? hiddenText : because,
    });
  }

  waiting(told: Told, what: string, reason: string, deadlineMs: number): void {
    const hidden = told.task.noLog ? { what: hiddenText, reason: hiddenText } : { what, reason };
    this.context.emit({ kind: 'task-waiting', ...this.#names(told), ...hidden, deadlineMs });
  }

  progress(told: Told, text: string, done: number, total: number): void {
    this.context.emit({ kind: 'task-progress', ...this.#names(told), text, done, total, unit: 'bytes' });
  }

  /** An include that could not be read, or that a plan cannot follow. */
  included(include: DynamicInclude, status: TaskStatus, because: string, error?: FleetError): void {
    this.state.counts[counters[status]] += 1;
    this.context.emit({
      kind: 'task-finished',
      play: this.play.name,
      host: this.host,
      task: include.name,
      step: 'include',
      status,
      because,
      ...(error === undefined ? { knownAfterApply: true } : { error: error.toFault() }),
      durationMs: 0,
    });
  }

  message(told: Told, text: string): void {
    if (!told.task.noLog) this.context.emit({ kind: 'message', ...this.#names(told), text });
  }

  warning(told: Told, notice: Notice): void {
    if (!told.task.noLog) this.context.emit({ kind: 'warning', ...notice, host: this.host });
  }

  finished(told: Told, status: TaskStatus, because: string, ending: Ending = {}): void {
    this.context.running.delete(this.#runningName(told));
    this.state.counts[counters[status]] += 1;
    const { plan, error, output } = ending;
    const { noLog, diff: showsDiff } = told.task;
    this.context.emit({
      kind: 'task-finished',
      ...this.#names(told),
      status,
      because: noLog ? hiddenText : because,
      durationMs: ending.startedAt === undefined ? 0 : Date.now() - ending.startedAt,
      ...(plan === undefined || noLog ? {} : { actions: plan.actions.map(describeAction) }),
      ...(plan?.diff === undefined || noLog || showsDiff === false
        ? {}
        : { diff: plan.diff.map(presentDiff) }),
      ...(ending.knownAfterApply === undefined ? {} : { knownAfterApply: true }),
      ...(output === undefined || noLog ? {} : { output }),
      ...(ending.rescued === undefined ? {} : { rescued: true }),
      ...(error === undefined
        ? {}
        : { error: noLog ? { ...error.toFault(), message: hiddenText } : error.toFault() }),
    });
  }
}

/** Stands for all that `no_log` hides. */
export const hiddenText = 'hidden by no_log';

function presentDiff({ subject, before, after }: Diff) {
  return { subject, ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) };
}
