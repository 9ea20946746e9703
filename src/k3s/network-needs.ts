import { formatAddress, parseNetwork } from '../jinja/ip.ts';
import type { Role } from './paths.ts';

/** What the configuration of a cluster says about its network; the servers' word counts for agents too. */
export interface NetworkSetup {
  readonly role: Role;
  readonly apiPort: number;
  readonly flannelBackend: string;
  /** Several servers with etcd of their own. */
  readonly etcd: boolean;
  /** The registry that nodes share images through (Spegel). */
  readonly embeddedRegistry: boolean;
  readonly severalNodes: boolean;
}

/** Ports that must be open, for whom and for what. */
export interface Opening {
  readonly what: string;
  readonly from: 'clients' | 'nodes' | 'servers';
  readonly protocol: 'tcp' | 'udp';
  readonly first: number;
  readonly last: number;
}

const flannelPorts: Readonly<Record<string, readonly { readonly first: number; readonly last: number }[]>> = {
  vxlan: [{ first: 8472, last: 8472 }],
  // IPv4 and IPv6 have a tunnel each.
  wireguard: [{ first: 51820, last: 51821 }],
  'wireguard-native': [{ first: 51820, last: 51821 }],
  ipsec: [
    { first: 500, last: 500 },
    { first: 4500, last: 4500 },
  ],
};

/** The ports that a node must have open. `host-gw` needs none, and `none` is for a network plugin that is not k3s'. */
export function openingsOf(setup: NetworkSetup): readonly Opening[] {
  const { role, apiPort, flannelBackend, etcd, embeddedRegistry, severalNodes } = setup;
  const api = { what: 'API', protocol: 'tcp', first: apiPort, last: apiPort } as const;
  const openings: Opening[] = role === 'server' ? [{ ...api, from: 'clients' }] : [];
  if (!severalNodes) return openings;
  if (role === 'server' || embeddedRegistry) openings.push({ ...api, from: 'nodes' });
  if (role === 'server' && etcd)
    openings.push({ what: 'etcd', from: 'servers', protocol: 'tcp', first: 2379, last: 2380 });
  if (embeddedRegistry)
    openings.push({ what: 'registry', from: 'nodes', protocol: 'tcp', first: 5001, last: 5001 });
  openings.push({ what: 'kubelet', from: 'nodes', protocol: 'tcp', first: 10250, last: 10250 });
  for (const ports of flannelPorts[flannelBackend] ?? [])
    openings.push({ what: `flannel ${flannelBackend}`, from: 'nodes', protocol: 'udp', ...ports });
  return openings;
}

/** `2379-2380` or `6443`, with the dash that the tool wants. */
export function portText(ports: { readonly first: number; readonly last: number }, dash = '-'): string {
  return ports.first === ports.last ? String(ports.first) : `${ports.first}${dash}${ports.last}`;
}

/** A network in the one form that firewalls list it in: host bits cleared, IPv6 shortened, no `/32`. `undefined` for anything else. */
export function normalNetwork(text: string): string | undefined {
  const network = parseNetwork(text);
  if (network === undefined) return undefined;
  const bits = BigInt((network.version === 4 ? 32 : 128) - network.prefix);
  const address = formatAddress(network.version, (network.value >> bits) << bits);
  return bits === 0n ? address : `${address}/${network.prefix}`;
}

/** Whether all of `inner` is in `outer`; `any` holds everything. */
export function holdsNetwork(outer: string, inner: string): boolean {
  if (outer === 'any') return true;
  const [wide, narrow] = [parseNetwork(outer), parseNetwork(inner)];
  if (wide === undefined || narrow === undefined || wide.version !== narrow.version) return false;
  if (wide.prefix > narrow.prefix) return false;
  const bits = BigInt((wide.version === 4 ? 32 : 128) - wide.prefix);
  return wide.value >> bits === narrow.value >> bits;
}

/** The pods' and services' networks where nobody has chosen others; k3s goes by the family of the node's first address. */
export function defaultNetworks(ipv6Only: boolean): { readonly pods: string; readonly services: string } {
  return ipv6Only
    ? { pods: 'fd00:42::/56', services: 'fd00:43::/112' }
    : { pods: '10.42.0.0/16', services: '10.43.0.0/16' };
}
