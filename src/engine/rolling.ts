import { FleetError } from '../core/errors.ts';
import type { Host } from '../inventory/fleet.ts';
import { runBatch } from './batch-run.ts';
import { asHostError, isOutOfReach } from './host-error.ts';
import { lookAhead } from './look-ahead.ts';
import type { Play } from './play.ts';
import { type Preview, preview, replay } from './preview.ts';
import type { RunContext } from './run-context.ts';
import type { Sessions } from './sessions.ts';
import { pause, waitUntilHolds } from './wait.ts';
import type { Outlook, Rollout, Wave, WaveGate, WavePause, WaveSource } from './waves.ts';

/** What was seen longer ago than this is looked at again between waves: somebody else may have acted meanwhile. */
const freshForMs = 30_000;

/** A server may be slow to answer now and then, and is awaited once more; one that never settles must end the run. */
const mostIdleWaves = 5;

/** As whom the questions of a source of waves are asked. */
export const asRoot = { enabled: true } as const;

/** What hosts would do in a play whose turn has not come, and what they carried with them when that was asked. */
export type Foreseen = ReadonlyMap<
  string,
  { readonly preview: Preview; readonly variables: Readonly<Record<string, unknown>> }
>;

/**
 * A play with `strategy: rolling`: previews what each host has left to do, has the source say who is next, takes these
 * hosts through the play, waits for what must hold behind them, and looks again, until nothing is left to do.
 */
export class Rolling {
  readonly #remaining: Map<string, Host>;
  readonly #begun: readonly string[];
  #announced = '';
  #number = 0;
  /** Waves in a row for which nobody had anything left to do. */
  #idle = 0;

  constructor(
    private readonly context: RunContext,
    private readonly play: Play,
    private readonly source: WaveSource,
    private readonly sessions: Sessions,
    private readonly forks: number,
    /** When the hosts were last looked at, in ms since the epoch. */
    private lookedAt: number,
    /** What `foresee` gave before, where nothing was done on any host since. */
    private foreseen: Foreseen = new Map(),
  ) {
    const alive = play.hosts.filter(({ name }) => context.stateOf(name).failed === undefined);
    this.#begun = alive.map(({ name }) => name);
    this.#remaining = new Map(alive.map((host) => [host.name, host]));
  }

  /**
   * Before an earlier play changes anything: a rollout that will be refused is refused now. What may be mended on the way
   * is left for the play's own turn, and so is what hosts say for themselves.
   * @throws FleetError why the rollout is refused
   */
  async foresee(): Promise<Foreseen> {
    const previews = await this.#previews();
    if (this.context.signal.aborted) return new Map();
    const decided = await this.source.next(this.#outlook(previews));
    if (decided.verdict === 'stop' && decided.error !== undefined && decided.mayPass !== true)
      throw decided.error;
    return new Map(
      previews.map((preview) => {
        const { name } = preview.host;
        return [name, { preview, variables: { ...this.context.stateOf(name).variables } }];
      }),
    );
  }

  /** Whether the run goes on after this play. @throws FleetError why the rollout is refused, or must not go on */
  async run(): Promise<boolean> {
    for (;;) {
      if (this.context.signal.aborted) return false;
      await this.#look();
      const previews = await this.#previews();
      if (this.context.signal.aborted) return false;
      const decided = await this.source.next(this.#outlook(previews));
      for (const name of decided.failed) this.#end(previews, name);
      if (decided.verdict === 'stop') {
        if (decided.error !== undefined) throw decided.error;
        return false;
      }
      this.#leaveOut(decided);
      this.#announce(decided);
      if (this.context.mode === 'plan') return this.#plan(decided, previews);
      const [wave] = decided.waves;
      if (wave === undefined) return this.#rest(previews);
      if (decided.held?.wave === wave) throw decided.held.error;
      const goesOn = await this.#wave(wave, decided.waves.length);
      if (!goesOn) return false;
    }
  }

  /** Asks what is not known any more: after a wave what it touched, after some time everything. */
  async #look(): Promise<void> {
    const { hosts, control } = lookAhead([{ ...this.play, hosts: this.#left() }], this.context, this.source);
    const isOld = this.context.mode === 'apply' && Date.now() - this.lookedAt > freshForMs;
    if (isOld) {
      for (const session of hosts.keys()) session.facts.forget('everything');
      this.lookedAt = Date.now();
      this.foreseen = new Map();
    }
    await Promise.all([
      this.context.control.ask(control),
      ...[...hosts].map(async ([session, facts]) => {
        if (this.context.stateOf(session.host).failed === undefined) await session.ask(facts);
      }),
    ]);
  }

  /** One after the other: what one foresees must not be what the next one sees. All they ask is known by now. */
  async #previews(): Promise<readonly Preview[]> {
    const previews: Preview[] = [];
    for (const host of this.#left())
      previews.push(this.#foreseenOf(host) ?? (await preview(this.context, this.sessions, this.play, host)));
    this.foreseen = new Map();
    return previews;
  }

  /** What was foreseen of a host, where its tasks would still see the same. */
  #foreseenOf({ name }: Host): Preview | undefined {
    const known = this.foreseen.get(name);
    if (known === undefined) return undefined;
    const now = this.context.stateOf(name).variables;
    const names = Object.keys(now);
    const isSame =
      names.length === Object.keys(known.variables).length &&
      names.every((each) => each in known.variables && now[each] === known.variables[each]);
    return isSame ? known.preview : undefined;
  }

  #outlook(previews: readonly Preview[]): Outlook {
    return {
      play: this.play,
      previews,
      failed: this.#failed(),
      ask: async (host, fact) => {
        const { failed } = this.context.stateOf(host);
        // Nobody waits a second time for a host that was waited for in vain.
        if (failed !== undefined && (!this.#begun.includes(host) || isOutOfReach(failed, host)))
          return undefined;
        const known = (await this.context.sessionOf(host, asRoot).ask([fact])).get(fact.key);
        return known !== undefined && 'value' in known ? (known.value as never) : undefined;
      },
      control: async (fact) => {
        await this.context.control.ask([fact]);
        const known = this.context.control.get(fact.key);
        return known !== undefined && 'value' in known ? (known.value as never) : undefined;
      },
    };
  }

  #left(): readonly Host[] {
    return [...this.#remaining.values()];
  }

  #failed(): readonly string[] {
    return this.#begun.filter((name) => this.context.stateOf(name).failed !== undefined);
  }

  #end(previews: readonly Preview[], name: string): void {
    const its = previews.find(({ host }) => host.name === name);
    if (its !== undefined) replay(this.context, its);
    this.#remaining.delete(name);
  }

  #leaveOut({ leftOut }: Rollout): void {
    for (const { host, because } of leftOut) {
      if (!this.#remaining.delete(host)) continue;
      this.context.emit({ kind: 'warning', code: 'LEFT_OUT', message: `nothing is done: ${because}`, host });
    }
  }

  /** Tells the waves to come, once, and again where they turn out otherwise. */
  #announce({ waves, leftOut, strangers }: Rollout): void {
    const hosts = waves.map((wave) => [wave.kind, wave.hosts]);
    const told = JSON.stringify(hosts);
    const rest = JSON.stringify(hosts.slice(1));
    if (told !== this.#announced && waves.length > 0) {
      this.context.emit({
        kind: 'waves-planned',
        play: this.play.name,
        waves: waves.map(({ kind: wave, hosts: names, because, awaits, disruption }, index) => ({
          number: this.#number + index + 1,
          wave,
          hosts: [...names],
          because,
          awaits: [...awaits],
          disruption,
        })),
        leftOut: leftOut.map(({ host, because }) => ({ host, because })),
        strangers: [...strangers],
      });
    }
    this.#announced = rest;
  }

  /** In a plan nothing is looked at again: later waves see what earlier ones would leave. */
  async #plan({ waves, held }: Rollout, previews: readonly Preview[]): Promise<boolean> {
    if (held !== undefined) this.context.emit({ kind: 'warning', ...held.error.toFault() });
    if (waves.length === 0) return this.#rest(previews);
    for (const wave of waves) await this.#through(this.#taken(wave));
    if (this.#remaining.size > 0) await this.#through(this.#left());
    return true;
  }

  async #wave(wave: Wave, left: number): Promise<boolean> {
    const { context, play } = this;
    const hosts = this.#taken(wave);
    this.#number += 1;
    context.emit({
      kind: 'wave-started',
      play: play.name,
      wave: wave.kind,
      hosts: [...wave.hosts],
      because: wave.because,
      number: this.#number,
      of: this.#number + left - 1,
    });
    const goesOn = await this.#through(hosts);
    if (!goesOn || context.signal.aborted) return false;
    await this.#gates(wave);
    const isWell = wave.hosts.every((name) => context.stateOf(name).failed === undefined);
    if (wave.pause !== undefined && isWell && !context.signal.aborted) await this.#pause(wave.pause);
    return true;
  }

  /** @throws FleetError PAUSED where nobody says that it goes on: the next run does */
  async #pause({ after, asks, durationMs }: WavePause): Promise<void> {
    const { context, play } = this;
    const isAsked = asks && context.confirmPause !== undefined;
    context.emit({
      kind: 'wave-paused',
      play: play.name,
      number: this.#number,
      after,
      ...(isAsked || durationMs === undefined ? {} : { durationMs }),
    });
    if (!isAsked && durationMs !== undefined) return pause(durationMs, context.signal).catch(() => {});
    if (isAsked && (await context.confirmPause?.(`Paused after ${after}. Go on?`))) return;
    throw new FleetError({
      code: 'PAUSED',
      message: `the rollout pauses after ${after}${isAsked ? '' : ', and nobody is here to say that it goes on'}`,
      fix: 'Look whether all is well; then run the same command again: it goes on with the nodes that are left.',
    });
  }

  /** The hosts of a wave that have not gone through the play yet. Of one that has, only the gates are to hold again. */
  #taken(wave: Wave): readonly Host[] {
    const hosts = wave.hosts.flatMap((name) => this.#remaining.get(name) ?? []);
    for (const { name } of hosts) this.#remaining.delete(name);
    this.#idle = hosts.length === 0 ? this.#idle + 1 : 0;
    if (this.#idle <= mostIdleWaves) return hosts;
    throw new FleetError({
      code: 'NOT_SETTLED',
      message: `${wave.hosts.join(', ')}: nothing is left to do, and again and again ${wave.because}`,
      fix: 'Look at what keeps changing there; then run the same command again: it goes on where it stopped.',
    });
  }

  /** Whether the play's own limits let the run go on. What a failure means for the others the source says. */
  async #through(hosts: readonly Host[]): Promise<boolean> {
    const { play, context } = this;
    const { fatal, ended } = await runBatch(context, play, hosts, this.forks);
    if (ended === 'play') this.#remaining.clear();
    return !fatal || !(play.anyErrorsFatal || play.maxFailPercentage !== undefined);
  }

  /** Waits for what must hold. A host of which it does not come to hold has failed. */
  async #gates(wave: Wave): Promise<void> {
    const { context } = this;
    const open = this.source
      .gates(this.play, wave)
      .filter(({ host }) => context.stateOf(host).failed === undefined)
      .map((gate) => this.#gate(gate));
    await Promise.all(open);
  }

  async #gate({ host, wait, askedOn }: WaveGate): Promise<void> {
    const { context, play } = this;
    const { what, deadlineMs } = wait;
    const waiting = { kind: 'wave-waiting', play: play.name, number: this.#number, host, what } as const;
    try {
      await waitUntilHolds(wait, context.sessionOf(askedOn, asRoot), context.signal, (reason) =>
        context.emit({ ...waiting, reason, deadlineMs }),
      );
    } catch (thrown) {
      if (context.signal.aborted) return;
      const error = asHostError(thrown, host);
      context.stateOf(host).failed = error;
      context.emit({ kind: 'host-failed', host, error: error.toFault() });
    }
  }

  /** No wave is left. Hosts with nothing to do have gone through the play; those that only wait do it now. */
  async #rest(previews: readonly Preview[]): Promise<boolean> {
    const left = previews.filter(({ host }) => this.#remaining.has(host.name));
    const forgotten = left.filter(({ intents }) => intents.some(({ changes }) => changes));
    if (forgotten.length > 0) {
      throw new FleetError({
        code: 'INTERNAL',
        message: `no wave has ${forgotten.map(({ host }) => host.name).join(', ')}, where something is to be done`,
        blame: 'fleet',
      });
    }
    const waiting = left.filter(({ intents, error }) => intents.length > 0 && error === undefined);
    for (const one of left) if (!waiting.includes(one)) replay(this.context, one);
    if (waiting.length === 0) return true;
    return this.#through(waiting.map(({ host }) => host));
  }
}
