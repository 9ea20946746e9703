import { viewOf } from '../engine/step.ts';
import type { Cluster } from '../inventory/cluster.ts';
import type { Fleet, Host } from '../inventory/fleet.ts';
import { hasFlag } from '../k3s/command-line.ts';
import { type K3sNodeView, k3sNode, nodeNameOf } from '../steps/k3s-node.ts';
import { holdsEtcd } from '../steps/k3s-readiness.ts';
import type { Datastore, DesiredCluster, DesiredNode } from './cluster-plan.ts';

/** What only the hosts and the control node know of what the inventory means; by inventory name. */
export interface Resolved {
  /** As `uname -n` has it; a host that does not answer is missing, and called by its inventory name. */
  readonly hostNames: ReadonlyMap<string, string>;
  /** What `k3s_version` stands for; missing where no version is asked for. */
  readonly versions: ReadonlyMap<string, string>;
  /** Some server has etcd data. */
  readonly hasEtcd: boolean;
}

/** The cluster that the inventory asks for. */
export function desiredCluster(cluster: Cluster, fleet: Fleet, resolved: Resolved): DesiredCluster {
  const desired = (host: Host): DesiredNode => {
    const node = k3sNode(viewOf(host, fleet));
    return {
      host: host.name,
      nodeName: nodeNameOf(node, resolved.hostNames.get(host.name) ?? host.name),
      role: node.role,
      version: resolved.versions.get(host.name),
      holdsEtcd: holdsEtcd(node),
    };
  };
  const servers = cluster.servers.map(desired);
  const names = new Set(servers.map(({ host }) => host));
  return {
    servers,
    agents: cluster.agents.filter(({ name }) => !names.has(name)).map(desired),
    datastore: datastoreOf(
      cluster.servers.map((host) => k3sNode(viewOf(host, fleet))),
      resolved,
    ),
  };
}

/** One server is on SQLite unless it is told otherwise, or was one of several once. */
function datastoreOf(servers: readonly K3sNodeView[], { hasEtcd }: Resolved): Datastore {
  if (servers.some(({ externalDatastore }) => externalDatastore)) return 'external';
  return servers.length > 1 || hasEtcd || servers.some(startsEtcd) ? 'etcd' : 'sqlite';
}

function startsEtcd({ config, extraArgs, settings }: K3sNodeView): boolean {
  return (
    config['cluster-init'] === true ||
    hasFlag(extraArgs, '--cluster-init') ||
    settings.extraInstallEnvs.K3S_CLUSTER_INIT === 'true' ||
    settings.extraServiceEnvs.includes('K3S_CLUSTER_INIT=true')
  );
}
