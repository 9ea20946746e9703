import type { Host } from '../inventory/fleet.ts';
import { controlFactsOf, type Placed, type Prepared, placesOf, planFor, seenBy } from './decide.ts';
import type { Fact } from './fact.ts';
import type { FactStore, Known } from './fact-store.ts';
import type { HostSession } from './host-session.ts';
import type { RunContext } from './run-context.ts';
import type { Change, Plan } from './step.ts';

export type AnyPlan = Plan<Record<string, unknown>>;
export type AnyChange = Change<Record<string, unknown>>;

/** Lets steps decide for one host: asks what they want to know, on whichever host knows it, and hands them the answers. */
export class Deciding {
  constructor(
    private readonly context: RunContext,
    private readonly host: Host,
  ) {}

  /** The session that a task acts through: the host's own, or that of the host it is delegated to. */
  sessionFor({ task, scope }: Prepared): HostSession {
    const host =
      task.delegateTo === undefined ? this.host.name : String(scope.template(task.delegateTo, task.where));
    return this.context.sessionOf(host, task.become);
  }

  placesOf(prepared: Prepared): Placed[] {
    return placesOf(prepared.questions, this.sessionFor(prepared).host, (host) =>
      this.#storeOf(prepared, host),
    );
  }

  #storeOf(prepared: Prepared, host: string): FactStore {
    return this.context.sessionOf(host, prepared.task.become).facts;
  }

  /** In a plan: whether the answer to one of its questions will only be there after an earlier change. */
  isUnforeseeable(prepared: Prepared): boolean {
    return this.placesOf(prepared).some(({ store, fact }) => store.isUnforeseeable(fact.key));
  }

  /**
   * What the step decides, asking in one trip per host what is not known yet.
   * @param seenNow answers that are newer than what the stores hold: those read right behind a change
   */
  async decide(prepared: Prepared, seenNow: ReadonlyMap<string, Known> = new Map()): Promise<AnyPlan> {
    const own = this.sessionFor(prepared).host;
    const asked = new Map<string, Fact<unknown>[]>();
    for (const { host, fact } of this.placesOf(prepared)) {
      if (!(host === own && seenNow.has(fact.key))) asked.set(host, [...(asked.get(host) ?? []), fact]);
    }
    const known = new Map<string, ReadonlyMap<string, Known>>();
    const [control] = await Promise.all([
      this.context.control.ask(controlFactsOf(prepared.questions)),
      ...[...asked].map(async ([host, facts]) => {
        known.set(host, await this.context.sessionOf(host, prepared.task.become).ask(facts));
      }),
    ]);
    const seen = seenBy(
      prepared.questions,
      own,
      (host, key) => (host === own ? seenNow.get(key) : undefined) ?? known.get(host)?.get(key),
      (key) => control.get(key),
    );
    return planFor(prepared, seen);
  }

  /** After a change: the files of the control node that it may have written are read again. */
  forgetControl(prepared: Prepared): void {
    this.context.control.forget(controlFactsOf(prepared.questions).map((fact) => fact.key));
  }

  /** After some time without an action of ours: nothing of the hosts that it looks at is believed any more. */
  forgetSeen(prepared: Prepared): void {
    this.forgetControl(prepared);
    this.sessionFor(prepared).facts.forget('everything');
    for (const { store } of this.placesOf(prepared)) store.forget('everything');
  }

  /**
   * In a plan: lays what a change would leave over what was seen. Without a change to go by, all that the step can alter
   * is in doubt, but for what it promises whatever it finds.
   */
  foresee(prepared: Prepared, change: AnyChange | undefined): void {
    const session = this.sessionFor(prepared);
    const { alters } = prepared.task.step;
    const after = change === undefined ? this.#outcomeOf(prepared) : (change.after ?? {});
    if (Array.isArray(change?.touches)) {
      for (const pattern of change.touches) session.facts.markUnforeseeable(pattern);
    }
    for (const { store, fact, question, optional, host } of this.placesOf(prepared)) {
      if (question in after) {
        const value = after[question];
        store.foresee(fact.key, optional && value instanceof Map ? value.get(host) : value);
      } else if (
        host === session.host &&
        change?.imperative !== true &&
        (change === undefined || !optional) &&
        !isSurelyKept(change, question) &&
        !(change === undefined && alters !== undefined && !alters.includes(question))
      ) {
        store.markUnforeseeable(fact.key);
      }
    }
  }

  /** What a step says of the time behind it though it cannot decide yet. */
  #outcomeOf(prepared: Prepared): Record<string, unknown> {
    const { questions, task, args, view } = prepared;
    if (task.step.outcome === undefined) return {};
    const places = this.placesOf(prepared);
    const isKnown = ({ store, fact, optional }: Placed): boolean => {
      const known = store.isUnforeseeable(fact.key) ? undefined : store.get(fact.key);
      return known !== undefined && (optional || 'value' in known);
    };
    const doubtful = new Set(places.filter((place) => !isKnown(place)).map(({ question }) => question));
    const asked = Object.entries(questions).filter(
      ([name, { of }]) => of !== 'control' && !doubtful.has(name),
    );
    const own = this.sessionFor(prepared).host;
    const known = seenBy(
      Object.fromEntries(asked),
      own,
      (host, key) => this.#storeOf(prepared, host).get(key),
      () => undefined,
    );
    return task.step.outcome(known, args, view);
  }
}

/** A change that foresees anything foresees everything it alters: what it leaves out stays as it was seen. */
function isSurelyKept(change: AnyChange | undefined, question: string): boolean {
  return change?.after !== undefined && !(question in change.after);
}
