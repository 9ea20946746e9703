import { isIP } from 'node:net';
import type { HostFacts } from '../facts/host.ts';
import { isInnerInterface } from '../facts/k3s-firewall.ts';
import type { InUse } from '../facts/k3s-in-use.ts';
import type { PortState } from '../facts/port.ts';
import type { FreeSpaceKiB, Listener, OtherKubernetes, Reached } from '../facts/preflight.ts';
import type { TimeService } from '../facts/time-service.ts';
import { holdsNetwork } from '../k3s/network-needs.ts';
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
  readonly api:
    | {
        readonly url: string;
        readonly state: PortState;
        /** The server of this cluster whose own address it is. */
        readonly server?: string | undefined;
      }
    | undefined;
  /** How long connecting and asking took: the clock was read somewhere within. */
  readonly askedMs: number;
  readonly others: OtherKubernetes | undefined;
  readonly time: TimeService | undefined;
  /** What a host that has no k3s yet could reach. */
  readonly reached: Reached | undefined;
  /** Whose address a way of `reached` leads to, and what for: by `tcp 10.0.0.1 6443`. */
  readonly ways: ReadonlyMap<string, Way>;
  /** The nodes' addresses, and the pods' and services' networks: what a proxy must be kept out of. */
  readonly unproxied: readonly string[];
  /** `NAME=value` of the k3s service, as the inventory has them. */
  readonly environment: readonly string[];
  /** The hosts of the URLs at which this cluster is found. */
  readonly endpoints: readonly string[];
  /** fleet will open the ports itself. */
  readonly opensPorts: boolean;
}

/** Where a try leads to. */
export interface Way {
  readonly what: string;
  /** The inventory name of the host there; `undefined` for one outside. */
  readonly host: string | undefined;
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
    ...twice(
      hosts,
      'mac',
      'error',
      macOf,
      'They are clones: give each virtual machine a network card of its own; one address for two machines loses packets.',
    ),
    ...clocks(hosts),
    ...hosts.flatMap((host) => [
      ...resources(host),
      ...ports(host),
      ...strangers(host),
      ...proxies(host),
      ...network(host),
    ]),
    ...packets(hosts),
    ...reachability(hosts),
    ...ways(hosts),
  ].map((finding) => {
    // What runs proves that it can: nothing there is a reason to leave everybody's cluster as it is.
    const host = hosts.find((one) => one.host === finding.host);
    return finding.severity === 'error' && runs(host)
      ? { ...finding, severity: 'warning' as const }
      : finding;
  });
}

function runs(host: PreflightHost | undefined): boolean {
  return host?.service?.state === 'active';
}

function twice(
  hosts: readonly PreflightHost[],
  check: string,
  severity: Finding['severity'],
  identityOf: (host: PreflightHost) => string,
  fix: string,
): readonly Finding[] {
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

/** The card that the node's address is on. */
function macOf({ facts }: PreflightHost): string {
  const mac = facts.macs.get(facts.defaultIpv4?.interface ?? facts.defaultIpv6?.interface ?? '') ?? '';
  return mac === '00:00:00:00:00:00' ? '' : mac;
}

/** Only where a server runs: before the first start nobody can answer. Who is asked must be one that runs, or not ours. */
function reachability(hosts: readonly PreflightHost[]): readonly Finding[] {
  const servers = hosts.filter(({ role }) => role === 'server');
  if (!servers.some(runs)) return [];
  return hosts.flatMap(({ host, api }) =>
    api?.state === 'closed' && servers.every((server) => server.host !== api.server || runs(server))
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

/** Somebody else's Kubernetes on the host. */
function strangers({ host, service, others, endpoints }: PreflightHost): readonly Finding[] {
  const found: Finding[] = (others?.found ?? []).map((name) => ({
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

/** A proxy that would also be asked for what is inside the cluster. */
function proxies({ host, environment, unproxied }: PreflightHost): readonly Finding[] {
  const value = (name: string): string | undefined =>
    environment
      .flatMap((one) => (one.toUpperCase().startsWith(`${name}=`) ? [one.slice(name.length + 1)] : []))
      .at(-1);
  if (value('HTTP_PROXY') === undefined && value('HTTPS_PROXY') === undefined) return [];
  const spared = (value('NO_PROXY') ?? '').split(',').map((word) => word.trim());
  const missing = unproxied.filter(
    (network) => !spared.some((word) => word === '*' || word === network || holdsNetwork(word, network)),
  );
  if (missing.length === 0) return [];
  return [
    {
      severity: 'error',
      check: 'proxy',
      host,
      evidence: `its k3s goes through a proxy, and NO_PROXY lacks ${missing.join(', ')}`,
      fix: `Add to extra_service_envs: NO_PROXY=${[...new Set([...spared.filter((word) => word !== ''), '127.0.0.1', ...missing, '.svc', '.cluster.local'])].join(',')}.`,
    },
  ];
}

/** What the host's own network and clock lack. */
function network({ host, facts, time, reached, service }: PreflightHost): readonly Finding[] {
  const found: Finding[] = [];
  if (facts.defaultIpv4 === undefined && facts.defaultIpv6 === undefined && service?.state === 'absent') {
    found.push({
      severity: 'warning',
      check: 'default-route',
      host,
      evidence: 'it has no default route, by which k3s finds its own address',
      fix: 'Set node_ip and flannel_iface for it; where it has one address only, fleet does so by itself.',
    });
  }
  if (facts.nameServers.length === 0) {
    found.push({
      severity: 'warning',
      check: 'dns',
      host,
      evidence: '/etc/resolv.conf names no name server',
      fix: 'Pods ask the name servers of their node: write one into it (nameserver 10.0.0.1).',
    });
  }
  if (time !== undefined && !time.guest && time.active.length === 0) {
    found.push({
      severity: 'warning',
      check: 'time-sync',
      host,
      evidence: 'no time service runs',
      fix: 'Set time_sync: true, or start one (chrony, systemd-timesyncd).',
    });
  }
  if (reached?.isNew === true) {
    for (const [way, end] of reached.ways) {
      if (!way.startsWith('name ') || end !== 'refused') continue;
      found.push({
        severity: 'error',
        check: 'name',
        host,
        evidence: `it cannot resolve ${way.slice('name '.length)}`,
        fix: 'Mend its name resolution, set hosts_entries: true, or use addresses in the inventory.',
      });
    }
  }
  return found;
}

/** Packets of different size: what a jumbo frame holds never arrives at the others. */
function packets(hosts: readonly PreflightHost[]): readonly Finding[] {
  const mtuOf = ({ facts }: PreflightHost): number | undefined => {
    const name = facts.defaultIpv4?.interface ?? facts.defaultIpv6?.interface;
    return name === undefined || isInnerInterface(name) ? undefined : facts.mtus.get(name);
  };
  const known = hosts.flatMap((host) => mtuOf(host) ?? []);
  const smallest = Math.min(...known);
  return hosts.flatMap((host): readonly Finding[] => {
    const mtu = mtuOf(host);
    if (mtu === undefined) return [];
    if (mtu < 1330) {
      return [
        {
          severity: 'error',
          check: 'mtu',
          host: host.host,
          evidence: `its MTU is ${mtu}: pods would be left with less than 1280`,
          fix: 'Raise the MTU of its interface; 1500 is usual.',
        },
      ];
    }
    if (mtu === smallest) return [];
    return [
      {
        severity: 'warning',
        check: 'mtu',
        host: host.host,
        evidence: `its MTU is ${mtu}, that of others ${smallest}`,
        fix: 'Give all nodes of a network the same MTU: large packets between them are lost else.',
      },
    ];
  });
}

/** Ports that a new node cannot reach on the others; where nobody filters, a closed port says so at once. */
function ways(hosts: readonly PreflightHost[]): readonly Finding[] {
  const byName = new Map(hosts.map((host) => [host.host, host]));
  return hosts.flatMap(({ host, reached, ways: targets }) => {
    if (reached?.isNew !== true) return [];
    return [...reached.ways].flatMap(([way, end]): readonly Finding[] => {
      const target = targets.get(way);
      const there = target?.host === undefined ? undefined : byName.get(target.host);
      if (target === undefined || target.host === host || (end !== 'silent' && end !== 'forbidden'))
        return [];
      const [protocol = '', address = '', port = ''] = way.split(' ');
      const name = isIP(address) !== 0 && target.host !== undefined ? `${target.host} (${address})` : address;
      // fleet opens its own firewall later; over UDP a port in use is silent as well.
      if (there?.opensPorts === true && there.facts.firewalls.length > 0) return [];
      if (protocol === 'udp' && end === 'silent' && there?.reached?.isNew !== true) return [];
      return [
        {
          severity: protocol === 'udp' ? 'warning' : 'error',
          check: target.host === undefined ? 'outside' : protocol === 'udp' ? 'udp-port' : 'tcp-port',
          host,
          evidence: `${port}/${protocol} of ${name} (${target.what}) ${end === 'forbidden' ? 'is refused by a firewall' : 'does not answer'}`,
          fix:
            target.host === undefined
              ? 'Let the host out, set a proxy, set binary_source: control, or work with airgap_dir.'
              : 'Open it in the firewalls of the host and between, or set manage_firewall: true (check lists what is blocked).',
        },
      ];
    });
  });
}
