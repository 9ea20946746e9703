import { sh } from '../core/shell.ts';
import { type Fact, ofMany } from '../engine/fact.ts';

/** The running value of a kernel parameter, blanks folded; `undefined` when the kernel has none of that name. Source: /proc/sys. */
export function sysctlInUse(name: string): Fact<string | undefined> {
  return ofMany({
    key: `sysctl:${name}`,
    ofMany: {
      about: sysctlPath(name),
      each: sh`if [ -r "$p" ]; then echo =; cat "$p"; fi`,
    },
    parse: (answer) =>
      answer.stdout.startsWith('=\n') ? normalSysctlValue(answer.stdout.slice(2)) : undefined,
  });
}

/** `net.ipv4.conf.eth0/1.rp_filter` and `net/ipv4/ip_forward`: whichever separator comes first separates, the other stands for the first. */
export function sysctlPath(name: string): string {
  const first = /[./]/.exec(name)?.[0];
  const path = first === '/' ? name : name.replace(/[./]/g, (character) => (character === '.' ? '/' : '.'));
  return `/proc/sys/${path}`;
}

/** Values are compared with runs of blanks folded: `4096	131072	6291456` equals `4096 131072 6291456`. */
export function normalSysctlValue(value: string): string {
  return value.trim().split(/\s+/).join(' ');
}
