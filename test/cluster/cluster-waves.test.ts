import { describe, expect, it } from 'vitest';
import { clusterWaves } from '../../src/cluster/cluster-waves.ts';
import { FleetError } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import type { Play } from '../../src/engine/play.ts';
import type { Outlook, PreviewedHost, Rollout, Stop } from '../../src/engine/waves.ts';
import type { K3sNode } from '../../src/facts/k3s-nodes.ts';
import { clusterOf } from '../../src/inventory/cluster.ts';
import type { Fleet, Host } from '../../src/inventory/fleet.ts';
import { mustParseVersion } from '../../src/k3s/version.ts';
import { type Nodes, nodesOf } from '../k3s/inventory-of.ts';

/** What hosts answer and would do, as the planner of the cluster is told it, and what becomes of its answer. */

const runs = 'v1.33.4+k3s1';
const binary = '/usr/local/bin/k3s';

interface Pretended {
  readonly state?: string;
  readonly data?: 'none' | 'sqlite' | 'etcd';
  readonly otherRole?: boolean;
  readonly otherState?: string;
  readonly newer?: readonly string[];
  /** Its API does not answer. */
  readonly silent?: boolean;
}

interface Situation extends Nodes {
  /** Hosts that answer, with what is there; all others do not. */
  readonly hosts: Readonly<Record<string, Pretended>>;
  readonly nodes?: readonly Partial<K3sNode>[];
  readonly previews?: Readonly<Record<string, Partial<PreviewedHost>>>;
  readonly failed?: readonly string[];
  readonly wish?: Partial<Parameters<typeof clusterWaves>[2]>;
  /** The steps of the play, where it matters which they are. */
  readonly steps?: readonly string[];
}

const member = (name: string, more: Partial<K3sNode> = {}): Partial<K3sNode> => ({
  name,
  etcdVoter: name.startsWith('s') ? true : undefined,
  controlPlane: name.startsWith('s'),
  ...more,
});

function nodeOf(node: Partial<K3sNode>): K3sNode {
  return {
    name: '',
    ready: true,
    readyMessage: '',
    etcdVoter: undefined,
    version: runs,
    unschedulable: false,
    cordonedByFleet: false,
    drainedFor: undefined,
    controlPlane: false,
    addresses: [],
    ...node,
  };
}

/** What a host says to a question, by its key. */
function answerOf(
  name: string,
  role: string,
  host: Pretended,
  nodes: readonly K3sNode[] | undefined,
  key: string,
) {
  const { state = 'active', data = role === 'server' ? 'etcd' : 'none', newer = [] } = host;
  const inUse = (its: string) => ({
    state: its,
    enabled: true,
    needsDaemonReload: false,
    invocation: 'x',
    newerThanStart: newer,
  });
  const [, question = ''] = key.split('k3s:');
  if (key === 'host:name') return { inUse: name.toUpperCase(), onDisk: name, hasHostnamectl: true };
  if (question.startsWith('in-use'))
    return inUse(question.endsWith(role) ? state : (host.otherState ?? 'absent'));
  if (question.startsWith('installation')) return { otherRole: host.otherRole ?? false };
  if (question.startsWith('server-data'))
    return {
      datastore: data,
      token: data === 'none' ? undefined : new Secret(`K10${'a'.repeat(64)}::server:pw`),
    };
  if (question === 'nodes') return nodes === undefined || host.silent ? { unavailable: 'no' } : { nodes };
  if (question === 'binary') return { machine: 'x86_64', version: mustParseVersion(runs) };
  throw new Error(`nobody asks ${key}`);
}

class Round {
  readonly source;
  readonly #fleet: Fleet;
  readonly #steps: readonly string[];

  private constructor(
    private readonly hosts: readonly Host[],
    fleet: Fleet,
    { wish, steps = [] }: Situation,
  ) {
    this.#steps = steps;
    this.#fleet = fleet;
    this.source = clusterWaves(fleet, clusterOf(fleet), {
      tolerateDown: false,
      forceBootstrap: false,
      limit: undefined,
      atAnyTime: false,
      clock: () => new Date('2026-11-21T04:00:00Z'),
      ...wish,
    });
  }

  static async of(situation: Situation): Promise<Round> {
    const view = await nodesOf(situation);
    const { fleet } = view('s1');
    return new Round([...fleet.hosts.values()], fleet, situation);
  }

  get play(): Play {
    return {
      name: 'p',
      hosts: this.hosts,
      tasks: this.#steps.map((name) => ({ kind: 'task', step: { name } })) as unknown as Play['tasks'],
      handlers: [],
      vars: {},
      serial: [],
      anyErrorsFatal: false,
    };
  }

  async next({ hosts, nodes, previews = {}, failed = [] }: Situation): Promise<Rollout | Stop> {
    const told = nodes?.map(nodeOf);
    const outlook: Outlook = {
      play: this.play,
      failed,
      previews: this.hosts
        .filter(({ name }) => !failed.includes(name))
        .map((host) => ({ host, intents: [], ...previews[host.name] })),
      ask: async (name, fact) => {
        const pretended = hosts[name];
        const role = this.#fleet.groups.get('server')?.hosts.includes(name) === true ? 'server' : 'agent';
        return pretended === undefined
          ? undefined
          : (answerOf(name, role, pretended, told, fact.key) as never);
      },
      control: async () => undefined,
    };
    return this.source.next(outlook);
  }
}

async function decided(situation: Situation): Promise<Rollout | Stop> {
  return (await Round.of(situation)).next(situation);
}

const wavesIn = (answer: Rollout | Stop): string[] | string =>
  answer.verdict === 'stop'
    ? `stop ${answer.failed.join(' ')}${answer.error?.code ?? ''}`
    : answer.waves.map(({ kind, hosts }) => `${kind} ${hosts.join(' ')}`);

const restarts = { intents: [{ step: 'k3s_service', changes: true }] };
const live = {
  intents: [
    { step: 'k3s_images', changes: true },
    { step: 'k3s_ready', changes: false },
  ],
};
const failing = (failsIn: string): Partial<PreviewedHost> => ({
  failsIn,
  error: new FleetError({ code: 'REFUSED', message: `no: ${failsIn}` }),
});

const three = { servers: ['s1', 's2', 's3'], agents: ['a1', 'a2', 'a3', 'a4'] };
const nodes = [...three.servers, ...three.agents].map((name) => member(name));
const running = Object.fromEntries([...three.servers, ...three.agents].map((name) => [name, {}]));
const whole = { ...three, hosts: running, nodes };

describe('what is to be done', () => {
  it('where nothing is, is nothing', async () => {
    expect(wavesIn(await decided(whole))).toEqual([]);
  });

  it('a reboot into a system with another policy is no less than a restart: one server after the other', async () => {
    const reboots = { intents: [{ step: 'k3s_policy_boot', changes: true }] };
    const previews = { s1: reboots, s3: reboots, a2: reboots };
    expect(wavesIn(await decided({ ...whole, previews }))).toEqual([
      'restart s1',
      'restart s3',
      'restart a2',
    ]);
  });

  it('fresh hosts begin a cluster, join it one by one, and as agents together; their steps may fail until then', async () => {
    const fresh = { state: 'absent', data: 'none' } as const;
    const hosts = Object.fromEntries(Object.keys(running).map((name) => [name, fresh]));
    const previews = Object.fromEntries(
      Object.keys(running).map((name) => [name, name.startsWith('a') ? failing('k3s_install') : restarts]),
    );
    expect(wavesIn(await decided({ ...three, hosts, previews }))).toEqual([
      'bootstrap s1',
      'join s2',
      'join s3',
      'join a1 a2 a3 a4',
    ]);
    // One agent that is away, and never was there, holds nobody up.
    const { a4: _, ...others } = hosts;
    expect(wavesIn(await decided({ ...three, hosts: others, previews }))).toContain('join a1 a2 a3');
  });

  it('restarts go one server at a time and in batches of agents, what needs none on all at once', async () => {
    const previews = { s2: restarts, s1: live, a1: restarts, a2: restarts, a3: live };
    expect(wavesIn(await decided({ ...whole, previews }))).toEqual([
      'restart s2',
      'restart a1',
      'restart a2',
      'live s1 a3',
    ]);
    expect(wavesIn(await decided({ ...whole, previews, vars: { agent_batch: 2, canary: ['a2'] } }))).toEqual([
      'restart s2',
      'restart a2',
      'restart a1',
      'live s1 a3',
    ]);
  });

  it('a step that nobody here knows counts as a restart', async () => {
    expect(
      wavesIn(
        await decided({ ...whole, previews: { s3: { intents: [{ step: 'command', changes: true }] } } }),
      ),
    ).toEqual(['restart s3']);
  });

  it('stopped servers are started together, whatever their previews say', async () => {
    const hosts = {
      ...running,
      s1: { state: 'inactive' },
      s2: { state: 'failed' },
      s3: { state: 'inactive' },
    };
    const previews = { s1: restarts, s2: restarts, s3: restarts };
    expect(wavesIn(await decided({ ...three, hosts, previews }))).toEqual(['start s1 s2 s3']);
  });

  it('an agent among the servers is converted by what its other unit says', async () => {
    const hosts = {
      ...running,
      s3: { state: 'absent', data: 'none', otherRole: true, otherState: 'active' } as const,
    };
    const known = nodes
      .filter(({ name }) => name !== 's3')
      .concat(member('s3', { controlPlane: false, etcdVoter: undefined }));
    expect(wavesIn(await decided({ ...three, hosts, nodes: known, previews: { s3: restarts } }))).toEqual([
      'convert s3',
    ]);
  });

  it('nodes are found by the name that the kernel has, and without flannel one that waits for its network is well', async () => {
    const vars = { extra_server_args: '--flannel-backend=none' };
    const waiting = { ready: false, readyMessage: 'cni plugin not initialized: NetworkPluginNotReady' };
    const known = nodes.map((node) => (node.name?.startsWith('s') ? { ...node, ...waiting } : node));
    const previews = { s1: restarts };
    expect(wavesIn(await decided({ ...whole, vars, nodes: known, previews }))).toEqual(['restart s1']);
    expect(wavesIn(await decided({ ...whole, nodes: known, previews }))).not.toEqual(['restart s1']);
  });

  it('a release on disk that does not run yet is not what runs', async () => {
    const hosts = {
      ...running,
      s1: { newer: [binary], silent: true },
      s2: { silent: true },
      s3: { silent: true },
    };
    const previews = { s1: restarts };
    // No API tells: s2 and s3 run what is on their disk, s1 what was there before.
    expect(wavesIn(await decided({ ...three, hosts, previews }))).not.toContain('upgrade s1');
  });
});

describe('what ends it', () => {
  it('a server whose steps refuse, before anything is changed; its own words tell why', async () => {
    const previews = { s1: failing('k3s_binary'), s2: restarts };
    expect(wavesIn(await decided({ ...whole, previews }))).toBe('stop s1');
  });

  it('not a restart that its step refuses for the quorum: that is the planner’s to keep', async () => {
    const hosts = { ...running, s2: { state: 'inactive' } };
    const known = nodes.map((node) =>
      node.name === 's2' ? { ...node, ready: false, etcdVoter: false } : node,
    );
    const previews = { s1: failing('k3s_service'), s2: restarts };
    expect(wavesIn(await decided({ ...three, hosts, nodes: known, previews }))).toEqual([
      'start s2',
      'restart s1',
    ]);
  });

  it('not an agent whose steps refuse: it is out, and the others go on', async () => {
    const previews = { a1: failing('k3s_images'), a2: restarts };
    const answer = await decided({ ...whole, previews });
    expect([wavesIn(answer), answer.failed]).toEqual([['restart a2'], ['a1']]);
  });

  it('a server or a canary that failed; other agents as soon as they are more than may be away', async () => {
    const previews = { a3: restarts, a4: restarts };
    const failedOn = (failed: readonly string[], vars = {}) => decided({ ...whole, previews, failed, vars });
    expect(wavesIn(await failedOn(['s1']))).toBe('stop ');
    expect(wavesIn(await failedOn(['a1'], { canary: ['a1'], max_unavailable: 4 }))).toBe('stop ');
    expect(wavesIn(await failedOn(['a1'], { max_unavailable: 2 }))).toEqual(['restart a3', 'restart a4']);
    expect(wavesIn(await failedOn(['a1', 'a2'], { max_unavailable: 2 }))).toBe('stop TOO_MANY_UNAVAILABLE');
  });

  it('a node that cannot be reached, unless that may be', async () => {
    const { a4: _, ...hosts } = running;
    const situation = { ...whole, hosts, previews: { a1: restarts } };
    expect(wavesIn(await decided(situation))).toBe('stop UNREACHABLE');
    expect(wavesIn(await decided({ ...situation, wish: { tolerateDown: true } }))).toEqual(['restart a1']);
  });

  it('one that dies on the way is a failure among those that are allowed', async () => {
    const { a4: _, ...hosts } = running;
    const situation = { ...whole, vars: { max_unavailable: 2 }, previews: { a1: restarts } };
    const round = await Round.of(situation);
    await round.next(situation);
    const lost = { error: new FleetError({ code: 'CONNECTION_LOST', message: 'gone' }) };
    const answer = await round.next({ ...situation, hosts, previews: { ...situation.previews, a4: lost } });
    expect([wavesIn(answer), answer.failed]).toEqual([['restart a1'], ['a4']]);
    // From then on it is known to have failed.
    expect(wavesIn(await round.next({ ...situation, hosts, failed: ['a4'] }))).toEqual(['restart a1']);
  });
});

describe('when it may be done', () => {
  const previews = { s2: restarts, s1: restarts, a1: restarts };
  const vars = {
    maintenance_window: 'Sat 02:00-05:00 Europe/Berlin',
    pause_after: { canary: '10m', servers: 'ask' },
    canary: ['s2'],
  };
  const at = (clock: string, more: Partial<Situation> = {}) =>
    decided({
      ...whole,
      previews,
      vars,
      steps: ['k3s_service'],
      ...more,
      wish: { clock: () => new Date(clock), ...more.wish },
    });
  const held = (answer: Rollout | Stop): string | undefined =>
    answer.verdict === 'waves' && answer.held !== undefined
      ? `${answer.held.error.code} ${answer.held.wave.hosts} ${answer.waves.indexOf(answer.held.wave)}`
      : undefined;

  it('in the maintenance window, or with --now, or by a play that only reboots', async () => {
    expect(held(await at('2026-11-21T01:00:00Z'))).toBeUndefined();
    expect(held(await at('2026-11-21T04:00:00Z'))).toBe('OUTSIDE_WINDOW s2 0');
    expect(held(await at('2026-11-21T04:00:00Z', { wish: { atAnyTime: true } }))).toBeUndefined();
    expect(held(await at('2026-11-21T04:00:00Z', { steps: ['reboot'] }))).toBeUndefined();
  });

  it('with the pauses that the inventory wants, which the plan tells', async () => {
    const answer = await at('2026-11-21T01:00:00Z');
    const waves = answer.verdict === 'waves' ? answer.waves : [];
    expect(waves.map(({ hosts, pause }) => [hosts.join(), pause])).toEqual([
      ['s2', { after: 'the canary s2', asks: false, durationMs: 600_000 }],
      ['s1', { after: 'the servers', asks: true, durationMs: undefined }],
      ['a1', undefined],
    ]);
    expect(waves.map(({ awaits }) => awaits.at(-1))).toEqual([
      'a pause of 10 min',
      'your word, or where nobody can be asked the next run',
      'a1 Ready',
    ]);
  });
});

describe('what is waited for behind a wave', () => {
  it('each host that it names, asked once: a server of itself, an agent of a server that answers', async () => {
    const situation = { ...whole, previews: { s2: restarts, a1: restarts } };
    const round = await Round.of(situation);
    const answer = await round.next({ ...situation, hosts: { ...running, s1: { silent: true } } });
    const quiet = answer.verdict === 'waves' ? answer.waves : [];
    const gatesOf = (kind: string, host: string) =>
      quiet
        .filter((wave) => wave.kind === kind && wave.hosts.includes(host))
        .flatMap((wave) => round.source.gates(round.play, wave))
        .map((gate) => `${gate.host} on ${gate.askedOn}: ${gate.wait.what}`);
    expect(gatesOf('restart', 's2').filter((text) => text.startsWith('s2'))).toEqual([
      's2 on s2: s2 to be Ready and a voter in etcd',
      's2 on s2: the API of s2 to be ready',
    ]);
    expect(gatesOf('restart', 'a1')).toEqual(['a1 on s2: a1 to be Ready']);
  });

  // The first server of a cluster is Ready seconds before its member is known to vote, and until then nobody can join it.
  it('a first server whose node does not say yet that its member votes', async () => {
    const blank = { state: 'absent', data: 'none' } as const;
    const fresh = {
      servers: three.servers,
      hosts: { s1: blank, s2: blank, s3: blank },
      previews: { s1: restarts },
    };
    const round = await Round.of(fresh);
    const answer = await round.next(fresh);
    const [wave] = answer.verdict === 'waves' ? answer.waves : [];
    if (wave === undefined) throw new Error('a cluster is to begin');
    const gate = round.source.gates(round.play, wave).find(({ wait }) => wait.fact.key === 'k3s:nodes');
    const node = nodeOf(member('s1', { etcdVoter: undefined }));
    expect(gate?.wait.holds({ nodes: [node] })).toMatch(/not known yet/);
    expect(gate?.wait.holds({ nodes: [{ ...node, etcdVoter: true }] })).toBe(true);
  });
});
