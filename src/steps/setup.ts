import { Type } from '@sinclair/typebox';
import { ask } from '../engine/fact.ts';
import { defineStep, unchanged } from '../engine/step.ts';
import { ansibleFactsOf, type HostFacts, hostFacts } from '../facts/host.ts';
import { anything, list, optional } from './arguments.ts';

const args = Type.Object(
  {
    filter: optional(list('Only facts whose names match one of these shell patterns.')),
    gather_subset: optional(anything('Ignored: all facts come from one probe.')),
    gather_timeout: optional(anything('Ignored: see the deadline of the task.')),
    fact_path: optional(anything('Ignored: facts.d programs are not run.')),
  },
  { additionalProperties: false },
);

/** Ansible's `setup`: the result's `ansible_facts` hold the facts with their `ansible_` names. */
export const setupStep = defineStep<typeof args, { facts: HostFacts }>({
  name: 'setup',
  aliases: ['gather_facts'],
  summary:
    'Facts of the host become variables: ansible_distribution, ansible_default_ipv4, ansible_memtotal_mb and more.',
  args,
  examples: [`- setup:\n    filter: ansible_default_ipv4`],
  readsOnly: true,
  look: () => ({ facts: ask(hostFacts) }),
  plan(seen, args) {
    const { ansible_facts, variables } = ansibleFactsOf(seen.facts);
    const wanted = args.filter?.map(
      (pattern) =>
        new RegExp(
          `^${pattern
            .replace(/[.+^${}()|[\]\\]/g, '\\$&')
            .replaceAll('*', '.*')
            .replaceAll('?', '.')}$`,
        ),
    );
    const kept = Object.entries(variables).filter(
      ([name]) =>
        wanted === undefined ||
        wanted.some((one) => one.test(name) || one.test(name.slice('ansible_'.length))),
    );
    return unchanged(`${seen.facts.os.prettyName || seen.facts.os.id} on ${seen.facts.architecture}`, {
      ansible_facts: Object.fromEntries([
        ...kept,
        ...(wanted === undefined ? [['ansible_facts', ansible_facts]] : []),
      ]),
    });
  },
});
