import { StringDecoder } from 'node:string_decoder';
import type { Answer, Item } from './connection.ts';
import { FrameSplitter } from './frames.ts';

interface Collected {
  readonly stdout: Buffer[];
  readonly stderr: Buffer[];
  bytes: number;
  code?: number | 'skipped';
  stdoutDone: boolean;
  stderrDone: boolean;
}

export interface BatchReaderOptions {
  readonly nonce: string;
  readonly items: readonly Pick<Item, 'onLine'>[];
  /** Most bytes that one item may put out, both streams together. */
  readonly limitBytes: number;
  readonly onAnswer: (index: number, answer: Answer | undefined) => void;
  /** Called once, with the item that put out more than the limit. Nothing is collected after it. */
  readonly onOverflow: (index: number) => void;
}

/** Puts the two output streams of a running batch together again into one answer per item. Pure: bytes in, calls out. */
export class BatchReader {
  readonly #options: BatchReaderOptions;
  readonly #items: Collected[];
  readonly #out: FrameSplitter;
  readonly #err: FrameSplitter;
  #outIndex = -1;
  #errIndex = -1;
  #answered = 0;
  #overflowed = false;
  #lines: LineReader | undefined;

  constructor(options: BatchReaderOptions) {
    this.#options = options;
    this.#items = options.items.map(() => ({
      stdout: [],
      stderr: [],
      bytes: 0,
      stdoutDone: false,
      stderrDone: false,
    }));
    this.#out = new FrameSplitter(options.nonce, {
      data: (bytes) => this.#stdoutData(bytes),
      frame: (words) => this.#stdoutFrame(words),
    });
    this.#err = new FrameSplitter(options.nonce, {
      data: (bytes) => this.#collect(this.#errIndex, 'stderr', bytes),
      frame: (words) => this.#stderrFrame(words),
    });
  }

  /** How many items have a complete answer; they come in order. */
  get answered(): number {
    return this.#answered;
  }

  get complete(): boolean {
    return this.#answered === this.#items.length;
  }

  stdout(chunk: Buffer): void {
    this.#out.push(chunk);
  }

  stderr(chunk: Buffer): void {
    this.#err.push(chunk);
  }

  #stdoutData(bytes: Buffer): void {
    this.#collect(this.#outIndex, 'stdout', bytes);
    this.#lines?.push(bytes);
  }

  #collect(index: number, stream: 'stdout' | 'stderr', bytes: Buffer): void {
    // Before the first frame it is not ours: a login banner, an .bashrc that talks, a child of an earlier batch.
    const item = this.#items[index];
    if (item === undefined || this.#overflowed) return;
    item.bytes += bytes.length;
    if (item.bytes > this.#options.limitBytes) {
      this.#overflowed = true;
      this.#options.onOverflow(index);
      return;
    }
    item[stream].push(bytes);
  }

  #stdoutFrame(words: readonly string[]): void {
    const [first, status] = words;
    if (first === 'start' && this.#outIndex === -1) {
      this.#beginStdout(0);
      return;
    }
    const item = this.#items[this.#outIndex];
    if (item === undefined || first !== String(this.#outIndex) || status === undefined) return;
    this.#lines?.end();
    item.code = status === 'skipped' ? 'skipped' : Number.parseInt(status, 10) & 0xff;
    item.stdoutDone = true;
    this.#beginStdout(this.#outIndex + 1);
    this.#report();
  }

  #beginStdout(index: number): void {
    this.#outIndex = index;
    const onLine = this.#options.items[index]?.onLine;
    this.#lines = onLine === undefined ? undefined : new LineReader(onLine);
  }

  #stderrFrame(words: readonly string[]): void {
    const [first] = words;
    if (first === 'start' && this.#errIndex === -1) {
      this.#errIndex = 0;
      return;
    }
    const item = this.#items[this.#errIndex];
    if (item === undefined || first !== String(this.#errIndex)) return;
    item.stderrDone = true;
    this.#errIndex += 1;
    this.#report();
  }

  #report(): void {
    for (;;) {
      const item = this.#items[this.#answered];
      if (item === undefined || !item.stdoutDone || !item.stderrDone || this.#overflowed) return;
      const index = this.#answered;
      this.#answered += 1;
      this.#options.onAnswer(
        index,
        item.code === 'skipped' || item.code === undefined
          ? undefined
          : { stdout: text(item.stdout), stderr: text(item.stderr), code: item.code },
      );
      item.stdout.length = 0;
      item.stderr.length = 0;
    }
  }
}

function text(chunks: readonly Buffer[]): string {
  const [only] = chunks;
  return (chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks)).toString('utf8');
}

/** Whole lines out of bytes cut anywhere, without their ends; a last line without one comes at the end. */
class LineReader {
  readonly #decoder = new StringDecoder('utf8');
  readonly #onLine: (line: string) => void;
  #partial = '';

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(bytes: Buffer): void {
    const parts = this.#decoder.write(bytes).split('\n');
    parts[0] = this.#partial + parts[0];
    this.#partial = parts.pop() ?? '';
    for (const line of parts) this.#onLine(line);
  }

  end(): void {
    const last = this.#partial + this.#decoder.end();
    this.#partial = '';
    if (last !== '') this.#onLine(last);
  }
}
