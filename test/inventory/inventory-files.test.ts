import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { asFleetErrors } from '../../src/core/errors.ts';
import { loadFleet } from '../../src/inventory/load-fleet.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fleet-inventory-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function put(name: string, text: string | Uint8Array, mode = 0o644): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return asFleetErrors(error)
      .map((fault) => fault.code)
      .join(' ');
  }
  return '';
}

describe('files of this machine', () => {
  test('an executable inventory, and variables beside it', async () => {
    const path = put(
      'hosts.sh',
      '#!/bin/sh\necho \'{"g": {"hosts": ["a"]}, "_meta": {"hostvars": {"a": {"x": 1}}}}\'\n',
      0o755,
    );
    mkdirSync(join(folder, 'group_vars'));
    put('group_vars/g.yml', 'y: 2\n');
    const vars = (await loadFleet({ sources: [path] })).hosts.get('a')?.vars;
    expect([vars?.get('x'), vars?.get('y'), vars?.get('inventory_dir')]).toEqual([1, 2, folder]);
  });

  test('a program that fails is named with what it said', async () => {
    const path = put('hosts.sh', '#!/bin/sh\necho broken >&2\nexit 3\n', 0o755);
    await expect(loadFleet({ sources: [path] })).rejects.toThrow(/exit code 3: broken/);
  });

  test.each([
    ['a program that cannot start', '#!/no/such/interpreter\n', 0o755, 'INVENTORY_PROGRAM_FAILED'],
    ['text that is not UTF-8', new Uint8Array([0xff, 0xfe, 0x41]), 0o644, 'INVENTORY_UNREADABLE'],
  ])('%s', async (_what, text, mode, code) => {
    expect(await codeOf(loadFleet({ sources: [put('hosts', text, mode)] }))).toBe(code);
  });

  test('a YAML file whose executable bit was set by accident is still YAML', async () => {
    const path = put('hosts.yml', 'all: {hosts: {h: }}\n', 0o755);
    expect((await loadFleet({ sources: [path] })).hosts.size).toBe(1);
  });

  test("lookup('file') reads what it is asked for, beside the playbook", async () => {
    put('note.txt', 'text\n');
    const path = put(
      'hosts.yml',
      `all: {hosts: {h: {a: "{{ lookup('file', 'note.txt') }}", b: "{{ lookup('file', 'none') }}"}}}\n`,
    );
    const vars = (await loadFleet({ sources: [path], playbookFolder: folder })).hosts.get('h')?.vars;
    expect(vars?.get('a')).toBe('text');
    expect(() => vars?.get('b')).toThrow(/cannot read/);
  });
});
