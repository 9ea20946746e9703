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
    extra_args: optional(list('More arguments for apk itself.')),
  },
  { additionalProperties: false },
);

/** community.general's `apk`. */
export const apkStep = defineStep<typeof args, { packages: PackageState }>({
  name: 'apk',
  summary: 'Packages of Alpine are installed, newest, or gone.',
  args,
  freeForm: 'name',
  examples: [`- apk: name=curl state=present`],
  look: (args) => ({
    packages: ask(
      packages(
        args.name.map((one) => packageName(one).name),
        'apk',
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
