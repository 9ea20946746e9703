import { clustersAmong, type Membership, membershipOf, type ServerSeen } from '../k3s/membership.ts';
import type { RefusedCluster } from './cluster-plan.ts';
import { type ClusterView, hasJoined, hostsOf, isToStepDown, listed, type NodeView } from './cluster-view.ts';
import { refused } from './refusal.ts';

/** The servers as each one's own steps see them: who begins the cluster, who joins it, through whom. */
export function membershipIn(view: ClusterView, server: NodeView): Membership {
  return membershipOf(
    server.host,
    new Map(view.servers.map((one) => [one.host, serverSeen(one)])),
    view.desired.datastore === 'external',
    view.policy.forceBootstrap,
  );
}

function serverSeen({ seen }: NodeView): ServerSeen | undefined {
  return seen && { datastore: seen.data, caHash: seen.caHash, running: seen.service === 'active' };
}

/** Why what was found is not this one cluster, or could become two. */
export function whyNotOneCluster(view: ClusterView): RefusedCluster | undefined {
  return whyTwo(view) ?? whyDataWouldBeLost(view) ?? whyNotBegun(view) ?? whyNotMember(view);
}

function whyTwo(view: ClusterView): RefusedCluster | undefined {
  const holders = [...view.servers, ...view.agents.filter(isToStepDown)];
  const clusters = clustersAmong(new Map(holders.map(({ host, seen }) => [host, seen])));
  if (clusters.size < 2) return undefined;
  const shown = [...clusters].map(([ca, names]) => `${listed(names)} (CA ${ca.slice(0, 12)}…)`);
  return refused(
    'TWO_CLUSTERS',
    `the servers belong to ${clusters.size} clusters: ${shown.join('; ')}`,
    'Decide which cluster stays; wipe the others (fleet reset --limit HOST), then run fleet up again.',
  );
}

function whyDataWouldBeLost(view: ClusterView): RefusedCluster | undefined {
  const { datastore } = view.desired;
  const having = (...kinds: string[]) => view.servers.filter(({ seen }) => seen && kinds.includes(seen.data));
  const embedded = having('sqlite', 'etcd');
  if (datastore === 'external' && embedded.length > 0) {
    return refused(
      'DATASTORE_CHANGED',
      `${listed(hostsOf(embedded))} keep the cluster's data, and the inventory names a database elsewhere: it does not move there by itself`,
      'Take the datastore endpoint out again; or reset these servers if their data may go.',
    );
  }
  const elsewhere = having('external').filter(({ desired }) => desired.holdsEtcd);
  if (datastore !== 'external' && elsewhere.length > 0 && embedded.length === 0 && !anyAway(view.servers)) {
    return refused(
      'DATASTORE_CHANGED',
      `the data of ${listed(hostsOf(elsewhere))} is in a database elsewhere, and the inventory no longer names one`,
      "Name the datastore endpoint again, or restore a snapshot (fleet snapshot restore) if etcd's files were lost.",
    );
  }
  if (datastore === 'etcd' && !view.desired.servers.some(({ holdsEtcd }) => holdsEtcd)) {
    return refused(
      'NO_ETCD_SERVER',
      'every server of the inventory has disable-etcd',
      'Let at least one server hold etcd.',
    );
  }
  const dropped = view.servers.find(
    ({ seen, desired }) => seen?.data === 'etcd' && seen.pending === 'restart' && !desired.holdsEtcd,
  );
  return (
    dropped &&
    refused(
      'ETCD_DROPPED',
      `${dropped.host} holds an etcd member, and disable-etcd would leave a dead one behind`,
      `Take ${dropped.host} out (fleet remove ${dropped.host}), then let it join again without etcd.`,
      dropped.host,
    )
  );
}

function anyAway(nodes: readonly NodeView[]): boolean {
  return nodes.some(({ seen }) => seen === undefined);
}

/** The last server cannot step down, and no cluster begins while somebody may hold one. */
function whyNotBegun(view: ClusterView): RefusedCluster | undefined {
  if (view.servers.some((server) => (server.seen?.data ?? 'none') !== 'none')) return undefined;
  const steppingDown = view.agents.filter(isToStepDown);
  if (steppingDown.length > 0) {
    return refused(
      'LAST_SERVER',
      `${listed(hostsOf(steppingDown))} hold the cluster, the inventory makes agents of them, and no other server that answers has joined`,
      'Leave them servers, run fleet up so that the new ones join, and make agents of them then.',
    );
  }
  if (view.nodes !== undefined) {
    return refused(
      'CLUSTER_ELSEWHERE',
      'an API answers, but no server of the inventory that answers holds its data',
      'Put the server that runs this cluster into the inventory, or bring it back.',
    );
  }
  if (view.policy.forceBootstrap) return undefined;
  // A shared database has one cluster whoever begins, but a server that is away may run it with another release.
  const isShared = view.desired.datastore === 'external';
  const away = [...view.servers, ...view.agents.filter(({ inLimit }) => inLimit)].filter(
    ({ seen }) => seen === undefined,
  );
  if (away.length === 0) return undefined;
  return refused(
    'CLUSTER_MAY_BE_AWAY',
    isShared
      ? `nobody that answers has a cluster, but ${listed(hostsOf(away))} might run one on this database, with another release`
      : `nobody that answers has a cluster, but ${listed(hostsOf(away))} might: beginning one here could make a second`,
    'Bring them back, or take them out of the inventory; --force-bootstrap if none of them ever was a server of it.',
    away[0]?.host,
  );
}

/** What a server's own steps would refuse is refused before anything is done. */
function whyNotMember(view: ClusterView): RefusedCluster | undefined {
  for (const server of view.servers) {
    if (!server.workable || (server.seen?.pending === 'nothing' && hasJoined(view, server))) continue;
    const membership = membershipIn(view, server);
    if (membership.kind === 'refused')
      return refused(membership.code, membership.because, membership.fix, server.host);
  }
  return undefined;
}
