import { describe, expect, it } from 'vitest';
import { type InUse, withNewer } from '../../src/facts/k3s-in-use.ts';
import type { K3sNode, K3sNodes } from '../../src/facts/k3s-nodes.ts';
import type { ServerData } from '../../src/facts/k3s-server-data.ts';
import type { StartState } from '../../src/facts/k3s-start.ts';
import { k3sReadyStep } from '../../src/steps/k3s-ready.ts';
import { k3sServiceStep } from '../../src/steps/k3s-service.ts';
import {
  type AnyPlan,
  actionsIn,
  decided,
  type Nodes,
  nodesOf,
  scriptsIn,
  settled,
} from '../k3s/inventory-of.ts';
import { noData as empty, member, serverNode as node, running, stopped } from '../k3s/seen-of.ts';

const api = (...nodes: readonly K3sNode[]): K3sNodes => ({ nodes });
const down: K3sNodes = { unavailable: 'connection refused' };
const host = { hostName: { inUse: 's1', onDisk: 's1', hasHostnamectl: true } };

interface Case {
  readonly on?: string;
  readonly nodes?: Nodes;
  readonly service: InUse;
  readonly data?: ServerData;
  readonly seen?: ReadonlyMap<string, K3sNodes | undefined>;
}

async function planned({
  on = 's1',
  nodes = {},
  service,
  data = member,
  seen = new Map([['s1', api(node('s1'))]]),
}: Case) {
  const view = (await nodesOf(nodes))(on);
  const hostName = { ...host.hostName, inUse: on };
  const all = { service, data, hostName, nodes: seen };
  return { plan: decided(k3sServiceStep, all, view), all, view };
}

const stale = (...paths: string[]): InUse => ({ ...running, newerThanStart: paths });
const three = { servers: ['s1', 's2', 's3'] };
const quorum = (...nodes: readonly K3sNode[]) =>
  new Map([
    ['s1', api(...nodes)],
    ['s2', undefined],
    ['s3', undefined],
  ]);

describe('the service', () => {
  it('that runs with what is on disk is left alone', async () => {
    const { plan } = await planned({ service: running });
    expect(plan).toMatchObject({ verdict: 'unchanged', because: 'k3s runs with what is on disk' });
  });

  it('foresees what is kept anew behind its start: files that the plan writes, not those that were only touched', async () => {
    const readAnewAfter = async (service: InUse) => {
      const { plan } = await planned({ service });
      return plan.verdict === 'change' ? (plan.after?.service as InUse | undefined)?.readAnew : 'no change';
    };
    expect(await readAnewAfter(stale('/etc/rancher/k3s/config.yaml'))).toBeUndefined();
    expect(await readAnewAfter(withNewer(running, '/etc/rancher/k3s/config.yaml'))).toEqual([
      '/etc/rancher/k3s/config.yaml',
    ]);
  });

  describe('whose Node was deleted while it runs', () => {
    const marks = { labels: {}, taints: [], byFleet: { labels: [], taints: [] } };
    const listed = api(node('s1', { marks }), node('a2', { marks }));
    const agent = { on: 'a1', nodes: { agents: ['a1'] }, service: running };

    it('starts anew on an agent, for a kubelet registers at no other time', async () => {
      const { plan, all, view } = await planned({ ...agent, seen: new Map([['s1', listed]]) });
      expect(plan).toMatchObject({ verdict: 'change', because: expect.stringMatching(/Node was deleted/) });
      expect(actionsIn(plan)[0]).toBe('restart k3s-agent');
      expect(settled(k3sServiceStep, all, view).verdict).toBe('unchanged');
    });

    it('starts anew on a server without a member of etcd, and of a member k3s takes care', async () => {
      const seen = new Map([['s1', api(node('s2', { marks }))]]);
      const external: ServerData = { ...member, datastore: 'external' };
      expect((await planned({ service: running, data: external, seen })).plan.verdict).toBe('change');
      expect((await planned({ service: running, data: member, seen })).plan.verdict).toBe('unchanged');
    });

    it.each<[string, K3sNodes | undefined]>([
      ['it is there', api(node('s1', { marks }), node('a1', { marks }))],
      ['no API answers', down],
      ['no server answers', undefined],
      ['a plan only foresees the server', api(node('s1'))],
    ])('is left alone where %s', async (_what, told) => {
      expect((await planned({ ...agent, seen: new Map([['s1', told]]) })).plan.verdict).toBe('unchanged');
    });
  });

  it.each<[string, Case, RegExp, (string | RegExp)[]]>([
    [
      'stopped',
      { service: stopped },
      /it is inactive/,
      ['start k3s', /k3s to start/, /API of s1/, /s1 to be Ready and, with etcd, a voter/],
    ],
    [
      'failed',
      { service: { ...stopped, state: 'failed' } },
      /it is failed/,
      ['start k3s', /k3s to start/, /API of s1/, /a voter/],
    ],
    [
      'older than its config',
      { service: stale('/etc/rancher/k3s/config.yaml') },
      /config\.yaml changed after it started/,
      ['restart k3s', /k3s to start/, /API of s1/, /a voter/],
    ],
    [
      'not enabled',
      { service: { ...running, enabled: false } },
      /not enabled at boot/,
      ['enable k3s at boot'],
    ],
    [
      'not enabled and stopped',
      { service: { ...stopped, enabled: false } },
      /not enabled at boot; it is inactive/,
      ['enable k3s at boot', 'start k3s', /k3s to start/, /API/, /voter/],
    ],
    [
      'an agent',
      { on: 'a1', nodes: { agents: ['a1'] }, service: stopped },
      /k3s-agent: it is inactive/,
      ['start k3s-agent', /k3s-agent to start/, /a1 to be Ready$/],
    ],
  ])('is mended: %s', async (_name, given, because, actions) => {
    const { plan, all, view } = await planned(given);
    expect([plan.verdict, plan.because]).toEqual(['change', expect.stringMatching(because)]);
    expect(actionsIn(plan)).toEqual(
      actions.map((action) => (typeof action === 'string' ? action : expect.stringMatching(action))),
    );
    expect(settled(k3sServiceStep, all, view).verdict).toBe('unchanged');
  });

  it('is never started so that systemctl waits for it', async () => {
    const { plan } = await planned({ service: stopped });
    expect(scriptsIn(plan)).toContain('systemctl start --no-block k3s');
    expect(scriptsIn((await planned({ service: stale('/x') })).plan)).toContain(
      'systemctl restart --no-block k3s',
    );
  });

  it('that is not installed is refused', async () => {
    expect((await planned({ service: { ...stopped, state: 'absent' } })).plan).toMatchObject({
      verdict: 'refuse',
      fix: expect.stringContaining('k3s_install'),
    });
  });

  it('of an agent is looked at through a server that answers', async () => {
    const { plan } = await planned({
      on: 'a1',
      nodes: { servers: ['s1', 's2'], agents: ['a1'] },
      service: stopped,
      seen: new Map([
        ['s1', down],
        ['s2', api()],
      ]),
    });
    expect(plan).toMatchObject({ actions: [{}, {}, { kind: 'wait', host: 's2' }] });
  });
});

describe('a restart and the quorum', () => {
  it.each<[string, K3sNode[], boolean]>([
    ['all well', [node('s1'), node('s2'), node('s3')], true],
    ['one of three away', [node('s1'), node('s2'), node('s3', { ready: false })], false],
    ['one of three only learns', [node('s1'), node('s2'), node('s3', { etcdVoter: false })], false],
    [
      'one of five away',
      [node('s1'), node('s2'), node('s3'), node('s4'), node('s5', { ready: false })],
      true,
    ],
    [
      'two of five away',
      [node('s1'), node('s2'), node('s3'), node('s4', { ready: false }), node('s5', { ready: false })],
      false,
    ],
    [
      'agents do not count',
      [node('s1'), node('s2'), node('s3'), node('a1', { etcdVoter: undefined, ready: false })],
      true,
    ],
    ['one server', [node('s1')], true],
    ['two servers cannot keep one', [node('s1'), node('s2')], true],
  ])('%s', async (_name, nodes, restarts) => {
    const { plan } = await planned({
      nodes: three,
      service: stale('/etc/rancher/k3s/config.yaml'),
      seen: quorum(...nodes),
    });
    expect(plan.verdict).toBe(restarts ? 'change' : 'refuse');
    if (!restarts) expect(plan.because).toMatch(/restarting s1 would leave \d of \d etcd members/);
  });

  it('takes nothing away where the API is down, or where the server does not run', async () => {
    const oneAway = quorum(node('s1'), node('s2'), node('s3', { ready: false }));
    expect(
      (await planned({ nodes: three, service: stale('/x'), seen: new Map([['s1', down]]) })).plan.verdict,
    ).toBe('change');
    expect((await planned({ nodes: three, service: stopped, seen: oneAway })).plan.verdict).toBe('change');
  });
});

describe('waiting for the start', () => {
  const wait = (plan: AnyPlan) => {
    const found =
      plan.verdict === 'change' ? plan.actions.find((action) => action.kind === 'wait') : undefined;
    if (found?.kind !== 'wait') throw new Error('no wait');
    return found;
  };
  const start = (more: Partial<StartState>): StartState => ({
    state: 'activating',
    invocation: 'x',
    restarts: 0,
    lastLog: '',
    ...more,
  });

  it.each<[string, Partial<StartState>, true | RegExp, RegExp | undefined]>([
    ['up', { state: 'active' }, true, undefined],
    ['still the old one', { state: 'active', invocation: 'before' }, /it is active/, undefined],
    [
      'on its way',
      { lastLog: 'Waiting for etcd' },
      /it is activating, and says: Waiting for etcd/,
      undefined,
    ],
    [
      'joining after another',
      { restarts: 2, lastLog: 'etcdserver: too many learner members in cluster' },
      /one at a time/,
      undefined,
    ],
    [
      'an unknown flag',
      { restarts: 1, lastLog: 'flag provided but not defined: -x' },
      /arguments/,
      /again and again/,
    ],
    [
      'a wrong token',
      {
        state: 'failed',
        restarts: 5,
        lastLog: 'bootstrap data already found and encrypted with different token',
      },
      /token differs/,
      /again and again/,
    ],
    [
      'not begun: the log is that of the start before',
      { invocation: 'first', restarts: 2, lastLog: 'flag provided but not defined: -x' },
      /activating/,
      undefined,
    ],
    ['given up', { state: 'failed', lastLog: 'x' }, /it is failed/, /again and again: x/],
    ['restarting without end', { restarts: 8, lastLog: 'x' }, /activating/, /again and again/],
    [
      'an agent that is refused retries for ever and says so',
      {
        lastLog: 'Failed to validate connection to cluster at https://s1:6443: token CA hash does not match',
      },
      /another CA/,
      undefined,
    ],
  ])('%s', async (_name, state, holds, hopeless) => {
    const { holds: check, hopeless: giveUp } = wait((await planned({ service: stale('/x') })).plan);
    if (holds === true) expect(check(start(state))).toBe(true);
    else expect(check(start(state))).toMatch(holds);
    const first = start({ invocation: 'first' });
    if (hopeless === undefined) expect(giveUp?.(start(state), first)).toBeUndefined();
    else expect(giveUp?.(start(state), first)).toMatch(hopeless);
  });
});

describe('ready', () => {
  const plan = async (
    seen: ReadonlyMap<string, K3sNodes | undefined>,
    on = 's1',
    nodes: Nodes = { agents: ['a1'] },
  ) =>
    decided(
      k3sReadyStep,
      { hostName: { ...host.hostName, inUse: on }, nodes: seen },
      (await nodesOf(nodes))(on),
    );

  it.each<[string, ReadonlyMap<string, K3sNodes | undefined>, string, Nodes, true | RegExp]>([
    ['Ready and a voter', new Map([['s1', api(node('s1'))]]), 's1', {}, true],
    ['Ready on SQLite', new Map([['s1', api(node('s1', { etcdVoter: undefined }))]]), 's1', {}, true],
    [
      'Ready, but only learns',
      new Map([['s1', api(node('s1', { etcdVoter: false }))]]),
      's1',
      {},
      /does not vote/,
    ],
    [
      'not Ready',
      new Map([['s1', api(node('s1', { ready: false, readyMessage: 'cni plugin not initialized' }))]]),
      's1',
      {},
      /NotReady: cni plugin/,
    ],
    [
      'not Ready without flannel',
      new Map([['s1', api(node('s1', { ready: false }))]]),
      's1',
      { vars: { extra_server_args: '--flannel-backend=none' } },
      true,
    ],
    [
      'not Ready without flannel, by config',
      new Map([['s1', api(node('s1', { ready: false }))]]),
      's1',
      { vars: { server_config_yaml: 'flannel-backend: none' } },
      true,
    ],
    ['not registered', new Map([['s1', api(node('other'))]]), 's1', {}, /s1 is not registered/],
    ['no API', new Map([['s1', down]]), 's1', {}, /connection refused/],
    [
      'an agent',
      new Map([['s1', api(node('a1', { etcdVoter: undefined }))]]),
      'a1',
      { agents: ['a1'] },
      true,
    ],
    [
      'an agent while no server answers',
      new Map([['s1', undefined]]),
      'a1',
      { agents: ['a1'] },
      /no server answers/,
    ],
    [
      'by the name that the user gave',
      new Map([['s1', api(node('big-one'))]]),
      's1',
      { vars: { extra_server_args: '--node-name Big-One' } },
      true,
    ],
    ['by a host name in capitals', new Map([['s1', api(node('s1'))]]), 's1', {}, true],
  ])('%s', async (_name, seen, on, nodes, because) => {
    const decision = await plan(seen, on, nodes);
    if (because === true) expect(decision.verdict).toBe('unchanged');
    else expect([decision.verdict, decision.because]).toEqual(['change', expect.stringMatching(because)]);
  });

  it('is waited for, and foreseen', async () => {
    const seen = new Map([['s1', api(node('s1', { ready: false, etcdVoter: false }))]]);
    const view = (await nodesOf())('s1');
    expect(settled(k3sReadyStep, { hostName: host.hostName, nodes: seen }, view).verdict).toBe('unchanged');
  });

  it('of a first server looks anew at what k3s makes when it starts', async () => {
    const { plan: first } = await planned({ service: stopped, data: empty, seen: new Map([['s1', down]]) });
    expect(first).toMatchObject({ touches: expect.arrayContaining(['k3s:server-data:*', 'k3s:kubeconfig']) });
  });
});
