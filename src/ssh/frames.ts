import { randomBytes } from 'node:crypto';
import { type AskedOfMany, quote } from '../core/shell.ts';
import type { Item } from './connection.ts';

type BatchItem = Pick<Item, 'script' | 'ofMany' | 'mustSucceed'>;

/** No header is longer: `<nonce> <index> <status>\n`. A longer one is a broken stream and is passed on as data. */
const LONGEST_HEADER = 80;

export interface FrameSink {
  /** Bytes between frames, as they come; cut anywhere. */
  data(bytes: Buffer): void;
  /** The words after the nonce on a frame's line. */
  frame(words: readonly string[]): void;
}

/** A text nobody can guess: 128 random bits in hex. */
export function newNonce(): string {
  return randomBytes(16).toString('hex');
}

/**
 * Cuts a byte stream at frames (`<nonce> word…\n`, anywhere, also in the middle of a line) and hands on everything
 * between them untouched. Holds back only what may be the beginning of a frame.
 */
export class FrameSplitter {
  readonly #nonce: Buffer;
  readonly #sink: FrameSink;
  #held: Buffer = Buffer.alloc(0);

  constructor(nonce: string, sink: FrameSink) {
    this.#nonce = Buffer.from(nonce, 'latin1');
    this.#sink = sink;
  }

  push(chunk: Buffer): void {
    let rest = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    for (;;) {
      const at = rest.indexOf(this.#nonce);
      if (at < 0) break;
      const lineEnd = rest.indexOf(10, at);
      if (lineEnd < 0 && rest.length - at <= LONGEST_HEADER) {
        this.#emit(rest.subarray(0, at));
        this.#held = rest.subarray(at);
        return;
      }
      if (lineEnd < 0 || lineEnd - at > LONGEST_HEADER) {
        const past = at + this.#nonce.length;
        this.#emit(rest.subarray(0, past));
        rest = rest.subarray(past);
        continue;
      }
      this.#emit(rest.subarray(0, at));
      const words = rest.toString('latin1', at + this.#nonce.length, lineEnd).trim();
      rest = rest.subarray(lineEnd + 1);
      this.#sink.frame(words.split(' '));
    }
    const kept = this.#possibleStart(rest);
    this.#emit(rest.subarray(0, rest.length - kept));
    this.#held = rest.subarray(rest.length - kept);
  }

  /** How many of the last bytes could be the beginning of a nonce. */
  #possibleStart(bytes: Buffer): number {
    let at = Math.max(0, bytes.length - this.#nonce.length + 1);
    for (;;) {
      at = bytes.indexOf(this.#nonce[0] as number, at);
      if (at < 0) return 0;
      const length = bytes.length - at;
      if (bytes.compare(this.#nonce, 0, length, at) === 0) return length;
      at += 1;
    }
  }

  #emit(bytes: Buffer): void {
    if (bytes.length > 0) this.#sink.data(bytes);
  }
}

/**
 * The script of a whole batch for one `sh` that reads it from its stdin. It is one function, so the shell has read all of it
 * before anything runs. Each item is a quoted string, eval'd in a subshell of its own: a syntax error, an `exit`, an `exec` or
 * a closed descriptor ends that subshell and nothing else. Frames on stdout are `<nonce> start`, `<nonce> <index> <status|skipped>`,
 * on stderr `<nonce> start`, `<nonce> <index>`. The nonce stands in the script in two halves, so that even a shell that prints
 * its own functions (`set` under bash) prints no frame. Neighbours that ask the same of many things share a subshell.
 * @throws RangeError for a NUL byte in a script.
 */
export function batchScript(nonce: string, items: readonly BatchItem[]): string {
  const half = nonce.length / 2;
  const halves = `${nonce.slice(0, half)} ${nonce.slice(half)}`;
  const parts = [
    'fleet_batch() {',
    'fleet_go=1',
    `printf '%s%s start\\n' ${halves}; printf '%s%s start\\n' ${halves} >&2`,
  ];
  for (let index = 0; index < items.length; index += 1) {
    const item = items[index] as BatchItem;
    const alike = alikeFrom(items, index);
    if (item.ofMany !== undefined && alike.length > 1) {
      parts.push(
        `( fleet_index=${index}; set -- ${alike.map(({ about }) => quote(about)).join(' ')}`,
        ...(item.ofMany.before === undefined ? [] : [`eval ${quote(item.ofMany.before.text)}`]),
        'for p; do',
        `eval ${quote(item.ofMany.each.text)}`,
        `fleet_code=$?; printf '%s%s %s %s\\n' ${halves} "$fleet_index" "$fleet_code"; printf '%s%s %s\\n' ${halves} "$fleet_index" >&2`,
        'fleet_index=$((fleet_index + 1)); done ) </dev/null',
      );
      index += alike.length - 1;
      continue;
    }
    const guarded = item.mustSucceed === true;
    if (guarded) parts.push('if [ "$fleet_go" = 1 ]; then');
    parts.push(`( eval ${quote(item.script.text)} ) </dev/null; fleet_code=$?`);
    if (guarded) parts.push('[ "$fleet_code" = 0 ] || fleet_go=0', 'else fleet_code=skipped; fi');
    parts.push(
      `printf '%s%s ${index} %s\\n' ${halves} "$fleet_code"; printf '%s%s ${index}\\n' ${halves} >&2`,
    );
  }
  // Redefined to nothing at the end, so that no item of a later batch sees the scripts of this one.
  parts.push('}', 'fleet_batch; fleet_batch() { :; }', '');
  return parts.join('\n');
}

/** From an item on, those that ask the same of other things. */
function alikeFrom(items: readonly BatchItem[], first: number): readonly AskedOfMany[] {
  const alike: AskedOfMany[] = [];
  const kind = items[first]?.ofMany;
  for (const { ofMany } of items.slice(first)) {
    if (ofMany === undefined || kind === undefined || !areAlike(kind, ofMany)) break;
    alike.push(ofMany);
  }
  return alike;
}

/** Whether two scripts ask the same, of whatever they are about. */
function areAlike(one: AskedOfMany, other: AskedOfMany): boolean {
  return one.each.text === other.each.text && one.before?.text === other.before?.text;
}
