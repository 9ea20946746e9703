import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { visible } from '../../src/core/terminal-text.ts';

describe('text from elsewhere', () => {
  it.each<[string, string, string]>([
    ['escape sequences', '\u001b[31mred\u001b[0m', '\\u001b[31mred\\u001b[0m'],
    ['a title set by one', '\u001b]0;owned\u0007', '\\u001b]0;owned\\u0007'],
    ['8-bit escape sequences', '\u009b2J', '\\u009b2J'],
    ['a line drawn over', 'rm -rf /\rls      ', 'rm -rf /\\u000dls      '],
    ['backspaces', 'evil\b\b\b\bgood', 'evil\\u0008\\u0008\\u0008\\u0008good'],
    ['reordering', 'user\u202egpj.exe', 'user\\u202egpj.exe'],
    ['isolates', '\u2066a\u2069', '\\u2066a\\u2069'],
    ['the Arabic letter mark', 'a\u061cb', 'a\\u061cb'],
    ['text without width', 'pass\u200bword\ufeff', 'pass\\u200bword\\ufeff'],
    ['tag characters', 'a\u{e0041}b', 'a\\ue0041b'],
    ['NUL and DEL', '\0\u007f', '\\u0000\\u007f'],
  ])('shows %s instead of obeying them', (_what, text, shown) => {
    expect(visible(text)).toBe(shown);
  });

  it('keeps tabs, line ends and every script that people write', () => {
    expect(visible('a\tb\r\nc\n日本語 عربي ñ 🚀')).toBe('a\tb\nc\n日本語 عربي ñ 🚀');
  });

  it('never sends a control character to the terminal, and changes nothing when shown twice', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const shown = visible(text);
        expect(shown).not.toMatch(/[^\P{Cc}\n\t]/u);
        expect(visible(shown)).toBe(shown);
      }),
    );
  });
});
