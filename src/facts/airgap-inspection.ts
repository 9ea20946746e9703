import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FleetError } from '../core/errors.ts';
import type { ControlFact } from '../engine/fact.ts';
import { localFile, textsIn } from '../engine/local-file.ts';
import type { K3sArch } from '../k3s/version.ts';
import { type AirgapBundle, bundleListName, parseBundle } from './airgap-bundle.ts';
import { type AirgapFile, airgapFolder, baseName, binaryNames } from './airgap-folder.ts';

/** What is in a file of an airgap folder. */
export interface InspectedFile {
  readonly sha256: string;
  /** What a list beside it says it has, and which list. */
  readonly published?: { readonly sha256: string; readonly by: string };
  /** For which processor a program is; `undefined` for what is no program. Only of binaries. */
  readonly machine?: K3sArch | 'other';
  /** The releases that a binary names in itself; it is one of them. Empty where it names none. */
  readonly releases?: readonly string[];
  /** How large an archive is unpacked, where it says so itself, else three times its size. Only of archives. */
  readonly unpackedBytes?: number;
}

/** All that can be told of an airgap folder without a host. */
export interface AirgapInspection {
  /** The list of a bundle; `undefined` for a folder made by hand. */
  readonly bundle: AirgapBundle | undefined;
  /** By the name in the folder. */
  readonly files: ReadonlyMap<string, InspectedFile>;
}

export const nothingInspected: ControlFact<AirgapInspection> = {
  key: 'airgap-inspection:',
  read: async () => ({ bundle: undefined, files: new Map() }),
};

/** Reads once every file of an airgap folder that a node may be sent. @throws FleetError AIRGAP_DIR, AIRGAP_BUNDLE */
export function airgapInspection(folder: string): ControlFact<AirgapInspection> {
  return {
    key: `airgap-inspection:${folder}`,
    read: async () => {
      const files = await airgapFolder(folder).read();
      const bundle = await bundleOf(folder);
      const published = await publishedSums(files, bundle);
      const inspected = await Promise.all(
        files
          .filter((file) => kindOf(file) !== undefined)
          .map(async (file) => {
            const said = published.get(file.name);
            const found = await inspect(file);
            return [file.name, { ...found, ...(said === undefined ? {} : { published: said }) }] as const;
          }),
      );
      return { bundle, files: new Map(inspected) };
    },
  };
}

/** The list of a folder, or `undefined` where it has none. @throws FleetError AIRGAP_BUNDLE */
export async function bundleOf(folder: string): Promise<AirgapBundle | undefined> {
  const path = join(folder, bundleListName);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new FleetError(
      {
        code: 'AIRGAP_BUNDLE',
        message: `${path} cannot be read: ${error.message}`,
        where: { file: path },
        fix: 'Check its permissions.',
      },
      { cause: error },
    );
  });
  return text === undefined ? undefined : parseBundle(text, path);
}

function kindOf(file: AirgapFile): 'binary' | 'archive' | 'script' | 'other' | undefined {
  const base = baseName(file);
  if (/^(charts|manifests|selinux)\//.test(file.name) || base.endsWith('.rpm')) return 'other';
  const binaries = (['amd64', 'arm64', 'arm'] as const).flatMap((arch) => binaryNames(arch));
  if (binaries.includes(base)) return 'binary';
  if (/\.tar(\.\w+)?$|\.tgz$/.test(base)) return 'archive';
  return /^(k3s-)?install\.sh$/.test(base) ? 'script' : undefined;
}

async function inspect(file: AirgapFile): Promise<InspectedFile> {
  const { sha256 } = await localFile(file.path);
  switch (kindOf(file)) {
    case 'binary': {
      const machine = await machineOf(file.path);
      return {
        sha256,
        ...(machine === undefined ? {} : { machine }),
        releases: await textsIn(file.path, 'releases', () => releasesNamedIn(file.path)),
      };
    }
    case 'archive':
      return { sha256, unpackedBytes: await unpackedSize(file) };
    default:
      return { sha256 };
  }
}

/** What the lists say: that of a bundle, else the `sha256sum-<arch>.txt` that lies beside a file as releases have it. */
async function publishedSums(
  files: readonly AirgapFile[],
  bundle: AirgapBundle | undefined,
): Promise<ReadonlyMap<string, { readonly sha256: string; readonly by: string }>> {
  if (bundle !== undefined) {
    return new Map(bundle.files.map(({ path, sha256 }) => [path, { sha256, by: bundleListName }]));
  }
  const lists = files.filter((file) => /^sha256sum-(amd64|arm64|arm)\.txt$/.test(baseName(file)));
  const sums = new Map<string, { readonly sha256: string; readonly by: string }>();
  for (const list of lists) {
    const folder = list.name.slice(0, -baseName(list).length);
    for (const line of (await readFile(list.path, 'utf8')).split('\n')) {
      const [, sha256, name] = /^([0-9a-f]{64})\s+\*?(\S+)$/.exec(line.trim()) ?? [];
      if (sha256 === undefined || name === undefined) continue;
      sums.set(`${folder}${name}`, { sha256, by: list.name });
      // k3s-ansible's own names for the same files.
      if (name === 'k3s') sums.set(`${folder}k3s-amd64`, { sha256, by: list.name });
      if (name === 'k3s-armhf') sums.set(`${folder}k3s-arm`, { sha256, by: list.name });
    }
  }
  return sums;
}

/** ELF's e_machine. @see https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html */
async function machineOf(path: string): Promise<K3sArch | 'other' | undefined> {
  const [head] = await ends(path, 20, 0);
  if (head.length < 20 || head.toString('latin1', 0, 4) !== '\x7fELF') return undefined;
  const machine = head[5] === 2 ? head.readUInt16BE(18) : head.readUInt16LE(18);
  return ({ 62: 'amd64', 183: 'arm64', 40: 'arm' } as const)[machine] ?? 'other';
}

/** The first and the last bytes of a file; fewer where it is shorter. */
async function ends(path: string, first: number, last: number): Promise<readonly [Buffer, Buffer]> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    const read = async (at: number, length: number): Promise<Buffer> => {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, at);
      return buffer.subarray(0, bytesRead);
    };
    return [await read(0, first), await read(Math.max(0, size - last), last)];
  } finally {
    await handle.close();
  }
}

/** Go links the version into the binary as text. Read in large pieces that overlap by more than a version is long. */
async function releasesNamedIn(path: string): Promise<readonly string[]> {
  const found = new Set<string>();
  const handle = await open(path, 'r');
  const overlap = 64;
  const piece = Buffer.alloc(4 * 1024 * 1024);
  try {
    for (let at = 0; ; at += piece.length - overlap) {
      const { bytesRead } = await handle.read(piece, 0, piece.length, at);
      for (let mark = piece.indexOf('+k3s'); mark !== -1 && mark < bytesRead; ) {
        const before = piece.toString('latin1', Math.max(0, mark - 40), mark);
        const behind = piece.toString('latin1', mark, Math.min(bytesRead, mark + 8));
        const [numbers] = /v1\.\d+\.\d+(?:-[0-9A-Za-z.]+)?$/.exec(before) ?? [];
        const [build] = /^\+k3s\d+/.exec(behind) ?? [];
        if (numbers !== undefined && build !== undefined) found.add(`${numbers}${build}`);
        mark = piece.indexOf('+k3s', mark + 1);
      }
      if (bytesRead < piece.length) return [...found].sort();
    }
  } finally {
    await handle.close();
  }
}

/**
 * gzip ends with the unpacked size modulo 4 GiB (RFC 1952, 2.3.1), a zstd frame may begin with it; three times the packed
 * size where neither says.
 */
async function unpackedSize(file: AirgapFile): Promise<number> {
  if (file.name.endsWith('.tar')) return file.sizeBytes;
  const [head, tail] = await ends(file.path, 18, 4);
  const guess = 3 * file.sizeBytes;
  if (head.length < 18) return guess;
  if (head.readUInt16BE(0) === 0x1f8b) return Math.max(tail.readUInt32LE(0), file.sizeBytes);
  return head.readUInt32LE(0) === 0xfd2fb528 ? (zstdContentSize(head) ?? guess) : guess;
}

/** @see https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.1 */
function zstdContentSize(frame: Buffer): number | undefined {
  const descriptor = frame.readUInt8(4);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const dictionaryIdBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const at = 5 + (isSingleSegment ? 0 : 1) + dictionaryIdBytes;
  switch (descriptor >> 6) {
    case 0:
      return isSingleSegment ? frame.readUInt8(at) : undefined;
    case 1:
      return frame.readUInt16LE(at) + 256;
    case 2:
      return frame.readUInt32LE(at);
    default:
      return Number(frame.readBigUInt64LE(at));
  }
}
