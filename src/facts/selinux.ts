import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

export type SelinuxMode = 'disabled' | 'permissive' | 'enforcing';

export interface SelinuxState {
  readonly inUse: SelinuxMode;
  /** What /etc/selinux/config says for the next boot; `undefined` where there is none. */
  readonly onDisk: SelinuxMode | undefined;
  readonly policy: string;
}

/** Source: /sys/fs/selinux/enforce, /etc/selinux/config. */
export const selinuxState: Fact<SelinuxState> = {
  key: 'selinux:mode',
  sh: sh`if [ -r /sys/fs/selinux/enforce ]; then cat /sys/fs/selinux/enforce; echo; else echo off; fi
if [ -r /etc/selinux/config ]; then cat /etc/selinux/config; fi`,
  parse: (answer) => parseSelinux(answer.stdout),
};

/** The parser of `selinuxState`. */
export function parseSelinux(stdout: string): SelinuxState {
  const enforce = stdout.split('\n')[0];
  const written = /^SELINUX=(\w+)/m.exec(stdout)?.[1]?.toLowerCase();
  return {
    inUse: enforce === '1' ? 'enforcing' : enforce === '0' ? 'permissive' : 'disabled',
    onDisk:
      written === 'enforcing' || written === 'permissive' || written === 'disabled' ? written : undefined,
    policy: /^SELINUXTYPE=(\w+)/m.exec(stdout)?.[1] ?? '',
  };
}
