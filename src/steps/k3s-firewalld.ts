import { isIPv6 } from 'node:net';
import { lines, type ShellScript, sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { change, type Diff, refuse, unchanged } from '../engine/step.ts';
import { type FirewalldPart, firewalldFolder, type K3sFirewalld, ownPrefix } from '../facts/k3s-firewall.ts';
import { holdsNetwork, normalNetwork, portText } from '../k3s/network-needs.ts';
import {
  type FirewallNeeds,
  type FirewallPart,
  openingText,
  type ResolvedOpening,
} from './k3s-firewall-needs.ts';

const podsZone = `${ownPrefix}-pods`;
const nodesPolicy = `${ownPrefix}-nodes`;

/** What firewalld shall hold of ours: its files, and what it must answer when it uses them. */
interface Wanted {
  readonly files: ReadonlyMap<string, string>;
  readonly ipsets: ReadonlyMap<string, ReadonlySet<string>>;
  readonly zoneEntries: ReadonlySet<string>;
  readonly policyEntries: ReadonlySet<string>;
}

/**
 * A zone of its own for the pods' and services' networks, and a policy of its own for the ports: a zone with the nodes as
 * its sources would take away from them whatever the user's zones let in (ssh).
 */
export function planFirewalld(firewalld: K3sFirewalld, needs: FirewallNeeds): FirewallPart {
  if (!firewalld.hasPolicies) {
    return refuse(
      'this firewalld has no policies (they came with 0.9), so nothing can be opened without changing zones that are not ours',
      'Open the ports yourself (manage_firewall: check lists them), or install a newer firewalld.',
    );
  }
  const taken = [...needs.pods, ...needs.services].flatMap((network) => takenBy(firewalld, network));
  const closed = taken.find(({ part }) => part.target !== 'ACCEPT');
  if (closed !== undefined) {
    return refuse(
      `${closed.network} is a source of firewalld's zone ${closed.zone}, which does not let everything in`,
      `Take it out: firewall-cmd --permanent --zone=${closed.zone} --remove-source=${closed.network}; or put it into the zone trusted.`,
    );
  }
  const wanted = withUnknown(wantedOf(needs, new Set(taken.map(({ network }) => network))), firewalld, needs);
  const stale = [...wanted.files].filter(([path, text]) => firewalld.files.get(path) !== text);
  const gone = [...firewalld.files.keys()].filter((path) => !wanted.files.has(path));
  const idle = whyNotInUse(firewalld, wanted);
  if (stale.length + gone.length === 0 && idle === undefined)
    return unchanged('firewalld lets in what k3s needs');
  const because =
    stale.length + gone.length > 0
      ? `firewalld's ${[...stale.map(([path]) => nameIn(path)), ...gone.map(nameIn)].join(', ')} ${stale.length + gone.length === 1 ? 'is' : 'are'} not what k3s needs`
      : `firewalld does not use what is on disk: ${idle}`;
  const writes = stale.map(
    ([path, content]): Action => ({
      kind: 'write',
      path,
      content,
      mode: '0644',
      owner: 'root',
      group: 'root',
    }),
  );
  const removals = gone.map((path): Action => ({ kind: 'remove', path }));
  const diff = [
    ...stale.map(([path, after]): Diff => ({ subject: path, before: firewalld.files.get(path), after })),
    ...gone.map((path): Diff => ({ subject: path, before: firewalld.files.get(path), after: undefined })),
  ];
  return withActions(because, [...writes, ...removals, reload(firewalld)], diff);
}

/** fleet's files go; a firewalld that runs forgets them. */
export function planWithoutFirewalld(firewalld: K3sFirewalld): FirewallPart {
  const paths = [...firewalld.files.keys()];
  const isInUse =
    firewalld.policies.has(nodesPolicy) ||
    firewalld.zones.has(podsZone) ||
    [...firewalld.ipsets.values()].some((entries) => entries.size > 0);
  if (paths.length === 0 && !isInUse) return unchanged('firewalld has nothing of fleet');
  const removals = paths
    .flatMap((path) => [path, `${path}.old`])
    .map((path): Action => ({ kind: 'remove', path }));
  return withActions(
    `${paths.map(nameIn).join(', ') || podsZone} ${paths.length === 1 ? 'is' : 'are'} in firewalld`,
    [...removals, ...(firewalld.running ? [reload(firewalld)] : [])],
    paths.map((path) => ({ subject: path, before: firewalld.files.get(path), after: undefined })),
  );
}

function withActions(because: string, actions: readonly Action[], diff: readonly Diff[]): FirewallPart {
  const [first, ...rest] = actions;
  return first === undefined ? unchanged(because) : change<never>(because, [first, ...rest], { diff });
}

/** `/etc/firewalld/zones/fleet-k3s-pods.xml` is `zone fleet-k3s-pods`. */
function nameIn(path: string): string {
  const [, kind = '', name = path] = /\/(\w+)\/([^/]+)\.xml$/.exec(path) ?? [];
  return `${{ zones: 'zone', policies: 'policy', ipsets: 'ipset' }[kind] ?? kind} ${name}`;
}

/** New zones and policies come only with a reload, and a reload drops what was never made permanent: that is put back. */
function reload(firewalld: K3sFirewalld): Action {
  const restored: ShellScript[] = [];
  for (const [zone, now] of firewalld.zones) {
    const kept = firewalld.permanentZones.get(zone);
    if (kept === undefined || zone.startsWith(ownPrefix)) continue;
    const only = (one: FirewalldPart, other: FirewalldPart) =>
      [...one.entries].filter((entry) => !other.entries.has(entry) && !entry.startsWith('interface '));
    for (const entry of only(now, kept))
      restored.push(sh`firewall-cmd -q --zone=${zone} --add-${optionOf(entry)}`);
    for (const entry of only(kept, now))
      restored.push(sh`firewall-cmd -q --zone=${zone} --remove-${optionOf(entry)}`);
  }
  return {
    kind: 'run',
    what:
      restored.length === 0
        ? 'reload firewalld'
        : `reload firewalld and put back ${restored.length} entries that are not permanent`,
    script: lines(sh`set -e`, sh`firewall-cmd -q --check-config`, sh`firewall-cmd -q --reload`, ...restored),
    survives: true,
  };
}

/** `rich rule …` is `rich-rule='rule …'`, `port 80/tcp` is `port=80/tcp`, `masquerade` stands alone. */
function optionOf(entry: string): ShellScript {
  const blank = entry.indexOf(' ');
  if (blank < 0) return sh`${entry}`;
  const kind = entry.slice(0, blank);
  return sh`${`${kind === 'rich' ? 'rich-rule' : kind}=${entry.slice(blank + 1)}`}`;
}

/** The zone that somebody else has put a network into; of zones that are already wide enough, nothing is asked. */
function takenBy(firewalld: K3sFirewalld, network: string) {
  const [zone, part] =
    [...firewalld.permanentZones].find(
      ([name, each]) => !name.startsWith(ownPrefix) && each.entries.has(`source ${network}`),
    ) ?? [];
  return zone === undefined || part === undefined ? [] : [{ network, zone, part }];
}

function wantedOf(needs: FirewallNeeds, elsewhere: ReadonlySet<string>): Wanted {
  const networks = [...new Set([...needs.pods, ...needs.services])].filter(
    (network) => !elsewhere.has(network),
  );
  const files = new Map<string, string>();
  const ipsets = new Map<string, ReadonlySet<string>>();
  const rules: string[] = [];
  const entries = new Set<string>();
  for (const opening of needs.openings) {
    const port = portText(opening);
    if (opening.sources.includes('any')) {
      rules.push(`  <port port="${port}" protocol="${opening.protocol}"/>`);
      entries.add(`port ${port}/${opening.protocol}`);
      continue;
    }
    for (const family of ['ipv4', 'ipv6'] as const) {
      const sources = opening.sources.filter(
        (source) => isIPv6(source.split('/')[0] ?? '') === (family === 'ipv6'),
      );
      if (sources.length === 0) continue;
      const name = `${ownPrefix}-${opening.group}-${family}`;
      ipsets.set(name, new Set(sources));
      files.set(`${firewalldFolder}/ipsets/${name}.xml`, ipsetXml(family, sources));
      rules.push(
        `  <rule family="${family}"><source ipset="${name}"/><port port="${port}" protocol="${opening.protocol}"/><accept/></rule>`,
      );
      entries.add(
        `rich rule family="${family}" source ipset="${name}" port port="${port}" protocol="${opening.protocol}" accept`,
      );
    }
  }
  if (networks.length > 0) {
    files.set(
      `${firewalldFolder}/zones/${podsZone}.xml`,
      xml([
        '<zone target="ACCEPT">',
        `  <short>${podsZone}</short>`,
        '  <description>Written by fleet: the networks of the pods and services of k3s.</description>',
        ...networks.map((network) => `  <source address="${network}"/>`),
        '</zone>',
      ]),
    );
  }
  files.set(
    `${firewalldFolder}/policies/${nodesPolicy}.xml`,
    xml([
      '<policy priority="-100" target="CONTINUE">',
      `  <short>${nodesPolicy}</short>`,
      '  <description>Written by fleet: the ports that k3s needs.</description>',
      '  <ingress-zone name="ANY"/>',
      '  <egress-zone name="HOST"/>',
      ...rules,
      '</policy>',
    ]),
  );
  return {
    files,
    ipsets,
    zoneEntries: new Set(networks.map((network) => `source ${network}`)),
    policyEntries: entries,
  };
}

/** Addresses that are in an ipset stay while a node cannot be asked for its own. */
function withUnknown(wanted: Wanted, firewalld: K3sFirewalld, needs: FirewallNeeds): Wanted {
  if (needs.unknown.length === 0) return wanted;
  const files = new Map(wanted.files);
  const ipsets = new Map(wanted.ipsets);
  for (const [name, sources] of wanted.ipsets) {
    const path = `${firewalldFolder}/ipsets/${name}.xml`;
    const before = [...(firewalld.files.get(path) ?? '').matchAll(/<entry>([^<]+)<\/entry>/g)].map(
      ([, entry = '']) => entry,
    );
    const all = [...new Set([...sources, ...before])].sort();
    ipsets.set(name, new Set(all));
    files.set(path, ipsetXml(name.endsWith('ipv6') ? 'ipv6' : 'ipv4', all));
  }
  return { ...wanted, files, ipsets };
}

function ipsetXml(family: 'ipv4' | 'ipv6', sources: readonly string[]): string {
  return xml([
    '<ipset type="hash:net">',
    ...(family === 'ipv6' ? ['  <option name="family" value="inet6"/>'] : []),
    ...sources.map((source) => `  <entry>${source}</entry>`),
    '</ipset>',
  ]);
}

function xml(rows: readonly string[]): string {
  return `${['<?xml version="1.0" encoding="utf-8"?>', ...rows].join('\n')}\n`;
}

/** What the running firewalld lacks of what its files say. */
function whyNotInUse(firewalld: K3sFirewalld, wanted: Wanted): string | undefined {
  const policy = firewalld.policies.get(nodesPolicy);
  if (policy === undefined) return `policy ${nodesPolicy} is not loaded`;
  if (!same(policy.entries, wanted.policyEntries)) return `policy ${nodesPolicy} has other entries`;
  if (!same(firewalld.zones.get(podsZone)?.entries ?? new Set(), wanted.zoneEntries))
    return `zone ${podsZone} has other sources`;
  for (const [name, sources] of wanted.ipsets) {
    if (!same(firewalld.ipsets.get(name) ?? new Set(), sources)) return `ipset ${name} has other entries`;
  }
  return undefined;
}

function same(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  return one.size === other.size && [...one].every((entry) => other.has(entry));
}

/** The ports of firewalld's services that k3s has to do with. */
const servicePorts: Readonly<Record<string, readonly string[]>> = {
  'kube-api': ['6443/tcp'],
  'kube-apiserver': ['6443/tcp'],
  'kube-control-plane': ['6443/tcp', '2379-2380/tcp', '10250-10252/tcp'],
  'kube-control-plane-secure': ['6443/tcp', '2379-2380/tcp', '10250/tcp'],
  'kube-worker': ['10250/tcp'],
  kubelet: ['10250/tcp'],
  'kubelet-worker': ['10250/tcp'],
  'etcd-server': ['2379-2380/tcp'],
  'etcd-client': ['2379/tcp'],
  wireguard: ['51820/udp'],
};

/** What firewalld as it is would not let in, source by source: the zone of a source is that which names it, else those of the interfaces. */
export function blockedByFirewalld(firewalld: K3sFirewalld, needs: FirewallNeeds): readonly string[] {
  const wanted = wantedOf(needs, new Set());
  if (firewalld.policies.has(nodesPolicy) && whyNotInUse(firewalld, wanted) === undefined) return [];
  const zonesFor = (source: string): readonly FirewalldPart[] => {
    const all = [...firewalld.zones];
    const bySource = all.filter(([, zone]) =>
      [...zone.entries].some(
        (entry) => entry.startsWith('source ') && holdsNetwork(entry.slice('source '.length), source),
      ),
    );
    if (bySource.length > 0) return bySource.map(([, zone]) => zone);
    const byInterface = all.filter(
      ([name, zone]) =>
        name === firewalld.defaultZone ||
        [...zone.entries].some((entry) => /^interface (?!lo$|cni|flannel|docker|veth)/.test(entry)),
    );
    return byInterface.map(([, zone]) => zone);
  };
  const isLetIn = (source: string, opening: ResolvedOpening): boolean =>
    zonesFor(source).every((zone) => zone.target === 'ACCEPT' || letsIn(zone, source, opening));
  const ports = needs.openings.flatMap((opening) => {
    const out = opening.sources.filter((source) => !isLetIn(source, opening));
    return out.length === 0 ? [] : [`${openingText(opening)} from ${out.join(', ')}`];
  });
  const networks = [...needs.pods, ...needs.services].filter((network) =>
    zonesFor(network).some((zone) => zone.target !== 'ACCEPT'),
  );
  return [...ports, ...(networks.length === 0 ? [] : [`everything from ${networks.join(', ')}`])];
}

function letsIn(zone: FirewalldPart, source: string, opening: ResolvedOpening): boolean {
  return [...zone.entries].some((entry) => {
    if (entry.startsWith('port ')) return coversPort(entry.slice('port '.length), opening);
    if (entry.startsWith('service '))
      return (servicePorts[entry.slice('service '.length)] ?? []).some((ports) => coversPort(ports, opening));
    if (!/^rich rule .*\baccept\b/.test(entry)) return false;
    const from = /\bsource address="([^"]+)"/.exec(entry)?.[1];
    const port = /\bport port="([^"]+)" protocol="(\w+)"/.exec(entry);
    const otherKind = /\b(?:service name|protocol value|ipset|invert|icmp-type|destination)\b/.test(entry);
    if (otherKind || !holdsNetwork(from === undefined ? 'any' : (normalNetwork(from) ?? from), source))
      return false;
    return port === null || coversPort(`${port[1]}/${port[2]}`, opening);
  });
}

function coversPort(written: string, opening: ResolvedOpening): boolean {
  const match = /^(\d+)(?:-(\d+))?\/(\w+)$/.exec(written);
  if (match === null || match[3] !== opening.protocol) return false;
  const first = Number(match[1]);
  return first <= opening.first && Number(match[2] ?? first) >= opening.last;
}
