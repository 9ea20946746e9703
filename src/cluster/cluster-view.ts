import { type K3sVersion, mustParseVersion, parseVersion } from '../k3s/version.ts';
import type {
  DesiredCluster,
  DesiredNode,
  ObservedCluster,
  ObservedHost,
  ObservedNode,
  Policy,
} from './cluster-plan.ts';

/** What is wanted of one host beside what was seen of it. */
export interface NodeView {
  readonly host: string;
  readonly desired: DesiredNode;
  /** `undefined` where the host did not answer. */
  readonly seen: ObservedHost | undefined;
  /** `undefined` where the cluster knows no such node, or no API answers. */
  readonly node: ObservedNode | undefined;
  readonly inLimit: boolean;
  /** The limit allows it, it answers, and this run has not worked on it yet. */
  readonly workable: boolean;
  /** What runs, or ran last. */
  readonly version: K3sVersion | undefined;
  readonly target: K3sVersion | undefined;
}

/** Everything that is decided from, each host's wish and state side by side. */
export interface ClusterView {
  readonly desired: DesiredCluster;
  readonly policy: Policy;
  readonly servers: readonly NodeView[];
  readonly agents: readonly NodeView[];
  /** Nodes that no host of the inventory is. */
  readonly strangers: readonly ObservedNode[];
  /** `undefined` where no API answers. */
  readonly nodes: readonly ObservedNode[] | undefined;
  readonly readyApis: ReadonlySet<string>;
}

/** @throws FleetError K3S_VERSION_FORM where the inventory's version is none */
export function viewOf(desired: DesiredCluster, observed: ObservedCluster, policy: Policy): ClusterView {
  const nodes = new Map(observed.nodes?.map((node) => [node.name, node]));
  const limit = policy.limit && new Set(policy.limit);
  const over = new Set([...(policy.failed ?? []), ...(policy.done ?? [])]);
  const view = (wanted: DesiredNode): NodeView => {
    const seen = observed.hosts.get(wanted.host);
    const node = nodes.get(wanted.nodeName);
    const inLimit = limit === undefined || limit.has(wanted.host);
    // What a machine ran before it was set up anew binds nobody.
    const isBlank = seen !== undefined && seen.installedRole === undefined && seen.data === 'none';
    const version = isBlank ? undefined : (seen?.runningVersion ?? node?.version ?? seen?.lastVersion);
    return {
      host: wanted.host,
      desired: wanted,
      seen,
      node,
      inLimit,
      workable: inLimit && seen !== undefined && !over.has(wanted.host),
      version: version === undefined ? undefined : parseVersion(version),
      target: wanted.version === undefined ? undefined : mustParseVersion(wanted.version),
    };
  };
  const servers = desired.servers.map(view);
  const agents = desired.agents.map(view);
  const known = new Set([...servers, ...agents].map(({ desired: { nodeName } }) => nodeName));
  return {
    desired,
    policy,
    servers,
    agents,
    strangers: observed.nodes?.filter(({ name }) => !known.has(name)) ?? [],
    nodes: observed.nodes,
    readyApis: new Set(observed.readyApis),
  };
}

/** Whether it belongs to its cluster as the server that it is to be: the steps have no joining left to do. */
export function hasJoined(view: ClusterView, server: NodeView): boolean {
  const { data = 'none', installedRole } = server.seen ?? {};
  if (installedRole === 'agent') return false;
  if (view.desired.datastore === 'external' || !server.desired.holdsEtcd) return data !== 'none';
  return data === 'etcd' || data === 'sqlite';
}

/** Whether its SQLite is to become etcd. */
export function isToMigrate(view: ClusterView, server: NodeView): boolean {
  const { data, pending } = server.seen ?? {};
  return view.desired.datastore === 'etcd' && data === 'sqlite' && pending === 'restart';
}

export function isStopped(one: NodeView): boolean {
  const service = one.seen?.service;
  return service === 'inactive' || service === 'failed' || service === 'absent';
}

/** Whether it is a server now though the inventory makes an agent of it. */
export function isToStepDown(one: NodeView): boolean {
  if (one.desired.role === 'server' || one.seen === undefined) return false;
  return one.seen.data !== 'none' || (one.seen.installedRole === 'server' && one.node?.role === 'server');
}

/**
 * Whether a server does all that it is there for, as far as can be seen: only what answers can be well, for the API goes
 * on calling a node Ready for 40 seconds after it died.
 */
export function isWell(view: ClusterView, server: NodeView): boolean {
  const { seen, node } = server;
  if (seen === undefined || seen.service !== 'active' || seen.data === 'none') return false;
  if (node === undefined || !node.ready) return false;
  if (seen.data === 'etcd' && server.desired.holdsEtcd && node.etcdVoter !== true) return false;
  return server.desired.role === 'agent' || view.readyApis.has(server.host);
}

/** Inventory names as a sentence has them: `a`, `a and b`, `a, b and c`. */
export function listed(names: readonly string[]): string {
  const last = names.at(-1) ?? '';
  return names.length < 2 ? last : `${names.slice(0, -1).join(', ')} and ${last}`;
}

export function hostsOf(nodes: readonly NodeView[]): string[] {
  return nodes.map(({ host }) => host);
}
