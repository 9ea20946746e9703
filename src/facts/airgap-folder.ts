import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FleetError } from '../core/errors.ts';
import type { ControlFact } from '../engine/fact.ts';
import type { SelinuxTarget } from '../k3s/selinux-source.ts';
import { type K3sArch, parseVersion } from '../k3s/version.ts';

export interface AirgapFile {
  /** Relative to the folder, with `/`: `k3s`, `v1.33.4+k3s1/k3s`. */
  readonly name: string;
  readonly path: string;
  readonly sizeBytes: number;
}

/** The subfolder whose image archives belong to every release. */
const imagesFolder = 'images';
const chartsFolder = 'charts';
const manifestsFolder = 'manifests';
/** Has a folder for each kind of system. */
const selinuxFolder = 'selinux';
const sharedFolders = [imagesFolder, chartsFolder, manifestsFolder, selinuxFolder];

/**
 * The files of an airgap folder, by name: its own, and those in a subfolder that is named like a release
 * (`v1.33.4+k3s1/`), or `images/`, `charts/`, `manifests/` or one of `selinux/`. @throws FleetError AIRGAP_DIR when it is no folder that can be read
 */
export function airgapFolder(folder: string): ControlFact<readonly AirgapFile[]> {
  return {
    key: `airgap:${folder}`,
    read: async () => {
      try {
        return await filesIn(folder, '');
      } catch (cause) {
        throw new FleetError(
          {
            code: 'AIRGAP_DIR',
            message: `airgap_dir ${folder} cannot be read`,
            where: { file: folder },
            fix: 'Give the path of a folder with the k3s binary, the image archives and k3s-install.sh.',
            blame: 'usage',
          },
          { cause },
        );
      }
    },
  };
}

async function filesIn(folder: string, below: string): Promise<readonly AirgapFile[]> {
  const names = (await readdir(join(folder, below))).filter((name) => !name.startsWith('.')).sort();
  const files = await Promise.all(
    names.map(async (base): Promise<readonly AirgapFile[]> => {
      const name = below === '' ? base : `${below}/${base}`;
      const path = join(folder, name);
      const found = await stat(path);
      if (found.isFile()) return [{ name, path, sizeBytes: found.size }];
      if (!found.isDirectory()) return [];
      const isRead =
        below === ''
          ? sharedFolders.includes(base) || parseVersion(base)?.text === base
          : below === selinuxFolder;
      return isRead ? filesIn(folder, name) : [];
    }),
  );
  return files.flat();
}

/** No airgap folder is set: nothing is read. */
export const noAirgapFolder: ControlFact<readonly AirgapFile[]> = { key: 'airgap:', read: async () => [] };

/** The name of a file without the folder it is in. */
export function baseName({ name }: Pick<AirgapFile, 'name'>): string {
  return name.slice(name.lastIndexOf('/') + 1);
}

/** The releases that have a subfolder of their own. */
export function releaseFolders(files: readonly AirgapFile[]): readonly string[] {
  const folders = files.flatMap(({ name }) => (name.includes('/') ? [name.slice(0, name.indexOf('/'))] : []));
  return [...new Set(folders)].filter((folder) => !sharedFolders.includes(folder));
}

/** What counts for a release: what its own subfolder has, then what lies beside it under another name; nothing of other releases. */
export function filesFor(files: readonly AirgapFile[], release: string): readonly AirgapFile[] {
  const own = files.filter(({ name }) => name.startsWith(`${release}/`));
  const names = new Set(own.map(baseName));
  const shared = files.filter(
    (file) =>
      (!file.name.includes('/') || file.name.startsWith(`${imagesFolder}/`)) && !names.has(baseName(file)),
  );
  return [...own, ...shared];
}

/** Helm charts for the servers. */
export function chartsIn(files: readonly AirgapFile[]): readonly AirgapFile[] {
  return files.filter(({ name }) => name.startsWith(`${chartsFolder}/`) && /\.(tgz|tar\.gz)$/.test(name));
}

/** Manifests for the servers, called as k3s wants them. */
export function manifestsIn(files: readonly AirgapFile[]): readonly AirgapFile[] {
  return files.filter(({ name }) => name.startsWith(`${manifestsFolder}/`) && /\.(ya?ml|json)$/.test(name));
}

/** The RPM packages and keys of a folder for one kind of system; empty where it has none of its own. */
export function selinuxFilesIn(files: readonly AirgapFile[], target: SelinuxTarget): readonly AirgapFile[] {
  return files.filter(({ name }) => name.startsWith(`${selinuxFolder}/${target}/`));
}

/** The binary of a release for an architecture: `k3s-<arch>` as k3s-ansible names them and as releases do; plain `k3s` is amd64. */
export function binaryIn(
  files: readonly AirgapFile[],
  arch: K3sArch,
  release: string,
): AirgapFile | undefined {
  const candidates = filesFor(files, release);
  return binaryNames(arch)
    .map((name) => candidates.find((file) => baseName(file) === name))
    .find((file) => file !== undefined);
}

/** The names that a folder may have the binary under, best first. */
export function binaryNames(arch: K3sArch): readonly string[] {
  return { amd64: ['k3s-amd64', 'k3s'], arm64: ['k3s-arm64'], arm: ['k3s-armhf', 'k3s-arm'] }[arch];
}

export function installScriptIn(files: readonly AirgapFile[], release: string): AirgapFile | undefined {
  return filesFor(files, release).find((file) => /^(k3s-)?install\.sh$/.test(baseName(file)));
}

/** Words of a file name, so that an image called alarm or charm is for everybody. */
const otherArchitectures = {
  amd64: /(?<![a-z0-9])(arm|armhf|armv\d|arm64|aarch64)(?![a-z0-9])/,
  arm64: /(?<![a-z0-9])(amd64|x86_64|arm|armhf|armv\d)(?![a-z0-9])/,
  arm: /(?<![a-z0-9])(amd64|x86_64|arm64|aarch64)(?![a-z0-9])/,
} as const;

/** Best first: the smaller, and of two the faster to unpack. */
const archiveEndings = ['.tar.zst', '.tar.xz', '.tar.bz2', '.tar.gz', '.tgz', '.tar.lz4', '.tar'];

/**
 * The image archives of a release for an architecture: all but those whose name says another one, and of the same
 * archive in several forms only the best.
 */
export function imagesIn(
  files: readonly AirgapFile[],
  arch: K3sArch,
  release: string,
): readonly AirgapFile[] {
  const others = otherArchitectures[arch];
  const best = new Map<string, AirgapFile>();
  for (const file of filesFor(files, release)) {
    const ending = endingOf(file);
    if (ending === undefined || others.test(baseName(file))) continue;
    const stem = baseName(file).slice(0, -ending.length);
    const other = best.get(stem);
    if (other === undefined || rank(file) < rank(other)) best.set(stem, file);
  }
  return [...best.values()];
}

/** Whether the folder has image archives of k3s itself for some architecture, so that one that lacks them was forgotten. */
export function hasReleaseImages(files: readonly AirgapFile[], release: string): boolean {
  return filesFor(files, release).some((file) => /^k3s-airgap-images-/.test(baseName(file)));
}

function endingOf(file: AirgapFile): string | undefined {
  return archiveEndings.find((ending) => file.name.endsWith(ending));
}

function rank(file: AirgapFile): number {
  return archiveEndings.indexOf(endingOf(file) ?? '');
}
