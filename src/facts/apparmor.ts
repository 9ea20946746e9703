import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

export interface AppArmor {
  /** The kernel enforces profiles, and this host may load its own: not so in a container. */
  readonly enabled: boolean;
  /** `apparmor_parser` is there, without which containerd cannot start a container on such a kernel. */
  readonly parser: boolean;
}

/** Source: /sys/module/apparmor, /run/systemd/container, the PATH. */
export const appArmor: Fact<AppArmor> = {
  key: 'package:apparmor-parser',
  sh: sh`if [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ] && [ ! -e /run/systemd/container ] && [ ! -e /.dockerenv ]; then echo on; else echo off; fi
PATH=$PATH:/sbin:/usr/sbin
if command -v apparmor_parser >/dev/null 2>&1; then echo parser; fi; true`,
  parse: ({ stdout }) => ({ enabled: stdout.startsWith('on'), parser: /^parser$/m.test(stdout) }),
};
