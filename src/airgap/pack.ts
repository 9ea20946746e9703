import { createReadStream, createWriteStream, type WriteStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { finished } from 'node:stream/promises';
import { FleetError } from '../core/errors.ts';
import { bundleListName } from '../facts/airgap-bundle.ts';
import { mustHaveList } from './bundle-list.ts';
import { signatureNames } from './signature.ts';
import { readTar, tarEnd, tarHeader, tarPadding } from './tar.ts';

const readSize = 1024 * 1024;

/**
 * Writes a bundle as one tar, or as parts of at most `splitBytes` (`NAME.001` …) that `cat` puts together again. It is not
 * compressed: what is in a bundle is so already. The list comes last, so that a folder half unpacked has none.
 * @returns the paths of what was written
 */
export async function packBundle(
  folder: string,
  path: string,
  splitBytes: number | undefined,
): Promise<readonly string[]> {
  const { files, madeAt } = await mustHaveList(folder);
  const out = new Parts(path, splitBytes);
  const inFolder = await readdir(folder);
  const extra = signatureNames.filter((name) => inFolder.includes(name));
  for (const name of [...files.map((file) => file.path), ...extra, bundleListName]) {
    const source = join(folder, name);
    const found = await stat(source).catch((cause) => {
      throw new FleetError(
        {
          code: 'BUNDLE_DAMAGED',
          message: `${source} is in the list of the bundle and is not there`,
          fix: `See what is wrong with it: fleet airgap verify ${folder}`,
        },
        { cause },
      );
    });
    await out.write(
      tarHeader(
        { name, sizeBytes: found.size },
        (found.mode & 0o111) === 0 ? 0o644 : 0o755,
        new Date(madeAt),
      ),
    );
    for await (const chunk of createReadStream(source, { highWaterMark: readSize })) await out.write(chunk);
    await out.write(tarPadding(found.size));
  }
  await out.write(tarEnd);
  return out.end();
}

/** Unpacks what `packBundle` wrote, named by its whole file or by its first part. @throws FleetError TAR_WRONG, FILE_UNREADABLE */
export async function unpackBundle(path: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const parts = await partsOf(path);
  await readTar(bytesOf(parts), async ({ name }) => {
    const target = join(folder, name);
    await mkdir(dirname(target), { recursive: true });
    const temporary = join(dirname(target), `.${basename(target)}.part`);
    const handle = await open(temporary, 'w', 0o644);
    return {
      write: async (bytes) => {
        await handle.write(bytes);
      },
      end: async () => {
        await handle.sync();
        await handle.close();
        await rename(temporary, target);
      },
    };
  });
}

async function partsOf(path: string): Promise<readonly string[]> {
  const stem = path.replace(/\.\d{3}$/, '');
  if (stem === path && (await stat(path).catch(() => undefined)) !== undefined) return [path];
  const names = await readdir(dirname(stem)).catch(() => []);
  const parts = names
    .filter((name) => name.startsWith(`${basename(stem)}.`) && /\.\d{3}$/.test(name))
    .sort()
    .map((name) => join(dirname(stem), name));
  const missing = parts.findIndex((part, index) => part !== partName(stem, index));
  if (parts.length === 0 || missing >= 0) {
    throw new FleetError({
      code: 'FILE_UNREADABLE',
      message: `cannot read ${parts.length === 0 ? path : partName(stem, missing)}`,
      fix: 'Name what fleet airgap pack wrote; all parts must lie in one folder.',
      blame: 'usage',
    });
  }
  return parts;
}

async function* bytesOf(parts: readonly string[]): AsyncGenerator<Buffer> {
  for (const part of parts) yield* createReadStream(part, { highWaterMark: readSize });
}

function partName(path: string, index: number): string {
  return `${path}.${String(index + 1).padStart(3, '0')}`;
}

/** A file, or as many as are needed for none to be larger than allowed. */
class Parts {
  readonly #path: string;
  readonly #most: number;
  readonly #written: string[] = [];
  #stream: WriteStream | undefined;
  #left = 0;

  constructor(path: string, splitBytes: number | undefined) {
    this.#path = path;
    this.#most = splitBytes ?? Number.POSITIVE_INFINITY;
  }

  async write(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      if (this.#stream === undefined || this.#left === 0) await this.#next();
      const piece = bytes.subarray(at, Math.min(bytes.length, at + this.#left));
      const stream = this.#stream;
      if (stream !== undefined && !stream.write(piece)) {
        await new Promise<void>((resolve, reject) => {
          stream.once('drain', resolve);
          stream.once('error', reject);
        });
      }
      at += piece.length;
      this.#left -= piece.length;
    }
  }

  async #next(): Promise<void> {
    await this.#close();
    const name =
      this.#most === Number.POSITIVE_INFINITY ? this.#path : partName(this.#path, this.#written.length);
    await rm(name, { force: true });
    this.#written.push(name);
    this.#stream = createWriteStream(name);
    this.#left = this.#most;
  }

  async #close(): Promise<void> {
    if (this.#stream === undefined) return;
    this.#stream.end();
    await finished(this.#stream);
  }

  async end(): Promise<readonly string[]> {
    await this.#close();
    return this.#written;
  }
}
