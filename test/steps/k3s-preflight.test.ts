import { describe, expect, test } from 'vitest';
import { type HostFacts, parseHostFacts } from '../../src/facts/host.ts';
import type { InUse } from '../../src/facts/k3s-in-use.ts';
import { freeSpace, hostProxy, otherKubernetes, parseListeners } from '../../src/facts/preflight.ts';
import { type FreshReach, type PathFound, parseReached, type Reach } from '../../src/facts/reach.ts';
import type { SourceReached } from '../../src/facts/sources.ts';
import { preflight } from '../../src/steps/k3s-preflight.ts';
import type { PreflightHost, Way } from '../../src/steps/preflight-finding.ts';

/** Faults that are put in one by one, and what is found. */

const answer = `===os
ID=debian
===uname
x86_64
6.1.0
#1
n
===init
systemd
===pkg
apt-get
===mem
MemTotal: 4000000 kB
===cgroup
2
cpuset cpu memory pids
===zone
UTC
1700000000
`;
const eth0 = { interface: 'eth0', gateway: '10.0.0.254', address: '10.0.0.1' };
const well: HostFacts = {
  ...parseHostFacts({ stdout: answer, stderr: '', code: 0 }),
  nameServers: ['10.0.0.254'],
  defaultIpv4: eth0,
  mtus: new Map([['eth0', 1500]]),
};
const running = { state: 'active' } as InUse;
const stopped = { state: 'inactive' } as InUse;
const absent = { state: 'absent' } as InUse;

function host(
  name: string,
  more: Partial<PreflightHost> = {},
  facts: Partial<HostFacts> = {},
): PreflightHost {
  return {
    host: name,
    role: name.startsWith('s') ? 'server' : 'agent',
    nodeName: name,
    facts: {
      ...well,
      machineId: `id-${name}`,
      productUuid: `uuid-${name}`,
      macs: new Map([['eth0', `52:54:00:00:00:${name}`]]),
      ...facts,
    },
    service: stopped,
    freeKiB: 50 * 1024 * 1024,
    listeners: [{ protocol: 'tcp', port: 22, program: 'sshd' }],
    openings: [
      { what: 'API', group: 'clients', sources: ['any'], protocol: 'tcp', first: 6443, last: 6443 },
      { what: 'etcd', group: 'servers', sources: [], protocol: 'tcp', first: 2379, last: 2380 },
      { what: 'flannel vxlan', group: 'nodes', sources: [], protocol: 'udp', first: 8472, last: 8472 },
    ],
    api: undefined,
    askedMs: 300,
    others: { found: [], follows: undefined },
    time: { active: ['chronyd'], installed: ['chronyd'], guest: false },
    iptables: { version: '1.8.9', flavour: 'nf_tables' },
    prefersBundled: undefined,
    proxy: { isSet: false, spared: [] },
    isReadOnly: false,
    reached: undefined,
    ways: new Map(),
    unproxied: ['10.42.0.0/16', '10.43.0.0/16', '10.0.0.1', '10.0.0.2'],
    environment: [],
    endpoints: ['10.0.0.1', 's1', '127.0.0.1'],
    opensPorts: false,
    ...more,
  };
}

const card = (mac: string) => new Map([['eth0', mac]]);
const reached = (
  ways: Readonly<Record<string, Reach>>,
  paths: Readonly<Record<string, PathFound>> = {},
): FreshReach => ({
  isNew: true,
  ways: new Map(Object.entries(ways)),
  paths: new Map(Object.entries(paths)),
});
const toServer: ReadonlyMap<string, Way> = new Map([
  ['tcp 10.0.0.1 6443', { what: 'API', host: 's1' }],
  ['tcp 10.0.0.1 2379', { what: 'etcd', host: 's1' }],
  ['udp 10.0.0.1 8472', { what: 'flannel vxlan', host: 's1' }],
  ['tcp mirror.example.org 443', { what: 'artifact_url', host: undefined }],
  ['path 10.0.0.1', { what: 'packets', host: 's1' }],
]);

const found = (...hosts: readonly PreflightHost[]) =>
  preflight(hosts).map((one) => `${one.severity} ${one.host} ${one.check}: ${one.evidence}`);

describe('preflight', () => {
  const rows: [string, readonly PreflightHost[], readonly string[]][] = [
    ['all is well', [host('s1'), host('a1')], []],
    [
      'the same host name',
      [host('s1'), host('s2', { nodeName: 's1' })],
      [
        'error s1 node-name: node-name s1 is also that of s2',
        'error s2 node-name: node-name s1 is also that of s1',
      ],
    ],
    [
      'clones',
      [host('s1', {}, { productUuid: 'u' }), host('s2', {}, { machineId: 'id-s1', productUuid: 'u' })],
      [
        'error s1 machine-id: machine-id id-s1 is also that of s2',
        'error s2 machine-id: machine-id id-s1 is also that of s1',
        'warning s1 product-uuid: product-uuid u is also that of s2',
        'warning s2 product-uuid: product-uuid u is also that of s1',
      ],
    ],
    [
      'containers on one machine',
      [
        host('s1', {}, { productUuid: 'u', container: 'docker' }),
        host('s2', {}, { productUuid: 'u', container: 'docker' }),
      ],
      [],
    ],
    [
      'a clock',
      [host('s1'), host('s2', {}, { clockS: well.clockS + 2 }), host('s3', {}, { clockS: well.clockS - 30 })],
      ['error s3 clock: its clock is about 30 s behind the others'],
    ],
    [
      'a Pi without memory cgroups',
      [host('a1', {}, { cgroupMemory: false, piModel: 'Raspberry Pi 4' })],
      ['error a1 cgroup-memory: the kernel has no cgroup controller memory (Raspberry Pi 4)'],
    ],
    [
      'too small',
      [
        host('s1', { freeKiB: 1024 * 1024 }, { memoryTotalKiB: 1_000_000 }),
        host('a1', { freeKiB: 5 * 1024 * 1024 }, { memoryTotalKiB: 1_000_000 }),
        host('a2', { freeKiB: undefined }, { memoryTotalKiB: 300_000 }),
      ],
      [
        'warning s1 memory: it has 1.0 GiB of memory',
        "error s1 disk: 1.0 GiB are free for k3s' data",
        "warning a1 disk: 5.0 GiB are free for k3s' data",
        'error a2 memory: it has 0.3 GiB of memory',
      ],
    ],
    [
      'a port that is taken',
      [
        host('s1', {
          listeners: [
            { protocol: 'tcp', port: 6443, program: 'nginx' },
            { protocol: 'tcp', port: 2380, program: '' },
            { protocol: 'tcp', port: 8472, program: 'x' },
            { protocol: 'udp', port: 8472, program: 'openvpn' },
          ],
        }),
      ],
      [
        'error s1 port: nginx listens on 6443/tcp, which k3s needs (API)',
        'error s1 port: somebody listens on 2380/tcp, which k3s needs (etcd)',
        'error s1 port: openvpn listens on 8472/udp, which k3s needs (flannel vxlan)',
      ],
    ],
    [
      'ports of k3s itself',
      [host('s1', { service: running, listeners: [{ protocol: 'tcp', port: 6443, program: 'k3s-server' }] })],
      [],
    ],
    [
      'an API that is not reached',
      [
        host('s1', { service: running }),
        host('a1', { api: { url: 'https://10.0.0.1:6443', state: 'closed' } }),
      ],
      ['error a1 api-endpoint: it cannot reach https://10.0.0.1:6443, though a server runs'],
    ],
    [
      'an API that is not there yet',
      [host('s1'), host('a1', { api: { url: 'https://x', state: 'closed' } })],
      [],
    ],
    ['a reboot', [host('s1', {}, { rebootPending: true })], ['warning s1 reboot: it waits for a reboot']],
    [
      'an API whose own server is the one that is down',
      [
        host('s1'),
        host('s2', { service: running }),
        host('a1', { api: { url: 'https://10.0.0.1:6443', state: 'closed', server: 's1' } }),
      ],
      [],
    ],
    [
      'the same network card twice',
      [host('s1', {}, { macs: card('aa') }), host('a1', {}, { macs: card('aa') })],
      ['error s1 mac: mac aa is also that of a1', 'error a1 mac: mac aa is also that of s1'],
    ],
    [
      "somebody else's Kubernetes",
      [host('a1', { others: { found: ['kubeadm', 'rke2'], follows: undefined } })],
      [
        'error a1 other-kubernetes: a Kubernetes of kubeadm is installed',
        'error a1 other-kubernetes: a Kubernetes of rke2 is installed',
      ],
    ],
    [
      'an agent of another cluster',
      [host('a1', { others: { found: [], follows: 'https://k3s.old.example:6443' } })],
      [
        "warning a1 other-cluster: its k3s agent follows https://k3s.old.example:6443, which is none of this cluster's addresses",
      ],
    ],
    ['an agent of this one', [host('a1', { others: { found: [], follows: 'https://10.0.0.1:6443' } })], []],
    [
      'a proxy for everything',
      [host('s1', { environment: ['HTTPS_PROXY=http://proxy:3128', 'NO_PROXY=10.42.0.0/16,.corp'] })],
      ['error s1 proxy: its k3s goes through a proxy, and NO_PROXY lacks 10.43.0.0/16, 10.0.0.1, 10.0.0.2'],
    ],
    [
      'a proxy that is kept out of the cluster',
      [host('s1', { environment: ['https_proxy=http://proxy:3128', 'no_proxy=10.0.0.0/8'] })],
      [],
    ],
    [
      'no default route',
      [host('a1', { service: absent }, { defaultIpv4: undefined })],
      ['warning a1 default-route: it has no default route, by which k3s finds its own address'],
    ],
    [
      'no name server',
      [host('a1', {}, { nameServers: [] })],
      ['warning a1 dns: /etc/resolv.conf names no name server'],
    ],
    [
      'nobody minds the clock',
      [host('a1', { time: { active: [], installed: ['chronyd'], guest: false } })],
      ['warning a1 time-sync: no time service runs'],
    ],
    [
      'a container, whose host minds it',
      [host('a1', { time: { active: [], installed: [], guest: true } })],
      [],
    ],
    [
      'a name that does not resolve',
      [host('a1', { reached: reached({ 'name k3s.example.org': 'refused', 'name s1': 'open' }) })],
      ['error a1 name: it cannot resolve k3s.example.org'],
    ],
    [
      'a name server that is away, one that is none, and one that nobody could ask',
      [
        host('a1', {
          reached: reached({
            'dns 10.0.0.53': 'silent',
            'dns 10.0.0.2': 'refused',
            'dns fd00::1': 'unknown',
          }),
        }),
      ],
      [
        'warning a1 name-server: its name server 10.0.0.53 does not answer',
        'warning a1 name-server: its name server 10.0.0.2 refuses to be asked',
      ],
    ],
    [
      'a path that loses large packets',
      [
        host('s1'),
        host('a1', {
          ways: toServer,
          reached: reached({}, { '10.0.0.1': { size: 1500, end: 'lost', by: 'ping' } }),
        }),
        host('a2', {
          ways: toServer,
          reached: reached({}, { '10.0.0.1': { size: 1500, end: 1400, by: 'datagram' } }),
        }),
        host('a3', {
          ways: toServer,
          reached: reached({}, { '10.0.0.1': { size: 1500, end: 'open', by: 'ping' } }),
        }),
      ],
      [
        'error a1 path-mtu: packets of 1500 bytes, which its interface sends, are lost on the way to s1 (10.0.0.1), small ones arrive (tried by ping)',
        'warning a2 path-mtu: the way to s1 (10.0.0.1) takes packets of 1400 bytes, its interface sends 1500',
      ],
    ],
    [
      'jumbo frames that get lost at the other card are told once',
      [
        host('s1'),
        host(
          'a1',
          { ways: toServer, reached: reached({}, { '10.0.0.1': { size: 9000, end: 'lost', by: 'ping' } }) },
          { mtus: new Map([['eth0', 9000]]) },
        ),
      ],
      ['warning a1 mtu: its MTU is 9000, that of others 1500'],
    ],
    [
      'a proxy that the host has for everybody',
      [
        host('s1', { service: absent, proxy: { isSet: true, spared: ['10.0.0.0/8'] } }),
        host('a1', { service: absent, proxy: { isSet: true, spared: ['10.42.0.0/16'] } }),
        host('a2', { proxy: { isSet: true, spared: [] } }),
        host('a3', {
          service: absent,
          proxy: { isSet: true, spared: [] },
          environment: ['NO_PROXY=10.0.0.0/8'],
        }),
      ],
      [
        'error a1 proxy: its k3s goes through a proxy that the host has for all programs, and NO_PROXY lacks 10.43.0.0/16, 10.0.0.1, 10.0.0.2',
      ],
    ],
    [
      'systems that k3s is not made for',
      [
        host('s1', {}, { architecture: 'armv6l' }),
        host('a1', {}, { init: 'other' }),
        host('a2', { service: absent }, { os: { ...well.os, id: 'solus', name: 'Solus', version: '4.5' } }),
        host('a3', {}, { os: { ...well.os, id: 'solus' } }),
      ],
      [
        'error s1 architecture: its processor, as the system uses it, is armv6l, and there is no k3s for that',
        'error a1 init: it runs neither systemd nor OpenRC',
        'warning a2 system: Solus 4.5 is of no family that fleet knows: it is treated by what it has (apt, systemd)',
      ],
    ],
    [
      'a system that takes packages into its next boot only',
      [host('a1', { service: absent, isReadOnly: true }), host('a2', { isReadOnly: true })],
      [
        'warning a1 read-only-system: its /usr is read-only: packages come into the next boot only, and fleet installs none but k3s-selinux out of airgap_dir',
      ],
    ],
    [
      'an iptables that repeats its rules, and k3s kept from it or not',
      [
        host('s1', { service: absent, iptables: { version: '1.8.4', flavour: 'nf_tables' } }),
        host('a1', { iptables: { version: '1.8.4', flavour: 'nf_tables' } }),
        host('a2', { iptables: { version: '1.8.4', flavour: 'nf_tables' }, prefersBundled: false }),
        host('a3', {
          service: absent,
          iptables: { version: '1.8.4', flavour: 'nf_tables' },
          prefersBundled: true,
        }),
        host('a4', { service: absent, iptables: { version: '1.8.5', flavour: 'nf_tables' } }),
      ],
      [
        'warning s1 iptables: its iptables 1.8.4 (nf_tables) adds the same rules over and over, and slows the node down until it stops',
        'warning a2 iptables: its iptables 1.8.4 (nf_tables) adds the same rules over and over, and slows the node down until it stops',
      ],
    ],
    [
      'jumbo frames on one side',
      [host('s1', {}, { mtus: new Map([['eth0', 9000]]) }), host('a1')],
      ['warning s1 mtu: its MTU is 9000, that of others 1500'],
    ],
    [
      'a tunnel for a network',
      [host('a1', {}, { mtus: new Map([['eth0', 1280]]) })],
      ['error a1 mtu: its MTU is 1280: pods would be left with less than 1280'],
    ],
    [
      'closed ports between servers',
      [
        host('s1', { reached: reached({}) }),
        host('s2', {
          ways: toServer,
          reached: reached({
            'tcp 10.0.0.1 2379': 'silent',
            'tcp 10.0.0.1 6443': 'refused',
            'udp 10.0.0.1 8472': 'silent',
          }),
        }),
      ],
      [
        'error s2 tcp-port: 2379/tcp of s1 (10.0.0.1) (etcd) does not answer',
        'warning s2 udp-port: 8472/udp of s1 (10.0.0.1) (flannel vxlan) does not answer',
      ],
    ],
    [
      'whoever is away: that is told of the host itself, not of those that look for it',
      [host('s2', { ways: toServer, reached: reached({ 'tcp 10.0.0.1 6443': 'silent' }) })],
      [],
    ],
    [
      'a firewall that says no',
      [host('s1'), host('a1', { ways: toServer, reached: reached({ 'tcp 10.0.0.1 6443': 'forbidden' }) })],
      ['error a1 tcp-port: 6443/tcp of s1 (10.0.0.1) (API) is refused by a firewall'],
    ],
    [
      'a firewall that fleet opens later',
      [
        host('s1', { opensPorts: true }, { firewalls: ['ufw'] }),
        host('a1', { ways: toServer, reached: reached({ 'tcp 10.0.0.1 6443': 'silent' }) }),
      ],
      [],
    ],
    [
      'vxlan that is in use',
      [
        host('s1', { service: running, reached: { isNew: false } }),
        host('a1', { ways: toServer, reached: reached({ 'udp 10.0.0.1 8472': 'silent' }) }),
      ],
      [],
    ],
    [
      'vxlan of somebody else, who is found there',
      [
        host('s1', { reached: reached({}), listeners: [{ protocol: 'udp', port: 8472, program: 'x' }] }),
        host('a1', { ways: toServer, reached: reached({ 'udp 10.0.0.1 8472': 'silent' }) }),
      ],
      ['error s1 port: x listens on 8472/udp, which k3s needs (flannel vxlan)'],
    ],
    [
      'no way out',
      [host('a1', { ways: toServer, reached: reached({ 'tcp mirror.example.org 443': 'silent' }) })],
      ['error a1 outside: 443/tcp of mirror.example.org (artifact_url) does not answer'],
    ],
    [
      'what runs is no reason to stop',
      [host('s1', { service: running, freeKiB: 1024 * 1024 }, { clockS: well.clockS + 60 }), host('s2')],
      [
        'warning s1 clock: its clock is about 60 s ahead of the others',
        "warning s1 disk: 1.0 GiB are free for k3s' data",
      ],
    ],
  ];
  test.each(rows)('%s', (_name, hosts, wanted) => expect(found(...hosts)).toEqual(wanted));

  test('every finding says what to do', () => {
    for (const [, hosts] of rows)
      for (const { fix, docs, check } of preflight(hosts)) {
        expect(fix).toMatch(/^[A-Zk].+\.$/);
        expect(docs).toBe(`docs/preflight.md#${check}`);
      }
  });
});

test('where fleet fetches for the nodes, and does not get through', () => {
  const url = 'https://mirror.example.org/k3s';
  const sources: readonly SourceReached[] = [
    { url, proxy: undefined, failure: 'getaddrinfo ENOTFOUND mirror.example.org' },
    { url, proxy: '10.0.0.9:3128', failure: 'no answer within 2 s' },
    { url: 'https://get.example.org', proxy: undefined, failure: undefined },
  ];
  const fresh = host('a1', { reached: reached({}) });
  const machine = 'the machine that fleet runs on, which fetches k3s for the nodes, does not reach';
  expect(
    preflight([host('s1', { reached: { isNew: false } }), fresh], sources).map(
      ({ host: name, check, evidence }) => `${name} ${check}: ${evidence}`,
    ),
  ).toEqual([
    `a1 outside: ${machine} ${url}: getaddrinfo ENOTFOUND mirror.example.org`,
    `a1 outside: ${machine} the proxy 10.0.0.9:3128 on the way to ${url}: no answer within 2 s`,
  ]);
  // Nobody waits for it.
  expect(preflight([host('s1', { reached: { isNew: false } })], sources)).toEqual([]);
});

test('who listens', () => {
  const tcp = `  sl  local_address rem_address   st tx_queue
   0: 00000000:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   1: 0100007F:0016 00000000:0000 0A 00000000:00000000
   2: 0100007F:9C40 0100007F:192B 01 00000000:00000000
   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000
`;
  const udp = `  sl  local_address rem_address   st tx_queue
 2060: 00000000:CA6C 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0
 2061: 0100007F:A000 0100007F:0035 01 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0
`;
  const told = `tcp   LISTEN 0 511 0.0.0.0:6443 0.0.0.0:* users:(("nginx",pid=1,fd=3),("nginx",pid=2,fd=3))
tcp   LISTEN 0 128 *:22 *:*
udp   UNCONN 0 0 0.0.0.0:51820 0.0.0.0:* users:(("boringtun",pid=7,fd=4))
`;
  expect(parseListeners(`${tcp}=\n${udp}=\n${told}`)).toEqual([
    { protocol: 'tcp', port: 22, program: '' },
    { protocol: 'tcp', port: 6443, program: 'nginx' },
    { protocol: 'udp', port: 51820, program: 'boringtun' },
  ]);
  expect(parseListeners('')).toEqual([]);
});

test.each([
  ['', { isSet: false, spared: [] }],
  ['set \nset \nspared 10.0.0.0/8, .corp,\n', { isSet: true, spared: ['10.0.0.0/8', '.corp'] }],
])('the proxy of a host: %j', (stdout, wanted) => {
  expect(hostProxy.parse({ stdout, stderr: '', code: 0 })).toEqual(wanted);
});

test.each([
  [
    'Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda1 41152832 5120000 34123456 14% /\n',
    34123456,
  ],
  ['Filesystem 1024-blocks Used Available Capacity Mounted on\nsysfs 0 0 0 - /sys\n', undefined],
  ['', undefined],
])('free space', (stdout, wanted) => {
  expect(freeSpace('/var/lib').parse({ stdout, stderr: '', code: 0 })).toBe(wanted);
});

test('what a new host could reach', () => {
  expect(parseReached('installed\n')).toEqual({ isNew: false });
  expect(
    parseReached(
      'tcp 10.0.0.1 6443 refused\nname k3s.example.org open\nudp fd00::1 8472 silent\ndns 10.0.0.53 open\npath 10.0.0.1 1500 lost ping\npath fd00::1 9000 1500 datagram\n',
    ),
  ).toEqual({
    isNew: true,
    ways: new Map([
      ['tcp 10.0.0.1 6443', 'refused'],
      ['name k3s.example.org', 'open'],
      ['udp fd00::1 8472', 'silent'],
      ['dns 10.0.0.53', 'open'],
    ]),
    paths: new Map([
      ['10.0.0.1', { size: 1500, end: 'lost', by: 'ping' }],
      ['fd00::1', { size: 9000, end: 1500, by: 'datagram' }],
    ]),
  });
});

test('who else is there', () => {
  const read = (stdout: string) => otherKubernetes.parse({ stdout, stderr: '', code: 0 });
  expect(read('')).toEqual({ found: [], follows: undefined });
  expect(read("found k0s\nfollows 'https://10.0.0.9:6443'\n")).toEqual({
    found: ['k0s'],
    follows: 'https://10.0.0.9:6443',
  });
});
