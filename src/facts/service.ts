import { raw, type ShellScript, sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import type { Answer } from '../ssh/connection.ts';

/** A service as the host's init system knows it. Tense: what is now, not what is on disk, unless the name says so. */
export interface ServiceState {
  /** `none` where neither systemd runs nor OpenRC is installed (a plain container). */
  readonly manager: 'systemd' | 'openrc' | 'none';
  /** The init system can find it. */
  readonly exists: boolean;
  /** `active`, `reloading`, `inactive`, `failed`, `activating`, `deactivating`; OpenRC's are translated to these. */
  readonly active: string;
  /** systemd's finer word: `running`, `exited`, `dead`, `auto-restart`. */
  readonly sub: string;
  /** `enabled`, `disabled`, `static`, `masked`, `generated`, `alias`, `indirect`, `linked` …; empty where there is none. */
  readonly enablement: string;
  readonly masked: boolean;
  /** The unit file on disk is newer than what systemd loaded. */
  readonly needsDaemonReload: boolean;
  /** When it last became active, as systemd prints it; empty when it never did. */
  readonly activeSince: string;
  /** When its main process started. */
  readonly mainStartedAt: string;
  /** Microseconds of the boot clock, to be compared with one another; 0 when it never started. */
  readonly mainStartedMonotonicUs: number;
  readonly mainPid: number;
  readonly result: string;
  readonly restarts: number;
  /** The unit file and its drop-ins, in the order in which they are read. */
  readonly unitFiles: readonly string[];
  /** Its template or link's real unit name, `ssh.service` for `sshd`. */
  readonly id: string;
}

const PROPERTIES = [
  'Id',
  'LoadState',
  'ActiveState',
  'SubState',
  'UnitFileState',
  'NeedDaemonReload',
  'ActiveEnterTimestamp',
  'ExecMainStartTimestamp',
  'ExecMainStartTimestampMonotonic',
  'MainPID',
  'Result',
  'NRestarts',
  'FragmentPath',
  'DropInPaths',
].join(',');

/**
 * `has_unit NAME`: whether systemd can know of a unit, told by files alone. Most services that one asks about are not
 * there, and asking systemd about them takes longer than all else that is asked. A unit that once ran has its invocation noted.
 * @see https://www.freedesktop.org/software/systemd/man/latest/systemd.unit.html#Unit%20File%20Load%20Path
 */
export const hasUnit: ShellScript = raw(`has_unit() {
  case $1 in *@*) return 0 ;; *.*) unit=$1 ;; *) unit=$1.service ;; esac
  for folder in /etc /run /usr/local/lib /usr/lib /lib; do
    for at in "$folder/systemd/system/$unit" "$folder/systemd/system.control/$unit"; do
      if [ -e "$at" ] || [ -L "$at" ]; then return 0; fi
    done
  done
  for at in /run/systemd/generator*/"$unit" /run/systemd/transient/"$unit" "/run/systemd/units/invocation:$unit" "/etc/init.d/\${unit%.service}"; do
    if [ -e "$at" ] || [ -L "$at" ]; then return 0; fi
  done
  return 1
}`);

/** State of one service or unit (`k3s`, `fstrim.timer`). Source: `systemctl show`, or `rc-service` and `rc-update`. */
export function service(name: string): Fact<ServiceState> {
  return {
    key: `service:${name}`,
    sh: sh`n=${name}
if [ -d /run/systemd/system ]; then
  echo systemd
  ${hasUnit}
  if has_unit "$n"; then systemctl show --no-pager -p ${PROPERTIES} -- "$n"
  else printf '%s\\n' "Id=$unit" LoadState=not-found ActiveState=inactive SubState=dead; fi
elif command -v rc-service >/dev/null 2>&1; then
  echo openrc
  if [ -e "/etc/init.d/$n" ]; then
    echo LoadState=loaded
    s=$(rc-service "$n" status 2>&1); c=$?
    printf 'Status=%s %s\\n' "$c" "$(printf '%s' "$s" | tail -n 1)"
    if rc-update show 2>/dev/null | grep -q "^ *$n |.*[a-z]"; then echo UnitFileState=enabled; else echo UnitFileState=disabled; fi
  fi
else echo none; fi`,
    parse: parseService,
  };
}

/** The parser of `service`: the manager's name, then `Key=value` lines. */
export function parseService(answer: Answer): ServiceState {
  const [manager = '', ...rest] = answer.stdout.split('\n');
  if (manager !== 'systemd' && manager !== 'openrc' && manager !== 'none') {
    throw new Error(`unknown init system ${JSON.stringify(manager)} ${answer.stderr.trim()}`);
  }
  const values = new Map<string, string>();
  for (const line of rest) {
    const equals = line.indexOf('=');
    if (equals > 0) values.set(line.slice(0, equals), line.slice(equals + 1));
  }
  if (manager === 'systemd' && !values.has('LoadState')) {
    throw new Error(`systemctl answered ${JSON.stringify(answer.stderr.trim())}`);
  }
  const read = (key: string) => values.get(key) ?? '';
  const load = read('LoadState');
  const enablement = read('UnitFileState');
  const dropIns = read('DropInPaths').split(' ');
  return {
    manager,
    exists: load === 'loaded' || load === 'masked',
    active: manager === 'openrc' ? activeOfOpenRc(read('Status')) : read('ActiveState') || 'inactive',
    sub: read('SubState'),
    enablement,
    masked: load === 'masked' || enablement.startsWith('masked'),
    needsDaemonReload: read('NeedDaemonReload') === 'yes',
    activeSince: read('ActiveEnterTimestamp'),
    mainStartedAt: read('ExecMainStartTimestamp'),
    mainStartedMonotonicUs: Number(read('ExecMainStartTimestampMonotonic') || 0),
    mainPid: Number(read('MainPID') || 0),
    result: read('Result'),
    restarts: Number(read('NRestarts') || 0),
    unitFiles: [read('FragmentPath'), ...dropIns].filter((path) => path !== ''),
    id: read('Id'),
  };
}

// ` * status: started` with exit 0; `stopped` 3, `crashed` 32, `starting` 8, `inactive` 16.
function activeOfOpenRc(status: string): string {
  if (status.startsWith('0')) return 'active';
  if (/crashed/.test(status)) return 'failed';
  if (/starting/.test(status)) return 'activating';
  return 'inactive';
}

/** The same service after it was started, stopped, enabled or masked; fields that only the host knows keep no stale value. */
export function foreseenService(state: ServiceState, changes: Partial<ServiceState>): ServiceState {
  return { ...state, ...changes };
}
