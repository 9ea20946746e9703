import { type ShellScript, sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import type { Answer } from '../ssh/connection.ts';

export const packageManagers = ['apt', 'dnf', 'yum', 'zypper', 'pacman', 'apk'] as const;
export type PackageManager = (typeof packageManagers)[number];

/** What a host's package database says of some names. */
export interface PackageState {
  /** `undefined` when the host has none that fleet knows. */
  readonly manager: PackageManager | undefined;
  /** Installed version by asked name (`dpkg` form, rpm `[epoch:]version-release`); names that are not installed are absent. */
  readonly installed: ReadonlyMap<string, string>;
  /** The version that an upgrade would bring, by name; only where it was asked for and differs from the installed one. */
  readonly upgrades: ReadonlyMap<string, string>;
  /** Age of the package lists on the host, in seconds; `undefined` where there are none or the manager keeps none. */
  readonly listsAgeS: number | undefined;
}

/**
 * Sets `$m` to the host's package manager, by what the distribution says of itself first: a machine may have another
 * family's tools installed (dnf on Debian).
 */
export const detectPackageManager: ShellScript = sh`m=
f=$( . /etc/os-release 2>/dev/null; echo " $ID $ID_LIKE " )
case $f in
  *\\ debian\\ *|*\\ ubuntu\\ *) c='apt-get' ;;
  *\\ rhel\\ *|*\\ fedora\\ *|*\\ centos\\ *|*\\ rocky\\ *|*\\ almalinux\\ *|*\\ amzn\\ *|*\\ ol\\ *) c='dnf yum' ;;
  *suse*|*\\ sles\\ *|*\\ sle-micro\\ *) c='zypper' ;;
  *\\ arch\\ *|*\\ archarm\\ *) c='pacman' ;;
  *\\ alpine\\ *) c='apk' ;;
  *) c= ;;
esac
for t in $c apt-get dnf yum zypper pacman apk; do
  if command -v "$t" >/dev/null 2>&1; then m=$t; break; fi
done`;

/**
 * Which of some packages are installed, and in which version. With `upgrades`, also what an upgrade would bring
 * according to the lists on the host (nothing is fetched); slower, so only for `state: latest`.
 * Source: dpkg-query, rpm, apk, pacman.
 */
export function packages(
  names: readonly string[],
  manager: PackageManager | undefined,
  upgrades: boolean,
): Fact<PackageState> {
  const asked = [...names].sort();
  const choose =
    manager === undefined ? detectPackageManager : sh`m=${manager === 'apt' ? 'apt-get' : manager}`;
  const newer = upgrades && asked.length > 0 ? upgradesOf(asked) : sh``;
  return {
    key: `package:${manager ?? 'any'}${upgrades ? '+' : ''} ${asked.join(' ')}`,
    sh: sh`${choose}
echo "$m"
case $m in apt-get) s=/var/lib/apt/lists ;; apk) s=/var/cache/apk ;; pacman) s=/var/lib/pacman/sync ;; *) s=/nonexistent ;; esac
if [ "$m" = apt-get ]; then
  set -- /var/lib/apt/lists/*Packages*
  if [ ! -e "$1" ]; then s=/nonexistent
  elif [ -e /var/lib/apt/periodic/update-success-stamp ]; then s=/var/lib/apt/periodic/update-success-stamp; fi
fi
if [ -e "$s" ]; then echo "$(date +%s) $(stat -c %Y "$s")"; else echo -; fi
${asked.length === 0 ? sh`true` : installedOf(asked)}
echo =
${newer}
true`,
    parse: (answer) => parsePackages(answer, asked),
  };
}

/** The same question, put only to hosts where a condition holds; others seem to have no package manager. Its database is slow to ask. */
export function packagesWhere(condition: ShellScript, fact: Fact<PackageState>): Fact<PackageState> {
  return {
    ...fact,
    key: `${fact.key} where ${condition.text}`,
    sh: sh`if ${condition}; then\n${fact.sh}\nfi`,
  };
}

// biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders.
const DPKG_FORMAT = '${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\t${Provides}\n';

function installedOf(names: readonly string[]): ShellScript {
  return sh`set -- ${names}
case $m in
  apt-get)
    nl='
'
    o=$(dpkg-query -W -f ${DPKG_FORMAT} "$@" 2>/dev/null)
    printf '%s\\n' "$o"
    # What is not there by its own name may be what another package provides.
    c=$#
    for n; do case $nl$o in *"$nl"installed"	$n	"*) ;; *) set -- "$@" -e "$n" ;; esac; done
    shift "$c"
    if [ $# -gt 0 ]; then dpkg-query -W -f ${DPKG_FORMAT} 2>/dev/null | grep -F "$@"; fi ;;
  dnf|yum|zypper)
    for n; do
      v=$(rpm -q --qf '%{EPOCH}:%{VERSION}-%{RELEASE}\\n' "$n" 2>/dev/null) ||
        v=$(rpm -q --whatprovides --qf '%{EPOCH}:%{VERSION}-%{RELEASE}\\n' "$n" 2>/dev/null) || continue
      printf 'installed\\t%s\\t%s\\n' "$n" "$(printf '%s\\n' "$v" | tail -n 1)"
    done ;;
  pacman)
    for n; do v=$(pacman -Q "$n" 2>/dev/null) && printf 'installed\\t%s\\t%s\\n' "$n" "$(printf '%s' "$v" | head -n 1 | cut -d ' ' -f 2)"; done ;;
  apk)
    for n; do v=$(apk info -e -v "$n" 2>/dev/null | head -n 1); [ -n "$v" ] && printf 'installed\\t%s\\t%s\\n' "$n" "$v"; done ;;
esac`;
}

function upgradesOf(names: readonly string[]): ShellScript {
  return sh`set -- ${names}
case $m in
  apt-get) LC_ALL=C apt-cache policy "$@" 2>/dev/null | sed -n 's/^\\([^ ].*\\):$/N \\1/p;s/^  Candidate: /C /p' ;;
  dnf|yum) "$m" -q -C list --upgrades "$@" 2>/dev/null | awk 'NF==3 && $1 ~ /\\./ { sub(/\\.[^.]*$/, "", $1); print "N " $1; print "C " $2 }' ;;
  zypper) zypper --non-interactive --no-refresh -q list-updates 2>/dev/null | awk -F ' *[|] *' '$1 ~ /^v/ { print "N " $3; print "C " $5 }' ;;
  pacman) pacman -Qu "$@" 2>/dev/null | awk '{ print "N " $1; print "C " $4 }' ;;
  apk) apk list -u "$@" 2>/dev/null | awk '{ v=$1; p=$1; sub(/-[0-9][^-]*-r[0-9]+$/, "", p); print "N " p; print "C " v }' ;;
esac`;
}

/** The parser of `packages`; see the table tests for each manager's real output. */
export function parsePackages(answer: Answer, asked: readonly string[]): PackageState {
  const [first = '', stamp = '', ...rest] = answer.stdout.split('\n');
  const manager = first === 'apt-get' ? 'apt' : packageManagers.find((name) => name === first);
  const end = rest.indexOf('=');
  const installed = new Map<string, string>();
  for (const line of rest.slice(0, end)) {
    // installed	mawk	1.3.4.20200120-3.1	amd64	awk
    const [status, name = '', version = '', architecture, provides = ''] = line.split('\t');
    if (status !== 'installed') continue;
    const provided = provides.split(',').map((entry) => entry.trim().split(' ')[0] ?? '');
    for (const wanted of asked) {
      const own = wanted === name || wanted === `${name}:${architecture}`;
      if (own) installed.set(wanted, plainVersion(wanted, version));
      else if (provided.includes(wanted) && !installed.has(wanted))
        installed.set(wanted, plainVersion(wanted, version));
    }
  }
  const upgrades = new Map<string, string>();
  let current = '';
  for (const line of rest.slice(end + 1)) {
    if (line.startsWith('N ')) current = line.slice(2).trim();
    if (!line.startsWith('C ')) continue;
    const candidate = line.slice(2).trim();
    const has = installed.get(current);
    if (candidate !== '(none)' && has !== undefined && candidate !== has) upgrades.set(current, candidate);
  }
  const [now, changed] = stamp.split(' ').map(Number);
  const listsAgeS =
    now === undefined || changed === undefined || Number.isNaN(now) ? undefined : Math.max(0, now - changed);
  return { manager, installed, upgrades, listsAgeS };
}

/** rpm says `(none):1.2-3` where there is no epoch; apk puts the name before: `curl-8.5.0-r0`. */
function plainVersion(name: string, version: string): string {
  const plain = version.replace(/^\(none\):/, '');
  return plain.startsWith(`${name}-`) ? plain.slice(name.length + 1) : plain;
}

/**
 * What a package transaction can change: about everything, but for the places that packages leave to the administrator
 * (/usr/local, /root, /home) and to k3s (/etc/rancher, /var/lib/rancher), so that plans of fresh nodes stay known.
 */
export const packageEffects: readonly string[] = [
  ...['package:*', 'service:*', 'port:*', 'account:*', 'kernel-module:*', 'sysctl:*', 'swap:*', 'mount:*'],
  ...['firewall:*', 'selinux:*', 'host:*', 'command:*', 'clock:*', 'tree:*', 'find:*'],
  ...systemPaths().flatMap((path) => [`file:${path}*`, `content:${path}*`, `digest:${path}*`]),
];

function systemPaths(): readonly string[] {
  const letters = [...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-'];
  const notRancher = [
    ...letters.filter((letter) => letter !== 'r'),
    ...letters.filter((letter) => letter !== 'a').map((letter) => `r${letter}`),
  ];
  return [
    ...[
      '/bin',
      '/sbin',
      '/lib',
      '/boot',
      '/opt',
      '/run',
      '/srv',
      '/usr/bin',
      '/usr/sbin',
      '/usr/lib',
      '/usr/share',
    ],
    ...['/var/cache', '/var/log', '/var/spool', '/var/www'],
    ...notRancher.flatMap((start) => [`/etc/${start}`, `/var/lib/${start}`]),
  ];
}

// biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders.
const DEB_FORMAT = '${db:Status-Status} ${Version}\n';

/** A Debian package file on a host. */
export interface DebFile {
  readonly name: string;
  readonly version: string;
  /** What is installed under its name. */
  readonly installedVersion: string | undefined;
}

/** What a package file holds and what of it is installed; `undefined` when it is not there or no package. Source: dpkg-deb, dpkg-query. */
export function debFile(path: string): Fact<DebFile | undefined> {
  return {
    key: `package:deb ${path}`,
    sh: sh`p=${path}
if n=$(dpkg-deb -f "$p" Package 2>/dev/null) && [ -n "$n" ]; then
  echo "$n"; dpkg-deb -f "$p" Version
  dpkg-query -W -f ${DEB_FORMAT} "$n" 2>/dev/null | sed -n 's/^installed //p'
fi`,
    parse: (answer) => {
      const [name = '', version = '', installed = ''] = answer.stdout.split('\n');
      if (name === '') return undefined;
      return { name, version, installedVersion: installed === '' ? undefined : installed };
    },
  };
}
