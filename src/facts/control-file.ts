import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import type { ControlFact } from '../engine/fact.ts';

/** A file or folder on the control node, found along the search path. */
export type ControlFile =
  | { readonly kind: 'missing'; readonly searched: readonly string[] }
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly sha256: string;
      readonly sizeBytes: number;
      /** Octal text, `0755`. */
      readonly mode: string;
      /** The content; absent above 1 MiB, which is pushed as an upload and never held in memory. */
      readonly bytes?: Buffer;
    }
  | { readonly kind: 'directory'; readonly path: string; readonly entries: readonly ControlEntry[] };

/** One entry below a folder on the control node. */
export interface ControlEntry {
  /** Relative to the folder, with `/`. */
  readonly name: string;
  readonly type: 'file' | 'directory';
  readonly file: Extract<ControlFile, { kind: 'file' }> | undefined;
}

const LARGEST_HELD_BYTES = 1024 * 1024;

/**
 * A local file that a step takes its bytes from, looked for as Ansible does: an absolute path as it is, else in each
 * folder of the search path, first with `subfolder` (`files`, `templates`) between, then without.
 */
export function controlFile(
  name: string,
  searchPath: readonly string[],
  subfolder: 'files' | 'templates' | undefined,
): ControlFact<ControlFile> {
  const candidates = candidatesFor(name, searchPath, subfolder);
  return { key: `control-file:${candidates.join(':')}`, read: () => firstFound(candidates) };
}

/** Where a local file may stand, best first. */
export function candidatesFor(
  name: string,
  searchPath: readonly string[],
  subfolder: 'files' | 'templates' | undefined,
): readonly string[] {
  if (isAbsolute(name)) return [name];
  if (name.startsWith('~/')) return [join(process.env.HOME ?? '/', name.slice(2))];
  const folders = searchPath.length === 0 ? ['.'] : searchPath;
  const all = folders.flatMap((folder) => [
    ...(subfolder === undefined ? [] : [resolve(folder, subfolder, name)]),
    resolve(folder, name),
  ]);
  return [...new Set(all)];
}

async function firstFound(candidates: readonly string[]): Promise<ControlFile> {
  for (const path of candidates) {
    const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
      throw error;
    });
    if (found?.isDirectory()) return { kind: 'directory', path, entries: await entriesBelow(path, '') };
    if (found) return await readControlFile(path);
  }
  return { kind: 'missing', searched: candidates };
}

async function readControlFile(path: string): Promise<Extract<ControlFile, { kind: 'file' }>> {
  const { size, mode } = await stat(path);
  const attributes = { path, sizeBytes: size, mode: (mode & 0o7777).toString(8).padStart(4, '0') };
  if (size <= LARGEST_HELD_BYTES) {
    const bytes = await readFile(path);
    return { kind: 'file', ...attributes, sha256: createHash('sha256').update(bytes).digest('hex'), bytes };
  }
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: LARGEST_HELD_BYTES })) hash.update(chunk);
  return { kind: 'file', ...attributes, sha256: hash.digest('hex') };
}

async function entriesBelow(root: string, relative: string): Promise<readonly ControlEntry[]> {
  const all: ControlEntry[] = [];
  const listed = await readdir(join(root, relative), { withFileTypes: true });
  for (const entry of listed.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const name = relative === '' ? entry.name : `${relative}/${entry.name}`;
    const isDirectory = entry.isDirectory() || (await stat(join(root, name))).isDirectory();
    if (isDirectory) {
      all.push({ name, type: 'directory', file: undefined }, ...(await entriesBelow(root, name)));
    } else {
      all.push({ name, type: 'file', file: await readControlFile(join(root, name)) });
    }
  }
  return all;
}
