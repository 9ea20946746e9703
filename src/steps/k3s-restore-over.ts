import { Type } from '@sinclair/typebox';
import { askEach } from '../engine/fact.ts';
import { defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type RestoreState, restoreState } from '../facts/k3s-restore-state.ts';
import { k3sNode } from './k3s-node.ts';

interface Seen {
  readonly servers: ReadonlyMap<string, RestoreState | undefined>;
}

/** Servers without their databases would wait for one that waits for them. */
export const k3sRestoreOverStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_restore_over',
  summary: 'No restore of a snapshot was broken off before it set anything back.',
  readsOnly: true,
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_restore_over:\n'],
  look(_args, host) {
    const { servers, settings } = k3sNode(host);
    return { servers: askEach(servers, restoreState(settings.k3sServerLocation)) };
  },
  plan(seen): Plan<Seen> {
    for (const [server, state] of seen.servers) {
      if (state?.pending?.phase !== 'begun') continue;
      const { snapshot } = state.pending;
      return refuse(
        `a restore of ${snapshot} was broken off on ${server}, and the other servers have no database meanwhile`,
        `Finish it: fleet snapshot restore ${snapshot}. Or take it back: fleet snapshot restore --back.`,
      );
    }
    return unchanged('no restore was broken off');
  },
});
