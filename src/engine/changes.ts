import { FleetError } from '../core/errors.ts';
import { reveal, Secret } from '../core/secret.ts';
import type { Host } from '../inventory/fleet.ts';
import type { Prepared } from './decide.ts';
import type { AnyChange, Deciding } from './deciding.ts';
import { touches } from './fact-store.ts';
import { asHostError } from './host-error.ts';
import { type HostSession, isConnectionLost } from './host-session.ts';
import { type Outcome, perform, type Work } from './perform.ts';
import type { RunContext } from './run-context.ts';
import type { TaskReport } from './task-report.ts';

/** A change that was decided and waits to be sent together with its neighbours. */
export interface PendingChange {
  readonly prepared: Prepared;
  readonly plan: AnyChange;
  /** Tells it from all other changes of the run. */
  readonly identity: string;
  startedAt: number;
}

/** How a change ended: its answers, and why it failed if it did. `undefined` for one that was never begun. */
export type Performed = Outcome;

const defaultDeadlineMs = 600_000;
/** How often a change is decided anew after the connection broke in its middle. */
const mendAttempts = 3;
const reconnectForMs = 60_000;

/** The changes of one host on their way: gathered, sent in as few trips as possible, looked at again. */
export class Changes {
  #pending: PendingChange[] = [];

  constructor(
    private readonly context: RunContext,
    private readonly host: Host,
    private readonly deciding: Deciding,
    private readonly report: TaskReport,
  ) {}

  /** Whether a question about these facts must wait until what is pending has been sent. */
  isTouching(keys: readonly string[]): boolean {
    return this.#pending.some(({ prepared, plan }) => {
      if (plan.touches === 'everything') return keys.length > 0;
      // As in a plan: a change that foresees anything foresees everything of its own that it alters.
      const own = this.deciding
        .placesOf(prepared)
        .filter(({ question }) => plan.after === undefined || question in plan.after);
      const patterns = [...own.map(({ fact }) => fact.key), ...(plan.touches ?? [])];
      return keys.some((key) => touches(patterns, key));
    });
  }

  /** Whether this change may travel with those before it: the same host as the same user. */
  goesWith(prepared: Prepared): boolean {
    const last = this.#pending.at(-1);
    return (
      last === undefined || this.deciding.sessionFor(last.prepared) === this.deciding.sessionFor(prepared)
    );
  }

  add(change: PendingChange): void {
    this.#pending.push(change);
    // What must come before it begins while others are still being decided; how that ended is heard when they are sent.
    this.context.beforeChange(this.deciding.sessionFor(change.prepared)).catch(() => {});
  }

  drop(): void {
    this.#pending = [];
  }

  /** Takes what is pending, in order. */
  take(): readonly PendingChange[] {
    const pending = this.#pending;
    this.#pending = [];
    return pending;
  }

  /** Performs changes and looks again at each. The first that fails ends it. */
  async perform(changes: readonly PendingChange[]): Promise<readonly Performed[]> {
    const first = changes[0];
    if (first === undefined) return [];
    const outcomes = await this.#send(changes, this.deciding.sessionFor(first.prepared));
    const performed: Performed[] = [];
    for (const [index, change] of changes.entries()) {
      const outcome = outcomes[index];
      const error = outcome === undefined ? undefined : await this.#verified(change, outcome);
      performed.push(
        outcome === undefined
          ? undefined
          : { answers: outcome.answers, seen: outcome.seen, ...(error === undefined ? {} : { error }) },
      );
    }
    return performed;
  }

  async #send(changes: readonly PendingChange[], session: HostSession): Promise<readonly Outcome[]> {
    try {
      await this.context.beforeChange(session);
    } catch (thrown) {
      const error = asHostError(thrown, this.host.name);
      return changes.map((_, index) => (index === 0 ? { answers: [], seen: new Map(), error } : undefined));
    }
    return perform(
      changes.map((change) => this.#workOf(change, session)),
      {
        session,
        sessionOf: (host) => this.context.sessionOf(host, changes[0]?.prepared.task.become),
        signal: this.context.signal,
        controlAnswer: async (fact) => {
          await this.context.control.ask([fact]);
          const known = this.context.control.get(fact.key);
          if (known !== undefined && 'error' in known) throw known.error;
          return String(known?.value);
        },
        onAction: this.context.onAction,
        afterReboot: this.context.afterReboot,
      },
    );
  }

  #workOf(change: PendingChange, session: HostSession): Work {
    const { prepared, plan } = change;
    return {
      plan,
      ownFacts: this.deciding
        .placesOf(prepared)
        .filter(({ host }) => host === session.host)
        .map(({ fact }) => fact),
      environment: environmentOf(prepared),
      identity: change.identity,
      deadlineMs: prepared.task.deadlineMs ?? defaultDeadlineMs,
      onStart: () => {
        change.startedAt = Date.now();
        this.report.started(prepared, plan.because);
      },
      onWaiting: (what, reason, deadlineMs) => this.report.waiting(prepared, what, reason, deadlineMs),
      onProgress: (text, done, total) => this.report.progress(prepared, text, done, total),
    };
  }

  async #verified(change: PendingChange, outcome: NonNullable<Outcome>): Promise<FleetError | undefined> {
    const { error } = outcome;
    if (change.plan.imperative === true) return error;
    if (error === undefined) return this.#notConverged(change, outcome);
    return isConnectionLost(error) ? this.#mended(change, error) : error;
  }

  /** A step that still wants to change right after its own actions did not do what it promised. */
  async #notConverged(change: PendingChange, outcome: NonNullable<Outcome>): Promise<FleetError | undefined> {
    try {
      this.deciding.forgetControl(change.prepared);
      const again = await this.deciding.decide(change.prepared, outcome.seen);
      if (again.verdict === 'unchanged') return undefined;
      return new FleetError({
        code: 'NOT_CONVERGED',
        message: `its actions succeeded, yet it still is not so: ${again.because}`,
        fix: 'Something else on the host undoes it, or it has no effect there. Look at what the message names.',
      });
    } catch (thrown) {
      return asHostError(thrown, this.host.name);
    }
  }

  /** The connection broke in the middle: look what is done, and do the rest. `undefined` once it is as it should be. */
  async #mended(change: PendingChange, lost: FleetError): Promise<FleetError | undefined> {
    const session = this.deciding.sessionFor(change.prepared);
    let error: FleetError | undefined = lost;
    for (let attempt = 0; attempt < mendAttempts && error !== undefined; attempt += 1) {
      try {
        await session.reconnect(reconnectForMs);
        session.facts.forget('everything');
        const plan = await this.deciding.decide(change.prepared);
        if (plan.verdict === 'unchanged') return undefined;
        if (plan.verdict === 'refuse') return error;
        const again = { ...change, plan };
        const [outcome] = await this.#send([again], session);
        error = outcome?.error ?? (outcome === undefined ? lost : await this.#notConverged(again, outcome));
        if (error !== undefined && !isConnectionLost(error)) return error;
      } catch (thrown) {
        return asHostError(thrown, this.host.name);
      }
    }
    return error;
  }
}

function environmentOf({ scope, task }: Prepared): Record<string, string> {
  const templated = scope.template(task.environment, task.where) as Record<string, unknown>;
  return Object.fromEntries(
    Object.entries(templated).map(([name, value]) => [
      name,
      value instanceof Secret ? reveal(value) : String(value),
    ]),
  );
}
