import { Type } from '@sinclair/typebox';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, unchanged } from '../engine/step.ts';
import { type CaRotation, caRotation, caRotationFolder } from '../facts/k3s-ca-rotation.ts';
import { k3sNode } from './k3s-node.ts';

interface Seen {
  readonly rotation: CaRotation;
}

export const k3sCaRotationEndStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_ca_rotation_end',
  summary:
    'Every node has the new authorities: what they were made from is gone from the server, and the next `k3s_ca_rotation` makes others.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_ca_rotation_end:\n'],
  look(_args, host) {
    return { rotation: ask(caRotation(k3sNode(host).settings.k3sServerLocation)) };
  },
  plan(seen, _args, host): Plan<Seen> {
    if (seen.rotation === 'none') return unchanged('no rotation is under way');
    return change(
      'every node has the new authorities',
      [{ kind: 'remove', path: caRotationFolder(k3sNode(host).settings.k3sServerLocation), recursive: true }],
      { changesNothing: true, after: { rotation: 'none' } },
    );
  },
});
