import { isIP, isIPv6 } from 'node:net';
import type { HostView, Plan } from '../engine/step.ts';
import type { Host } from '../inventory/fleet.ts';
import { flagValue, hasFlag } from '../k3s/command-line.ts';
import { defaultNetworks, normalNetwork, openingsOf, portText } from '../k3s/network-needs.ts';
import { addressOf, type K3sNodeView, k3sNode } from './k3s-node.ts';

/** What one node lets in, all names resolved: what both kinds of firewall are told. */
export interface FirewallNeeds {
  readonly openings: readonly ResolvedOpening[];
  /** Networks of pods and services: all that comes from them, and all that is routed to the pods, is let in. */
  readonly pods: readonly string[];
  readonly services: readonly string[];
  /** Nodes whose addresses nobody could ask: nothing that is open is closed then. */
  readonly unknown: readonly string[];
}

/** Ports and the addresses that reach them; `any` for everybody. */
export interface ResolvedOpening {
  readonly what: string;
  readonly group: 'clients' | 'nodes' | 'servers';
  readonly sources: readonly string[];
  readonly protocol: 'tcp' | 'udp';
  readonly first: number;
  readonly last: number;
}

/** What one kind of firewall would be told. */
export type FirewallPart = Plan<never>;

/** What the inventory and the nodes' own addresses come to, for the node itself. */
export function firewallNeeds(
  node: K3sNodeView,
  host: HostView,
  apiClients: readonly string[] | undefined,
  addresses: ReadonlyMap<string, readonly string[] | undefined>,
): FirewallNeeds | { readonly because: string; readonly fix: string } {
  const clients = networksOf(apiClients ?? ['any']);
  if (typeof clients === 'string')
    return {
      because: `api_clients names ${clients}, which is no address`,
      fix: 'Write addresses or networks: 10.0.0.0/8.',
    };
  // What concerns the whole cluster is written on its servers.
  const first = node.cluster.servers[0];
  const server = first === undefined ? node : viewOf(host, first);
  const says = (key: string): string | undefined => saidBy(server, key);
  const firstAddress = says('node-ip')?.split(',')[0] ?? (addresses.get(first?.name ?? '') ?? [])[0] ?? '';
  const usual = defaultNetworks(isIPv6(firstAddress));
  const pods = networksOf((says('cluster-cidr') ?? server.settings.clusterCidr ?? usual.pods).split(','));
  const services = networksOf(
    (says('service-cidr') ?? server.settings.serviceCidr ?? usual.services).split(','),
  );
  for (const wrong of [pods, services])
    if (typeof wrong === 'string')
      return {
        because: `${wrong} in the cluster's or services' CIDR is no network`,
        fix: 'Write it like 10.42.0.0/16.',
      };
  const unknown: string[] = [];
  const addressesOf = (hosts: readonly Host[]): readonly string[] =>
    sorted(
      hosts.flatMap((each) => {
        const asked = addresses.get(each.name);
        if (asked === undefined || asked.length === 0) unknown.push(each.name);
        return [...(asked ?? []), ...writtenAddresses(host, each)];
      }),
    );
  const bySource = {
    clients,
    nodes: addressesOf(node.cluster.nodes),
    servers: addressesOf(node.cluster.servers),
  };
  const isOpenToAll = node.role === 'server' && clients.includes('any');
  const openings = openingsOf({
    role: node.role,
    apiPort: Number(saidBy(node, 'https-listen-port') ?? says('https-listen-port') ?? node.settings.apiPort),
    // Options may follow: wireguard-native=….
    flannelBackend:
      says('flannel-backend')?.split('=')[0] ?? (says('vpn-auth') === undefined ? 'vxlan' : 'tailscale'),
    etcd: node.servers.length > 1 && !server.externalDatastore,
    embeddedRegistry: (says('embedded-registry') ?? String(server.settings.embeddedRegistry)) === 'true',
    severalNodes: node.cluster.nodes.length > 1,
  });
  return {
    openings: openings
      .map(({ from, ...opening }) => ({ ...opening, group: from, sources: bySource[from] }))
      // Nodes need no rule of their own for a port that everybody may reach.
      .filter(({ what, group }) => !(isOpenToAll && what === 'API' && group === 'nodes')),
    pods: pods as readonly string[],
    services: services as readonly string[],
    unknown: [...new Set(unknown)].sort(),
  };
}

/** Networks in the form that firewalls list; the word that is none, as text. */
function networksOf(written: readonly string[]): readonly string[] | string {
  const normal: string[] = [];
  for (const word of written.map((one) => one.trim()).filter((one) => one !== '')) {
    const network = word === 'any' ? 'any' : normalNetwork(word);
    if (network === undefined) return word;
    normal.push(network);
  }
  return normal.includes('any') ? ['any'] : sorted(normal);
}

function sorted(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)].sort();
}

function viewOf(host: HostView, other: Host): K3sNodeView {
  return k3sNode({ ...host, name: other.name, groups: other.groups, vars: other.vars });
}

/** What a node's own flags or config file say of a key, flags first, as k3s reads them. */
function saidBy(node: K3sNodeView, key: string): string | undefined {
  const flag = `--${key}`;
  const next = flagValue(node.extraArgs, flag);
  const isSwitch = hasFlag(node.extraArgs, flag) && (next === undefined || next.startsWith('-'));
  const given = isSwitch ? 'true' : (next ?? node.config[key]);
  if (Array.isArray(given)) return given.join(',');
  return given === undefined || given === null ? undefined : String(given);
}

/** By host: every node asks for those of all others. */
const written = new WeakMap<Host, readonly string[]>();

/** The addresses that the inventory gives a node, for one that cannot be asked or sits behind another. */
function writtenAddresses(host: HostView, other: Host): readonly string[] {
  const before = written.get(other);
  if (before !== undefined) return before;
  const node = viewOf(host, other);
  const words = [
    saidBy(node, 'node-ip') ?? node.settings.nodeIp ?? '',
    saidBy(node, 'node-external-ip') ?? '',
    addressOf(other),
  ].flatMap((text) => text.split(','));
  const addresses = words
    .map((word) => word.trim())
    .filter((word) => isIP(word) !== 0)
    .map((word) => normalNetwork(word) ?? word);
  written.set(other, addresses);
  return addresses;
}

/** `10250/tcp (kubelet)`, for a person. */
export function openingText(opening: Pick<ResolvedOpening, 'what' | 'protocol' | 'first' | 'last'>): string {
  return `${portText(opening)}/${opening.protocol} (${opening.what})`;
}
