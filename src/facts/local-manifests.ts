import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { FleetError } from '../core/errors.ts';
import type { ControlFact } from '../engine/fact.ts';
import { airgapFolder, manifestsIn } from './airgap-folder.ts';
import { candidatesFor } from './control-file.ts';

export type LocalManifests = readonly {
  readonly path: string;
  readonly content: string;
  readonly sha256: string;
}[];

/** Files on the control node, each looked for along the search path. @throws FleetError FILE_UNREADABLE */
export function localManifests(
  paths: readonly string[],
  searchPath: readonly string[],
): ControlFact<LocalManifests> {
  return {
    key: `manifests:${paths.join(':')}:${searchPath.join(':')}`,
    read: () =>
      Promise.all(paths.map((path) => readManifest(path, candidatesFor(path, searchPath, 'files')))),
  };
}

/** The manifests of an airgap folder. @throws FleetError AIRGAP_DIR, FILE_UNREADABLE */
export function airgapManifests(folder: string | undefined): ControlFact<LocalManifests> {
  return {
    key: `manifests-of:${folder ?? ''}`,
    read: async () => {
      const files = folder === undefined ? [] : manifestsIn(await airgapFolder(folder).read());
      return Promise.all(files.map(({ path }) => readManifest(path, [path])));
    },
  };
}

async function readManifest(named: string, candidates: readonly string[]) {
  for (const path of candidates) {
    const content = await readFile(path, 'utf8').catch(() => undefined);
    if (content !== undefined)
      return { path, content, sha256: createHash('sha256').update(content).digest('hex') };
  }
  throw new FleetError({
    code: 'FILE_UNREADABLE',
    message: `extra_manifests names ${named}, which is not found; looked for ${candidates.join(', ')}`,
    fix: 'Give full paths, or paths relative to the inventory.',
    blame: 'usage',
  });
}
