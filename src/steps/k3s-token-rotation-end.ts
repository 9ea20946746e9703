import { Type } from '@sinclair/typebox';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, unchanged } from '../engine/step.ts';
import { rotationMarker, type TokenRotation, tokenRotation } from '../facts/k3s-token-rotation.ts';
import { k3sNode } from './k3s-node.ts';

interface Seen {
  readonly rotation: TokenRotation;
}

export const k3sTokenRotationEndStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_token_rotation_end',
  summary: 'Every node has the new token: the next `k3s_token_rotation` makes another one.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_token_rotation_end:\n'],
  look(_args, host) {
    return { rotation: ask(tokenRotation(k3sNode(host).settings.k3sServerLocation)) };
  },
  plan(seen, _args, host): Plan<Seen> {
    if (seen.rotation === 'none') return unchanged('no rotation is under way');
    return change(
      'every node has the new token',
      [{ kind: 'remove', path: rotationMarker(k3sNode(host).settings.k3sServerLocation) }],
      { changesNothing: true, after: { rotation: 'none' } },
    );
  },
});
