import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { PLAYBOOK_CASES } from '../compat/playbooks/cases.ts';

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
    expect(claims.length).toBeGreaterThan(60);
  });

  test.each(claims.map(([what = '', , proof = '']) => ({ what, proof })))(
    'names a test of: $what',
    ({ proof }) => {
      expect(proof).toMatch(/`test\/|language|playbooks\.test|harden\.yml/);
    },
  );

  test.each(claims.map(([what = '', , proof = '']) => ({ what, proof })))(
    'names the tests themselves of: $what',
    ({ proof }) => {
      expect(proof).toMatch(/"[^"]+"/);
    },
  );

  test.each([...page.matchAll(/playbooks\.test "([^"]+)"/g)].map((found) => found[1] ?? ''))(
    'playbooks.test has: %s',
    (title) => {
      const names = Object.entries(PLAYBOOK_CASES).filter(([, { differs }]) => differs === undefined);
      const isMeant = (name: string): boolean =>
        title.endsWith('…') ? name.startsWith(title.slice(0, -1)) : name === title;
      expect(names.filter(([name]) => isMeant(name))).not.toEqual([]);
    },
  );

  const otherwise = Object.entries(PLAYBOOK_CASES).flatMap(([name, { differs }]) => (differs ? [name] : []));
  test.each(otherwise)('says that fleet does otherwise: %s', (name) => {
    expect(page).toContain(`otherwise "${name}"`);
  });

  test.each(
    [...page.matchAll(/`(test\/[^`\s]*\.test\.ts)`: "([^"…]+)/g)].map(([, file = '', title = '']) => ({
      file,
      title,
    })),
  )('$file has: $title', ({ file, title }) => {
    const escapedTitle = escaped(title.trim());
    expect(readFileSync(join(root, file), 'utf8')).toMatch(new RegExp(`['"\`]${escapedTitle}`));
  });

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
