import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { parseEnvFile, renderEnvFile, splitAssignment } from '../../src/k3s/env-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'fleet-env-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What OpenRC's sh makes of a file. */
function sourced(
  text: string,
  names: readonly string[],
  shell: readonly string[] = ['sh'],
): Map<string, string> {
  const path = join(folder, 'k3s.env');
  writeFileSync(path, text);
  const [program = 'sh', ...options] = shell;
  const script = `. ${path}; for n in ${names.join(' ')}; do eval "v=\\$$n"; printf '%s\\0' "$v"; done`;
  const done = spawnSync(program, [...options, '-c', script], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH },
  });
  expect(done.stderr).toBe('');
  const values = done.stdout.split('\0');
  return new Map(names.map((name, index) => [name, values[index] ?? '']));
}

const name = fc.stringMatching(/^FLEET_[A-Z][A-Z0-9_]{0,10}$/);
const value = fc
  .oneof(
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: fc.constantFrom('"', "'", '\\', '$', '`', ' ', '\n', 'a', '#', '%', '=', '~', '!') }),
  )
  .map((text) => text.replaceAll(/[\0\r]/g, ''));
const variables = fc.dictionary(name, value, { minKeys: 1, maxKeys: 5, noNullPrototype: true });

describe('an environment file', () => {
  it('holds any value: what is written is read again', () => {
    fc.assert(
      fc.property(variables, (written) => {
        const map = new Map(Object.entries(written));
        expect(parseEnvFile(renderEnvFile(map))).toEqual(new Map([...map].sort()));
      }),
    );
  });

  it.each([['dash'], ['bash', '--posix'], ['busybox', 'sh']])(
    'means the same to %s, which OpenRC sources it with',
    (...shell) => {
      fc.assert(
        fc.property(variables, (written) => {
          const map = new Map(Object.entries(written));
          expect(sourced(renderEnvFile(map), [...map.keys()], shell)).toEqual(map);
        }),
        { numRuns: 25 },
      );
    },
  );

  it('has the same bytes for the same settings, in whatever order they come', () => {
    const settings: [string, string][] = [
      ['K3S_URL', 'https://a:6443'],
      ['K3S_TOKEN', 'x y'],
      ['HTTP_PROXY', ''],
    ];
    expect(renderEnvFile(new Map(settings))).toBe('HTTP_PROXY=\nK3S_TOKEN="x y"\nK3S_URL=https://a:6443\n');
    expect(renderEnvFile(new Map(settings.toReversed()))).toBe(renderEnvFile(new Map(settings)));
  });
});

describe('a file that somebody else wrote', () => {
  it.each<[string, string, Record<string, string>]>([
    [
      'the install script under dash',
      "K3S_TOKEN='to ken'\nK3S_URL='https://10.0.0.1:6443'\n",
      { K3S_TOKEN: 'to ken', K3S_URL: 'https://10.0.0.1:6443' },
    ],
    ['a single quote, as dash exports it', `K3S_TOKEN='it'"'"'s'\n`, { K3S_TOKEN: "it's" }],
    ['a single quote, as busybox exports it', `K3S_TOKEN='it'\\''s'\n`, { K3S_TOKEN: "it's" }],
    ['the install script under bash', 'K3S_TOKEN="a\\$b\\"c"\n', { K3S_TOKEN: 'a$b"c' }],
    ['comments and blank lines', '# K3S_TOKEN=old\n\n; x\nK3S_TOKEN=new\n', { K3S_TOKEN: 'new' }],
    ['the last of two', 'A=1\nA=2\n', { A: '2' }],
    ['blanks around', '  A=1  \n\tB= x y \n', { A: '1', B: 'x y' }],
    ['export', 'export A=1\n', { A: '1' }],
    ['no end of line', 'A=1', { A: '1' }],
    ['nothing', 'A=\nB=""\nC=\'\'', { A: '', B: '', C: '' }],
    ['several lines in quotes', 'A="one\ntwo=2"\nB=3\n', { A: 'one\ntwo=2', B: '3' }],
    ['a continued line', 'A=one\\\ntwo\nB=3\n', { A: 'onetwo', B: '3' }],
    [
      'an equals sign',
      'K3S_DATASTORE_ENDPOINT=postgres://u:p@h/db?a=b&c=d\n',
      { K3S_DATASTORE_ENDPOINT: 'postgres://u:p@h/db?a=b&c=d' },
    ],
    ['what is no variable', 'not a variable\n1A=2\nA-B=3\nC=4\n', { C: '4' }],
    ['a quote that is never closed', "A='x\nB=2", { A: 'x\nB=2' }],
  ])('%s', (_name, text, expected) => {
    expect(Object.fromEntries(parseEnvFile(text))).toEqual(expected);
  });

  it('is read as what the shell really exports', () => {
    for (const shell of [['dash'], ['bash', '--posix'], ['busybox', 'sh']]) {
      for (const text of ["it's", 'a "b" $c `d` \\e', '*', "''"]) {
        const [program = 'sh', ...options] = shell;
        const exported = spawnSync(program, [...options, '-c', 'export'], {
          encoding: 'utf8',
          stdio: ['ignore', 'pipe', 'pipe'],
          env: { PATH: '/usr/bin:/bin', K3S_TOKEN: text },
        });
        const line = exported.stdout.split('\n').find((one) => one.includes('K3S_TOKEN')) ?? '';
        expect(parseEnvFile(`${line.replace(/^(export|declare -x) /, '')}\n`).get('K3S_TOKEN')).toBe(text);
      }
    }
  });
});

it.each([
  ['A=b', ['A', 'b']],
  ['A=b=c', ['A', 'b=c']],
  ['A=', ['A', '']],
  ['A=x\ny', ['A', 'x\ny']],
  ['A', undefined],
  ['1A=b', undefined],
  ['A B=c', undefined],
  ['=b', undefined],
])('%j assigns %j', (text, pair) => {
  expect(splitAssignment(text)).toEqual(pair);
});
