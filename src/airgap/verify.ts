import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { localFile } from '../engine/local-file.ts';
import { bundleListName, isBundlesOwn } from '../facts/airgap-bundle.ts';
import { airgapFolder } from '../facts/airgap-folder.ts';
import { airgapInspection, bundleOf } from '../facts/airgap-inspection.ts';
import { type ListSignature, listSignature, signatureNames } from './signature.ts';

/** One thing that was found of a file of an airgap folder. */
export interface FileVerdict {
  readonly path: string;
  /** `unlisted`: nobody vouches for it. */
  readonly state: 'right' | 'missing' | 'damaged' | 'unlisted';
  readonly because: string;
}

export interface FolderVerdict {
  readonly kind: 'bundle' | 'made by hand';
  readonly files: readonly FileVerdict[];
  /** Whether the list is signed by the key that was asked for; `undefined` where none was. */
  readonly signature: ListSignature | undefined;
  /** Nothing is missing, damaged, unlisted among a bundle's releases, or wrongly signed. */
  readonly isRight: boolean;
}

/**
 * Reads every file of an airgap folder and holds it against its list: that of a bundle, or the `sha256sum-<arch>.txt` in
 * a folder made by hand. @throws FleetError AIRGAP_DIR, AIRGAP_BUNDLE, SIGN_KEY
 */
export async function verifyFolder(folder: string, verifyKeyFile?: string): Promise<FolderVerdict> {
  const there = await airgapFolder(folder).read();
  const bundle = await bundleOf(folder);
  const signature = await signatureState(folder, verifyKeyFile);
  if (bundle === undefined) {
    const { files } = await airgapInspection(folder).read();
    const verdicts = [...files].map(([path, { sha256, published }]): FileVerdict => {
      if (published === undefined) return { path, state: 'unlisted', because: 'no list beside it names it' };
      return published.sha256 === sha256
        ? { path, state: 'right', because: `as ${published.by} says` }
        : {
            path,
            state: 'damaged',
            because: `its sha256 is ${sha256}, ${published.by} says ${published.sha256}`,
          };
    });
    const isRight = verdicts.every(({ state }) => state !== 'damaged') && isAccepted(signature);
    return { kind: 'made by hand', files: verdicts, signature, isRight };
  }
  const listed = new Set(bundle.files.map(({ path }) => path));
  const verdicts = await Promise.all(
    bundle.files.map(async ({ path, sha256, sizeBytes }): Promise<FileVerdict> => {
      const found = await stat(join(folder, path)).catch(() => undefined);
      if (found === undefined || !found.isFile())
        return { path, state: 'missing', because: 'it is not there' };
      if (found.size !== sizeBytes)
        return { path, state: 'damaged', because: `it has ${found.size} bytes, not ${sizeBytes}` };
      const got = await localFile(join(folder, path));
      return got.sha256 === sha256
        ? { path, state: 'right', because: `as ${bundleListName} says` }
        : {
            path,
            state: 'damaged',
            because: `its sha256 is ${got.sha256}, ${bundleListName} says ${sha256}`,
          };
    }),
  );
  const own = new Set([bundleListName, ...signatureNames]);
  const extra = there
    .filter(({ name }) => !listed.has(name) && !own.has(name))
    .map(
      ({ name }): FileVerdict => ({
        path: name,
        state: 'unlisted',
        because: `${bundleListName} does not name it`,
      }),
    );
  const isRight =
    verdicts.every(({ state }) => state === 'right') &&
    extra.every(({ path }) => !isBundlesOwn(path)) &&
    isAccepted(signature);
  return { kind: 'bundle', files: [...verdicts, ...extra], signature, isRight };
}

function isAccepted(signature: FolderVerdict['signature']): boolean {
  return signature === undefined || signature === 'right';
}

async function signatureState(
  folder: string,
  keyFile: string | undefined,
): Promise<FolderVerdict['signature']> {
  if (keyFile === undefined) return undefined;
  const list = await readFile(join(folder, bundleListName), 'utf8').catch(() => '');
  return listSignature(folder, list, keyFile);
}
