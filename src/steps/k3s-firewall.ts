import { Type } from '@sinclair/typebox';
import { ask, askEach, type Questions } from '../engine/fact.ts';
import { type Change, change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type UfwState, ufwState } from '../facts/firewall.ts';
import { type K3sFirewalld, k3sFirewalld, nodeAddresses, ufwFiltersIpv6 } from '../facts/k3s-firewall.ts';
import { type K3sNftables, k3sNftables } from '../facts/k3s-nftables.ts';
import { choice, list, optional } from './arguments.ts';
import { type FirewallPart, firewallNeeds } from './k3s-firewall-needs.ts';
import { blockedByFirewalld, planFirewalld, planWithoutFirewalld } from './k3s-firewalld.ts';
import { blockedByNftables, nftablesFilters, planNftables, planWithoutNftables } from './k3s-nftables.ts';
import { k3sNode } from './k3s-node.ts';
import { blockedByUfw, planUfw, planWithoutUfw } from './k3s-ufw.ts';

interface Seen {
  readonly ufw?: UfwState;
  readonly ufwIpv6?: boolean;
  readonly firewalld?: K3sFirewalld;
  readonly nftables?: K3sNftables;
  readonly addresses: ReadonlyMap<string, readonly string[] | undefined>;
}

const args = Type.Object(
  {
    state: optional(
      choice(
        ['present', 'absent'],
        'present (the default): as manage_firewall says; absent: nothing of ours is left.',
      ),
    ),
    api_clients: optional(
      list('Addresses and networks that may reach the API, beside the nodes. Default any.'),
    ),
  },
  { additionalProperties: false },
);

/** Rules that are not fleet's are never touched; fleet's own carry its name, so that they can be taken away again. */
export const k3sFirewallStep = defineStep<typeof args, Seen>({
  name: 'k3s_firewall',
  summary:
    'With `manage_firewall: true`, an active ufw, firewalld or nftables lets in exactly what k3s needs of this node; with `check`, the plan says what would be blocked.',
  args,
  examples: ['- k3s_firewall:\n', "- k3s_firewall:\n    api_clients: [10.0.0.0/8, 'fd00::/8']\n"],
  look(args, host): Questions<Seen> {
    const { settings, cluster } = k3sNode(host);
    const firewalls = { ufw: ask(ufwState), firewalld: ask(k3sFirewalld), nftables: ask(k3sNftables) };
    const nobody = { addresses: askEach([], nodeAddresses) };
    if (args.state === 'absent') return { ...firewalls, ...nobody };
    if (settings.manageFirewall === false) return nobody;
    const nodes = cluster.nodes.map(({ name }) => name);
    return { ...firewalls, ufwIpv6: ask(ufwFiltersIpv6), addresses: askEach(nodes, nodeAddresses) };
  },
  plan(seen, args, host): Plan<Seen> {
    const node = k3sNode(host);
    const { ufw, firewalld, nftables } = seen;
    if (args.state === 'absent') {
      const parts = [
        ...(ufw === undefined ? [] : [planWithoutUfw(ufw)]),
        ...(firewalld === undefined ? [] : [planWithoutFirewalld(firewalld)]),
        ...(nftables === undefined ? [] : [planWithoutNftables(nftables)]),
      ];
      return together(parts, 'no rule of fleet is in a firewall');
    }
    const { manageFirewall } = node.settings;
    if (manageFirewall === false) return unchanged('manage_firewall is false');
    const ufwIsOn = ufw?.active === true;
    const firewalldIsOn = firewalld?.running === true;
    const nftablesIsOn = nftables !== undefined && nftablesFilters(nftables);
    if (!ufwIsOn && !firewalldIsOn && !nftablesIsOn)
      return unchanged(`no firewall is active${dormant(ufw, firewalld)}`);
    const needs = firewallNeeds(node, host, args.api_clients, seen.addresses);
    if ('because' in needs) return refuse(needs.because, needs.fix);
    const ipv6 = seen.ufwIpv6 !== false;
    if (manageFirewall === 'check') {
      return unchanged(
        [
          ...(ufwIsOn ? [report('ufw', blockedByUfw(ufw, needs, ipv6))] : []),
          ...(firewalldIsOn ? [report('firewalld', blockedByFirewalld(firewalld, needs))] : []),
          ...(nftablesIsOn ? [report('nftables', blockedByNftables(nftables, needs))] : []),
        ].join('; '),
      );
    }
    const parts = [
      ...(ufwIsOn ? [planUfw(ufw, needs, ipv6)] : []),
      ...(firewalldIsOn ? [planFirewalld(firewalld, needs)] : []),
      ...(nftablesIsOn ? [planNftables(nftables, needs)] : []),
    ];
    return together(parts, 'everything that k3s needs is let in');
  },
});

function dormant(ufw: UfwState | undefined, firewalld: K3sFirewalld | undefined): string {
  const names = [...(ufw?.installed ? ['ufw'] : []), ...(firewalld?.installed === true ? ['firewalld'] : [])];
  return names.length === 0 ? '' : ` (${names.join(' and ')}: installed, off)`;
}

function report(firewall: string, blocked: readonly string[]): string {
  return blocked.length === 0
    ? `${firewall} is active and lets in what k3s needs`
    : `warning: ${firewall} would block ${blocked.join(', ')} (manage_firewall is check: nothing is changed)`;
}

/** Two firewalls on one host are rare, but then both must let in the same. */
function together(parts: readonly FirewallPart[], idle: string): Plan<Seen> {
  const refused = parts.find((part) => part.verdict === 'refuse');
  if (refused !== undefined) return refused;
  const changes = parts.filter((part): part is Change<never> => part.verdict === 'change');
  const [first, ...rest] = changes.flatMap((part) => part.actions);
  if (first === undefined) return unchanged(parts.map((part) => part.because).join('; ') || idle);
  return change(changes.map((part) => part.because).join('; '), [first, ...rest], {
    diff: changes.flatMap((part) => part.diff ?? []),
    after: {},
    touches: ['firewall:*', 'service:*', 'file:*', 'content:*'],
  });
}
