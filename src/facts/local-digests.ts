import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ControlFact } from '../engine/fact.ts';
import { localFile } from '../engine/upload.ts';

/** Name to sha256. */
export type FileDigests = ReadonlyMap<string, string>;

/** The sha256 of every image archive in a folder of the control node, read as a stream and once per run. */
export function localDigests(folder: string): ControlFact<FileDigests> {
  return {
    key: `airgap-digests:${folder}`,
    read: async () => {
      const names = (await readdir(folder)).filter((name) => /\.tar(\.\w+)?$|\.tgz$/.test(name));
      const digests = await Promise.all(
        names.map(async (name) => [name, (await localFile(join(folder, name))).sha256] as const),
      );
      return new Map(digests);
    },
  };
}

export const noDigests: ControlFact<FileDigests> = { key: 'airgap-digests:', read: async () => new Map() };
