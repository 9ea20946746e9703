import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import type { SelinuxMode } from './selinux.ts';

/** Whether SELinux is in force, and which of the policy packages that k3s needs are there. */
export interface SelinuxPolicy {
  readonly mode: SelinuxMode;
  /** Of `selinuxPackages`, those that rpm knows. */
  readonly installed: readonly string[];
  /** Packages go into the next boot's system, by transactional-update: the root file system of this one is read-only. */
  readonly isTransactional?: true;
  /** fleet put k3s' policy into the next boot's system, and the host was not rebooted since. */
  readonly isInNextBoot?: true;
}

/** Tells until the next boot that the system of that boot has the policy. */
export const nextBootMark = '/run/fleet/k3s-selinux-in-next-boot';

/** In the order in which they need each other. */
export const selinuxPackages = ['selinux-policy', 'container-selinux', 'k3s-selinux'] as const;

/** Source: /sys/fs/selinux/enforce, `rpm -q`. @see https://docs.k3s.io/advanced#selinux-support */
export const selinuxPolicy: Fact<SelinuxPolicy> = {
  key: 'selinux:k3s-policy',
  sh: sh`if [ -r /sys/fs/selinux/enforce ]; then cat /sys/fs/selinux/enforce; echo; else echo off; fi
if command -v rpm > /dev/null 2>&1; then rpm -q --qf '%{NAME}\\n' ${[...selinuxPackages]} 2> /dev/null; fi
if command -v transactional-update > /dev/null 2>&1 && ! [ -w /usr ]; then echo transactional; fi
if [ -e ${nextBootMark} ]; then echo next-boot; fi`,
  parse: ({ stdout }) => {
    const [enforce = '', ...rest] = stdout.split('\n').map((line) => line.trim());
    return {
      mode: enforce === '1' ? 'enforcing' : enforce === '0' ? 'permissive' : 'disabled',
      installed: selinuxPackages.filter((name) => rest.includes(name)),
      ...(rest.includes('transactional') ? { isTransactional: true as const } : {}),
      ...(rest.includes('next-boot') ? { isInNextBoot: true as const } : {}),
    };
  },
};
