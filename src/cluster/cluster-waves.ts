import { FleetError } from '../core/errors.ts';
import { waitUntil } from '../engine/action.ts';
import type { Entry, Play } from '../engine/play.ts';
import { viewOf } from '../engine/step.ts';
import type {
  Wave as EngineWave,
  Outlook,
  PreviewedHost,
  Rollout,
  Stop,
  WaveGate,
  WaveSource,
} from '../engine/waves.ts';
import { apiReady, k3sNodes } from '../facts/k3s-nodes.ts';
import { wantedRelease } from '../facts/k3s-release.ts';
import type { Cluster } from '../inventory/cluster.ts';
import type { Fleet } from '../inventory/fleet.ts';
import { pausePoints, type RolloutPause } from '../inventory/rollout-pauses.ts';
import { type NodeSettings, settingsOf } from '../inventory/settings.ts';
import { k3sNode, nodeNameOf } from '../steps/k3s-node.ts';
import { nodeIsReady } from '../steps/k3s-readiness.ts';
import type {
  ClusterWaves,
  DesiredCluster,
  Gate,
  ObservedHost,
  Policy,
  RefusedCluster,
  Wave,
} from './cluster-plan.ts';
import { listed } from './cluster-view.ts';
import { desiredCluster } from './desired.ts';
import { type Observation, observe, questionsFor } from './observe.ts';
import { planCluster } from './plan-cluster.ts';

/** What the command line says of it; the rest is in the inventory. */
export interface ClusterWish {
  readonly tolerateDown: boolean;
  readonly forceBootstrap: boolean;
  /** Inventory names that `--limit` leaves; all when `undefined`. */
  readonly limit: readonly string[] | undefined;
  /** Maintenance windows do not count: `--now`. */
  readonly atAnyTime: boolean;
  readonly clock: () => Date;
}

/** Has the planner of the cluster say who is next in a play with `strategy: rolling`. */
export function clusterWaves(fleet: Fleet, cluster: Cluster, wish: ClusterWish): WaveSource {
  return new ClusterWaveSource(fleet, cluster, wish);
}

class ClusterWaveSource implements WaveSource {
  /** The gates of the waves that were planned last. */
  readonly #gates = new Map<EngineWave, readonly Gate[]>();
  #hostNames: ReadonlyMap<string, string> = new Map();
  #speakers: readonly string[] = [];
  /** What was seen of hosts when they last answered. */
  readonly #lastSeen = new Map<string, ObservedHost>();

  constructor(
    private readonly fleet: Fleet,
    private readonly cluster: Cluster,
    private readonly wish: ClusterWish,
  ) {}

  look(play: Play) {
    const inPlay = new Set(play.hosts.map(({ name }) => name));
    const asked = this.cluster.nodes.filter(
      (host) => this.cluster.servers.includes(host) || inPlay.has(host.name),
    );
    return new Map(asked.map((host) => [host.name, questionsFor(host, this.fleet)]));
  }

  async next(outlook: Outlook): Promise<Rollout | Stop> {
    const seen = await observe(this.cluster, this.fleet, outlook);
    this.#hostNames = new Map([...this.#hostNames, ...seen.hostNames]);
    this.#speakers = seen.readyApis;
    const out = outlook.previews.filter((one) => this.#isFinal(one, seen)).map(({ host }) => host.name);
    const died = out.filter((name) => !seen.hosts.has(name) && this.#lastSeen.has(name));
    const failed = [...outlook.failed, ...died];
    const policy = this.#policy(failed, workedOn(outlook), hasStep(outlook.play.tasks, 'k3s_service'));
    const ends = (name: string): boolean => this.#isServer(name) || policy.canary.includes(name);
    // Whatever broke one server would break the next; what they say for themselves tells why.
    if (failed.some(ends) || out.some((name) => this.#isServer(name)))
      return { verdict: 'stop', failed: out };
    const hosts = this.#hosts(seen, out, failed);
    const plan = planCluster(await this.#desired(outlook, seen), { ...seen, hosts }, policy);
    if (plan.verdict === 'refused') {
      return { verdict: 'stop', failed: out, error: refusal(plan), mayPass: plan.mayPass === true };
    }
    const waves = plan.waves.map((wave) => this.#wave(wave));
    return {
      verdict: 'waves',
      waves,
      leftOut: plan.leftOut,
      strangers: plan.strangers,
      failed: out,
      ...this.#held(plan, waves),
    };
  }

  gates(_play: Play, wave: EngineWave): readonly WaveGate[] {
    const gates = (this.#gates.get(wave) ?? []).flatMap((gate) => this.#waits(gate));
    const known = new Map(gates.map((gate) => [`${gate.host} ${gate.wait.fact.key}`, gate]));
    return [...known.values()];
  }

  #isServer(name: string): boolean {
    return this.cluster.servers.some((host) => host.name === name);
  }

  /**
   * Whether a host is out: its steps fail, or it does not answer. Not where they may only be unable to say what they will
   * do once others have joined or are back: on a host without k3s, on an agent without a cluster, and where a restart is
   * refused for the sake of the quorum, which the planner keeps.
   */
  #isFinal({ host: { name }, error, failsIn }: PreviewedHost, { hosts }: Observation): boolean {
    if (error === undefined) return false;
    const seen = hosts.get(name);
    if (seen === undefined) return true;
    if (seen.installedRole === undefined || failsIn === 'k3s_service') return false;
    return this.#isServer(name) || [...hosts.values()].some(({ data }) => data !== 'none');
  }

  /** An agent that is away and that the cluster never had holds nobody up: it joins when it is back. */
  async #desired(outlook: Outlook, { hosts, nodes }: Observation): Promise<DesiredCluster> {
    const datastores = new Set([...hosts.values()].map(({ data }) => data));
    const desired = desiredCluster(this.cluster, this.fleet, {
      hostNames: this.#hostNames,
      versions: await this.#versions(outlook),
      hasEtcd: datastores.has('etcd'),
    });
    const isBegun = [...datastores].some((data) => data !== 'none');
    const mayBeMember = (name: string): boolean =>
      nodes === undefined ? isBegun : nodes.some((node) => node.name === name);
    const agents = desired.agents.filter(({ host, nodeName }) => hosts.has(host) || mayBeMember(nodeName));
    return { ...desired, agents };
  }

  /** Of hosts that are out nothing is wanted. One that died on the way was there: that it is away now is a failure like others. */
  #hosts(
    seen: Observation,
    out: readonly string[],
    failed: readonly string[],
  ): ReadonlyMap<string, ObservedHost> {
    const last = failed.flatMap((name) => {
      const host = this.#lastSeen.get(name);
      return host === undefined || seen.hosts.has(name) ? [] : [[name, host] as const];
    });
    for (const [name, host] of seen.hosts) this.#lastSeen.set(name, host);
    return new Map(
      [...seen.hosts, ...last].map(([name, host]): [string, ObservedHost] => [
        name,
        out.includes(name) ? { ...host, pending: 'nothing' } : host,
      ]),
    );
  }

  #held({ waves, held }: ClusterWaves, made: readonly EngineWave[]): Pick<Rollout, 'held'> {
    const wave = held === undefined ? undefined : made[waves.indexOf(held.wave)];
    if (held === undefined || wave === undefined) return {};
    const { because: message, fix } = held;
    return {
      held: { wave, error: new FleetError({ code: 'OUTSIDE_WINDOW', message, fix, blame: 'usage' }) },
    };
  }

  get #settings(): NodeSettings | undefined {
    const [first] = this.cluster.servers;
    return first === undefined ? undefined : settingsOf(first);
  }

  /** @param changesNodes whether the play is about what nodes run; who only reboots them has said when */
  #policy(failed: readonly string[], done: readonly string[], changesNodes: boolean): Policy {
    const settings = this.#settings;
    const { atAnyTime, clock } = this.wish;
    return {
      agentBatch: settings?.agentBatch ?? 1,
      maxUnavailable: settings?.maxUnavailable ?? 1,
      canary: settings?.canary ?? [],
      tolerateDown: this.wish.tolerateDown,
      forceBootstrap: this.wish.forceBootstrap,
      limit: this.wish.limit,
      failed,
      done,
      ...(changesNodes && !atAnyTime
        ? { maintenance: { windows: settings?.maintenanceWindows ?? [], now: clock() } }
        : {}),
      ...(changesNodes ? { pauseAfter: pausePoints.filter((point) => settings?.pauseAfter[point]) } : {}),
    };
  }

  /** What `k3s_version` stands for, where the play puts a release there at all: rebooting asks for none. */
  async #versions(outlook: Outlook): Promise<ReadonlyMap<string, string>> {
    if (!hasStep(outlook.play.tasks, 'k3s_binary')) return new Map();
    const versions = await Promise.all(
      this.cluster.nodes.map(async (host) => {
        const { k3sVersion, channelsUrl, airgapDir } = settingsOf(host);
        const release = await outlook.control(wantedRelease(k3sVersion, channelsUrl, airgapDir));
        return release === undefined ? [] : [[host.name, release.text] as const];
      }),
    );
    return new Map(versions.flat());
  }

  #wave(wave: Wave): EngineWave {
    const { kind, hosts, because, disruption, gates, pause } = wave;
    const length = pause && this.#settings?.pauseAfter[pause];
    const made: EngineWave = {
      kind,
      hosts,
      because,
      disruption,
      awaits: [...gates.map(awaited), ...(length === undefined ? [] : [pauseText(length)])],
      ...(pause === undefined || length === undefined
        ? {}
        : {
            pause: { after: pause === 'servers' ? 'the servers' : `the canary ${listed(hosts)}`, ...length },
          }),
    };
    this.#gates.set(made, gates);
    return made;
  }

  #waits(gate: Gate): readonly WaveGate[] {
    if (gate.kind === 'api') return gate.servers.map((server) => this.#apiGate(server));
    return gate.hosts.flatMap((host) => this.#nodeGate(host, gate.kind === 'voter'));
  }

  #apiGate(server: string): WaveGate {
    const wait = waitUntil({
      what: `the API of ${server} to be ready`,
      fact: apiReady,
      holds: (ready) => ready,
      deadlineMs: this.#deadlineMs(server),
    });
    return { host: server, askedOn: server, wait };
  }

  /** Ready and, with etcd, a voter: that of a server is asked of itself, for it is its own API that must know. */
  #nodeGate(name: string, mustVote: boolean): readonly WaveGate[] {
    const host = this.cluster.nodes.find((node) => node.name === name);
    if (host === undefined) return [];
    const node = k3sNode(viewOf(host, this.fleet));
    const nodeName = nodeNameOf(node, this.#hostNames.get(name) ?? name);
    const wait = waitUntil({
      what: `${nodeName} to be Ready${mustVote ? ' and a voter in etcd' : ''}`,
      fact: k3sNodes,
      holds: (seen) => nodeIsReady(node, nodeName, seen, mustVote),
      deadlineMs: this.#deadlineMs(name),
    });
    const speaker = this.#speakers[0] ?? this.cluster.servers[0]?.name ?? name;
    return [{ host: name, askedOn: node.role === 'server' ? name : speaker, wait }];
  }

  #deadlineMs(name: string): number {
    const host = this.cluster.nodes.find((node) => node.name === name);
    return host === undefined ? 0 : settingsOf(host).nodeReadyTimeoutS * 1000;
  }
}

/** Each host goes through the play once. */
function workedOn({ play, previews }: Outlook): readonly string[] {
  const left = new Set(previews.map(({ host }) => host.name));
  return play.hosts.map(({ name }) => name).filter((name) => !left.has(name));
}

function refusal({ code, because, fix, host }: RefusedCluster): FleetError {
  return new FleetError({ code, message: because, fix, ...(host === undefined ? {} : { host }) });
}

/** A pause as a person reads it in a plan. */
function pauseText({ asks, durationMs }: RolloutPause): string {
  const waits = durationMs === undefined ? 'the next run' : lengthText(durationMs);
  return asks ? `your word, or where nobody can be asked ${waits}` : `a pause of ${waits}`;
}

function lengthText(durationMs: number): string {
  const seconds = durationMs / 1000;
  return seconds >= 60 && seconds % 60 === 0 ? `${seconds / 60} min` : `${seconds} s`;
}

/** A gate as a person reads it. */
function awaited(gate: Gate): string {
  switch (gate.kind) {
    case 'ready':
      return `${gate.hosts.join(', ')} Ready`;
    case 'voter':
      return `${gate.hosts.join(', ')} voting in etcd`;
    case 'api':
      return `/readyz ok on ${gate.servers.join(', ')}`;
  }
}

function hasStep(entries: readonly Entry[], name: string): boolean {
  return entries.some((entry) => {
    if (entry.kind === 'block') return hasStep([...entry.tasks, ...entry.rescue, ...entry.always], name);
    return entry.kind === 'task' && entry.step.name === name;
  });
}
