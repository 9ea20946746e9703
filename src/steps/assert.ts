import { Type } from '@sinclair/typebox';
import { defineStep, refuse, unchanged } from '../engine/step.ts';
import { anything, flag, optional, text } from './arguments.ts';

const args = Type.Object(
  {
    that: anything('A Jinja expression, or a list of them; all must hold.'),
    fail_msg: optional(text('What to say when one does not hold.', { aliases: ['msg'] })),
    success_msg: optional(text('What to say when all hold.')),
    quiet: optional(flag('Ignored: fleet says in one line what did not hold.')),
  },
  { additionalProperties: false },
);

/** Ansible's `assert`. */
export const assertStep = defineStep<typeof args, Record<never, never>>({
  name: 'assert',
  summary: 'Stops a host for which an expression does not hold.',
  args,
  examples: [
    `- assert:
    that:
      - k3s_version is defined
      - ansible_memtotal_mb | int > 512
    fail_msg: a node needs k3s_version and 512 MB`,
  ],
  readsOnly: true,
  look: () => ({}),
  plan(_seen, args, host) {
    const expressions = Array.isArray(args.that) ? args.that : [args.that];
    for (const expression of expressions) {
      const condition = typeof expression === 'boolean' ? expression : String(expression);
      if (!host.vars.test(condition)) {
        const refusal = refuse(
          args.fail_msg ?? `this does not hold: ${String(expression)}`,
          args.fail_msg === undefined
            ? 'Change what it speaks of, or the assertion.'
            : `It was found by the assertion ${String(expression)}.`,
        );
        return {
          ...refusal,
          details: { assertion: expression, evaluated_to: false, msg: args.fail_msg ?? 'Assertion failed' },
        };
      }
    }
    return unchanged(args.success_msg ?? 'all assertions hold', {
      msg: args.success_msg ?? 'All assertions passed',
    });
  },
});
