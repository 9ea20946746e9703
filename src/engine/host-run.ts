import pLimit from 'p-limit';
import type { Host, Variables } from '../inventory/fleet.ts';
import { asData } from './as-data.ts';
import { endsTheRun } from './batches.ts';
import { firstUnmet, mentions, templatedName } from './decide.ts';
import { withVars } from './entries.ts';
import { asHostError, isOutOfReach } from './host-error.ts';
import { HostDone, HostTasks, isDeferrable, pending, TaskFailed } from './host-tasks.ts';
import { itemsOf, loopScope } from './loop.ts';
import { isMeeting, readsOthers } from './meeting.ts';
import type { Block, DynamicInclude, Entry, Play, RoleRun, Task } from './play.ts';
import type { BatchShared, HostState, RunContext } from './run-context.ts';
import { playScope, settledTask, taskScope } from './scope.ts';
import { interrupted } from './wait.ts';

/** One host's way through one batch of one play. */
export class HostRun {
  #base: Variables;
  readonly #state: HostState;
  readonly #tasks: HostTasks;
  readonly #handlerTasks: Task[];
  readonly #notified = new Set<Task>();
  /** How many blocks with a rescue it is in the middle of. */
  #guards = 0;
  /** How often this host came to a task: an include may bring the same one several times. */
  readonly #visits = new Map<Task, number>();
  readonly #questions = new Map<Task, number>();
  readonly #endedRoles = new Set<RoleRun>();

  constructor(
    private readonly context: RunContext,
    private readonly play: Play,
    private readonly host: Host,
    private readonly batch: readonly Host[],
    private readonly shared: BatchShared,
  ) {
    this.#handlerTasks = [...play.handlers];
    this.#base = playScope(context, play, host, batch);
    this.#state = context.stateOf(host.name);
    this.#tasks = new HostTasks(context, play, host, {
      scopeOf: (task) => taskScope(context, this.#base, host, task),
      isGuarded: () => this.#guards > 0,
      onChanged: (task) => this.#notify(task),
    });
  }

  /** Works through the tasks and then the handlers they notified. A failure is told and kept in the host's state. */
  async run(): Promise<void> {
    try {
      await this.#entries(this.play.tasks);
      await this.#handlers();
    } catch (thrown) {
      if (thrown instanceof HostDone) return;
      const error = thrown instanceof TaskFailed ? thrown.error : asHostError(thrown, this.host.name);
      this.#state.failed = error;
      this.shared.failures += 1;
      // Others stop before their next task, not at the end of the play: that is what such a play is written for.
      if (
        (thrown instanceof TaskFailed && thrown.task.anyErrorsFatal === true) ||
        endsTheRun(this.play, this.shared.failures, this.batch.length)
      )
        this.shared.fatal = true;
      this.context.emit({ kind: 'host-failed', host: this.host.name, error: error.toFault() });
      if (this.play.forceHandlers === true) await this.#forcedHandlers();
    } finally {
      this.shared.meeting.leave(this.host.name);
    }
  }

  /** The handlers of a host that failed, of which one may fail in its turn. */
  async #forcedHandlers(): Promise<void> {
    this.#tasks.drop();
    try {
      await this.#handlers();
    } catch {
      // Told when it happened; the host has failed already.
    }
  }

  async #handlers(): Promise<void> {
    await this.#tasks.flush();
    for (const handler of this.#handlerTasks) {
      if (this.#notified.delete(handler)) await this.#task(handler);
    }
    await this.#tasks.flush();
  }

  async #entries(entries: readonly Entry[]): Promise<void> {
    for (const entry of entries) {
      if (entry.kind === 'task') await this.#task(entry);
      else if (entry.kind === 'block') await this.#block(entry);
      else await this.#include(entry);
    }
  }

  async #block(block: Block): Promise<void> {
    const guarded = block.rescue.length > 0 || block.always.length > 0;
    if (guarded) await this.#tasks.flush();
    const guards = this.#guards;
    try {
      if (block.rescue.length > 0) this.#guards += 1;
      await this.#entries(block.tasks);
      if (guarded) await this.#tasks.flush();
      this.#guards = guards;
    } catch (thrown) {
      this.#guards = guards;
      // Nothing can be rescued on a host that cannot be reached, as in Ansible.
      if (
        !(thrown instanceof TaskFailed) ||
        block.rescue.length === 0 ||
        thrown.error.code === 'INTERRUPTED' ||
        isOutOfReach(thrown.error, this.host.name)
      )
        throw thrown;
      this.#tasks.drop();
      // The host goes on: in the end it has not failed.
      this.#state.counts.failed -= thrown.times;
      this.#state.counts.ignored += thrown.times;
      this.#state.variables.ansible_failed_task = { name: thrown.task.name };
      this.#state.variables.ansible_failed_result = asData({
        ...thrown.result,
        error: thrown.error.toFault(),
      });
      await this.#rescue(block.rescue, thrown);
    } finally {
      if (block.always.length > 0 && !this.context.signal.aborted) {
        this.#tasks.drop();
        await this.#entries(block.always);
        await this.#tasks.flush();
      }
    }
  }

  /** A rescue that cannot even reach the host says nothing new: what failed before it stays the error. */
  async #rescue(entries: readonly Entry[], failed: TaskFailed): Promise<void> {
    const base = this.#base;
    // In a preview nothing was done: there is nothing to put back.
    if (this.context.onIntent !== undefined) this.#base = base.with({ ansible_check_mode: true });
    try {
      await this.#entries(entries);
      await this.#tasks.flush();
    } catch (thrown) {
      throw thrown instanceof TaskFailed && isOutOfReach(thrown.error, this.host.name) ? failed : thrown;
    } finally {
      this.#base = base;
    }
  }

  async #include(include: DynamicInclude): Promise<void> {
    if (include.role !== undefined && this.#endedRoles.has(include.role)) return;
    await this.#tasks.flush();
    const { loop } = include;
    const scope = taskScope(this.context, this.#base, this.host, include);
    if (this.context.mode === 'plan' && mentions(include, this.#state.awaited, scope)) {
      this.context.onIntent?.({ step: 'include', changes: true });
      this.#tasks.report.included(include, 'would-change', 'it depends on what an earlier task will answer');
      return;
    }
    const passes = this.#reading(include, () => {
      if (loop === undefined) return [scope];
      const items = itemsOf(loop, scope);
      return items.map((_, index) => loopScope(loop, scope, items, index));
    });
    for (const pass of passes) {
      if (this.#reading(include, () => firstUnmet(include.when, pass)) !== undefined) continue;
      // A role that ended in an earlier pass begins anew in this one.
      this.#endedRoles.clear();
      const item = loop === undefined ? {} : { [loop.variable]: asData(pass.get(loop.variable)) };
      const entries = this.#reading(include, () => include.load(pass));
      this.#handlerTasks.push(...this.#reading(include, () => include.loadHandlers?.(pass) ?? []));
      await this.#entries(entries.map((entry) => withVars(entry, { ...include.vars, ...item })));
    }
  }

  /** What an include needs before its tasks begin fails as a task does: told, and for a block to rescue. */
  #reading<Result>(include: DynamicInclude, read: () => Result): Result {
    try {
      return read();
    } catch (thrown) {
      const error = asHostError(thrown, this.host.name).within(
        include.where === undefined ? {} : { where: include.where },
      );
      this.#tasks.report.included(include, 'failed', error.message, error);
      throw new TaskFailed(error, include, { changed: false, failed: true, msg: error.message });
    }
  }

  async #task(written: Task): Promise<void> {
    if (this.context.signal.aborted) throw interrupted();
    await this.#mayBegin(written);
    if (written.role !== undefined && this.#endedRoles.has(written.role)) return;
    if (this.context.confirmTask !== undefined && !(await this.#isWanted(written))) return;
    let scope = taskScope(this.context, this.#base, this.host, written);
    if (mentions(written, this.#awaitedBy(written), scope)) {
      if (this.context.mode === 'plan') {
        this.#tasks.inDoubt(written, scope);
        return;
      }
      await this.#tasks.flush();
      scope = taskScope(this.context, this.#base, this.host, written);
    }
    const task = settledTask(written, scope);
    if (task.meta !== undefined) {
      await this.#meta(task, scope);
      return;
    }
    if (!isDeferrable(task)) await this.#tasks.flush();
    if (task.runOnce) await this.#runOnce(written, task, scope);
    else await this.#throttled(written, task, scope);
  }

  /** Waits for the others where a task must; ends here where the play has ended meanwhile. */
  async #mayBegin(task: Task): Promise<void> {
    const ended = (): boolean => this.shared.ended !== false || this.#isStopped();
    if (ended()) throw new HostDone();
    if (!isMeeting(this.play, task) || this.#state.failed !== undefined) return;
    await this.#tasks.flush();
    await this.shared.meeting.gather();
    if (ended()) throw new HostDone();
  }

  /** A host that failed itself has only its forced handlers left, which nothing stops. A plan goes on: it shows all that is wrong. */
  #isStopped(): boolean {
    return this.shared.fatal && this.context.mode === 'apply' && this.#state.failed === undefined;
  }

  /** `--step`: asks a person, once for all hosts, after everything before it has been done. */
  async #isWanted(task: Task): Promise<boolean> {
    if (task.meta !== undefined) return true;
    await this.#tasks.flush();
    const visit = this.#visitOf(task, 'asked');
    const answers = this.shared.wanted.get(task.origin ?? task) ?? [];
    this.shared.wanted.set(task.origin ?? task, answers);
    const scope = taskScope(this.context, this.#base, this.host, task);
    answers[visit] ??= this.context.confirmTask?.(templatedName(task, scope)) ?? Promise.resolve(true);
    return answers[visit];
  }

  /** Which time it is, from 0, that this host comes to a task. */
  #visitOf(task: Task, purpose: 'asked' | 'run'): number {
    const visits = purpose === 'asked' ? this.#questions : this.#visits;
    const visit = visits.get(task.origin ?? task) ?? 0;
    visits.set(task.origin ?? task, visit + 1);
    return visit;
  }

  /** Names of results that are not there yet and that a task may mean: other hosts' too, where it reads those. */
  #awaitedBy(task: Task): ReadonlySet<string> {
    if (this.context.mode === 'apply' || !readsOthers(task)) return this.#state.awaited;
    return new Set([...this.context.knownStates().values()].flatMap(({ awaited }) => [...awaited]));
  }

  async #meta(task: Task, scope: Variables): Promise<void> {
    const unmet = firstUnmet(task.when, scope);
    if (task.meta === 'end_play' || task.meta === 'end_batch') {
      await this.#tasks.flush();
      if (unmet === undefined) this.shared.ended = task.meta === 'end_play' ? 'play' : 'batch';
      // Whoever goes on must know whether another host has ended the play here.
      await this.shared.meeting.gather();
      if (this.shared.ended !== false) throw new HostDone();
      return;
    }
    if (unmet !== undefined) return;
    switch (task.meta) {
      case 'flush_handlers':
        await this.#handlers();
        return;
      case 'end_role':
        if (task.role !== undefined) this.#endedRoles.add(task.role);
        return;
      case 'end_host':
        await this.#tasks.flush();
        throw new HostDone();
      case 'reset_connection':
        await this.#tasks.flush();
        await this.context.sessionOf(this.host.name, task.become).disconnect();
        return;
      case 'clear_facts':
        for (const name of Object.keys(this.#state.variables)) delete this.#state.variables[name];
        return;
      default:
        return;
    }
  }

  async #runOnce(written: Task, task: Task, scope: Variables): Promise<void> {
    const origin = written.origin ?? written;
    const visit = this.#visitOf(written, 'run');
    const all = this.shared.once.get(origin) ?? [];
    this.shared.once.set(origin, all);
    const begun = all[visit];
    if (begun !== undefined) {
      const result = await begun;
      if (result !== undefined) this.#tasks.keep(task, result);
      else if (task.register !== undefined) this.#state.awaited.add(task.register);
      return;
    }
    const running = this.#tasks.run(task, scope).then((result) => (result === pending ? undefined : result));
    all[visit] = running;
    // Whoever waits for it hears of the failure; without a waiter it must not count as unhandled.
    running.catch(() => {});
    await running;
  }

  async #throttled(written: Task, task: Task, scope: Variables): Promise<void> {
    if (task.throttle === undefined || task.throttle < 1) {
      await this.#tasks.run(task, scope);
      return;
    }
    const origin = written.origin ?? written;
    const limit = this.shared.throttles.get(origin) ?? pLimit(task.throttle);
    this.shared.throttles.set(origin, limit);
    await limit(() => this.#tasks.run(task, scope));
  }

  #notify(task: Task): void {
    for (const name of task.notify) {
      for (const handler of this.#handlerTasks) {
        if (handler.name === name || handler.listen.includes(name)) this.#notified.add(handler);
      }
    }
  }
}
