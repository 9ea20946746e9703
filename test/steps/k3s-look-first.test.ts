import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { Secret } from '../../src/core/secret.ts';
import type { Installation } from '../../src/facts/k3s-installation.ts';
import type { ServerData } from '../../src/facts/k3s-server-data.ts';
import { k3sDatastoreStep } from '../../src/steps/k3s-datastore.ts';
import { k3sFixedSettingsStep } from '../../src/steps/k3s-fixed-settings.ts';
import { k3sTokenMovableStep } from '../../src/steps/k3s-token-movable.ts';
import { type AnyPlan, decided, nodesOf, shownOf } from '../k3s/inventory-of.ts';

/** What is refused before anything is changed on any host. */

const ca = 'a'.repeat(64);
const live = (password = 'the-live-password', hash = ca): Secret =>
  new Secret(`K10${hash}::server:${password}`);
const member: ServerData = { datastore: 'etcd', token: live(), running: true, hostName: 's1' };

interface Cluster {
  readonly on?: string;
  /** What the inventory says now. */
  readonly vars?: Readonly<Record<string, unknown>>;
  /** What the node was started with. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly added?: Readonly<Record<string, unknown>>;
  readonly args?: readonly string[] | undefined;
  readonly env?: Readonly<Record<string, string>>;
  readonly data?: ServerData;
}

const text = (config: object | undefined) => ({ text: config && stringify(config), sha256: undefined });

async function fixedSettings(found: Cluster): Promise<AnyPlan> {
  const { on = 's1', vars = {}, config, added, env = {}, data = member } = found;
  const there: Installation = {
    manager: 'systemd',
    envPath: '/etc/systemd/system/k3s.service.env',
    args: 'args' in found ? found.args : ['server'],
    env: new Map(Object.entries(env).map(([name, value]) => [name, new Secret(value)])),
    envMode: '0600',
    uninstaller: true,
    otherRole: false,
  };
  const view = (await nodesOf({ servers: ['s1', 's2'], agents: ['a1'], vars }))(on);
  const servers = new Map<string, ServerData | undefined>([
    ['s1', data],
    ['s2', undefined],
  ]);
  return decided(k3sFixedSettingsStep, { there, config: text(config), added: text(added), servers }, view);
}

const yaml = (config: object): { server_config_yaml: string } => ({ server_config_yaml: stringify(config) });

describe('what a cluster keeps for its life', () => {
  it.each<[string, Cluster]>([
    ['nothing is said, and nothing was', {}],
    ['the usual network, said in words', { vars: { cluster_cidr: '10.42.0.0/16' } }],
    [
      'the same, written in another place',
      { vars: yaml({ 'cluster-cidr': '10.9.0.0/16' }), added: { 'cluster-cidr': '10.9.0.0/16' } },
    ],
    [
      'both families, in another form',
      {
        vars: { cluster_cidr: ['10.9.0.0/16', 'fd00::/56'] },
        config: { 'cluster-cidr': '10.9.0.0/16, fd00::/56' },
      },
    ],
    ['a config.yaml that the inventory leaves alone', { config: { 'service-cidr': '10.8.0.0/16' } }],
    ['the name server that k3s would choose', { vars: yaml({ 'cluster-dns': '10.43.0.10' }) }],
    [
      'a new server has nothing to keep',
      {
        args: undefined,
        vars: { cluster_cidr: '10.9.0.0/16' },
        data: { ...member, datastore: 'none', token: undefined },
      },
    ],
    [
      'its data in the folder where it is',
      { vars: { k3s_server_location: '/data/k3s/' }, added: { 'data-dir': '/data/k3s' } },
    ],
    [
      'a database with another password',
      {
        vars: yaml({ 'datastore-endpoint': 'postgres://u:new@db/k3s' }),
        config: { 'datastore-endpoint': 'postgres://u:old@db/k3s' },
      },
    ],
    [
      'another database while the server is stopped',
      {
        vars: yaml({ 'datastore-endpoint': 'postgres://u:p@new/k3s' }),
        config: { 'datastore-endpoint': 'postgres://u:p@old/k3s' },
        data: { ...member, datastore: 'external', running: false },
      },
    ],
    ['an agent, whatever the servers were started with', { on: 'a1', vars: { cluster_cidr: '10.9.0.0/16' } }],
  ])('is as it was: %s', async (_what, found) => {
    expect(await fixedSettings(found)).toMatchObject({ verdict: 'unchanged' });
  });

  it.each<[string, Cluster, RegExp]>([
    [
      'the network of the pods',
      { vars: { cluster_cidr: '10.9.0.0/16' } },
      /cluster-cidr would be 10\.9\.0\.0\/16, and the cluster was made with 10\.42\.0\.0\/16/,
    ],
    [
      'the network of the services, no longer said',
      { added: { 'service-cidr': '10.8.0.0/16' } },
      /service-cidr would be 10\.43\.0\.0\/16.*10\.8\.0\.0\/16/,
    ],
    [
      'the name server',
      { vars: yaml({ 'cluster-dns': '10.43.0.53' }) },
      /cluster-dns would be 10\.43\.0\.53.*10\.43\.0\.10/,
    ],
    [
      'the domain, of a server that was made by hand',
      { args: ['server', '--cluster-domain=lab.local'] },
      /cluster-domain would be cluster\.local.*lab\.local/,
    ],
    [
      'the folder of its data',
      { vars: { k3s_server_location: '/data/k3s' } },
      /keeps its data in \/var\/lib\/rancher\/k3s, and with \/data\/k3s it would begin anew/,
    ],
    [
      'the database under a server that runs',
      {
        vars: yaml({ 'datastore-endpoint': 'postgres://u:hunter2@new/k3s' }),
        env: { K3S_DATASTORE_ENDPOINT: 'mysql://u:hunter2@tcp(old)/k3s' },
        data: { ...member, datastore: 'external' },
      },
      /mysql:\/\/tcp\(old:3306\)\/k3s, and the inventory names postgres:\/\/new:5432\/k3s/,
    ],
  ])('is refused to change: %s', async (_what, found, because) => {
    const plan = await fixedSettings(found);
    expect(plan).toMatchObject({ verdict: 'refuse', because: expect.stringMatching(because) });
    expect(shownOf(plan)).not.toContain('hunter2');
  });

  it.each<[string, Cluster, string]>([
    ['in the variable', { vars: { token: 'another-one' } }, 'the inventory'],
    [
      'in full, of another cluster',
      { vars: { token: live('the-live-password', 'b'.repeat(64)).reveal() } },
      'the inventory',
    ],
    ['in server_config_yaml', { vars: yaml({ token: 'another-one' }) }, 'server_config_yaml'],
    ['in the config.yaml on the node', { config: { token: 'another-one' } }, '/etc/rancher/k3s/config.yaml'],
    ['among the arguments', { vars: { extra_server_args: '--token another-one' } }, 'extra_server_args'],
    ['in the environment', { vars: { extra_service_envs: ['K3S_TOKEN=another-one'] } }, 'extra_service_envs'],
    ['of an agent', { on: 'a1', vars: { agent_config_yaml: 'token: another-one\n' } }, 'agent_config_yaml'],
  ])('another token is refused: %s', async (_what, found, where) => {
    const plan = await fixedSettings(found);
    expect(plan).toMatchObject({
      verdict: 'refuse',
      code: 'TOKEN_DIFFERS',
      because: `the token in ${where} is not the one that the cluster has`,
    });
    expect(shownOf(plan)).not.toContain('another-one');
  });

  it.each<[string, Cluster]>([
    ['its password alone', { vars: { token: 'the-live-password' } }],
    ['in full', { vars: { token: live().reveal() } }],
    [
      "the agents' own",
      {
        on: 'a1',
        vars: { agent_config_yaml: 'token: for-agents\n' },
        data: { ...member, agentToken: new Secret('for-agents') },
      },
    ],
    [
      'one that was created for an agent',
      { on: 'a1', vars: { agent_config_yaml: 'token: abcdef.0123456789abcdef\n' } },
    ],
    [
      'any, where there is no cluster yet',
      { vars: { token: 'another-one' }, data: { ...member, datastore: 'none', token: undefined } },
    ],
  ])('a token that opens the cluster may be said: %s', async (_what, found) => {
    expect(await fixedSettings(found)).toMatchObject({ verdict: 'unchanged' });
  });
});

describe('the database elsewhere', () => {
  const planned = async (endpoint: string | undefined, states: Readonly<Record<string, string>>, on = 's1') =>
    decided(
      k3sDatastoreStep,
      states,
      (
        await nodesOf({
          agents: ['a1'],
          vars: endpoint === undefined ? {} : yaml({ 'datastore-endpoint': endpoint }),
        })
      )(on),
    );
  const etcd = 'https://10.0.9.1:2379,https://10.0.9.2:2379';

  it.each<[string, string | undefined, Record<string, string>]>([
    ['there is none', undefined, {}],
    ['it answers', 'postgres://k3s:hunter2@10.0.9.1/k3s', { '10.0.9.1:5432': 'open' }],
    ['one of several answers', etcd, { '10.0.9.1:2379': 'closed', '10.0.9.2:2379': 'open' }],
    ['nobody can tell', 'postgres://k3s:hunter2@10.0.9.1/k3s', { '10.0.9.1:5432': 'unknown' }],
    ['it is on the host itself', 'mysql://k3s:hunter2@unix(/run/mysql.sock)/k3s', {}],
  ])('is no hindrance: %s', async (_what, endpoint, states) => {
    const plan = await planned(endpoint, states);
    expect(plan.verdict).toBe('unchanged');
    expect(shownOf(plan)).not.toContain('hunter2');
  });

  it('that cannot be reached is named without its password', async () => {
    const plan = await planned('mysql://k3s:hunter2@tcp(10.0.9.1:3306)/k3s', { '10.0.9.1:3306': 'closed' });
    expect(plan).toMatchObject({
      verdict: 'refuse',
      code: 'DATASTORE_UNREACHABLE',
      because: 'the database mysql://tcp(10.0.9.1:3306)/k3s cannot be reached from s1',
    });
    expect(shownOf(plan)).not.toContain('hunter2');
    expect((await planned(etcd, { '10.0.9.1:2379': 'closed', '10.0.9.2:2379': 'closed' })).verdict).toBe(
      'refuse',
    );
  });

  it('that k3s would not understand is refused, unseen', async () => {
    const plan = await planned('hunter2@10.0.9.1', {});
    expect(plan).toMatchObject({ verdict: 'refuse', code: 'DATASTORE_ENDPOINT' });
    expect(shownOf(plan)).not.toContain('hunter2');
  });

  it('whose password stands in a command line is named, and nothing is stopped', async () => {
    const vars = { extra_server_args: '--datastore-endpoint postgres://k3s:hunter2@10.0.9.1/k3s' };
    const plan = decided(k3sDatastoreStep, { '10.0.9.1:5432': 'open' }, (await nodesOf({ vars }))('s1'));
    expect(plan).toMatchObject({ verdict: 'unchanged', warning: { code: 'PASSWORD_IN_ARGUMENTS' } });
    expect(JSON.stringify(plan)).not.toContain('hunter2');
    const etcd = { extra_server_args: '--datastore-endpoint http://10.0.9.1:2379' };
    const quiet = decided(
      k3sDatastoreStep,
      { '10.0.9.1:2379': 'open' },
      (await nodesOf({ vars: etcd }))('s1'),
    );
    expect(quiet).not.toHaveProperty('warning');
  });

  it('is no business of an agent', async () => {
    expect((await planned('postgres://k3s:hunter2@10.0.9.1/k3s', {}, 'a1')).verdict).toBe('unchanged');
  });
});

describe('a token before its rotation', () => {
  const planned = async (vars: Readonly<Record<string, unknown>>, rotation: string, config?: object) => {
    const view = (await nodesOf({ servers: ['s1', 's2'], vars }))('s2');
    return k3sTokenMovableStep.plan(
      { config: text(config), source: { ...member, token: live('fresh') }, rotation } as never,
      { from: 's1' },
      view,
    ) as AnyPlan;
  };

  it.each<[string, Readonly<Record<string, unknown>>, object | undefined, string]>([
    ['in server_config_yaml', yaml({ token: 'mine' }), undefined, 'server_config_yaml'],
    ['in a config.yaml that only the node has', {}, { token: 'mine' }, '/etc/rancher/k3s/config.yaml'],
    [
      'in two places',
      { ...yaml({ token: 'mine' }), extra_service_envs: ['K3S_TOKEN=mine'] },
      undefined,
      'extra_service_envs and server_config_yaml',
    ],
  ])('that is the user’s to change is refused: %s', async (_what, vars, config, where) => {
    const plan = await planned(vars, 'none', config);
    expect(plan).toMatchObject({
      verdict: 'refuse',
      because: `its token stands in ${where}, which is yours to change`,
    });
    expect(shownOf(plan)).not.toContain('mine');
  });

  it('may be the new one where a broken-off rotation has made it', async () => {
    expect((await planned(yaml({ token: 'fresh' }), 'rotated')).verdict).toBe('unchanged');
    expect((await planned(yaml({ token: 'fresh' }), 'none')).verdict).toBe('refuse');
    expect((await planned({ token: 'mine' }, 'none')).verdict).toBe('unchanged');
  });
});
