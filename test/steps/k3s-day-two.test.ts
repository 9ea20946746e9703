import { describe, expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import type { HostView } from '../../src/engine/step.ts';
import { sha256Of } from '../../src/facts/file.ts';
import type { FoundMarks, K3sNode, K3sNodes } from '../../src/facts/k3s-nodes.ts';
import { mergeKubeconfig } from '../../src/k3s/kubeconfig.ts';
import { k3sKubeconfigStep } from '../../src/steps/k3s-kubeconfig.ts';
import { k3sLeftoversStep } from '../../src/steps/k3s-leftovers.ts';
import { k3sNodeAbsentStep } from '../../src/steps/k3s-node-absent.ts';
import { k3sNodeLabelsStep } from '../../src/steps/k3s-node-labels.ts';
import { k3sRunningStep } from '../../src/steps/k3s-running.ts';
import { k3sStrangersStep } from '../../src/steps/k3s-strangers.ts';
import { k3sUserKubectlStep } from '../../src/steps/k3s-user-kubectl.ts';
import { leftoversStep } from '../../src/steps/leftovers.ts';
import { type AnyPlan, actionsIn, decided, nodesOf, scriptsIn, settled } from '../k3s/inventory-of.ts';
import { agentNode, running, serverNode, stopped } from '../k3s/seen-of.ts';

const node = (name: string, more: Partial<K3sNode> = {}): K3sNode =>
  (name.startsWith('s') ? serverNode : agentNode)(name, more);

const silent = { unavailable: 'refused' };
const hostName = (inUse: string) => ({ inUse, onDisk: inUse, hasHostnamectl: true });

/** What each of the servers says of the nodes. */
function told(servers: readonly string[], nodes: readonly K3sNode[]): Map<string, K3sNodes> {
  return new Map(servers.map((server) => [server, { nodes }]));
}

/** What a step with arguments decides. */
function planned(
  step: { plan(seen: never, args: never, host: HostView): unknown },
  seen: object,
  args: object,
  host: HostView,
): AnyPlan {
  return step.plan(seen as never, args as never, host) as AnyPlan;
}

describe('a node that leaves', () => {
  const three = { servers: ['s1', 's2', 's3'], agents: ['a1'] };
  const seenOn = (on: string, servers: readonly string[], nodes: readonly K3sNode[], service = running) => ({
    hostName: hostName(on),
    service,
    nodes: told(servers, nodes),
  });
  const all = [node('s1'), node('s2'), node('s3'), node('a1')];

  it('an agent is drained, stopped, and only then forgotten', async () => {
    const host = (await nodesOf(three))('a1');
    const seen = seenOn('a1', three.servers, all);
    expect(actionsIn(decided(k3sNodeAbsentStep, seen, host))).toEqual([
      'drain a1 (on s1)',
      'stop k3s-agent',
      'delete the node a1 and its node password (on s1)',
      expect.stringContaining('the cluster to forget a1'),
    ]);
    expect(settled(k3sNodeAbsentStep, seen, host).verdict).toBe('unchanged');
  });

  it('the first server is deleted through another one, which does not need it for its quorum', async () => {
    const host = (await nodesOf(three))('s1');
    const plan = decided(k3sNodeAbsentStep, seenOn('s1', three.servers, all), host);
    expect(actionsIn(plan).slice(0, 3)).toEqual([
      'drain s1 (on s2)',
      'stop k3s',
      'delete the node s1 and its node password (on s2)',
    ]);
    expect(plan.verdict === 'change' && plan.because).toMatch(/2 etcd members stay, of which none may fail/);
  });

  it('of two servers one must run until its member is removed, and not start again', async () => {
    const two = { servers: ['s1', 's2'] };
    const plan = decided(
      k3sNodeAbsentStep,
      seenOn('s2', two.servers, [node('s1'), node('s2')]),
      (await nodesOf(two))('s2'),
    );
    const actions = actionsIn(plan);
    expect(actions).not.toContain('stop k3s');
    expect(actions[1]).toMatch(/keep k3s from starting again/);
    expect(scriptsIn(plan)).toContain('Restart=no');
  });

  it.each<[string, { servers: string[] }, string, K3sNode[], RegExp]>([
    ['the last server', { servers: ['s1'] }, 's1', [node('s1')], /last server/],
    [
      'a healthy member beside a dead one',
      three,
      's1',
      [node('s1'), node('s2'), node('s3', { ready: false })],
      /without s1 1 of 2 etcd members would vote, 2 are needed \(not well: s3\)/,
    ],
    [
      'a member beside a learner',
      three,
      's1',
      [node('s1'), node('s2'), node('s3', { etcdVoter: false })],
      /not well: s3/,
    ],
    [
      'the last of two on an external database that is ready',
      { servers: ['s1', 's2'] },
      's1',
      [node('s1', { etcdVoter: undefined }), node('s2', { etcdVoter: undefined, ready: false })],
      /no other server is ready/,
    ],
  ])('refused: %s', async (_what, nodes, on, seen, because) => {
    const plan = decided(k3sNodeAbsentStep, seenOn(on, nodes.servers, seen), (await nodesOf(nodes))(on));
    expect(plan).toMatchObject({ verdict: 'refuse', because: expect.stringMatching(because) });
  });

  it('a dead member goes although two of three are left: the quorum is better off', async () => {
    const seen = seenOn('s1', three.servers, [node('s1'), node('s2'), node('s3', { ready: false })]);
    const plan = planned(k3sNodeAbsentStep, seen, { node: 's3' }, (await nodesOf(three))('s1'));
    expect(actionsIn(plan)[0]).toBe('delete the node s3 and its node password (on s1)');
    expect(actionsIn(plan).join()).not.toMatch(/stop|drain/);
  });

  it('nobody to say it to: refused', async () => {
    const host = (await nodesOf(three))('a1');
    const seen = { ...seenOn('a1', [], []), nodes: new Map([['s1', silent]]) };
    expect(decided(k3sNodeAbsentStep, seen, host)).toMatchObject({ verdict: 'refuse' });
  });
});

describe('nodes that no host of the inventory is', () => {
  const nodes = { servers: ['s1', 's2', 's3'], agents: ['a1'] };
  const names = new Map(['s1', 's2', 's3', 'a1'].map((name) => [name, hostName(name)]));
  const servers = [node('s1'), node('s2'), node('s3')];

  it('are named', async () => {
    const seen = { nodes: told(nodes.servers, [...servers, node('a1'), node('old')]), hostNames: names };
    const plan = decided(k3sStrangersStep, seen, (await nodesOf(nodes))('s1'));
    expect(plan).toMatchObject({
      verdict: 'unchanged',
      warning: { code: 'NODE_NOT_IN_INVENTORY', message: expect.stringContaining('old') },
    });
  });

  it('are removed, the dead before the living', async () => {
    const strangers = [node('b-alive'), node('c-dead', { ready: false })];
    const seen = { nodes: told(nodes.servers, [...servers, node('a1'), ...strangers]), hostNames: names };
    const host = (await nodesOf(nodes))('s1');
    const plan = planned(k3sStrangersStep, seen, { prune: true }, host);
    expect(actionsIn(plan).filter((action) => /^(drain|delete)/.test(action))).toEqual([
      'delete the node c-dead and its node password (on s1)',
      'drain b-alive (on s1)',
      'delete the node b-alive and its node password (on s1)',
    ]);
    const after = plan.verdict === 'change' ? plan.after : {};
    expect(planned(k3sStrangersStep, { ...seen, ...after }, { prune: true }, host).verdict).toBe('unchanged');
  });

  it('a host that does not say who it is may be any of them: nothing is named, and nothing removed', async () => {
    const hostNames = new Map([...names, ['a1', undefined] as const]);
    const seen = { nodes: told(nodes.servers, [...servers, node('renamed')]), hostNames };
    const host = (await nodesOf(nodes))('s1');
    const named = decided(k3sStrangersStep, seen, host);
    expect(named.verdict === 'unchanged' && named.warning).toBeUndefined();
    expect(planned(k3sStrangersStep, seen, { prune: true }, host).verdict).toBe('refuse');
  });

  it('with --limit nobody beyond it is asked', async () => {
    const host = (await nodesOf(nodes))('s1');
    const limited = { ...host, vars: host.vars.with({ ansible_play_hosts_all: ['s1'] }) };
    const { hostNames } = k3sStrangersStep.look({}, limited);
    expect(hostNames).toMatchObject({ hosts: [] });
  });
});

describe('stop, start and restart', () => {
  const three = { servers: ['s1', 's2', 's3'], agents: ['a1'] };
  const healthy = told(three.servers, [node('s1'), node('s2'), node('s3'), node('a1')]);
  const oneDown = told(three.servers, [node('s1'), node('s2'), node('s3', { ready: false }), node('a1')]);
  const inPlay = async (on: string, hosts: readonly string[]): Promise<HostView> => {
    const host = (await nodesOf(three))(on);
    return { ...host, vars: host.vars.with({ ansible_play_hosts_all: [...hosts] }) };
  };

  it.each<[string, string[], Map<string, K3sNodes>, string]>([
    ['all servers', three.servers, healthy, 'change'],
    ['one of three', ['s1'], healthy, 'change'],
    ['one of three while another is away', ['s1'], oneDown, 'refuse'],
    ['two of three', ['s1', 's2'], healthy, 'refuse'],
    ['the one that is away', ['s3'], oneDown, 'change'],
  ])('stop %s', async (_what, hosts, nodes, verdict) => {
    const others = new Map(hosts.map((name) => [name, hostName(name)]));
    const seen = { hostName: hostName(hosts[0] ?? ''), others, service: running, nodes };
    const host = await inPlay(hosts[0] ?? '', hosts);
    const plan = planned(k3sRunningStep, seen, { state: 'stopped' }, host);
    expect(plan.verdict).toBe(verdict);
    if (verdict === 'change') expect(actionsIn(plan)).toEqual(['stop k3s']);
  });

  it('stop ends the pods only where it is told to', async () => {
    const seen = { hostName: hostName('a1'), others: new Map(), service: running, nodes: healthy };
    const plan = planned(k3sRunningStep, seen, { state: 'stopped', pods: true }, await inPlay('a1', ['a1']));
    expect(actionsIn(plan)).toEqual(['stop k3s-agent', 'run /usr/local/bin/k3s-killall.sh']);
  });

  it('start never waits for one server alone', async () => {
    const seen = { hostName: hostName('s1'), others: new Map(), service: stopped, nodes: new Map() };
    const plan = planned(k3sRunningStep, seen, { state: 'started' }, await inPlay('s1', three.servers));
    expect(actionsIn(plan)).toEqual(['start k3s']);
    expect(scriptsIn(plan)).toContain('--no-block');
  });

  it('restart waits until the node is back, and is refused where the quorum would be lost', async () => {
    const host = await inPlay('s1', three.servers);
    const restart = (nodes: Map<string, K3sNodes>): AnyPlan =>
      planned(
        k3sRunningStep,
        { hostName: hostName('s1'), others: new Map(), service: running, nodes },
        { state: 'restarted' },
        host,
      );
    expect(actionsIn(restart(healthy)).map((action) => action.split(',')[0])).toEqual([
      'restart k3s',
      expect.stringContaining('k3s to start'),
      expect.stringContaining('the API of s1'),
      expect.stringContaining('s1 to be Ready'),
    ]);
    expect(restart(oneDown)).toMatchObject({
      verdict: 'refuse',
      because: expect.stringMatching(/restarting s1/),
    });
  });
});

describe('labels and taints', () => {
  const marksOf = (more: Partial<FoundMarks> = {}): FoundMarks => ({
    labels: { 'kubernetes.io/os': 'linux' },
    taints: [],
    byFleet: { labels: [], taints: [] },
    ...more,
  });
  const seenWith = (marks: FoundMarks) => ({
    hostName: hostName('a1'),
    nodes: told(['s1'], [node('s1'), node('a1', { marks })]),
  });
  const nodes = (vars: Record<string, unknown>) => nodesOf({ servers: ['s1'], agents: ['a1'], vars });

  it('are set, remembered, and then left alone', async () => {
    const host = (
      await nodes({ node_labels: ['disk=ssd', 'zone='], node_taints: ['dedicated=db:NoSchedule'] })
    )('a1');
    const seen = seenWith(marksOf());
    const plan = decided(k3sNodeLabelsStep, seen, host);
    expect(actionsIn(plan)).toEqual(['mark a1: disk=ssd, zone=, dedicated=db:NoSchedule (on s1)']);
    expect(plan).toMatchObject({
      diff: [
        { subject: 'labels of a1', before: undefined, after: 'disk=ssd\nzone=\n' },
        { subject: 'taints of a1', before: undefined, after: 'dedicated=db:NoSchedule\n' },
      ],
    });
    expect(scriptsIn(plan)).toMatch(/fleet\.k3s\/marks.*\\?"labels\\?"/);
    expect(settled(k3sNodeLabelsStep, seen, host).verdict).toBe('unchanged');
  });

  it('that fleet set and nobody wants are taken off; what others set stays', async () => {
    const host = (await nodes({}))('a1');
    const seen = seenWith(
      marksOf({
        labels: { disk: 'ssd', mine: 'yes' },
        taints: [
          { key: 'dedicated', value: 'db', effect: 'NoSchedule' },
          { key: 'theirs', value: '', effect: 'NoExecute' },
        ],
        byFleet: { labels: ['disk', 'long-gone'], taints: ['dedicated:NoSchedule', 'long-gone:NoExecute'] },
      }),
    );
    const plan = decided(k3sNodeLabelsStep, seen, host);
    expect(actionsIn(plan)).toEqual(['mark a1: disk-, dedicated:NoSchedule- (on s1)']);
    expect(scriptsIn(plan)).toContain('"fleet.k3s/marks":null');
    expect(settled(k3sNodeLabelsStep, seen, host).verdict).toBe('unchanged');
  });

  it('of a node that has none, and wants none, cost nothing', async () => {
    expect(decided(k3sNodeLabelsStep, seenWith(marksOf()), (await nodes({}))('a1')).verdict).toBe(
      'unchanged',
    );
  });

  it('with another value are changed', async () => {
    const host = (await nodes({ node_labels: 'disk=hdd', node_taints: 'dedicated=web:NoSchedule' }))('a1');
    const seen = seenWith(
      marksOf({
        labels: { disk: 'ssd' },
        taints: [{ key: 'dedicated', value: 'db', effect: 'NoSchedule' }],
        byFleet: { labels: ['disk'], taints: ['dedicated:NoSchedule'] },
      }),
    );
    expect(actionsIn(decided(k3sNodeLabelsStep, seen, host))).toEqual([
      'mark a1: disk=hdd, dedicated=web:NoSchedule (on s1)',
    ]);
    expect(settled(k3sNodeLabelsStep, seen, host).verdict).toBe('unchanged');
  });
});

describe('what broken-off runs left', () => {
  const here = { machine: '0123456789ab', processes: new Set([7]) };
  const owner = (process: number, machine = here.machine): string =>
    `me@desk, process ${process} of ${machine}, run 20261121-000000-abcd`;
  const left = (more: object = {}) => ({ lock: undefined, jobs: [], files: [], parts: [], ...more });

  it.each<[string, object, string]>([
    ['nothing', left(), 'unchanged'],
    ['the lock of a process that is no more', left({ lock: { owner: owner(8), isStale: false } }), 'change'],
    ['a lock whose heart stands still', left({ lock: { owner: 'x', isStale: true } }), 'change'],
    [
      'the lock of a run at work, and a job it has just ended',
      left({ lock: { owner: owner(7), isStale: false }, jobs: ['/run/fleet/jobs/1'] }),
      'unchanged',
    ],
    [
      'the lock of a run on another machine',
      left({ lock: { owner: owner(8, 'ba9876543210'), isStale: false } }),
      'unchanged',
    ],
    ['a finished job', left({ jobs: ['/run/fleet/jobs/1'] }), 'change'],
    ['a file', left({ files: ['/etc/.fleet-0123~'] }), 'change'],
    ['the beginning of an upload', left({ parts: ['/usr/local/bin/.fleet-k3s-1.part'] }), 'unchanged'],
  ])('%s', async (_what, found, verdict) => {
    const seen = { left: found, here };
    const host = (await nodesOf())('s1');
    expect(decided(leftoversStep, seen, host).verdict).toBe(verdict);
    if (verdict === 'change') expect(settled(leftoversStep, seen, host).verdict).toBe('unchanged');
  });

  it('beginnings of uploads go where that is asked', async () => {
    const seen = { left: left({ parts: ['/usr/local/bin/.fleet-k3s-1.part'] }), here };
    const plan = planned(leftoversStep, seen, { parts: true }, (await nodesOf())('s1'));
    expect(actionsIn(plan)).toEqual(['remove /usr/local/bin/.fleet-k3s-1.part']);
  });
});

describe('reset', () => {
  const k3sYaml = (ca: string): string => `apiVersion: v1
clusters: [{name: default, cluster: {server: 'https://127.0.0.1:6443', certificate-authority-data: ${ca}}}]
users: [{name: default, user: {client-key-data: a2V5}}]
`;
  const merged = (ca: string): string =>
    mergeKubeconfig('# mine\napiVersion: v1\nkind: Config\n', {
      name: 'home',
      cluster: { server: 'https://10.0.0.1:6443', 'certificate-authority-data': ca },
      user: { 'client-key-data': 'a2V5' },
    });
  const nodes = { servers: ['s1', 's2'], vars: { cluster_context: 'home', kubeconfig: '/me/config' } };
  const remote = new Map([
    ['s1', new Secret(k3sYaml('T1VSUw=='))],
    ['s2', undefined],
  ]);
  const absent = async (seen: object, inPlay = nodes.servers): Promise<AnyPlan> => {
    const host = (await nodesOf(nodes))('s1');
    const view = { ...host, vars: host.vars.with({ ansible_play_hosts_all: inPlay }) };
    return planned(k3sKubeconfigStep, seen, { state: 'absent' }, view);
  };

  it('takes its context out of the kubeconfig, and nothing else', async () => {
    const plan = await absent({ remote, local: new Secret(merged('T1VSUw==')) });
    const [save] = plan.verdict === 'change' ? plan.actions : [];
    const text = save?.kind === 'save' && save.content instanceof Secret ? save.content.reveal() : '';
    expect(text).toContain('# mine');
    expect(text).not.toContain('home');
    expect((await absent({ remote, local: new Secret(text) })).verdict).toBe('unchanged');
  });

  it.each<[string, object, string[] | undefined, string | undefined]>([
    ['another cluster of that name', { remote, local: new Secret(merged('VEhFSVJT')) }, undefined, undefined],
    [
      'a cluster of which a server stays',
      { remote, local: new Secret(merged('T1VSUw==')) },
      ['s1'],
      undefined,
    ],
    [
      'a cluster of which no server can tell any more',
      { remote: new Map([['s1', undefined]]), local: new Secret(merged('T1VSUw==')) },
      undefined,
      'CONTEXT_LEFT',
    ],
  ])('keeps the context of %s', async (_what, seen, inPlay, warning) => {
    const plan = await absent(seen, inPlay);
    expect(plan.verdict).toBe('unchanged');
    expect(plan.verdict === 'unchanged' ? plan.warning?.code : '').toBe(warning);
  });

  const kubeconfig = new Secret(k3sYaml('T1VSUw=='));
  const user = {
    group: 'ops',
    home: '/home/ops',
    configSha256: sha256Of(kubeconfig.reveal()),
    profile: 'alias ll="ls -l"\nexport KUBECONFIG=~/.kube/config\n',
  };
  const userSeen = (more: object = {}) => ({ user: { ...user, ...more }, kubeconfig, service: running });
  const userPlan = async (seen: object): Promise<AnyPlan> =>
    planned(
      k3sUserKubectlStep,
      seen,
      { state: 'absent' },
      (await nodesOf({ vars: { ansible_user: 'ops' } }))('s1'),
    );

  it("takes the login user's copy of the kubeconfig and the line that points there", async () => {
    const plan = await userPlan(userSeen());
    expect(actionsIn(plan)).toEqual([
      'remove /home/ops/.kube/config',
      'remove /home/ops/.kube if it is empty',
      'write /home/ops/.bashrc (0644 ops:ops)',
    ]);
    const write = plan.verdict === 'change' ? plan.actions.at(-1) : undefined;
    expect(write?.kind === 'write' && write.content).toBe('alias ll="ls -l"\n');
  });

  it('leaves a kubeconfig that is not the copy, and a .bashrc without the line', async () => {
    expect((await userPlan(userSeen({ configSha256: sha256Of('another') }))).verdict).toBe('unchanged');
    expect(actionsIn(await userPlan(userSeen({ profile: 'x\n' }))).join()).not.toContain('.bashrc');
    expect(
      actionsIn(await userPlan(userSeen({ profile: 'export KUBECONFIG=~/.kube/config\n' }))).at(-1),
    ).toBe('remove /home/ops/.bashrc');
  });

  it('names what it leaves', async () => {
    const seen = { left: { paths: ['/var/log/pods'], mounts: [], devices: ['cni0'], processes: [] } };
    expect(decided(k3sLeftoversStep, seen, (await nodesOf())('s1'))).toMatchObject({
      warning: { code: 'LEFT_BEHIND', message: 's1 still has /var/log/pods, the network device cni0' },
    });
  });
});
