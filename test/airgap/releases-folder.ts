import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { K3sArtifacts } from '../fleet/k3s-artifacts.ts';

/** ELF's header of a program for a processor, as far as anybody looks. */
export function program(machine: number, text: string, size = 2000): Buffer {
  // As the linker ends what -X gives it: a digit by chance would be one more of the version.
  const ended = `${text}\0`;
  const bytes = randomBytes(Math.max(size, 64 + ended.length));
  Buffer.from('\x7fELF\x02\x01\x01', 'latin1').copy(bytes);
  bytes.writeUInt16LE(machine, 18);
  bytes.write(ended, 64, 'latin1');
  return bytes;
}

export const machines = { amd64: 62, arm64: 183, arm: 40 } as const;

export function sha256(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Releases as their pages have them, with small files in place of the real ones. */
export function releasesIn(folder: string, versions: readonly string[], imageBytes = 300_000): K3sArtifacts {
  const installScript = join(folder, 'install.sh');
  for (const version of versions) {
    const place = join(folder, version);
    mkdirSync(place, { recursive: true });
    for (const arch of ['amd64', 'arm64', 'arm'] as const) {
      const files = {
        [{ amd64: 'k3s', arm64: 'k3s-arm64', arm: 'k3s-armhf' }[arch]]: program(machines[arch], version),
        [`k3s-airgap-images-${arch}.tar.zst`]: randomBytes(imageBytes),
        [`k3s-airgap-images-${arch}.tar.gz`]: randomBytes(imageBytes),
      };
      for (const [name, bytes] of Object.entries(files)) writeFileSync(join(place, name), bytes);
      const sums = Object.entries(files).map(([name, bytes]) => `${sha256(bytes)}  ${name}\n`);
      writeFileSync(join(place, `sha256sum-${arch}.txt`), sums.join(''));
    }
  }
  writeFileSync(installScript, '#!/bin/sh\n# INSTALL_K3S_EXEC\n');
  return { directory: folder, versions: [...versions], installScript };
}
