import { Type } from '@sinclair/typebox';
import { defineStep, refuse } from '../engine/step.ts';
import { optional, text } from './arguments.ts';

const args = Type.Object(
  { msg: optional(text('Why. Default: failed as requested from task.')) },
  { additionalProperties: false },
);

/** Ansible's `fail`. */
export const failStep = defineStep<typeof args, Record<never, never>>({
  name: 'fail',
  summary: 'Stops a host, saying why.',
  args,
  freeForm: 'msg',
  examples: [`- fail: msg="this play is for servers only"\n  when: "'server' not in group_names"`],
  readsOnly: true,
  look: () => ({}),
  plan: (_seen, args) => ({
    ...refuse(
      args.msg ?? 'failed as requested from task',
      'The playbook stops here on purpose; see its `when`.',
    ),
    // In Ansible's words, for those who ask for it.
    details: { msg: args.msg ?? 'Failed as requested from task' },
  }),
});
