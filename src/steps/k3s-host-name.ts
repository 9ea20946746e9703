import { Type } from '@sinclair/typebox';
import { ask, type Questions } from '../engine/fact.ts';
import { defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type HostName, hostName } from '../facts/host-name.ts';
import { type InUse, inUse } from '../facts/k3s-in-use.ts';
import { text } from './arguments.ts';
import { hostnameStep } from './hostname.ts';
import { k3sNode, nodeNameOf } from './k3s-node.ts';

const args = Type.Object(
  { name: text('The name that the host shall have; empty: the one it has.') },
  { additionalProperties: false },
);

interface Seen {
  readonly name?: HostName;
  readonly service?: InUse;
}

/** Kubernetes knows a node by this name: once it is one, another name would make it another node. */
export const k3sHostNameStep = defineStep<typeof args, Seen>({
  name: 'k3s_host_name',
  summary: 'The host has a name; one that is a node already keeps its own.',
  args,
  freeForm: 'name',
  examples: ['- k3s_host_name: name="{{ inventory_hostname }}"\n'],
  look(args, host): Questions<Seen> {
    if (args.name === '') return {};
    const { role, settings } = k3sNode(host);
    return { name: ask(hostName), service: ask(inUse(role, settings.systemdDir)) };
  },
  plan(seen, args, host): Plan<Seen> {
    const { name, service } = seen;
    if (name === undefined || service === undefined) return unchanged('hostname is not set');
    const node = k3sNode(host);
    const { inUse: before } = name;
    const renames = nodeNameOf(node, before) !== nodeNameOf(node, args.name);
    if (service.state !== 'absent' && renames) {
      return refuse(
        `it is the node ${nodeNameOf(node, before)} already; called ${args.name} it would be another one`,
        `Take hostname out of the inventory, set node-name: ${nodeNameOf(node, before)} in its config, or reset the node first.`,
      );
    }
    return hostnameStep.plan({ name }, { name: args.name }, host) as Plan<Seen>;
  },
});
