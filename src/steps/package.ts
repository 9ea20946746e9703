import { Type } from '@sinclair/typebox';
import { ask } from '../engine/fact.ts';
import { defineStep } from '../engine/step.ts';
import { type PackageState, packageManagers, packages } from '../facts/package.ts';
import { choice, flag, list, optional, whole } from './arguments.ts';
import { packageName, planPackages } from './package-change.ts';

const args = Type.Object(
  {
    name: list("Packages, under the names of the host's own distribution; `name=version` for one version.", {
      aliases: ['pkg'],
    }),
    state: optional(
      choice(
        ['present', 'installed', 'latest', 'absent', 'removed'],
        'Present (the default), the newest that the lists know, or gone.',
      ),
    ),
    use: optional(choice(['auto', ...packageManagers], 'The package manager; found out by default.')),
    update_cache: optional(
      flag('Fetches the lists of packages first, when something is to be installed and they are old.'),
    ),
    cache_valid_time: optional(
      whole('How old the lists may be, in seconds, before update_cache fetches them. Default 3600.', {
        minimum: 0,
      }),
    ),
  },
  { additionalProperties: false },
);

/** How old lists may be by default, in seconds. */
export const LISTS_VALID_S = 3600;

/** Ansible's `package`, for every package manager that fleet knows. */
export const packageStep = defineStep<typeof args, { packages: PackageState }>({
  name: 'package',
  summary: 'Packages are installed, newest, or gone, by the package manager of the host.',
  args,
  freeForm: 'name',
  examples: [
    `- package: name=curl,open-iscsi state=present`,
    `- package:\n    name: [nfs-common]\n    update_cache: true`,
  ],
  look(args) {
    const manager = args.use === undefined || args.use === 'auto' ? undefined : args.use;
    return {
      packages: ask(
        packages(
          args.name.map((one) => packageName(one).name),
          manager,
          args.state === 'latest',
        ),
      ),
    };
  },
  plan(seen, args) {
    return planPackages(seen, {
      names: args.name,
      state: packageState(args.state),
      ...(args.update_cache === true ? { refreshOlderThanS: args.cache_valid_time ?? LISTS_VALID_S } : {}),
    });
  },
});

/** Ansible has two words for most states. */
export function packageState(state: string | undefined): 'present' | 'latest' | 'absent' {
  if (state === 'latest') return 'latest';
  return state === 'absent' || state === 'removed' ? 'absent' : 'present';
}
