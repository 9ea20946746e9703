import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

export interface UfwState {
  readonly installed: boolean;
  readonly active: boolean;
  readonly defaultIncoming: string;
  readonly defaultOutgoing: string;
  readonly defaultRouted: string;
  readonly logging: string;
  /** Added rules as `ufw show added` lists them, without the leading `ufw`. */
  readonly added: readonly string[];
}

/** Source: `ufw status verbose`, `ufw show added`, /etc/default/ufw. */
export const ufwState: Fact<UfwState> = {
  key: 'firewall:ufw',
  sh: sh`if command -v ufw >/dev/null 2>&1; then
  echo =; LC_ALL=C ufw status verbose 2>&1; echo =; LC_ALL=C ufw show added 2>&1; echo =; cat /etc/default/ufw /etc/ufw/ufw.conf 2>/dev/null
fi`,
  parse: (answer) => parseUfw(answer.stdout),
};

/** The parser of `ufwState`. */
export function parseUfw(stdout: string): UfwState {
  const [, status = '', added = '', defaults = ''] = stdout.split(/^=$/m);
  const policy = (chain: string) => {
    const written =
      new RegExp(`^DEFAULT_${chain}_POLICY="?(\\w+)`, 'm').exec(defaults)?.[1]?.toLowerCase() ?? '';
    return { drop: 'deny', accept: 'allow', reject: 'reject' }[written] ?? written;
  };
  return {
    installed: stdout.startsWith('='),
    active: /^Status: active/m.test(status),
    defaultIncoming: policy('INPUT'),
    defaultOutgoing: policy('OUTPUT'),
    defaultRouted: policy('FORWARD'),
    logging: /^LOGLEVEL="?(\w+)/m.exec(defaults)?.[1] ?? '',
    added: added
      .split('\n')
      .filter((line) => line.startsWith('ufw '))
      .map((line) => line.slice(4).trim()),
  };
}

export interface FirewalldState {
  readonly installed: boolean;
  readonly running: boolean;
  readonly defaultZone: string;
  /** What the zone lets in now and after a reload: `service ssh`, `port 6443/tcp`, `source 10.42.0.0/16`, `interface eth0`, `masquerade`, `rich rule …`. */
  readonly inUse: ReadonlySet<string>;
  readonly permanent: ReadonlySet<string>;
  readonly target: string;
}

/** One zone of firewalld; the default zone when none is named. Source: firewall-cmd, firewall-offline-cmd. */
export function firewalldZone(zone: string | undefined): Fact<FirewalldState> {
  const of = zone === undefined ? [] : [`--zone=${zone}`];
  return {
    key: `firewall:firewalld ${zone ?? ''}`,
    sh: sh`if command -v firewall-cmd >/dev/null 2>&1; then
  echo =; firewall-cmd --state 2>&1; firewall-cmd --get-default-zone 2>/dev/null
  echo =; firewall-cmd ${of} --list-all 2>/dev/null
  echo =; if firewall-cmd --state >/dev/null 2>&1; then firewall-cmd --permanent ${of} --list-all 2>/dev/null; else firewall-offline-cmd ${of} --list-all 2>/dev/null; fi
fi; true`,
    parse: (answer) => parseFirewalld(answer.stdout),
  };
}

/** The parser of `firewalldZone`. */
export function parseFirewalld(stdout: string): FirewalldState {
  const [, state = '', now = '', kept = ''] = stdout.split(/^=$/m);
  const [running = '', defaultZone = ''] = state.trim().split('\n');
  return {
    installed: stdout.startsWith('='),
    running: running === 'running',
    defaultZone,
    inUse: zoneEntries(now),
    permanent: zoneEntries(kept),
    target: /^ {2}target: (\S+)/m.exec(kept)?.[1] ?? '',
  };
}

/** The entries of one zone's or policy's `--list-all`: `service ssh`, `port 6443/tcp`, `rich rule …`. */
//   services: dhcpv6-client ssh
//   rich rules:
// 	rule family="ipv4" source address="10.0.0.0/8" accept
export function zoneEntries(listing: string): ReadonlySet<string> {
  const entries = new Set<string>();
  const kinds: Readonly<Record<string, string>> = {
    services: 'service',
    ports: 'port',
    sources: 'source',
    interfaces: 'interface',
    protocols: 'protocol',
    'icmp-blocks': 'icmp-block',
    'source-ports': 'source-port',
    'forward-ports': 'forward-port',
  };
  for (const line of listing.split('\n')) {
    const match = /^ {2}([\w -]+): ?(.*)$/.exec(line);
    if (match !== null) {
      const kind = kinds[match[1] ?? ''];
      if (kind !== undefined)
        for (const word of (match[2] ?? '').split(' ').filter(Boolean)) entries.add(`${kind} ${word}`);
      if (match[1] === 'masquerade' && match[2] === 'yes') entries.add('masquerade');
    } else if (/^\s+rule /.test(line)) entries.add(`rich ${line.trim()}`);
  }
  return entries;
}

/** nftables' live rules as `nft list ruleset` prints them; `undefined` without nft. Source: nft. */
export const nftRules: Fact<string | undefined> = {
  key: 'firewall:nft',
  sh: sh`if command -v nft >/dev/null 2>&1; then echo =; nft -s list ruleset 2>/dev/null; fi; true`,
  parse: (answer) => (answer.stdout.startsWith('=\n') ? answer.stdout.slice(2) : undefined),
};
