import type { HostFacts } from '../facts/host.ts';
import type { InUse } from '../facts/k3s-in-use.ts';
import type { PortState } from '../facts/port.ts';
import type { FreeSpaceKiB, Listener } from '../facts/preflight.ts';
import type { Role } from '../k3s/paths.ts';
import type { ResolvedOpening } from './k3s-firewall-needs.ts';

/** A reason why k3s would not start, would hang or would misbehave later. */
export interface Finding {
  /** `error` stops; `warning` is worth knowing. */
  readonly severity: 'error' | 'warning';
  readonly check: string;
  readonly host: string;
  readonly evidence: string;
  readonly fix: string;
}

/** What one host answered, and what the inventory wants of it. */
export interface PreflightHost {
  readonly host: string;
  readonly role: Role;
  /** What k3s will call the node. */
  readonly nodeName: string;
  readonly facts: HostFacts;
  readonly service: InUse | undefined;
  readonly freeKiB: FreeSpaceKiB;
  readonly listeners: readonly Listener[];
  readonly openings: readonly ResolvedOpening[];
  /** Where it finds the API, and whether it answers: of agents, and of servers that have to join. */
  readonly api: { readonly url: string; readonly state: PortState } | undefined;
  /** How long connecting and asking took: the clock was read somewhere within. */
  readonly askedMs: number;
}

const GIB = 1024 * 1024;
const MAX_SKEW_S = 2;

/** Judges all nodes of a cluster together: pure, so that every fault is a row of a test. */
export function preflight(hosts: readonly PreflightHost[]): readonly Finding[] {
  return [
    ...twice(
      hosts,
      'node-name',
      'error',
      ({ nodeName }) => nodeName,
      'Give each host a name of its own: hostnamectl set-hostname, or node-name in its config.',
    ),
    ...twice(
      hosts,
      'machine-id',
      'error',
      ({ facts }) => facts.machineId,
      'They are clones: rm /etc/machine-id && systemd-machine-id-setup on all but one, then reboot.',
    ),
    ...twice(
      hosts,
      'product-uuid',
      'warning',
      ({ facts }) => (facts.container === '' ? facts.productUuid : ''),
      'They are clones: let the hypervisor give each virtual machine a UUID of its own.',
    ),
    ...clocks(hosts),
    ...hosts.flatMap((host) => [...resources(host), ...ports(host)]),
    ...reachability(hosts),
  ];
}

function twice(
  hosts: readonly PreflightHost[],
  check: string,
  severity: Finding['severity'],
  identityOf: (host: PreflightHost) => string,
  fix: string,
): readonly Finding[] {
  return hosts.flatMap((host) => {
    const value = identityOf(host);
    const others = hosts.filter((other) => other !== host && identityOf(other) === value);
    if (value === '' || others.length === 0) return [];
    const evidence = `${check} ${value} is also that of ${others.map((other) => other.host).join(', ')}`;
    return [{ severity, check, host: host.host, evidence, fix }];
  });
}

/** Against the others' middle, and only what asking cannot explain. */
function clocks(hosts: readonly PreflightHost[]): readonly Finding[] {
  const sorted = hosts.map(({ facts }) => facts.clockS).sort((one, other) => one - other);
  const middle = sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
  const slowest = Math.max(0, ...hosts.map(({ askedMs }) => askedMs)) / 1000;
  return hosts.flatMap(({ host, facts }) => {
    const offset = facts.clockS - middle;
    if (hosts.length < 2 || Math.abs(offset) <= MAX_SKEW_S + slowest) return [];
    return [
      {
        severity: 'error' as const,
        check: 'clock',
        host,
        evidence: `its clock is about ${Math.abs(Math.round(offset))} s ${offset > 0 ? 'ahead of' : 'behind'} the others`,
        fix: 'Let a time service run on it (systemd-timesyncd, chrony): certificates and etcd need clocks that agree.',
      },
    ];
  });
}

function resources({ host, role, facts, freeKiB }: PreflightHost): readonly Finding[] {
  const found: Finding[] = [];
  const add = (severity: Finding['severity'], check: string, evidence: string, fix: string) =>
    found.push({ severity, check, host, evidence, fix });
  if (!facts.cgroupMemory) {
    const why = facts.piModel === '' ? '' : ` (${facts.piModel})`;
    const fix =
      facts.piModel === ''
        ? 'Boot the kernel with cgroup_enable=memory.'
        : 'Set allow_reboot: true, or add cgroup_enable=cpuset cgroup_memory=1 cgroup_enable=memory to its cmdline.txt and reboot.';
    add('error', 'cgroup-memory', `the kernel has no cgroup controller memory${why}`, fix);
  }
  // What is sold as 2 GiB shows less: the kernel and the graphics take their part.
  const memoryGiB = facts.memoryTotalKiB / GIB;
  if (memoryGiB < 0.4)
    add(
      'error',
      'memory',
      `it has ${memoryGiB.toFixed(1)} GiB of memory`,
      'k3s needs 512 MiB at the very least.',
    );
  else if (role === 'server' && memoryGiB < 1.7)
    add('warning', 'memory', `it has ${memoryGiB.toFixed(1)} GiB of memory`, 'A server should have 2 GiB.');
  if (freeKiB !== undefined && freeKiB < 2 * GIB)
    add(
      'error',
      'disk',
      `${(freeKiB / GIB).toFixed(1)} GiB are free for k3s' data`,
      'Make room: 2 GiB at the very least, 10 GiB are good.',
    );
  else if (freeKiB !== undefined && freeKiB < 10 * GIB)
    add(
      'warning',
      'disk',
      `${(freeKiB / GIB).toFixed(1)} GiB are free for k3s' data`,
      'Kubelets evict pods when less than a tenth is free: 10 GiB are good.',
    );
  if (facts.rebootPending)
    add(
      'warning',
      'reboot',
      'it waits for a reboot',
      'Reboot it before k3s runs there: modules of the running kernel may be gone.',
    );
  return found;
}

/** What listens where k3s will want to, while k3s itself does not run. */
function ports({ host, service, listeners, openings }: PreflightHost): readonly Finding[] {
  if (service !== undefined && (service.state === 'active' || service.state === 'activating')) return [];
  const wanted = openings.filter(({ protocol }) => protocol === 'tcp');
  return listeners.flatMap(({ port, program }) => {
    const opening = wanted.find(({ first, last }) => first <= port && port <= last);
    if (opening === undefined) return [];
    const who = program === '' ? 'somebody' : program;
    return [
      {
        severity: 'error' as const,
        check: 'port',
        host,
        evidence: `${who} listens on ${port}/tcp, which k3s needs (${opening.what})`,
        fix: `Stop ${program === '' ? 'it (ss -ltnp shows who it is)' : program}, or move it to another port.`,
      },
    ];
  });
}

/** Only where a server runs: before the first start nobody can answer. */
function reachability(hosts: readonly PreflightHost[]): readonly Finding[] {
  const runs = hosts.some(({ role, service }) => role === 'server' && service?.state === 'active');
  if (!runs) return [];
  return hosts.flatMap(({ host, api }) =>
    api?.state === 'closed'
      ? [
          {
            severity: 'error' as const,
            check: 'api-endpoint',
            host,
            evidence: `it cannot reach ${api.url}, though a server runs`,
            fix: 'Look at api_endpoint, name resolution on the host, and the firewalls between (manage_firewall: check).',
          },
        ]
      : [],
  );
}
