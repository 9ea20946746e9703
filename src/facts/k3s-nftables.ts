import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import { ownPrefix } from './k3s-firewall.ts';

/** fleet's rules as nftables reads them at boot. */
export const fragmentPath = `/etc/nftables.d/${ownPrefix}.nft`;

/** A chain that sees packets at a hook. */
export interface BaseChain {
  /** `inet`, `ip`, `ip6`. */
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly hook: 'input' | 'forward';
  readonly policy: 'accept' | 'drop';
}

/** nftables as its own configuration file has it: what ufw, firewalld, iptables and k3s put there is theirs. */
export interface K3sNftables {
  readonly chains: readonly BaseChain[];
  /** The file that is loaded at boot, of those that distributions have. */
  readonly config: { readonly path: string; readonly text: string } | undefined;
  readonly fragment: string | undefined;
  /** Marks of fleet's rules in use, one for each rule. */
  readonly marks: readonly string[];
}

/** Source: `nft list chains`, `nft -a list ruleset`, the files that nftables.service loads. */
export const k3sNftables: Fact<K3sNftables> = {
  key: 'firewall:k3s-nftables',
  sh: sh`PATH=$PATH:/sbin:/usr/sbin
if [ -f ${fragmentPath} ]; then echo =fragment; cat ${fragmentPath}; fi
for f in /etc/nftables.conf /etc/sysconfig/nftables.conf /etc/nftables.nft; do if [ -f "$f" ]; then echo "=config $f"; cat "$f"; break; fi; done
if command -v nft >/dev/null 2>&1; then
  echo =chains; nft list chains 2>/dev/null
  echo =marks; nft list ruleset 2>/dev/null | sed -n ${`s/.*comment "${ownPrefix} \\([0-9a-f]*\\)".*/\\1/p`}
fi; true`,
  parse: ({ stdout }) => parseK3sNftables(stdout),
};

/** The parser of `k3sNftables`: parts headed by `=what path`. */
export function parseK3sNftables(stdout: string): K3sNftables {
  const parts = `\n${stdout}`.split(/\n(?==(?:fragment|config .*|chains|marks)\n)/).slice(1);
  const part = (name: string) => parts.find((each) => new RegExp(`^=${name}\\b`).test(each));
  const body = (text: string | undefined) => text?.slice(text.indexOf('\n') + 1);
  const config = part('config');
  const ended = (text: string | undefined) => text?.replace(/\n*$/, '\n');
  return {
    chains: parseChains(body(part('chains')) ?? ''),
    config:
      config === undefined
        ? undefined
        : { path: config.slice('=config '.length, config.indexOf('\n')), text: ended(body(config)) ?? '' },
    fragment: ended(body(part('fragment'))),
    marks: (body(part('marks')) ?? '').split('\n').filter((line) => line !== ''),
  };
}

/** Tables that a program keeps for itself. */
const kept = /^(?:firewalld|kube-proxy|kube-router|docker|cni|flannel|libvirt|podman|netavark)/;

// table inet filter {
// 	chain input {
// 		type filter hook input priority filter; policy drop;
function parseChains(listing: string): readonly BaseChain[] {
  const found: BaseChain[] = [];
  let [family, table, chain] = ['', '', ''];
  for (const line of listing.split('\n')) {
    [, family = family, table = table] = /^table (\S+) (\S+) \{/.exec(line) ?? [];
    [, chain = chain] = /^\s+chain (\S+) \{/.exec(line) ?? [];
    const [, hook, policy = 'accept'] =
      /\btype filter hook (input|forward) [^;]*;(?: policy (accept|drop);)?/.exec(line) ?? [];
    // Capitals are iptables', whoever calls it.
    const isOwn = /^(?:inet|ip|ip6)$/.test(family) && !kept.test(table) && chain !== chain.toUpperCase();
    if (isOwn && (hook === 'input' || hook === 'forward'))
      found.push({ family, table, chain, hook, policy: policy === 'drop' ? 'drop' : 'accept' });
  }
  return found;
}
