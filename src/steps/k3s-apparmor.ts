import { Type } from '@sinclair/typebox';
import { ask } from '../engine/fact.ts';
import { defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type AppArmor, appArmor, lacksAppArmorParser } from '../facts/apparmor.ts';
import { type PackageManager, type PackageState, packages, packagesWhere } from '../facts/package.ts';
import { planPackages } from './package-change.ts';

/** The package that brings `apparmor_parser`; the RHEL family has SELinux and none. */
const parserPackages: Readonly<Partial<Record<PackageManager, string>>> = {
  apt: 'apparmor',
  zypper: 'apparmor-parser',
  pacman: 'apparmor',
  apk: 'apparmor',
};

interface Seen {
  readonly appArmor: AppArmor;
  readonly packages: PackageState;
}

/** Debian 11 and SUSE enable AppArmor in the kernel without installing the parser: containers then fail to start. */
export const k3sAppArmorStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_apparmor',
  summary: 'Where the kernel has AppArmor on, the parser that containers need with it is installed.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_apparmor:\n'],
  look: () => ({
    appArmor: ask(appArmor),
    packages: ask(
      packagesWhere(lacksAppArmorParser, packages(['apparmor', 'apparmor-parser'], undefined, false)),
    ),
  }),
  plan(seen): Plan<Seen> {
    if (!seen.appArmor.enabled) return unchanged('AppArmor is off, or not for this host to rule');
    if (seen.appArmor.parser) return unchanged('AppArmor has its parser');
    const { manager } = seen.packages;
    const name = manager === undefined ? undefined : parserPackages[manager];
    if (name === undefined) {
      return refuse(
        'the kernel has AppArmor on, but apparmor_parser is missing',
        'Install the package that brings apparmor_parser, or boot with apparmor=0.',
      );
    }
    const plan = planPackages({ packages: seen.packages }, { names: [name], state: 'present' });
    if (plan.verdict !== 'change') {
      return plan.verdict === 'refuse'
        ? plan
        : refuse(`${name} is installed, but apparmor_parser is missing`, `Reinstall ${name} on the host.`);
    }
    return {
      ...plan,
      because: `AppArmor is on and its parser is missing: ${plan.because}`,
      after: { ...plan.after, appArmor: { enabled: true, parser: true } },
    };
  },
});
