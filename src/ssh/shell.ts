import { FleetError } from '../core/errors.ts';
import { BatchReader } from './batch-reader.ts';
import type { ChannelOpener } from './channel.ts';
import type { Answer, BatchOptions, Become, Item, Shell } from './connection.ts';
import { commandAborted, commandTimedOut, connectionLost, outputTooLarge } from './faults.ts';
import { batchScript, newNonce } from './frames.ts';
import { killTreeScript } from './kill-tree.ts';
import { type Program, startProgram } from './program.ts';
import { runScript } from './run-script.ts';

/** Most bytes one item may put out, both streams together. */
export const OUTPUT_LIMIT_BYTES = 16 * 2 ** 20;

/** How long the killing of a timed-out batch may take before the connection is left to its fate. */
const KILL_DEADLINE_MS = 10_000;

/**
 * Opens a shell over any transport. Returns at once: the channel opens meanwhile, and what goes wrong there is the first batch's error.
 * After a batch was killed (deadline, abort, too much output) the next one gets a fresh `sh`.
 */
export function openShell(opener: ChannelOpener, become: Become | undefined): Shell {
  return new FramedShell(opener, become);
}

class FramedShell implements Shell {
  readonly #opener: ChannelOpener;
  readonly #become: Become | undefined;
  #program: Promise<Program> | undefined;
  #reader: BatchReader | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(opener: ChannelOpener, become: Become | undefined) {
    this.#opener = opener;
    this.#become = become;
    this.#start().catch(() => {});
  }

  batch(items: readonly Item[], options: BatchOptions): Promise<readonly (Answer | undefined)[]> {
    // One after the other: two batches in one stream would share a deadline that neither of them was given.
    const run = this.#turn.then(() => this.#runBatch(items, options));
    this.#turn = run.catch(() => {});
    return run;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const program = await this.#program?.catch(() => undefined);
    this.#program = undefined;
    if (program === undefined) return;
    // End of file ends an idle `sh`; closing the channel covers one that is not idle.
    program.stdin.end();
    program.close();
    await program.ended;
  }

  #start(): Promise<Program> {
    this.#program ??= startProgram(this.#opener, {
      become: this.#become,
      body: 'exec sh',
      onStdout: (bytes) => this.#reader?.stdout(bytes),
      onStderr: (bytes) => this.#reader?.stderr(bytes),
    });
    return this.#program;
  }

  async #runBatch(items: readonly Item[], options: BatchOptions): Promise<readonly (Answer | undefined)[]> {
    const { host } = this.#opener;
    if (this.#closed) throw connectionLost(host, new Error('its shell was closed'));
    if (options.signal?.aborted === true) throw commandAborted(host);
    if (items.length === 0) return [];
    const nonce = newNonce();
    const script = composeBatch(host, nonce, items);

    const answers: (Answer | undefined)[] = [];
    let settle: (outcome: FleetError | undefined) => void = () => {};
    const outcome = new Promise<FleetError | undefined>((resolve) => {
      settle = resolve;
    });
    let callbackError: unknown;
    this.#reader = new BatchReader({
      nonce,
      items: items.map((item) => ({
        ...(item.onLine === undefined
          ? {}
          : { onLine: guarded(item.onLine, (error) => (callbackError ??= error)) }),
      })),
      limitBytes: OUTPUT_LIMIT_BYTES,
      onAnswer: (index, answer) => {
        answers[index] = answer;
        if (answer !== undefined)
          guarded2(options.onAnswer, index, answer, (error) => (callbackError ??= error));
        if (answers.length === items.length) settle(undefined);
      },
      onOverflow: () => settle(outputTooLarge(host, OUTPUT_LIMIT_BYTES)),
    });
    const timer = setTimeout(() => settle(commandTimedOut(host, options.deadlineMs)), options.deadlineMs);
    const onAbort = () => settle(commandAborted(host));
    options.signal?.addEventListener('abort', onAbort, { once: true });

    try {
      const sent = this.#send(script, settle);
      const fault = await outcome;
      if (fault !== undefined) {
        if (KILLED.has(fault.code)) await this.#kill(sent);
        this.#program = undefined;
        throw fault;
      }
    } finally {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', onAbort);
      this.#reader = undefined;
    }
    if (callbackError !== undefined) throw callbackError;
    return answers;
  }

  /** Writes the script as early as the transport allows and settles the batch when the shell ends before it is answered. */
  async #send(script: string, settle: (fault: FleetError) => void): Promise<Program | undefined> {
    try {
      const program = await this.#start();
      program.ended.then((end) => {
        this.#forget(program);
        settle(
          end.lost === undefined
            ? this.#shellEnded(end.signal ?? `status ${end.code ?? '?'}`)
            : connectionLost(this.#opener.host, end.lost),
        );
      });
      if (program.waitsForPassword) await program.started;
      else program.started.catch((error: FleetError) => settle(error));
      program.stdin.write(script);
      return program;
    } catch (error) {
      this.#program = undefined;
      settle(error as FleetError);
      return undefined;
    }
  }

  #forget(program: Program): void {
    const current = this.#program;
    current?.then(
      (latest) => {
        if (latest === program && this.#program === current) this.#program = undefined;
      },
      () => {},
    );
  }

  #shellEnded(how: string): FleetError {
    const { host } = this.#opener;
    return new FleetError({
      code: 'SHELL_ENDED',
      host,
      message: `the shell on ${host} ended (${how}) in the middle of its work`,
      fix: 'Something on the host killed it (a reboot, the OOM killer, a script that kills its parent): see the journal there, then run again.',
    });
  }

  async #kill(sent: Promise<Program | undefined>): Promise<void> {
    // The channel may still be waiting for the host's yes; then there is nothing to kill yet and closing is enough.
    const program = await Promise.race([sent, Promise.resolve(undefined).then(() => sent)]);
    if (program === undefined) return;
    try {
      const pid = await promptly(program.started, KILL_DEADLINE_MS);
      await runScript(this.#opener, killTreeScript(pid), {
        deadlineMs: KILL_DEADLINE_MS,
        killAtDeadline: false,
        ...(this.#become === undefined ? {} : { become: this.#become }),
      });
    } catch {
      // The deadline is the news. Where even killing fails, the connection is gone and the next batch says so.
    } finally {
      program.close();
    }
  }
}

const KILLED: ReadonlySet<string> = new Set(['COMMAND_TIMED_OUT', 'COMMAND_ABORTED', 'OUTPUT_TOO_LARGE']);

function composeBatch(host: string, nonce: string, items: readonly Item[]): string {
  try {
    return batchScript(nonce, items);
  } catch (error) {
    throw new FleetError(
      {
        code: 'SCRIPT_UNSENDABLE',
        host,
        message: `a script for ${host} cannot be sent: ${error instanceof Error ? error.message : String(error)}`,
        blame: 'fleet',
      },
      { cause: error },
    );
  }
}

/** A caller's callback must not break the reading of a stream that others wait for: its error is kept for the end. */
function guarded(call: (line: string) => void, keep: (error: unknown) => void): (line: string) => void {
  return (line) => {
    try {
      call(line);
    } catch (error) {
      keep(error);
    }
  };
}

function guarded2(
  call: BatchOptions['onAnswer'],
  index: number,
  answer: Answer,
  keep: (error: unknown) => void,
): void {
  try {
    call?.(index, answer);
  } catch (error) {
    keep(error);
  }
}

function promptly<T>(promise: Promise<T>, withinMs: number): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('too late')), withinMs);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
