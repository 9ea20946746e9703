import { FleetError } from '../core/errors.ts';

/** Text of a host's making that goes into an error: a few lines of it, never a flood. */
export function excerpt(text: string, limit = 400): string {
  const trimmed = text.replaceAll('\r', '').trim();
  return trimmed.length <= limit ? trimmed : `${trimmed.slice(0, limit)}…`;
}

/** `; it said: …` when there is something to quote, else nothing. */
export function said(text: string): string {
  const quoted = excerpt(text);
  return quoted === '' ? '' : `; it said: ${quoted}`;
}

export function connectionLost(host: string, cause?: Error): FleetError {
  return new FleetError(
    {
      code: 'CONNECTION_LOST',
      host,
      message: `the connection to ${host} was lost${cause === undefined ? '' : ` (${cause.message})`}`,
      fix: 'See whether the host is up and reachable, then run again: what is already done stays done.',
    },
    { cause },
  );
}

export function commandTimedOut(host: string, deadlineMs: number): FleetError {
  return new FleetError({
    code: 'COMMAND_TIMED_OUT',
    host,
    message: `what ran on ${host} was not done after ${deadlineMs / 1000} s and was killed there`,
    fix: 'See on the host what it waits for, or allow it more time.',
  });
}

export function commandAborted(host: string): FleetError {
  return new FleetError({
    code: 'COMMAND_ABORTED',
    host,
    message: `what ran on ${host} was broken off and killed there`,
    fix: 'Run again: what is already done stays done.',
  });
}

export function outputTooLarge(host: string, limitBytes: number): FleetError {
  return new FleetError({
    code: 'OUTPUT_TOO_LARGE',
    host,
    message: `a script on ${host} put out more than ${limitBytes / 2 ** 20} MiB and was killed`,
    fix: 'Let the script write to a file on the host, or print less.',
  });
}
