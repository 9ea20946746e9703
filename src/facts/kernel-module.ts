import { sh } from '../core/shell.ts';
import { type Fact, ofMany } from '../engine/fact.ts';

/** `missing`: neither loaded, built in, nor to be found by modprobe. */
export type KernelModuleState = 'loaded' | 'built-in' | 'available' | 'missing';

/**
 * Whether the running kernel has a module. Where what it brings is there, it counts as built in, with or without a
 * module tree (containers, kernels with everything inside). Source: /sys/module (what was loaded has an initstate), modules.builtin, modprobe -n.
 */
export function kernelModule(name: string): Fact<KernelModuleState> {
  const id = name.replaceAll('-', '_');
  return ofMany({
    key: `kernel-module:${id}`,
    ofMany: { about: id, each: stateOfEach },
    parse: (answer) => {
      const state = answer.stdout.trim();
      if (state === 'loaded' || state === 'built-in' || state === 'available' || state === 'missing')
        return state;
      throw new Error(`unknown answer ${JSON.stringify(answer.stdout + answer.stderr)}`);
    },
  });
}

const stateOfEach = sh`m=$p
if [ -e "/sys/module/$m/initstate" ]; then echo loaded
elif [ -d "/sys/module/$m" ] || { [ "$m" = br_netfilter ] && [ -d /proc/sys/net/bridge ]; } || { [ "$m" = overlay ] && grep -q overlay /proc/filesystems 2>/dev/null; } || { [ "$m" = nf_conntrack ] && [ -d /proc/sys/net/netfilter ] && [ -e /proc/sys/net/netfilter/nf_conntrack_max ]; }; then echo built-in
elif cat "/lib/modules/$(uname -r)/modules.builtin" 2>/dev/null | tr - _ | grep -q "/$m\\.ko"; then echo built-in
elif modprobe -n -q "$m" 2>/dev/null; then echo available
else echo missing; fi`;
