import { Secret } from '../core/secret.ts';
import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

/** The token in a file that `token-file` names; `undefined` where it is not there. */
export function tokenFile(path: string): Fact<Secret | undefined> {
  return {
    key: `k3s:token-file:${path}`,
    sh: sh`cat ${path} 2> /dev/null; true`,
    parse: ({ stdout }) => (stdout.trim() === '' ? undefined : new Secret(stdout.trim())),
  };
}
