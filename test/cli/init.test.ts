import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { firstInventory, parseMachine } from '../../src/cli/first-inventory.ts';
import { emptyFolder, fleet } from './run-fleet.ts';

const machines = {
  servers: [parseMachine('debian@10.0.0.1')],
  agents: [],
  version: 'stable',
  token: { from: 'environment' },
  context: 'home',
} as const;

describe('fleet init', () => {
  test('writes an annotated inventory that others cannot read', () => {
    const cwd = emptyFolder();
    const { code, out, err } = fleet(
      ['init', '--server', 'debian@10.0.0.1', '--agent', '10.0.0.2', '--agent', 'pi@node3.lan:2222'],
      { cwd },
    );
    expect({ code, out }).toEqual({ code: 0, out: '' });
    expect(err).toContain('Wrote inventory.yml for 3 nodes');
    const path = join(cwd, 'inventory.yml');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const text = readFileSync(path, 'utf8');
    // A path of this machine would mean nothing to others who get the file.
    expect(text).toMatch(/^---\n/);
    expect(err).toContain('schemas/inventory.schema.json');
    expect(firstInventory(machines, `${cwd}/inventory.yml`, `${cwd}/node_modules/fleet/schema.json`)).toMatch(
      /^# yaml-language-server: \$schema=\.\/node_modules\/fleet\/schema\.json\n---\n/,
    );
    const { k3s_cluster: cluster } = parse(text);
    expect(cluster.children).toEqual({
      server: { hosts: { server1: { ansible_host: '10.0.0.1' } } },
      agent: {
        hosts: {
          agent1: { ansible_host: '10.0.0.2' },
          'node3.lan': { ansible_port: 2222, ansible_user: 'pi' },
        },
      },
    });
    expect(cluster.vars).toMatchObject({ ansible_user: 'debian', k3s_version: 'stable' });
    expect(cluster.vars.token).toMatch(/^[0-9a-f]{64}$/);
  });

  test('never makes the same token twice', () => {
    const tokens = [1, 2].map(() => {
      const cwd = emptyFolder();
      fleet(['init', '--server', '10.0.0.1'], { cwd });
      return parse(readFileSync(join(cwd, 'inventory.yml'), 'utf8')).k3s_cluster.vars.token;
    });
    expect(tokens[0]).not.toBe(tokens[1]);
  });

  test('keeps the token out of the file where that is asked for', () => {
    const cwd = emptyFolder();
    fleet(['init', '--server', '10.0.0.1', '--token-from-env'], { cwd });
    const { token } = parse(readFileSync(join(cwd, 'inventory.yml'), 'utf8')).k3s_cluster.vars;
    expect(token).toBe("{{ lookup('env', 'FLEET_TOKEN') }}");
  });

  test('overwrites only by force', () => {
    const cwd = emptyFolder();
    const path = join(cwd, 'inventory.yml');
    writeFileSync(path, 'mine\n');
    const { code, err } = fleet(['init', '--server', '10.0.0.1'], { cwd });
    expect(code).toBe(64);
    expect(err).toContain('error[FILE_EXISTS] inventory.yml is already there');
    expect(readFileSync(path, 'utf8')).toBe('mine\n');
    chmodSync(path, 0o644);
    expect(fleet(['init', '--server', '10.0.0.1', '--force'], { cwd }).code).toBe(0);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test.each([
    ['no server and no terminal', []],
    ['two servers', ['--server', 'a', '--server', 'b']],
    ['a machine in both roles', ['--server', 'a', '--agent', 'a']],
    ['what is no machine', ['--server', 'a b@']],
    ['a port that is none', ['--server', 'a:70000']],
  ])('refuses %s with 64, and writes nothing', (_, args) => {
    const cwd = emptyFolder();
    const { code, err } = fleet(['init', ...args], { cwd });
    expect(code).toBe(64);
    expect(err).toMatch(/^error\[[A-Z_]+\] .*\n {2}fix: /);
    expect(() => statSync(join(cwd, 'inventory.yml'))).toThrow();
  });
});

describe('a machine', () => {
  test.each([
    ['10.0.0.1', { user: undefined, host: '10.0.0.1', port: undefined }],
    ['debian@node1.lan:2222', { user: 'debian', host: 'node1.lan', port: 2222 }],
    ['fd00::1', { user: undefined, host: 'fd00::1', port: undefined }],
    ['root@[fd00::1]:22', { user: 'root', host: 'fd00::1', port: 22 }],
  ])('%s', (text, machine) => {
    expect(parseMachine(text)).toEqual(machine);
  });

  test.each(['', '@', 'a@b@c', 'a b', '-x', 'a:', 'a:b', '[::1', '$(id)'])('%j is none', (text) => {
    expect(() => parseMachine(text)).toThrow(/is not a machine/);
  });
});

test('whatever is put into a first inventory reads back as the same text', () => {
  for (const word of ['yes', '1.33', "it's", 'a: b', '"x"', '{{ x', '# no', '0123']) {
    const text = firstInventory({
      servers: [{ user: word, host: '10.0.0.1', port: undefined }],
      agents: [],
      version: word,
      token: { from: 'text', text: word },
      context: word,
    });
    expect(parse(text).k3s_cluster.vars).toMatchObject({
      ansible_user: word,
      k3s_version: word,
      token: word,
      cluster_context: word,
    });
  }
});
