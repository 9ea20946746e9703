import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

/** Plain files in one folder of a host: name to sha256. */
export type FileDigests = ReadonlyMap<string, string>;

export function fileDigests(folder: string): Fact<FileDigests> {
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
