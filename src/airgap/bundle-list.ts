import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { FleetError } from '../core/errors.ts';
import { type AirgapBundle, type BundleFile, bundleListName } from '../facts/airgap-bundle.ts';
import { bundleOf } from '../facts/airgap-inspection.ts';
import { compareVersions, type K3sArch, mustParseVersion } from '../k3s/version.ts';

/** Writes a file of the bundle's own so that it is there whole or not at all, also after a power cut. */
export async function writeWhole(path: string, content: string): Promise<void> {
  const temporary = `${path}.new`;
  const handle = await open(temporary, 'w', 0o644);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, path);
}

/** The list for these files; what they hold decides which versions and architectures it names. */
export function listOf(files: readonly BundleFile[], origin: string, madeAt: Date): AirgapBundle {
  const named = new Set(files.flatMap(({ version }) => (version === undefined ? [] : [version])));
  const versions = [...named].map(mustParseVersion).sort(compareVersions);
  const architectures = new Set(files.flatMap(({ arch }) => (arch === undefined ? [] : [arch as K3sArch])));
  return {
    format: 1,
    madeAt: madeAt.toISOString(),
    origin,
    versions: versions.map(({ text }) => text),
    architectures: [...architectures].sort(),
    files: [...files].sort((a, b) => (a.path < b.path ? -1 : 1)),
  };
}

/** @returns the text that was written */
export async function writeList(folder: string, bundle: AirgapBundle): Promise<string> {
  const text = `${JSON.stringify(bundle, undefined, 2)}\n`;
  await writeWhole(join(folder, bundleListName), text);
  return text;
}

/** The list of a folder that must have one. @throws FleetError NO_BUNDLE, AIRGAP_BUNDLE */
export async function mustHaveList(folder: string): Promise<AirgapBundle> {
  const bundle = await bundleOf(folder);
  if (bundle !== undefined) return bundle;
  throw new FleetError({
    code: 'NO_BUNDLE',
    message: `${folder} has no ${bundleListName}`,
    where: { file: folder },
    fix: 'Name the folder that fleet airgap pull wrote; or make one there.',
    blame: 'usage',
  });
}
