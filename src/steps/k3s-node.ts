import { isIPv6 } from 'node:net';
import { FleetError } from '../core/errors.ts';
import type { HostView } from '../engine/step.ts';
import { type Cluster, clusterHolding } from '../inventory/cluster.ts';
import type { Host } from '../inventory/fleet.ts';
import { type NodeSettings, settingsOf } from '../inventory/settings.ts';
import { flagValue, splitWords } from '../k3s/command-line.ts';
import { configOf } from '../k3s/config-text.ts';
import type { Role } from '../k3s/paths.ts';

/** One host as a k3s node: all that the inventory says of it, before it is asked anything. */
export interface K3sNodeView {
  readonly role: Role;
  readonly settings: NodeSettings;
  readonly cluster: Cluster;
  /** Inventory names of the servers, in order. */
  readonly servers: readonly string[];
  /** The user's own arguments behind `k3s server` or `k3s agent`. */
  readonly extraArgs: readonly string[];
  /** The user's own config file, as text and as the mapping it holds. */
  readonly configText: string | undefined;
  readonly config: Readonly<Record<string, unknown>>;
  /** Several servers share a database that is not ours: no etcd, no first server. */
  readonly externalDatastore: boolean;
}

/** @throws FleetError NOT_A_K3S_NODE for a host in neither the server nor the agent group */
export function k3sNode(host: HostView): K3sNodeView {
  const cluster = clusterHolding(host.fleet, host.name);
  const isServer = cluster?.servers.some(({ name }) => name === host.name) === true;
  const isAgent = cluster?.agents.some(({ name }) => name === host.name) === true;
  if (cluster === undefined || (!isServer && !isAgent)) {
    throw new FleetError({
      code: 'NOT_A_K3S_NODE',
      message: `${host.name} is in neither the server nor the agent group of a cluster`,
      fix: 'Put the host into the group server or agent of the inventory.',
      blame: 'usage',
    });
  }
  const settings = settingsOf(host);
  const role = isServer ? 'server' : 'agent';
  const extraArgs = wordsOf(
    role === 'server' ? settings.extraServerArgs : settings.extraAgentArgs,
    host.name,
  );
  const configText = role === 'server' ? settings.serverConfigYaml : settings.agentConfigYaml;
  const config = configOf(configText);
  return {
    role,
    settings,
    cluster,
    servers: cluster.servers.map(({ name }) => name),
    extraArgs,
    configText,
    config,
    externalDatastore:
      settings.useExternalDatabase ||
      'datastore-endpoint' in config ||
      flagValue(extraArgs, '--datastore-endpoint') !== undefined ||
      'K3S_DATASTORE_ENDPOINT' in settings.extraInstallEnvs ||
      settings.extraServiceEnvs.some((assignment) => assignment.startsWith('K3S_DATASTORE_ENDPOINT=')),
  };
}

function wordsOf(args: string, host: string): readonly string[] {
  const words = splitWords(args);
  if (words !== undefined) return words;
  throw new FleetError({
    code: 'ARGS_QUOTES',
    message: `a quote is never closed in ${JSON.stringify(args)}`,
    host,
    fix: 'Close the quote in extra_server_args or extra_agent_args.',
    blame: 'usage',
  });
}

/** What k3s calls the node: `node-name` where somebody set it, else the kernel's host name. */
export function nodeNameOf(node: K3sNodeView, hostName: string): string {
  const named = flagValue(node.extraArgs, '--node-name') ?? node.config['node-name'];
  return (typeof named === 'string' ? named : hostName).toLowerCase();
}

/** Where other nodes reach a host: `ansible_host`, else its inventory name. */
export function addressOf(host: Pick<Host, 'name' | 'vars'>): string {
  const address = host.vars.get('ansible_host');
  return typeof address === 'string' && address !== '' ? address : host.name;
}

/** Who logs in on a host: his home is where kubectl's own things are. */
export function loginName(host: Pick<Host, 'vars'>): string {
  const user = host.vars.get('ansible_user');
  return typeof user === 'string' && user !== '' ? user : 'root';
}

/** `https://HOST:PORT`, with the brackets that an IPv6 address needs. */
export function httpsUrl(address: string, port: number): string {
  return `https://${isIPv6(address) ? `[${address}]` : address}:${port}`;
}

/** Where agents and joining servers find the API: the endpoint for all, or one server's own address. */
export function endpointUrl(node: K3sNodeView): string {
  return httpsUrl(node.settings.apiEndpoint ?? addressOf(firstServer(node)), node.settings.apiPort);
}

export function serverUrl(node: K3sNodeView, server: string): string {
  const host = node.cluster.servers.find(({ name }) => name === server) ?? firstServer(node);
  return httpsUrl(addressOf(host), node.settings.apiPort);
}

/** The servers' own addresses, as the inventory has them. */
export function serverAddresses(node: K3sNodeView): readonly string[] {
  return node.cluster.servers.map((server) => addressOf(server));
}

function firstServer(node: K3sNodeView): Host {
  const [first] = node.cluster.servers;
  if (first !== undefined) return first;
  throw new FleetError({
    code: 'NO_SERVER',
    message: 'the cluster has no server',
    fix: 'Put at least one host into the server group.',
    blame: 'usage',
  });
}
