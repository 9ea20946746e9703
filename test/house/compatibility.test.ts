import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..', '..');
const page = readFileSync(join(root, 'docs', 'compatibility.md'), 'utf8');
const language = readFileSync(join(root, 'test/compat/language/site.yml'), 'utf8');
const languageTest = readFileSync(join(root, 'test/compat/language.test.ts'), 'utf8');

/** The rows of the page's tables as cells; a `|` inside of backticks is none between cells. */
const rows = page
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('|---'))
  .map((line) =>
    line
      .slice(1, -1)
      .split(/\|(?=(?:[^`]*`[^`]*`)*[^`]*$)/)
      .map((cell) => cell.trim()),
  );
const claims = rows.filter((cells) => cells.length === 3 && /^works\b/.test(cells[1] ?? ''));

describe('docs/compatibility.md', () => {
  test('claims something', () => {
    expect(claims.length).toBeGreaterThan(20);
  });

  test.each(claims.map(([what = '', , proof = '']) => ({ what, proof })))(
    'names a test of: $what',
    ({ proof }) => {
      expect(proof).toMatch(/`test\/|language|harden\.yml/);
    },
  );

  test.each([...new Set(page.match(/`test\/[^`\s]*`/g))])('%s is there', (quoted) => {
    const path = join(root, quoted.slice(1, -1));
    expect(existsSync(path)).toBe(true);
    if (quoted.endsWith('/`')) expect(statSync(path).isDirectory()).toBe(true);
  });

  test.each([...page.matchAll(/language\.test "([^"…]+)/g)].map((found) => found[1]?.trim() ?? ''))(
    'language.test has: %s',
    (title) => {
      expect(languageTest).toMatch(new RegExp(`(?:test|describe[^(]*\\([^)]*\\))\\(\\s*'${escaped(title)}`));
    },
  );

  test.each([...page.matchAll(/language\/ "([^"…]+)/g)].map((found) => found[1]?.trim() ?? ''))(
    'language/site.yml has a play: %s',
    (name) => {
      expect(language).toMatch(new RegExp(`^- name: "?${escaped(name)}`, 'm'));
    },
  );
});

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
