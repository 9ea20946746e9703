import { Type } from '@sinclair/typebox';
import { change, defineStep, type Plan, unchanged } from '../engine/step.ts';
import { type OwnNodeSeen, ownNode, ownNodeQuestions } from './k3s-own-node.ts';
import { nodeIsReady, readinessWaits, withReadyNode } from './k3s-readiness.ts';

export const k3sReadyStep = defineStep<ReturnType<typeof Type.Object>, OwnNodeSeen>({
  name: 'k3s_ready',
  summary:
    'The node is Ready in the cluster and, on a server with etcd, its member votes; waited for where it is not yet so.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_ready:\n'],
  alters: ['nodes'],
  look(_args, host) {
    return ownNodeQuestions(host);
  },
  plan(seen, _args, host): Plan<OwnNodeSeen> {
    const { node, name, told } = ownNode(host, seen);
    const ready = nodeIsReady(node, name, told);
    if (ready === true) return unchanged(`${name} is Ready`);
    const [first, ...rest] = readinessWaits(node, host.name, seen.hostName.inUse, seen.nodes);
    if (first === undefined) return unchanged(`${name} has nothing to wait for`);
    return change(ready, [first, ...rest], {
      changesNothing: true,
      after: { nodes: withReadyNode(node, name, seen.nodes) },
    });
  },
});
