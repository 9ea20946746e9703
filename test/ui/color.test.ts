import { describe, expect, test } from 'vitest';
import { createPalette, wantsColor } from '../../src/ui/color.ts';

describe('colour', () => {
  test.each([
    ['a terminal', {}, true, 'auto', true],
    ['a pipe', {}, false, 'auto', false],
    ['NO_COLOR on a terminal', { NO_COLOR: '1' }, true, 'auto', false],
    ['an empty NO_COLOR, which says nothing', { NO_COLOR: '' }, true, 'auto', true],
    ['FORCE_COLOR in a pipe', { FORCE_COLOR: '1' }, false, 'auto', true],
    ['FORCE_COLOR=0', { FORCE_COLOR: '0' }, true, 'auto', false],
    ['a dumb terminal', { TERM: 'dumb' }, true, 'auto', false],
    ['--color always despite NO_COLOR', { NO_COLOR: '1' }, false, 'always', true],
    ['--color never despite FORCE_COLOR', { FORCE_COLOR: '1' }, true, 'never', false],
  ] as const)('%s', (_, env, isTerminal, choice, expected) => {
    expect(wantsColor({ env, isTerminal, choice })).toBe(expected);
  });

  test('is nothing where it is off', () => {
    expect(createPalette(false).red('x')).toBe('x');
    expect(createPalette(true).red('x')).toBe('\u001b[31mx\u001b[39m');
  });
});
