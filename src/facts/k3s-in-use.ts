import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import { binaryPath, configFolder, configPath, type Role, registriesPath, unitName } from '../k3s/paths.ts';
import { assignmentsOf } from './answer-lines.ts';
import { hasUnit } from './service.ts';

/** The k3s service and what has changed on disk since it started. */
export interface InUse {
  readonly state: 'absent' | 'inactive' | 'activating' | 'active' | 'deactivating' | 'failed';
  readonly enabled: boolean;
  /** systemd has not read the unit file that is on disk. */
  readonly needsDaemonReload: boolean;
  /** Different after every start; empty when it never ran. */
  readonly invocation: string;
  /** Files that k3s reads only when it starts and that are newer than its start. */
  readonly newerThanStart: readonly string[];
  /** In a plan alone: files that it would write, which the start to come is the first to read. */
  readonly readAnew?: readonly string[];
}

/**
 * Whether the running k3s uses what is on disk is decided from what runs: a handler that a broken-off run forgot cannot
 * lose a restart. systemd leaves `/run/systemd/units/invocation:UNIT` at every start, supervise-daemon its pid file;
 * whatever is newer than that was written after k3s read it.
 */
export function inUse(role: Role, systemdFolder: string): Fact<InUse> {
  const unit = unitName(role);
  return {
    key: `k3s:in-use:${role}`,
    sh: sh`if [ -d /run/systemd/system ]; then
  ${hasUnit}
  unit=${`${unit}.service`}
  if has_unit "$unit"; then systemctl show --no-pager -p LoadState,ActiveState,UnitFileState,NeedDaemonReload,InvocationID "$unit"; fi
  started="/run/systemd/units/invocation:$unit"
  set -- ${[`${systemdFolder}/${unit}.service`, `${systemdFolder}/${unit}.service.env`, `${systemdFolder}/${unit}.service.d`]}
else
  unit=${unit}
  [ -e "/etc/init.d/$unit" ] && echo LoadState=loaded
  rc-service "$unit" status > /dev/null 2>&1; echo "OpenRC=$?"
  if rc-update show 2> /dev/null | grep -q "^ *$unit |.*[a-z]"; then echo UnitFileState=enabled; fi
  started="/run/$unit.pid"; [ -e "$started" ] || started="/run/supervise-$unit.pid"
  [ ! -e "$started" ] || echo "InvocationID=$(cat "$started")"
  set -- "/etc/init.d/$unit" ${`${configFolder}/${unit}.env`}
fi
if [ -e "$started" ] || [ -L "$started" ]; then
  find ${binaryPath} ${configPath} ${`${configFolder}/config.yaml.d`} ${registriesPath} "$@" -newer "$started" 2> /dev/null
fi
true`,
    parse: ({ stdout }) => {
      const pairs = assignmentsOf(stdout);
      const values = new Map(pairs);
      const loaded = values.get('LoadState') === 'loaded';
      const active = values.has('OpenRC')
        ? openRcState(values.get('OpenRC') ?? '')
        : values.get('ActiveState');
      return {
        state: loaded ? stateOf(active) : 'absent',
        enabled: values.get('UnitFileState') === 'enabled',
        needsDaemonReload: values.get('NeedDaemonReload') === 'yes',
        invocation: values.get('InvocationID') ?? '',
        newerThanStart: stdout.split('\n').filter((line) => line.startsWith('/')),
      };
    },
  };
}

function stateOf(active: string | undefined): InUse['state'] {
  switch (active) {
    case 'active':
    case 'reloading':
      return 'active';
    case 'activating':
    case 'deactivating':
    case 'failed':
      return active;
    default:
      return 'inactive';
  }
}

/** `rc-service X status` exits 0 for started, 8 for starting, 32 for crashed. */
function openRcState(code: string): string {
  return { '0': 'active', '8': 'activating', '32': 'failed' }[code] ?? 'inactive';
}

/** The same service once these files have been written: the plan's own view of a restart to come. */
export function withNewer(state: InUse, ...paths: readonly string[]): InUse {
  if (state.state === 'absent' || state.invocation === '') return state;
  return {
    ...state,
    newerThanStart: [...new Set([...state.newerThanStart, ...paths])],
    readAnew: [...new Set([...(state.readAnew ?? []), ...paths])],
  };
}
