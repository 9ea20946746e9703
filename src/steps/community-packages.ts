import { Type } from '@sinclair/typebox';
import { ask } from '../engine/fact.ts';
import { defineStep } from '../engine/step.ts';
import { type PackageState, packages } from '../facts/package.ts';
import { choice, flag, list, optional } from './arguments.ts';
import { LISTS_VALID_S, packageState } from './package.ts';
import { packageName, planPackages } from './package-change.ts';

const args = Type.Object(
  {
    name: list('Packages.', { aliases: ['pkg', 'package'] }),
    state: optional(
      choice(
        ['present', 'installed', 'latest', 'absent', 'removed'],
        'Present (the default), newest, or gone.',
      ),
    ),
    update_cache: optional(
      flag('Fetches the lists of packages first, when something is to be done and they are old.', {
        aliases: ['update-cache', 'refresh'],
      }),
    ),
    extra_args: optional(list('More arguments for the package manager itself.')),
  },
  { additionalProperties: false },
);

/** The package managers whose modules community.general has, all with the same arguments here. */
function communityStep(name: 'apk' | 'pacman' | 'zypper', distribution: string) {
  return defineStep<typeof args, { packages: PackageState }>({
    name,
    summary: `Packages of ${distribution} are installed, newest, or gone.`,
    args,
    freeForm: 'name',
    examples: [`- ${name}: name=curl state=present`],
    look: (args) => ({
      packages: ask(
        packages(
          args.name.map((one) => packageName(one).name),
          name,
          args.state === 'latest',
        ),
      ),
    }),
    plan: (seen, args) =>
      planPackages(seen, {
        names: args.name,
        state: packageState(args.state),
        ...(args.update_cache === true ? { refreshOlderThanS: LISTS_VALID_S } : {}),
        ...(args.extra_args === undefined ? {} : { extraArgs: args.extra_args }),
      }),
  });
}

/** community.general's `apk`. */
export const apkStep = communityStep('apk', 'Alpine');

/** community.general's `pacman`. */
export const pacmanStep = communityStep('pacman', 'Arch Linux');

/** community.general's `zypper`. */
export const zypperStep = communityStep('zypper', 'openSUSE and SLES');
