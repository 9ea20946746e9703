import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import { binaryPath } from '../k3s/paths.ts';
import { linesOf } from './answer-lines.ts';

/** What is still on a host once k3s is gone, and that nobody can tell whose it is, or that only a reboot removes. */
export interface K3sLeftovers {
  /** Files and folders with something in them. */
  readonly paths: readonly string[];
  readonly mounts: readonly string[];
  /** Network devices. */
  readonly devices: readonly string[];
  /** Processes that were started from k3s' data. */
  readonly processes: readonly string[];
}

/** Of others too, or full of what workloads wrote: never removed, only named. */
const sharedPaths = [
  '/var/log/pods',
  '/var/log/containers',
  '/var/lib/cni',
  '/etc/cni/net.d',
  '/opt/cni/bin',
];
const devices = ['cni0', 'flannel.1', 'flannel-v6.1', 'flannel-wg', 'flannel-wg-v6', 'kube-ipvs0'];

/** @param user whose ~/.kube is looked at */
export function k3sLeftovers(dataFolder: string, user: string): Fact<K3sLeftovers> {
  return {
    key: `k3s:leftovers:${dataFolder}:${user}`,
    sh: sh`user=${user}; home=$( { getent passwd "$user" 2> /dev/null || grep "^$user:" /etc/passwd; } | cut -d: -f6)
set -- ${sharedPaths}
if [ -n "$home" ]; then set -- "$@" "$home/.kube"; fi
for path in "$@"; do
  if [ -d "$path" ] && [ -n "$(ls -A "$path" 2> /dev/null)" ]; then echo "path $path"; fi
done
for device in ${devices}; do [ ! -e "/sys/class/net/$device" ] || echo "device $device"; done
data=${dataFolder}
while read -r _ mount _; do
  case $mount in "$data"/*|/var/lib/kubelet/*|/run/k3s/*) echo "mount $mount" ;; esac
done < /proc/mounts
# Of containers with a k3s of their own (k3d) we see the processes too; their files are others.
ls -l /proc/[0-9]*/exe 2> /dev/null | sed -n 's,.* /proc/\\([0-9]*\\)/exe -> ,\\1 ,p' | while read -r process program; do
  case $program in
    "$data"/*|${binaryPath}|${binaryPath}\\ *) [ "$(readlink "/proc/$process/ns/mnt")" != "$(readlink /proc/self/ns/mnt)" ] || echo "process $process" ;;
  esac
done
true`,
    parse: ({ stdout }) => ({
      paths: linesOf(stdout, 'path'),
      mounts: linesOf(stdout, 'mount'),
      devices: linesOf(stdout, 'device'),
      processes: linesOf(stdout, 'process'),
    }),
    volatile: true,
  };
}
