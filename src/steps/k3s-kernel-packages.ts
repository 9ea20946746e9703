import { Type } from '@sinclair/typebox';
import { ask } from '../engine/fact.ts';
import { defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type HostFacts, hostFacts } from '../facts/host.ts';
import { type KernelModuleState, kernelModule } from '../facts/kernel-module.ts';
import { type PackageState, packages } from '../facts/package.ts';
import { planPackages } from './package-change.ts';

interface Seen {
  readonly facts: HostFacts;
  readonly bridge: KernelModuleState;
  readonly vxlan: KernelModuleState;
  readonly packages: PackageState;
}

/**
 * Some systems keep what k3s needs of the kernel in packages of their own: RHEL 10 and its kin br_netfilter, Oracle's kernel in
 * another package, Ubuntu for the Raspberry Pi (21.10 to 23.10) vxlan.
 * @see https://docs.k3s.io/installation/requirements#operating-systems
 */
export const k3sKernelPackagesStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_kernel_packages',
  summary:
    'The package that brings the kernel modules k3s needs is installed, on systems that have them apart.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_kernel_packages:\n'],
  look: () => ({
    facts: ask(hostFacts),
    bridge: ask(kernelModule('br_netfilter')),
    vxlan: ask(kernelModule('vxlan')),
    packages: ask(packages([], undefined, false)),
  }),
  plan(seen): Plan<Seen> {
    const missing = [
      ...(seen.bridge === 'missing' ? ['br_netfilter'] : []),
      ...(seen.vxlan === 'missing' ? ['vxlan'] : []),
    ];
    const name = packageWith(seen.facts, missing);
    if (name === undefined)
      return unchanged(
        missing.length === 0 ? 'the kernel has its modules' : 'no package is known to bring what it lacks',
      );
    const plan = planPackages(seen, { names: [name], state: 'present' });
    if (plan.verdict !== 'change') {
      return plan.verdict === 'refuse'
        ? plan
        : refuse(
            `${name} is installed, yet the running kernel has no ${missing.join(', ')}`,
            'It is for another kernel: reboot the host into the newest one.',
          );
    }
    return { ...plan, because: `the kernel has no ${missing.join(', ')}: ${plan.because}` };
  },
});

/** The package for the running kernel; `undefined` where nothing is missing that a package would bring. */
export function packageWith(facts: HostFacts, missing: readonly string[]): string | undefined {
  const family = [facts.os.id, ...facts.os.like];
  const is = (...names: readonly string[]) => names.some((name) => family.includes(name));
  if (missing.includes('br_netfilter') && is('rhel', 'fedora', 'centos')) {
    const kind = /uek/.test(facts.kernel) ? 'kernel-uek-modules-extra' : 'kernel-modules-extra';
    return `${kind}-${facts.kernel}`;
  }
  const isPiKernel = facts.kernel.endsWith('-raspi');
  return missing.includes('vxlan') && isPiKernel && is('ubuntu')
    ? `linux-modules-extra-${facts.kernel}`
    : undefined;
}
