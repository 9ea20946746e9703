import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import { zoneEntries } from './firewall.ts';

/** Names that begin so are fleet's own: comments of ufw rules, and zones, policies and ipsets of firewalld. */
export const ownPrefix = 'fleet-k3s';

/** Where firewalld keeps what was made by hand. */
export const firewalldFolder = '/etc/firewalld';

/**
 * How the names of networks of containers and virtual machines begin, as regular expressions and shell patterns both understand it: no
 * other node ever sends from an address on them.
 */
export const innerInterfaces = [
  ...['lo', 'docker[0-9]', `br-${'[0-9a-f]'.repeat(12)}`, 'veth', 'cni', 'flannel', 'kube-', 'cali'],
  ...['vxlan[.]calico', 'tunl', 'cilium', 'lxc', 'nodelocaldns', 'virbr', 'podman'],
];

const inner = new RegExp(`^(?:${innerInterfaces.join('|')})`);

/** Whether an interface is of containers or virtual machines. */
export function isInnerInterface(name: string): boolean {
  return inner.test(name);
}

/**
 * The addresses that a node may send from to other nodes: global ones of real interfaces, bridges and tunnels; none of
 * container networks, and no temporary ones, which change by the day. Source: `ip -o addr`.
 */
export const nodeAddresses: Fact<readonly string[]> = {
  key: 'address:node',
  sh: sh`ip -o addr show 2>/dev/null; true`,
  parse: ({ stdout }) => parseNodeAddresses(stdout),
};

/** The parser of `nodeAddresses`. */
export function parseNodeAddresses(stdout: string): readonly string[] {
  // 2: eth0    inet 10.0.0.5/24 brd 10.0.0.255 scope global dynamic eth0\       valid_lft …
  const found = stdout.split('\n').flatMap((line) => {
    const match = /^\d+:\s+(\S+)\s+inet6?\s+([0-9a-fA-F.:]+)(.*)$/.exec(line);
    const [, name = '', address = '', rest = ''] = match ?? [];
    const usable = /\bscope global\b/.test(rest) && !/\b(?:temporary|deprecated|tentative)\b/.test(rest);
    return match !== null && usable && !inner.test(name) ? [address] : [];
  });
  return [...new Set(found)];
}

/** Whether ufw filters IPv6 too; with `no` it takes no rule with an IPv6 address. Source: /etc/default/ufw. */
export const ufwFiltersIpv6: Fact<boolean> = {
  key: 'firewall:ufw-ipv6',
  sh: sh`sed -n 's/^ *IPV6=//p' /etc/default/ufw 2>/dev/null; true`,
  parse: ({ stdout }) => !/^["']?no\b/i.test(stdout.trim()),
};

/** A zone or policy: its target and what it lets in, in the words of `zoneEntries`. */
export interface FirewalldPart {
  readonly target: string;
  readonly entries: ReadonlySet<string>;
}

/** All of firewalld that matters to k3s. */
export interface K3sFirewalld {
  readonly installed: boolean;
  readonly running: boolean;
  /** False before firewalld 0.9. */
  readonly hasPolicies: boolean;
  readonly defaultZone: string;
  readonly zones: ReadonlyMap<string, FirewalldPart>;
  readonly permanentZones: ReadonlyMap<string, FirewalldPart>;
  readonly policies: ReadonlyMap<string, FirewalldPart>;
  /** Entries in use of the ipsets that are fleet's own. */
  readonly ipsets: ReadonlyMap<string, ReadonlySet<string>>;
  /** fleet's own files by path, with their text. */
  readonly files: ReadonlyMap<string, string>;
}

/** Source: firewall-cmd, /etc/firewalld. */
export const k3sFirewalld: Fact<K3sFirewalld> = {
  key: 'firewall:k3s-firewalld',
  sh: sh`d=${firewalldFolder} n=${ownPrefix}
for f in "$d/zones/$n"*.xml "$d/policies/$n"*.xml "$d/ipsets/$n"*.xml; do
  if [ -f "$f" ]; then echo "=file $f"; cat "$f"; fi
done
if command -v firewall-cmd >/dev/null 2>&1; then
  echo =installed
  if firewall-cmd --state >/dev/null 2>&1; then
    echo =running; firewall-cmd --get-default-zone 2>/dev/null
    echo =zones; firewall-cmd --list-all-zones 2>/dev/null
    echo =permanent; firewall-cmd --permanent --list-all-zones 2>/dev/null
    if p=$(firewall-cmd --list-all-policies 2>/dev/null); then echo =policies; printf '%s\\n' "$p"; fi
    for f in "$d/ipsets/$n"*.xml; do
      if [ -f "$f" ]; then s=\${f##*/}; s=\${s%.xml}; echo "=ipset $s"; firewall-cmd --ipset="$s" --get-entries 2>/dev/null; fi
    done
  fi
fi; true`,
  parse: ({ stdout }) => parseK3sFirewalld(stdout),
};

/** The parser of `k3sFirewalld`: parts headed by `=what name`. */
export function parseK3sFirewalld(stdout: string): K3sFirewalld {
  const parts = new Map<string, string>();
  for (const part of `\n${stdout}`.split('\n=').slice(1)) {
    const end = part.indexOf('\n');
    if (end < 0) parts.set(part, '');
    else parts.set(part.slice(0, end), part.slice(end + 1));
  }
  const named = (kind: string): [string, string][] =>
    [...parts].flatMap(([head, text]) =>
      head.startsWith(`${kind} `) ? [[head.slice(kind.length + 1), text] as [string, string]] : [],
    );
  const words = (text: string): readonly string[] => text.split(/\s+/).filter((word) => word !== '');
  return {
    installed: parts.has('installed'),
    running: parts.has('running'),
    hasPolicies: parts.has('policies'),
    defaultZone: parts.get('running')?.trim() ?? '',
    zones: parseParts(parts.get('zones') ?? ''),
    permanentZones: parseParts(parts.get('permanent') ?? ''),
    policies: parseParts(parts.get('policies') ?? ''),
    ipsets: new Map(named('ipset').map(([name, text]) => [name, new Set(words(text))])),
    files: new Map(named('file').map(([path, text]) => [path, text.replace(/\n*$/, '\n')])),
  };
}

// public (default, active)
//   target: default
//   ports: 6443/tcp
function parseParts(listing: string): ReadonlyMap<string, FirewalldPart> {
  const found = new Map<string, FirewalldPart>();
  for (const block of listing.split(/\n(?=\S)/)) {
    const name = /^(\S+)/.exec(block)?.[1];
    if (name === undefined) continue;
    found.set(name, {
      target: /^ {2}target: (\S+)/m.exec(block)?.[1] ?? 'default',
      entries: zoneEntries(block),
    });
  }
  return found;
}
