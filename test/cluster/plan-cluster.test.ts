import { describe, expect, it } from 'vitest';
import type {
  ClusterPlan,
  Datastore,
  DesiredCluster,
  ObservedCluster,
  ObservedHost,
  ObservedNode,
  Policy,
} from '../../src/cluster/cluster-plan.ts';
import { planCluster } from '../../src/cluster/plan-cluster.ts';
import type { Role } from '../../src/k3s/paths.ts';

const v31 = 'v1.31.5+k3s1';
const v32 = 'v1.32.3+k3s1';
const v32k2 = 'v1.32.3+k3s2';
const v33 = 'v1.33.4+k3s1';
const v34 = 'v1.34.1+k3s1';
const v35 = 'v1.35.0+k3s1';

/** How a host is found, and, where a field says so, what is wanted of it; all else is as the rest of the cluster. */
interface Found {
  /** What it has of a server's data; none: it has nothing at all. */
  data?: ObservedHost['data'];
  service?: ObservedHost['service'];
  installed?: Role | undefined;
  version?: string;
  pending?: ObservedHost['pending'];
  ca?: string;
  /** `undefined`: the cluster has no such node. */
  node?: Partial<ObservedNode> | undefined;
  wants?: string | undefined;
  holdsEtcd?: boolean;
  api?: boolean;
}

/** It does not answer, though the cluster may know its node. */
interface Away {
  away: true;
  node?: Partial<ObservedNode>;
}

const blank: Found = {
  data: 'none',
  service: 'absent',
  installed: undefined,
  pending: 'restart',
  node: undefined,
};
const well: Found = {};
const busy: Found = { pending: 'restart' };
const live: Found = { pending: 'live' };
const stopped: Found = {
  service: 'inactive',
  pending: 'restart',
  api: false,
  node: { ready: false, etcdVoter: false },
};
const wiped: Found = { ...blank, node: { ready: false, etcdVoter: false } };
const away: Away = { away: true };
const gone: Away = { away: true, node: { ready: false, etcdVoter: false } };
const down: Found = { node: { ready: false } };

interface Situation {
  servers: Record<string, Found | Away>;
  agents?: Record<string, Found | Away>;
  /** What the inventory asks for. */
  version?: string | undefined;
  /** What runs where a host does not say otherwise. */
  runs?: string;
  datastore?: Datastore;
  /** No server's API answers; left open, one does where a server is well. */
  silent?: boolean;
  strangers?: readonly Partial<ObservedNode>[];
  policy?: Partial<Policy>;
}

const easy: Policy = {
  agentBatch: '25%',
  maxUnavailable: '50%',
  tolerateDown: false,
  forceBootstrap: false,
  canary: [],
  limit: undefined,
};

function planned(situation: Situation): ClusterPlan {
  const { desired, observed } = described(situation);
  return planCluster(desired, observed, { ...easy, ...situation.policy });
}

function described(situation: Situation): { desired: DesiredCluster; observed: ObservedCluster } {
  const { servers, agents = {}, runs = v32, strangers = [] } = situation;
  const version = 'version' in situation ? situation.version : runs;
  const datastore = situation.datastore ?? (Object.keys(servers).length > 1 ? 'etcd' : 'sqlite');
  const hosts = new Map<string, ObservedHost>();
  const nodes: ObservedNode[] = [];
  const readyApis: string[] = [];
  const desiredOf = (role: Role) => (name: string) => {
    const found = { ...servers, ...agents }[name] ?? well;
    if ('away' in found) {
      if (found.node !== undefined) nodes.push(nodeOf(name, role, datastore, runs, found.node));
      return { host: name, nodeName: name, role, version, holdsEtcd: role === 'server' };
    }
    const usual = role === 'agent' ? 'none' : datastore;
    const { data = usual, service = 'active', pending = 'nothing' } = found;
    const installedRole = 'installed' in found ? found.installed : role;
    const running = service === 'active' ? (found.version ?? runs) : undefined;
    hosts.set(name, {
      installedRole,
      service,
      pending,
      data,
      runningVersion: running,
      lastVersion: installedRole === undefined ? undefined : (found.version ?? runs),
      caHash: data === 'none' ? undefined : (found.ca ?? 'a').repeat(64),
    });
    if (!('node' in found) || found.node !== undefined)
      nodes.push(nodeOf(name, installedRole ?? role, datastore, found.version ?? runs, { ...found.node }));
    if (role === 'server' && data !== 'none' && found.api !== false && service === 'active')
      readyApis.push(name);
    const wants = 'wants' in found ? found.wants : version;
    return {
      host: name,
      nodeName: name,
      role,
      version: wants,
      holdsEtcd: found.holdsEtcd ?? role === 'server',
    };
  };
  const desired: DesiredCluster = {
    servers: Object.keys(servers).map(desiredOf('server')),
    agents: Object.keys(agents).map(desiredOf('agent')),
    datastore,
  };
  nodes.push(...strangers.map((one) => nodeOf(one.name ?? 'stranger', 'server', datastore, runs, one)));
  const isSilent = situation.silent ?? readyApis.length === 0;
  return {
    desired,
    observed: { hosts, nodes: isSilent ? undefined : nodes, readyApis: isSilent ? [] : readyApis },
  };
}

function nodeOf(
  name: string,
  role: Role,
  datastore: Datastore,
  version: string,
  more: Partial<ObservedNode>,
): ObservedNode {
  return {
    name,
    ready: true,
    version,
    role,
    unschedulable: false,
    cordonedByFleet: false,
    ...more,
    etcdVoter:
      (more.role ?? role) === 'server' && datastore === 'etcd' ? (more.etcdVoter ?? true) : undefined,
  };
}

/** The waves as `kind hosts`, or the code of the refusal. */
function shown(plan: ClusterPlan): string[] | string {
  if (plan.verdict === 'refused') return plan.code;
  return plan.waves.map(({ kind, hosts }) => `${kind} ${hosts.join(' ')}`);
}

type Example = [what: string, situation: Situation, outcome: string[] | string];

const three = { s1: well, s2: well, s3: well };

describe('a cluster begins', () => {
  it.each<Example>([
    ['with one server', { servers: { s1: blank } }, ['bootstrap s1']],
    [
      'with the first of three, then the others one by one, then all agents',
      { servers: { s1: blank, s2: blank, s3: blank }, agents: { a1: blank, a2: blank } },
      ['bootstrap s1', 'join s2', 'join s3', 'join a1 a2'],
    ],
    [
      'on a database elsewhere, with one alone',
      { servers: { s1: blank, s2: blank }, datastore: 'external' },
      ['bootstrap s1', 'join s2'],
    ],
    [
      'never while a server does not answer',
      { servers: { s1: blank, s2: away }, policy: { tolerateDown: true } },
      'CLUSTER_MAY_BE_AWAY',
    ],
    [
      'unless somebody knows better',
      { servers: { s1: blank, s2: away }, policy: { tolerateDown: true, forceBootstrap: true } },
      ['bootstrap s1'],
    ],
    [
      'never while an agent does not answer, for it may have been the server',
      { servers: { s1: blank }, agents: { a1: away }, policy: { tolerateDown: true } },
      'CLUSTER_MAY_BE_AWAY',
    ],
    [
      'never while a server runs one that the inventory now calls an agent',
      { servers: { s1: blank }, agents: { a1: { data: 'sqlite', installed: 'server' } } },
      'LAST_SERVER',
    ],
    [
      'with a server that holds etcd',
      { servers: { s1: { ...blank, holdsEtcd: false }, s2: blank } },
      'NO_ETCD_SERVER',
    ],
    [
      'only with the host that begins it',
      { servers: { s1: blank, s2: blank }, policy: { limit: ['s2'] } },
      'LIMIT_ORDER',
    ],
  ])('%s', (_what, situation, outcome) => {
    expect(shown(planned(situation))).toEqual(outcome);
  });
});

describe('a cluster that is there', () => {
  it.each<Example>([
    ['is left alone where nothing is to be done', { servers: three, agents: { a1: well } }, []],
    [
      'is joined by a first server that was wiped',
      { servers: { s1: wiped, s2: well, s3: well } },
      ['join s1'],
    ],
    [
      'is joined by new servers one at a time',
      { servers: { ...three, s4: blank, s5: blank } },
      ['join s4', 'join s5'],
    ],
    [
      'is joined by whom it misses before anybody is restarted',
      { servers: { s1: busy, s2: busy, s3: wiped, s4: blank } },
      ['join s3', 'join s4', 'restart s1', 'restart s2'],
    ],
    [
      'moves from SQLite to etcd before it grows',
      { servers: { s1: { ...busy, data: 'sqlite' }, s2: blank, s3: blank } },
      ['migrate s1', 'join s2', 'join s3'],
    ],
    [
      'does not move to etcd while the limit leaves its server out',
      { servers: { s1: { ...busy, data: 'sqlite' }, s2: blank }, policy: { limit: ['s2'] } },
      'LIMIT_ORDER',
    ],
    ['is not two', { servers: { s1: well, s2: { ca: 'b' }, s3: well } }, 'TWO_CLUSTERS'],
    [
      'is not two, even if one of them is to become an agent',
      { servers: { s1: well, s2: well }, agents: { a1: { data: 'sqlite', installed: 'server', ca: 'b' } } },
      'TWO_CLUSTERS',
    ],
    [
      'is not two on SQLite either',
      { servers: { s1: { data: 'sqlite', pending: 'restart' }, s2: { data: 'sqlite', pending: 'restart' } } },
      'OWN_DATA',
    ],
    [
      'does not move to another database by itself',
      { servers: { s1: { data: 'etcd' }, s2: { data: 'etcd' } }, datastore: 'external' },
      'DATASTORE_CHANGED',
    ],
    [
      'does not leave its database by itself',
      { servers: { s1: { data: 'external' }, s2: { data: 'external' } }, datastore: 'etcd' },
      'DATASTORE_CHANGED',
    ],
    [
      'has its members outlive disable-etcd',
      { servers: { ...three, s3: { ...busy, holdsEtcd: false } } },
      'ETCD_DROPPED',
    ],
    [
      'is not begun anew where an API answers though nobody has data',
      { servers: { s1: blank }, strangers: [{ name: 'x' }], silent: false },
      'CLUSTER_ELSEWHERE',
    ],
  ])('%s', (_what, situation, outcome) => {
    expect(shown(planned(situation))).toEqual(outcome);
  });
});

describe('servers', () => {
  it.each<Example>([
    [
      'are restarted one at a time',
      { servers: { s1: busy, s2: busy, s3: busy } },
      ['restart s1', 'restart s2', 'restart s3'],
    ],
    [
      'are upgraded one at a time, the one that an earlier run began first, then the canary',
      {
        servers: { s1: busy, s2: busy, s3: { ...busy, node: { cordonedByFleet: true } }, s4: busy, s5: busy },
        version: v33,
        policy: { canary: ['s5'] },
      },
      ['upgrade s3', 'upgrade s5', 'upgrade s1', 'upgrade s2', 'upgrade s4'],
    ],
    [
      'that are stopped start together while the others hold the quorum',
      { servers: { s1: busy, s2: well, s3: stopped, s4: stopped, s5: well } },
      ['start s3 s4', 'restart s1'],
    ],
    [
      'start together where the quorum is lost',
      { servers: { s1: stopped, s2: stopped, s3: stopped }, agents: { a1: busy } },
      ['start s1 s2 s3', 'restart a1'],
    ],
    [
      'start without the one that does not answer',
      { servers: { s1: stopped, s2: stopped, s3: away }, policy: { tolerateDown: true } },
      ['start s1 s2'],
    ],
    [
      'that are not well yet are awaited before others are touched',
      { servers: { s1: busy, s2: { service: 'activating', pending: 'live', api: false }, s3: well } },
      ['start s2', 'restart s1'],
    ],
    [
      'that are not well and need a restart get it before those that are',
      { servers: { s1: busy, s2: { ...busy, api: false }, s3: well } },
      ['restart s2', 'restart s1'],
    ],
    [
      'are not touched while one of three is away',
      { servers: { s1: busy, s2: well, s3: gone }, policy: { tolerateDown: true } },
      'QUORUM_AT_RISK',
    ],
    [
      'are not touched while a member that nobody lists is away',
      { servers: { s1: busy, s2: well }, strangers: [{ name: 's3', ready: false, etcdVoter: false }] },
      'QUORUM_AT_RISK',
    ],
    [
      'are touched while one of five is away, if somebody tolerates that',
      { servers: { s1: busy, s2: well, s3: well, s4: well, s5: gone }, policy: { tolerateDown: true } },
      ['restart s1'],
    ],
    ['that do not answer are named up front', { servers: { s1: well, s2: well, s3: gone } }, 'UNREACHABLE'],
    [
      'two of them are restarted though each is needed',
      { servers: { s1: busy, s2: busy } },
      ['restart s1', 'restart s2'],
    ],
    ['one of them is restarted though it is the only one', { servers: { s1: busy } }, ['restart s1']],
    [
      'on a database elsewhere go one at a time, whoever is away',
      {
        servers: { s1: busy, s2: gone, s3: busy },
        datastore: 'external',
        policy: { tolerateDown: true },
      },
      ['restart s1', 'restart s3'],
    ],
    [
      'join only where no other is on its way in',
      { servers: { s1: well, s2: well, s3: well, s4: gone, s5: blank }, policy: { tolerateDown: true } },
      'MEMBER_NOT_WELL',
    ],
    [
      'that lost their quorum for good are not guessed at',
      { servers: { s1: { service: 'activating', pending: 'live' }, s2: wiped, s3: wiped }, silent: true },
      'QUORUM_LOST',
    ],
    [
      'end the run when work on one failed',
      { servers: { s1: busy, s2: busy, s3: well }, policy: { failed: ['s1'] } },
      'SERVER_FAILED',
    ],
    [
      'outside the limit are not started',
      { servers: { s1: stopped, s2: stopped }, agents: { a1: busy }, policy: { limit: ['a1'] } },
      'LIMIT_ORDER',
    ],
  ])('%s', (_what, situation, outcome) => {
    expect(shown(planned(situation))).toEqual(outcome);
  });
});

describe('releases', () => {
  const newer = { servers: { s1: busy, s2: busy, s3: busy }, agents: { a1: busy } };
  it.each<Example>([
    ['go up one minor', { ...newer, version: v33 }, ['upgrade s1', 'upgrade s2', 'upgrade s3', 'upgrade a1']],
    [
      'go up by +k3s2',
      { ...newer, version: v32k2 },
      ['upgrade s1', 'upgrade s2', 'upgrade s3', 'upgrade a1'],
    ],
    ['skip no minor', { ...newer, version: v34 }, 'MINOR_SKIPPED'],
    ['do not go back a minor', { ...newer, version: v31 }, 'MINOR_DOWNGRADE'],
    [
      'skip no minor while the server is stopped either',
      { servers: { s1: { ...stopped, version: v32 } }, version: v34 },
      'MINOR_SKIPPED',
    ],
    [
      'go on where an upgrade was broken off',
      { servers: { s1: { version: v33 }, s2: busy, s3: busy }, version: v33 },
      ['upgrade s2', 'upgrade s3'],
    ],
    [
      'leave no server two minors behind that is away',
      {
        servers: { s1: { ...busy, version: v33 }, s2: well, s3: well, s4: well, s5: gone },
        version: v34,
        policy: { limit: ['s1', 's5'], tolerateDown: true },
      },
      'MINOR_SKIPPED',
    ],
    [
      'leave no server two minors behind that nobody lists',
      {
        servers: { s1: { ...busy, version: v33 } },
        version: v34,
        strangers: [{ name: 'old', version: v32 }],
      },
      'MINOR_SKIPPED',
    ],
    [
      'do not change while nobody can say what an absent server runs',
      { servers: { s1: stopped, s2: stopped, s3: away }, version: v33, policy: { tolerateDown: true } },
      'VERSION_UNKNOWN',
    ],
    [
      'of a server that joins are not older',
      { servers: { s1: { wants: v33 }, s2: blank }, runs: v33, version: v32 },
      'MINOR_DOWNGRADE',
    ],
    [
      'of agents are never newer than a server that the limit leaves out',
      { ...newer, version: v33, policy: { limit: ['a1'] } },
      'AGENT_NEWER',
    ],
    [
      'of agents are never newer than a server that is away',
      {
        servers: { s1: busy, s2: busy, s3: busy, s4: busy, s5: gone },
        agents: { a1: busy },
        version: v33,
        policy: { tolerateDown: true },
      },
      'AGENT_NEWER',
    ],
    [
      'of agents are never newer than a server that is away and is to become an agent',
      {
        servers: { s1: busy, s2: busy, s3: busy, s4: busy },
        agents: { s5: { away: true, node: { role: 'server', ready: false } }, a1: busy },
        version: v33,
        policy: { tolerateDown: true },
      },
      'AGENT_NEWER',
    ],
    [
      'of servers do not leave an agent four minors behind',
      { servers: { s1: busy }, runs: v34, version: v35, agents: { a1: { version: v31, wants: v31 } } },
      'AGENT_TOO_OLD',
    ],
    [
      'are not asked for by a reboot',
      { servers: { s1: busy, s2: busy, s3: busy }, version: undefined },
      ['restart s1', 'restart s2', 'restart s3'],
    ],
  ])('%s', (_what, situation, outcome) => {
    expect(shown(planned(situation))).toEqual(outcome);
  });
});

describe('a refusal', () => {
  const mayPass = (situation: Situation): boolean => {
    const plan = planned(situation);
    if (plan.verdict !== 'refused') throw new Error('nothing is refused');
    return plan.mayPass === true;
  };
  const notReady: Found = { ...busy, api: false, node: { ready: false } };

  it.each<[string, Situation]>([
    ['servers that run and are not ready', { servers: { s1: notReady, s2: notReady, s3: notReady } }],
    [
      'agents that are not Ready',
      { servers: { s1: well }, agents: { a1: busy, a2: down, a3: down, a4: well } },
    ],
  ])('for %s may pass while they are prepared', (_what, situation) => {
    expect(mayPass(situation)).toBe(true);
  });

  it.each<[string, Situation]>([
    ['two clusters', { servers: { s1: well, s2: { ca: 'b' }, s3: well } }],
    [
      'a quorum that a host which is away would be needed for',
      { servers: { s1: busy, s2: well, s3: gone }, policy: { tolerateDown: true } },
    ],
    [
      'agents that do not answer',
      {
        servers: { s1: well },
        agents: { a1: busy, a2: gone, a3: well },
        policy: { maxUnavailable: 1, limit: ['s1', 'a1'] },
      },
    ],
    [
      'agents that failed in this run',
      {
        servers: { s1: well },
        agents: { a1: busy, a2: busy, a3: busy, a4: busy },
        policy: { failed: ['a1', 'a2'] },
      },
    ],
  ])('for %s is final', (_what, situation) => {
    expect(mayPass(situation)).toBe(false);
  });
});

describe('agents', () => {
  const eight = Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`a${index + 1}`, busy]));
  it.each<Example>([
    [
      'go in batches',
      { servers: { s1: well }, agents: eight },
      ['restart a1 a2', 'restart a3 a4', 'restart a5 a6', 'restart a7 a8'],
    ],
    [
      'go in smaller batches where some are not Ready already',
      { servers: { s1: well }, agents: { ...eight, a1: down, a2: down, a3: down } },
      ['restart a4', 'restart a5', 'restart a6', 'restart a7', 'restart a8'],
    ],
    [
      'that are down go first, for they cannot get worse',
      {
        servers: { s1: well },
        agents: { a1: busy, a2: busy, a3: { ...busy, node: { ready: false } }, a4: well },
      },
      ['restart a3', 'restart a1', 'restart a2'],
    ],
    [
      'whose Nodes were deleted are away already: all of them at once, before the others',
      {
        servers: { s1: well },
        agents: { a1: busy, a2: { ...busy, node: undefined }, a3: { ...busy, node: undefined }, a4: well },
      },
      ['restart a2 a3', 'restart a1'],
    ],
    [
      'wait while more are away than may be',
      { servers: { s1: well }, agents: { a1: busy, a2: down, a3: down, a4: well } },
      'TOO_MANY_UNAVAILABLE',
    ],
    [
      'that failed in this run count as away',
      {
        servers: { s1: well },
        agents: { a1: busy, a2: busy, a3: busy, a4: busy },
        policy: { failed: ['a1', 'a2'] },
      },
      'TOO_MANY_UNAVAILABLE',
    ],
    [
      'go one at a time where none may be away',
      { servers: { s1: well }, agents: { a1: busy, a2: busy }, policy: { maxUnavailable: 0, agentBatch: 2 } },
      ['restart a1', 'restart a2'],
    ],
    [
      'have the canary go first, alone',
      { servers: { s1: well }, agents: eight, policy: { canary: ['a5'], agentBatch: 4, maxUnavailable: 4 } },
      ['restart a5', 'restart a1 a2 a3 a4', 'restart a6 a7 a8'],
    ],
    [
      'that do not answer are named up front',
      { servers: { s1: well }, agents: { a1: busy, a2: away } },
      'UNREACHABLE',
    ],
    [
      'that do not answer are left out where that is tolerated',
      { servers: { s1: well }, agents: { a1: busy, a2: gone }, policy: { tolerateDown: true } },
      ['restart a1'],
    ],
    [
      'that were set up anew join, whatever they ran before',
      {
        servers: { s1: well },
        runs: v32,
        agents: { a1: { ...wiped, node: { ready: false, version: v33 } } },
      },
      ['join a1'],
    ],
    [
      'that need no restart are done at the end, all at once',
      { servers: { s1: live, s2: busy, s3: live }, agents: { a1: live, a2: busy } },
      ['restart s2', 'restart a2', 'live s1 s3 a1'],
    ],
    [
      'that an earlier run left cordoned are uncordoned first',
      {
        servers: { s1: busy },
        agents: { a1: { ...live, node: { unschedulable: true, cordonedByFleet: true } } },
      },
      ['uncordon a1', 'restart s1'],
    ],
    [
      'that somebody else cordoned stay so',
      { servers: { s1: well }, agents: { a1: { node: { unschedulable: true } } } },
      [],
    ],
  ])('%s', (_what, situation, outcome) => {
    expect(shown(planned(situation))).toEqual(outcome);
  });
});

describe('a node changes its role', () => {
  const agent: Found = { ...busy, installed: 'agent', data: 'none', node: { role: 'agent' } };
  const server: Found = { ...busy, installed: 'server', data: 'etcd', node: { role: 'server' } };
  it.each<Example>([
    ['an agent becomes a server', { servers: { s1: well, s2: well, a1: agent } }, ['convert a1']],
    [
      'one steps down after another has come',
      { servers: { s1: well, s2: well, a1: agent }, agents: { s3: voting(server) } },
      ['convert a1', 'convert s3'],
    ],
    ['a server steps down', { servers: three, agents: { s4: voting(server) } }, ['convert s4']],
    [
      'a server does not step down where the others have no quorum',
      { servers: { s1: well, s2: gone }, agents: { s3: voting(server) }, policy: { tolerateDown: true } },
      'QUORUM_AT_RISK',
    ],
    [
      'a dead member that is an agent now goes before anybody is restarted',
      {
        servers: { s1: busy, s2: busy },
        agents: { s3: { ...blank, node: { role: 'server', ready: false, etcdVoter: false } } },
      },
      ['convert s3', 'restart s1', 'restart s2'],
    ],
    [
      'the only server does not step down',
      { servers: { s1: blank }, agents: { s2: voting(server) } },
      'LAST_SERVER',
    ],
    [
      'who steps down is not newer than who does so after it',
      {
        servers: { s1: { version: v33 } },
        agents: { s2: voting(server), s3: voting(server) },
        version: v33,
        datastore: 'etcd',
      },
      'AGENT_NEWER',
    ],
  ])('%s', (_what, situation, outcome) => {
    expect(shown(planned(situation))).toEqual(outcome);
  });

  function voting(found: Found): Found {
    return { ...found, node: { ...found.node, etcdVoter: true } };
  }
});

/** Each of these once went wrong in `random-clusters.test.ts`. */
describe('found by random clusters', () => {
  const activating: Found = {
    service: 'activating',
    pending: 'restart',
    api: false,
    node: { ready: false, etcdVoter: false },
  };
  it.each<Example>([
    [
      'an API that is slow to answer does not cost three members their quorum',
      { servers: { s1: activating, s2: activating, s3: activating }, silent: true },
      'API_SILENT',
    ],
    [
      'nor two, for they may be the quorum of three',
      { servers: { s1: activating, s2: activating, s3: away }, silent: true, policy: { tolerateDown: true } },
      'API_SILENT',
    ],
    [
      'what runs without an API counts once those that are stopped have started',
      { servers: { s1: activating, s2: stopped, s3: activating, s4: stopped }, silent: true },
      ['start s2 s4', 'restart s1', 'restart s3'],
    ],
    [
      'what would be refused afterwards does not keep a lost quorum from coming back',
      {
        servers: { s2: stopped, s3: stopped, s4: activating },
        agents: { s1: { ...stopped, installed: 'server', data: 'etcd' } },
        silent: true,
        version: v32k2,
      },
      ['start s2 s3'],
    ],
    [
      'a learner that needs a restart gets it before another joins',
      { servers: { s1: well, s2: activating, s3: blank } },
      ['restart s2', 'join s3'],
    ],
    [
      'a server that was uninstalled half-way and is to be an agent is not newer than a server that nobody lists',
      {
        servers: { s1: { version: v33 } },
        agents: { s2: { ...blank, installed: 'server', service: 'inactive', version: v33 } },
        version: v33,
        strangers: [{ name: 's4', version: v32 }],
      },
      'AGENT_NEWER',
    ],
    [
      'a machine that was set up anew is not newer than the server that steps down after it',
      {
        servers: { s1: { version: v33 }, s4: { version: v33 }, s5: { version: v33 } },
        agents: {
          s2: { ...blank, node: { role: 'server', ready: false, etcdVoter: false } },
          s3: { ...busy, installed: 'server', data: 'etcd', node: { role: 'server', etcdVoter: true } },
        },
        version: v33,
        datastore: 'etcd',
      },
      ['convert s3', 'convert s2'],
    ],
    [
      'nobody joins while the dead learner of a machine that is to be an agent cannot go yet',
      {
        servers: { s1: busy, s2: busy, s4: blank },
        agents: { s3: { ...blank, node: { role: 'server', ready: false, etcdVoter: false } } },
        version: v32k2,
      },
      'MEMBER_NOT_WELL',
    ],
    [
      'who steps down is no member any more once its Node is gone, though its data is there still',
      {
        servers: { s1: busy, s2: busy },
        agents: { s3: { ...stopped, installed: 'server', data: 'etcd', node: undefined } },
        version: v32k2,
      },
      ['upgrade s1', 'upgrade s2', 'convert s3'],
    ],
    [
      'an agent that is away may be the server that nobody can ask for its release',
      {
        servers: { s1: stopped },
        agents: { s2: away },
        version: v33,
        datastore: 'etcd',
        policy: { tolerateDown: true },
      },
      'VERSION_UNKNOWN',
    ],
    [
      'a host is worked on once in a run',
      { servers: { s1: well, s2: stopped, s3: well }, policy: { done: ['s2'] } },
      [],
    ],
    [
      'a database elsewhere may have been brought to a newer release by a server that is away',
      { servers: { s1: away, s2: blank }, datastore: 'external', policy: { tolerateDown: true } },
      'CLUSTER_MAY_BE_AWAY',
    ],
  ])('%s', (_what, situation, outcome) => {
    expect(shown(planned(situation))).toEqual(outcome);
  });
});

describe('a plan', () => {
  const situation: Situation = {
    servers: { s1: busy, s2: busy, s3: busy },
    agents: { a1: busy, a2: live, a3: gone },
    version: v33,
    strangers: [{ name: 'laptop', role: 'agent' }],
    policy: { tolerateDown: true },
  };

  it('says what each wave is for, what is awaited, and what may be noticed', () => {
    const plan = planned(situation);
    expect(plan).toMatchObject({
      verdict: 'waves',
      leftOut: [{ host: 'a3', because: 'it does not answer' }],
      strangers: ['laptop'],
    });
    if (plan.verdict !== 'waves') return;
    expect(plan.waves[0]).toEqual({
      kind: 'upgrade',
      hosts: ['s1'],
      because: `${v32} → ${v33}`,
      disruption: 'the API of s1 is away for some seconds; s2 and s3 serve',
      gates: [
        { kind: 'ready', hosts: ['s1'] },
        { kind: 'voter', hosts: ['s1'] },
        { kind: 'api', servers: ['s1', 's2', 's3'] },
      ],
    });
    for (const wave of plan.waves) {
      expect(wave.because).not.toBe('');
      expect(wave.disruption).not.toBe('');
      expect(wave.gates.length).toBeGreaterThan(0);
    }
  });

  it('is the same for the same clusters', () => {
    expect(planned(situation)).toEqual(planned(situation));
  });

  it('says of two clusters who is in which', () => {
    expect(planned({ servers: { s1: well, s2: { ca: 'b' }, s3: well } })).toMatchObject({
      because: expect.stringMatching(/s1 and s3 \(CA a+…\); s2 \(CA b+…\)/),
      fix: expect.stringContaining('fleet reset --limit'),
    });
  });

  it('says what to do where members are gone for good', () => {
    const lost = planned({
      servers: { s1: { service: 'activating', pending: 'live' }, s2: wiped, s3: away },
      silent: true,
      policy: { tolerateDown: true },
    });
    expect(lost).toMatchObject({
      because: expect.stringContaining('s2 has no data, s3 does not answer'),
      fix: expect.stringContaining('fleet snapshot restore'),
    });
  });

  it('is refused where a host name stands for two hosts', () => {
    const { desired, observed } = described({ servers: { s1: well }, agents: { a1: well } });
    const twins = { ...desired, agents: desired.agents.map((one) => ({ ...one, nodeName: 's1' })) };
    expect(shown(planCluster(twins, observed, easy))).toBe('NODE_NAME_TWICE');
  });
});
