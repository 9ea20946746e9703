import { Type } from '@sinclair/typebox';
import { defineStep, refuse, unchanged } from '../engine/step.ts';
import { flag, optional } from './arguments.ts';

const args = Type.Object(
  { cacheable: optional(flag('They are in ansible_facts, too. No cache outlives the run.')) },
  { additionalProperties: true, description: 'Names and values of the variables to set on this host.' },
);

/** Ansible's `set_fact`: the engine lays the result's `ansible_facts` over the host's variables. */
export const setFactStep = defineStep<typeof args, Record<never, never>>({
  name: 'set_fact',
  summary: 'Sets variables of a host for the rest of the run.',
  args,
  examples: [`- set_fact:\n    k3s_node_ip: "{{ ansible_default_ipv4.address }}"`],
  readsOnly: true,
  look: () => ({}),
  plan(_seen, args) {
    const { cacheable, ...facts } = args as Record<string, unknown>;
    const wrong = Object.keys(facts).find((name) => !/^[A-Za-z_]\w*$/.test(name));
    if (wrong !== undefined)
      return refuse(
        `${wrong} is no name for a variable`,
        'Use letters, digits and underscores, a letter first.',
      );
    if (Object.keys(facts).length === 0)
      return refuse('no variable is given', 'Write `set_fact: name=value`.');
    return unchanged(`sets ${Object.keys(facts).join(', ')}`, {
      ansible_facts: facts,
      ...(cacheable === true ? { _ansible_facts_cacheable: true } : {}),
    });
  },
});
