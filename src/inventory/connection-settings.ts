import type { ConnectionSettings } from '../ssh/target.ts';
import type { Host } from './fleet.ts';
import { SettingValues } from './setting-values.ts';

const TEXTS = [
  'ansible_user',
  'ansible_connection',
  'ansible_ssh_private_key_file',
  'ansible_private_key_file',
  'ansible_become_method',
  'ansible_become_user',
  'ansible_ssh_args',
  'ansible_ssh_common_args',
  'ansible_ssh_extra_args',
] as const;
const SECRETS = [
  'ansible_ssh_pass',
  'ansible_password',
  'ansible_ssh_password',
  'ansible_become_pass',
  'ansible_become_password',
] as const;

/**
 * What the inventory says about reaching a host, under Ansible's names, templated and typed. `ansible_ssh_host`,
 * `ansible_ssh_port` and `ansible_ssh_user` count as the names without `ssh`.
 * @throws FleetError when a variable has the wrong type or cannot be templated.
 */
export function connectionSettingsOf(host: Host): ConnectionSettings {
  const values = new SettingValues(host);
  const settings: Record<string, unknown> = { name: host.name };
  const put = (name: string, value: unknown): void => {
    if (value !== undefined) settings[name] = value;
  };
  for (const name of TEXTS) put(name, values.text(name));
  for (const name of SECRETS) put(name, values.secret(name));
  put('ansible_user', values.text('ansible_user') ?? values.text('ansible_ssh_user'));
  const address = ['ansible_host', 'ansible_ssh_host'].find((name) => host.vars.has(name));
  put(
    'ansible_host',
    (address === undefined ? undefined : values.text(address))?.replace(/^\[([0-9a-fA-F:.%]+)\]$/, '$1'),
  );
  put('ansible_port', values.number('ansible_port') ?? values.number('ansible_ssh_port'));
  put('ansible_become', values.flag('ansible_become'));
  put('ansible_ssh_timeout', values.number('ansible_ssh_timeout'));
  put('ansible_timeout', values.number('ansible_timeout'));
  put('ansible_ssh_host_key_checking', values.text('ansible_ssh_host_key_checking'));
  put(
    'ansible_host_key_checking',
    values.text('ansible_host_key_checking') ?? values.text('host_key_checking'),
  );
  put(
    'fleet_ssh_transport',
    values.choice('fleet_ssh_transport', ['ssh2', 'openssh']) ??
      values.choice('ssh_transport', ['ssh2', 'openssh']),
  );
  return Object.freeze(settings) as unknown as ConnectionSettings;
}
