import { Type } from '@sinclair/typebox';
import { ask } from '../engine/fact.ts';
import { defineStep, type Plan, unchanged, unchangedBut } from '../engine/step.ts';
import { type K3sLeftovers, k3sLeftovers } from '../facts/k3s-leftovers.ts';
import { k3sNode, loginName } from './k3s-node.ts';

interface Seen {
  readonly left: K3sLeftovers;
}

export const k3sLeftoversStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_leftovers',
  summary:
    'Says what is still on the host once k3s is gone, because others may use it or only a reboot removes it; changes nothing.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_leftovers:\n  when: not ansible_check_mode\n'],
  look(_args, host) {
    return { left: ask(k3sLeftovers(k3sNode(host).settings.k3sServerLocation, loginName(host))) };
  },
  plan({ left }, _args, host): Plan<Seen> {
    const found = [
      ...left.paths,
      ...left.mounts.map((mount) => `the mount ${mount}`),
      ...left.devices.map((device) => `the network device ${device}`),
      ...left.processes.map((process) => `process ${process}`),
    ];
    if (found.length === 0) return unchanged('nothing is left');
    return unchangedBut(`left: ${found.join(', ')}`, {
      code: 'LEFT_BEHIND',
      message: `${host.name} still has ${found.join(', ')}`,
      fix: 'Others may use these, so fleet leaves them. Remove by hand what nobody needs; mounts, devices and processes end with a reboot.',
    });
  },
});
