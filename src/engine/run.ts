import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { FleetError } from '../core/errors.ts';
import type { Redactor, Secret } from '../core/secret.ts';
import type { Fleet, Host } from '../inventory/fleet.ts';
import { runBatch } from './batch-run.ts';
import { batchesOf, endsTheRun } from './batches.ts';
import { ControlAnswers } from './control-answers.ts';
import type { CheckArgs } from './decide.ts';
import type { EmitEvent, Event, StampedEvent } from './event.ts';
import type { Epoch } from './fact-store.ts';
import type { HostSession } from './host-session.ts';
import { Locks } from './lock.ts';
import { lookAhead } from './look-ahead.ts';
import { mayChange } from './may-change.ts';
import type { Play } from './play.ts';
import { type Foreseen, Rolling } from './rolling.ts';
import { type HostState, newHostState, type RunContext } from './run-context.ts';
import { type OpenConnection, Sessions } from './sessions.ts';
import { removeFinishedJobs, unfinishedJobs, waitForUnfinishedJobs } from './unfinished-jobs.ts';
import { waitUntilHolds } from './wait.ts';
import type { WaveSource } from './waves.ts';

/** Hosts worked on at the same time unless `--forks` says otherwise. Connections have a limit of their own (ssh/). */
const defaultForks = 100;

export interface RunOptions {
  /** The fleet command, for the journal: `up`. */
  readonly command: string;
  readonly fleet: Fleet;
  readonly plays: readonly Play[];
  /** Opens connections and says as whom tasks run. */
  readonly open: OpenConnection;
  readonly checkArgs: CheckArgs;
  readonly emit: (event: StampedEvent) => void;
  readonly redactor: Redactor;
  /** Fires once for Ctrl-C: what runs is finished, nothing new is begun. */
  readonly signal: AbortSignal;
  readonly forks?: number;
  readonly extraVars?: Readonly<Record<string, unknown>>;
  /** Whose lock stands for the whole cluster: the first of these that answers is locked before any other host. */
  readonly lockFirst?: readonly string[];
  /** Opens vault text that a step comes upon on the control node. */
  readonly decrypt?: (ciphertext: string) => Secret;
  /** Says who is next in plays with `strategy: rolling`. */
  readonly waves?: WaveSource;
  /** Hosts that the run goes on without where they cannot be reached: said, and no failure. */
  readonly mayBeDown?: readonly string[];
  /** `--step`: asked before each task, once for all hosts. */
  readonly confirmTask?: (name: string) => Promise<boolean>;
  /** Asks whether a rollout that pauses goes on; left out where nobody can be asked. */
  readonly confirmPause?: (question: string) => Promise<boolean>;
}

export type RunStatus = 'unchanged' | 'changed' | 'would-change' | 'failed' | 'interrupted';

export interface RunResult {
  readonly status: RunStatus;
  readonly changed: number;
  readonly failed: ReadonlyMap<string, FleetError>;
}

/** One run over a fleet: looked at once, planned as often as wanted, applied, closed. */
export interface Run {
  readonly id: string;
  /** Decides everything and changes nothing. */
  plan(): Promise<RunResult>;
  /** Does it. Uses what `plan` saw when that is fresh. */
  apply(): Promise<RunResult>;
  close(): Promise<void>;
}

/** What was seen longer ago than this, while a person read the plan, is looked at again before acting. */
const freshForMs = 30_000;

/** Sortable by time and unlikely to be given twice: `20261120-203700-1f3a`. */
export function newRunId(now = new Date()): string {
  const digits = now.toISOString().replaceAll(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return `${digits}-${randomBytes(2).toString('hex')}`;
}

/** Begins a run. Nothing is connected to before `plan` or `apply`. */
export function openRun(options: RunOptions): Run {
  return new FleetRun(options);
}

class FleetRun implements Run {
  readonly id = newRunId();
  readonly #options: RunOptions;
  readonly #epoch: Epoch = { count: 0 };
  readonly #sessions: Sessions;
  readonly #control = new ControlAnswers();
  readonly #locks: Locks;
  readonly #emit: EmitEvent;
  #sequence = 0;
  readonly #running = new Set<string>();
  #lookedAt: number | undefined;
  /** When the hosts were looked at, whatever was done since. */
  #askedAt = 0;
  /** Why hosts could not be connected to when they were looked at. */
  readonly #unreached = new Map<string, unknown>();
  /** Whom the last look asked whether an earlier run is still at work. */
  #looked: readonly HostSession[] = [];
  /** What was foreseen of plays to come; nothing of it counts once anything was done on any host. */
  readonly #foreseen = new Map<Play, Foreseen>();

  constructor(options: RunOptions) {
    this.#options = options;
    // Every host at work listens to it; ten are not many.
    setMaxListeners(0, options.signal);
    this.#locks = new Locks(this.id);
    this.#emit = (event: Event) => {
      this.#sequence += 1;
      const stamped = { at: new Date().toISOString(), sequence: this.#sequence, ...event };
      options.emit(options.redactor.maskDeep(stamped) as StampedEvent);
    };
    options.signal.addEventListener(
      'abort',
      () => this.#emit({ kind: 'interrupted', running: [...this.#running] }),
      {
        once: true,
      },
    );
    this.#sessions = new Sessions(options.open, this.#epoch, this.#emit);
  }

  plan(): Promise<RunResult> {
    return this.#go('plan');
  }

  apply(): Promise<RunResult> {
    return this.#go('apply');
  }

  async #go(mode: 'plan' | 'apply'): Promise<RunResult> {
    const startedAt = Date.now();
    const states = new Map<string, HostState>();
    const context = this.#context(mode, states);
    const hosts = new Map(this.#options.plays.flatMap((play) => play.hosts.map((host) => [host.name, host])));
    for (const name of hosts.keys()) context.stateOf(name);
    this.#emit({
      kind: 'run-started',
      run: this.id,
      command: this.#options.command,
      mode,
      sources: [...this.#options.fleet.sources],
      hosts: hosts.size,
    });
    try {
      await this.#look(context, [...hosts.values()], mode);
      await this.#plays(context);
    } catch (thrown) {
      const error =
        thrown instanceof FleetError
          ? thrown
          : new FleetError({
              code: 'INTERNAL',
              message: thrown instanceof Error ? thrown.message : String(thrown),
              blame: 'fleet',
            });
      this.#emit({ kind: 'run-failed', error: error.toFault() });
      states.set('', { ...newHostState(), failed: error });
    } finally {
      if (mode === 'plan') this.#sessions.endForesight();
      else await this.#locks.release();
    }
    return this.#finish(states, mode, startedAt);
  }

  /**
   * Before the first play that may change anything, the rolling ones are asked whether they will be refused. In a plan
   * each has its say at its turn: until then nothing is done.
   */
  async #plays(context: RunContext): Promise<void> {
    const { plays } = this.#options;
    let isAsked = context.mode === 'plan';
    for (const [index, play] of plays.entries()) {
      if (!isAsked && play.strategy !== 'rolling' && mayChange(play)) {
        isAsked = true;
        for (const later of plays.slice(index + 1)) await this.#foresee(context, later);
      }
      if (!(await this.#play(context, play))) return;
    }
  }

  async #foresee(context: RunContext, play: Play): Promise<void> {
    if (play.strategy !== 'rolling' || play.hosts.length === 0 || this.#options.signal.aborted) return;
    const foreseen = await this.#rolling(context, play).foresee();
    this.#foreseen.set(play, foreseen);
  }

  #rolling(context: RunContext, play: Play): Rolling {
    const source = this.#options.waves ?? noWaves(play);
    const forks = this.#options.forks ?? defaultForks;
    return new Rolling(context, play, source, this.#sessions, forks, this.#askedAt, this.#foreseen.get(play));
  }

  #finish(states: ReadonlyMap<string, HostState>, mode: 'plan' | 'apply', startedAt: number): RunResult {
    const failed = new Map(
      [...states].flatMap(([host, state]) =>
        state.failed === undefined || this.#isLeftOut(host) ? [] : [[host, state.failed] as const],
      ),
    );
    const changed = [...states.values()].reduce((sum, { counts }) => sum + counts.changed, 0);
    const status = this.#statusOf(failed, changed, mode);
    this.#emit({
      kind: 'run-finished',
      status,
      hosts: Object.fromEntries(
        [...states]
          .filter(([host]) => host !== '')
          .map(([host, { counts }]) => [host, { ...counts, roundTrips: this.#sessions.roundTripsOf(host) }]),
      ),
      durationMs: Date.now() - startedAt,
    });
    return { status, changed, failed };
  }

  #statusOf(failed: ReadonlyMap<string, FleetError>, changed: number, mode: 'plan' | 'apply'): RunStatus {
    if (this.#options.signal.aborted) return 'interrupted';
    if (failed.size > 0) return 'failed';
    if (changed === 0) return 'unchanged';
    return mode === 'plan' ? 'would-change' : 'changed';
  }

  #context(mode: 'plan' | 'apply', states: Map<string, HostState>): RunContext {
    return {
      runId: this.id,
      mode,
      checkMode: mode === 'plan',
      fleet: this.#options.fleet,
      emit: this.#emit,
      checkArgs: this.#options.checkArgs,
      sessionOf: (host, become) => this.#sessions.of(host, become),
      stateOf: (host) => {
        const state = states.get(host) ?? newHostState();
        states.set(host, state);
        return state;
      },
      knownStates: () => states,
      control: this.#control,
      signal: this.#options.signal,
      beforeChange: (session) => this.#lock(session),
      onAction: () => {
        this.#epoch.count += 1;
        this.#lookedAt = undefined;
        this.#foreseen.clear();
      },
      afterReboot: (host) => this.#locks.takeAgain(host),
      running: this.#running,
      extraVars: this.#options.extraVars ?? {},
      ...(this.#options.decrypt === undefined ? {} : { decrypt: this.#options.decrypt }),
      ...(this.#options.confirmTask === undefined || mode === 'plan'
        ? {}
        : { confirmTask: this.#options.confirmTask }),
      ...(this.#options.confirmPause === undefined ? {} : { confirmPause: this.#options.confirmPause }),
    };
  }

  async #lock(session: HostSession): Promise<void> {
    const first = await this.#firstToLock();
    if (first !== undefined) await this.#locks.acquire(first);
    await this.#locks.acquire(session);
  }

  async #firstToLock(): Promise<HostSession | undefined> {
    for (const host of this.#options.lockFirst ?? []) {
      const session = this.#sessions.of(host, { enabled: true });
      if (
        await session.connect().then(
          () => true,
          () => false,
        )
      )
        return session;
    }
    return undefined;
  }

  /** One trip per host with every question that can be asked before anything is done. Hosts that cannot be reached leave the run. */
  async #look(context: RunContext, hosts: readonly Host[], mode: 'plan' | 'apply'): Promise<void> {
    if (this.#lookedAt !== undefined && Date.now() - this.#lookedAt < freshForMs) {
      for (const [host, error] of this.#unreached)
        if (!this.#mayBeLost(host)) this.#unreachable(context, host, error);
      if (mode === 'apply') await this.#awaitOldJobs(context);
      return;
    }
    const startedAt = Date.now();
    this.#sessions.forgetAll();
    this.#unreached.clear();
    const wanted = lookAhead(this.#options.plays, context, this.#options.waves);
    const asked = new Set([...wanted.hosts.keys()].map(({ host }) => host));
    for (const { name } of hosts)
      if (!asked.has(name)) wanted.hosts.set(this.#sessions.of(name, undefined), []);
    // A plan asks as well: what follows right behind it goes by what it saw.
    for (const facts of wanted.hosts.values()) facts.push(unfinishedJobs);
    this.#looked = [...wanted.hosts.keys()];
    await Promise.all([
      this.#control.ask(wanted.control),
      ...[...wanted.hosts].map(async ([session, facts]) => {
        await session.connect().catch((error) => {
          this.#unreached.set(session.host, error);
          // Where a task does not mind, each says for itself whether the host is lost.
          if (!this.#mayBeLost(session.host)) this.#unreachable(context, session.host, error);
        });
        if (context.stateOf(session.host).failed === undefined) await session.ask(facts);
      }),
    ]);
    if (mode === 'apply') await this.#awaitOldJobs(context);
    this.#lookedAt = Date.now();
    this.#askedAt = this.#lookedAt;
    this.#emit({
      kind: 'look-finished',
      hosts: wanted.hosts.size,
      facts: [...wanted.hosts.values()].reduce((sum, facts) => sum + facts.length, 0),
      durationMs: Date.now() - startedAt,
    });
  }

  #unreachable(context: RunContext, host: string, thrown: unknown): void {
    const state = context.stateOf(host);
    if (state.failed !== undefined) return;
    const error =
      thrown instanceof FleetError
        ? thrown.within({ host })
        : new FleetError({ code: 'HOST_UNREACHABLE', message: String(thrown), host });
    state.failed = error;
    if (this.#isLeftOut(host)) {
      const { code, message, fix } = error.toFault();
      this.#emit({
        kind: 'warning',
        code,
        message: `left out: ${message}`,
        host,
        ...(fix === undefined ? {} : { fix }),
      });
    } else this.#emit({ kind: 'host-failed', host, error: error.toFault() });
  }

  #mayBeLost(host: string): boolean {
    return this.#options.plays.some(
      ({ ignoresUnreachable, hosts }) =>
        ignoresUnreachable === true && hosts.some(({ name }) => name === host),
    );
  }

  /** Only what kept fleet from reaching a host is forgiven: what it says once it is reached counts. */
  #isLeftOut(host: string): boolean {
    return this.#unreached.has(host) && this.#options.mayBeDown?.includes(host) === true;
  }

  async #awaitOldJobs(context: RunContext): Promise<void> {
    await Promise.all(
      this.#looked.map(async (session) => {
        const known = session.facts.get(unfinishedJobs.key);
        if (known === undefined || 'error' in known || known.value === 0) return;
        // A run that is still alive is at work there: its lock says so, and its job is its own.
        try {
          await this.#lock(session);
        } catch (thrown) {
          this.#unreachable(context, session.host, thrown);
          return;
        }
        this.#emit({
          kind: 'warning',
          code: 'UNFINISHED_JOB',
          message: 'an earlier run was broken off in the middle of a job; waiting for it to end',
          host: session.host,
        });
        await waitUntilHolds(waitForUnfinishedJobs, session, this.#options.signal, () => {});
        await session.batch([{ script: removeFinishedJobs }], { deadlineMs: 10_000 });
        session.facts.forget('everything');
      }),
    );
  }

  /** Whether the run goes on after this play. */
  async #play(context: RunContext, play: Play): Promise<boolean> {
    const alive = play.hosts.filter((host) => context.stateOf(host.name).failed === undefined);
    const lost = play.hosts.length - alive.length;
    if (play.hosts.length === 0) return true;
    this.#emit({
      kind: 'play-started',
      play: play.name,
      hosts: alive.map((host) => host.name),
      mode: context.mode,
    });
    if (lost > 0 && play.anyErrorsFatal) return false;
    if (play.strategy === 'rolling') return this.#rolling(context, play).run();
    const forks = this.#options.forks ?? defaultForks;
    const batches = batchesOf(alive, play.serial);
    for (const [index, batch] of batches.entries()) {
      if (this.#options.signal.aborted) return false;
      if (batches.length > 1) {
        this.#emit({
          kind: 'batch-started',
          play: play.name,
          hosts: batch.map((host) => host.name),
          number: index + 1,
          of: batches.length,
        });
      }
      const shared = await runBatch(context, play, batch, forks);
      const failures = batch.filter((host) => context.stateOf(host.name).failed !== undefined).length;
      if (shared.fatal || (failures > 0 && endsTheRun(play, failures, batch.length))) return false;
      if (shared.ended === 'play') break;
    }
    return true;
  }

  async close(): Promise<void> {
    await this.#locks.release();
    await this.#sessions.close();
  }
}

function noWaves(play: Play): never {
  throw new FleetError({
    code: 'NO_WAVES',
    message: `the play ${play.name} has strategy: rolling, and there is no cluster whose state could say who is next`,
    fix: 'Use an inventory with a cluster, or serial: 1.',
    blame: 'usage',
    ...(play.where === undefined ? {} : { where: play.where }),
  });
}
