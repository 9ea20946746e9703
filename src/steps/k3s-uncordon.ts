import { Type } from '@sinclair/typebox';
import { ask, askEach } from '../engine/fact.ts';
import { change, defineStep, type Plan, unchanged } from '../engine/step.ts';
import { type HostName, hostName } from '../facts/host-name.ts';
import { k3sNodes, nodeNamed } from '../facts/k3s-nodes.ts';
import { uncordonScript, withNode } from './k3s-drain.ts';
import { k3sNode, nodeNameOf } from './k3s-node.ts';
import { type NodesByServer, serverToAsk } from './k3s-readiness.ts';

interface Seen {
  readonly hostName: HostName;
  readonly nodes: NodesByServer;
}

/** Also heals what a broken-off run left: the mark on the Node is all that it goes by. */
export const k3sUncordonStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_uncordon',
  summary:
    'The node takes pods again if fleet cordoned it, in this run or in one that was broken off; one that somebody else cordoned stays so.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_uncordon:\n'],
  alters: ['nodes'],
  look(_args, host) {
    return { hostName: ask(hostName), nodes: askEach(k3sNode(host).servers, k3sNodes) };
  },
  plan(seen, _args, host): Plan<Seen> {
    const node = k3sNode(host);
    const name = nodeNameOf(node, seen.hostName.inUse);
    const server = serverToAsk(node, host.name, seen.nodes);
    const own = nodeNamed(seen.nodes.get(server), name);
    if (own === undefined) return unchanged(`no server tells of ${name}`);
    if (!own.cordonedByFleet && own.drainedFor === undefined)
      return unchanged(own.unschedulable ? 'somebody else cordoned it' : 'it takes pods');
    return change(
      own.cordonedByFleet ? `fleet cordoned ${name}` : `${name} is marked as drained`,
      [
        {
          kind: 'run',
          what: own.cordonedByFleet ? `uncordon ${name}` : `take the mark of the drain off ${name}`,
          ...(server === host.name ? {} : { host: server }),
          deadlineMs: 60_000,
          script: uncordonScript(name, own.cordonedByFleet),
        },
      ],
      {
        after: {
          nodes: withNode(seen.nodes, {
            ...own,
            unschedulable: own.unschedulable && !own.cordonedByFleet,
            cordonedByFleet: false,
            drainedFor: undefined,
          }),
        },
      },
    );
  },
});
