import { FleetError } from '../core/errors.ts';
import { usageError } from './findings.ts';
import type { Fleet, Host } from './fleet.ts';

/** One k3s cluster of an inventory. */
export interface Cluster {
  /** The group that holds it, for `--cluster`. */
  readonly name: string;
  readonly servers: readonly Host[];
  readonly agents: readonly Host[];
  /** Servers, then agents; a host that is wrongly in both stands once. */
  readonly nodes: readonly Host[];
  readonly serverGroup: string;
  readonly agentGroup: string;
}

/** What k3s-ansible calls the group of a cluster. */
const USUAL_NAME = 'k3s_cluster';

const found = new WeakMap<Fleet, readonly Cluster[]>();

/**
 * The clusters of an inventory. Hosts belong to different clusters when `server_group`/`agent_group` differ, or when `token`,
 * `cluster_context` or `api_endpoint` of their servers come from different places.
 * @throws FleetError when groups are written so that clusters would mix, or a group name cannot be templated.
 */
export function clustersOf(fleet: Fleet): readonly Cluster[] {
  const before = found.get(fleet);
  if (before !== undefined) return before;
  const clusters = findClusters(fleet);
  found.set(fleet, clusters);
  return clusters;
}

/**
 * The cluster of that name (a cluster, its group, its `cluster_context`, or a group whose members are one), or the only one.
 * @throws FleetError `CLUSTER_UNKNOWN`, `CLUSTER_AMBIGUOUS` or `CLUSTER_NONE`.
 */
export function clusterOf(fleet: Fleet, name?: string): Cluster {
  const clusters = clustersOf(fleet);
  const [first, second] = clusters;
  if (name !== undefined) {
    const match =
      clusters.find((cluster) => cluster.name === name) ??
      clusters.find((cluster) => contextOf(cluster) === name) ??
      clusterInGroup(fleet, clusters, name);
    if (match !== undefined) return match;
    throw usageError({
      code: 'CLUSTER_UNKNOWN',
      message: `there is no cluster "${name}"`,
      fix: `Known clusters: ${clusters.map((cluster) => cluster.name).join(', ') || 'none'}.`,
    });
  }
  if (first === undefined) throw noCluster(fleet);
  if (second === undefined) return first;
  throw usageError({
    code: 'CLUSTER_AMBIGUOUS',
    message: `the inventory holds ${clusters.length} clusters: ${clusters.map((cluster) => cluster.name).join(', ')}`,
    fix: `Say which one: --cluster ${first.name}`,
  });
}

/** The cluster that a host is a node of. */
export function clusterHolding(fleet: Fleet, host: string): Cluster | undefined {
  return clustersOf(fleet).find((cluster) => cluster.nodes.some((node) => node.name === host));
}

/** Groups that other tools put servers into, for the advice to set `server_group`. */
const OTHER_SERVER_GROUPS =
  /^(?:k3s_)?(?:masters?|servers?|control_?planes?|controllers?|managers?|kube_control_plane)$/i;
const OTHER_AGENT_GROUPS = /^(?:k3s_)?(?:nodes?|workers?|agents?|minions?|kube_node)$/i;

/** Why there is no cluster, with what to do about it. */
export function noCluster(fleet: Fleet): FleetError {
  const names = [...fleet.groups.keys()];
  const server = names.find((name) => OTHER_SERVER_GROUPS.test(name));
  const agent = names.find((name) => OTHER_AGENT_GROUPS.test(name));
  const rename =
    server === undefined
      ? ''
      : ` Or set "server_group: ${server}"${agent === undefined ? '' : ` and "agent_group: ${agent}"`} for them.`;
  if (fleet.hosts.size === 0) {
    return usageError({
      code: 'HOSTS_NONE',
      message: 'the inventory holds no host',
      fix: 'Put hosts below "hosts:" of the group server; `fleet init` writes an inventory to start from.',
    });
  }
  return usageError({
    code: 'CLUSTER_NONE',
    message: 'no host is in the group "server", so there is no cluster',
    fix: `Put at least one host into the group server.${rename}`,
  });
}

interface Node {
  readonly host: Host;
  readonly serverGroup: string;
  readonly agentGroup: string;
  readonly isServer: boolean;
  readonly isAgent: boolean;
}

function findClusters(fleet: Fleet): readonly Cluster[] {
  const nodes = [...fleet.hosts.values()].flatMap((host) => nodeOf(host));
  const servers = nodes.filter((node) => node.isServer);
  const bySignature = new Map<string, Node[]>();
  for (const node of servers) {
    const signature = signatureOf(node);
    const members = bySignature.get(signature);
    if (members === undefined) bySignature.set(signature, [node]);
    else members.push(node);
  }
  refuseMixedGroups(fleet, servers);
  const parts = [...bySignature.values()];
  const taken = new Set<string>();
  return parts.map((members) => {
    const others = parts.filter((part) => part !== members).flat();
    const agents = nodes.filter(
      (node) =>
        node.isAgent &&
        node.agentGroup === members[0]?.agentGroup &&
        (others.length === 0 || belongs(node, members, others)),
    );
    const inside = [...members, ...agents];
    const name = nameOf(fleet, inside, others, taken);
    taken.add(name);
    const cluster = {
      name,
      servers: Object.freeze(members.map((node) => node.host)),
      agents: Object.freeze(agents.map((node) => node.host)),
      nodes: Object.freeze([...new Set(inside.map((node) => node.host))]),
      serverGroup: members[0]?.serverGroup ?? 'server',
      agentGroup: members[0]?.agentGroup ?? 'agent',
    };
    return Object.freeze(cluster);
  });
}

function nodeOf(host: Host): readonly Node[] {
  const serverGroup = groupName(host, 'server_group') ?? 'server';
  const agentGroup = groupName(host, 'agent_group') ?? 'agent';
  const isServer = host.groups.includes(serverGroup);
  const isAgent = host.groups.includes(agentGroup);
  return isServer || isAgent ? [{ host, serverGroup, agentGroup, isServer, isAgent }] : [];
}

function groupName(host: Host, variable: string): string | undefined {
  if (!host.vars.has(variable)) return undefined;
  const value = host.vars.get(variable);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** What all servers of one cluster share, as written: the same template gives the same, whatever a host makes of it. */
function signatureOf(node: Node): string {
  const { vars } = node.host;
  const shared = ['token', 'cluster_context', 'api_endpoint'].map((name) =>
    JSON.stringify(vars.raw(name) ?? null),
  );
  return JSON.stringify([node.serverGroup, node.agentGroup, ...shared]);
}

/** Whether an agent is one of these servers' and of no others': by the same settings, or by a group that only they share. */
function belongs(agent: Node, members: readonly Node[], others: readonly Node[]): boolean {
  const signature = signatureOf(agent);
  if (members.some((node) => signatureOf(node) === signature)) return true;
  if (others.some((node) => signatureOf(node) === signature)) return false;
  const apart = ownGroups(members, others);
  return agent.host.groups.some((group) => apart.includes(group));
}

/** Groups that hold some of the members and none of the others. */
function ownGroups(members: readonly Node[], others: readonly Node[]): readonly string[] {
  return [...new Set(members.flatMap((node) => node.host.groups))].filter(
    (group) => group !== 'ungrouped' && !others.some((node) => node.host.groups.includes(group)),
  );
}

function nameOf(
  fleet: Fleet,
  inside: readonly Node[],
  others: readonly Node[],
  taken: ReadonlySet<string>,
): string {
  const [first] = inside;
  if (first === undefined) return USUAL_NAME;
  const roles = new Set([first.serverGroup, first.agentGroup, 'ungrouped']);
  const candidates = first.host.groups
    .filter((name) => !roles.has(name) && !taken.has(name))
    .filter((name) => inside.every((node) => node.host.groups.includes(name)))
    .filter((name) => !others.some((node) => node.host.groups.includes(name)));
  if (candidates.includes(USUAL_NAME)) return USUAL_NAME;
  // The widest group that still holds this cluster alone is what people mean by it.
  const widest = candidates.toSorted((a, b) => sizeOf(fleet, b) - sizeOf(fleet, a))[0];
  if (widest !== undefined) return widest;
  if (others.length === 0) return USUAL_NAME;
  return contextValue(first.host) ?? first.serverGroup;
}

function sizeOf(fleet: Fleet, group: string): number {
  return fleet.groups.get(group)?.hosts.length ?? 0;
}

function contextValue(host: Host): string | undefined {
  try {
    const value = host.vars.get('cluster_context');
    return typeof value === 'string' ? value : undefined;
  } catch (error) {
    if (error instanceof FleetError) return undefined;
    throw error;
  }
}

function contextOf(cluster: Cluster): string | undefined {
  const [first] = cluster.servers;
  return first === undefined ? undefined : contextValue(first);
}

/** A group given by name that holds nodes of exactly one cluster, or that cuts one out of nodes that share everything. */
function clusterInGroup(fleet: Fleet, clusters: readonly Cluster[], name: string): Cluster | undefined {
  const group = fleet.groups.get(name);
  if (group === undefined) return undefined;
  const members = new Set(group.hosts);
  const touching = clusters.filter((cluster) => cluster.servers.some((host) => members.has(host.name)));
  const [only] = touching;
  if (only === undefined || touching.length > 1) return undefined;
  if (only.nodes.every((host) => members.has(host.name))) return { ...only, name };
  const cut = (hosts: readonly Host[]): readonly Host[] => hosts.filter((host) => members.has(host.name));
  return { ...only, name, servers: cut(only.servers), agents: cut(only.agents), nodes: cut(only.nodes) };
}

/** The same group written out below two cluster groups is one group to Ansible: every node would get both clusters' variables. */
function refuseMixedGroups(fleet: Fleet, servers: readonly Node[]): void {
  for (const name of new Set(servers.map((node) => node.serverGroup))) {
    const group = fleet.groups.get(name);
    const owners = group?.writtenBelow ?? [];
    if (group === undefined || owners.length < 2) continue;
    throw usageError({
      code: 'CLUSTER_MIXED',
      message: `the hosts of group "${name}" are listed below ${owners.map((owner) => `"${owner}"`).join(' and ')}, which makes them one group: their clusters would mix`,
      fix: `Give each cluster groups of its own, e.g. ${owners[0] ?? 'a'}_${name}, and set "server_group" and "agent_group" in its vars.`,
      ...(group.where === undefined ? {} : { where: group.where }),
    });
  }
}
