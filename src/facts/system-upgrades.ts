import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import { detectPackageManager, type PackageManager, packageManagers } from './package.ts';

/** What an upgrade of the whole system would bring. */
export interface SystemUpgrades {
  readonly manager: PackageManager | undefined;
  /** Packages that would change, as the lists on the host (or a repository that dnf asks) have it. */
  readonly packages: readonly string[];
}

/** Source: apt-get -s, dnf check-update, zypper list-updates, pacman -Qu, apk list. */
export const systemUpgrades: Fact<SystemUpgrades> = {
  key: 'package:system-upgrades',
  sh: sh`${detectPackageManager}
echo "$m"
case $m in
  apt-get) LC_ALL=C apt-get -s -q -o Debug::NoLocking=true full-upgrade 2>/dev/null | sed -n 's/^Inst \\([^ ]*\\).*/\\1/p' ;;
  dnf|yum) LC_ALL=C "$m" -q check-update 2>/dev/null | awk '/^Obsoleting/ { exit } NF == 3 && $1 ~ /\\./ { sub(/\\.[^.]*$/, "", $1); print $1 }' ;;
  zypper) LC_ALL=C zypper --non-interactive -q list-updates 2>/dev/null | awk -F ' *[|] *' '$1 ~ /^v/ { print $3 }' ;;
  pacman) pacman -Qu 2>/dev/null | awk '$0 !~ /\\[ignored\\]/ { print $1 }' ;;
  apk) apk list -u 2>/dev/null | awk '{ print $1 }' ;;
esac; true`,
  parse: ({ stdout }) => {
    const [first = '', ...rest] = stdout.split('\n');
    return {
      manager: first === 'apt-get' ? 'apt' : packageManagers.find((name) => name === first),
      packages: rest.filter((line) => line !== ''),
    };
  },
};
