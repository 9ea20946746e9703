import { isIP } from 'node:net';
import { isInnerInterface } from '../facts/k3s-firewall.ts';
import type { SourceReached } from '../facts/sources.ts';
import { holdsNetwork } from '../k3s/network-needs.ts';
import { type Found, isFresh, type PreflightHost, runs } from './preflight-finding.ts';

/** What is wrong between the nodes, and between them and what they need of others. */
export function networkFindings(
  hosts: readonly PreflightHost[],
  sources: readonly SourceReached[],
): readonly Found[] {
  return [
    ...hosts.flatMap((host) => [...proxies(host), ...routes(host), ...names(host)]),
    ...packets(hosts),
    ...paths(hosts),
    ...reachability(hosts),
    ...ways(hosts),
    ...unreached(hosts, sources),
  ];
}

/** Only where a server runs: before the first start nobody can answer. Who is asked must be one that runs, or not ours. */
function reachability(hosts: readonly PreflightHost[]): readonly Found[] {
  const servers = hosts.filter(({ role }) => role === 'server');
  if (!servers.some(runs)) return [];
  return hosts.flatMap(({ host, api }) =>
    api?.state === 'closed' && servers.every((server) => server.host !== api.server || runs(server))
      ? [
          {
            severity: 'error' as const,
            check: 'api-endpoint' as const,
            host,
            evidence: `it cannot reach ${api.url}, though a server runs`,
            fix: 'Look at api_endpoint, name resolution on the host, and the firewalls between (manage_firewall: check).',
          },
        ]
      : [],
  );
}

/** A proxy that would also be asked for what is inside the cluster. The inventory's word counts before what the host has for everybody. */
function proxies(seen: PreflightHost): readonly Found[] {
  const { host, environment, unproxied } = seen;
  const value = (name: string): string | undefined =>
    environment
      .flatMap((one) => (one.toUpperCase().startsWith(`${name}=`) ? [one.slice(name.length + 1)] : []))
      .at(-1);
  const inherited = isFresh(seen) ? seen.proxy : undefined;
  const isOurs = value('HTTP_PROXY') !== undefined || value('HTTPS_PROXY') !== undefined;
  if (!isOurs && inherited?.isSet !== true) return [];
  const spared =
    value('NO_PROXY')
      ?.split(',')
      .map((word) => word.trim())
      .filter((word) => word !== '') ??
    inherited?.spared ??
    [];
  const missing = unproxied.filter(
    (network) => !spared.some((word) => word === '*' || word === network || holdsNetwork(word, network)),
  );
  if (missing.length === 0) return [];
  const wanted = [...new Set([...spared, '127.0.0.1', ...missing, '.svc', '.cluster.local'])].join(',');
  const from = isOurs ? '' : ' that the host has for all programs';
  return [
    {
      severity: 'error',
      check: 'proxy',
      host,
      evidence: `its k3s goes through a proxy${from}, and NO_PROXY lacks ${missing.join(', ')}`,
      fix: `Add to extra_service_envs: NO_PROXY=${wanted}.`,
    },
  ];
}

function routes({ host, facts, service }: PreflightHost): readonly Found[] {
  if (facts.defaultIpv4 !== undefined || facts.defaultIpv6 !== undefined || service?.state !== 'absent')
    return [];
  return [
    {
      severity: 'warning',
      check: 'default-route',
      host,
      evidence: 'it has no default route, by which k3s finds its own address',
      fix: 'Set node_ip and flannel_iface for it; where it has one address only, fleet does so by itself.',
    },
  ];
}

/** Who tells the host names, and whether he tells those that it needs. */
function names({ host, facts, reached }: PreflightHost): readonly Found[] {
  const found: Found[] = [];
  if (facts.nameServers.length === 0) {
    found.push({
      severity: 'warning',
      check: 'dns',
      host,
      evidence: '/etc/resolv.conf names no name server',
      fix: 'Pods ask the name servers of their node: write one into it (nameserver 10.0.0.1).',
    });
  }
  if (reached?.isNew !== true) return found;
  for (const [way, end] of reached.ways) {
    const [kind, subject = ''] = way.split(' ');
    if (kind === 'dns' && end !== 'open' && end !== 'unknown')
      found.push({
        severity: 'warning',
        check: 'name-server',
        host,
        evidence: `its name server ${subject} ${end === 'silent' ? 'does not answer' : 'refuses to be asked'}`,
        fix: 'Pods ask the name servers of their node, and images are fetched by name: correct /etc/resolv.conf, or let port 53/udp through.',
      });
    if (kind === 'name' && end === 'refused')
      found.push({
        severity: 'error',
        check: 'name',
        host,
        evidence: `it cannot resolve ${subject}`,
        fix: 'Mend its name resolution, set hosts_entries: true, or use addresses in the inventory.',
      });
  }
  return found;
}

/** How much a packet holds on the card that a host's address is on. */
function mtuOf({ facts }: PreflightHost): number | undefined {
  const name = facts.defaultIpv4?.interface ?? facts.defaultIpv6?.interface;
  return name === undefined || isInnerInterface(name) ? undefined : facts.mtus.get(name);
}

/** Packets of different size: what a jumbo frame holds never arrives at the others. */
function packets(hosts: readonly PreflightHost[]): readonly Found[] {
  const known = hosts.flatMap((host) => mtuOf(host) ?? []);
  const smallest = Math.min(...known);
  return hosts.flatMap((host): readonly Found[] => {
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

/** What lies between two nodes takes less than their cards do. Where the other's own card does, that is found already. */
function paths(hosts: readonly PreflightHost[]): readonly Found[] {
  const byName = new Map(hosts.map((host) => [host.host, host]));
  return hosts.flatMap(({ host, reached, ways: targets }) => {
    if (reached?.isNew !== true) return [];
    return [...reached.paths].flatMap(([address, { size, end, by }]): readonly Found[] => {
      const there = targets.get(`path ${address}`)?.host;
      const other = there === undefined ? undefined : byName.get(there);
      if (end === 'open' || there === undefined || there === host) return [];
      if (other !== undefined && (mtuOf(other) ?? size) < size) return [];
      const where = `${there} (${address})`;
      if (end === 'lost')
        return [
          {
            severity: 'error',
            check: 'path-mtu',
            host,
            evidence: `packets of ${size} bytes, which its interface sends, are lost on the way to ${where}, small ones arrive (tried by ${by})`,
            fix: `Give the interfaces of all nodes the MTU that the way takes (ping -M do -s 1372 ${address} tries 1400), or let ICMP "fragmentation needed" through.`,
          },
        ];
      return [
        {
          severity: 'warning',
          check: 'path-mtu',
          host,
          evidence: `the way to ${where} takes packets of ${end} bytes, its interface sends ${size}`,
          fix: `Give the interfaces of all nodes the MTU ${end}: what pods send is cut in pieces else.`,
        },
      ];
    });
  });
}

/** Ports that a new node cannot reach on the others; where nobody filters, a closed port says so at once. */
function ways(hosts: readonly PreflightHost[]): readonly Found[] {
  const byName = new Map(hosts.map((host) => [host.host, host]));
  return hosts.flatMap(({ host, reached, ways: targets }) => {
    if (reached?.isNew !== true) return [];
    return [...reached.ways].flatMap(([way, end]): readonly Found[] => {
      const target = targets.get(way);
      const there = target?.host === undefined ? undefined : byName.get(target.host);
      if (target === undefined || target.host === host || (end !== 'silent' && end !== 'forbidden'))
        return [];
      // A host that does not answer fleet either is away, and said to be.
      if (target.host !== undefined && there === undefined) return [];
      const [protocol = '', address = '', port = ''] = way.split(' ');
      const name = isIP(address) !== 0 && target.host !== undefined ? `${target.host} (${address})` : address;
      // fleet opens its own firewall later; over UDP a port in use is silent as well.
      if (there?.opensPorts === true && there.facts.firewalls.length > 0) return [];
      const isTaken = there?.listeners.some((one) => one.protocol === 'udp' && one.port === Number(port));
      if (protocol === 'udp' && end === 'silent' && (there?.reached?.isNew !== true || isTaken === true))
        return [];
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

/** Where this machine fetches for the nodes, and cannot: told once, of the first node that would wait for it. */
function unreached(hosts: readonly PreflightHost[], sources: readonly SourceReached[]): readonly Found[] {
  const first = hosts.find(({ reached }) => reached?.isNew === true);
  if (first === undefined) return [];
  return sources.flatMap(({ url, proxy, failure }): readonly Found[] => {
    if (failure === undefined) return [];
    const what = proxy === undefined ? url : `the proxy ${proxy} on the way to ${url}`;
    return [
      {
        severity: 'error',
        check: 'outside',
        host: first.host,
        evidence: `the machine that fleet runs on, which fetches k3s for the nodes, does not reach ${what}: ${failure}`,
        fix: 'Let it out, set HTTPS_PROXY, set artifact_url and k3s_install_url to a mirror, or work with airgap_dir.',
      },
    ];
  });
}
