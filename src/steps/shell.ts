import { Type } from '@sinclair/typebox';
import { reveal } from '../core/secret.ts';
import { raw, sh } from '../core/shell.ts';
import { change, defineStep, type Plan } from '../engine/step.ts';
import { optional, secretText, text } from './arguments.ts';
import {
  commandResult,
  type GuardSeen,
  guardArguments,
  guardedAway,
  guardQuestions,
  inputArguments,
  surrounded,
} from './command-outcome.ts';

const args = Type.Object(
  {
    cmd: secretText('The shell script.', { aliases: ['_raw_params'] }),
    executable: optional(text('Another shell than /bin/sh, for instance /bin/bash.')),
    ...guardArguments,
    ...inputArguments,
  },
  { additionalProperties: false },
);

/** Ansible's `shell`. */
export const shellStep = defineStep<typeof args, GuardSeen>({
  name: 'shell',
  summary:
    'Runs a shell script. Acts whenever it runs, unless creates or removes says that there is nothing to do.',
  args,
  freeForm: 'cmd',
  examples: [
    `- shell: dmesg | grep -c cgroup
  register: cgroups
  changed_when: false`,
  ],
  look: (args) => guardQuestions(args),
  plan(seen, args): Plan<GuardSeen> {
    const shown = String(args.cmd);
    const away = guardedAway(seen, args, shown);
    if (away !== undefined) return away;
    const body = raw(reveal(args.cmd));
    const { executable } = args;
    const script =
      executable === undefined || executable === '/bin/sh'
        ? surrounded(body, args)
        : // The text is fed through a file, not through `-c`: a script may hold a secret, and argv is for all to see.
          surrounded(
            sh`t=$(mktemp) || exit 1\ntrap 'rm -f "$t"' EXIT\nprintf %s ${body.text} >"$t"\n${executable} "$t"`,
            args,
          );
    return change(`runs whenever it is reached`, [{ kind: 'run', what: `run ${firstLine(shown)}`, script }], {
      imperative: true,
      touches: 'everything',
      result: ([answer]) => commandResult(answer, shown, args.strip_empty_ends),
    });
  },
});

function firstLine(text: string): string {
  const [first = '', ...rest] = text.trim().split('\n');
  return rest.length === 0 ? first : `${first} …`;
}
