import { Type } from '@sinclair/typebox';
import type { Action } from '../engine/action.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type K3sNodes, k3sNodes } from '../facts/k3s-nodes.ts';
import { type RestoreState, restoreMarker, restoreState } from '../facts/k3s-restore-state.ts';
import { list, optional } from './arguments.ts';
import { addressOf, k3sNode, nodeNameOf } from './k3s-node.ts';
import { deleteNode } from './k3s-node-removal.ts';

const args = Type.Object(
  {
    gone: optional(
      list(
        'Hosts of the inventory whose machines are gone for good: the snapshot still has their Nodes, which are deleted.',
      ),
    ),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly state: RestoreState;
  readonly nodes: K3sNodes;
}

export const k3sRestoreEndStep = defineStep<typeof args, Seen>({
  name: 'k3s_restore_end',
  summary:
    'The restore is over: nodes that are gone for good are no longer in the cluster, and no marker says that it goes on.',
  args,
  examples: ['- k3s_restore_end:\n', '- k3s_restore_end: {gone: [server-3]}\n'],
  look(_args, host) {
    return { state: ask(restoreState(k3sNode(host).settings.k3sServerLocation)), nodes: ask(k3sNodes) };
  },
  plan(seen, args, host): Plan<Seen> {
    const { settings, cluster } = k3sNode(host);
    if ('unavailable' in seen.nodes)
      return refuse(`the API says: ${seen.nodes.unavailable}`, 'See fleet status.');
    const gone = cluster.nodes.filter(({ name }) => args.gone?.includes(name) === true);
    const stale = seen.nodes.nodes.filter((node) =>
      gone.some((one) => {
        const view = { ...host, name: one.name, groups: one.groups, vars: one.vars };
        return node.addresses.includes(addressOf(view)) || node.name === nodeNameOf(k3sNode(view), one.name);
      }),
    );
    const deletions = stale.flatMap(({ name }): readonly Action[] => deleteNode(name, host.name));
    if (deletions.length === 0 && seen.state.pending === undefined)
      return unchanged('no restore is under way');
    const remove: Action = { kind: 'remove', path: restoreMarker(settings.k3sServerLocation) };
    const [first = remove, ...rest] = deletions;
    const because =
      stale.length === 0
        ? 'the restore is over'
        : `gone for good: ${stale.map(({ name }) => name).join(', ')}`;
    return change(because, deletions.length === 0 ? [remove] : [first, ...rest, remove], {
      ...(deletions.length === 0 ? { changesNothing: true } : {}),
      after: {
        state: { ...seen.state, pending: undefined },
        nodes: { nodes: seen.nodes.nodes.filter((node) => !stale.includes(node)) },
      },
    });
  },
});
