import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { unheededAnsibleConfig } from '../../src/cli/ansible-config.ts';

const folder = mkdtempSync(join(tmpdir(), 'fleet-ansible-cfg-'));
const put = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
afterEach(() => rmSync(join(folder, 'ansible.cfg'), { force: true }));
afterAll(() => rmSync(folder, { recursive: true }));

describe('an ansible.cfg, which fleet does not read', () => {
  test('is warned of with what it sets and how fleet is told the same', () => {
    const file = put(
      'ansible.cfg',
      '[defaults]\nnocows = True\nremote_user=ops\n; host_key_checking = no\ninventory: hosts.ini\n\n[privilege_escalation]\nBecome = yes\n',
    );
    expect(unheededAnsibleConfig({}, folder, { inventory: false })).toEqual({
      code: 'ANSIBLE_CFG_NOT_READ',
      message: 'fleet reads no ansible.cfg; this one sets remote_user, inventory, become',
      fix: 'Say it to fleet: remote_user is ansible_user or -u; inventory is -i or FLEET_INVENTORY; become is ansible_become.',
      where: { file, line: 3 },
      blame: 'usage',
    });
  });

  test.each([
    ['only how Ansible itself works', '[defaults]\nforks = 20\nroles_path = roles\npipelining = true\n'],
    ['an inventory, where one was named', '[defaults]\ninventory = hosts.ini\n'],
    ['nothing', ''],
  ])('is none of our concern where it says %s', (_what, text) => {
    put('ansible.cfg', text);
    expect(unheededAnsibleConfig({}, folder, { inventory: true })).toBeUndefined();
  });

  test('is that of ANSIBLE_CONFIG, where that is set', () => {
    put('ansible.cfg', '');
    const file = put('other.cfg', '[ssh_connection]\nssh_args = -J jump\n');
    expect(unheededAnsibleConfig({ ANSIBLE_CONFIG: file }, folder, { inventory: true })?.message).toContain(
      'ssh_args',
    );
  });

  test('is missed by nobody where there is none', () => {
    expect(unheededAnsibleConfig({}, folder, { inventory: true })).toBeUndefined();
  });
});
