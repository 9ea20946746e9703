import { raw, type ShellScript, sh } from '../core/shell.ts';
import { ask, type Fact, type HostQuestion } from '../engine/fact.ts';
import { type Unchanged, unchanged } from '../engine/step.ts';
import { type FileState, fileAt } from '../facts/file.ts';
import type { Answer } from '../ssh/connection.ts';
import { flag, optional, path, text } from './arguments.ts';

/** The arguments that `command`, `shell`, `script` and `raw` share. */
export const guardArguments = {
  chdir: optional(path('The folder to run in.')),
  creates: optional(path('Does not run when this path (or one that matches this pattern) exists.')),
  removes: optional(path('Runs only when this path (or one that matches this pattern) exists.')),
};

/** How a script gets its input and shows its output. */
export const inputArguments = {
  stdin: optional(text('Text for its standard input.')),
  stdin_add_newline: optional(flag('Ends that text with a newline. Default true.')),
  strip_empty_ends: optional(flag('Takes empty lines off the ends of what it prints. Default true.')),
};

/** What is at the guarded paths; for a pattern, whether anything matches. */
export interface GuardSeen {
  readonly creates?: FileState | boolean;
  readonly removes?: FileState | boolean;
}

/** The questions behind `creates` and `removes`. Patterns are expanded on the host. */
export function guardQuestions(args: { creates?: string; removes?: string }): {
  readonly creates?: HostQuestion<FileState | boolean>;
  readonly removes?: HostQuestion<FileState | boolean>;
} {
  return {
    ...(args.creates === undefined ? {} : { creates: ask(standingAt(args.creates)) }),
    ...(args.removes === undefined ? {} : { removes: ask(standingAt(args.removes)) }),
  };
}

/** Why a guarded script need not run; `undefined` when it must. */
export function guardedAway(
  seen: GuardSeen,
  args: { creates?: string; removes?: string },
  command: string,
): Unchanged | undefined {
  const skipped = (why: string) =>
    unchanged(why, {
      cmd: command,
      rc: 0,
      stdout: `skipped, since ${why}`,
      stdout_lines: [`skipped, since ${why}`],
      stderr: '',
      stderr_lines: [],
    });
  if (args.creates !== undefined && isThere(seen.creates)) return skipped(`${args.creates} exists`);
  if (args.removes !== undefined && !isThere(seen.removes)) return skipped(`${args.removes} does not exist`);
  return undefined;
}

function isThere(seen: FileState | boolean | undefined): boolean {
  return typeof seen === 'object' ? seen.self !== undefined : seen === true;
}

function standingAt(pattern: string): Fact<FileState | boolean> {
  if (!/[*?[]/.test(pattern)) return fileAt(pattern);
  return {
    key: `find:${pattern}`,
    // An unquoted pattern, every other character quoted, is what a shell expands.
    sh: sh`for f in ${globbed(pattern)}; do if [ -e "$f" ] || [ -L "$f" ]; then echo yes; break; fi; done`,
    parse: (answer: Answer) => answer.stdout.startsWith('yes'),
  };
}

function globbed(pattern: string): ShellScript {
  return pattern
    .split(/([*?]|\[[^\]/]+\])/)
    .filter((part) => part !== '')
    .map((part) => (/^([*?]|\[[\w^!-]+\])$/.test(part) ? raw(part) : sh`${part}`))
    .reduce((all, next) => sh`${all}${next}`);
}

/** What `register` keeps of a script's answer, as Ansible's `command` has it. */
export function commandResult(
  answer: Answer | undefined,
  command: string | readonly string[],
  stripEnds = true,
): Readonly<Record<string, unknown>> {
  const strip = (stream: string) => (stripEnds ? stream.replace(/^(\r?\n)+|(\r?\n)+$/g, '') : stream);
  const stdout = strip(answer?.stdout ?? '');
  const stderr = strip(answer?.stderr ?? '');
  return {
    cmd: command,
    rc: answer?.code ?? 0,
    stdout,
    stdout_lines: linesOf(stdout),
    stderr,
    stderr_lines: linesOf(stderr),
  };
}

function linesOf(stream: string): readonly string[] {
  return stream === '' ? [] : stream.split(/\r?\n/);
}

/** A script in another folder and with text on its stdin, which never is on a command line. */
export function surrounded(
  script: ShellScript,
  around: { chdir?: string; stdin?: string; stdin_add_newline?: boolean },
): ShellScript {
  const inFolder = around.chdir === undefined ? script : sh`cd -- ${around.chdir} || exit 1\n${script}`;
  if (around.stdin === undefined) return inFolder;
  const input = `${around.stdin}${around.stdin_add_newline === false ? '' : '\n'}`;
  return sh`printf %s ${input} | (\n${inFolder}\n)`;
}
