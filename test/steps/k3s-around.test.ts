import { describe, expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { sha256Of } from '../../src/facts/file.ts';
import type { InUse } from '../../src/facts/k3s-in-use.ts';
import type { K3sNode, K3sNodes } from '../../src/facts/k3s-nodes.ts';
import type { ServerData } from '../../src/facts/k3s-server-data.ts';
import { entryFromK3s, mergeKubeconfig } from '../../src/k3s/kubeconfig.ts';
import { k3sAbsentStep } from '../../src/steps/k3s-absent.ts';
import { k3sChartsStep } from '../../src/steps/k3s-charts.ts';
import { k3sKubeconfigStep } from '../../src/steps/k3s-kubeconfig.ts';
import { k3sManifestsStep } from '../../src/steps/k3s-manifests.ts';
import { k3sQuorumStep } from '../../src/steps/k3s-quorum.ts';
import { k3sStaleNodeStep } from '../../src/steps/k3s-stale-node.ts';
import { k3sUserKubectlStep } from '../../src/steps/k3s-user-kubectl.ts';
import {
  actionsIn,
  decided,
  type Nodes,
  nodesOf,
  password,
  scriptsIn,
  settled,
  shownOf,
} from '../k3s/inventory-of.ts';
import { noData as fresh, member, running, serverNode, stopped } from '../k3s/seen-of.ts';

const k3sYaml = `apiVersion: v1
clusters: [{name: default, cluster: {server: 'https://127.0.0.1:6443', certificate-authority-data: Q0E=}}]
contexts: [{name: default, context: {cluster: default, user: default}}]
current-context: default
kind: Config
users: [{name: default, user: {client-key-data: ${Buffer.from(password).toString('base64')}}}]
`;

describe('the kubeconfig of the control node', () => {
  const nodes = {
    servers: ['s1', 's2'],
    vars: { cluster_context: 'home', kubeconfig: '/home/me/.kube/config' },
  };
  const remote = new Map([
    ['s1', undefined],
    ['s2', new Secret(k3sYaml)],
  ]);
  const entry = entryFromK3s(k3sYaml, 'home', 'https://10.0.0.1:6443');
  if (entry === undefined) throw new Error('no entry');

  it('that has the cluster stays', async () => {
    const local = new Secret(mergeKubeconfig('# mine\napiVersion: v1\n', entry));
    expect(decided(k3sKubeconfigStep, { remote, local }, (await nodesOf(nodes))('s1')).verdict).toBe(
      'unchanged',
    );
  });

  it.each([undefined, 'apiVersion: v1\nkind: Config\nclusters: []\n'])('gets it: %j', async (text) => {
    const local = text === undefined ? undefined : new Secret(text);
    const plan = decided(k3sKubeconfigStep, { remote, local }, (await nodesOf(nodes))('s1'));
    expect(plan).toMatchObject({
      verdict: 'change',
      actions: [{ kind: 'save', path: '/home/me/.kube/config', mode: '0600', backup: true }],
      diff: [{ after: 'context home at https://10.0.0.1:6443\n' }],
    });
    const saved = plan.verdict === 'change' && plan.actions[0].kind === 'save' ? plan.actions[0].content : '';
    expect(saved).toBeInstanceOf(Secret);
    expect(decided(k3sKubeconfigStep, { remote, local: saved }, (await nodesOf(nodes))('s1')).verdict).toBe(
      'unchanged',
    );
    expect(shownOf(plan)).not.toContain(Buffer.from(password).toString('base64'));
  });

  it.each<[string, Map<string, Secret | undefined>, Secret | undefined, RegExp]>([
    ['no server has one', new Map([['s1', undefined]]), undefined, /no server has a kubeconfig/],
    ['half a file of k3s', new Map([['s1', new Secret('apiVersion: [')]]), undefined, /holds no cluster/],
    ['a file that is something else', remote, new Secret('- not\n- this\n'), /is no kubeconfig/],
  ])('is left alone: %s', async (_name, from, local, because) => {
    expect(decided(k3sKubeconfigStep, { remote: from, local }, (await nodesOf(nodes))('s1'))).toMatchObject({
      verdict: 'refuse',
      because: expect.stringMatching(because),
    });
  });
});

describe('extra manifests', () => {
  const local = ['a.yaml', 'b.yaml'].map((name) => ({
    path: `/inv/${name}`,
    content: `# ${name} ${password}`,
    sha256: sha256Of(name),
  }));
  const right = new Map(local.map(({ path, sha256 }) => [path.slice(5), sha256]));

  it.each<[string, Map<string, string>, string[]]>([
    ['all there', right, []],
    [
      'none there',
      new Map(),
      [
        'make /var/lib/rancher/k3s/server/manifests',
        'write /var/lib/rancher/k3s/server/manifests/a.yaml (0600 root:root)',
        'write /var/lib/rancher/k3s/server/manifests/b.yaml (0600 root:root)',
      ],
    ],
    [
      'one changed',
      new Map([...right, ['b.yaml', 'other']]),
      [
        'make /var/lib/rancher/k3s/server/manifests',
        'write /var/lib/rancher/k3s/server/manifests/b.yaml (0600 root:root)',
      ],
    ],
  ])('%s', async (_name, there, actions) => {
    const host = (await nodesOf())('s1');
    const plan = decided(k3sManifestsStep, { local, airgap: [], there }, host);
    expect(actionsIn(plan)).toEqual(actions);
    expect(shownOf(plan)).not.toContain(password);
    if (actions.length > 0)
      expect(settled(k3sManifestsStep, { local, airgap: [], there }, host).verdict).toBe('unchanged');
  });

  it('are no business of agents', async () => {
    expect(
      decided(
        k3sManifestsStep,
        { local, airgap: [], there: new Map() },
        (await nodesOf({ agents: ['a1'] }))('a1'),
      ).verdict,
    ).toBe('unchanged');
  });

  it('of the same name are refused: one would overwrite the other', async () => {
    const twice = [...local, { path: '/other/a.yaml', content: 'x', sha256: 'x' }];
    expect(
      decided(k3sManifestsStep, { local: twice, airgap: [], there: new Map() }, (await nodesOf())('s1')),
    ).toMatchObject({ verdict: 'refuse', because: expect.stringContaining('a.yaml') });
  });
});

describe('what an airgap folder has for servers', () => {
  const vars = { airgap_dir: '/srv/airgap' };
  const place = '/var/lib/rancher/k3s/server';

  it('is manifests beside extra_manifests, of which no two have one name', async () => {
    const host = (await nodesOf({ vars }))('s1');
    const one = (path: string) => ({ path, content: path, sha256: sha256Of(path) });
    const seen = {
      local: [one('/inv/a.yaml')],
      airgap: [one('/srv/airgap/manifests/b.yaml')],
      there: new Map(),
    };
    expect(actionsIn(decided(k3sManifestsStep, seen, host)).slice(1)).toEqual([
      `write ${place}/manifests/a.yaml (0600 root:root)`,
      `write ${place}/manifests/b.yaml (0600 root:root)`,
    ]);
    const same = { ...seen, airgap: [one('/srv/airgap/manifests/a.yaml')] };
    expect(decided(k3sManifestsStep, same, host)).toMatchObject({ verdict: 'refuse' });
  });

  it('is charts, where the API of a server hands them out', async () => {
    const nodes = await nodesOf({ agents: ['a1'], vars });
    const folder = ['charts/shop-1.4.0.tgz', 'charts/README', 'shop.tgz'].map((name) => ({
      name,
      path: `/srv/airgap/${name}`,
      sizeBytes: 1,
    }));
    const inspection = {
      bundle: undefined,
      files: new Map(folder.map(({ name }) => [name, { sha256: `sum of ${name}` }])),
    };
    const seen = { folder, inspection, there: new Map([['traefik.tgz', 'x']]) };
    expect(actionsIn(decided(k3sChartsStep, seen, nodes('s1')))).toEqual([
      `make ${place}/static/charts`,
      `send ${place}/static/charts/shop-1.4.0.tgz`,
    ]);
    expect(settled(k3sChartsStep, seen, nodes('s1')).verdict).toBe('unchanged');
    const other = { ...seen, there: new Map([['shop-1.4.0.tgz', 'other']]) };
    expect(decided(k3sChartsStep, other, nodes('s1')).verdict).toBe('change');
    expect(decided(k3sChartsStep, seen, nodes('a1')).verdict).toBe('unchanged');
  });
});

describe('kubectl for the login user', () => {
  const nodes: Nodes = { vars: { user_kubectl: true, ansible_user: 'pi' } };
  const kubeconfig = new Secret(k3sYaml);
  const user = (config: string, profile: string) => ({
    group: 'pi',
    home: '/home/pi',
    configSha256: config,
    profile,
  });
  const line = 'export KUBECONFIG=~/.kube/config';
  const right = sha256Of(k3sYaml);

  it.each<[string, Nodes, unknown, Secret | undefined, string[]]>([
    ['all there', nodes, user(right, `a\n${line}\n`), kubeconfig, []],
    [
      'nothing there',
      nodes,
      user('', ''),
      kubeconfig,
      [
        'make /home/pi/.kube',
        'write /home/pi/.kube/config (0600 pi:pi)',
        'write /home/pi/.bashrc (0644 pi:pi)',
      ],
    ],
    [
      'an old copy',
      nodes,
      user('other', `${line}\n`),
      kubeconfig,
      ['make /home/pi/.kube', 'write /home/pi/.kube/config (0600 pi:pi)'],
    ],
    [
      'not known to the shell',
      nodes,
      user(right, 'a'),
      kubeconfig,
      ['make /home/pi/.kube', 'write /home/pi/.bashrc (0644 pi:pi)'],
    ],
    ['switched off', { vars: { user_kubectl: false, ansible_user: 'pi' } }, user('', ''), kubeconfig, []],
    ['root', { vars: { user_kubectl: true, ansible_user: 'root' } }, user('', ''), kubeconfig, []],
    ['no such user', nodes, undefined, kubeconfig, []],
    ['no kubeconfig yet', nodes, user('', ''), undefined, []],
  ])('%s', async (_name, given, seen, config, actions) => {
    const host = (await nodesOf(given))('s1');
    const all = { user: seen, kubeconfig: config, service: running };
    const plan = decided(k3sUserKubectlStep, all, host);
    expect(actionsIn(plan)).toEqual(actions);
    expect(shownOf(plan)).not.toContain('client-key-data');
    if (actions.length > 0) expect(settled(k3sUserKubectlStep, all, host).verdict).toBe('unchanged');
  });
});

describe('removing k3s', () => {
  it.each<[string, boolean, boolean, string[], string[]]>([
    ['nothing there', false, false, [], []],
    [
      'a server',
      true,
      false,
      ['/var/lib/rancher/k3s'],
      ['run /usr/local/bin/k3s-uninstall.sh', 'remove /var/lib/rancher/k3s and all below it'],
    ],
    ['an agent', false, true, [], ['run /usr/local/bin/k3s-agent-uninstall.sh']],
    [
      'what an uninstall left',
      false,
      false,
      ['/etc/rancher/k3s'],
      ['remove /etc/rancher/k3s and all below it'],
    ],
  ])('%s', async (_name, serverUninstaller, agentUninstaller, paths, actions) => {
    const host = (await nodesOf())('s1');
    const seen = { traces: { serverUninstaller, agentUninstaller, paths, folders: [] } };
    const plan = decided(k3sAbsentStep, seen, host);
    expect(actionsIn(plan)).toEqual(actions);
    if (actions.length > 0) expect(settled(k3sAbsentStep, seen, host).verdict).toBe('unchanged');
  });
});

describe('a quorum that is gone', () => {
  const three = { servers: ['s1', 's2', 's3'] };
  const down: ServerData = { ...member, running: false };
  const servers = (...data: (ServerData | undefined)[]) =>
    new Map(data.map((one, index) => [`s${index + 1}`, one]));

  it.each<[string, InUse, Map<string, ServerData | undefined>, string[]]>([
    ['all stopped', stopped, servers(down, down, down), ['start k3s']],
    ['one of three runs', stopped, servers(down, member, down), ['start k3s']],
    ['failed, not only stopped', { ...stopped, state: 'failed' }, servers(down, down, down), ['start k3s']],
    ['two of three run', stopped, servers(down, member, member), []],
    ['starting already', { ...stopped, state: 'activating' }, servers(down, down, down), []],
    ['it runs itself', running, servers(member, down, down), []],
    ['no member yet', stopped, servers(fresh, down, down), []],
    ['one server alone', stopped, servers(down), []],
  ])('%s', async (_name, service, seen, actions) => {
    const plan = decided(k3sQuorumStep, { service, servers: seen }, (await nodesOf(three))('s1'));
    expect(actionsIn(plan)).toEqual(actions);
    expect(scriptsIn(plan)).not.toMatch(/systemctl start (?!--no-block)/);
  });
});

describe('an earlier life of a host', () => {
  const nodes = { servers: ['s1', 's2'], agents: ['a1'] };
  const hostName = (inUse: string) => ({ inUse, onDisk: inUse, hasHostnamectl: true });
  const node = (name: string, more: Partial<K3sNode> = {}): K3sNode =>
    serverNode(name, { ready: false, addresses: ['10.0.0.1'], ...more });
  const api = (...list: K3sNode[]): Map<string, K3sNodes | undefined> =>
    new Map([
      ['s1', undefined],
      ['s2', { nodes: list }],
    ]);

  it.each<[string, string, boolean, ServerData, Map<string, K3sNodes | undefined>, RegExp]>([
    ['a wiped server whose Node is still there', 's1', false, fresh, api(node('s1')), /^change/],
    ['a server whose data went and whose password stayed', 's1', true, fresh, api(node('s1')), /^change/],
    ['a wiped agent', 'a1', false, fresh, api(node('a1', { addresses: ['10.0.1.1'] })), /^change/],
    ['a member', 's1', true, member, api(node('s1')), /^unchanged/],
    ['an agent that only is not Ready', 'a1', true, fresh, api(node('a1')), /^unchanged/],
    ['a host that was never there', 's1', false, fresh, api(node('s2')), /^unchanged/],
    [
      'a cluster that does not answer',
      's1',
      false,
      fresh,
      new Map([
        ['s1', undefined],
        ['s2', { unavailable: 'x' }],
      ]),
      /^unchanged/,
    ],
    [
      'another machine that works under its name',
      's1',
      false,
      fresh,
      api(node('s1', { ready: true, addresses: ['10.9.9.9'] })),
      /^refuse/,
    ],
  ])('%s', async (_name, on, hasPassword, data, seen, verdict) => {
    const host = (await nodesOf(nodes))(on);
    const all = { hostName: hostName(on), data, hasPassword, nodes: seen };
    const plan = decided(k3sStaleNodeStep, all, host);
    expect(plan.verdict).toMatch(verdict);
    if (plan.verdict === 'change') {
      expect(actionsIn(plan)[0]).toBe(`delete the node ${on} and its node password (on s2)`);
      expect(settled(k3sStaleNodeStep, all, host).verdict).toBe('unchanged');
    }
  });
});
