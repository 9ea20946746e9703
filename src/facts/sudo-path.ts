import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

/** fleet's own file; it sorts late, for the last setting counts. */
export const sudoPathFile = '/etc/sudoers.d/zz-fleet-k3s';

/** The folders where sudo looks for commands, as everybody but fleet has set them. */
export interface SudoPath {
  /** `undefined` where sudo is absent or sets none: then the user's own PATH counts. */
  readonly folders: readonly string[] | undefined;
  /** Whether sudo reads the folder that fleet's file stands in. */
  readonly readsFolder: boolean;
}

/** Source: /etc/sudoers, /etc/sudoers.d. */
export const sudoPath: Fact<SudoPath> = {
  key: 'content:/etc/sudoers#secure_path',
  sh: sh`set -- /etc/sudoers
for f in /etc/sudoers.d/*; do case $f in *~|*.*|${sudoPathFile}) ;; *) set -- "$@" "$f" ;; esac; done
grep -hE '^[[:space:]]*Defaults[[:space:]]+secure_path|^[@#]includedir[[:space:]]+/etc/sudoers\\.d' "$@" 2>/dev/null; true`,
  parse: ({ stdout }) => parseSudoPath(stdout),
};

/** The parser of `sudoPath`: the last setting counts. */
export function parseSudoPath(stdout: string): SudoPath {
  // Defaults    secure_path = /sbin:/bin:/usr/sbin:/usr/bin
  const settings = [...stdout.matchAll(/^\s*Defaults\s+secure_path\s*=\s*"?([^"\n#]*?)"?\s*$/gm)];
  const last = settings.at(-1)?.[1];
  return {
    folders: last?.split(':').filter((folder) => folder !== ''),
    readsFolder: /^[@#]includedir/m.test(stdout),
  };
}
