import { asFleetErrors, type FleetError } from '../core/errors.ts';
import { Console } from './console.ts';
import { type ExitCode, exit } from './exit-codes.ts';
import { commandText } from './help-text.ts';
import { Interrupted } from './interrupted.ts';
import { parseCommandLine } from './parse.ts';
import { type Settings, settingsFrom } from './settings.ts';

/** Runs one command line and ends the process with its exit code. The only place that does, beside a second Ctrl-C. */
export async function runCli(argv: readonly string[]): Promise<void> {
  // A reader that went away (`fleet inventory --list | head`) ends the writing, never a run that is changing hosts.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') throw error;
    });
  }
  for (const kind of ['uncaughtException', 'unhandledRejection'] as const) process.on(kind, endForDefect);
  const code = await runCommandLine(argv);
  await Promise.all([drained(process.stdout), drained(process.stderr)]);
  process.exit(code);
}

async function runCommandLine(argv: readonly string[]): Promise<ExitCode> {
  let settings: Pick<Settings, 'color' | 'quiet' | 'debug'> = {
    color: 'auto',
    quiet: false,
    debug: wantsDebug(argv),
  };
  let console = new Console(settings, process);
  try {
    const parsed = parseCommandLine(argv);
    const all = settingsFrom(parsed.shared, process.env);
    settings = all;
    console = new Console(all, process);
    if (parsed.wantsHelp && parsed.command.name !== 'help') {
      console.result(commandText(parsed.command, console.outPalette));
      return exit.ok;
    }
    const run = await parsed.command.load();
    return await run({
      arguments: parsed.arguments,
      trailing: parsed.trailing,
      flags: parsed.own,
      settings: all,
      console,
    });
  } catch (thrown) {
    if (thrown instanceof Interrupted) return exit.interrupted;
    const errors = asFleetErrors(thrown);
    console.errors(errors);
    if (settings.debug) process.stderr.write(`${console.redactor.mask(stackOf(thrown))}\n`);
    return exitCodeOf(errors);
  }
}

/** What nobody caught: said in one line, or with FLEET_DEBUG with its stack. */
function endForDefect(thrown: unknown): void {
  const console = new Console({ color: 'auto', quiet: false }, process);
  console.errors(asFleetErrors(thrown));
  if (wantsDebug(process.argv)) process.stderr.write(`${stackOf(thrown)}\n`);
  process.exit(exit.defect);
}

/** Our own defects before all else, then what the person can mend before connecting, then what failed on the way. */
export function exitCodeOf(errors: readonly FleetError[]): ExitCode {
  if (errors.some(({ blame }) => blame === 'fleet')) return exit.defect;
  return errors.every(({ blame }) => blame === 'usage') ? exit.usage : exit.failed;
}

function wantsDebug(argv: readonly string[]): boolean {
  return argv.includes('--debug') || !['', '0'].includes(process.env.FLEET_DEBUG ?? '');
}

function stackOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const cause = thrown.cause === undefined ? '' : `\ncaused by: ${stackOf(thrown.cause)}`;
  return `${thrown.stack ?? thrown.message}${cause}`;
}

/** Pipes are written asynchronously; what was said must be out before the process ends. */
function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || !stream.writable) resolve();
    else stream.write('', () => resolve());
  });
}
