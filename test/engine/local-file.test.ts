import { appendFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { textsIn } from '../../src/engine/local-file.ts';

/** What is looked for in large files is looked for once, for as long as they do not change. */

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fleet-local-file-'));
  vi.stubEnv('FLEET_CACHE', join(folder, 'cache'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

function fileOf(bytes: number): {
  path: string;
  find: () => Promise<readonly string[]>;
  looks: () => number;
} {
  const path = join(folder, 'file');
  writeFileSync(path, Buffer.alloc(bytes));
  let looks = 0;
  const find = async (): Promise<readonly string[]> => {
    looks += 1;
    return [`look ${looks}`];
  };
  return { path, find, looks: () => looks };
}

test('what was found in a large file is found anew only when the file has changed', async () => {
  const { path, find } = fileOf(2 * 1024 * 1024);
  expect(await textsIn(path, 'words', find)).toEqual(['look 1']);
  expect(await textsIn(path, 'words', find)).toEqual(['look 1']);
  expect(await textsIn(path, 'numbers', find), 'something else in it').toEqual(['look 2']);
  appendFileSync(path, 'x');
  expect(await textsIn(path, 'words', find)).toEqual(['look 3']);
});

test('what a power cut left of a kept text is not believed', async () => {
  const { path, find, looks } = fileOf(2 * 1024 * 1024);
  await textsIn(path, 'words', find);
  const sums = join(folder, 'cache', 'sums');
  for (const name of readdirSync(sums)) writeFileSync(join(sums, name), '');
  expect(await textsIn(path, 'words', find)).toEqual(['look 2']);
  expect(looks()).toBe(2);
});

test('a small file is read each time, and nothing is kept', async () => {
  const { path, find, looks } = fileOf(10);
  await textsIn(path, 'words', find);
  await textsIn(path, 'words', find);
  expect(looks()).toBe(2);
  expect(readdirSync(folder)).toEqual(['file']);
});
