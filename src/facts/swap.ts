import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import type { Answer } from '../ssh/connection.ts';

export interface SwapState {
  /** What the kernel swaps to now: a device or file. Source: /proc/swaps. */
  readonly inUse: readonly { readonly path: string; readonly sizeKiB: number }[];
  /** Lines of /etc/fstab that would bring swap back at boot, as written. */
  readonly inFstab: readonly string[];
  /** systemd swap units (zram generators, GPT discovery) that are loaded; empty without systemd. */
  readonly units: readonly string[];
}

/** Swap in use and configured. Source: /proc/swaps, /etc/fstab, systemctl list-units. */
export const swapState: Fact<SwapState> = {
  key: 'swap:all',
  sh: sh`cat /proc/swaps 2>/dev/null
echo =
[ -r /etc/fstab ] && cat /etc/fstab
echo =
if [ -d /run/systemd/system ]; then systemctl list-units --type=swap --state=active --plain --no-legend --no-pager 2>/dev/null; fi
true`,
  parse: parseSwap,
};

/** The parser of `swapState`. */
export function parseSwap(answer: Answer): SwapState {
  const [active = '', fstab = '', units = ''] = answer.stdout.split(/^=$/m);
  return {
    // /swapfile                               file		2097148		0		-2
    inUse: active
      .split('\n')
      .filter((line) => line.startsWith('/'))
      .map((line) => line.split(/\s+/))
      .map(([path = '', , size = '0']) => ({ path: path.replaceAll('\\040', ' '), sizeKiB: Number(size) })),
    inFstab: fstab.split('\n').filter((line) => isSwapLine(line)),
    units: units
      .split('\n')
      .map((line) => line.trim().split(/\s+/)[0] ?? '')
      .filter((unit) => unit.endsWith('.swap')),
  };
}

/** Whether a line of /etc/fstab mounts swap: `UUID=… none swap sw 0 0`. */
export function isSwapLine(line: string): boolean {
  return !/^\s*#/.test(line) && line.trim().split(/\s+/)[2] === 'swap';
}
