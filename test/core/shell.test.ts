import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lines, quote, raw, sh } from '../../src/core/shell.ts';
import { runIn, shells } from '../steps/here.ts';

const available = Object.entries(shells)
  .filter(([, [program = '', ...options]]) => spawnSync(program, [...options, '-c', 'true']).status === 0)
  .map(([name]) => name);

/** Where quoting goes wrong if it goes wrong anywhere. */
const awkward = [
  '',
  ' ',
  "it's",
  "'",
  "''",
  "'\\''",
  '"double"',
  '$HOME $(id) `id` $[1]',
  'a\nb\n\n',
  'tab\there\r\n',
  '\\n \\\\ \\',
  '* ? [a-z] {a,b} ~ ~root',
  '!! !$ #comment',
  ';&|<>()',
  '-n',
  '--',
  'A=b',
  '%s %n',
  'é ü 漢字 🚀 \u{10ffff}',
  '\u0001\u001b[31m\u007f',
];

describe.each(available)('a quoted word in %s', (shell) => {
  it('arrives as it was, whatever is in it', () => {
    for (const word of awkward) expect(runIn(shell, sh`printf '%s' ${word}`).stdout).toBe(word);
  });

  it('arrives as it was: any strings without NUL, as so many words', () => {
    const word = fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', ''));
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 8 }), (words) => {
        expect(runIn(shell, sh`printf '<%s>\\0' ${words}`).stdout).toBe(
          words.map((one) => `<${one}>\0`).join(''),
        );
      }),
      { numRuns: 40 },
    );
  });
});

it('a NUL byte is refused, for no shell word can hold one', () => {
  expect(() => quote('a\0b')).toThrow(RangeError);
  expect(() => sh`echo ${'a\0b'}`).toThrow(/NUL/);
});

describe('a script', () => {
  it('holds numbers and scripts as they are, and words quoted', () => {
    expect(sh`a ${1} ${raw('$x; y')} ${'z w'} ${['p', 'q r', 2, raw('$s')]}`.text).toBe(
      "a 1 $x; y 'z w' p 'q r' 2 $s",
    );
  });

  it('of no words holds none', () => {
    expect(sh`set -- ${[]}`.text).toBe('set -- ');
  });

  it('can be several, each on a line of its own', () => {
    expect(lines(sh`a # comment`, sh`b`).text).toBe('a # comment\nb');
  });

  it('cannot be broken out of by a value', () => {
    const evil = `'; touch /tmp/fleet-broken-out; echo '`;
    expect(runIn('dash', sh`echo ${evil}`).stdout).toBe(`${evil}\n`);
  });
});
