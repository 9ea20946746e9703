import { ask, askEach } from '../engine/fact.ts';
import type { HostView } from '../engine/step.ts';
import { type HostName, hostName } from '../facts/host-name.ts';
import { type K3sNodes, k3sNodes } from '../facts/k3s-nodes.ts';
import { type K3sNodeView, k3sNode, nodeNameOf } from './k3s-node.ts';
import { type NodesByServer, serverToAsk } from './k3s-readiness.ts';

/** What must be seen to tell which node of the cluster a host is. */
export interface OwnNodeSeen {
  readonly hostName: HostName;
  readonly nodes: NodesByServer;
}

/** The questions behind `OwnNodeSeen`. */
export function ownNodeQuestions(host: HostView) {
  return { hostName: ask(hostName), nodes: askEach(k3sNode(host).servers, k3sNodes) };
}

/** A host as a node of its cluster, and who tells of it. */
export interface OwnNode {
  readonly node: K3sNodeView;
  /** As the cluster calls it. */
  readonly name: string;
  /** The host whose API is asked. */
  readonly server: string;
  /** What that API tells of all nodes; `undefined` where it does not answer. */
  readonly told: K3sNodes | undefined;
}

/** The node that a host is. */
export function ownNode(host: HostView, seen: OwnNodeSeen): OwnNode {
  const node = k3sNode(host);
  const server = serverToAsk(node, host.name, seen.nodes);
  return { node, name: nodeNameOf(node, seen.hostName.inUse), server, told: seen.nodes.get(server) };
}
