import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { airgapFolder, k3sArtifacts } from './k3s-artifacts.ts';

/** Releases as a person downloads them for FLEET_TEST_K3S_DIR: what is in the files does not matter here. */
const releases = {
  'v1.33.10+k3s1': ['k3s', 'k3s-arm64', 'k3s-airgap-images-amd64.tar.zst', 'sha256sum-amd64.txt'],
  'v1.33.4+k3s1': ['k3s', 'sha256sum-amd64.txt'],
} as const;

let folder: string;
const made: string[] = [];

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'fleet-releases-'));
  for (const [version, files] of Object.entries(releases)) {
    mkdirSync(path.join(folder, version));
    for (const name of files) writeFileSync(path.join(folder, version, name), `${version} ${name}`);
  }
  mkdirSync(path.join(folder, 'notes'));
  writeFileSync(path.join(folder, 'install.sh'), '#!/bin/sh\n');
  vi.stubEnv('FLEET_TEST_K3S_DIR', folder);
});

afterEach(() => {
  vi.unstubAllEnvs();
  for (const each of [folder, ...made.splice(0)]) rmSync(each, { recursive: true, force: true });
});

describe('a folder of real releases', () => {
  test('is taken in the place of the stand-in, with the install script above it or in it', async () => {
    const found = await k3sArtifacts(['v1.33.4+k3s1']);
    expect(found).toEqual({
      directory: folder,
      versions: ['v1.33.4+k3s1', 'v1.33.10+k3s1'],
      installScript: path.join(folder, 'install.sh'),
    });
    rmSync(path.join(folder, 'install.sh'));
    const inside = path.join(folder, 'v1.33.10+k3s1', 'k3s-install.sh');
    writeFileSync(inside, '#!/bin/sh\n');
    expect((await k3sArtifacts(['v1.33.4+k3s1'])).installScript).toBe(inside);
  });

  test('is an airgap folder for each of them, beside those of the stand-in', async () => {
    const artifacts = await k3sArtifacts(['v1.33.10+k3s1']);
    const airgap = await airgapFolder(artifacts, 'v1.33.10+k3s1');
    made.push(path.dirname(airgap));
    expect(path.basename(path.dirname(airgap))).not.toBe('k3s-airgap');
    expect(readdirSync(airgap).filter((name) => !name.startsWith('.'))).toEqual(
      [...releases['v1.33.10+k3s1'], 'k3s-install.sh'].sort(),
    );
    expect(readFileSync(path.join(airgap, 'k3s'), 'utf8')).toBe('v1.33.10+k3s1 k3s');
  });

  test('that lacks what a test needs says so', async () => {
    await expect(k3sArtifacts(['v1.34.1+k3s1'])).rejects.toThrow(
      /has no k3s v1\.34\.1\+k3s1; it has v1\.33\.4/,
    );
    rmSync(path.join(folder, 'install.sh'));
    await expect(k3sArtifacts(['v1.33.4+k3s1'])).rejects.toThrow(/has no install\.sh/);
  });
});
