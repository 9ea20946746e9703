import type { Readable } from 'node:stream';
import type { Secret } from '../core/secret.ts';
import type { AskedOfMany, ShellScript } from '../core/shell.ts';

/** What a script left behind. Both streams are text as sent, not yet safe to show. */
export interface Answer {
  readonly stdout: string;
  readonly stderr: string;
  /** The exit status, 0 to 255. */
  readonly code: number;
}

/** Who the commands on a host run as, when that is not the login user. */
export interface Become {
  readonly method: 'sudo' | 'doas' | 'su';
  readonly user: string;
  readonly password?: Secret;
}

/** One script of a batch. */
export interface Item {
  readonly script: ShellScript;
  /** Set where `script` is this one alone: neighbours of the same kind then run in one subshell. */
  readonly ofMany?: AskedOfMany;
  /** When this script fails, no later script of the batch that is `mustSucceed` runs: each is answered with `undefined`. */
  readonly mustSucceed?: boolean;
  /** Called with whole lines of stdout as they arrive, for progress only. */
  readonly onLine?: (line: string) => void;
}

export interface BatchOptions {
  /** How long the whole batch may take, in milliseconds; then it is killed on the host and the call rejects with `COMMAND_TIMED_OUT`. */
  readonly deadlineMs: number;
  /** Called once per item as soon as its answer is complete. */
  readonly onAnswer?: (index: number, answer: Answer) => void;
  readonly signal?: AbortSignal;
}

/**
 * One open `sh` on a host, run as root (or as `Become` says) for the whole run, fed script by script over one channel.
 * A batch is sent whole before its first script runs and costs one round trip; frames carry a random nonce, so no
 * output can forge one. Every script runs in a subshell of its own, with stdin from /dev/null.
 */
export interface Shell {
  /** The answers in the order of the items; `undefined` for an item that a failure before it kept from running. */
  batch(items: readonly Item[], options: BatchOptions): Promise<readonly (Answer | undefined)[]>;
  close(): Promise<void>;
}

export interface RunOptions {
  readonly deadlineMs: number;
  readonly become?: Become;
  /** Sent to the script's stdin, then end of file. A stream is sent with back-pressure, in chunks as they come. */
  readonly stdin?: string | Uint8Array | Readable;
  readonly onStdout?: (chunk: Buffer) => void;
  readonly signal?: AbortSignal;
}

/** One authenticated connection to one host, kept for the whole run. All failures are `FleetError`s that name the host. */
export interface Connection {
  readonly host: string;
  /** Runs one script on a channel of its own: for uploads and downloads beside the open shell. */
  run(script: ShellScript, options: RunOptions): Promise<Answer>;
  openShell(become: Become | undefined): Promise<Shell>;
  /** Resolves when the transport has gone, by `close()` or by the network; with the reason in the latter case. */
  readonly closed: Promise<Error | undefined>;
  close(): Promise<void>;
}
