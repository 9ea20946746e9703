import { posix } from 'node:path';
import { Type } from '@sinclair/typebox';
import { lines, sh } from '../core/shell.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type DebFile, debFile, type PackageState, packages } from '../facts/package.ts';
import { anything, choice, flag, list, optional, path, text, whole } from './arguments.ts';
import { LISTS_VALID_S, packageState } from './package.ts';
import { packageName, planPackages } from './package-change.ts';
import { isEverything } from './upgrade-all.ts';

const args = Type.Object(
  {
    name: optional(
      list(
        "Packages; `name=version` for one version, `name=1.2*` for a pattern. '*' with state: latest: all.",
        {
          aliases: ['package', 'pkg'],
        },
      ),
    ),
    state: optional(
      choice(
        ['present', 'installed', 'latest', 'absent', 'removed', 'fixed'],
        'Present (the default), the newest that the lists know, gone, or `fixed`: broken dependencies are mended.',
      ),
    ),
    deb: optional(path('A package file on the host to install instead of a name.')),
    update_cache: optional(
      flag('Fetches the lists of packages when they are older than cache_valid_time.', {
        aliases: ['update-cache'],
      }),
    ),
    cache_valid_time: optional(
      whole('How old the lists may be, in seconds. Default 3600; Ansible fetches them on every run.', {
        minimum: 0,
      }),
    ),
    upgrade: optional(
      choice(
        ['no', 'yes', 'safe', 'full', 'dist'],
        'Upgrades all installed packages; `dist` and `full` may remove some.',
      ),
    ),
    purge: optional(flag('Removes configuration files too.')),
    autoremove: optional(flag('Removes what only removed packages needed.')),
    autoclean: optional(flag('Ignored: the cache of downloads is left alone.')),
    default_release: optional(
      text('The release to prefer, for instance bookworm-backports.', { aliases: ['default-release'] }),
    ),
    install_recommends: optional(
      flag("Whether recommended packages come along; apt's own setting by default.", {
        aliases: ['install-recommends'],
      }),
    ),
    allow_downgrade: optional(
      flag('Lets an older version replace a newer one.', {
        aliases: ['allow-downgrade', 'allow_downgrades', 'allow-downgrades'],
      }),
    ),
    allow_unauthenticated: optional(
      flag('Installs what carries no valid signature. Better add the key.', {
        aliases: ['allow-unauthenticated'],
      }),
    ),
    allow_change_held_packages: optional(flag('Changes packages that are on hold, too.')),
    fail_on_autoremove: optional(flag('Fails rather than removing a package.')),
    force: optional(
      flag('Installs whatever it costs: unsigned, older, held, in place of essential packages. Better not.'),
    ),
    clean: optional(flag('Without a name: empties the cache of downloads.')),
    update_cache_retries: optional(anything('Ignored: use retries and until.')),
    update_cache_retry_max_delay: optional(anything('Ignored: use retries and until.')),
    force_apt_get: optional(flag('Ignored: apt-get is always used.')),
    lock_timeout: optional(
      whole('How long to wait for another apt, in seconds. Default 120.', { minimum: 0 }),
    ),
    only_upgrade: optional(flag('Upgrades what is installed and installs nothing new.')),
    dpkg_options: optional(text('Ignored: changed configuration files are kept (confdef, confold).')),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly packages: PackageState;
  readonly deb?: DebFile | undefined;
  /** How many packages an upgrade of everything would change; its last line as apt says it. */
  readonly pending?: readonly string[];
  /** How many downloads apt keeps. */
  readonly archives?: number;
}

/** Ansible's `apt`. */
export const aptStep = defineStep<typeof args, Seen>({
  name: 'apt',
  summary: 'Debian packages are installed, newest, or gone.',
  args,
  freeForm: 'name',
  aliases: ['apt_get'],
  examples: [
    `- apt:
    name: [curl, nfs-common]
    update_cache: true
    install_recommends: false`,
    `- apt: upgrade=dist update_cache=yes`,
  ],
  look(args) {
    return {
      packages: ask(
        packages(
          (args.name ?? []).map((one) => packageName(one).name).filter((one) => one !== '*'),
          'apt',
          args.state === 'latest' && !isAll(args),
        ),
      ),
      ...(args.deb === undefined ? {} : { deb: ask(debFile(args.deb)) }),
      ...(isUpgrade(args.upgrade) || isAll(args)
        ? { pending: ask(pendingUpgrades(args.upgrade ?? 'yes')) }
        : {}),
      ...(args.clean === true ? { archives: ask(keptArchives) } : {}),
    };
  },
  plan(seen, args): Plan<Seen> {
    const common = {
      ...(args.purge === true ? { purge: true } : {}),
      ...(args.autoremove === true ? { autoremove: true } : {}),
      ...(args.install_recommends === undefined ? {} : { installRecommends: args.install_recommends }),
      ...(args.allow_downgrade === true || args.force === true ? { allowDowngrade: true } : {}),
      ...(args.allow_unauthenticated === true || args.force === true ? { noGpgCheck: true } : {}),
      extraArgs: [
        ...(args.allow_change_held_packages === true || args.force === true
          ? ['--allow-change-held-packages']
          : []),
        ...(args.force === true ? ['--allow-remove-essential'] : []),
        ...(args.fail_on_autoremove === true ? ['--no-remove'] : []),
      ],
      ...(args.default_release === undefined ? {} : { defaultRelease: args.default_release }),
      ...(args.lock_timeout === undefined ? {} : { lockTimeoutS: args.lock_timeout }),
      ...(args.update_cache === true ? { refreshOlderThanS: args.cache_valid_time ?? LISTS_VALID_S } : {}),
    };
    if (args.deb !== undefined) return planDeb(seen, args.deb);
    if (isUpgrade(args.upgrade) || isAll(args)) return planUpgrade(seen, args.upgrade ?? 'yes', common);
    const onlyInstalled = args.only_upgrade === true;
    const names = (args.name ?? []).filter(
      (one) => !onlyInstalled || seen.packages.installed.has(packageName(one).name),
    );
    if (onlyInstalled && names.length === 0) return unchanged('none of the packages is installed');
    if (names.length === 0 && args.autoremove === true && args.update_cache !== true) {
      return change(
        'autoremove looks for itself',
        [
          {
            kind: 'run',
            what: 'remove what no package needs',
            script: sh`DEBIAN_FRONTEND=noninteractive apt-get -y -q autoremove`,
            survives: true,
          },
        ],
        { imperative: true, touches: 'everything' },
      );
    }
    if (names.length === 0 && seen.archives !== undefined && args.update_cache !== true) {
      if (seen.archives === 0) return unchanged('apt keeps no downloads');
      return change(
        `apt keeps ${seen.archives} downloads`,
        [{ kind: 'run', what: 'empty the cache of downloads', script: sh`apt-get clean` }],
        { after: { archives: 0 }, touches: [keptArchives.key] },
      );
    }
    if (names.length === 0 && args.update_cache !== true) {
      return refuse('there is nothing to do', 'Give name, deb, upgrade or update_cache.');
    }
    return planPackages(seen, { names, state: packageState(args.state), ...common });
  },
});

/** How many downloaded packages apt keeps. Source: /var/cache/apt/archives. */
const keptArchives = {
  key: 'package:apt archives',
  sh: sh`set -- /var/cache/apt/archives/*.deb; if [ -e "$1" ]; then echo "$#"; else echo 0; fi`,
  parse: (answer: { readonly stdout: string }) => Number(answer.stdout),
};

function isAll({ name = [], state = '' }: { name?: readonly string[]; state?: string }): boolean {
  return isEverything({ name, state });
}

function isUpgrade(upgrade: string | undefined): boolean {
  return upgrade !== undefined && upgrade !== 'no';
}

function pendingUpgrades(kind: string) {
  const verb = kind === 'dist' || kind === 'full' ? 'dist-upgrade' : 'upgrade';
  return {
    key: `package:pending ${verb}`,
    // Inst tzdata [2024a-0+deb12u1] (2024b-0+deb12u1 Debian:12.11/stable [all])
    sh: sh`LC_ALL=C apt-get -s -q -o Debug::NoLocking=1 ${verb} | grep '^Inst ' || true`,
    parse: (answer: { readonly stdout: string }) =>
      answer.stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => line.slice('Inst '.length)),
  };
}

function planUpgrade(seen: Seen, kind: string, common: { refreshOlderThanS?: number }): Plan<Seen> {
  const pending = seen.pending ?? [];
  const verb = kind === 'dist' || kind === 'full' ? 'dist-upgrade' : 'upgrade';
  const age = seen.packages.listsAgeS;
  const stale =
    common.refreshOlderThanS !== undefined && (age === undefined || age > common.refreshOlderThanS);
  if (pending.length === 0 && !stale) return unchanged('every package is the newest that the lists know');
  const first = pending[0]?.split(' ')[0];
  const because =
    pending.length === 0
      ? 'the lists of packages are old'
      : `${pending.length} packages can be upgraded${first === undefined ? '' : `, ${first} first`}`;
  return change(
    because,
    [
      {
        kind: 'run',
        what: `upgrade all packages`,
        survives: true,
        deadlineMs: 60 * 60_000,
        script: lines(
          sh`export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1`,
          sh`set -e`,
          ...(stale
            ? [
                sh`apt-get update -q`,
                sh`mkdir -p /var/lib/apt/periodic`,
                sh`touch /var/lib/apt/periodic/update-success-stamp`,
              ]
            : []),
          sh`apt-get -y -q -o DPkg::Lock::Timeout=120 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold ${verb}`,
        ),
      },
    ],
    {
      touches: 'everything',
      diff: pending.slice(0, 50).map((line) => ({ subject: 'package', before: undefined, after: line })),
    },
  );
}

function planDeb(seen: Seen, file: string): Plan<Seen> {
  const { deb } = seen;
  if (deb === undefined)
    return refuse(`${file} is no Debian package on the host`, 'Bring it there first with copy or get_url.');
  if (deb.installedVersion === deb.version) return unchanged(`${deb.name} ${deb.version} is installed`);
  return change(
    deb.installedVersion === undefined
      ? `${deb.name} is not installed`
      : `${deb.name} is ${deb.installedVersion}`,
    [
      {
        kind: 'run',
        what: `install ${posix.basename(file)}`,
        survives: true,
        deadlineMs: 30 * 60_000,
        script: sh`DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=120 --allow-downgrades -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install ${file}`,
      },
    ],
    {
      touches: 'everything',
      diff: [{ subject: `package ${deb.name}`, before: deb.installedVersion, after: deb.version }],
    },
  );
}
