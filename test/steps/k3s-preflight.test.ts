import { describe, expect, test } from 'vitest';
import { type HostFacts, parseHostFacts } from '../../src/facts/host.ts';
import type { InUse } from '../../src/facts/k3s-in-use.ts';
import { freeSpace, parseListeners } from '../../src/facts/preflight.ts';
import { type PreflightHost, preflight } from '../../src/steps/k3s-preflight.ts';

/** Faults that are put in one by one, and what is found. */

const answer = `===os
ID=debian
===uname
x86_64
6.1.0
#1
n
===mem
MemTotal: 4000000 kB
===cgroup
2
cpuset cpu memory pids
===zone
UTC
1700000000
`;
const well: HostFacts = parseHostFacts({ stdout: answer, stderr: '', code: 0 });
const running = { state: 'active' } as InUse;
const stopped = { state: 'inactive' } as InUse;

function host(
  name: string,
  more: Partial<PreflightHost> = {},
  facts: Partial<HostFacts> = {},
): PreflightHost {
  return {
    host: name,
    role: name.startsWith('s') ? 'server' : 'agent',
    nodeName: name,
    facts: { ...well, machineId: `id-${name}`, productUuid: `uuid-${name}`, ...facts },
    service: stopped,
    freeKiB: 50 * 1024 * 1024,
    listeners: [{ port: 22, program: 'sshd' }],
    openings: [
      { what: 'API', group: 'clients', sources: ['any'], protocol: 'tcp', first: 6443, last: 6443 },
      { what: 'etcd', group: 'servers', sources: [], protocol: 'tcp', first: 2379, last: 2380 },
      { what: 'flannel vxlan', group: 'nodes', sources: [], protocol: 'udp', first: 8472, last: 8472 },
    ],
    api: undefined,
    askedMs: 300,
    ...more,
  };
}

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
            { port: 6443, program: 'nginx' },
            { port: 2380, program: '' },
            { port: 8472, program: 'x' },
          ],
        }),
      ],
      [
        'error s1 port: nginx listens on 6443/tcp, which k3s needs (API)',
        'error s1 port: somebody listens on 2380/tcp, which k3s needs (etcd)',
      ],
    ],
    [
      'ports of k3s itself',
      [host('s1', { service: running, listeners: [{ port: 6443, program: 'k3s-server' }] })],
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
  ];
  test.each(rows)('%s', (_name, hosts, wanted) => expect(found(...hosts)).toEqual(wanted));

  test('every finding says what to do', () => {
    for (const [, hosts] of rows) for (const { fix } of preflight(hosts)) expect(fix).toMatch(/^[A-Zk].+\.$/);
  });
});

test('who listens', () => {
  const table = `  sl  local_address rem_address   st tx_queue
   0: 00000000:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   1: 0100007F:0016 00000000:0000 0A 00000000:00000000
   2: 0100007F:9C40 0100007F:192B 01 00000000:00000000
   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000
`;
  expect(
    parseListeners(
      `${table}=\nLISTEN 0 511 0.0.0.0:6443 0.0.0.0:* users:(("nginx",pid=1,fd=3),("nginx",pid=2,fd=3))\nLISTEN 0 128 *:22 *:*\n`,
    ),
  ).toEqual([
    { port: 22, program: '' },
    { port: 6443, program: 'nginx' },
  ]);
  expect(parseListeners('')).toEqual([]);
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
