import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

/** The user as whom steps act on a host. */
export interface Identity {
  readonly user: string;
  readonly group: string;
  readonly uid: number;
  readonly home: string;
}

/** Who we are there: root after `become`, else the login user. New files are theirs. Source: `id`, `$HOME`. */
export const identity: Fact<Identity> = {
  key: 'identity:self',
  sh: sh`LC_ALL=C id; printf '%s\\n' "$HOME"`,
  parse: (answer) => {
    const [told = '', home = ''] = answer.stdout.split('\n');
    // uid=1000(debian) gid=1000(debian) groups=1000(debian),27(sudo); without (…) for a number that has no name
    const [, uid, user, gid, group] =
      /^uid=(\d+)(?:\((.*?)\))? gid=(\d+)(?:\((.*?)\))?(?: |$)/.exec(told) ?? [];
    if (uid === undefined || gid === undefined)
      throw new Error(`id answered ${JSON.stringify(answer.stdout + answer.stderr)}`);
    return { user: user ?? uid, group: group ?? gid, uid: Number(uid), home: home || '/' };
  },
};
