import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import type { Answer } from '../ssh/connection.ts';
import { hasUnit } from './service.ts';

/** Services that make swap by themselves: Raspberry Pi OS, Debian, Ubuntu, Armbian. */
const swapServices = [
  'dphys-swapfile.service',
  'zramswap.service',
  'zram-config.service',
  'armbian-zram-config.service',
];

export interface SwapState {
  /** What the kernel swaps to now: a device or file. Source: /proc/swaps. */
  readonly inUse: readonly { readonly path: string; readonly sizeKiB: number }[];
  /** Lines of /etc/fstab that would bring swap back at boot, as written. */
  readonly inFstab: readonly string[];
  /** systemd units that would bring swap back at boot without fstab: zram generators, GPT discovery, the services of zram-tools and dphys-swapfile. */
  readonly units: readonly string[];
  /** What fleet itself masked, by its note. */
  readonly masked: readonly string[];
}

/** Where fleet notes the units that it masked, so that they can be had back. */
export const maskedSwapNote = '/var/lib/fleet/swap-masked';

/** Swap in use and configured. Source: /proc/swaps, /etc/fstab, systemctl show, fleet's own note. */
export const swapState: Fact<SwapState> = {
  key: 'swap:all',
  sh: sh`if [ -r /proc/swaps ]; then while read -r line; do printf '%s\\n' "$line"; done </proc/swaps; fi
echo =
[ -r /etc/fstab ] && cat /etc/fstab
echo =
if [ -d /run/systemd/system ]; then
  ${hasUnit}
  makes_swap() {
    { read -r _ && read -r _; } < /proc/swaps && return
    for at in /etc/systemd/system/*.swap /run/systemd/system/*.swap /run/systemd/generator*/*.swap /usr/lib/systemd/system/*.swap; do
      if [ -e "$at" ] || [ -L "$at" ]; then return 0; fi
    done
    for unit in ${swapServices}; do if has_unit "$unit"; then return 0; fi; done
    return 1
  }
  if makes_swap; then systemctl show --no-pager -p Id,SourcePath,FragmentPath,UnitFileState '*.swap' ${swapServices} 2>/dev/null; fi
fi
echo =
if [ -e ${maskedSwapNote} ]; then cat ${maskedSwapNote}; fi
true`,
  parse: parseSwap,
};

/** The parser of `swapState`. */
export function parseSwap(answer: Answer): SwapState {
  const [active = '', fstab = '', units = '', masked = ''] = answer.stdout.split(/^=$/m);
  return {
    // /swapfile                               file		2097148		0		-2
    inUse: active
      .split('\n')
      .filter((line) => line.startsWith('/'))
      .map((line) => line.split(/\s+/))
      .map(([path = '', , size = '0']) => ({ path: path.replaceAll('\\040', ' '), sizeKiB: Number(size) })),
    inFstab: fstab.split('\n').filter((line) => isSwapLine(line)),
    units: units.split(/\n\n+/).flatMap(lastingUnit),
    masked: masked.split('\n').filter((line) => line !== ''),
  };
}

/** Whether a line of /etc/fstab mounts swap: `UUID=… none swap sw 0 0`. */
export function isSwapLine(line: string): boolean {
  return !/^\s*#/.test(line) && line.trim().split(/\s+/)[2] === 'swap';
}

// Id=dev-zram0.swap
// FragmentPath=/run/systemd/generator/dev-zram0.swap
// UnitFileState=generated
/** A swap unit that comes back by itself. One without a file is what somebody switched on by hand; fstab's own go with fstab. */
function lastingUnit(block: string): readonly string[] {
  const read = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(block)?.[1]?.trim() ?? '';
  const id = read('Id');
  const state = read('UnitFileState');
  if (id === '' || read('FragmentPath') === '' || read('SourcePath') === '/etc/fstab') return [];
  if (state.startsWith('masked') || (id.endsWith('.service') && !state.startsWith('enabled'))) return [];
  return [id];
}
