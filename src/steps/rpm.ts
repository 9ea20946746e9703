import { type Static, Type } from '@sinclair/typebox';
import { ask } from '../engine/fact.ts';
import { defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type PackageState, packages } from '../facts/package.ts';
import { type SystemUpgrades, systemUpgrades } from '../facts/system-upgrades.ts';
import { anything, choice, flag, list, optional, path, text, whole } from './arguments.ts';
import { LISTS_VALID_S, packageState } from './package.ts';
import { packageName, planPackages } from './package-change.ts';
import { isEverything, planUpgradeAll } from './upgrade-all.ts';

const args = Type.Object(
  {
    name: optional(
      list(
        "Packages; `name-version` or `name=version` for one version, or the path or URL of a package. '*' with state: latest: all.",
        { aliases: ['pkg'] },
      ),
    ),
    state: optional(
      choice(
        ['present', 'installed', 'latest', 'absent', 'removed'],
        'Present (the default), newest, or gone.',
      ),
    ),
    update_cache: optional(flag('Fetches the lists of packages first.', { aliases: ['expire-cache'] })),
    update_only: optional(flag('Upgrades what is installed and installs nothing new.')),
    enablerepo: optional(list('Repositories to use for this step though they are switched off.')),
    disablerepo: optional(list('Repositories not to use for this step.')),
    exclude: optional(list('Packages that shall not change, with what they pull in.')),
    disable_excludes: optional(
      text('Ignores the excludes of its configuration: `all`, `main`, or the name of a repository.'),
    ),
    allowerasing: optional(flag('Lets installed packages go that are in the way.')),
    nobest: optional(flag('Takes an older version where the newest cannot be installed.')),
    skip_broken: optional(flag('Leaves out what cannot be installed.')),
    cacheonly: optional(flag('Uses the lists and packages that are there, and fetches nothing.')),
    releasever: optional(text('Packages of this release of the distribution.')),
    conf_file: optional(path('Another configuration than its own.')),
    enable_plugin: optional(list('Plugins to use for this step.')),
    disable_plugin: optional(list('Plugins not to use for this step.')),
    sslverify: optional(flag('Whether certificates of repositories must be valid. Default true.')),
    validate_certs: optional(
      anything('Ignored: package files given by URL are fetched by the package manager.'),
    ),
    disable_gpg_check: optional(flag('Installs what carries no valid signature. Better add the key.')),
    install_weak_deps: optional(flag('Whether recommended packages come along.')),
    autoremove: optional(flag('Removes what only removed packages needed.')),
    allow_downgrade: optional(flag('Lets an older version replace a newer one.')),
    lock_timeout: optional(whole('Ignored: dnf and yum wait for one another.')),
    use_backend: optional(anything('Ignored: yum and dnf are told apart by the name of the step.')),
    install_repoquery: optional(anything('Ignored.')),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly packages: PackageState;
  readonly upgrades?: SystemUpgrades;
}

function rpmStep(name: 'dnf' | 'yum', aliases: readonly string[]) {
  return defineStep<typeof args, Seen>({
    name,
    aliases,
    summary: `RPM packages are installed, newest, or gone, by ${name}.`,
    args,
    freeForm: 'name',
    examples: [`- ${name}: name=iscsi-initiator-utils,nfs-utils state=present`],
    look: (args) => ({
      packages: ask(packages(namesIn(args), name, args.state === 'latest' && !isEverything(args))),
      ...(isEverything(args) ? { upgrades: ask(systemUpgrades) } : {}),
    }),
    plan(seen, args): Plan<Seen> {
      if (seen.upgrades !== undefined) return planUpgradeAll(seen.upgrades);
      const names = (args.name ?? []).filter(
        (one) => args.update_only !== true || seen.packages.installed.has(packageName(one).name),
      );
      if (args.update_only === true && names.length === 0)
        return unchanged('none of the packages is installed');
      if (names.length === 0 && args.update_cache !== true)
        return refuse('there is nothing to do', 'Give name or update_cache.');
      return planPackages(seen, {
        names,
        state: packageState(args.state),
        ...(args.update_cache === true ? { refreshOlderThanS: LISTS_VALID_S } : {}),
        ...(args.enablerepo === undefined ? {} : { enableRepo: args.enablerepo }),
        ...(args.disablerepo === undefined ? {} : { disableRepo: args.disablerepo }),
        ...(args.disable_gpg_check === true ? { noGpgCheck: true } : {}),
        ...(args.install_weak_deps === undefined ? {} : { installRecommends: args.install_weak_deps }),
        ...(args.autoremove === true ? { autoremove: true } : {}),
        ...(args.allow_downgrade === true ? { allowDowngrade: true } : {}),
        extraArgs: optionsOf(args),
      }) as Plan<Seen>;
    },
  });
}

function namesIn(args: { readonly name?: readonly string[] }): readonly string[] {
  return (args.name ?? []).map((one) => packageName(one).name).filter((one) => one !== '*');
}

type Asked = Static<typeof args>;

function optionsOf(asked: Asked): readonly string[] {
  return [
    ...(asked.exclude === undefined ? [] : [`--exclude=${asked.exclude.join(',')}`]),
    ...(asked.disable_excludes === undefined ? [] : [`--disableexcludes=${asked.disable_excludes}`]),
    ...(asked.allowerasing === true ? ['--allowerasing'] : []),
    ...(asked.nobest === true ? ['--nobest'] : []),
    ...(asked.skip_broken === true ? ['--skip-broken'] : []),
    ...(asked.cacheonly === true ? ['--cacheonly'] : []),
    ...(asked.releasever === undefined ? [] : [`--releasever=${asked.releasever}`]),
    ...(asked.conf_file === undefined ? [] : [`--config=${asked.conf_file}`]),
    ...(asked.enable_plugin ?? []).map((plugin) => `--enableplugin=${plugin}`),
    ...(asked.disable_plugin ?? []).map((plugin) => `--disableplugin=${plugin}`),
    ...(asked.sslverify === false ? ['--setopt=sslverify=0'] : []),
  ];
}

/** Ansible's `dnf`. */
export const dnfStep = rpmStep('dnf', ['dnf5']);

/** Ansible's `yum`. */
export const yumStep = rpmStep('yum', []);
