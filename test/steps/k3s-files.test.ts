import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { Secret } from '../../src/core/secret.ts';
import { noContent, noFile, sha256Of } from '../../src/facts/file.ts';
import type { ServerData } from '../../src/facts/k3s-server-data.ts';
import type { SelinuxMode } from '../../src/facts/selinux.ts';
import { configPath, fleetConfigPath, registriesPath } from '../../src/k3s/paths.ts';
import { mustParseVersion } from '../../src/k3s/version.ts';
import { k3sConfigStep } from '../../src/steps/k3s-config.ts';
import { k3sMembershipStep } from '../../src/steps/k3s-membership.ts';
import { k3sRegistriesStep } from '../../src/steps/k3s-registries.ts';
import {
  actionsIn,
  clusterToken,
  decided,
  type Nodes,
  nodesOf,
  password,
  settled,
  shownOf,
  writtenBy,
} from '../k3s/inventory-of.ts';
import { member, running, noData as wiped } from '../k3s/seen-of.ts';

const folder = { type: 'directory', mode: '0755', owner: 'root', group: 'root' } as const;
const me = { user: 'root', group: 'root', uid: 0, home: '/root' };

/** What is seen of a file with this text, or of none. */
function site(text: string | undefined, mode = '0600') {
  const stat = { type: 'file', mode, owner: 'root', group: 'root' } as const;
  return {
    file: text === undefined ? noFile : { self: stat, followed: stat },
    content: text === undefined ? noContent : { sha256: sha256Of(text), text },
    parent: { self: folder, followed: folder },
    me,
    inUse: running,
  };
}

/** The same for the step that also asks which release the text is for. */
function ownSite(text: string | undefined, mode?: string) {
  return { ...site(text, mode), wanted: mustParseVersion('v1.33.4+k3s1') };
}

describe('config.yaml', () => {
  const config = `token: ${password}\ntls-san:\n  - k3s.example.org\n`;
  const nodes = { vars: { server_config_yaml: config } };

  it.each<[string, Nodes, string | undefined]>([
    ['as the inventory has it', nodes, config],
    ['the user wrote, where the inventory says nothing', {}, 'disable: traefik\n'],
    ['none, where the inventory says nothing', {}, undefined],
    ['none, where it says only blanks', { vars: { server_config_yaml: '\n  \n' } }, undefined],
  ])('stays: %s', async (_name, given, text) => {
    expect(decided(k3sConfigStep, ownSite(text), (await nodesOf(given))('s1')).verdict).toBe('unchanged');
  });

  it.each<[string, string | undefined, string]>([
    ['not there', undefined, '0600'],
    ['another', `token: old-${password}\n`, '0600'],
    ['readable by all', config, '0644'],
  ])('is put in place: %s', async (_name, text, mode) => {
    const host = (await nodesOf(nodes))('s1');
    const plan = decided(k3sConfigStep, ownSite(text, mode), host);
    expect(plan).toMatchObject({ verdict: 'change', after: { inUse: { newerThanStart: [configPath] } } });
    if (text !== config)
      expect(writtenBy(plan, configPath)).toEqual({ text: config, mode: '0600 root:root' });
    expect(settled(k3sConfigStep, ownSite(text, mode), host).verdict).toBe('unchanged');
  });

  it('is shown in the diff without its secrets', async () => {
    const plan = decided(
      k3sConfigStep,
      ownSite(`token: old-${password}\n# token: ${password}\n`),
      (await nodesOf(nodes))('s1'),
    );
    expect(shownOf(plan)).not.toContain(password);
    expect(plan).toMatchObject({
      diff: [
        {
          subject: configPath,
          before: 'token: [secret]\n# token: [secret]\n',
          after: 'token: [secret]\ntls-san:\n  - k3s.example.org\n',
        },
      ],
    });
  });

  it('where nothing but a secret differs is a change without a diff', async () => {
    const plan = decided(
      k3sConfigStep,
      ownSite(config.replace(password, 'other')),
      (await nodesOf(nodes))('s1'),
    );
    expect(plan.verdict).toBe('change');
    expect(shownOf(plan)).not.toMatch(/hunter2|other/);
  });

  it('of an agent is its own', async () => {
    const host = (
      await nodesOf({
        agents: ['a1'],
        vars: { server_config_yaml: config, agent_config_yaml: 'node-label: [a=b]' },
      })
    )('a1');
    expect(writtenBy(decided(k3sConfigStep, ownSite(undefined), host), configPath).text).toBe(
      'node-label: [a=b]\n',
    );
  });

  it('that is a folder is refused', async () => {
    const seen = { ...ownSite(undefined), file: { self: folder, followed: folder } };
    expect(decided(k3sConfigStep, seen, (await nodesOf(nodes))('s1'))).toMatchObject({
      verdict: 'refuse',
      because: expect.stringContaining('is a directory'),
    });
  });
});

describe('registries.yaml', () => {
  const text = `configs:\n  registry:\n    auth:\n      username: u\n      password: ${password}\n`;
  const nodes = { vars: { registries_config_yaml: text } };

  it('lets nodes hand on images of all registries, where it names none itself', async () => {
    const written = async (vars: Record<string, unknown>) =>
      writtenBy(
        decided(
          k3sRegistriesStep,
          site(undefined),
          (await nodesOf({ vars: { embedded_registry: true, ...vars } }))('s1'),
        ),
        registriesPath,
      );
    expect(await written({})).toEqual({ text: 'mirrors:\n  "*":\n', mode: '0600 root:root' });
    expect((await written(nodes.vars)).text).toBe(`${text}mirrors:\n  "*":\n`);
    const own = 'mirrors:\n  docker.io:\n';
    expect((await written({ registries_config_yaml: own })).text).toBe(own);
  });

  it('stays where it is right, or where the inventory says nothing', async () => {
    expect(decided(k3sRegistriesStep, site(text), (await nodesOf(nodes))('s1')).verdict).toBe('unchanged');
    expect(decided(k3sRegistriesStep, site('mirrors: {}\n'), (await nodesOf())('s1')).verdict).toBe(
      'unchanged',
    );
  });

  it.each([undefined, `configs: {x: {auth: {password: old-${password}}}}\n`])(
    'is put in place over %j, and none of it is shown',
    async (before) => {
      const host = (await nodesOf(nodes))('s1');
      const plan = decided(k3sRegistriesStep, site(before), host);
      expect(writtenBy(plan, registriesPath)).toEqual({ text, mode: '0600 root:root' });
      expect(shownOf(plan)).not.toContain(password);
      expect(plan).toMatchObject({ after: { inUse: { newerThanStart: [registriesPath] } } });
      expect(settled(k3sRegistriesStep, site(before), host).verdict).toBe('unchanged');
    },
  );
});

describe('how a node belongs to its cluster', () => {
  const three = { servers: ['s1', 's2', 's3'] };
  const sqlite: ServerData = { ...member, datastore: 'sqlite' };
  const all = (...data: readonly (ServerData | undefined)[]) =>
    new Map(data.map((one, index) => [`s${index + 1}`, one] as const));

  const planFor = async (
    host: string,
    nodes: Nodes,
    servers: ReadonlyMap<string, ServerData | undefined>,
    onDisk?: string,
    selinux: SelinuxMode = 'disabled',
  ) =>
    decided(
      k3sMembershipStep,
      {
        ...site(onDisk),
        servers,
        selinux: { inUse: selinux, onDisk: undefined, policy: '' },
        iptables: undefined,
        routes: { candidates: [], hasDefault: false, usual: undefined, asUsual: [], toOthers: [] },
      },
      (await nodesOf(nodes))(host),
    );

  it('tells k3s of SELinux where it enforces, on servers and agents, unless the user has said something', async () => {
    const contentOf = async (host: string, nodes: Nodes, mode: SelinuxMode) =>
      JSON.stringify(await planFor(host, nodes, all(wiped), undefined, mode));
    expect(await contentOf('s1', {}, 'enforcing')).toContain('selinux: true');
    expect(await contentOf('s1', {}, 'permissive')).not.toContain('selinux');
    expect(
      await contentOf('s1', { vars: { extra_server_args: '--selinux=false' } }, 'enforcing'),
    ).not.toContain('selinux: true');
  });

  it.each<[string, string, Nodes, ReadonlyMap<string, ServerData | undefined>, Record<string, unknown>]>([
    ['a single server', 's1', {}, all(wiped), { 'tls-san': ['10.0.0.1'] }],
    [
      'a server whose nodes hand images on',
      's1',
      { vars: { embedded_registry: true } },
      all(wiped),
      { 'tls-san': ['10.0.0.1'], 'embedded-registry': true },
    ],
    [
      'a server whose own config says that they do not',
      's1',
      { vars: { embedded_registry: true, server_config_yaml: 'embedded-registry: false' } },
      all(wiped),
      { 'tls-san': ['10.0.0.1'] },
    ],
    [
      'the first of three',
      's1',
      three,
      all(wiped, wiped, wiped),
      { 'cluster-init': true, 'tls-san': ['10.0.0.1'] },
    ],
    [
      'the second of three',
      's2',
      three,
      all(wiped, wiped, wiped),
      { server: 'https://10.0.0.1:6443', 'tls-san': ['10.0.0.2'] },
    ],
    [
      'a wiped first one',
      's1',
      three,
      all(wiped, member, member),
      { server: 'https://10.0.0.2:6443', 'tls-san': ['10.0.0.1'] },
    ],
    [
      'a wiped first one that is the endpoint itself',
      's1',
      { ...three, vars: { api_endpoint: '10.0.0.1' } },
      all(wiped, member, member),
      { server: 'https://10.0.0.2:6443', 'tls-san': ['10.0.0.1'] },
    ],
    [
      'one that joins through the endpoint for all',
      's3',
      { ...three, vars: { api_endpoint: 'vip.example.org', api_port: 8443 } },
      all(member, member, wiped),
      {
        server: 'https://vip.example.org:8443',
        'https-listen-port': 8443,
        'tls-san': ['vip.example.org', '10.0.0.3'],
      },
    ],
    [
      'one on SQLite that grows',
      's1',
      { servers: ['s1', 's2'] },
      all(sqlite, wiped),
      { 'cluster-init': true, 'tls-san': ['10.0.0.1'] },
    ],
    [
      'an external datastore',
      's2',
      { ...three, vars: { use_external_database: true } },
      all(wiped, wiped, wiped),
      { 'tls-san': ['10.0.0.2'] },
    ],
    [
      'an external datastore that only an install variable names',
      's1',
      { ...three, vars: { extra_install_envs: { K3S_DATASTORE_ENDPOINT: 'postgres://u:p@db/k3s' } } },
      all(wiped, wiped, wiped),
      { 'tls-san': ['10.0.0.1'] },
    ],
    [
      'an external datastore in the config',
      's1',
      { ...three, vars: { server_config_yaml: 'datastore-endpoint: x' } },
      all(wiped, wiped, wiped),
      { 'tls-san': ['10.0.0.1'] },
    ],
    [
      'an external datastore in the arguments',
      's1',
      { ...three, vars: { extra_server_args: '--datastore-endpoint=x' } },
      all(wiped, wiped, wiped),
      { 'tls-san': ['10.0.0.1'] },
    ],
    [
      'what the user says himself',
      's1',
      { ...three, vars: { server_config_yaml: 'cluster-init: true\ntls-san: [a]\n' } },
      all(wiped, wiped, wiped),
      { 'tls-san+': ['10.0.0.1'] },
    ],
    [
      'what the user says in arguments',
      's2',
      { ...three, vars: { extra_server_args: '--server https://x:6443 --tls-san=b' } },
      all(wiped, wiped, wiped),
      { 'tls-san+': ['10.0.0.2'] },
    ],
    [
      'networks and names',
      's1',
      {
        vars: {
          cluster_cidr: '10.52.0.0/16',
          service_cidr: '10.53.0.0/16',
          opt_tls_san: ['x', '10.0.0.1'],
          k3s_server_location: '/data/k3s',
        },
      },
      all(wiped),
      {
        'data-dir': '/data/k3s',
        'cluster-cidr': '10.52.0.0/16',
        'service-cidr': '10.53.0.0/16',
        'tls-san': ['10.0.0.1', 'x'],
      },
    ],
  ])('%s', async (_name, host, nodes, servers, config) => {
    const plan = await planFor(host, nodes, servers);
    expect(parse(writtenBy(plan, fleetConfigPath).text)).toEqual(config);
    expect(shownOf(plan)).not.toContain(password);
  });

  it.each(['server: https://10.0.0.9:6443\n', 'cluster-init: true\n'])(
    'of a member that began with %j stays written',
    async (began) => {
      const plan = await planFor('s1', three, all(member, member, member), began);
      expect(parse(writtenBy(plan, fleetConfigPath).text)).toEqual({
        ...parse(began),
        'tls-san': ['10.0.0.1'],
      });
      const text = writtenBy(plan, fleetConfigPath).text;
      expect((await planFor('s1', three, all(member, member, member), text)).verdict).toBe('unchanged');
    },
  );

  it('says why it joins or starts', async () => {
    expect((await planFor('s1', three, all(wiped, member, member))).because).toContain(
      's2, s3 hold the cluster',
    );
    expect((await planFor('s1', three, all(wiped, wiped, wiped))).because).toContain(
      'no server has a cluster yet',
    );
  });

  it('is refused where a second cluster could come of it', async () => {
    const other = { ...member, token: new Secret(clusterToken.replaceAll('a'.repeat(64), 'b'.repeat(64))) };
    for (const servers of [all(wiped, undefined, wiped), all(wiped, member, other)]) {
      const plan = await planFor('s1', three, servers);
      expect(plan.verdict).toBe('refuse');
      expect(shownOf(plan)).not.toContain(password);
    }
  });

  it('is nothing that an agent needs a file for', async () => {
    const plan = await planFor('a1', { agents: ['a1'] }, new Map());
    expect([plan.verdict, actionsIn(plan)]).toEqual(['unchanged', []]);
  });
});
