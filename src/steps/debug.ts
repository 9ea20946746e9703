import { Type } from '@sinclair/typebox';
import { Secret } from '../core/secret.ts';
import { defineStep, unchanged } from '../engine/step.ts';
import { anything, optional, text, whole } from './arguments.ts';

const args = Type.Object(
  {
    msg: optional(anything('What to say: text, or any value.')),
    var: optional(text('The variable (or expression) whose value is shown, without braces.')),
    verbosity: optional(whole('Says it only with this many -v. Values above 0 stay silent.', { minimum: 0 })),
  },
  { additionalProperties: false },
);

/** Ansible's `debug`: the engine shows the result's `msg` (or the one other key) as a message. */
export const debugStep = defineStep<typeof args, Record<never, never>>({
  name: 'debug',
  summary: 'Says something; changes nothing.',
  args,
  freeForm: 'msg',
  examples: [
    `- debug: msg="{{ inventory_hostname }} has {{ ansible_memtotal_mb }} MB"`,
    `- debug: var=ansible_default_ipv4.address`,
  ],
  readsOnly: true,
  look: () => ({}),
  plan(_seen, args, host) {
    if ((args.verbosity ?? 0) > 0)
      return unchanged('said only with -v', { skipped_reason: 'Verbosity threshold not met.' });
    if (args.var !== undefined) {
      const value = valueOfExpression(args.var, (text) => host.vars.template(text));
      return unchanged(`${args.var} = ${shown(value)}`, {
        [args.var]: value,
        msg: `${args.var} = ${shown(value)}`,
      });
    }
    const message = args.msg ?? 'Hello world!';
    return unchanged(shown(message), { msg: message });
  },
});

function valueOfExpression(expression: string, template: (text: string) => unknown): unknown {
  try {
    const value = template(`{{ ${expression} }}`);
    return value === undefined || value === '' ? 'VARIABLE IS NOT DEFINED!' : value;
  } catch {
    return 'VARIABLE IS NOT DEFINED!';
  }
}

function shown(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value instanceof Secret) return String(value);
  return JSON.stringify(value, undefined, 2) ?? String(value);
}
