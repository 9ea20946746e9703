import { type Wait, waitUntil } from '../engine/action.ts';
import { apiReady, type K3sNode, type K3sNodes, k3sNodes } from '../facts/k3s-nodes.ts';
import { lastLogLines } from '../facts/k3s-start.ts';
import { type K3sNodeView, nodeNameOf } from './k3s-node.ts';

/** What each server's API says of the nodes; `undefined` for a server that did not answer. */
export type NodesByServer = ReadonlyMap<string, K3sNodes | undefined>;

/**
 * Why a node does not yet do its part in the cluster, or `true`. A server's etcd member must be a voter: Ready says
 * nothing of it. Without flannel (another CNI is installed later) a registered node is all one can wait for.
 */
export function nodeIsReady(
  node: K3sNodeView,
  name: string,
  seen: K3sNodes | undefined,
  mustVote = false,
): true | string {
  if (seen === undefined) return 'no server answers';
  if ('unavailable' in seen) return `the API says: ${seen.unavailable}`;
  const found = seen.nodes.find((candidate) => candidate.name === name);
  if (found === undefined) return `${name} is not registered`;
  const isMember = mustVote || (seen.nodes.some((other) => other.etcdVoter !== undefined) && holdsEtcd(node));
  return readiness(node, found, isMember);
}

function readiness(node: K3sNodeView, found: K3sNode, isMember: boolean): true | string {
  if (!found.ready && !bringsItsOwnNetwork(node))
    return `NotReady${found.readyMessage === '' ? '' : `: ${found.readyMessage}`}`;
  if (node.role === 'server' && found.etcdVoter === false) return 'its etcd member does not vote yet';
  // A node that has just joined is Ready before anything is said of its member.
  if (isMember && found.etcdVoter === undefined) return 'its etcd member is not known yet';
  return true;
}

/** Whether a server has an etcd member where its cluster has etcd at all. */
export function holdsEtcd(node: K3sNodeView): boolean {
  return (
    node.role === 'server' &&
    node.config['disable-etcd'] !== true &&
    !node.extraArgs.some((arg) => /^--disable-etcd(=true)?$/.test(arg))
  );
}

/** Without flannel a node is NotReady until another network plugin is installed, which may be later. */
export function bringsItsOwnNetwork(node: K3sNodeView): boolean {
  return (
    node.config['flannel-backend'] === 'none' ||
    node.extraArgs.some((arg) => /^--flannel-backend[= ]?none$/.test(arg)) ||
    followed(node.extraArgs, '--flannel-backend', 'none')
  );
}

function followed(args: readonly string[], flag: string, value: string): boolean {
  return args.some((arg, index) => arg === flag && args[index + 1] === value);
}

/** The server whose API is asked: a server asks its own, an agent the first that answers. */
export function serverToAsk(node: K3sNodeView, self: string, nodes: NodesByServer): string {
  if (node.role === 'server') return self;
  const answering = [...nodes].find(([, seen]) => seen !== undefined && 'nodes' in seen)?.[0];
  return answering ?? node.servers[0] ?? self;
}

/** The waits behind a start: the server's own API, then the node's place in the cluster. */
export function readinessWaits(
  node: K3sNodeView,
  self: string,
  hostName: string,
  nodes: NodesByServer,
): readonly Wait[] {
  const name = nodeNameOf(node, hostName);
  const deadlineMs = node.settings.nodeReadyTimeoutS * 1000;
  const host = serverToAsk(node, self, nodes);
  const evidence = node.role === 'server' || host === self ? { evidence: lastLogLines(node.role) } : {};
  return [
    ...(node.role === 'server'
      ? [
          waitUntil({
            what: `the API of ${self} to be ready`,
            fact: apiReady,
            holds: (ready) => ready,
            deadlineMs,
            ...evidence,
          }),
        ]
      : []),
    waitUntil({
      what: `${name} to be Ready${node.role === 'server' ? ' and, with etcd, a voter' : ''}`,
      fact: k3sNodes,
      ...(host === self ? {} : { host }),
      holds: (seen) => nodeIsReady(node, name, seen),
      deadlineMs,
      ...evidence,
    }),
  ];
}

/** The nodes as they will be once this one is ready: a plan's own view for what comes after. */
export function withReadyNode(node: K3sNodeView, name: string, nodes: NodesByServer): NodesByServer {
  return new Map(
    [...nodes].map(([server, seen]): [string, K3sNodes | undefined] => {
      const others =
        seen !== undefined && 'nodes' in seen ? seen.nodes.filter((other) => other.name !== name) : [];
      const before =
        seen !== undefined && 'nodes' in seen ? seen.nodes.find((other) => other.name === name) : undefined;
      const isMember = holdsEtcd(node) && [before, ...others].some((other) => other?.etcdVoter !== undefined);
      const ready: K3sNode = {
        name,
        readyMessage: '',
        version: '',
        unschedulable: false,
        cordonedByFleet: false,
        drainedFor: undefined,
        controlPlane: node.role === 'server',
        addresses: [],
        ...before,
        ready: true,
        etcdVoter: isMember ? true : before?.etcdVoter,
      };
      return [server, { nodes: [...others, ready] }];
    }),
  );
}
