import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { Duplex, type Readable, type Writable } from 'node:stream';

/** How much of what a ProxyCommand complains about is kept for the error. */
const COMPLAINT_LIMIT = 2048;

/** A `ProxyCommand` as a byte stream: the command's stdin and stdout are the connection, as ssh_config(5) has it. */
export class ProxyCommandStream extends Duplex {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  #complaint = '';

  /** @param command already expanded (%h, %p, %r), run by `sh -c` with `exec` in front, as ssh does. */
  constructor(command: string) {
    super({ allowHalfOpen: false, emitClose: true });
    this.#child = spawn('/bin/sh', ['-c', `exec ${command}`], {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    this.#child.stdout.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) this.#child.stdout.pause();
    });
    this.#child.stderr.on('data', (chunk: Buffer) => {
      if (this.#complaint.length < COMPLAINT_LIMIT) this.#complaint += chunk.toString('utf8');
    });
    // A broken pipe is only the first sign of its end; `close` comes once its stderr, which says why, has been read.
    this.#child.stdin.on('error', () => {});
    this.#child.on('error', (error) => this.destroy(error));
    this.#child.on('close', () => this.destroy());
  }

  /** What the command wrote to its stderr, from the beginning. */
  get complaint(): string {
    return this.#complaint;
  }

  override _read(): void {
    this.#child.stdout.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#child.stdin.write(chunk, () => done());
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#child.stdin.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const { pid } = this.#child;
    // The whole group: `exec` covers one command, not a pipeline of them.
    if (pid !== undefined && this.#child.exitCode === null) {
      try {
        process.kill(-pid, 'SIGTERM');
      } catch {
        this.#child.kill();
      }
    }
    done(error);
  }
}
