import { Type } from '@sinclair/typebox';
import { ask, askEach } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type HostName, hostName } from '../facts/host-name.ts';
import { hasNodePassword } from '../facts/k3s-node-password.ts';
import { k3sNodes, nodeNamed } from '../facts/k3s-nodes.ts';
import { type ServerData, serverData } from '../facts/k3s-server-data.ts';
import { addressOf, k3sNode, nodeNameOf } from './k3s-node.ts';
import { deleteNode, withoutNode } from './k3s-node-removal.ts';
import type { NodesByServer } from './k3s-readiness.ts';

interface Seen {
  readonly hostName: HostName;
  readonly data: ServerData;
  readonly hasPassword: boolean;
  readonly nodes: NodesByServer;
}

/**
 * A machine that was set up anew comes back under its old name and is refused: its Node, its node password and, for a
 * server, its etcd member are still there. Deleting the Node of a server removes its member.
 * @see https://docs.k3s.io/architecture#how-agent-node-registration-works
 */
export const k3sStaleNodeStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_stale_node',
  summary:
    'The cluster remembers no earlier life of this host: before a wiped or replaced host joins, its old Node, node password and etcd member are removed.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_stale_node:\n'],
  alters: ['nodes'],
  look(_args, host) {
    const { servers, settings } = k3sNode(host);
    return {
      hostName: ask(hostName),
      data: ask(serverData(settings.k3sServerLocation)),
      hasPassword: ask(hasNodePassword),
      nodes: askEach(servers, k3sNodes),
    };
  },
  plan(seen, _args, host): Plan<Seen> {
    const node = k3sNode(host);
    const name = nodeNameOf(node, seen.hostName.inUse);
    const isFresh =
      !seen.hasPassword ||
      (node.role === 'server' && seen.data.datastore === 'none' && !node.externalDatastore);
    if (!isFresh) return unchanged(`${name} is the node that it was`);
    const answering = [...seen.nodes].find(([, told]) => told !== undefined && 'nodes' in told);
    if (answering === undefined) return unchanged('no server answers yet');
    const [server, told] = answering;
    const known = nodeNamed(told, name);
    if (known === undefined) return unchanged(`the cluster knows no ${name}`);
    if (known.ready && !known.addresses.includes(addressOf(host))) {
      return refuse(
        `the cluster has a Ready node called ${name} at ${known.addresses.join(', ')}, which is not this host`,
        'Give this host another name (node-name in its config, or its host name). If that node is this host before it was wiped, wait until it is NotReady.',
      );
    }
    return change(
      `${name} was set up anew, and the cluster still has the Node of its earlier life`,
      deleteNode(name, server),
      { after: { nodes: withoutNode(seen.nodes, name) } },
    );
  },
});
