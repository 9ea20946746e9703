import { Type } from '@sinclair/typebox';
import { ask } from '../engine/fact.ts';
import { defineStep, type Plan } from '../engine/step.ts';
import { type PackageState, packageManagers, packages } from '../facts/package.ts';
import { type SystemUpgrades, systemUpgrades } from '../facts/system-upgrades.ts';
import { choice, flag, list, optional, whole } from './arguments.ts';
import { packageName, planPackages } from './package-change.ts';
import { isEverything, planUpgradeAll } from './upgrade-all.ts';

const args = Type.Object(
  {
    name: list(
      "Packages, under the names of the host's own distribution; `name=version` for one version. '*' with state: latest: all.",
      { aliases: ['pkg'] },
    ),
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

interface Seen {
  readonly packages: PackageState;
  readonly upgrades?: SystemUpgrades;
}

/** How old lists may be by default, in seconds. */
export const LISTS_VALID_S = 3600;

/** Ansible's `package`, for every package manager that fleet knows. */
export const packageStep = defineStep<typeof args, Seen>({
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
          args.name.map((one) => packageName(one).name).filter((one) => one !== '*'),
          manager,
          args.state === 'latest' && !isEverything(args),
        ),
      ),
      ...(isEverything(args) ? { upgrades: ask(systemUpgrades) } : {}),
    };
  },
  plan(seen, args): Plan<Seen> {
    if (seen.upgrades !== undefined) return planUpgradeAll(seen.upgrades);
    return planPackages(seen, {
      names: args.name,
      state: packageState(args.state),
      ...(args.update_cache === true ? { refreshOlderThanS: args.cache_valid_time ?? LISTS_VALID_S } : {}),
    }) as Plan<Seen>;
  },
});

/** Ansible has two words for most states. */
export function packageState(state: string | undefined): 'present' | 'latest' | 'absent' {
  if (state === 'latest') return 'latest';
  return state === 'absent' || state === 'removed' ? 'absent' : 'present';
}
