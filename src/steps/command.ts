import { Type } from '@sinclair/typebox';
import { reveal, Secret } from '../core/secret.ts';
import { sh } from '../core/shell.ts';
import { change, defineStep, type Plan, refuse } from '../engine/step.ts';
import { anything, list, optional, secretText } from './arguments.ts';
import {
  commandResult,
  type GuardSeen,
  guardArguments,
  guardedAway,
  guardQuestions,
  inputArguments,
  surrounded,
} from './command-outcome.ts';
import { splitWords } from './words.ts';

const args = Type.Object(
  {
    cmd: optional(
      secretText('The command and its arguments as one text, split as a shell would, but run by none.', {
        aliases: ['_raw_params'],
      }),
    ),
    argv: optional(list('The command and its arguments as a list, instead of cmd.')),
    ...guardArguments,
    ...inputArguments,
    expand_argument_vars: optional(anything('Ignored: variables in arguments are not expanded.')),
  },
  { additionalProperties: false },
);

/** Ansible's `command`: no pipes, no globs, no variables. */
export const commandStep = defineStep<typeof args, GuardSeen>({
  name: 'command',
  summary:
    'Runs a program. Acts whenever it runs, unless creates or removes says that there is nothing to do.',
  args,
  freeForm: 'cmd',
  examples: [
    `- command: update-initramfs -u`,
    `- command:
    argv: [make, install]
    chdir: /usr/src/tool
    creates: /usr/local/bin/tool`,
  ],
  look: (args) => guardQuestions(args),
  plan(seen, args): Plan<GuardSeen> {
    const text = args.cmd === undefined ? undefined : reveal(args.cmd);
    if ((text === undefined) === (args.argv === undefined)) {
      return refuse('exactly one of cmd and argv must be given', 'Write `command: PROGRAM ARGUMENT …`.');
    }
    const words = args.argv ?? splitWords(text ?? '');
    if (words === undefined)
      return refuse('a quote in the command is never closed', 'Close it, or use argv.');
    const [program] = words;
    if (program === undefined) return refuse('the command is empty', 'Write the program to run.');
    const shown = args.argv === undefined ? String(args.cmd) : words.join(' ');
    const away = guardedAway(seen, args, shown);
    if (away !== undefined) return away;
    return change(
      `runs whenever it is reached`,
      [{ kind: 'run', what: `run ${shown}`, script: surrounded(sh`exec ${words}`, args) }],
      {
        imperative: true,
        touches: 'everything',
        result: ([answer]) =>
          commandResult(answer, args.cmd instanceof Secret ? shown : words, args.strip_empty_ends),
      },
    );
  },
});
