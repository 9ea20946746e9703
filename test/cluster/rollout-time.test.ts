import { describe, expect, it } from 'vitest';
import type {
  ClusterWaves,
  DesiredNode,
  ObservedHost,
  ObservedNode,
  Policy,
} from '../../src/cluster/cluster-plan.ts';
import { planCluster } from '../../src/cluster/plan-cluster.ts';
import { parseMaintenanceWindow } from '../../src/inventory/maintenance-window.ts';
import type { PausePoint } from '../../src/inventory/rollout-pauses.ts';

/** Three servers and two agents, and when they may be disturbed. */

const old = 'v1.33.4+k3s1';
const fresh = 'v1.33.5+k3s1';

type State = 'old' | 'config' | 'done' | 'down' | 'down and old' | 'blank' | 'live';

interface Situation {
  readonly hosts: Readonly<Record<string, State>>;
  readonly now?: string;
  readonly window?: string;
  readonly canary?: readonly string[];
  readonly pauseAfter?: readonly PausePoint[];
}

function planned({ hosts, now, window, canary = [], pauseAfter = [] }: Situation): ClusterWaves {
  const wants = Object.values(hosts).some((state) => state.includes('old')) ? fresh : old;
  const desired = (role: 'server' | 'agent'): DesiredNode[] =>
    Object.keys(hosts)
      .filter((host) => host.startsWith(role[0] ?? ''))
      .map((host) => ({ host, nodeName: host, role, version: wants, holdsEtcd: role === 'server' }));
  const nodes: ObservedNode[] = [];
  const seen = new Map<string, ObservedHost>();
  for (const [host, state] of Object.entries(hosts)) {
    const role = host.startsWith('s') ? 'server' : 'agent';
    const version = state.includes('old') ? old : wants;
    const isBlank = state === 'blank';
    const ready = !state.startsWith('down');
    seen.set(host, {
      installedRole: isBlank ? undefined : role,
      service: isBlank ? 'absent' : 'active',
      runningVersion: isBlank ? undefined : version,
      data: role === 'server' && !isBlank ? 'etcd' : 'none',
      caHash: role === 'server' && !isBlank ? 'a'.repeat(64) : undefined,
      pending: state === 'done' ? 'nothing' : state === 'live' ? 'live' : 'restart',
    });
    if (isBlank) continue;
    const etcdVoter = role === 'server' ? true : undefined;
    nodes.push({ name: host, ready, etcdVoter, version, role, unschedulable: false, cordonedByFleet: false });
  }
  const servers = [...seen].filter(([host, { data }]) => host.startsWith('s') && data !== 'none');
  const policy: Policy = {
    agentBatch: 1,
    maxUnavailable: '100%',
    tolerateDown: false,
    forceBootstrap: false,
    canary,
    limit: undefined,
    pauseAfter,
    ...(window === undefined || now === undefined
      ? {}
      : {
          maintenance: {
            windows: [parseMaintenanceWindow(window) ?? expect.unreachable(window)],
            now: new Date(now),
          },
        }),
  };
  const plan = planCluster(
    { servers: desired('server'), agents: desired('agent'), datastore: 'etcd' },
    {
      hosts: seen,
      nodes: servers.length === 0 ? undefined : nodes,
      readyApis: servers.map(([host]) => host),
    },
    policy,
  );
  if (plan.verdict === 'refused') throw new Error(plan.because);
  return plan;
}

const wavesIn = ({ waves }: ClusterWaves): string[] =>
  waves.map(({ kind, hosts, pause }) => `${kind} ${hosts.join(' ')}${pause ? ` | ${pause}` : ''}`);

const all = (state: State): Situation['hosts'] => ({
  s1: state,
  s2: state,
  s3: state,
  a1: state,
  a2: state,
});

describe('maintenance windows', () => {
  const window = 'Sat 02:00-05:00 Europe/Berlin';
  const inside = '2026-11-21T01:30:00Z';
  const outside = '2026-11-21T04:00:00Z';

  it.each<[string, Situation, string | undefined]>([
    ['inside it all is done', { hosts: all('old'), window, now: inside }, undefined],
    ['outside an upgrade waits', { hosts: all('old'), window, now: outside }, 'upgrade s1'],
    ['outside a restart waits', { hosts: all('config'), window, now: outside }, 'restart s1'],
    ['without a window all is done', { hosts: all('old') }, undefined],
    [
      'what needs no restart is done at any time',
      { hosts: { ...all('done'), a1: 'live' }, window, now: outside },
      undefined,
    ],
    [
      'new nodes join at any time',
      { hosts: { ...all('done'), s3: 'blank', a2: 'blank' }, window, now: outside },
      undefined,
    ],
    ['a cluster is begun at any time', { hosts: all('blank'), window, now: outside }, undefined],
    [
      'a node that is down is repaired at any time, and then the others wait',
      { hosts: { ...all('done'), a1: 'down', a2: 'config' }, window, now: outside },
      'restart a2',
    ],
    [
      'but not with another release',
      { hosts: { ...all('done'), a1: 'down and old' }, window, now: outside },
      'upgrade a1',
    ],
    [
      'a rollout that outlasts it ends there: the rest waits for the next',
      { hosts: { ...all('old'), s1: 'done' }, window, now: outside },
      'upgrade s2',
    ],
  ])('%s', (_what, situation, held) => {
    const plan = planned(situation);
    expect(
      plan.held === undefined ? undefined : `${plan.held.wave.kind} ${plan.held.wave.hosts.join(' ')}`,
    ).toBe(held);
    if (plan.held === undefined) return;
    expect(plan.waves).toContain(plan.held.wave);
    expect(plan.held.because).toContain(`outside the maintenance window (${window})`);
    expect(plan.held.fix).toContain('opens Sat 2026-11-28 02:00 Europe/Berlin (in 6 d 21 h)');
    expect(plan.held.fix).toContain('--now');
  });
});

describe('pauses', () => {
  const canary = ['s2', 'a2'];
  it.each<[string, Situation, string[]]>([
    [
      'behind the canary of each role, and behind the servers',
      { hosts: all('old'), canary, pauseAfter: ['canary', 'servers'] },
      ['upgrade s2 | canary', 'upgrade s1', 'upgrade s3 | servers', 'upgrade a2 | canary', 'upgrade a1'],
    ],
    [
      'none behind canaries that are all there is left',
      { hosts: { ...all('done'), a2: 'old' }, canary, pauseAfter: ['canary', 'servers'] },
      ['upgrade a2'],
    ],
    [
      'run again after a pause, it goes on without one',
      { hosts: { ...all('old'), s2: 'done' }, canary, pauseAfter: ['canary'] },
      ['upgrade s1', 'upgrade s3', 'upgrade a2 | canary', 'upgrade a1'],
    ],
    [
      'none for a new cluster, where there is nothing to look at',
      { hosts: all('blank'), canary, pauseAfter: ['canary', 'servers'] },
      ['bootstrap s1', 'join s2', 'join s3', 'join a2', 'join a1'],
    ],
    [
      'none where nobody wants one',
      { hosts: { ...all('old'), s3: 'done', a1: 'done' }, canary },
      ['upgrade s2', 'upgrade s1', 'upgrade a2'],
    ],
  ])('%s', (_what, situation, expected) => {
    expect(wavesIn(planned(situation))).toEqual(expected);
  });
});
