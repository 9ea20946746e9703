import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

/** Manifests on a server: name to sha256. */
export type ManifestDigests = ReadonlyMap<string, string>;

export function manifestDigests(folder: string): Fact<ManifestDigests> {
  return {
    key: `k3s:manifests:${folder}`,
    sh: sh`cd ${folder} 2> /dev/null && for file in *; do if [ -f "$file" ]; then sha256sum -- "$file"; fi; done; true`,
    parse: ({ stdout }) =>
      new Map(
        stdout.split('\n').flatMap((line) => {
          const match = /^([0-9a-f]{64}) [ *](.+)$/.exec(line);
          return match?.[1] === undefined ? [] : [[match[2] ?? '', match[1]]];
        }),
      ),
  };
}
