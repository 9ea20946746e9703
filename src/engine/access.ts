import { FleetError } from '../core/errors.ts';
import { connectionSettingsOf } from '../inventory/connection-settings.ts';
import type { Fleet } from '../inventory/fleet.ts';
import { ConnectionPool, type PoolOptions } from '../ssh/connect.ts';
import type { Become } from '../ssh/connection.ts';
import { becomeOf, type ConnectionSettings, type ResolveOptions, resolveTarget } from '../ssh/target.ts';
import type { TaskBecome } from './play.ts';
import type { OpenConnection } from './sessions.ts';

export interface AccessOptions extends PoolOptions, ResolveOptions {
  /** What the command line says, over the inventory: whether host keys are checked. */
  readonly overrides?: Partial<ConnectionSettings>;
  /** What holds where a host's variables say nothing, as in Ansible: `remote_user`, `-u`, `--private-key`, passwords asked for. */
  readonly defaults?: (host: string) => ConnectionDefaults;
  readonly signal?: AbortSignal;
}

/** How to log in, from elsewhere than a host's variables. */
export type ConnectionDefaults = Pick<
  ConnectionSettings,
  'ansible_user' | 'ansible_ssh_private_key_file' | 'ansible_password' | 'ansible_become_password'
>;

/** A setting, and the other names that a host's variables may have for it. */
const SAME_SETTING: Readonly<Record<keyof ConnectionDefaults, readonly (keyof ConnectionSettings)[]>> = {
  ansible_user: [],
  ansible_ssh_private_key_file: ['ansible_private_key_file'],
  ansible_password: ['ansible_ssh_pass', 'ansible_ssh_password'],
  ansible_become_password: ['ansible_become_pass'],
};

function withDefaults(settings: ConnectionSettings, defaults: ConnectionDefaults = {}): ConnectionSettings {
  const missing = Object.entries(defaults).filter(([name]) => {
    const names = [name, ...SAME_SETTING[name as keyof ConnectionDefaults]] as (keyof ConnectionSettings)[];
    return names.every((one) => settings[one] === undefined);
  });
  return missing.length === 0 ? settings : { ...settings, ...Object.fromEntries(missing) };
}

/** How the hosts of a fleet are reached, decided from their variables; and `localhost`, as Ansible has it, without any. */
export function accessTo(fleet: Fleet, options: AccessOptions): OpenConnection & { close(): Promise<void> } {
  const pool = new ConnectionPool(options);
  const settings = new Map<string, ConnectionSettings>();
  const settingsOf = (name: string): ConnectionSettings => {
    const known = settings.get(name) ?? {
      ...withDefaults(readSettings(fleet, name), options.defaults?.(name)),
      ...options.overrides,
    };
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

/** Ansible's order: variables, a host's own too, outrank what a play or task says about becoming. */
function becomeFor(own: ConnectionSettings, task: TaskBecome | undefined): Become | undefined {
  const settings = { ...own, ...task?.variables };
  const enabled = settings.ansible_become ?? task?.enabled ?? false;
  if (!enabled) return undefined;
  return becomeOf({
    ...(task?.method === undefined ? {} : { ansible_become_method: task.method }),
    ...(task?.user === undefined ? {} : { ansible_become_user: task.user }),
    ...settings,
    ansible_become: true,
  });
}
