import { FleetError } from '../core/errors.ts';

/** What a tar says of one file. */
export interface TarEntry {
  readonly name: string;
  readonly sizeBytes: number;
}

const blockBytes = 512;
/** Eleven octal digits. */
const largestFileBytes = 0o77777777777;

/** The header of one file in ustar form, owned by root. @see https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html */
export function tarHeader({ name, sizeBytes }: TarEntry, mode: number, mtime: Date): Buffer {
  const bytes = Buffer.from(name, 'utf8');
  const split = bytes.length <= 100 ? -1 : name.indexOf('/', name.length - 101);
  const prefix = split < 0 ? '' : name.slice(0, split);
  const base = split < 0 ? name : name.slice(split + 1);
  if (Buffer.byteLength(base) > 100 || Buffer.byteLength(prefix) > 155 || sizeBytes > largestFileBytes) {
    throw new RangeError(`${name} does not fit into a tar of the portable form`);
  }
  const header = Buffer.alloc(blockBytes);
  const octal = (value: number, at: number, length: number): void => {
    header.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
  };
  header.write(base, 0, 'utf8');
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(sizeBytes, 124, 12);
  octal(Math.floor(mtime.getTime() / 1000), 136, 12);
  header.write('        0', 148, 'latin1');
  header.write('ustar\x0000root', 257, 'latin1');
  header.write('root', 297, 'latin1');
  header.write(prefix, 345, 'utf8');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

/** The zeros behind a file. */
export function tarPadding(sizeBytes: number): Buffer {
  return Buffer.alloc((blockBytes - (sizeBytes % blockBytes)) % blockBytes);
}

/** What ends a tar. */
export const tarEnd: Buffer = Buffer.alloc(2 * blockBytes);

/**
 * Reads a tar of plain files as it comes, in any pieces. `onFile` is called for each and gives the function that takes
 * its bytes. @throws FleetError TAR_WRONG for what is no tar, is cut short, or names a place outside
 */
export async function readTar(
  pieces: AsyncIterable<Buffer>,
  onFile: (entry: TarEntry) => Promise<{
    readonly write: (bytes: Buffer) => Promise<void>;
    readonly end: () => Promise<void>;
  }>,
): Promise<void> {
  const source = new Pieces(pieces);
  for (;;) {
    const header = await source.exactly(blockBytes);
    if (header.every((byte) => byte === 0)) return;
    const entry = entryOf(header);
    const file = await onFile(entry);
    for (let left = entry.sizeBytes; left > 0; ) {
      const bytes = await source.atMost(left);
      await file.write(bytes);
      left -= bytes.length;
    }
    await file.end();
    await source.exactly(tarPadding(entry.sizeBytes).length);
  }
}

function entryOf(header: Buffer): TarEntry {
  const text = (at: number, length: number): string => {
    const field = header.subarray(at, at + length);
    const end = field.indexOf(0);
    return field.toString('utf8', 0, end < 0 ? length : end);
  };
  const sum = header.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
  if (Number.parseInt(text(148, 8), 8) !== sum) throw wrong('it is no tar, or damaged');
  const prefix = text(345, 155);
  const name = prefix === '' ? text(0, 100) : `${prefix}/${text(0, 100)}`;
  if (!['0', ''].includes(text(156, 1))) throw wrong(`${JSON.stringify(name)} in it is no plain file`);
  const isOutside = name.startsWith('/') || name.split('/').some((part) => ['', '.', '..'].includes(part));
  if (isOutside) throw wrong(`it names the place ${JSON.stringify(name)}, outside the folder`);
  return { name, sizeBytes: Number.parseInt(text(124, 12), 8) };
}

function wrong(reason: string): FleetError {
  return new FleetError({
    code: 'TAR_WRONG',
    message: `the archive cannot be unpacked: ${reason}`,
    fix: 'Copy it again from where fleet airgap pack wrote it, all parts of it.',
  });
}

/** Bytes out of a stream, as many as are wanted at a time. */
class Pieces {
  readonly #pieces: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(pieces: AsyncIterable<Buffer>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  async atMost(length: number): Promise<Buffer> {
    while (this.#rest.length === 0) {
      const next = await this.#pieces.next();
      if (next.done === true) throw wrong('it ends too early; a part of it is missing or short');
      this.#rest = next.value;
    }
    const bytes = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(bytes.length);
    return bytes;
  }

  async exactly(length: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let left = length; left > 0; ) {
      const bytes = await this.atMost(left);
      parts.push(bytes);
      left -= bytes.length;
    }
    return Buffer.concat(parts);
  }
}
