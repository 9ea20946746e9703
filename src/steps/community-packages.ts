import { Type } from '@sinclair/typebox';
import { ask } from '../engine/fact.ts';
import { defineStep, type Plan, refuse } from '../engine/step.ts';
import { type PackageManager, type PackageState, packages } from '../facts/package.ts';
import { type SystemUpgrades, systemUpgrades } from '../facts/system-upgrades.ts';
import { choice, flag, list, optional } from './arguments.ts';
import { LISTS_VALID_S, packageState } from './package.ts';
import { packageName, planPackages, type WantedPackages } from './package-change.ts';
import { isEverything, planUpgradeAll } from './upgrade-all.ts';

/** The arguments that the modules of community.general share. */
const shared = {
  name: optional(list("Packages. '*' with state: latest: all.", { aliases: ['pkg', 'package'] })),
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
};

const upgrade = optional(flag('Upgrades all packages.'));

const apkArgs = Type.Object(
  {
    ...shared,
    upgrade,
    repository: optional(list('Repositories to use beside those in /etc/apk/repositories.')),
    no_cache: optional(flag('Keeps no lists and no packages.')),
  },
  { additionalProperties: false },
);

const pacmanArgs = Type.Object(
  {
    ...shared,
    upgrade,
  },
  { additionalProperties: false },
);

const zypperArgs = Type.Object(
  {
    ...shared,
    disable_recommends: optional(flag('Whether recommended packages stay away. Default true.')),
    disable_gpg_check: optional(flag('Installs what carries no valid signature. Better add the key.')),
    oldpackage: optional(flag('Lets an older version replace a newer one.')),
    force: optional(flag('Installs what is asked for in any case, whatever is installed.')),
    force_resolution: optional(flag('Lets packages go that are in the way.')),
    allow_vendor_change: optional(flag('Takes a package from another vendor than the installed one.')),
    replacefiles: optional(flag('Replaces files of other packages.')),
    clean_deps: optional(flag('Removes what only removed packages needed.')),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly packages: PackageState;
  readonly upgrades?: SystemUpgrades;
}

interface Asked {
  readonly name?: readonly string[];
  readonly state?: string;
  readonly update_cache?: boolean;
  readonly extra_args?: readonly string[];
  readonly upgrade?: boolean;
}

function lookFor(args: Asked, manager: PackageManager) {
  const names = (args.name ?? []).map((one) => packageName(one).name).filter((one) => one !== '*');
  return {
    packages: ask(packages(names, manager, args.state === 'latest' && !isEverything(args))),
    ...(isEverything(args) ? { upgrades: ask(systemUpgrades) } : {}),
  };
}

function planFor(
  seen: Seen,
  args: Asked,
  more: Partial<WantedPackages> = {},
  options: readonly string[] = [],
): Plan<Seen> {
  if (seen.upgrades !== undefined) return planUpgradeAll(seen.upgrades);
  if ((args.name ?? []).length === 0 && args.update_cache !== true)
    return refuse('there is nothing to do', 'Give name or update_cache.');
  return planPackages(seen, {
    names: args.name ?? [],
    state: packageState(args.state),
    ...(args.update_cache === true ? { refreshOlderThanS: LISTS_VALID_S } : {}),
    extraArgs: [...options, ...(args.extra_args ?? [])],
    ...more,
  }) as Plan<Seen>;
}

const summaryFor = (distribution: string) => `Packages of ${distribution} are installed, newest, or gone.`;

/** community.general's `apk`. */
export const apkStep = defineStep<typeof apkArgs, Seen>({
  name: 'apk',
  summary: summaryFor('Alpine'),
  args: apkArgs,
  freeForm: 'name',
  examples: ['- apk: name=curl state=present'],
  look: (args) => lookFor(args, 'apk'),
  plan: (seen, args) =>
    planFor(seen, args, {}, [
      ...(args.no_cache === true ? ['--no-cache'] : []),
      ...(args.repository ?? []).flatMap((one) => ['--repository', one]),
    ]),
});

/** community.general's `pacman`. */
export const pacmanStep = defineStep<typeof pacmanArgs, Seen>({
  name: 'pacman',
  summary: summaryFor('Arch Linux'),
  args: pacmanArgs,
  freeForm: 'name',
  examples: ['- pacman: name=curl state=present'],
  look: (args) => lookFor(args, 'pacman'),
  plan: (seen, args) => planFor(seen, args),
});

/** community.general's `zypper`. */
export const zypperStep = defineStep<typeof zypperArgs, Seen>({
  name: 'zypper',
  summary: summaryFor('openSUSE and SLES'),
  args: zypperArgs,
  freeForm: 'name',
  examples: ['- zypper: name=curl state=present'],
  look: (args) => lookFor(args, 'zypper'),
  plan: (seen, args) =>
    planFor(
      seen,
      args,
      {
        installRecommends: args.disable_recommends === false,
        ...(args.disable_gpg_check === true ? { noGpgCheck: true } : {}),
        ...(args.oldpackage === true ? { allowDowngrade: true } : {}),
        ...(args.clean_deps === true ? { autoremove: true } : {}),
      },
      [
        ...(args.force === true ? ['--force'] : []),
        ...(args.force_resolution === true ? ['--force-resolution'] : []),
        ...(args.allow_vendor_change === true ? ['--allow-vendor-change'] : []),
        ...(args.replacefiles === true ? ['--replacefiles'] : []),
      ],
    ),
});
