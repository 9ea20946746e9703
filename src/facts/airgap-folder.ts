import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FleetError } from '../core/errors.ts';
import type { ControlFact } from '../engine/fact.ts';
import type { K3sArch } from '../k3s/version.ts';

export interface AirgapFile {
  readonly name: string;
  readonly path: string;
  readonly sizeBytes: number;
}

/** The files of an airgap folder, by name. @throws FleetError AIRGAP_DIR when it is no folder that can be read */
export function airgapFolder(folder: string): ControlFact<readonly AirgapFile[]> {
  return {
    key: `airgap:${folder}`,
    read: async () => {
      try {
        const names = (await readdir(folder)).sort();
        const files = await Promise.all(
          names.map(async (name) => {
            const path = join(folder, name);
            const found = await stat(path);
            return found.isFile() ? [{ name, path, sizeBytes: found.size }] : [];
          }),
        );
        return files.flat();
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

/** No airgap folder is set: nothing is read. */
export const noAirgapFolder: ControlFact<readonly AirgapFile[]> = { key: 'airgap:', read: async () => [] };

/** The binary for an architecture: `k3s-<arch>` as k3s-ansible names them and as releases do; plain `k3s` is amd64. */
export function binaryIn(files: readonly AirgapFile[], arch: K3sArch): AirgapFile | undefined {
  const names = { amd64: ['k3s-amd64', 'k3s'], arm64: ['k3s-arm64'], arm: ['k3s-armhf', 'k3s-arm'] }[arch];
  return names.map((name) => files.find((file) => file.name === name)).find((file) => file !== undefined);
}

/** The image archives for an architecture: all but those whose name says another one. */
export function imagesIn(files: readonly AirgapFile[], arch: K3sArch): readonly AirgapFile[] {
  const others = { amd64: /arm/, arm64: /amd64|armhf|arm(?!64)/, arm: /amd64|arm64/ }[arch];
  return files.filter(({ name }) => /\.tar(\.(gz|zst|bz2|lz4|xz))?$|\.tgz$/.test(name) && !others.test(name));
}
