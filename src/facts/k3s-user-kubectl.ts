import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

/** What one user of a server has for kubectl. */
export interface UserKubectl {
  readonly group: string;
  readonly home: string;
  /** Of ~/.kube/config; empty where there is none. */
  readonly configSha256: string;
  /** The text of ~/.bashrc. */
  readonly profile: string;
}

/** `undefined` when there is no such user. Source: `getent passwd`, or /etc/passwd where that is missing. */
export function userKubectl(name: string): Fact<UserKubectl | undefined> {
  return {
    key: `user-kubectl:${name}`,
    sh: sh`name=${name}; entry=$(getent passwd "$name" 2> /dev/null || grep "^$name:" /etc/passwd) || exit 0
home=$(echo "$entry" | cut -d: -f6); id -gn "$name"; echo "$home"
if [ -e "$home/.kube/config" ]; then sha256sum < "$home/.kube/config"; else echo; fi
cat "$home/.bashrc" 2> /dev/null; true`,
    parse: ({ stdout }) => {
      const [group = '', home, config = '', ...profile] = stdout.split('\n');
      if (home === undefined || home === '') return undefined;
      return { group, home, configSha256: config.split(' ')[0] ?? '', profile: profile.join('\n') };
    },
  };
}
