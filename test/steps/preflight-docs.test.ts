import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checks } from '../../src/steps/preflight-finding.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/preflight.md'), 'utf8');
const sections = new Map(
  page
    .split(/^## /m)
    .slice(1)
    .map((section) => [section.slice(0, section.indexOf('\n')), section] as const),
);

test('every check has its section in docs/preflight.md, and every section its check', () => {
  expect([...sections.keys()].sort()).toEqual([...checks].sort());
});

test.each(checks)('%s: evidence, why, fix', (check) => {
  expect([...(sections.get(check) ?? '').matchAll(/^\*\*(\w+)\*\*: \S/gm)].map(([, word]) => word)).toEqual([
    'Evidence',
    'Why',
    'Fix',
  ]);
});
