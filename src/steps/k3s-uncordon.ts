import { Type } from '@sinclair/typebox';
import { change, defineStep, type Plan, unchanged } from '../engine/step.ts';
import { nodeNamed } from '../facts/k3s-nodes.ts';
import { uncordonScript, withNode } from './k3s-drain.ts';
import { type OwnNodeSeen, ownNode, ownNodeQuestions } from './k3s-own-node.ts';

/** Also heals what a broken-off run left: the mark on the Node is all that it goes by. */
export const k3sUncordonStep = defineStep<ReturnType<typeof Type.Object>, OwnNodeSeen>({
  name: 'k3s_uncordon',
  summary:
    'The node takes pods again if fleet cordoned it, in this run or in one that was broken off; one that somebody else cordoned stays so.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_uncordon:\n'],
  alters: ['nodes'],
  look(_args, host) {
    return ownNodeQuestions(host);
  },
  plan(seen, _args, host): Plan<OwnNodeSeen> {
    const { name, server, told } = ownNode(host, seen);
    const own = nodeNamed(told, name);
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
