import { FleetError } from '../core/errors.ts';
import type { Host, Variables } from '../inventory/fleet.ts';
import { asData } from './as-data.ts';
import { Changes, type PendingChange, type Performed } from './changes.ts';
import { firstUnmet, type Prepared, prepare, templatedName } from './decide.ts';
import { type AnyChange, Deciding } from './deciding.ts';
import { asHostError, isOutOfReach } from './host-error.ts';
import { failedByCondition, inVain, isInVain, judged, wantsAnother } from './judge.ts';
import { itemsOf, loopScope } from './loop.ts';
import { emptyLoop, itemResult, loopResult, notMet, skippedLoop } from './loop-result.ts';
import type { Loop, Play, Task } from './play.ts';
import type { HostState, RunContext, TaskResult } from './run-context.ts';
import { type Ending, hiddenText, TaskReport, type Told } from './task-report.ts';
import { interrupted, pause } from './wait.ts';

/** Thrown through the tasks of a host once one of them failed for good; it has been told already. */
export class TaskFailed extends Error {
  constructor(
    readonly error: FleetError,
    readonly task: Pick<Task, 'name' | 'anyErrorsFatal'>,
    readonly result: TaskResult,
    /** How many items of its loop failed; one for a task without a loop. */
    readonly times = 1,
  ) {
    super(error.message);
  }

  /** For a host that shares the failure of another (`run_once`): nothing of its own failed. */
  elsewhere(): TaskFailed {
    return new TaskFailed(this.error, this.task, this.result, 0);
  }
}

/** Ends the play for a host without failing it (`meta: end_host`, `end_play`). */
export class HostDone extends Error {}

/** Its result is not there yet: the change waits for its neighbours or, in a plan, never happens. */
export const pending = Symbol('pending');
const again = Symbol('again');

/** What the tasks of a host need to know of the way that it goes through its play. */
export interface Surroundings {
  /** The variables of a task where the host is now. */
  readonly scopeOf: (task: Task) => Variables;
  /** Whether a failure here is rescued. */
  readonly isGuarded: () => boolean;
  /** Told of every task that changed something, or would, and its variables: handlers wait for it. */
  readonly onChanged: (task: Task, scope: Variables) => void;
}

/** The tasks of one host: each is decided, gathered with its neighbours, performed, judged, told and registered. */
export class HostTasks {
  readonly report: TaskReport;
  readonly #state: HostState;
  readonly #deciding: Deciding;
  readonly #changes: Changes;
  /** Tells apart the times that the same task runs. */
  #number = 0;
  /** Where the result of a loop's item belongs, by the scope that the item is worked on in. */
  readonly #places = new WeakMap<Variables, { readonly pass: LoopPass; readonly index: number }>();

  constructor(
    private readonly context: RunContext,
    private readonly play: Play,
    private readonly host: Host,
    private readonly around: Surroundings,
  ) {
    this.#state = context.stateOf(host.name);
    this.report = new TaskReport(context, play, host.name, this.#state);
    this.#deciding = new Deciding(context, host);
    this.#changes = new Changes(context, host, this.#deciding, this.report);
  }

  /** What is pending is never sent: the host has failed before it. */
  drop(): void {
    this.#changes.drop();
  }

  /** In a plan: what an earlier change will answer decides about this task. */
  inDoubt(task: Task, scope: Variables): void {
    const told = { task, name: templatedName(task, scope) };
    this.#mayChange(told, scope, 'it depends on what an earlier task will answer', {});
    if (task.register !== undefined) this.#state.awaited.add(task.register);
    if (task.step.name === 'set_fact') {
      for (const name of Object.keys(task.args ?? {})) this.#state.awaited.add(name);
    }
  }

  /** In a plan: nobody knows yet what a task will find. It counts as a change, unless its step never makes one. */
  #mayChange(told: Told, scope: Variables, because: string, ending: Ending): void {
    const { task } = told;
    const changes = task.step.readsOnly !== true;
    this.context.onIntent?.({ step: task.step.name, changes });
    this.report.finished(told, changes ? 'would-change' : 'unchanged', because, {
      ...ending,
      knownAfterApply: true,
    });
    if (changes) this.around.onChanged(task, scope);
  }

  /** Works a task off and registers its result; in a plan that may not be there yet. */
  async run(task: Task, scope: Variables): Promise<TaskResult | typeof pending> {
    this.#number += 1;
    if (task.loop === undefined) {
      const result = await this.#one(task, scope, undefined);
      return result === pending ? pending : this.keep(task, result, scope);
    }
    const result = await this.#loop(task, task.loop, scope);
    return task.register !== undefined && this.#state.awaited.has(task.register) ? pending : result;
  }

  async #loop(task: Task, loop: NonNullable<Task['loop']>, scope: Variables): Promise<TaskResult> {
    let items: readonly unknown[];
    try {
      const unmet = mentionsLoop(task) ? undefined : firstUnmet(task.when, scope);
      if (unmet !== undefined) {
        this.report.finished({ task, name: templatedName(task, scope) }, 'skipped', `not so: ${unmet}`);
        return this.keep(task, skippedLoop(loop, scope), scope);
      }
      items = itemsOf(loop, scope);
      if (items.length === 0) {
        this.report.finished({ task, name: templatedName(task, scope) }, 'skipped', emptyLoop.skipped_reason);
        return this.keep(task, emptyLoop, scope);
      }
    } catch (thrown) {
      await this.flush();
      return this.#failed({ task, name: task.name }, asHostError(thrown, this.host.name), {}, Date.now());
    }
    const pass: LoopPass = { task, loop, scope, results: [], failures: [], isOpen: true };
    let latest = scope;
    for (const [index, item] of items.entries()) {
      if (index > 0 && loop.pauseMs > 0 && this.context.mode === 'apply') {
        await this.flush();
        await pause(loop.pauseMs, this.context.signal);
      }
      const inner = loopScope(loop, latest, items, index);
      this.#places.set(inner, { pass, index });
      try {
        const result = await this.#one(task, inner, item);
        if (result === pending) continue;
        pass.results[index] = itemResult(loop, index, item, result);
        // What one item sets as a fact the next one sees: lists are gathered so.
        if (this.#takeFacts(task, result, inner)) latest = this.around.scopeOf(task);
      } catch (thrown) {
        this.#itemFailed(pass, index, item, thrown);
      }
    }
    // Once one item has failed nothing of this loop waits for what comes after it.
    if (pass.failures.length > 0) await this.flush();
    pass.isOpen = false;
    this.#throwIfFailed(pass);
    return this.keep(task, loopResult(pass.results), scope);
  }

  /** The other items of a loop are worked on all the same, as in Ansible; the loop fails in the end. @throws what ends the host */
  #itemFailed(pass: LoopPass, index: number, item: unknown, thrown: unknown): void {
    const isOfTheItem =
      thrown instanceof TaskFailed &&
      thrown.task === pass.task &&
      thrown.error.code !== 'INTERRUPTED' &&
      !isOutOfReach(thrown.error, this.host.name);
    if (!isOfTheItem) throw thrown;
    pass.failures.push(thrown);
    pass.results[index] = itemResult(pass.loop, index, item, thrown.result);
  }

  #throwIfFailed(pass: LoopPass): void {
    const [first] = pass.failures;
    if (first === undefined) return;
    const result = this.keep(pass.task, loopResult(pass.results), pass.scope);
    throw new TaskFailed(first.error, pass.task, result, pass.failures.length);
  }

  /** Registers a result, and takes the facts that a step sets (`set_fact`, `setup`) into the host's variables. */
  keep(task: Task, result: TaskResult, scope: Variables): TaskResult {
    if (task.register !== undefined && !this.#state.awaited.has(task.register))
      this.#state.variables[task.register] = asData(result);
    this.#takeFacts(task, result, scope);
    return result;
  }

  #takeFacts(
    task: Task,
    { ansible_facts: facts, _ansible_facts_cacheable: isCacheable }: TaskResult,
    scope: Variables,
  ): boolean {
    if (facts === null || typeof facts !== 'object') return false;
    const state =
      task.delegateFacts === true && task.delegateTo !== undefined
        ? this.context.stateOf(String(scope.template(task.delegateTo, task.where)))
        : this.#state;
    // The values of a file of variables are templates until they are used; all else was answered or templated.
    if (task.step.name === 'include_vars') Object.assign(state.included, facts);
    else if (task.step.name === 'set_fact') Object.assign(state.variables, asData(facts));
    else state.facts = { ...state.facts, ...asData(facts) };
    if (isCacheable === true) {
      const known = state.facts.ansible_facts as object | undefined;
      state.facts = { ...state.facts, ...asData(facts), ansible_facts: { ...known, ...asData(facts) } };
    }
    return true;
  }

  /** One task, or one item of its loop, until `until` is content. */
  async #one(task: Task, scope: Variables, item: unknown): Promise<TaskResult | typeof pending> {
    const startedAt = Date.now();
    for (let attempt = 1; ; attempt += 1) {
      const result = await this.#attempt(task, scope, item, startedAt, attempt);
      if (result !== again) {
        if (result === pending && task.register !== undefined) this.#state.awaited.add(task.register);
        return result;
      }
      if (this.context.onIntent !== undefined) {
        this.context.onIntent({ step: task.step.name, changes: false });
        return pending;
      }
      await pause(task.until?.delayMs ?? 0, this.context.signal);
    }
  }

  async #attempt(
    task: Task,
    scope: Variables,
    item: unknown,
    startedAt: number,
    attempt: number,
  ): Promise<TaskResult | typeof pending | typeof again> {
    let told: Told = { task, name: task.name };
    try {
      const label = task.loop === undefined ? undefined : labelOf(task, scope, item);
      told = { task, name: templatedName(task, scope), ...(label === undefined ? {} : { item: label }) };
      const unmet = firstUnmet(task.when, scope);
      if (unmet !== undefined) {
        this.report.finished(told, 'skipped', `not so: ${unmet}`, { startedAt });
        return notMet;
      }
      const prepared = prepare(task, this.host, this.context, scope, label);
      const hasWaited = attempt > 1 || (task.loop?.pauseMs ?? 0) > 0;
      if (hasWaited && this.context.mode === 'apply') this.#deciding.forgetSeen(prepared);
      if (this.context.mode === 'plan' && this.#deciding.isUnforeseeable(prepared)) {
        this.#mayChange(prepared, scope, 'it depends on what is only known after an earlier change', {
          startedAt,
        });
        if (task.step.readsOnly !== true) this.#deciding.foresee(prepared, undefined);
        return pending;
      }
      return await this.#decided(prepared, startedAt, attempt);
    } catch (thrown) {
      if (thrown instanceof TaskFailed || thrown instanceof HostDone) throw thrown;
      await this.flush();
      return this.#failed(told, asHostError(thrown, this.host.name), {}, startedAt);
    }
  }

  async #decided(
    prepared: Prepared,
    startedAt: number,
    attempt: number,
  ): Promise<TaskResult | typeof pending | typeof again> {
    const { task } = prepared;
    if (this.#changes.isTouching(this.#deciding.placesOf(prepared).map(({ fact }) => fact.key)))
      await this.flush();
    const plan = await this.#deciding.decide(prepared);
    switch (plan.verdict) {
      case 'refuse': {
        // What comes before it in the playbook is done before it fails, and may itself be what fails.
        await this.flush();
        const error = new FleetError({
          code: plan.code ?? 'REFUSED',
          message: plan.because,
          fix: plan.fix,
          ...plan.origin,
        });
        return this.#failed(prepared, error, { ...plan.details }, startedAt);
      }
      case 'unchanged':
        if (plan.warning !== undefined) this.report.warning(prepared, plan.warning);
        // A fact is set, and something said, when all before it has succeeded, not while it waits to be sent.
        if (plan.result?.ansible_facts !== undefined || task.step.name === 'debug') await this.flush();
        return this.#settled(prepared, { changed: false, ...plan.result }, plan.because, startedAt, attempt);
      case 'change': {
        if (plan.warning !== undefined) this.report.warning(prepared, plan.warning);
        if (
          this.context.mode === 'plan' &&
          (task.checkMode !== false || this.context.onIntent !== undefined)
        ) {
          this.#announce(prepared, plan, startedAt);
          return pending;
        }
        if (task.checkMode === true) {
          await this.flush();
          return this.#onlySaid(prepared, plan, startedAt);
        }
        if (!this.#changes.goesWith(prepared)) await this.flush();
        const change: PendingChange = { prepared, plan, identity: this.#identityOf(prepared), startedAt };
        if (isDeferrable(task)) {
          this.#changes.add(change);
          return pending;
        }
        const [performed] = await this.#changes.perform([change]);
        return this.#concluded(change, performed, attempt);
      }
    }
  }

  /** `check_mode: true`: what would be done is said, and not done. What nobody can foresee is skipped, as in Ansible. */
  #onlySaid(prepared: Prepared, plan: AnyChange, startedAt: number): TaskResult {
    const { task, scope } = prepared;
    if (plan.imperative === true) {
      this.report.finished(prepared, 'skipped', 'check_mode holds, and only doing it would tell', {
        startedAt,
      });
      return { changed: false, skipped: true, msg: 'Command would have run if not in check mode' };
    }
    const result = judged(task, scope, { changed: plan.changesNothing !== true });
    const changes = result.changed === true;
    this.report.finished(prepared, changes ? 'would-change' : 'unchanged', plan.because, { plan, startedAt });
    if (changes) this.around.onChanged(task, scope);
    return result;
  }

  #identityOf({ name, item }: Prepared): string {
    return [this.context.runId, this.play.name, this.host.name, this.#number, name, item ?? ''].join('\0');
  }

  /** Sends what is pending, and tells and registers how each of it ended. */
  async flush(): Promise<void> {
    let changes = this.#changes.take();
    const passes = new Set<LoopPass>();
    while (changes.length > 0) {
      if (this.context.signal.aborted) throw interrupted();
      changes = this.#performed(changes, await this.#changes.perform(changes), passes);
    }
    for (const pass of passes) {
      if (pass.isOpen) continue;
      this.#throwIfFailed(pass);
      // Beside the items that changed nothing: their results are there since they were decided.
      this.keep(pass.task, loopResult(pass.results), pass.scope);
    }
  }

  /** Tells and registers how changes ended. Gives what is still to be done: the items of a loop behind one that failed. */
  #performed(
    changes: readonly PendingChange[],
    performed: readonly Performed[],
    passes: Set<LoopPass>,
  ): readonly PendingChange[] {
    for (const [index, change] of changes.entries()) {
      const outcome = performed[index];
      if (outcome === undefined) return [];
      const { task, scope } = change.prepared;
      const place = this.#places.get(scope);
      try {
        const result = this.#concluded(change, outcome, 1);
        if (typeof result === 'symbol') continue;
        if (task.register !== undefined) this.#state.awaited.delete(task.register);
        if (place === undefined) {
          this.keep(task, result, scope);
          continue;
        }
        const { pass, index: at } = place;
        pass.results[at] = itemResult(pass.loop, at, scope.get(pass.loop.variable), result);
        passes.add(pass);
      } catch (thrown) {
        if (place === undefined) throw thrown;
        const { pass } = place;
        if (task.register !== undefined) this.#state.awaited.delete(task.register);
        this.#itemFailed(pass, place.index, scope.get(pass.loop.variable), thrown);
        passes.add(pass);
        return changes
          .slice(index + 1)
          .filter((other) => this.#places.get(other.prepared.scope)?.pass === pass);
      }
    }
    return [];
  }

  #concluded(change: PendingChange, performed: Performed, attempt: number): TaskResult | typeof again {
    const { prepared, plan, startedAt } = change;
    const result = { changed: plan.changesNothing !== true, ...plan.result?.(performed?.answers ?? []) };
    const error = performed?.error;
    if (
      error !== undefined &&
      wantsAnother(prepared.task, prepared.scope, { ...result, failed: true }, attempt)
    )
      return again;
    // What a command's exit status means is for failed_when to say, where there is one.
    const isJudged = prepared.task.failedWhen !== undefined && error?.code === 'COMMAND_FAILED';
    if (error !== undefined && !isJudged) {
      const tried = prepared.task.until === undefined ? {} : { attempts: attemptsOf(prepared.task, attempt) };
      return this.#failed(prepared, error, { ...result, ...tried }, startedAt, plan);
    }
    return this.#settled(prepared, result, plan.because, startedAt, attempt, plan);
  }

  /** Judges a result by the task's own conditions and tells it. */
  #settled(
    prepared: Prepared,
    result: TaskResult,
    because: string,
    startedAt: number,
    attempt: number,
    plan?: AnyChange,
  ): TaskResult | typeof again {
    const { task, scope } = prepared;
    let judgement: TaskResult;
    let wasInVain: boolean;
    try {
      judgement = judged(task, scope, task.until === undefined ? result : { ...result, attempts: attempt });
      if (wantsAnother(task, scope, judgement, attempt)) return again;
      wasInVain = isInVain(task, scope, judgement);
    } catch (thrown) {
      return this.#failed(prepared, asHostError(thrown, this.host.name), result, startedAt, plan);
    }
    if (wasInVain) {
      const tried = { ...judgement, failed: true, attempts: attemptsOf(task, attempt) };
      return this.#failed(prepared, inVain(task, attempt), tried, startedAt, plan);
    }
    if (judgement.failed === true)
      return this.#failed(prepared, failedByCondition(judgement), judgement, startedAt, plan);
    const changed = judgement.changed === true;
    if (changed) this.around.onChanged(task, scope);
    if (task.step.name === 'debug' && judgement.msg !== undefined)
      this.report.message(prepared, textOf(judgement.msg));
    this.report.finished(prepared, changed ? 'changed' : 'unchanged', because, {
      startedAt,
      ...(plan === undefined ? {} : { plan }),
      ...(typeof judgement.stdout === 'string' && judgement.stdout !== ''
        ? { output: shortened(judgement.stdout) }
        : {}),
    });
    return judgement;
  }

  #failed(
    told: Told,
    error: FleetError,
    result: TaskResult,
    startedAt: number,
    plan?: AnyChange,
  ): TaskResult {
    const { task } = told;
    const placed = shownError(task, error).within({
      host: this.host.name,
      step: task.step.name,
      ...(task.where === undefined ? {} : { where: task.where }),
    });
    const failed = { failed: true, msg: error.message, ...result, changed: result.changed ?? false };
    const isLost = isOutOfReach(placed, this.host.name);
    const ignored = isLost
      ? task.ignoreUnreachable === true
      : task.ignoreErrors && error.code !== 'INTERRUPTED';
    this.report.finished(told, ignored ? 'failed-ignored' : 'failed', placed.message, {
      error: placed,
      startedAt,
      ...(plan === undefined ? {} : { plan }),
      ...(this.around.isGuarded() && !ignored && !isLost ? { rescued: true } : {}),
    });
    if (ignored) return isLost ? { changed: false, unreachable: true, msg: error.message } : failed;
    // A rescue may ask what it was.
    if (task.register !== undefined && task.loop === undefined) {
      this.#state.awaited.delete(task.register);
      this.#state.variables[task.register] = asData(failed);
    }
    throw new TaskFailed(placed, task, failed);
  }

  /** In a plan: says what would be done, and lets later steps see what it would leave. */
  #announce(prepared: Prepared, plan: AnyChange, startedAt: number): void {
    const { task } = prepared;
    const changes =
      plan.changesNothing !== true &&
      task.changedWhen?.some(({ expression }) => expression === false) !== true;
    this.context.onIntent?.({ step: task.step.name, changes });
    this.report.finished(prepared, changes ? 'would-change' : 'unchanged', plan.because, {
      plan,
      startedAt,
    });
    if (changes) this.around.onChanged(task, prepared.scope);
    this.#deciding.foresee(prepared, plan);
  }
}

/** One time through a loop. */
interface LoopPass {
  readonly task: Task;
  readonly loop: Loop;
  /** What it began with. */
  readonly scope: Variables;
  /** By the place of the item; those that are not there yet are missing. */
  readonly results: TaskResult[];
  readonly failures: TaskFailed[];
  /** Whether items are still to come. */
  isOpen: boolean;
}

/** As Ansible counts: an attempt that was one too many is none. */
function attemptsOf(task: Task, attempt: number): number {
  return Math.min(attempt, Math.max(1, task.until?.retries ?? attempt));
}

/** An error as it may be told: what a command printed is among what `no_log` hides. */
function shownError(task: Task, error: FleetError): FleetError {
  return task.noLog ? new FleetError({ ...error.toFault(), message: hiddenText }) : error;
}

/** How many characters of a command's output an event carries; the registered result has all of them. */
const shownOutput = 16_000;

function shortened(output: string): string {
  const more = output.length - shownOutput;
  return more <= 0 ? output : `${output.slice(0, shownOutput)}\n[${more} more characters are not shown]`;
}

/** A task that can wait for its neighbours: nothing about it is judged by its own result or done elsewhere. */
export function isDeferrable(task: Task): boolean {
  return (
    task.until === undefined &&
    task.failedWhen === undefined &&
    (task.changedWhen ?? []).every(({ expression }) => typeof expression === 'boolean') &&
    !task.ignoreErrors &&
    task.ignoreUnreachable !== true &&
    !task.runOnce &&
    task.throttle === undefined &&
    task.delegateTo === undefined &&
    task.checkMode !== false
  );
}

/** Whether a loop's condition needs the item, so that it must be asked for each. */
function mentionsLoop(task: Task): boolean {
  const names = [task.loop?.variable, task.loop?.indexVariable, 'ansible_loop'].filter(
    (name) => name !== undefined,
  );
  return task.when.some(({ expression }) => names.some((name) => String(expression).includes(name)));
}

function labelOf(task: Task, scope: Variables, item: unknown): string {
  const label = task.loop?.label;
  return textOf(label === undefined ? item : scope.template(label, task.where)).slice(0, 120);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
}
