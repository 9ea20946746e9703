import { rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FleetError } from '../core/errors.ts';
import { listOf, mustHaveList, writeList } from './bundle-list.ts';
import { signatureNames } from './signature.ts';

/**
 * Removes the files of all releases but the newest `keep` from a bundle, and from its list first: a crash in between
 * leaves files that nobody uses. A signature goes too, since it was of the longer list.
 * @returns the releases that are gone
 */
export async function pruneBundle(folder: string, keep: number): Promise<readonly string[]> {
  if (!Number.isInteger(keep) || keep < 1) {
    throw new FleetError({
      code: 'FLAG_VALUE',
      message: '--keep takes a whole number from 1',
      fix: 'Write for example --keep 2.',
      blame: 'usage',
    });
  }
  const bundle = await mustHaveList(folder);
  const gone = bundle.versions.slice(0, Math.max(0, bundle.versions.length - keep));
  if (gone.length === 0) return [];
  const isGone = (version: string | undefined): boolean => version !== undefined && gone.includes(version);
  for (const name of signatureNames) await rm(join(folder, name), { force: true });
  const kept = bundle.files.filter(({ version }) => !isGone(version));
  await writeList(folder, listOf(kept, bundle.origin, new Date(bundle.madeAt)));
  const dropped = bundle.files.filter(({ version }) => isGone(version)).map(({ path }) => join(folder, path));
  for (const path of dropped) await rm(path, { force: true });
  for (const parent of new Set(dropped.map((path) => dirname(path)))) {
    // Somebody may have put a file of theirs beside.
    await rmdir(parent).catch(() => {});
  }
  return gone;
}
