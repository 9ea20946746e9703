import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { recordedRun } from '../ui/recorded-run.ts';
import { emptyFolder, fleet } from './run-fleet.ts';

const journal = recordedRun.map((event) => `${JSON.stringify(event)}\n`).join('');

test('the last run becomes a page', () => {
  const cwd = emptyFolder();
  mkdirSync(join(cwd, '.fleet', 'journal'), { recursive: true });
  writeFileSync(join(cwd, '.fleet', 'journal', '20261120-115959-0000.jsonl'), 'not this one');
  writeFileSync(join(cwd, '.fleet', 'journal', '20261120-120000-ab12.jsonl'), journal);
  expect(fleet(['report', '--out', 'run.html'], { cwd })).toMatchObject({ code: 0, out: '' });
  const path = join(cwd, 'run.html');
  expect(readFileSync(path, 'utf8')).toContain('<title>fleet up: failed</title>');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(fleet(['report', '20261120-120000-ab12'], { cwd }).out).toContain('<!doctype html>');
});

test('a run that was killed in the middle of a line can be drawn', () => {
  const cwd = emptyFolder();
  writeFileSync(join(cwd, 'run.jsonl'), journal.slice(0, -40));
  expect(fleet(['report', 'run.jsonl'], { cwd })).toMatchObject({ code: 0, err: '' });
});

test('what is no journal is refused with its place', () => {
  const cwd = emptyFolder();
  writeFileSync(join(cwd, 'x.jsonl'), 'hello\nworld\n');
  expect(fleet(['report', 'x.jsonl'], { cwd })).toMatchObject({
    code: 64,
    err: expect.stringContaining('x.jsonl:1'),
  });
  expect(fleet(['report', 'none.jsonl'], { cwd }).code).toBe(64);
  expect(fleet(['report'], { cwd })).toMatchObject({ code: 64, err: expect.stringContaining('NO_JOURNAL') });
});
