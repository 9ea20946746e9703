import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

/** What keeps a host's clock right. */
export interface TimeService {
  /** The services that run, by their own names: `chronyd`, `systemd-timesyncd`. */
  readonly active: readonly string[];
  /** Those that are installed, running or not. */
  readonly installed: readonly string[];
  /** Somebody else sets the clock: the host of a container or of WSL. */
  readonly guest: boolean;
}

const services = ['chronyd', 'chrony', 'systemd-timesyncd', 'ntpd', 'ntpsec', 'ntp', 'openntpd'];

/** Source: systemctl or rc-service, /run/systemd/container, /.dockerenv, /proc/sys/kernel. */
export const timeService: Fact<TimeService> = {
  key: 'service:time',
  sh: sh`for s in ${services}; do
  if [ -d /run/systemd/system ]; then
    for d in /usr/lib/systemd/system /lib/systemd/system /etc/systemd/system; do
      if [ -e "$d/$s.service" ] && [ ! -L "$d/$s.service" ]; then echo "installed $s"; if systemctl is-active -q "$s.service"; then echo "active $s"; fi; break; fi
    done
  elif [ -e "/etc/init.d/$s" ]; then echo "installed $s"; if rc-service "$s" status >/dev/null 2>&1; then echo "active $s"; fi; fi
done
if [ -e /run/systemd/container ] || [ -e /.dockerenv ]; then echo guest; fi
read -r kernel </proc/sys/kernel/osrelease; case $kernel in *icrosoft*) echo guest ;; esac; true`,
  parse: ({ stdout }) => {
    const named = (word: string) =>
      [...stdout.matchAll(new RegExp(`^${word} (\\S+)$`, 'gm'))].map(([, name = '']) => name);
    return { active: named('active'), installed: named('installed'), guest: /^guest$/m.test(stdout) };
  },
};
