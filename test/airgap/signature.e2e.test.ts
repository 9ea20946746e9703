import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { listSignature } from '../../src/airgap/signature.ts';
import { runCommand } from '../fleet/docker.ts';
import { provideProgram } from '../fleet/machine.ts';

/** Lists that minisign signed. */

const list = '{"format": 1}\n';
let place: string;
const at = (name: string): string => join(place, name);

async function minisign(...args: readonly string[]): Promise<void> {
  const { code, stderr } = await runCommand('minisign', args, { cwd: place });
  if (code !== 0) throw new Error(stderr);
}

beforeAll(async () => {
  await provideProgram('minisign', 'minisign', 'bundles are signed for real');
  place = mkdtempSync(join(tmpdir(), 'fleet-minisign-'));
  writeFileSync(at('bundle.json'), list);
  for (const name of ['mine', 'other'])
    await minisign('-G', '-W', '-p', at(`${name}.pub`), '-s', at(`${name}.key`));
}, 120_000);
afterAll(() => rmSync(place, { recursive: true, force: true }));

it('are missing without a signature', async () => {
  expect(await listSignature(place, list, at('mine.pub'))).toBe('missing');
});

it.each([
  ['hashed first', []],
  ['as older ones signed', ['-l']],
])('are right by the key, and by no other: %s', async (_how, options) => {
  await minisign('-S', ...options, '-s', at('mine.key'), '-m', 'bundle.json', '-t', 'made on a Friday');
  expect(await listSignature(place, list, at('mine.pub'))).toBe('right');
  expect(await listSignature(place, list, at('other.pub'))).toBe('wrong');
  expect(await listSignature(place, list.replace('1', '2'), at('mine.pub'))).toBe('wrong');
  const signature = readFileSync(at('bundle.json.minisig'), 'utf8');
  writeFileSync(at('bundle.json.minisig'), signature.replace('Friday', 'Monday'));
  expect(await listSignature(place, list, at('mine.pub'))).toBe('wrong');
});
