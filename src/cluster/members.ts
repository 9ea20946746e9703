import { quorumOf } from '../k3s/quorum.ts';
import { type ClusterView, isWell, listed, type NodeView } from './cluster-view.ts';

/**
 * etcd's members by node name, and whether each can be counted on to vote. A learner, and a member that is away, count
 * among those that a quorum is needed of: k3s reports both as no voter, and nobody outside etcd can tell them apart.
 */
export type Members = ReadonlyMap<string, boolean>;

export function membersOf(view: ClusterView): Members {
  const members = new Map<string, boolean>();
  const hosts = new Map([...view.servers, ...view.agents].map((one) => [one.desired.nodeName, one]));
  for (const node of view.nodes ?? []) {
    if (node.etcdVoter === undefined) continue;
    const host = hosts.get(node.name);
    // Of a stranger the API is the only witness.
    members.set(node.name, host === undefined ? node.ready && node.etcdVoter : isVoting(view, host));
  }
  for (const [name, host] of hosts) {
    if (host.seen?.data === 'etcd' && !members.has(name) && !isTakenOut(view, host)) members.set(name, false);
  }
  return members;
}

/** A server that steps down loses its Node, and with it its member, before its data: a run may have ended in between. */
function isTakenOut(view: ClusterView, { desired, node }: NodeView): boolean {
  return desired.role === 'agent' && view.nodes !== undefined && node === undefined;
}

function isVoting(view: ClusterView, host: NodeView): boolean {
  return host.seen?.data === 'etcd' && host.node?.etcdVoter === true && isWell(view, host);
}

/**
 * Why a member must not be stopped for a moment, or `undefined`. Of one or two members every one is needed, so that a
 * restart cannot but interrupt; from three on, the others must have the quorum.
 */
export function whyNotStop(members: Members, name: string): string | undefined {
  if (members.size < 3 || !members.has(name)) return undefined;
  return shortOf(quorumOf(members.size), members, name);
}

/** Why a member must not be taken out for good, or `undefined`: those that stay must have the quorum among themselves, now and then. */
export function whyNotRemove(members: Members, name: string): string | undefined {
  if (!members.has(name)) return undefined;
  const isNeededNow = members.get(name) === true ? whyNotStop(members, name) : undefined;
  return isNeededNow ?? shortOf(quorumOf(members.size - 1), members, name);
}

function shortOf(needed: number, members: Members, without: string): string | undefined {
  const others = [...members].filter(([name]) => name !== without);
  const voting = others.filter(([, votes]) => votes);
  if (voting.length >= needed) return undefined;
  const away = others.filter(([, votes]) => !votes).map(([name]) => name);
  const notWell = away.length === 0 ? '' : ` (not well: ${listed(away)})`;
  return `without ${without} ${voting.length} of ${members.size} etcd members would vote, ${needed} are needed${notWell}`;
}
