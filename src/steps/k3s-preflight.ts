import { familyOf } from '../facts/host.ts';
import { repeatsRules } from '../facts/iptables.ts';
import type { SourceReached } from '../facts/sources.ts';
import { archOf } from '../k3s/version.ts';
import {
  type Check,
  explained,
  type Finding,
  type Found,
  isFresh,
  type PreflightHost,
  runs,
} from './preflight-finding.ts';
import { networkFindings } from './preflight-network.ts';

const GIB = 1024 * 1024;
const MAX_SKEW_S = 2;

/** Those whose packages and settings fleet knows. */
const preparedFamilies: ReadonlySet<string> = new Set(['Debian', 'RedHat', 'Suse', 'Archlinux', 'Alpine']);

/**
 * Judges all nodes of a cluster together: pure, so that every fault is a row of a test.
 * @param sources what this machine could reach of the places that it fetches k3s from
 */
export function preflight(
  hosts: readonly PreflightHost[],
  sources: readonly SourceReached[] = [],
): readonly Finding[] {
  const found: readonly Found[] = [
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
    ...twice(
      hosts,
      'mac',
      'error',
      macOf,
      'They are clones: give each virtual machine a network card of its own; one address for two machines loses packets.',
    ),
    ...clocks(hosts),
    ...hosts.flatMap((host) => [
      ...system(host),
      ...resources(host),
      ...ports(host),
      ...strangers(host),
      ...clockService(host),
    ]),
    ...networkFindings(hosts, sources),
  ];
  return found.map((finding) => {
    // What runs proves that it can: nothing there is a reason to leave everybody's cluster as it is.
    const isProven = runs(hosts.find((one) => one.host === finding.host));
    return explained(isProven ? { ...finding, severity: 'warning' } : finding);
  });
}

function twice(
  hosts: readonly PreflightHost[],
  check: Check,
  severity: Found['severity'],
  identityOf: (host: PreflightHost) => string,
  fix: string,
): readonly Found[] {
  const bearers = new Map<string, PreflightHost[]>();
  for (const host of hosts) {
    const value = identityOf(host);
    bearers.set(value, [...(bearers.get(value) ?? []), host]);
  }
  return hosts.flatMap((host) => {
    const value = identityOf(host);
    const others = (bearers.get(value) ?? []).filter((other) => other !== host);
    if (value === '' || others.length === 0) return [];
    const evidence = `${check} ${value} is also that of ${others.map((other) => other.host).join(', ')}`;
    return [{ severity, check, host: host.host, evidence, fix }];
  });
}

/** Against the others' middle, and only what asking cannot explain. */
function clocks(hosts: readonly PreflightHost[]): readonly Found[] {
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

/** Whether k3s is made for such a system, and what of the system k3s must be kept from using. */
function system(seen: PreflightHost): readonly Found[] {
  const { host, facts, iptables, prefersBundled } = seen;
  const found: Found[] = [];
  const add = (severity: Found['severity'], check: Check, evidence: string, fix: string) =>
    found.push({ severity, check, host, evidence, fix });
  if (archOf(facts.architecture) === undefined)
    add(
      'error',
      'architecture',
      `its processor, as the system uses it, is ${facts.architecture}, and there is no k3s for that`,
      'Use an x86_64, aarch64 or armv7 system: a 64-bit machine may run a 32-bit one.',
    );
  if (facts.init === 'other')
    add(
      'error',
      'init',
      'it runs neither systemd nor OpenRC',
      'k3s needs one of them to start it: inside WSL, write [boot] systemd=true into /etc/wsl.conf and restart it.',
    );
  if (isFresh(seen) && !preparedFamilies.has(familyOf(facts) ?? '')) {
    const name = facts.os.prettyName || `${facts.os.name} ${facts.os.version}`.trim();
    add(
      'warning',
      'system',
      `${name} is of no family that fleet knows: it is treated by what it has (${facts.packageManager ?? 'no package manager'}, ${facts.init})`,
      'See with fleet plan what would be done; what k3s needs beyond that has to be there.',
    );
  }
  if (isFresh(seen) && seen.isReadOnly === true)
    add(
      'warning',
      'read-only-system',
      'its /usr is read-only: packages come into the next boot only, and fleet installs none but k3s-selinux out of airgap_dir',
      'Install what fleet plan would (k3s-selinux where SELinux is on) by transactional-update, and reboot before fleet up; or set airgap_dir and allow_reboot: true.',
    );
  // Where fleet has written prefer-bundled-bin, k3s is kept from it.
  if (
    iptables !== undefined &&
    repeatsRules(iptables) &&
    (isFresh(seen) || prefersBundled === false) &&
    prefersBundled !== true
  )
    add(
      'warning',
      'iptables',
      `its iptables ${iptables.version} (${iptables.flavour}) adds the same rules over and over, and slows the node down until it stops`,
      prefersBundled === false
        ? 'Take prefer-bundled-bin: false out of its configuration, or install iptables 1.8.5 or newer.'
        : 'Nothing to do: fleet tells k3s to use its own (prefer-bundled-bin). iptables 1.8.5 or newer can be used.',
    );
  return found;
}

function resources({ host, role, facts, freeKiB }: PreflightHost): readonly Found[] {
  const found: Found[] = [];
  const add = (severity: Found['severity'], check: Check, evidence: string, fix: string) =>
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
function ports({ host, service, listeners, openings }: PreflightHost): readonly Found[] {
  if (service !== undefined && (service.state === 'active' || service.state === 'activating')) return [];
  return listeners.flatMap(({ protocol, port, program }): readonly Found[] => {
    const opening = openings.find(
      (wanted) => wanted.protocol === protocol && wanted.first <= port && port <= wanted.last,
    );
    if (opening === undefined) return [];
    const who = program === '' ? 'somebody' : program;
    const list = protocol === 'tcp' ? 'ss -ltnp' : 'ss -lunp';
    return [
      {
        severity: 'error',
        check: 'port',
        host,
        evidence: `${who} listens on ${port}/${protocol}, which k3s needs (${opening.what})`,
        fix: `Stop ${program === '' ? `it (${list} shows who it is)` : program}, or move it to another port.`,
      },
    ];
  });
}

/** The card that the node's address is on. */
function macOf({ facts }: PreflightHost): string {
  const mac = facts.macs.get(facts.defaultIpv4?.interface ?? facts.defaultIpv6?.interface ?? '') ?? '';
  return mac === '00:00:00:00:00:00' ? '' : mac;
}

/** Somebody else's Kubernetes on the host. */
function strangers({ host, service, others, endpoints }: PreflightHost): readonly Found[] {
  const found: Found[] = (others?.found ?? []).map((name) => ({
    severity: 'error',
    check: 'other-kubernetes',
    host,
    evidence: `a Kubernetes of ${name} is installed`,
    fix: `Take it away first (its ports, its network and its containers are in the way), or take ${host} out of the inventory.`,
  }));
  const follows = /^https:\/\/(?:\[([^\]]+)\]|([^:/]+))/.exec(others?.follows ?? '');
  const endpoint = follows?.[1] ?? follows?.[2];
  if (endpoint !== undefined && service?.state !== 'absent' && !endpoints.includes(endpoint)) {
    found.push({
      severity: 'warning',
      check: 'other-cluster',
      host,
      evidence: `its k3s agent follows ${others?.follows}, which is none of this cluster's addresses`,
      fix: 'Right where api_endpoint has changed; else take k3s off it first: fleet reset --limit.',
    });
  }
  return found;
}

function clockService({ host, time }: PreflightHost): readonly Found[] {
  if (time === undefined || time.guest || time.active.length > 0) return [];
  return [
    {
      severity: 'warning',
      check: 'time-sync',
      host,
      evidence: 'no time service runs',
      fix: 'Set time_sync: true, or start one (chrony, systemd-timesyncd).',
    },
  ];
}
