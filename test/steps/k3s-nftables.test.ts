import { describe, expect, test } from 'vitest';
import type { Plan } from '../../src/engine/step.ts';
import { fragmentPath, parseK3sNftables } from '../../src/facts/k3s-nftables.ts';
import { k3sFirewallStep } from '../../src/steps/k3s-firewall.ts';
import { nodesOf } from '../k3s/inventory-of.ts';

/** nftables as Arch and Debian ship it, and what is told to it. */

const chains = `table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
	}
	chain forward {
		type filter hook forward priority filter; policy drop;
	}
}
table ip filter {
	chain INPUT {
		type filter hook input priority filter; policy accept;
	}
}
table inet firewalld {
	chain filter_INPUT {
		type filter hook input priority filter + 10; policy accept;
	}
}
table ip nat {
	chain post {
		type nat hook postrouting priority srcnat; policy accept;
	}
}
`;
const config = '#!/usr/bin/nft -f\nflush ruleset\ntable inet filter { }\n';

const said = (parts: { fragment?: string; config?: string; chains?: string; marks?: string }) =>
  parseK3sNftables(
    [
      ...(parts.fragment === undefined ? [] : ['=fragment', parts.fragment.trimEnd()]),
      ...(parts.config === undefined ? [] : ['=config /etc/nftables.conf', parts.config.trimEnd()]),
      '=chains',
      parts.chains ?? '',
      '=marks',
      parts.marks ?? '',
    ].join('\n'),
  );

async function plan(
  nftables: ReturnType<typeof said>,
  vars: Record<string, unknown> = { manage_firewall: true },
  state = 'present',
  name = 's1',
): Promise<Plan<unknown>> {
  const host = (await nodesOf({ servers: ['s1', 's2', 's3'], agents: ['a1'], vars }))(name);
  const addresses = new Map([
    ['s1', ['10.0.0.1', 'fd00::1']],
    ['s2', ['10.0.0.2']],
    ['s3', ['10.0.0.3']],
    ['a1', ['10.0.1.1']],
  ]);
  return k3sFirewallStep.plan({ addresses, nftables }, { state: state as 'present' }, host);
}

function fragmentIn(found: Plan<unknown>): string {
  const write =
    found.verdict === 'change' ? found.actions.find((action) => action.kind === 'write') : undefined;
  return write?.kind === 'write' ? String(write.content) : '';
}

test('whose chains they are', () => {
  expect(said({ chains }).chains).toEqual([
    { family: 'inet', table: 'filter', chain: 'input', hook: 'input', policy: 'drop' },
    { family: 'inet', table: 'filter', chain: 'forward', hook: 'forward', policy: 'drop' },
  ]);
  expect(said({ config }).config).toEqual({ path: '/etc/nftables.conf', text: config });
});

describe('what it is told', () => {
  test('everything once, and nothing when it stands so', async () => {
    const first = await plan(said({ chains, config }));
    expect(first).toMatchObject({ verdict: 'change' });
    const fragment = fragmentIn(first);
    const marks = [...fragment.matchAll(/comment "fleet-k3s ([0-9a-f]+)"/g)].map(([, mark]) => mark);
    expect(
      fragment.replaceAll(/ comment "fleet-k3s [0-9a-f]+"/g, ''),
    ).toBe(`# Written by fleet: what k3s needs of this node.
insert rule inet filter input tcp dport { 6443 } accept
insert rule inet filter input ip saddr { 10.0.0.1, 10.0.0.2, 10.0.0.3 } tcp dport { 2379-2380 } accept
insert rule inet filter input ip6 saddr { fd00::1 } tcp dport { 2379-2380 } accept
insert rule inet filter input ip saddr { 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.1.1 } tcp dport { 10250 } accept
insert rule inet filter input ip6 saddr { fd00::1 } tcp dport { 10250 } accept
insert rule inet filter input ip saddr { 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.1.1 } udp dport { 8472 } accept
insert rule inet filter input ip6 saddr { fd00::1 } udp dport { 8472 } accept
insert rule inet filter input ip saddr { 10.42.0.0/16, 10.43.0.0/16 } accept
insert rule inet filter forward ip saddr { 10.42.0.0/16 } accept
insert rule inet filter forward ip daddr { 10.42.0.0/16 } accept
`);
    expect(new Set(marks).size).toBe(1);
    const included = `${config}\ninclude "${fragmentPath}"\n`;
    const now = said({ chains, config: included, fragment, marks: marks.join('\n') });
    expect(await plan(now)).toMatchObject({
      verdict: 'unchanged',
      because: 'nftables lets in what k3s needs',
    });
    // Somebody loaded the configuration of yesterday, or took a rule away: only what is in use changes.
    const partly = said({ chains, config: included, fragment, marks: marks.slice(1).join('\n') });
    expect(await plan(partly)).toMatchObject({ because: 'nftables does not use what is on disk' });
    // A glob that includes it already is enough.
    const globbed = said({
      chains,
      config: `${config}include "/etc/nftables.d/*.nft"\n`,
      fragment,
      marks: marks.join('\n'),
    });
    expect((await plan(globbed)).verdict).toBe('unchanged');
    expect((await plan(now, { manage_firewall: true }, 'absent')).verdict).toBe('change');
  });

  test('an agent has no etcd', async () => {
    expect(
      fragmentIn(await plan(said({ chains, config }), { manage_firewall: true }, 'present', 'a1')),
    ).not.toMatch(/2379|6443/);
  });

  test('rules of nobody knows where', async () => {
    expect(await plan(said({ chains }))).toMatchObject({ verdict: 'refuse' });
  });

  test('no chain of its own', async () => {
    expect(await plan(said({ config }))).toMatchObject({ because: 'no firewall is active' });
  });

  test('check tells and changes nothing', async () => {
    const told = await plan(said({ chains, config }), { manage_firewall: 'check' });
    expect(told).toMatchObject({ verdict: 'unchanged' });
    expect(told.because).toMatch(/^warning: nftables would block 6443\/tcp \(API\) from any, 2379-2380\/tcp/);
  });

  test('nothing of ours is nothing to take away', async () => {
    expect((await plan(said({ chains, config }), {}, 'absent')).verdict).toBe('unchanged');
  });
});
