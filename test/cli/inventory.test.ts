import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { completions } from '../../src/cli/commands/complete.ts';
import { Secret } from '../../src/core/secret.ts';
import { encryptVault } from '../../src/inventory/vault.ts';
import { emptyFolder, fleet } from './run-fleet.ts';

const token = 'correct-horse-battery-staple';
const text = `k3s_cluster:
  children:
    server:
      hosts:
        s1: {ansible_host: 10.0.0.1}
    agent:
      hosts:
        a1: {extra_agent_args: "--token ${token}-2"}
  vars:
    k3s_version: v1.33.4+k3s1
    token: ${token}
    join: "k3s join {{ token }} {{ hostvars.s1.ansible_host }}"
    datastore: postgres://k3s:${token}-3@db/k3s
`;

function folderWith(inventory: string): string {
  const folder = emptyFolder();
  writeFileSync(join(folder, 'inventory.yml'), inventory);
  return folder;
}

describe('without an inventory', () => {
  test.each([
    'validate',
    'inventory',
    'ping',
    'facts',
    'plan',
    'up',
    'status',
    'kubeconfig',
    'reset',
    'reboot',
  ])('fleet %s says how to get one, and ends with 64', (command) => {
    const { code, out, err } = fleet([command]);
    expect({ code, out }).toEqual({ code: 64, out: '' });
    expect(err).toMatch(/^error\[INVENTORY_MISSING\] .*\n {2}fix: .*fleet init\n$/);
  });
});

describe('an inventory', () => {
  test('that is right is said to be', () => {
    const { code, out } = fleet(['validate'], { cwd: folderWith(text) });
    expect(code).toBe(0);
    expect(out).toContain('inventory.yml is valid: 2 hosts');
    expect(out).toContain('1 server, 1 agent');
  });

  test('that is wrong is named by file, line and column', () => {
    const cwd = folderWith('k3s_cluster:\n  hosts: [a\n');
    const { code, out, err } = fleet(['validate'], { cwd });
    expect({ code, out }).toEqual({ code: 64, out: '' });
    expect(err).toMatch(/^ {2}at: inventory\.yml:\d+:\d+$/m);
    const json = fleet(['validate', '--output', 'json'], { cwd });
    expect(json.code).toBe(64);
    expect(JSON.parse(json.out)).toMatchObject({
      valid: false,
      errors: [{ where: { line: expect.any(Number) } }],
    });
  });

  test('that cannot be read loses none of its warnings', () => {
    const cwd = folderWith('all: {hosts: [a, b]}\n');
    writeFileSync(join(cwd, 'doubtful.yml'), 'server: {hosts: {agent: {}}}\nagent: {hosts: {a1: {}}}\n');
    const sources = ['-i', 'doubtful.yml', '-i', 'inventory.yml'];
    const { code, out, err } = fleet(['validate', ...sources, '--output', 'json'], { cwd });
    expect({ code, err }).toEqual({ code: 64, err: '' });
    expect(JSON.parse(out)).toMatchObject({
      valid: false,
      errors: [{ where: { file: join(cwd, 'inventory.yml') } }],
      warnings: [{ code: 'INVENTORY_NAME_SHARED', message: '"agent" names both a host and a group' }],
    });
    expect(fleet(['validate', ...sources], { cwd }).err).toContain('warning[INVENTORY_NAME_SHARED]');
    expect(fleet(['inventory', ...sources], { cwd }).err).toContain('warning[INVENTORY_NAME_SHARED]');
  });

  test('can be looked at as a tree, as Ansible lists it, and host by host', () => {
    const cwd = folderWith(text);
    expect(fleet(['inventory'], { cwd }).out).toContain('|--@server:\n  |  |  |--s1');
    expect(JSON.parse(fleet(['inventory', '--list'], { cwd }).out).agent).toEqual({ hosts: ['a1'] });
    const host = JSON.parse(fleet(['inventory', '--host', 'a1', '--resolve'], { cwd }).out);
    expect(host).toMatchObject({ k3s_version: 'v1.33.4+k3s1', join: 'k3s join [secret] 10.0.0.1' });
  });

  test('shows its secrets only to who asks for them', () => {
    const cwd = folderWith(text);
    for (const args of [
      ['--list'],
      ['--host', 'a1'],
      ['--host', 'a1', '--resolve'],
      ['--host', 'a1', '--yaml'],
    ]) {
      expect(fleet(['inventory', ...args], { cwd }).out).not.toContain(token);
    }
    expect(fleet(['inventory', '--host', 'a1', '--reveal'], { cwd }).out).toContain(token);
  });

  test('does not have every host', () => {
    const { code, err } = fleet(['inventory', '--host', 'a11'], { cwd: folderWith(text) });
    expect(code).toBe(64);
    expect(err).toContain('Did you mean a1?');
  });

  test('completes its hosts and groups', async () => {
    const path = join(folderWith(text), 'inventory.yml');
    expect((await completions(['ping', '-i', path, 'a'])).map(([word]) => word)).toEqual([
      'all',
      'agent',
      'a1',
    ]);
    expect((await completions(['up', '-i', path, '--limit', 's'])).map(([word]) => word)).toEqual([
      'server',
      's1',
    ]);
    expect(await completions(['ping', '-i', '/nowhere', 'a'])).toEqual([]);
  });

  test('with several clusters completes their names after --cluster', async () => {
    const path = join(
      folderWith(`east: {children: {east_server: {hosts: {e1: {}}}}, vars: {server_group: east_server, agent_group: none}}
west: {children: {west_server: {hosts: {w1: {}}}}, vars: {server_group: west_server, agent_group: none}}
`),
      'inventory.yml',
    );
    expect(await completions(['up', '-i', path, '--cluster', ''])).toEqual([
      ['east', 'cluster of 1'],
      ['west', 'cluster of 1'],
    ]);
    expect(await completions(['up', '-i', path, '--cluster=w'])).toEqual([
      ['--cluster=west', 'cluster of 1'],
    ]);
  });

  test('with encrypted variables completes where the password is known without asking', async () => {
    const folder = folderWith(text);
    mkdirSync(join(folder, 'group_vars'));
    writeFileSync(join(folder, 'group_vars', 'all.yml'), encryptVault('secret: thing\n', new Secret('open')));
    writeFileSync(join(folder, 'password'), 'open\n');
    const words = ['-i', join(folder, 'inventory.yml'), '--vault-password-file', join(folder, 'password')];
    expect(await completions([...words, 'ping', 'a1'])).toEqual([['a1', 'host']]);
  });
});
