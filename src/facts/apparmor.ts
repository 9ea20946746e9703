import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

export interface AppArmor {
  /** The kernel enforces profiles, and this host may load its own: not so in a container. */
  readonly enabled: boolean;
  /** `apparmor_parser` is there, without which containerd cannot start a container on such a kernel. */
  readonly parser: boolean;
}

const isOn = sh`read -r on 2>/dev/null </sys/module/apparmor/parameters/enabled && [ "$on" = Y ] && [ ! -e /run/systemd/container ] && [ ! -e /.dockerenv ]`;

/** Whether a host should have the parser and does not. */
export const lacksAppArmorParser = sh`${isOn} && [ ! -x /usr/sbin/apparmor_parser ] && [ ! -x /sbin/apparmor_parser ] && [ ! -x /usr/bin/apparmor_parser ]`;

/** Source: /sys/module/apparmor, /run/systemd/container, the PATH. */
export const appArmor: Fact<AppArmor> = {
  key: 'package:apparmor-parser',
  sh: sh`if ${isOn}; then echo on; else echo off; fi
PATH=$PATH:/sbin:/usr/sbin
if command -v apparmor_parser >/dev/null 2>&1; then echo parser; fi; true`,
  parse: ({ stdout }) => ({ enabled: stdout.startsWith('on'), parser: /^parser$/m.test(stdout) }),
};
