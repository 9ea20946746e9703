import { sh } from '../core/shell.ts';
import { type Action, waitUntil } from '../engine/action.ts';
import { type K3sNode, type K3sNodes, k3sNodes } from '../facts/k3s-nodes.ts';
import { kubectlWords } from '../k3s/paths.ts';
import { quorumOf } from '../k3s/quorum.ts';
import { drainScript } from './k3s-drain.ts';
import type { K3sNodeView } from './k3s-node.ts';
import type { NodesByServer } from './k3s-readiness.ts';

const removalDeadlineMs = 180_000;

/** The first server whose API answers, of those that stay, with what it says. */
export function answeringServer(
  nodes: NodesByServer,
  staying: readonly string[],
): { readonly server: string; readonly nodes: readonly K3sNode[] } | undefined {
  for (const server of staying) {
    const told = nodes.get(server);
    if (told !== undefined && 'nodes' in told) return { server, nodes: told.nodes };
  }
  return undefined;
}

/** Why a cluster would be worse than it is without this node: nobody left to rule it, or no quorum. */
export function removalHindrance(name: string, nodes: readonly K3sNode[]): string | undefined {
  const leaving = nodes.find((node) => node.name === name);
  if (leaving === undefined || !leaving.controlPlane) return undefined;
  const others = nodes.filter((node) => node.controlPlane && node.name !== name);
  if (others.length === 0) return `${name} is the last server of its cluster`;
  if (leaving.etcdVoter === undefined) {
    return others.some((node) => node.ready) ? undefined : `no other server is ready but ${name}`;
  }
  const members = nodes.filter((node) => node.etcdVoter !== undefined && node.name !== name);
  const well = members.filter(votes);
  const quorum = quorumOf(members.length);
  if (well.length >= quorum) return undefined;
  const away = members.filter((node) => !votes(node)).map((node) => node.name);
  return `without ${name} ${well.length} of ${members.length} etcd members would vote, ${quorum} are needed${away.length === 0 ? '' : ` (not well: ${away.join(', ')})`}`;
}

/** Whether etcd keeps its quorum while this member is stopped and not yet removed. */
export function mayStopFirst(name: string, nodes: readonly K3sNode[]): boolean {
  const members = nodes.filter((node) => node.etcdVoter !== undefined);
  if (!members.some((node) => node.name === name)) return true;
  const others = members.filter((node) => node.name !== name && votes(node));
  return others.length >= quorumOf(members.length);
}

function votes(node: K3sNode): boolean {
  return node.ready && node.etcdVoter === true;
}

/** Evicts the pods of a node that leaves, where its kubelet can let them go, another node can take them, and `drain` is not off. */
export function drainBefore(
  view: Pick<K3sNodeView, 'settings'>,
  name: string,
  { server, nodes }: { readonly server: string; readonly nodes: readonly K3sNode[] },
): readonly Action[] {
  const leaving = nodes.find((node) => node.name === name);
  const canTake = nodes.some((node) => node.name !== name && node.ready && !node.unschedulable);
  if (leaving?.ready !== true || !canTake || view.settings.drain === 'never') return [];
  return [
    {
      kind: 'run',
      what: `drain ${name}`,
      host: server,
      deadlineMs: (view.settings.drainTimeoutS + 60) * 1000,
      script: drainScript(view, name, { text: 'removal' }, !leaving.unschedulable),
    },
  ];
}

/**
 * Deletes a Node through a server, with the password that would keep a machine of that name from joining again. k3s
 * holds the Node back by a finalizer until its etcd member is removed: once it is gone, so is the member.
 * @see https://docs.k3s.io/architecture#how-agent-node-registration-works
 */
export function deleteNode(name: string, server: string): readonly [Action, ...Action[]] {
  return [
    {
      kind: 'run',
      what: `delete the node ${name} and its node password`,
      host: server,
      deadlineMs: removalDeadlineMs,
      script: sh`${kubectlWords} delete node ${name} --ignore-not-found --timeout=150s &&
${kubectlWords} -n kube-system delete secret ${`${name}.node-password.k3s`} --ignore-not-found`,
    },
    waitUntil({
      what: `the cluster to forget ${name}`,
      fact: k3sNodes,
      host: server,
      holds: (now) => isForgotten(now, name),
      deadlineMs: removalDeadlineMs,
    }),
  ];
}

function isForgotten(told: K3sNodes, name: string): true | string {
  if ('unavailable' in told) return `the API says: ${told.unavailable}`;
  return !told.nodes.some((node) => node.name === name) || 'it is still there';
}

/** What the servers will say once a node is gone. */
export function withoutNode(nodes: NodesByServer, name: string): NodesByServer {
  return new Map(
    [...nodes].map(([server, told]) => [
      server,
      told !== undefined && 'nodes' in told
        ? { nodes: told.nodes.filter((node) => node.name !== name) }
        : told,
    ]),
  );
}
