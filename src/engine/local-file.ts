import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { FleetError } from '../core/errors.ts';
import { cacheFolder } from './cache-folder.ts';

/** Reads of this size reach 306 MB/s over one channel where 64 KiB reads reach 235 (bench/README.md). */
export const readSize = 1024 * 1024;

/** What was found in files from this size on is kept between runs: reading 250 MB costs a run that sends nothing half a second. */
const keptFromBytes = 1024 * 1024;

/** A file on the control node that stands ready to be sent. */
export interface LocalFile {
  readonly path: string;
  readonly sha256: string;
  readonly size: number;
}

const digests = new Map<string, Promise<LocalFile>>();

/**
 * Size and sha256 of a local file; computed once per run, and for a large one once for as long as it does not change.
 * @throws FleetError FILE_UNREADABLE
 */
export async function localFile(path: string): Promise<LocalFile> {
  const { size, identity } = await identityOf(path);
  const known =
    digests.get(identity) ??
    keptOf(identity, size, /^[0-9a-f]{64}$/, () => sha256Of(path, size)).then((sha256) => ({
      path,
      sha256,
      size,
    }));
  digests.set(identity, known);
  return known;
}

/**
 * What somebody looks for in a file, as texts: found anew only when the file has changed.
 * @throws FleetError FILE_UNREADABLE
 */
export async function textsIn(
  path: string,
  what: string,
  find: () => Promise<readonly string[]>,
): Promise<readonly string[]> {
  const { size, identity } = await identityOf(path);
  const found = await keptOf(`${identity}\0${what}`, size, /^\[.*\]$/, async () =>
    JSON.stringify(await find()),
  );
  return JSON.parse(found) as readonly string[];
}

/** What nobody can set at will (the time of its last change, its inode) tells whether a file is as it was. */
async function identityOf(path: string): Promise<{ readonly size: number; readonly identity: string }> {
  const found = await stat(path, { bigint: true }).catch((cause) => {
    throw new FleetError(
      {
        code: 'FILE_UNREADABLE',
        message: `cannot read ${path}`,
        where: { file: path },
        fix: 'Check that the file exists and may be read.',
      },
      { cause },
    );
  });
  const size = Number(found.size);
  return {
    size,
    identity: [resolve(path), size, found.mtimeNs, found.ctimeNs, found.dev, found.ino].join('\0'),
  };
}

/** One piece is read while the one before is summed; new memory for each takes a quarter longer. */
async function sha256Of(path: string, size: number): Promise<string> {
  const hash = createHash('sha256');
  const handle = await open(path);
  try {
    const pieceSize = Math.max(1, Math.min(readSize, size));
    let [current, next] = [Buffer.allocUnsafeSlow(pieceSize), Buffer.allocUnsafeSlow(pieceSize)];
    let at = 0;
    let reading = handle.read(current, 0, pieceSize, at);
    for (;;) {
      const { bytesRead } = await reading;
      if (bytesRead === 0) return hash.digest('hex');
      at += bytesRead;
      reading = handle.read(next, 0, pieceSize, at);
      hash.update(current.subarray(0, bytesRead));
      [current, next] = [next, current];
    }
  } finally {
    await handle.close();
  }
}

/** @param form what a kept text must look like: one that a power cut has emptied does not */
async function keptOf(
  identity: string,
  size: number,
  form: RegExp,
  compute: () => Promise<string>,
): Promise<string> {
  if (size < keptFromBytes) return compute();
  const key = createHash('sha256').update(identity).digest('hex');
  const place = join(cacheFolder(), 'sums', key);
  const before = await readFile(place, 'utf8').catch(() => '');
  if (form.test(before)) return before;
  const found = await compute();
  const temporary = `${place}.${randomBytes(6).toString('hex')}`;
  try {
    await mkdir(dirname(place), { recursive: true, mode: 0o700 });
    await writeFile(temporary, found, { mode: 0o600 });
    await rename(temporary, place);
  } catch {
    // A home that cannot be written to costs time, nothing else.
    await rm(temporary, { force: true }).catch(() => {});
  }
  return found;
}
