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
import type { Block, DynamicInclude, Entry, Play, RoleRun, RoleVariables, Task } from './play.ts';
import type { BatchShared, HostState, RunContext } from './run-context.ts';
import { becoming, playScope, playVariables, settledTask, taskScope } from './scope.ts';
import { interrupted } from './wait.ts';

/** One host's way through one batch of one play. */
export class HostRun {
  readonly #variables: Readonly<Record<string, unknown>>;
  /** The play's variables here, as they were with these facts. */
  #latest: { readonly facts: HostState['facts']; readonly scope: Variables } | undefined;
  /** Of roles that were included for all that follows. */
  #published: RoleVariables = { vars: {}, defaults: {} };
  /** `meta: end_host`. */
  #isDone = false;
  /** In an `always`. */
  #isCleaning = false;
  /** In the rescue of a preview nothing is done. */
  #isIdle = false;
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
    this.#variables = playVariables(context, play, batch);
    this.#state = context.stateOf(host.name);
    this.#tasks = new HostTasks(context, play, host, {
      scopeOf: (task) => this.#scopeOf(task),
      isGuarded: () => this.#guards > 0,
      onChanged: (task, scope) => this.#notify(task, scope),
    });
  }

  #scopeOf(task: Task | DynamicInclude): Variables {
    const { facts } = this.#state;
    if (this.#latest?.facts !== facts)
      this.#latest = { facts, scope: playScope(this.context, this.play, this.host, this.#variables) };
    const { vars, defaults } = this.#published;
    const base = this.#latest.scope.with(this.#isIdle ? { ...vars, ansible_check_mode: true } : vars);
    return taskScope(this.context, base, { ...this.play.defaults, ...defaults }, this.host, task);
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
    // Handlers may notify handlers, earlier ones too; each pass is one more that may, so that none goes on for ever.
    for (let passes = 0; this.#notified.size > 0 && passes <= this.#handlerTasks.length; passes += 1) {
      for (const handler of this.#handlerTasks) {
        if (!this.#notified.delete(handler)) continue;
        await this.#task(handler);
        if (handler.notify.length > 0) await this.#tasks.flush();
      }
      await this.#tasks.flush();
    }
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
      if (thrown instanceof TaskFailed) this.#remember(thrown);
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
      await this.#rescue(block.rescue, thrown);
    } finally {
      if (block.always.length > 0 && !this.context.signal.aborted && !this.#hasEnded()) {
        this.#tasks.drop();
        await this.#always(block.always);
      }
    }
  }

  /** Whether `meta` has ended the play, for which no `always` runs. */
  #hasEnded(): boolean {
    return this.#isDone || this.shared.ended !== false;
  }

  /** The failure of another host stops nobody in the middle of an `always`, nor keeps it from beginning. */
  async #always(entries: readonly Entry[]): Promise<void> {
    const wasCleaning = this.#isCleaning;
    this.#isCleaning = true;
    try {
      await this.#entries(entries);
      await this.#tasks.flush();
    } finally {
      this.#isCleaning = wasCleaning;
    }
  }

  /** What failed, for a rescue or an always to ask. */
  #remember({ task, result, error }: TaskFailed): void {
    this.#state.variables.ansible_failed_task = { name: task.name };
    this.#state.variables.ansible_failed_result = asData({ ...result, error: error.toFault() });
  }

  /** A rescue that cannot even reach the host says nothing new: what failed before it stays the error. */
  async #rescue(entries: readonly Entry[], failed: TaskFailed): Promise<void> {
    const wasIdle = this.#isIdle;
    // In a preview nothing was done: there is nothing to put back.
    this.#isIdle = this.context.onIntent !== undefined;
    try {
      await this.#entries(entries);
      await this.#tasks.flush();
    } catch (thrown) {
      if (thrown instanceof TaskFailed) this.#remember(thrown);
      throw thrown instanceof TaskFailed && isOutOfReach(thrown.error, this.host.name) ? failed : thrown;
    } finally {
      this.#isIdle = wasIdle;
    }
  }

  async #include(include: DynamicInclude): Promise<void> {
    if (include.role !== undefined && this.#endedRoles.has(include.role)) return;
    await this.#tasks.flush();
    const { loop } = include;
    const scope = this.#scopeOf(include);
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
      this.#publish(this.#reading(include, () => include.published?.(pass)));
      this.#handlerTasks.push(...this.#reading(include, () => include.loadHandlers?.(pass) ?? []));
      await this.#entries(entries.map((entry) => withVars(entry, { ...include.vars, ...item })));
    }
  }

  #publish(role: RoleVariables | undefined): void {
    if (role === undefined) return;
    const { vars, defaults } = this.#published;
    this.#published = { vars: { ...vars, ...role.vars }, defaults: { ...defaults, ...role.defaults } };
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
    let scope = this.#scopeOf(written);
    if (mentions(written, this.#awaitedBy(written), scope)) {
      if (this.context.mode === 'plan') {
        this.#tasks.inDoubt(written, scope);
        return;
      }
      await this.#tasks.flush();
      scope = this.#scopeOf(written);
    }
    const task = becoming(settledTask(written, scope), scope, this.host);
    if (task.meta !== undefined) {
      await this.#meta(task, scope);
      return;
    }
    if (!isDeferrable(task)) await this.#tasks.flush();
    if (task.runOnce) await this.#runOnce(written, task, scope);
    else await this.#throttled(written, task, scope);
    // In such a play they have met already, and will again.
    if (task.anyErrorsFatal === true && !this.play.anyErrorsFatal) await this.#meetBehind();
  }

  /** A failure of another host in the task just done may end the play for all. */
  async #meetBehind(): Promise<void> {
    await this.#tasks.flush();
    await this.shared.meeting.gather();
    if (this.#isOver()) throw new HostDone();
  }

  /** Waits for the others where a task must; ends here where the play has ended meanwhile. */
  async #mayBegin(task: Task): Promise<void> {
    if (this.#isOver()) throw new HostDone();
    if (!isMeeting(this.play, task) || this.#state.failed !== undefined) return;
    await this.#tasks.flush();
    await this.shared.meeting.gather();
    if (this.#isOver()) throw new HostDone();
  }

  #isOver(): boolean {
    return this.shared.ended !== false || this.#isStopped();
  }

  /** A host that failed itself has only its forced handlers left, which nothing stops. A plan goes on: it shows all that is wrong. */
  #isStopped(): boolean {
    return (
      this.shared.fatal &&
      this.context.mode === 'apply' &&
      this.#state.failed === undefined &&
      !this.#isCleaning
    );
  }

  /** `--step`: asks a person, once for all hosts, after everything before it has been done. */
  async #isWanted(task: Task): Promise<boolean> {
    if (task.meta !== undefined) return true;
    await this.#tasks.flush();
    const visit = this.#visitOf(task, 'asked');
    const answers = this.shared.wanted.get(task.origin ?? task) ?? [];
    this.shared.wanted.set(task.origin ?? task, answers);
    const scope = this.#scopeOf(task);
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
        this.#isDone = true;
        throw new HostDone();
      case 'reset_connection':
        await this.#tasks.flush();
        await this.context.sessionOf(this.host.name, task.become).disconnect();
        return;
      case 'clear_facts':
        this.#state.facts = {};
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
    await this.shared.meeting.turn(this.host.name, () => all[visit] !== undefined);
    if (this.#isOver()) throw new HostDone();
    const begun = all[visit];
    if (begun !== undefined) {
      const result = await begun.catch((thrown) => {
        throw thrown instanceof TaskFailed ? thrown.elsewhere() : thrown;
      });
      if (result !== undefined) this.#tasks.keep(task, result, scope);
      else if (task.register !== undefined) this.#state.awaited.add(task.register);
      return;
    }
    const running = this.#tasks.run(task, scope).then((result) => (result === pending ? undefined : result));
    all[visit] = running;
    this.shared.meeting.begun();
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

  #notify(task: Task, scope: Variables): void {
    for (const written of task.notify) {
      const name = written.includes('{{') ? String(scope.template(written, task.where)) : written;
      for (const handler of this.#handlerTasks) {
        if (handler.listen.includes(name) || this.#nameOf(handler) === name) this.#notified.add(handler);
      }
    }
  }

  #nameOf(handler: Task): string {
    return handler.name.includes('{') ? templatedName(handler, this.#scopeOf(handler)) : handler.name;
  }
}
