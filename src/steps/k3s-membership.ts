import { isIPv4 } from 'node:net';
import { Type } from '@sinclair/typebox';
import { stringify } from 'yaml';
import { ask, askEach } from '../engine/fact.ts';
import { defineStep, type HostView, refuse, unchanged } from '../engine/step.ts';
import { type Iptables, iptables, repeatsRules } from '../facts/iptables.ts';
import { inUse } from '../facts/k3s-in-use.ts';
import { type ServerData, serverData } from '../facts/k3s-server-data.ts';
import { addressToOthers, type NodeRoutes, nodeRoutes } from '../facts/node-routes.ts';
import { type SelinuxState, selinuxState } from '../facts/selinux.ts';
import { configOf } from '../k3s/config-text.ts';
import { caHashOf, type Membership, membershipOf, type ServerSeen } from '../k3s/membership.ts';
import { defaultDataFolder, fleetConfigPath } from '../k3s/paths.ts';
import { type ConfigFileSeen, landConfigFile, siteQuestions } from './k3s-file.ts';
import { kubeletSwapPath } from './k3s-kubelet-swap.ts';
import { addressOf, endpointUrl, type K3sNodeView, k3sNode, serverAddresses, serverUrl } from './k3s-node.ts';

interface Seen extends ConfigFileSeen {
  readonly selinux: SelinuxState;
  readonly servers: ReadonlyMap<string, ServerData | undefined>;
  readonly iptables: Iptables;
  readonly routes: NodeRoutes;
}

const banner = '# Written by fleet: what the inventory says of this node beside its own config.yaml.\n';

/** fleet's part of the config stands in a file of its own, so that config.yaml stays the user's to the letter. */
export const k3sMembershipStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_membership',
  summary:
    'config.yaml.d/90-fleet.yaml says how the node belongs to its cluster: starts it, joins it, or shares its datastore; where its data is; and the names its certificate is for.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_membership:\n'],
  alters: ['file', 'content', 'parent', 'inUse'],
  // What is not installed will not have to start anew.
  outcome: ({ inUse: service }) => (service?.state === 'absent' ? { inUse: service } : {}),
  look(_args, host) {
    const { role, settings, servers } = k3sNode(host);
    return {
      ...siteQuestions(fleetConfigPath),
      inUse: ask(inUse(role, settings.systemdDir)),
      selinux: ask(selinuxState),
      servers: askEach(role === 'agent' ? [] : servers, serverData(settings.k3sServerLocation)),
      iptables: ask(iptables),
      routes: ask(nodeRoutes(otherAddresses(host))),
    };
  },
  plan(seen, _args, host) {
    const node = k3sNode(host);
    const membership: Membership =
      node.role === 'agent'
        ? { kind: 'single' }
        : membershipOf(
            host.name,
            serversSeen(seen.servers),
            node.externalDatastore,
            node.settings.forceBootstrap,
          );
    if (membership.kind === 'refused') return refuse(membership.because, membership.fix);
    const onDisk = configOf(seen.content.text);
    const address = addressing(node, seen, onDisk);
    if ('unclear' in address) return refuse(address.unclear, address.fix);
    const wanted = {
      ...fleetConfig(node, host, membership, onDisk, seen.selinux),
      ...address.config,
      ...kindness(node, seen),
    };
    if (Object.keys(wanted).length === 0 && seen.file.self === undefined)
      return unchanged('there is nothing to add');
    const plan = landConfigFile<Seen>(seen, {
      path: fleetConfigPath,
      content: `${banner}${stringify(wanted)}`,
    });
    if (plan.verdict !== 'change' || !('because' in membership)) return plan;
    return { ...plan, because: `${plan.because}; ${membership.because}` };
  },
});

/** What the servers say of themselves, as their membership is decided by. */
export function serversSeen(
  servers: ReadonlyMap<string, ServerData | undefined>,
): Map<string, ServerSeen | undefined> {
  return new Map(
    [...servers].map(([name, data]) => [
      name,
      data && { ...data, caHash: data.token === undefined ? undefined : caHashOf(data.token) },
    ]),
  );
}

/** Where the servers are, seen from a node; from a lone server, where its agents are. */
function otherAddresses(host: HostView): readonly string[] {
  const { cluster } = k3sNode(host);
  const servers = cluster.servers.filter(({ name }) => name !== host.name);
  const others =
    servers.length > 0 ? servers : cluster.agents.filter(({ name }) => name !== host.name).slice(0, 5);
  return others.map((other) => addressOf(other)).filter((address) => isIPv4(address));
}

function saysIn({ config, extraArgs }: K3sNodeView, key: string): boolean {
  return key in config || extraArgs.some((arg) => arg === `--${key}` || arg.startsWith(`--${key}=`));
}

/**
 * The node's address, where k3s would take another than the one that reaches the other nodes. A node that is there already keeps
 * what it has: its address is not moved under it.
 * @see https://docs.k3s.io/networking/basic-network-options
 */
function addressing(
  node: K3sNodeView,
  seen: Seen,
  onDisk: Readonly<Record<string, unknown>>,
):
  | { readonly config: Readonly<Record<string, unknown>> }
  | { readonly unclear: string; readonly fix: string } {
  const { nodeIp, flannelIface } = node.settings;
  const given = {
    ...(nodeIp === undefined || saysIn(node, 'node-ip') ? {} : { 'node-ip': nodeIp }),
    ...(flannelIface === undefined || saysIn(node, 'flannel-iface') ? {} : { 'flannel-iface': flannelIface }),
  };
  if (nodeIp !== undefined || saysIn(node, 'node-ip') || saysIn(node, 'vpn-auth')) return { config: given };
  if (seen.inUse.state !== 'absent') {
    const kept = ['node-ip', 'flannel-iface'].filter((key) => key in onDisk && !saysIn(node, key));
    return { config: { ...Object.fromEntries(kept.map((key) => [key, onDisk[key]])), ...given } };
  }
  const found = addressToOthers(seen.routes);
  if (found.is === 'unclear') {
    const among = found.among.map((each) => `${each.address} (${each.interface})`).join(' and ');
    return {
      unclear: `it reaches the other nodes as ${among}: which of them is its address?`,
      fix: 'Say so in the inventory, for this host: node_ip: 10.0.0.11, and flannel_iface.',
    };
  }
  if (found.is === 'usual') return { config: given };
  const interfaceOf = saysIn(node, 'flannel-iface') ? {} : { 'flannel-iface': found.interface };
  return { config: { 'node-ip': found.address, ...interfaceOf, ...given } };
}

/** What makes up for the host's own iptables, and what lets pods swap. */
function kindness(node: K3sNodeView, seen: Seen): Readonly<Record<string, unknown>> {
  const swap = `config=${kubeletSwapPath}`;
  return {
    ...(repeatsRules(seen.iptables) && !saysIn(node, 'prefer-bundled-bin')
      ? { 'prefer-bundled-bin': true }
      : {}),
    ...(node.settings.swapLimited
      ? { [saysIn(node, 'kubelet-arg') ? 'kubelet-arg+' : 'kubelet-arg']: [swap] }
      : {}),
  };
}

/** Only what the user has not said himself: his config.yaml and his flags win. */
function fleetConfig(
  node: K3sNodeView,
  host: HostView,
  membership: Membership,
  onDisk: Readonly<Record<string, unknown>>,
  selinux: SelinuxState,
): Record<string, unknown> {
  const { settings, role } = node;
  const says = (key: string): boolean => saysIn(node, key);
  const wanted: Record<string, unknown> = {};
  if (settings.k3sServerLocation !== defaultDataFolder && !says('data-dir'))
    wanted['data-dir'] = settings.k3sServerLocation;
  // Where SELinux enforces, containerd must label what it starts. @see https://docs.k3s.io/advanced#selinux-support
  if (selinux.inUse === 'enforcing' && !says('selinux')) wanted.selinux = true;
  if (role === 'agent') return wanted;
  if (settings.apiPort !== 6443 && !says('https-listen-port')) wanted['https-listen-port'] = settings.apiPort;
  if (settings.clusterCidr !== undefined && !says('cluster-cidr'))
    wanted['cluster-cidr'] = settings.clusterCidr;
  if (settings.serviceCidr !== undefined && !says('service-cidr'))
    wanted['service-cidr'] = settings.serviceCidr;
  if (settings.embeddedRegistry && !says('embedded-registry')) wanted['embedded-registry'] = true;
  wanted[says('tls-san') ? 'tls-san+' : 'tls-san'] = certificateNames(node, host);
  return { ...wanted, ...joining(node, host, membership, onDisk, says) };
}

function joining(
  node: K3sNodeView,
  host: HostView,
  membership: Membership,
  onDisk: Readonly<Record<string, unknown>>,
  says: (key: string) => boolean,
): Record<string, unknown> {
  switch (membership.kind) {
    case 'init':
      return says('cluster-init') ? {} : { 'cluster-init': true };
    case 'join':
      return says('server') ? {} : { server: joinUrl(node, host, membership.through) };
    case 'member': {
      // With data on its disk k3s reads neither of the two: whatever started it stays written.
      const kept = ['cluster-init', 'server'].filter((key) => key in onDisk);
      return Object.fromEntries(kept.map((key) => [key, onDisk[key]]));
    }
    case 'single':
    case 'external':
    case 'refused':
      return {};
  }
}

/** Through the endpoint for all, unless that is this very server: a wiped first server must join through another. */
function joinUrl(node: K3sNodeView, host: HostView, through: string): string {
  const endpoint = node.settings.apiEndpoint;
  const isServerAddress = endpoint !== undefined && serverAddresses(node).includes(endpoint);
  if (endpoint === undefined || isServerAddress || endpoint === addressOf(host))
    return serverUrl(node, through);
  return endpointUrl(node);
}

/** k3s itself adds what it knows of the host; what it cannot know is the endpoint and the address that the inventory uses. */
function certificateNames(node: K3sNodeView, host: HostView): string[] {
  const { apiEndpoint, optTlsSan } = node.settings;
  const names = [...(apiEndpoint === undefined ? [] : [apiEndpoint]), addressOf(host), ...optTlsSan];
  return [...new Set(names)];
}
