import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Variables } from '../../src/inventory/fleet.ts';
import { loadFleet } from '../../src/inventory/load-fleet.ts';

let folder: string;
let vars: Variables | undefined;

/** What ansible-core 2.14.18 makes of each, beside the same files. */
const answers: readonly (readonly [expression: string, value: unknown])[] = [
  ["lookup('file', 'one.txt')", 'one'],
  ["lookup('file', 'one.txt', rstrip=false)", 'one\n\n'],
  ["lookup('file', 'two.txt', lstrip=true)", 'two'],
  ["lookup('file', 'one.txt', 'beside.txt')", 'one,beside'],
  ["query('file', 'one.txt', 'beside.txt')", ['one', 'beside']],
  ["lookup('unvault', 'one.txt')", 'one\n\n'],
  ["query('fileglob', '*.txt') | map('basename') | sort", ['one.txt', 'two.txt']],
  ["lookup('fileglob', '*.txt').split(',') | length", 2],
  ["query('fileglob', '*.none')", []],
  ["lookup('first_found', ['nope.txt', 'beside.txt']) | basename", 'beside.txt'],
  ["lookup('first_found', {'files': ['x.yml', 'debian.yml'], 'paths': ['conf']}) | basename", 'debian.yml'],
  ["query('first_found', {'files': ['x.yml'], 'skip': true})", []],
  [
    "query('dict', {'a': 1, 'b': 2})",
    [
      { key: 'a', value: 1 },
      { key: 'b', value: 2 },
    ],
  ],
  ["lookup('dict', {'a': 1})", { key: 'a', value: 1 }],
  ["query('items', [1, [2, 3]], 4)", [1, [2, 3], 4]],
  ["query('list', [1, [2, 3]], 4)", [[1, [2, 3]], 4]],
  ["query('inventory_hostnames', 'web:!w2')", ['w1']],
  ["lookup('inventory_hostnames', 'all')", 'w1,w2,d1'],
  ["lookup('vars', 'port')", 6443],
  ["query('vars', 'port', 'word')", [6443, 'said']],
  ["lookup('vars', 'none', default='d')", 'd'],
  ["lookup('env', 'PLACE')", 'here'],
  ["lookup('env', 'NO_PLACE', default='d')", 'd'],
];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fleet-lookups-'));
  for (const name of ['files', 'files/folder.txt', 'conf']) mkdirSync(join(folder, name));
  writeFileSync(join(folder, 'files/one.txt'), 'one\n\n');
  writeFileSync(join(folder, 'files/two.txt'), ' two ');
  writeFileSync(join(folder, 'beside.txt'), 'beside\n');
  writeFileSync(join(folder, 'conf/debian.yml'), 'conf\n');
  writeFileSync(
    join(folder, 'hosts.yml'),
    'all: {vars: {port: 6443, word: said}, children: {web: {hosts: {w1: , w2: }}, db: {hosts: {d1: }}}}\n',
  );
  const fleet = await loadFleet({
    sources: [join(folder, 'hosts.yml')],
    playbookFolder: folder,
    env: { PLACE: 'here' },
  });
  vars = fleet.hosts.get('w1')?.vars;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a lookup', () => {
  test.each(answers)('%s', (expression, value) => {
    expect(vars?.template(`{{ ${expression} }}`)).toEqual(value);
  });

  test.each([
    ["lookup('file', 'none.txt')", /cannot read/],
    ["lookup('first_found', ['nope'])", /finds none of nope/],
    ["lookup('vars', 'none')", /none/],
    ["lookup('pipe', 'id')", /templates run no programs/],
    ["lookup('password', '/tmp/x')", /vault/],
    ["lookup('template', 'x.j2')", /template step/],
    ["lookup('url', 'http://x')", /no network calls/],
    ["lookup('nothing_of_that_name', 'x')", /nothing_of_that_name/],
  ])('%s is refused', (expression, message) => {
    expect(() => vars?.template(`{{ ${expression} }}`)).toThrow(message);
  });
});
