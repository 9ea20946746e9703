import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

/** The host's own iptables; `undefined` where there is none (k3s then uses the one it brings). */
export type Iptables = { readonly version: string; readonly flavour: 'nf_tables' | 'legacy' } | undefined;

/** Source: `iptables --version`. */
export const iptables: Fact<Iptables> = {
  key: 'package:iptables-version',
  sh: sh`PATH=$PATH:/sbin:/usr/sbin; iptables --version 2>/dev/null; true`,
  // iptables v1.8.9 (nf_tables)
  parse: ({ stdout }) => {
    const match = /v(\d+(?:\.\d+)+)(?: \((\w+)\))?/.exec(stdout);
    return match?.[1] === undefined
      ? undefined
      : { version: match[1], flavour: match[2] === 'nf_tables' ? 'nf_tables' : 'legacy' };
  },
};

/**
 * Whether it is one of those that add the same rule over and over: 1.8.0 to 1.8.4, in its nf_tables flavour.
 * @see https://docs.k3s.io/known-issues#iptables
 */
export function repeatsRules(found: Iptables): boolean {
  return found?.flavour === 'nf_tables' && /^1\.8\.[0-4]$/.test(found.version);
}
