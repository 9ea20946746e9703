import { Type } from '@sinclair/typebox';
import { ask, askEach } from '../engine/fact.ts';
import { change, defineStep, type Plan, unchanged } from '../engine/step.ts';
import { type HostName, hostName } from '../facts/host-name.ts';
import { k3sNodes } from '../facts/k3s-nodes.ts';
import { k3sNode, nodeNameOf } from './k3s-node.ts';
import {
  type NodesByServer,
  nodeIsReady,
  readinessWaits,
  serverToAsk,
  withReadyNode,
} from './k3s-readiness.ts';

interface Seen {
  readonly hostName: HostName;
  readonly nodes: NodesByServer;
}

export const k3sReadyStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_ready',
  summary:
    'The node is Ready in the cluster and, on a server with etcd, its member votes; waited for where it is not yet so.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_ready:\n'],
  alters: ['nodes'],
  look(_args, host) {
    return { hostName: ask(hostName), nodes: askEach(k3sNode(host).servers, k3sNodes) };
  },
  plan(seen, _args, host): Plan<Seen> {
    const node = k3sNode(host);
    const name = nodeNameOf(node, seen.hostName.inUse);
    const server = serverToAsk(node, host.name, seen.nodes);
    const ready = nodeIsReady(node, name, seen.nodes.get(server));
    if (ready === true) return unchanged(`${name} is Ready`);
    const [first, ...rest] = readinessWaits(node, host.name, seen.hostName.inUse, seen.nodes);
    if (first === undefined) return unchanged(`${name} has nothing to wait for`);
    return change(ready, [first, ...rest], {
      changesNothing: true,
      after: { nodes: withReadyNode(node, name, seen.nodes) },
    });
  },
});
