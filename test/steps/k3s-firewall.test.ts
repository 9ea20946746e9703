import { describe, expect, test } from 'vitest';
import type { HostView, Plan } from '../../src/engine/step.ts';
import { parseUfw, type UfwState } from '../../src/facts/firewall.ts';
import { type K3sFirewalld, parseK3sFirewalld, parseNodeAddresses } from '../../src/facts/k3s-firewall.ts';
import { holdsNetwork, normalNetwork, openingsOf, portText } from '../../src/k3s/network-needs.ts';
import { readArguments } from '../../src/steps/arguments.ts';
import { k3sFirewallStep } from '../../src/steps/k3s-firewall.ts';
import { readUfwRule } from '../../src/steps/k3s-ufw.ts';
import { nodesOf } from '../k3s/inventory-of.ts';

/** One node of a cluster: `s1` at 10.0.0.1 …, agents `a1` at 10.0.1.1 …. */
async function cluster(
  servers: readonly string[],
  agents: readonly string[],
  vars: Readonly<Record<string, unknown>>,
  name: string,
): Promise<HostView> {
  return (await nodesOf({ servers, agents, vars }))(name);
}

const setup = {
  role: 'server',
  apiPort: 6443,
  flannelBackend: 'vxlan',
  etcd: true,
  embeddedRegistry: false,
  severalNodes: true,
} as const;

describe('what a node must have open', () => {
  const rows: [string, Partial<Parameters<typeof openingsOf>[0]>, string][] = [
    [
      'a server of several',
      {},
      '6443/tcp clients, 6443/tcp nodes, 2379-2380/tcp servers, 10250/tcp nodes, 8472/udp nodes',
    ],
    ['a single node', { severalNodes: false, etcd: false }, '6443/tcp clients'],
    [
      'one server with agents',
      { etcd: false },
      '6443/tcp clients, 6443/tcp nodes, 10250/tcp nodes, 8472/udp nodes',
    ],
    ['an agent', { role: 'agent' }, '10250/tcp nodes, 8472/udp nodes'],
    [
      'an agent, WireGuard',
      { role: 'agent', flannelBackend: 'wireguard-native' },
      '10250/tcp nodes, 51820-51821/udp nodes',
    ],
    ['an agent, routes of the hosts', { role: 'agent', flannelBackend: 'host-gw' }, '10250/tcp nodes'],
    ['an agent, no flannel', { role: 'agent', flannelBackend: 'none' }, '10250/tcp nodes'],
    [
      'an agent that shares images',
      { role: 'agent', embeddedRegistry: true },
      '6443/tcp nodes, 5001/tcp nodes, 10250/tcp nodes, 8472/udp nodes',
    ],
    [
      'another port of the API',
      { apiPort: 7443, etcd: false, flannelBackend: 'none' },
      '7443/tcp clients, 7443/tcp nodes, 10250/tcp nodes',
    ],
  ];
  test.each(rows)('%s', (_name, more, wanted) => {
    const openings = openingsOf({ ...setup, ...more });
    expect(openings.map((one) => `${portText(one)}/${one.protocol} ${one.from}`).join(', ')).toBe(wanted);
  });
});

test('networks have one form', async () => {
  expect(
    ['10.42.3.4/16', '10.0.0.1/32', 'FD00:0042::1/56', 'fd00::1', 'node1', ''].map(normalNetwork),
  ).toEqual(['10.42.0.0/16', '10.0.0.1', 'fd00:42::/56', 'fd00::1', undefined, undefined]);
  expect(holdsNetwork('10.0.0.0/8', '10.42.0.0/16')).toBe(true);
  expect(holdsNetwork('10.42.0.0/16', '10.0.0.0/8')).toBe(false);
  expect(holdsNetwork('10.0.0.5', '10.0.0.5')).toBe(true);
  expect(holdsNetwork('fd00::/8', 'fd12::1')).toBe(true);
  expect(holdsNetwork('any', 'fd12::1')).toBe(true);
});

test('addresses of a node', async () => {
  const stdout = `1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
2: eth0    inet 10.0.0.5/24 brd 10.0.0.255 scope global dynamic eth0\\       valid_lft 80000sec preferred_lft 80000sec
2: eth0    inet 10.0.0.100/32 scope global eth0\\       valid_lft forever preferred_lft forever
2: eth0    inet6 fd00::5/64 scope global \\       valid_lft forever preferred_lft forever
2: eth0    inet6 fd00::abcd/64 scope global temporary dynamic \\       valid_lft 600000sec preferred_lft 80000sec
2: eth0    inet6 fe80::1/64 scope link \\       valid_lft forever preferred_lft forever
3: docker0    inet 172.17.0.1/16 brd 172.17.255.255 scope global docker0\\       valid_lft forever preferred_lft forever
4: flannel.1    inet 10.42.0.0/32 scope global flannel.1\\       valid_lft forever preferred_lft forever
5: cni0    inet 10.42.0.1/24 brd 10.42.0.255 scope global cni0\\       valid_lft forever preferred_lft forever
6: wg0    inet 10.9.0.2/24 scope global wg0\\       valid_lft forever preferred_lft forever
7: br-0123456789ab    inet 172.18.0.1/16 scope global br-0123456789ab\\       valid_lft forever
8: br0.20    inet 192.168.20.2/24 scope global br0.20\\       valid_lft forever
`;
  expect(parseNodeAddresses(stdout)).toEqual([
    '10.0.0.5',
    '10.0.0.100',
    'fd00::5',
    '10.9.0.2',
    '192.168.20.2',
  ]);
  expect(parseNodeAddresses('')).toEqual([]);
});

test('rules as ufw lists them', async () => {
  const read = (line: string) => {
    const { route, action, from, to, protocol, ports, comment, special } = readUfwRule(line);
    const text = ports.map((each) => portText(each)).join(',');
    return `${route ? 'route ' : ''}${action} ${from}>${to} ${protocol} ${text}${comment === '' ? '' : ` #${comment}`}${special ? ' !' : ''}`;
  };
  expect(
    [
      'allow 22/tcp',
      'allow 22',
      'allow OpenSSH',
      'limit 22/tcp',
      "allow from 10.0.0.3 to any port 2379:2380,6443,10250 proto tcp comment 'fleet-k3s etcd'",
      "allow from 10.42.0.0/16 comment 'it''s'",
      'route allow to fd00:42::/56',
      'allow in on eth0 to any port 80 proto tcp',
      'deny out 25',
      'deny from 10.0.0.3',
    ].map(read),
  ).toEqual([
    'allow any>any tcp 22',
    'allow any>any any 22',
    'allow any>any any  !',
    'limit any>any tcp 22',
    'allow 10.0.0.3>any tcp 2379-2380,6443,10250 #fleet-k3s etcd',
    "allow 10.42.0.0/16>any any  #it''s",
    'route allow any>fd00:42::/56 any ',
    'allow any>any tcp 80 !',
    'deny any>any any 25 !',
    'deny 10.0.0.3>any any ',
  ]);
});

const addresses = new Map<string, readonly string[] | undefined>([
  ['s1', ['10.0.0.1', 'fd00::1']],
  ['s2', ['10.0.0.2', 'fd00::2']],
  ['s3', ['10.0.0.3', 'fd00::3']],
  ['a1', ['10.0.1.1', 'fd00::4']],
]);

function ufwWith(rules: readonly string[], more = ''): UfwState {
  return parseUfw(
    `=\nStatus: active\n=\n${rules.map((rule) => `ufw ${rule}\n`).join('')}=\nDEFAULT_INPUT_POLICY="DROP"\n${more}`,
  );
}

const noFirewalld: K3sFirewalld = parseK3sFirewalld('');

function planOn(
  host: HostView,
  seen: Record<string, unknown>,
  written: unknown = {},
): Plan<Record<string, unknown>> {
  return k3sFirewallStep.plan(
    { ufw: parseUfw(''), ufwIpv6: true, firewalld: noFirewalld, addresses, ...seen } as never,
    readArguments(k3sFirewallStep, written),
    host,
  ) as Plan<Record<string, unknown>>;
}

function rulesOf(plan: Plan<Record<string, unknown>>): readonly string[] {
  if (plan.verdict !== 'change') return [`${plan.verdict}: ${plan.because}`];
  const [action] = plan.actions;
  return action.kind === 'run' ? action.script.text.split('\n').slice(1) : [];
}

describe('ufw', () => {
  const all = ['s1', 's2', 's3'];

  test('a server of three', async () => {
    const host = await cluster(all, ['a1'], { manage_firewall: true }, 's1');
    const plan = planOn(host, { ufw: ufwWith(['allow 22/tcp']) });
    expect(rulesOf(plan)).toEqual([
      "ufw allow from any to any port 6443 proto tcp comment 'fleet-k3s API'",
      "ufw allow from 10.0.0.1 to any port 2379:2380,10250 proto tcp comment 'fleet-k3s etcd kubelet'",
      "ufw allow from 10.0.0.2 to any port 2379:2380,10250 proto tcp comment 'fleet-k3s etcd kubelet'",
      "ufw allow from 10.0.0.3 to any port 2379:2380,10250 proto tcp comment 'fleet-k3s etcd kubelet'",
      "ufw allow from fd00::1 to any port 2379:2380,10250 proto tcp comment 'fleet-k3s etcd kubelet'",
      "ufw allow from fd00::2 to any port 2379:2380,10250 proto tcp comment 'fleet-k3s etcd kubelet'",
      "ufw allow from fd00::3 to any port 2379:2380,10250 proto tcp comment 'fleet-k3s etcd kubelet'",
      "ufw allow from 10.0.1.1 to any port 10250 proto tcp comment 'fleet-k3s kubelet'",
      "ufw allow from fd00::4 to any port 10250 proto tcp comment 'fleet-k3s kubelet'",
      ...['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.1.1', 'fd00::1', 'fd00::2', 'fd00::3', 'fd00::4'].map(
        (from) => `ufw allow from ${from} to any port 8472 proto udp comment 'fleet-k3s flannel vxlan'`,
      ),
      "ufw allow from 10.42.0.0/16 to any comment 'fleet-k3s pods'",
      "ufw allow from 10.43.0.0/16 to any comment 'fleet-k3s services'",
      "ufw route allow from 10.42.0.0/16 to any comment 'fleet-k3s pods'",
      "ufw route allow from any to 10.42.0.0/16 comment 'fleet-k3s pods'",
    ]);
  });

  const agent = async (vars: Record<string, unknown>) =>
    rulesOf(
      planOn(await cluster(['s1'], ['a1'], { manage_firewall: true, ...vars }, 'a1'), {
        ufw: ufwWith([]),
        ufwIpv6: false,
      }),
    );

  test('an agent of a cluster with settings of its own', async () => {
    expect(
      await agent({
        server_config_yaml: 'flannel-backend: wireguard-native\ncluster-cidr: 10.99.0.0/16\n',
        extra_server_args: '--service-cidr=10.98.0.0/16',
      }),
    ).toEqual([
      "ufw allow from 10.0.0.1 to any port 10250 proto tcp comment 'fleet-k3s kubelet'",
      "ufw allow from 10.0.1.1 to any port 10250 proto tcp comment 'fleet-k3s kubelet'",
      "ufw allow from 10.0.0.1 to any port 51820:51821 proto udp comment 'fleet-k3s flannel wireguard-native'",
      "ufw allow from 10.0.1.1 to any port 51820:51821 proto udp comment 'fleet-k3s flannel wireguard-native'",
      "ufw allow from 10.99.0.0/16 to any comment 'fleet-k3s pods'",
      "ufw allow from 10.98.0.0/16 to any comment 'fleet-k3s services'",
      "ufw route allow from 10.99.0.0/16 to any comment 'fleet-k3s pods'",
      "ufw route allow from any to 10.99.0.0/16 comment 'fleet-k3s pods'",
    ]);
    expect(await agent({ cluster_cidr: 'pods' })).toEqual([
      "refuse: pods in the cluster's or services' CIDR is no network",
    ]);
  });

  test('nodes that hand images on reach each other’s API and registry, agents too', async () => {
    const open = async (vars: Record<string, unknown>) =>
      (await agent(vars)).filter((rule) => rule.includes(' proto tcp '));
    const both = ['10.0.0.1', '10.0.1.1'].map(
      (from) =>
        `ufw allow from ${from} to any port 5001,6443,10250 proto tcp comment 'fleet-k3s API registry kubelet'`,
    );
    expect(await open({ embedded_registry: true })).toEqual(both);
    expect(await open({ server_config_yaml: 'embedded-registry: true' })).toEqual(both);
    expect(
      (await open({ embedded_registry: true, server_config_yaml: 'embedded-registry: false' })).join(),
    ).not.toContain('5001');
  });

  test('an external database needs no etcd, api_clients narrows the API, api_port moves it', async () => {
    const vars = { manage_firewall: true, use_external_database: true, api_port: 7443 };
    const host = await cluster(['s1', 's2'], [], vars, 's1');
    const rules = rulesOf(
      planOn(host, { ufw: ufwWith([]), ufwIpv6: false }, { api_clients: ['192.0.2.7/24'] }),
    );
    expect(rules.filter((rule) => rule.includes(' proto tcp '))).toEqual([
      "ufw allow from 192.0.2.0/24 to any port 7443 proto tcp comment 'fleet-k3s API'",
      "ufw allow from 10.0.0.1 to any port 7443,10250 proto tcp comment 'fleet-k3s API kubelet'",
      "ufw allow from 10.0.0.2 to any port 7443,10250 proto tcp comment 'fleet-k3s API kubelet'",
    ]);
    expect(planOn(host, { ufw: ufwWith([]) }, { api_clients: ['office'] })).toMatchObject({
      verdict: 'refuse',
    });
  });

  test('nothing is done twice; what others have said serves; what is needed no more goes', async () => {
    const host = await cluster(['s1'], [], { manage_firewall: true }, 's1');
    const own = [
      "allow from 10.42.0.0/16 comment 'fleet-k3s pods'",
      "allow from 10.43.0.0/16 comment 'fleet-k3s services'",
      "route allow from 10.42.0.0/16 comment 'fleet-k3s pods'",
      "route allow to 10.42.0.0/16 comment 'fleet-k3s pods'",
    ];
    expect(planOn(host, { ufw: ufwWith(["allow 6443/tcp comment 'fleet-k3s API'", ...own]) }).verdict).toBe(
      'unchanged',
    );
    expect(planOn(host, { ufw: ufwWith(['allow 6443/tcp', ...own]) }).verdict).toBe('unchanged');
    const old = "allow from 10.0.0.9 to any port 10250 proto tcp comment 'fleet-k3s kubelet'";
    expect(rulesOf(planOn(host, { ufw: ufwWith(['allow 6443/tcp', ...own, old, 'allow 22/tcp']) }))).toEqual([
      'ufw delete allow from 10.0.0.9 to any port 10250 proto tcp',
    ]);
    // While a node cannot be asked, its rules stay.
    const two = await cluster(['s1'], ['a1'], { manage_firewall: true }, 's1');
    const unheard = rulesOf(
      planOn(two, {
        ufw: ufwWith(['allow 6443/tcp', ...own, old]),
        addresses: new Map([['s1', ['10.0.0.1']]]),
      }),
    );
    expect(unheard.join('\n')).not.toContain('delete');
    // A rule against it is somebody's will: it stays, and is told.
    const denied = planOn(host, { ufw: ufwWith(['deny 6443/tcp', ...own]) });
    expect(denied.because).toContain(
      "warning: rules that are not fleet's still block 6443/tcp (API) from any",
    );
  });

  test('absent takes ours and no others', async () => {
    const host = await cluster(['s1'], [], {}, 's1');
    const ufw = ufwWith([
      'allow 6443/tcp',
      "allow 22/tcp comment 'fleet-k3sx'",
      "allow from 10.42.0.0/16 comment 'fleet-k3s pods'",
      "route allow to 10.42.0.0/16 comment 'fleet-k3s pods'",
    ]);
    const plan = planOn(host, { ufw }, { state: 'absent' });
    expect(rulesOf(plan)).toEqual([
      'ufw delete allow from 10.42.0.0/16',
      'ufw route delete allow to 10.42.0.0/16',
    ]);
    expect(planOn(host, { ufw: ufwWith(['allow 6443/tcp']) }, { state: 'absent' }).verdict).toBe('unchanged');
  });

  test('check says what would be blocked', async () => {
    const host = await cluster(['s1'], ['a1'], { manage_firewall: 'check' }, 's1');
    const check = (rules: readonly string[], more = '') =>
      planOn(host, { ufw: ufwWith(rules, more), ufwIpv6: false });
    expect(check(['allow 22/tcp', 'allow from 10.0.0.1', 'allow 6443/tcp'])).toEqual({
      verdict: 'unchanged',
      because:
        'warning: ufw would block 10250/tcp (kubelet) from 10.0.1.1, 8472/udp (flannel vxlan) from 10.0.1.1, everything from 10.42.0.0/16, 10.43.0.0/16 (manage_firewall is check: nothing is changed)',
    });
    expect(check(['allow from 10.0.0.0/8', 'allow 6443']).because).toBe(
      'ufw is active and lets in what k3s needs',
    );
    expect(check(['deny 10250/tcp', 'allow from 10.0.0.0/8', 'allow 6443']).because).toContain(
      'would block 10250/tcp (kubelet) from 10.0.0.1, 10.0.1.1 (',
    );
  });
});

describe('no firewall', () => {
  test.each([
    [false, {}, 'manage_firewall is false'],
    [true, {}, 'no firewall is active'],
    [
      'check',
      { ufw: parseUfw('=\nStatus: inactive\n=\n=\n') },
      'no firewall is active (ufw: installed, off)',
    ],
    [
      true,
      { firewalld: parseK3sFirewalld('=installed\n') },
      'no firewall is active (firewalld: installed, off)',
    ],
  ])('%s', async (manage_firewall, seen, because) => {
    const host = await cluster(['s1'], ['a1'], { manage_firewall }, 's1');
    expect(planOn(host, seen)).toEqual({ verdict: 'unchanged', because });
    if (manage_firewall === false) expect(Object.keys(k3sFirewallStep.look({}, host))).toEqual(['addresses']);
  });
});

const publicZone = `public (default, active)
  target: default
  interfaces: eth0
  sources: 
  services: ssh
  ports: 8080/tcp
  rich rules: 
	rule family="ipv4" source address="198.51.100.0/24" port port="10250" protocol="tcp" accept
`;
const policies = '=policies\nallow-host-ipv6\n  target: CONTINUE\n';

function firewalldWith(parts: { zones?: string; permanent?: string; policies?: string } = {}): K3sFirewalld {
  const zones = parts.zones ?? publicZone;
  return parseK3sFirewalld(
    `=installed\n=running\npublic\n=zones\n${zones}\n=permanent\n${parts.permanent ?? zones}\n${parts.policies ?? policies}`,
  );
}

describe('firewalld', () => {
  test('files of its own, and one reload that keeps what is not permanent', async () => {
    const host = await cluster(['s1', 's2'], ['a1'], { manage_firewall: true }, 's1');
    const firewalld = firewalldWith({ permanent: publicZone.replace('8080/tcp', '') });
    const plan = planOn(host, { firewalld });
    expect(plan.verdict, plan.because).toBe('change');
    if (plan.verdict !== 'change') return;
    const files = plan.actions.flatMap((action) => (action.kind === 'write' ? [action] : []));
    expect(files.map((file) => file.path).sort()).toEqual([
      '/etc/firewalld/ipsets/fleet-k3s-nodes-ipv4.xml',
      '/etc/firewalld/ipsets/fleet-k3s-nodes-ipv6.xml',
      '/etc/firewalld/ipsets/fleet-k3s-servers-ipv4.xml',
      '/etc/firewalld/ipsets/fleet-k3s-servers-ipv6.xml',
      '/etc/firewalld/policies/fleet-k3s-nodes.xml',
      '/etc/firewalld/zones/fleet-k3s-pods.xml',
    ]);
    const policy = files.find((file) => file.path.includes('/policies/'))?.content;
    expect(policy).toContain('<port port="6443" protocol="tcp"/>');
    expect(policy).toContain(
      '<rule family="ipv6"><source ipset="fleet-k3s-servers-ipv6"/><port port="2379-2380" protocol="tcp"/><accept/></rule>',
    );
    const reload = plan.actions.at(-1);
    expect(reload?.kind === 'run' ? reload.script.text.split('\n') : []).toEqual([
      'set -e',
      'firewall-cmd -q --check-config',
      'firewall-cmd -q --reload',
      'firewall-cmd -q --zone=public --add-port=8080/tcp',
    ]);
  });

  test('too old, or a network that is elsewhere', async () => {
    const host = await cluster(['s1'], [], { manage_firewall: true }, 's1');
    expect(planOn(host, { firewalld: firewalldWith({ policies: ' ' }) })).toMatchObject({
      verdict: 'refuse',
    });
    const elsewhere = (target: string) =>
      planOn(host, {
        firewalld: firewalldWith({
          zones: `${publicZone}\nmine (active)\n  target: ${target}\n  sources: 10.42.0.0/16\n`,
        }),
      });
    expect(elsewhere('default')).toMatchObject({ verdict: 'refuse' });
    const plan = elsewhere('ACCEPT');
    expect(JSON.stringify(plan)).not.toContain('address=\\"10.42.0.0/16');
    expect(JSON.stringify(plan)).toContain('address=\\"10.43.0.0/16');
  });

  test('check says what would be blocked', async () => {
    const host = await cluster(['s1'], ['a1'], { manage_firewall: 'check' }, 'a1');
    const four = new Map([
      ['s1', ['10.0.0.1']],
      ['a1', ['198.51.100.4']],
    ]);
    expect(planOn(host, { firewalld: firewalldWith(), addresses: four }).because).toBe(
      'warning: firewalld would block 10250/tcp (kubelet) from 10.0.0.1, 10.0.1.1, 8472/udp (flannel vxlan) from 10.0.0.1, 10.0.1.1, 198.51.100.4, everything from 10.42.0.0/16, 10.43.0.0/16 (manage_firewall is check: nothing is changed)',
    );
    const open = `${publicZone}\ntrusted (active)\n  target: ACCEPT\n  sources: 10.0.0.0/8 198.51.100.0/24\n`;
    expect(planOn(host, { firewalld: firewalldWith({ zones: open }), addresses: four }).because).toBe(
      'firewalld is active and lets in what k3s needs',
    );
  });
});
