import { pipeline } from 'node:stream/promises';
import type { FleetError } from '../core/errors.ts';
import type { ShellScript } from '../core/shell.ts';
import type { ChannelOpener } from './channel.ts';
import type { Answer, RunOptions } from './connection.ts';
import { commandAborted, commandTimedOut, connectionLost, outputTooLarge } from './faults.ts';
import { killTreeScript } from './kill-tree.ts';
import { startProgram } from './program.ts';
import { OUTPUT_LIMIT_BYTES } from './shell.ts';

/** How long the killing of a timed-out script may take. */
const KILL_DEADLINE_MS = 10_000;

interface RunScriptOptions extends RunOptions {
  /** `false` for the script that does the killing. */
  readonly killAtDeadline?: boolean;
}

/**
 * Runs one script on a channel of its own. The script travels as the first line of stdin (its newlines escaped for `printf %b`), never in
 * argv, where everybody on the host could read it; the shell's `read` takes exactly that line and leaves the rest to the script.
 */
export async function runScript(
  opener: ChannelOpener,
  script: ShellScript,
  options: RunScriptOptions,
): Promise<Answer> {
  const { host } = opener;
  if (options.signal?.aborted === true) throw commandAborted(host);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  let bytes = 0;
  let settle: (fault: FleetError | 'ended') => void = () => {};
  const outcome = new Promise<FleetError | 'ended'>((resolve) => {
    settle = resolve;
  });
  const keep = (into: Buffer[], chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > OUTPUT_LIMIT_BYTES) settle(outputTooLarge(host, OUTPUT_LIMIT_BYTES));
    else into.push(chunk);
  };
  const timer = setTimeout(() => settle(commandTimedOut(host, options.deadlineMs)), options.deadlineMs);
  const onAbort = () => settle(commandAborted(host));
  options.signal?.addEventListener('abort', onAbort, { once: true });

  const opening = startProgram(opener, {
    become: options.become,
    body: 'IFS= read -r s && eval "$(printf %b "$s")"',
    onStdout: (chunk) => {
      if (options.onStdout === undefined) keep(stdout, chunk);
      else options.onStdout(chunk);
    },
    onStderr: (chunk) => keep(stderr, chunk),
  });
  opening.catch((error: FleetError) => settle(error));
  try {
    const work = opening.then(async (program) => {
      program.ended.then(() => settle('ended'));
      program.started.catch((error: FleetError) => settle(error));
      if (program.waitsForPassword) await program.started;
      program.stdin.write(`${oneLine(script.text)}\n`);
      await feed(program.stdin, options.stdin);
    });
    // A script need not read its stdin to the end; whether it did well is its status' to say. A source that breaks is an error.
    let sourceError: unknown;
    work.catch((error: unknown) => {
      if (error instanceof SourceError) {
        sourceError = error.cause;
        onAbort();
      }
    });
    const first = await outcome;
    if (first !== 'ended') {
      await opening.then(
        async (program) => {
          if (options.killAtDeadline !== false && isKill(first.code)) {
            const pid = await promptPid(program.started);
            if (pid !== undefined) {
              await runScript(opener, killTreeScript(pid), {
                deadlineMs: KILL_DEADLINE_MS,
                killAtDeadline: false,
                ...(options.become === undefined ? {} : { become: options.become }),
              }).catch(() => undefined);
            }
          }
          program.close();
        },
        () => {},
      );
      throw sourceError ?? first;
    }
    const program = await opening;
    // When it never greeted, this says why.
    await program.started;
    const end = await program.ended;
    if (end.lost !== undefined) throw connectionLost(host, end.lost);
    return {
      stdout: Buffer.concat(stdout).toString('utf8'),
      stderr: Buffer.concat(stderr).toString('utf8'),
      code: end.code ?? 128 + signalNumber(end.signal),
    };
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', onAbort);
  }
}

class SourceError extends Error {}

async function feed(
  stdin: NodeJS.WritableStream & { destroyed?: boolean },
  source: RunOptions['stdin'],
): Promise<void> {
  if (source === undefined || typeof source === 'string' || source instanceof Uint8Array) {
    stdin.end(source ?? '');
    return;
  }
  let broken: Error | undefined;
  source.once('error', (error: Error) => {
    broken = error;
  });
  try {
    await pipeline(source, stdin);
  } catch (error) {
    if (broken !== undefined) throw new SourceError('its source broke', { cause: error });
  }
}

/** The script as one line that `printf %b` turns back: backslashes doubled, newlines as `\n`, and nothing that needs more. */
export function oneLine(script: string): string {
  return script.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function isKill(code: string): boolean {
  return code === 'COMMAND_TIMED_OUT' || code === 'COMMAND_ABORTED' || code === 'OUTPUT_TOO_LARGE';
}

function promptPid(started: Promise<number>): Promise<number | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), KILL_DEADLINE_MS);
    started.then(resolve, () => resolve(undefined)).finally(() => clearTimeout(timer));
  });
}

/** POSIX numbers of the signals that end programs; shells report a death by signal as 128 plus this. */
const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGABRT: 6,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
};

function signalNumber(signal: string | undefined): number {
  return SIGNALS[signal ?? ''] ?? 0;
}
