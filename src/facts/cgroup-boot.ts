import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import type { Answer } from '../ssh/connection.ts';

/** Whether the kernel can limit memory, and where its command line is written if not. */
export interface CgroupBoot {
  readonly memory: boolean;
  /** As the device tree names it: `Raspberry Pi 4 Model B Rev 1.4`; empty for all others. */
  readonly piModel: string;
  /** The file that the firmware reads the command line from, the right one of several. */
  readonly file: string | undefined;
  /** Its one line. */
  readonly line: string;
  /** Arch on a Pi: the line is in a script for U-Boot that has to be compiled (`mkscr`). */
  readonly ubootScript: string | undefined;
}

/**
 * The memory controller of the kernel, and a Raspberry Pi's boot files. Newer systems keep a /boot/cmdline.txt that only says
 * where the real one went: that is never taken. Source: /sys/fs/cgroup, /proc/cgroups, the device tree, /boot.
 */
export const cgroupBoot: Fact<CgroupBoot> = {
  key: 'host:cgroup-boot',
  sh: sh`if [ -r /sys/fs/cgroup/cgroup.controllers ]; then
  if grep -qw memory /sys/fs/cgroup/cgroup.controllers; then echo yes; else echo no; fi
elif [ -d /sys/fs/cgroup/memory ]; then echo yes
elif [ "$(awk '$1 == "memory" { print $4 }' /proc/cgroups 2>/dev/null)" = 1 ]; then echo yes
else echo no; fi
{ tr -d '\\0' </proc/device-tree/model; } 2>/dev/null; echo
for f in /boot/firmware/cmdline.txt /boot/cmdline.txt; do
  if [ -f "$f" ] && ! grep -qi 'do not edit\\|has moved' "$f"; then echo "=file $f"; cat "$f"; break; fi
done
for f in /boot/boot.txt; do if [ -f "$f" ]; then echo "=uboot $f"; fi; done; true`,
  parse: parseCgroupBoot,
};

/** The parser of `cgroupBoot`: yes or no, the model, then the files headed by `=`. */
export function parseCgroupBoot(answer: Answer): CgroupBoot {
  const [memory = '', model = '', ...rest] = answer.stdout.split('\n');
  if (memory !== 'yes' && memory !== 'no')
    throw new Error(`unknown answer ${JSON.stringify(answer.stdout + answer.stderr)}`);
  const at = rest.findIndex((line) => line.startsWith('=file '));
  const end = rest.findIndex((line, index) => index > at && line.startsWith('='));
  const text = at < 0 ? [] : rest.slice(at + 1, end < 0 ? undefined : end);
  return {
    memory: memory === 'yes',
    piModel: /raspberry pi/i.test(model) ? model.trim() : '',
    file: at < 0 ? undefined : rest[at]?.slice('=file '.length),
    line: text.find((line) => line.trim() !== '')?.trim() ?? '',
    ubootScript: rest.find((line) => line.startsWith('=uboot '))?.slice('=uboot '.length),
  };
}
