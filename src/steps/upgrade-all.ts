import { lines, type ShellScript, sh } from '../core/shell.ts';
import { change, type Plan, refuse, unchanged } from '../engine/step.ts';
import type { PackageManager } from '../facts/package.ts';
import type { SystemUpgrades } from '../facts/system-upgrades.ts';

/** How every package becomes the newest that the lists on the host know, by package manager. */
export const upgradeAllScripts: Readonly<Record<PackageManager, ShellScript>> = {
  apt: lines(
    sh`export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 LC_ALL=C`,
    sh`apt-get -y -q -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=120 full-upgrade`,
  ),
  dnf: sh`dnf -y -q upgrade`,
  yum: sh`yum -y -q update`,
  // Systems with a read-only root take their updates into the next boot. 102 and 103: a reboot is due, as it will be.
  zypper: sh`if command -v transactional-update >/dev/null 2>&1; then transactional-update -n up
else c='update'; if grep -q '^ID="\\{0,1\\}opensuse-tumbleweed' /etc/os-release; then c=dist-upgrade; fi
zypper --non-interactive -q "$c" --auto-agree-with-licenses; s=$?; case $s in 100|101|102|103|106) exit 0 ;; *) exit "$s" ;; esac; fi`,
  pacman: sh`pacman -Su --noconfirm`,
  apk: sh`apk upgrade -q`,
};

/** Whether a step is asked for all packages at once: `name: '*'` with `state: latest`, or `upgrade: true`. */
export function isEverything(args: {
  readonly name?: readonly string[];
  readonly state?: string;
  readonly upgrade?: boolean;
}): boolean {
  return args.upgrade === true || (args.state === 'latest' && args.name?.includes('*') === true);
}

/** What it takes for all packages to be the newest. Nothing is rebooted: that is `system_upgrade`. */
export function planUpgradeAll<Seen>({ manager, packages }: SystemUpgrades): Plan<Seen> {
  if (manager === undefined)
    return refuse(
      'the host has no package manager that fleet knows',
      'fleet knows apt, dnf, yum, zypper, pacman and apk; use command for others.',
    );
  if (packages.length === 0) return unchanged('every package is the newest that the lists know');
  return change(
    `${packages.length} packages can be upgraded, ${packages[0]} first`,
    [
      {
        kind: 'run',
        what: 'upgrade all packages',
        script: upgradeAllScripts[manager],
        survives: true,
        deadlineMs: 60 * 60_000,
      },
    ],
    {
      touches: 'everything',
      diff: packages.slice(0, 50).map((name) => ({ subject: 'package', before: undefined, after: name })),
    },
  );
}
