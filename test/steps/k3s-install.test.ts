import { describe, expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import type { AirgapFile } from '../../src/facts/airgap-folder.ts';
import type { InUse } from '../../src/facts/k3s-in-use.ts';
import type { Installation } from '../../src/facts/k3s-installation.ts';
import type { ServerData } from '../../src/facts/k3s-server-data.ts';
import { parseEnvFile } from '../../src/k3s/env-file.ts';
import { k3sInstallStep } from '../../src/steps/k3s-install.ts';
import {
  actionsIn,
  clusterToken,
  decided,
  type Nodes,
  nodesOf,
  password,
  scriptsIn,
  settled,
  shownOf,
  writtenBy,
} from '../k3s/inventory-of.ts';
import { noData as empty, member as live, running, stopped } from '../k3s/seen-of.ts';

const serverEnv = '/etc/systemd/system/k3s.service.env';
const agentEnv = '/etc/systemd/system/k3s-agent.service.env';
const absent: InUse = { ...stopped, state: 'absent', enabled: false };

function installed(
  role: 'server' | 'agent',
  env: Readonly<Record<string, string>> | undefined,
  more: Partial<Installation> = {},
): Installation {
  return {
    manager: 'systemd',
    envPath: role === 'server' ? serverEnv : agentEnv,
    args: [role],
    env:
      env === undefined
        ? undefined
        : new Map(Object.entries(env).map(([name, value]) => [name, new Secret(value)])),
    envMode: env === undefined ? undefined : '0600',
    uninstaller: true,
    otherRole: false,
    ...more,
  };
}

const nothing = (role: 'server' | 'agent') =>
  installed(role, undefined, { args: undefined, uninstaller: false });

function servers(...data: readonly (ServerData | undefined)[]): ReadonlyMap<string, ServerData | undefined> {
  return new Map(data.map((one, index) => [`s${index + 1}`, one]));
}

interface Case {
  readonly airgap?: readonly AirgapFile[];
  readonly host?: string;
  readonly nodes?: Nodes;
  readonly there: Installation;
  readonly inUse?: InUse;
  readonly servers?: ReadonlyMap<string, ServerData | undefined>;
}

async function planned({ host = 's1', nodes = {}, ...seen }: Case) {
  const view = (await nodesOf(nodes))(host);
  const all = { inUse: running, servers: servers(empty), airgap: [], ...seen };
  return { plan: decided(k3sInstallStep, all, view), all, view };
}

const withAgent = { servers: ['s1'], agents: ['a1'] };

describe('what is installed already', () => {
  it.each<[string, Case]>([
    ['a server without a token', { there: installed('server', {}) }],
    [
      'a server with the inventory token',
      { nodes: { vars: { token: password } }, there: installed('server', { K3S_TOKEN: password }) },
    ],
    [
      'the same token in full',
      {
        nodes: { vars: { token: password } },
        there: installed('server', { K3S_TOKEN: clusterToken }),
        servers: servers(live),
      },
    ],
    [
      'the inventory token in full, the short one there',
      {
        nodes: { vars: { token: clusterToken } },
        there: installed('server', { K3S_TOKEN: password }),
        servers: servers(live),
      },
    ],
    [
      'a server whose token the inventory does not name',
      { there: installed('server', { K3S_TOKEN: 'its own' }) },
    ],
    [
      'an agent',
      {
        host: 'a1',
        nodes: withAgent,
        there: installed('agent', { K3S_TOKEN: clusterToken, K3S_URL: 'https://10.0.0.1:6443' }),
        servers: servers(live),
      },
    ],
    [
      'a proxy that the install script found',
      { there: installed('server', { HTTPS_PROXY: 'http://p:3128' }) },
    ],
    [
      'arguments',
      {
        nodes: { vars: { extra_server_args: "--disable traefik --node-label 'a=b c'" } },
        there: installed('server', {}, { args: ['server', '--disable', 'traefik', '--node-label', 'a=b c'] }),
      },
    ],
    [
      'an agent that follows another of its servers',
      {
        host: 'a1',
        nodes: { servers: ['s1', 's2'], agents: ['a1'] },
        there: installed('agent', { K3S_TOKEN: clusterToken, K3S_URL: 'https://10.0.0.2:6443' }),
        servers: servers(live, live),
      },
    ],
  ])('stays: %s', async (_name, given) => {
    const { plan } = await planned(given);
    expect([plan.verdict, plan.because]).toEqual(['unchanged', expect.stringContaining('is installed')]);
  });

  it.each<[string, Case, RegExp, string[]]>([
    [
      'nothing there',
      { there: nothing('server'), inUse: absent },
      /k3s is not installed/,
      [
        'write /run/fleet/k3s-install.sh (0700 root:root)',
        'run the k3s install script: server',
        `write ${serverEnv} (0600 root:root)`,
      ],
    ],
    [
      'other arguments',
      { nodes: { vars: { extra_server_args: '--disable traefik' } }, there: installed('server', {}) },
      /its arguments differ/,
      [
        'write /run/fleet/k3s-install.sh (0700 root:root)',
        'run the k3s install script: server --disable traefik',
        `write ${serverEnv} (0600 root:root)`,
      ],
    ],
    [
      'a unit made by hand',
      { there: installed('server', undefined, { uninstaller: false }) },
      /uninstall script is missing/,
      [
        'write /run/fleet/k3s-install.sh (0700 root:root)',
        'run the k3s install script: server',
        `write ${serverEnv} (0600 root:root)`,
      ],
    ],
    [
      'another variable',
      { nodes: { vars: { extra_service_envs: ['A=b'] } }, there: installed('server', { A: 'c' }) },
      /^A in its environment file$/,
      [`write ${serverEnv} (0600 root:root)`],
    ],
    [
      'a k3s variable that nobody asked for',
      { there: installed('server', { K3S_DEBUG: 'true' }) },
      /^K3S_DEBUG in its environment file$/,
      [`write ${serverEnv} (0600 root:root)`],
    ],
    [
      'an environment that all may read',
      { there: installed('server', {}, { envMode: '0644' }) },
      /mode 0644/,
      [`write ${serverEnv} (0600 root:root)`],
    ],
    [
      'an agent at another address',
      {
        host: 'a1',
        nodes: withAgent,
        there: installed('agent', { K3S_TOKEN: clusterToken, K3S_URL: 'https://192.168.0.9:6443' }),
        servers: servers(live),
      },
      /^K3S_URL in/,
      [`write ${agentEnv} (0600 root:root)`],
    ],
    [
      'no environment file',
      { nodes: { vars: { token: password } }, there: installed('server', undefined) },
      /^K3S_TOKEN in/,
      [`write ${serverEnv} (0600 root:root)`],
    ],
  ])('is mended: %s', async (_name, given, because, actions) => {
    const { plan, all, view } = await planned(given);
    expect([plan.verdict, plan.because]).toEqual(['change', expect.stringMatching(because)]);
    expect(actionsIn(plan)).toEqual(actions);
    expect(settled(k3sInstallStep, all, view).verdict, 'once that is done').toBe('unchanged');
  });

  it.each<[string, Case, RegExp, RegExp]>([
    [
      'no service manager',
      { there: { ...nothing('server'), manager: 'none' } },
      /neither systemd nor OpenRC/,
      /boot/,
    ],
    [
      'an agent that shall be a server',
      { there: { ...nothing('server'), otherRole: true } },
      /is a k3s agent and shall become a server/,
      /fleet reset --limit s1/,
    ],
    [
      'a server that shall be an agent',
      {
        host: 'a1',
        nodes: withAgent,
        there: { ...nothing('agent'), otherRole: true },
        servers: servers(live),
      },
      /is a k3s server and shall become a agent/,
      /fleet reset --limit a1/,
    ],
    [
      'another token than the cluster has',
      { nodes: { vars: { token: 'another' } }, there: installed('server', {}), servers: servers(live) },
      /not the one that the cluster has/,
      /fleet rotate token/,
    ],
    [
      'the same for an agent',
      {
        host: 'a1',
        nodes: { ...withAgent, vars: { token: 'another' } },
        there: nothing('agent'),
        servers: servers(live),
      },
      /not the one that the cluster has/,
      /token/,
    ],
    [
      'an agent before any server',
      { host: 'a1', nodes: { ...withAgent, vars: { token: password } }, there: nothing('agent') },
      /no server of the cluster has a token yet/,
      /fleet up/,
    ],
    [
      'an agent whose servers are all away',
      { host: 'a1', nodes: withAgent, there: nothing('agent'), servers: servers(undefined) },
      /no server/,
      /fleet up/,
    ],
    [
      'what is no assignment',
      {
        nodes: { vars: { extra_service_envs: [`MY-${'TOKEN'}=${password}`] } },
        there: installed('server', {}),
      },
      /"MY-TOKEN", which is no NAME=value/,
      /NAME=value/,
    ],
  ])('is refused: %s', async (_name, given, because, fix) => {
    const { plan } = await planned(given);
    expect(plan).toMatchObject({
      verdict: 'refuse',
      because: expect.stringMatching(because),
      fix: expect.stringMatching(fix),
    });
  });
});

describe('the token', () => {
  it('is pinned for agents: in full, CA hash included, though the inventory has the short one', async () => {
    const { plan } = await planned({
      host: 'a1',
      nodes: { ...withAgent, vars: { token: password } },
      there: nothing('agent'),
      inUse: absent,
      servers: servers(live),
    });
    expect(Object.fromEntries(parseEnvFile(writtenBy(plan, agentEnv).text))).toEqual({
      K3S_TOKEN: clusterToken,
      K3S_URL: 'https://10.0.0.1:6443',
    });
  });

  it('is pinned for a server that joins', async () => {
    const { plan } = await planned({
      host: 's2',
      nodes: { servers: ['s1', 's2'] },
      there: nothing('server'),
      inUse: absent,
      servers: servers(live, empty),
    });
    expect(parseEnvFile(writtenBy(plan, serverEnv).text).get('K3S_TOKEN')).toBe(clusterToken);
  });

  it('of a wiped first server is the live one of the others', async () => {
    const { plan } = await planned({
      nodes: { servers: ['s1', 's2'], vars: { token: password } },
      there: nothing('server'),
      servers: servers(empty, live),
    });
    expect(parseEnvFile(writtenBy(plan, serverEnv).text).get('K3S_TOKEN')).toBe(clusterToken);
  });

  it('of a first server is the one of the inventory, or k3s makes one', async () => {
    const given = await planned({ nodes: { vars: { token: password } }, there: nothing('server') });
    expect(parseEnvFile(writtenBy(given.plan, serverEnv).text).get('K3S_TOKEN')).toBe(password);
    const own = await planned({ there: nothing('server') });
    expect(writtenBy(own.plan, serverEnv).text).toBe('');
  });

  it('of a first server is never in full: its CA is not made yet, and k3s would refuse a hash', async () => {
    const { plan } = await planned({ nodes: { vars: { token: clusterToken } }, there: nothing('server') });
    expect(parseEnvFile(writtenBy(plan, serverEnv).text).get('K3S_TOKEN')).toBe(password);
  });

  it('of an agent is the agent-token where the cluster has one; the servers’ own is not spread further', async () => {
    const agentToken = `K10${'a'.repeat(64)}::node:for-agents-alone`;
    const forAgents = { ...live, agentToken: new Secret(agentToken) };
    const { plan } = await planned({
      host: 'a1',
      nodes: withAgent,
      there: nothing('agent'),
      inUse: absent,
      servers: servers(forAgents),
    });
    expect(parseEnvFile(writtenBy(plan, agentEnv).text).get('K3S_TOKEN')).toBe(agentToken);
    const joined = installed('agent', { K3S_TOKEN: clusterToken, K3S_URL: 'https://10.0.0.1:6443' });
    const kept = await planned({ host: 'a1', nodes: withAgent, there: joined, servers: servers(forAgents) });
    expect(kept.plan.verdict).toBe('unchanged');
  });

  it('of servers that disagree is a rotation that was broken off: nobody guesses which one counts', async () => {
    const other = { ...live, token: new Secret(clusterToken.replace(password, 'the-next-one')) };
    const { plan } = await planned({
      host: 'a1',
      nodes: { servers: ['s1', 's2'], agents: ['a1'] },
      there: nothing('agent'),
      servers: servers(live, other),
    });
    expect(plan).toMatchObject({ verdict: 'refuse', fix: 'Finish it: fleet rotate token.' });
  });
});

describe('where an agent finds the cluster', () => {
  it.each<[string, Nodes['vars'], readonly (ServerData | undefined)[], string]>([
    ['a server that runs', {}, [{ ...live, running: false }, live], 'https://10.0.0.2:6443'],
    [
      'the endpoint for all',
      { api_endpoint: 'k3s.example.org', api_port: 8443 },
      [live, live],
      'https://k3s.example.org:8443',
    ],
    ['an IPv6 endpoint', { api_endpoint: 'fd00::1' }, [live, live], 'https://[fd00::1]:6443'],
  ])('%s', async (_name, vars, data, url) => {
    const { plan } = await planned({
      host: 'a1',
      nodes: { servers: ['s1', 's2'], agents: ['a1'], ...(vars === undefined ? {} : { vars }) },
      there: nothing('agent'),
      servers: servers(...data),
    });
    expect(parseEnvFile(writtenBy(plan, agentEnv).text).get('K3S_URL')).toBe(url);
  });
});

describe('nothing secret is shown', () => {
  const secretArgs = `--token ${password} --datastore-endpoint=postgres://u:${password}@db/k3s --disable traefik`;

  it.each<[string, Case]>([
    [
      'a new server',
      {
        nodes: {
          vars: { token: password, extra_server_args: secretArgs, extra_service_envs: [`X=${password}`] },
        },
        there: nothing('server'),
      },
    ],
    [
      'an adopted one with secrets in its unit',
      {
        nodes: { vars: { extra_server_args: '--disable traefik' } },
        there: installed(
          'server',
          { K3S_TOKEN: password, X_TOKEN: password },
          { args: ['server', '--token', password, `--agent-token=${password}`], uninstaller: false },
        ),
      },
    ],
    ['a new agent', { host: 'a1', nodes: withAgent, there: nothing('agent'), servers: servers(live) }],
    [
      'a token that is refused',
      {
        nodes: { vars: { token: `other-${password}` } },
        there: installed('server', {}),
        servers: servers(live),
      },
    ],
  ])('%s', async (_name, given) => {
    const { plan } = await planned(given);
    expect(shownOf(plan)).not.toContain(password);
  });

  it('but which arguments change is', async () => {
    const { plan } = await planned({
      nodes: { vars: { extra_server_args: '--disable traefik' } },
      there: installed('server', {}, { args: ['server', '--token', password] }),
    });
    expect(plan).toMatchObject({
      diff: [
        { subject: 'arguments of k3s', before: 'server --token [secret]', after: 'server --disable traefik' },
      ],
    });
  });
});

describe('the install script', () => {
  it('is run so that it downloads nothing and starts nothing', async () => {
    const { plan } = await planned({
      nodes: { vars: { extra_server_args: "--node-label 'a=it'" } },
      there: nothing('server'),
    });
    const script = scriptsIn(plan);
    expect(script).toContain('export INSTALL_K3S_SKIP_DOWNLOAD=true\n');
    expect(script).toContain('export INSTALL_K3S_SKIP_START=true\n');
    expect(script).toContain('sh /run/fleet/k3s-install.sh server --node-label a=it;');
    expect(plan).toMatchObject({ actions: [{}, { survives: true }, {}] });
  });

  it('and no SELinux policy are fetched where there is no network', async () => {
    const nodes = { vars: { airgap_dir: '/srv/airgap' } };
    const airgap = [{ name: 'k3s-install.sh', path: '/srv/airgap/k3s-install.sh', sizeBytes: 1 }];
    const { plan } = await planned({ nodes, there: nothing('server'), airgap });
    expect(scriptsIn(plan)).toContain('INSTALL_K3S_SKIP_SELINUX_RPM=true');
    expect(plan).toMatchObject({
      actions: [
        { content: { fact: { key: expect.stringContaining('/srv/airgap/k3s-install.sh') } } },
        {},
        {},
      ],
    });
    expect((await planned({ nodes, there: nothing('server') })).plan).toMatchObject({
      verdict: 'refuse',
      because: expect.stringContaining('holds no k3s-install.sh'),
    });
  });

  it('puts its unit where the inventory says', async () => {
    const { plan } = await planned({
      nodes: { vars: { systemd_dir: '/usr/lib/systemd/system' } },
      there: nothing('server'),
    });
    expect(scriptsIn(plan)).toContain('INSTALL_K3S_SYSTEMD_DIR=/usr/lib/systemd/system');
  });

  it('leaves a plan that later steps can build on', async () => {
    const { plan } = await planned({ there: nothing('server'), inUse: absent });
    expect(plan).toMatchObject({ after: { inUse: { state: 'inactive', enabled: true } } });
    const drift = await planned({ there: installed('server', { K3S_DEBUG: 'true' }) });
    expect(drift.plan).toMatchObject({ after: { inUse: { state: 'active', newerThanStart: [serverEnv] } } });
  });
});
