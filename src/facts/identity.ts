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
  sh: sh`id -u; id -un 2>/dev/null || id -u; id -gn 2>/dev/null || id -g; printf '%s\\n' "$HOME"`,
  parse: (answer) => {
    const [uid = '', user = '', group = '', home = ''] = answer.stdout.split('\n');
    if (!/^\d+$/.test(uid)) throw new Error(`id answered ${JSON.stringify(answer.stdout + answer.stderr)}`);
    return { user, group, uid: Number(uid), home: home || '/' };
  },
};
