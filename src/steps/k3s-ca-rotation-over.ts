import { Type } from '@sinclair/typebox';
import { askEach } from '../engine/fact.ts';
import { defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type CaRotation, caRotation } from '../facts/k3s-ca-rotation.ts';
import { k3sNode } from './k3s-node.ts';

interface Seen {
  readonly servers: ReadonlyMap<string, CaRotation | undefined>;
}

/** Servers whose tokens name different authorities would be taken for two clusters. */
export const k3sCaRotationOverStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_ca_rotation_over',
  summary: 'No rotation of the authorities was broken off before every node had them.',
  readsOnly: true,
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_ca_rotation_over:\n'],
  look(_args, host) {
    const { servers, settings } = k3sNode(host);
    return { servers: askEach(servers, caRotation(settings.k3sServerLocation)) };
  },
  plan({ servers }): Plan<Seen> {
    const [on] = [...servers].find(([, state]) => state === 'loaded') ?? [];
    if (on === undefined) return unchanged('no rotation of the authorities was broken off');
    return refuse(
      `a rotation of the cluster’s authorities was broken off on ${on}, and not every node has the new ones`,
      'Finish it: fleet rotate ca. It goes on with the authorities that are made.',
      'CA_ROTATION_BROKEN_OFF',
    );
  },
});
