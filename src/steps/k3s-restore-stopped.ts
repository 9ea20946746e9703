import { Type } from '@sinclair/typebox';
import { ask, askOn } from '../engine/fact.ts';
import { change, defineStep, type Plan, unchanged } from '../engine/step.ts';
import { type InUse, inUse } from '../facts/k3s-in-use.ts';
import { type RestoreState, restoreState } from '../facts/k3s-restore-state.ts';
import { unitName } from '../k3s/paths.ts';
import { text } from './arguments.ts';
import { k3sNode } from './k3s-node.ts';
import { stopAction } from './k3s-running.ts';

const args = Type.Object(
  { target: text('The server on which the snapshot is restored.') },
  { additionalProperties: false },
);

interface Seen {
  readonly service: InUse;
  readonly own: RestoreState;
  readonly target: RestoreState;
}

/** No server may run while another one's etcd is set back: two databases would each call themselves the cluster. */
export const k3sRestoreStoppedStep = defineStep<typeof args, Seen>({
  name: 'k3s_restore_stopped',
  summary:
    'The server is stopped for a restore; one that has the restored database already, or joined it, is left alone.',
  args,
  examples: ['- k3s_restore_stopped: {target: server-1}\n'],
  look(args, host) {
    const { role, settings } = k3sNode(host);
    return {
      service: ask(inUse(role, settings.systemdDir)),
      own: ask(restoreState(settings.k3sServerLocation)),
      target: askOn(args.target, restoreState(settings.k3sServerLocation)),
    };
  },
  plan(seen, args, host): Plan<Seen> {
    const unit = unitName(k3sNode(host).role);
    const { pending } = seen.target;
    if (seen.service.state === 'absent') return unchanged('k3s is not installed');
    if (seen.service.state === 'inactive') return unchanged(`${unit} is stopped`);
    const isPast = pending?.phase === 'reset';
    if (isPast && host.name === args.target) return unchanged('its database is restored');
    if (isPast && seen.own.movedAside.includes(pending.stamp))
      return unchanged('it joins the restored database');
    return change(
      `${unit} is ${seen.service.state}, and its database is about to be set back`,
      [stopAction(unit)],
      {
        touches: ['k3s:server-data:*'],
        after: { service: { ...seen.service, state: 'inactive' } },
      },
    );
  },
});
