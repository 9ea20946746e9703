import { lines, type ShellScript, sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { type Change, change, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type PackageManager, type PackageState, packageEffects } from '../facts/package.ts';

/** What is asked of some packages, whatever manages them. */
export interface WantedPackages {
  readonly names: readonly string[];
  readonly state: 'present' | 'latest' | 'absent';
  /** Fetches the lists of packages first when they are older than this. `undefined`: never. */
  readonly refreshOlderThanS?: number;
  /** apt: removes configuration files too. */
  readonly purge?: boolean;
  /** Removes what only these packages needed. */
  readonly autoremove?: boolean;
  readonly installRecommends?: boolean;
  readonly allowDowngrade?: boolean;
  readonly noGpgCheck?: boolean;
  readonly defaultRelease?: string;
  readonly enableRepo?: readonly string[];
  readonly disableRepo?: readonly string[];
  readonly extraArgs?: readonly string[];
  /** How long to wait for another run of the package manager, in seconds. */
  readonly lockTimeoutS?: number;
}

/** A package as a playbook names it: `nginx`, `nginx=1.22*`, `libc6:amd64`. */
export interface PackageName {
  readonly name: string;
  /** A version or a pattern of one. */
  readonly version?: string;
}

/** Splits `name=version` (and zypper's and apk's comparisons are left to them: only `=` is looked at). */
export function packageName(written: string): PackageName {
  const match = /^([^=<>]+?)\s*=\s*(.+)$/.exec(written);
  return match?.[1] === undefined || match[2] === undefined
    ? { name: written.trim() }
    : { name: match[1].trim(), version: match[2].trim() };
}

/** What it takes for packages to be there, newest or gone. */
export function planPackages(
  seen: { readonly packages: PackageState },
  wanted: WantedPackages,
): Plan<{ packages: PackageState }> {
  const state = seen.packages;
  const { manager } = state;
  if (manager === undefined) {
    return refuse(
      'the host has no package manager that fleet knows',
      'fleet knows apt, dnf, yum, zypper, pacman and apk; use command for others.',
    );
  }
  const asked = wanted.names.map(packageName);
  // Images come with emptied lists, and without any apt knows no package at all: then they are fetched in any case.
  const stale =
    state.listsAgeS === undefined
      ? manager === 'apt'
      : wanted.refreshOlderThanS !== undefined && state.listsAgeS > wanted.refreshOlderThanS;
  if (asked.length === 0) {
    if (!stale || wanted.refreshOlderThanS === undefined)
      return unchanged('the lists of packages are fresh enough', { cache_updated: false });
    return packageChange(`the lists of packages are ${age(state.listsAgeS)}`, [refresh(manager, wanted)], {
      result: () => ({ cache_updated: true }),
    });
  }
  if (wanted.state === 'absent') return planAbsent(state, manager, asked, wanted);

  const missing = asked.filter((one) => !state.installed.has(one.name));
  const otherVersion = asked.filter((one) => {
    const has = state.installed.get(one.name);
    return has !== undefined && one.version !== undefined && !matchesVersion(has, one.version);
  });
  const outdated =
    wanted.state === 'latest'
      ? asked.filter((one) => one.version === undefined && state.upgrades.has(one.name))
      : [];
  const stalePlan = wanted.state === 'latest' && stale;
  const concerned = [...new Set([...missing, ...otherVersion, ...outdated])];
  if (concerned.length === 0 && !stalePlan) {
    return unchanged(`${names(asked)} ${asked.length === 1 ? 'is' : 'are'} installed`, {
      packages: Object.fromEntries(state.installed),
    });
  }
  const reasons = [
    ...(missing.length > 0 ? [`${names(missing)} ${missing.length === 1 ? 'is' : 'are'} not installed`] : []),
    ...otherVersion.map((one) => `${one.name} is ${state.installed.get(one.name)}, not ${one.version}`),
    ...outdated.map(
      (one) => `${one.name} ${state.installed.get(one.name)} can become ${state.upgrades.get(one.name)}`,
    ),
    ...(concerned.length === 0 ? [`the lists of packages are ${age(state.listsAgeS)}`] : []),
  ];
  const specs = (stalePlan && concerned.length === 0 ? asked : concerned).map((one) => specOf(one, manager));
  const actions: Action[] = stale ? [refresh(manager, wanted)] : [];
  return packageChange(
    reasons.join('; '),
    [
      ...actions,
      {
        kind: 'run',
        what: `install ${specs.join(' ')}`,
        script: installScript(manager, specs, wanted),
        survives: true,
        deadlineMs: 30 * 60_000,
      },
    ],
    {
      diff: concerned.map((one) => ({
        subject: `package ${one.name}`,
        before: state.installed.get(one.name),
        after: one.version ?? state.upgrades.get(one.name) ?? 'installed',
      })),
    },
  );
}

function planAbsent(
  state: PackageState,
  manager: PackageManager,
  asked: readonly PackageName[],
  wanted: WantedPackages,
): Plan<{ packages: PackageState }> {
  const present = asked.filter((one) => state.installed.has(one.name));
  if (present.length === 0)
    return unchanged(`${names(asked)} ${asked.length === 1 ? 'is' : 'are'} not installed`);
  const list = present.map((one) => one.name);
  return packageChange(
    `${names(present)} ${present.length === 1 ? 'is' : 'are'} installed`,
    [
      {
        kind: 'run',
        what: `remove ${list.join(' ')}`,
        script: removeScript(manager, list, wanted),
        survives: true,
        deadlineMs: 30 * 60_000,
      },
    ],
    {
      diff: present.map((one) => ({
        subject: `package ${one.name}`,
        before: state.installed.get(one.name),
        after: undefined,
      })),
    },
  );
}

/** A package transaction can put files, users and services anywhere. */
function packageChange(
  because: string,
  actions: readonly Action[],
  more: Pick<Change<{ packages: PackageState }>, 'diff' | 'result'>,
): Plan<{ packages: PackageState }> {
  const [first, ...rest] = actions;
  if (first === undefined) return unchanged(because);
  return change(because, [first, ...rest], { touches: packageEffects, ...more });
}

function names(packages: readonly PackageName[]): string {
  return packages.map((one) => one.name).join(', ');
}

function age(seconds: number | undefined): string {
  if (seconds === undefined) return 'not there yet';
  return seconds < 7200
    ? `${Math.round(seconds / 60)} minutes old`
    : `${Math.round(seconds / 3600)} hours old`;
}

/** Whether an installed version is a wanted one: equal, by pattern (`1.22*`), or equal without epoch and release where those were not written. */
export function matchesVersion(installed: string, wanted: string): boolean {
  const pattern = new RegExp(
    `^${wanted
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.')}$`,
  );
  const withoutEpoch = installed.replace(/^\d+:/, '');
  const withoutRelease = withoutEpoch.replace(/-[^-]*$/, '');
  return [installed, withoutEpoch, withoutRelease].some((form) => pattern.test(form));
}

function specOf(one: PackageName, manager: PackageManager): string {
  if (one.version === undefined) return one.name;
  if (manager === 'dnf' || manager === 'yum') return `${one.name}-${one.version}`;
  return `${one.name}=${one.version}`;
}

const aptEnvironment = sh`export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 LC_ALL=C`;

function aptOptions(wanted: WantedPackages): readonly string[] {
  return [
    '-y',
    '-q',
    '-o',
    'Dpkg::Options::=--force-confdef',
    '-o',
    'Dpkg::Options::=--force-confold',
    '-o',
    `DPkg::Lock::Timeout=${wanted.lockTimeoutS ?? 120}`,
    ...(wanted.installRecommends === undefined
      ? []
      : ['-o', `APT::Install-Recommends=${wanted.installRecommends ? 'true' : 'false'}`]),
    ...(wanted.allowDowngrade === true ? ['--allow-downgrades'] : []),
    ...(wanted.noGpgCheck === true ? ['--allow-unauthenticated'] : []),
    ...(wanted.defaultRelease === undefined ? [] : ['-t', wanted.defaultRelease]),
    ...(wanted.extraArgs ?? []),
  ];
}

function refresh(manager: PackageManager, wanted: WantedPackages): Action {
  const scripts: Readonly<Record<PackageManager, ShellScript>> = {
    apt: lines(
      aptEnvironment,
      sh`apt-get update -q -o ${`DPkg::Lock::Timeout=${wanted.lockTimeoutS ?? 120}`} || exit`,
      // Debian without update-notifier has no stamp, and an unchanged list keeps its old time.
      sh`mkdir -p /var/lib/apt/periodic && touch /var/lib/apt/periodic/update-success-stamp`,
    ),
    dnf: sh`dnf -q -y makecache`,
    yum: sh`yum -q -y makecache`,
    zypper: sh`zypper --non-interactive -q refresh`,
    pacman: sh`pacman -Sy --noconfirm`,
    apk: sh`apk update -q && touch /var/cache/apk`,
  };
  return {
    kind: 'run',
    what: 'fetch the lists of packages',
    script: scripts[manager],
    survives: true,
    deadlineMs: 10 * 60_000,
  };
}

function installScript(
  manager: PackageManager,
  specs: readonly string[],
  wanted: WantedPackages,
): ShellScript {
  const latest = wanted.state === 'latest';
  switch (manager) {
    case 'apt':
      return lines(aptEnvironment, sh`apt-get ${aptOptions(wanted)} install ${specs}`);
    case 'dnf':
    case 'yum': {
      const options = rpmOptions(wanted);
      const install = sh`${manager} -y -q ${options} install ${specs}`;
      return latest ? lines(sh`set -e`, install, sh`${manager} -y -q ${options} upgrade ${specs}`) : install;
    }
    case 'zypper':
      return zypperScript(
        sh`zypper --non-interactive -q ${wanted.noGpgCheck === true ? ['--no-gpg-checks'] : []} install --auto-agree-with-licenses ${wanted.installRecommends === true ? [] : ['--no-recommends']} ${wanted.allowDowngrade === true ? ['--oldpackage'] : []} ${wanted.extraArgs ?? []} ${specs}`,
      );
    case 'pacman':
      return sh`pacman -S --noconfirm ${latest ? [] : ['--needed']} ${wanted.extraArgs ?? []} ${specs.map((spec) => spec.replace(/=.*$/, ''))}`;
    case 'apk':
      return sh`apk add -q ${latest ? ['-u'] : []} ${wanted.extraArgs ?? []} ${specs}`;
  }
}

// 102 and 103 say that the transaction went well and a reboot, or zypper's own restart, is due; 106 that a repository was skipped.
function zypperScript(command: ShellScript): ShellScript {
  return lines(command, sh`c=$?`, sh`case $c in 100|101|102|103|106) exit 0 ;; *) exit "$c" ;; esac`);
}

function rpmOptions(wanted: WantedPackages): readonly string[] {
  return [
    ...(wanted.noGpgCheck === true ? ['--nogpgcheck'] : []),
    ...(wanted.installRecommends === false ? ['--setopt=install_weak_deps=False'] : []),
    ...(wanted.enableRepo ?? []).map((repo) => `--enablerepo=${repo}`),
    ...(wanted.disableRepo ?? []).map((repo) => `--disablerepo=${repo}`),
    ...(wanted.extraArgs ?? []),
  ];
}

function removeScript(manager: PackageManager, list: readonly string[], wanted: WantedPackages): ShellScript {
  switch (manager) {
    case 'apt': {
      const verb = wanted.purge === true ? 'purge' : 'remove';
      return lines(
        aptEnvironment,
        sh`apt-get ${aptOptions(wanted)} ${wanted.autoremove === true ? ['--auto-remove'] : []} ${verb} ${list}`,
      );
    }
    case 'dnf':
    case 'yum':
      return sh`${manager} -y -q ${wanted.autoremove === true ? ['autoremove'] : ['remove']} ${list}`;
    case 'zypper':
      return zypperScript(
        sh`zypper --non-interactive -q remove ${wanted.autoremove === true ? ['--clean-deps'] : []} ${list}`,
      );
    case 'pacman':
      return sh`pacman ${wanted.autoremove === true ? '-Rs' : '-R'} --noconfirm ${list}`;
    case 'apk':
      return sh`apk del -q ${list}`;
  }
}
