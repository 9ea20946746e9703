import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished, vi } from 'vitest';
import type { PullWish } from '../../src/airgap/pull.ts';

/** Where a test pulls a bundle to. */
export interface FreshBundle {
  /** Holds the bundle, and what a user would have at home. */
  readonly root: string;
  /** The bundle, which is not there yet. */
  readonly folder: string;
}

/** For `beforeEach`: a place that is gone when the test is, with a cache and passwords that are nobody else's. */
export function freshBundle(): FreshBundle {
  const root = mkdtempSync(join(tmpdir(), 'fleet-bundle-'));
  vi.stubEnv('FLEET_CACHE', join(root, 'cache'));
  vi.stubEnv('DOCKER_CONFIG', join(root, 'docker'));
  vi.stubEnv('HELM_REPOSITORY_CONFIG', join(root, 'repositories.yaml'));
  onTestFinished(() => {
    vi.unstubAllEnvs();
    rmSync(root, { recursive: true, force: true });
  });
  return { root, folder: join(root, 'bundle') };
}

/** What is wanted of a bundle without any release: nothing, until images, charts or packages are named. */
export function withoutReleases({ root, folder }: FreshBundle): PullWish {
  const installScript = join(root, 'install.sh');
  writeFileSync(installScript, '#!/bin/sh\n# INSTALL_K3S_EXEC\n');
  return {
    folder,
    versions: [],
    architectures: ['amd64'],
    artifactUrl: 'https://127.0.0.1:1',
    installScript,
    atOnce: 3,
  };
}
