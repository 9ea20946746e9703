import { FleetError } from '../core/errors.ts';
import { connectionSettingsOf } from '../inventory/connection-settings.ts';
import type { Fleet } from '../inventory/fleet.ts';
import { ConnectionPool, type PoolOptions } from '../ssh/connect.ts';
import type { Become } from '../ssh/connection.ts';
import { becomeOf, type ConnectionSettings, type ResolveOptions, resolveTarget } from '../ssh/target.ts';
import type { TaskBecome } from './play.ts';
import type { OpenConnection } from './sessions.ts';

export interface AccessOptions extends PoolOptions, ResolveOptions {
  /** What the command line says, over the inventory: `-u`, `--private-key`, `--ask-pass` … */
  readonly overrides?: Partial<ConnectionSettings>;
  readonly signal?: AbortSignal;
}

/** How the hosts of a fleet are reached, decided from their variables; and `localhost`, as Ansible has it, without any. */
export function accessTo(fleet: Fleet, options: AccessOptions): OpenConnection & { close(): Promise<void> } {
  const pool = new ConnectionPool(options);
  const settings = new Map<string, ConnectionSettings>();
  const settingsOf = (name: string): ConnectionSettings => {
    const known = settings.get(name) ?? { ...readSettings(fleet, name), ...options.overrides };
    settings.set(name, known);
    return known;
  };
  return {
    connect: async (name) => pool.connect(await resolveTarget(settingsOf(name), options), options.signal),
    becomeOf: (name, task) => becomeFor(settingsOf(name), task),
    close: () => pool.close(),
  };
}

function readSettings(fleet: Fleet, name: string): ConnectionSettings {
  const host = fleet.hosts.get(name);
  if (host !== undefined) return connectionSettingsOf(host);
  if (name === 'localhost' || name === '127.0.0.1' || name === '::1')
    return { name, ansible_connection: 'local' };
  throw new FleetError({
    code: 'HOST_UNKNOWN',
    message: `${JSON.stringify(name)} is not in the inventory`,
    fix: 'Name a host of the inventory, or localhost.',
    blame: 'usage',
  });
}

/** Ansible's order: a host's own variables outrank what a play or task says about becoming. */
function becomeFor(settings: ConnectionSettings, task: TaskBecome | undefined): Become | undefined {
  const enabled = settings.ansible_become ?? task?.enabled ?? false;
  if (!enabled) return undefined;
  return becomeOf({
    ...(task?.method === undefined ? {} : { ansible_become_method: task.method }),
    ...(task?.user === undefined ? {} : { ansible_become_user: task.user }),
    ...settings,
    ansible_become: true,
  });
}
