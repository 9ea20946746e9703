import { Type } from '@sinclair/typebox';
import { reveal } from '../core/secret.ts';
import { raw } from '../core/shell.ts';
import { change, defineStep } from '../engine/step.ts';
import { anything, optional, secretText } from './arguments.ts';
import { commandResult } from './command-outcome.ts';

const args = Type.Object(
  {
    cmd: secretText('What the shell runs, as it stands.', { aliases: ['_raw_params'] }),
    executable: optional(anything('Ignored: it is sh, as for every step.')),
  },
  { additionalProperties: false },
);

/** Ansible's `raw`. Every step of fleet is as raw as this; it is here for playbooks that use it. */
export const rawStep = defineStep<typeof args, Record<never, never>>({
  name: 'raw',
  summary: 'Runs a shell script whenever it is reached.',
  args,
  freeForm: 'cmd',
  examples: [`- raw: uptime`],
  look: () => ({}),
  plan: (_seen, args) =>
    change(
      'runs whenever it is reached',
      [{ kind: 'run', what: `run ${String(args.cmd)}`, script: raw(reveal(args.cmd)) }],
      {
        imperative: true,
        touches: 'everything',
        result: ([answer]) => commandResult(answer, String(args.cmd), false),
      },
    ),
});
