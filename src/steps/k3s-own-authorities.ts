import type { Secret } from '../core/secret.ts';
import { sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import type { OwnAuthorities } from '../facts/own-authorities.ts';

/** Puts authorities below a folder as k3s wants them in `server/tls`; a key is root's alone from the start. */
export function ownAuthoritiesWritten(
  own: Pick<OwnAuthorities, 'authorities'>,
  folder: string,
): readonly [Action, ...Action[]] {
  return [
    { kind: 'run', what: `make ${folder}`, script: sh`umask 077; mkdir -p ${`${folder}/etcd`}` },
    ...[...own.authorities].flatMap(([name, { text, key }]) => [
      rootsFile(`${folder}/${name}.crt`, text),
      rootsFile(`${folder}/${name}.key`, key),
    ]),
  ];
}

/** A file that root alone can read. */
export function rootsFile(path: string, content: string | Secret): Action {
  return { kind: 'write', path, content, mode: '0600', owner: 'root', group: 'root' };
}
