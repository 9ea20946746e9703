import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

export interface HostName {
  /** What the running kernel says. */
  readonly inUse: string;
  /** What /etc/hostname says; empty where it is not there. */
  readonly onDisk: string;
  readonly hasHostnamectl: boolean;
}

/** Source: /proc/sys/kernel/hostname, /etc/hostname. */
export const hostName: Fact<HostName> = {
  key: 'host:name',
  sh: sh`for file in /proc/sys/kernel/hostname /etc/hostname; do name=; if [ -r "$file" ]; then read -r name <"$file"; fi; echo "$name"; done
if [ -d /run/systemd/system ] && command -v hostnamectl >/dev/null 2>&1; then echo yes; else echo no; fi`,
  parse: (answer) => {
    const [inUse = '', onDisk = '', has = ''] = answer.stdout.split('\n');
    return { inUse, onDisk: onDisk.trim(), hasHostnamectl: has === 'yes' };
  },
};
