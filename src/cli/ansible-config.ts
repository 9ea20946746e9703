import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Fault } from '../core/errors.ts';

/** What an ansible.cfg may say that changes whom fleet would reach and as whom, and how fleet is told the same. */
const settingsElsewhere: Readonly<Record<string, string>> = {
  'defaults.inventory': '-i or FLEET_INVENTORY',
  'defaults.remote_user': 'ansible_user or -u',
  'defaults.remote_port': 'ansible_port',
  'defaults.private_key_file': 'ansible_ssh_private_key_file or --private-key',
  'defaults.host_key_checking': 'host_key_checking or --host-key-checking',
  'defaults.ask_pass': '-k',
  'defaults.vault_password_file': '--vault-password-file or ANSIBLE_VAULT_PASSWORD_FILE',
  'defaults.vault_identity_list': '--vault-id or ANSIBLE_VAULT_IDENTITY_LIST',
  'privilege_escalation.become': 'ansible_become',
  'privilege_escalation.become_method': 'ansible_become_method',
  'privilege_escalation.become_user': 'ansible_become_user',
  'privilege_escalation.become_ask_pass': '-K',
  'ssh_connection.ssh_args': 'ansible_ssh_args',
  'ssh_connection.ssh_common_args': 'ansible_ssh_common_args',
  'ssh_connection.ssh_extra_args': 'ansible_ssh_extra_args',
};

/**
 * The warning that fleet heeds no ansible.cfg, where the one that Ansible would take (ANSIBLE_CONFIG, or that of the
 * current folder) says something that matters. `inventory` matters where none was `named`.
 */
export function unheededAnsibleConfig(
  env: Readonly<Record<string, string | undefined>>,
  folder: string,
  named: { readonly inventory: boolean },
): Fault | undefined {
  const file = resolve(folder, env.ANSIBLE_CONFIG || 'ansible.cfg');
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
  const said = settingsIn(text).filter(
    ({ name }) =>
      Object.hasOwn(settingsElsewhere, name) && !(named.inventory && name === 'defaults.inventory'),
  );
  const [first] = said;
  if (first === undefined) return undefined;
  const keyOf = (name: string): string => name.split('.')[1] ?? name;
  return {
    code: 'ANSIBLE_CFG_NOT_READ',
    message: `fleet reads no ansible.cfg; this one sets ${said.map(({ name }) => keyOf(name)).join(', ')}`,
    fix: `Say it to fleet: ${said.map(({ name }) => `${keyOf(name)} is ${settingsElsewhere[name]}`).join('; ')}.`,
    where: { file, line: first.line },
    blame: 'usage',
  };
}

function settingsIn(text: string): readonly { readonly name: string; readonly line: number }[] {
  let section = '';
  return text.split('\n').flatMap((written, index) => {
    const heading = /^\[([^\]]+)\]/.exec(written)?.[1];
    if (heading !== undefined) section = heading.trim();
    const key = /^([A-Za-z_]+)\s*[=:]/.exec(written)?.[1];
    return key === undefined ? [] : [{ name: `${section}.${key.toLowerCase()}`, line: index + 1 }];
  });
}
