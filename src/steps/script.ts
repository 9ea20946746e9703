import { Type } from '@sinclair/typebox';
import { lines, raw, sh } from '../core/shell.ts';
import { askControl } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse } from '../engine/step.ts';
import { type ControlFile, controlFile } from '../facts/control-file.ts';
import { optional, text } from './arguments.ts';
import {
  commandResult,
  type GuardSeen,
  guardArguments,
  guardedAway,
  guardQuestions,
} from './command-outcome.ts';
import { missingSource } from './copy.ts';
import { splitWords } from './words.ts';

const args = Type.Object(
  {
    cmd: text('A script on the control node and its arguments.', { aliases: ['_raw_params'] }),
    executable: optional(text('What runs it, instead of its first line.')),
    ...guardArguments,
  },
  { additionalProperties: false },
);

type Seen = GuardSeen & { readonly source: ControlFile };

/** Ansible's `script`. */
export const scriptStep = defineStep<typeof args, Seen>({
  name: 'script',
  summary: 'Runs a script of the control node on the host, and leaves nothing of it behind.',
  args,
  freeForm: 'cmd',
  examples: [`- script: grow-disk.sh /dev/vda creates=/etc/disk-grown`],
  look: (args, host) => ({
    ...guardQuestions(args),
    source: askControl(controlFile(splitWords(args.cmd)?.[0] ?? '', host.searchPath, 'files')),
  }),
  plan(seen, args, host): Plan<Seen> {
    const away = guardedAway(seen, args, args.cmd);
    if (away !== undefined) return away;
    const [name = '', ...words] = splitWords(args.cmd) ?? [];
    const { source } = seen;
    if (source.kind === 'missing') return missingSource(name, source, host);
    if (source.kind === 'directory' || source.bytes === undefined) {
      return refuse(`${source.path} is no script of at most 1 MiB`, 'Name a script file.');
    }
    const content = source.bytes.toString('utf8');
    if (content.includes('\0'))
      return refuse(
        `${source.path} is a program, not a script`,
        'Bring it with copy and run it with command.',
      );
    const runner =
      args.executable === undefined ? sh`"$t" ${words}` : sh`${raw(args.executable)} "$t" ${words}`;
    return change(
      'runs whenever it is reached',
      [
        {
          kind: 'run',
          what: `run ${args.cmd}`,
          script: lines(
            sh`t=$(mktemp) || exit 1`,
            sh`trap 'rm -f "$t"' EXIT`,
            sh`printf %s ${content} >"$t" && chmod 700 "$t" || exit 1`,
            ...(args.chdir === undefined ? [] : [sh`cd -- ${args.chdir} || exit 1`]),
            runner,
          ),
        },
      ],
      { imperative: true, touches: 'everything', result: ([answer]) => commandResult(answer, args.cmd) },
    );
  },
});
