import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { crontab } from '../facts/account.ts';
import { choice, flag, optional, text } from './arguments.ts';
import { joinLines, splitLines } from './edited-file.ts';
import { type LandingSite, landFile, siteQuestions } from './landed-file.ts';

const time = (what: string) => optional(text(`${what} Default *.`));

const args = Type.Object(
  {
    name: text('What the job is called: the comment by which it is found again.'),
    job: optional(text('The command.', { aliases: ['value'] })),
    state: optional(choice(['present', 'absent'], 'Whether it is there. Default present.')),
    user: optional(text('Whose crontab. Default our user; with cron_file, root.')),
    minute: time('Minutes.'),
    hour: time('Hours.'),
    day: optional(text('Days of the month. Default *.', { aliases: ['dom'] })),
    month: time('Months.'),
    weekday: optional(text('Days of the week, 0 is Sunday. Default *.', { aliases: ['dow'] })),
    special_time: optional(
      choice(
        ['reboot', 'yearly', 'annually', 'monthly', 'weekly', 'daily', 'hourly'],
        'A time with a name, instead of the others.',
      ),
    ),
    disabled: optional(flag('The job is there as a comment.')),
    cron_file: optional(text('A file in /etc/cron.d instead of a crontab.')),
    env: optional(flag('It is a variable for the jobs after it: name=value with job as the value.')),
  },
  { additionalProperties: false },
);

type Seen = Partial<LandingSite> & { readonly crontab?: string | undefined };

/** Ansible's `cron`. */
export const cronStep = defineStep<typeof args, Seen>({
  name: 'cron',
  summary: 'A job runs at certain times, or no longer.',
  args,
  examples: [`- cron: name="etcd snapshot" minute=0 hour=3 job="/usr/local/bin/k3s etcd-snapshot save"`],
  look: (args) =>
    args.cron_file === undefined
      ? { crontab: ask(crontab(args.user)) }
      : siteQuestions(fileOf(args.cron_file)),
  plan(seen, args): Plan<Seen> {
    const isPresent = args.state !== 'absent';
    if (isPresent && args.job === undefined) return refuse('job is missing', 'Say what shall run.');
    const { cron_file } = args;
    if (cron_file !== undefined) {
      const { file, content, parent, me } = seen;
      if (file === undefined || content === undefined || parent === undefined || me === undefined)
        return refuse('', '');
      const before = content.text ?? '';
      const next = withJob(before, args, args.user ?? 'root');
      if (next === before) return unchanged(`job ${args.name} is ${isPresent ? 'there' : 'not there'}`);
      return landFile(
        { file, content, parent, me },
        { path: fileOf(cron_file), content: next, newMode: '0644', makeParents: true },
      ) as Plan<Seen>;
    }
    if (seen.crontab === undefined) {
      return isPresent
        ? refuse('the host has no cron', 'Install it first: package: name=cron (cronie elsewhere).')
        : unchanged('the host has no cron');
    }
    const next = withJob(seen.crontab, args, undefined);
    if (next === seen.crontab) return unchanged(`job ${args.name} is ${isPresent ? 'there' : 'not there'}`);
    const who = args.user === undefined ? [] : ['-u', args.user];
    const action: Action = {
      kind: 'run',
      what: `write the crontab${args.user === undefined ? '' : ` of ${args.user}`}`,
      script: sh`printf %s ${next} | crontab ${who} -`,
    };
    return change(
      isPresent ? `job ${args.name} is missing or differs` : `job ${args.name} is there`,
      [action],
      {
        diff: [{ subject: `crontab ${args.user ?? ''}`.trim(), before: seen.crontab, after: next }],
        after: { crontab: next },
        // Our own crontab goes by two names: with and without the user.
        touches: ['cron:*'],
      },
    );
  },
});

function fileOf(name: string): string {
  return name.startsWith('/') ? name : `/etc/cron.d/${name}`;
}

interface Job {
  readonly name: string;
  readonly job?: string;
  readonly state?: string;
  readonly minute?: string;
  readonly hour?: string;
  readonly day?: string;
  readonly month?: string;
  readonly weekday?: string;
  readonly special_time?: string;
  readonly disabled?: boolean;
  readonly env?: boolean;
}

/** A crontab with one job in it, or without it. Jobs are found by the comment `#Ansible: NAME` before them, as Ansible writes it. */
export function withJob(text: string, job: Job, user: string | undefined): string {
  const { lines, ending } = splitLines(text);
  const isPresent = job.state !== 'absent';
  if (job.env === true) {
    const line = `${job.name}="${job.job ?? ''}"`;
    const at = lines.findIndex((one) => one.startsWith(`${job.name}=`));
    if (!isPresent) return at < 0 ? text : joinLines(lines.toSpliced(at, 1), ending);
    if (lines[at] === line) return text;
    return joinLines(at < 0 ? [line, ...lines] : lines.with(at, line), ending);
  }
  const mark = `#Ansible: ${job.name}`;
  const at = lines.indexOf(mark);
  if (!isPresent) return at < 0 ? text : joinLines(lines.toSpliced(at, 2), ending);
  const when =
    job.special_time === undefined
      ? [job.minute, job.hour, job.day, job.month, job.weekday].map((one) => one ?? '*').join(' ')
      : `@${job.special_time}`;
  const line = `${job.disabled === true ? '#' : ''}${when} ${user === undefined ? '' : `${user} `}${job.job ?? ''}`;
  if (at >= 0 && lines[at + 1] === line) return text;
  return joinLines(at < 0 ? [...lines, mark, line] : lines.toSpliced(at, 2, mark, line), ending);
}
