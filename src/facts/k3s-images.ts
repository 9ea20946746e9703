import { type ShellScript, sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

export interface ImageArchive {
  readonly sizeBytes: number;
  readonly sha256: string;
  /** fleet put it there, and nobody has touched it since. */
  readonly ours?: true;
}

/** Archives in the folder that k3s imports images from when it starts, by name. */
export type ImageArchives = ReadonlyMap<string, ImageArchive>;

/**
 * Where fleet keeps, a line each, which archives it has put there: sha256, size, times of change and inode, name. An
 * archive that is still as its line says is not read again, so that a run with nothing to send costs the node nothing;
 * nobody can set the time of an inode's last change. It goes with k3s' own data.
 */
export function imagesRecordPath(folder: string): string {
  return `${folder.slice(0, folder.lastIndexOf('/'))}/fleet-image-archives`;
}

/** What of a file changes when it is touched in any way, as GNU's and BusyBox' stat say it. */
const stateFormat = '%s %Y %Z %i';

/** `openssl dgst` takes a third of the time of coreutils' sha256sum; BusyBox has the latter. */
export function imageArchives(folder: string): Fact<ImageArchives> {
  return {
    key: `k3s:images:${folder}`,
    sh: sh`cd ${folder} 2> /dev/null || exit 0
for file in *.tar *.tar.* *.tgz; do
  [ -f "$file" ] || continue
  state=$(stat -c ${stateFormat} "./$file"); sum=; by=other
  if [ -f ${imagesRecordPath(folder)} ]; then
    while read -r s a b c d name; do
      if [ "$name" = "$file" ] && [ "$a $b $c $d" = "$state" ]; then sum=$s; by=ours; fi
    done < ${imagesRecordPath(folder)}
  fi
  if [ -z "$sum" ]; then
    if command -v openssl > /dev/null; then sum=$(openssl dgst -sha256 -r "./$file"); else sum=$(sha256sum "./$file"); fi
  fi
  echo "\${sum%% *} \${state%% *} $by $file"
done`,
    parse: ({ stdout }) =>
      new Map(
        stdout.split('\n').flatMap((line) => {
          const match = /^([0-9a-f]{64}) (\d+) (ours|other) (.+)$/.exec(line);
          return match?.[1] === undefined
            ? []
            : [
                [
                  match[4] ?? '',
                  {
                    sha256: match[1],
                    sizeBytes: Number(match[2]),
                    ...(match[3] === 'ours' ? { ours: true as const } : {}),
                  },
                ],
              ];
        }),
      ),
  };
}

/** Writes the record anew: these archives, as they are now, are fleet's. */
export function rememberImages(
  folder: string,
  archives: readonly { readonly name: string; readonly sha256: string }[],
): ShellScript {
  const record = imagesRecordPath(folder);
  return sh`umask 077; cd ${folder} || exit 1
set -- ${archives.flatMap(({ name, sha256 }) => [sha256, name])}
while [ $# -gt 0 ]; do echo "$1 $(stat -c ${stateFormat} "./$2") $2"; shift 2; done > ${`${record}.fleet-new~`}
mv -f ${`${record}.fleet-new~`} ${record}`;
}
