import type { Secret } from '../core/secret.ts';
import type { ShellScript } from '../core/shell.ts';
import type { ControlFact, Fact } from './fact.ts';

/** All that can be done to a host. Nothing else reaches one, and only from a Plan. */
export type Action = Run | Write | Remove | Upload | Wait | Reboot | Save | Collect | Pause;

/** Runs a script as the step's user. A non-zero exit fails the step unless `anyExit`. */
export interface Run {
  readonly kind: 'run';
  /** What it does, as the plan shows it: `restart k3s`. Never holds a secret. */
  readonly what: string;
  readonly script: ShellScript;
  /** Another host to run it on: a server that speaks for the cluster. The step's own when absent. */
  readonly host?: string;
  /** Default: the step's deadline. */
  readonly deadlineMs?: number;
  /** The exit status is an answer, not a failure. */
  readonly anyExit?: true;
  /**
   * For work that must not be broken off in its middle (a package transaction, the install script): it runs as a job
   * that outlives the connection and is picked up again after a reconnect, or by the next run.
   */
  readonly survives?: true;
}

/** Puts a small file in place: temporary file beside it, fsync, rename, with its final owner and mode from the start. */
export interface Write {
  readonly kind: 'write';
  readonly path: string;
  /** As it is, or an answer of the control node that is asked for only when it is needed (an install script to fetch). */
  readonly content: string | Secret | Uint8Array | { readonly fact: ControlFact<string> };
  /** Octal text, `0644`. */
  readonly mode: string;
  readonly owner: string;
  readonly group: string;
  /** Keeps what was there as `PATH.YYYYMMDD-HHMMSS~` beside it, mode unchanged. */
  readonly backup?: boolean;
  /** Given the temporary file's path, a script that fails when the content must not land (`visudo -cf …`). */
  readonly validate?: (temporaryPath: string) => ShellScript;
}

/** Removes a file, link or (with `recursive`) a tree; nothing there is success. */
export interface Remove {
  readonly kind: 'remove';
  readonly path: string;
  readonly recursive?: true;
}

/** Where an upload's bytes come from, on the control node. */
export type UploadSource =
  | { readonly from: 'file'; readonly path: string; readonly sha256?: string }
  /** Fetched once per run into the control node's cache, verified against the published sums, then pushed. */
  | {
      readonly from: 'release';
      readonly url: string;
      readonly sums: { readonly url: string; readonly name: string };
    };

/**
 * Puts a large file in place over a channel of its own: staged beside the target, its sha256 verified there, then renamed.
 * What arrived before a connection broke is kept, and sending goes on at that byte.
 */
export interface Upload {
  readonly kind: 'upload';
  readonly source: UploadSource;
  readonly path: string;
  readonly mode: string;
  readonly owner: string;
  readonly group: string;
  /** Given the staged file's path, a script that fails, saying why, when it must not land: a program of another version. */
  readonly validate?: (stagedPath: string) => ShellScript;
  readonly pace?: UploadPace;
  /** Other hosts get the same file, and hand it on to each other. */
  readonly spread?: UploadSpread;
}

/** What hosts need to hand a file on. */
export interface UploadSpread {
  /** Where other hosts reach this one. */
  readonly address: string;
  /** How many hosts may come to want the file, this one included. */
  readonly peers: number;
}

/** What keeps uploads from taking the whole line. */
export interface UploadPace {
  /** So many at the same time, over all hosts. */
  readonly atOnce: number;
  /** Bytes a second, over all hosts together; without it as fast as it goes. */
  readonly bytesPerSecond?: number;
}

/** Waits until a fact holds, asking again and again. */
export interface Wait {
  readonly kind: 'wait';
  /** What is waited for, as shown while waiting and in the error: `agent1 to be Ready`. */
  readonly what: string;
  readonly fact: Fact<unknown>;
  /** The host to ask; the step's own when absent. */
  readonly host?: string;
  /** `true`, or why not yet, as the error says when the deadline passes. */
  readonly holds: (value: unknown) => true | string;
  /** Gives up before the deadline: a reason means that waiting on is pointless. `first` is what was answered when the wait began. */
  readonly hopeless?: (value: unknown, first: unknown) => string | undefined;
  readonly deadlineMs: number;
  /** Default 500. */
  readonly everyMs?: number;
  /** Asked once when the wait fails: the host's own words about why (its last journal lines). */
  readonly evidence?: Fact<string>;
}

/** Reboots the host and waits until it answers with a new boot id. */
export interface Reboot {
  readonly kind: 'reboot';
  readonly because: string;
  readonly deadlineMs: number;
}

/** Writes a file on the control node, atomically; an existing one is kept as `PATH.bak` when `backup`. */
export interface Save {
  readonly kind: 'save';
  readonly path: string;
  readonly content: string | Secret | Uint8Array;
  readonly mode: string;
  readonly backup?: boolean;
}

/** Brings a file of the host to the control node, as it is, however large. */
export interface Collect {
  readonly kind: 'collect';
  /** On the host. */
  readonly source: string;
  /** On the control node. */
  readonly path: string;
  readonly mode: string;
  /** What was seen on the host: tells what is still to come, and whether it arrived. */
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** A pause that a playbook asked for. */
export interface Pause {
  readonly kind: 'pause';
  readonly durationMs: number;
}

/** A typed wait: the predicate sees the fact's own type. */
export function waitUntil<Value>(
  wait: Omit<Wait, 'kind' | 'fact' | 'holds' | 'hopeless'> & {
    readonly fact: Fact<Value>;
    readonly holds: (value: Value) => true | string;
    readonly hopeless?: (value: Value, first: Value) => string | undefined;
  },
): Wait {
  return { kind: 'wait', ...wait } as Wait;
}
