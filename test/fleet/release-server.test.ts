import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { runCommand } from './docker.ts';
import type { K3sArtifacts } from './k3s-artifacts.ts';
import { type ReleaseServer, startReleaseServer } from './release-server.ts';

const versions = ['v1.32.9+k3s1', 'v1.33.4+k3s1', 'v1.33.4+k3s10', 'v1.34.0-rc1+k3s1'];
const binary = Buffer.from('k3s'.repeat(50_000));
const sum = createHash('sha256').update(binary).digest('hex');
let artifacts: K3sArtifacts;
let server: ReleaseServer;

beforeAll(async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'fleet-test-artifacts-'));
  for (const version of versions) {
    await mkdir(path.join(directory, version));
    await writeFile(path.join(directory, version, 'k3s'), binary);
    await writeFile(path.join(directory, version, 'sha256sum-amd64.txt'), `${sum}  k3s\n`);
  }
  await writeFile(path.join(directory, 'install.sh'), '#!/bin/sh\n');
  artifacts = { directory, versions, installScript: path.join(directory, 'install.sh') };
});
afterAll(async () => {
  await rm(artifacts.directory, { recursive: true, force: true });
});
beforeEach(async () => {
  server = await startReleaseServer({ artifacts });
});
afterEach(async () => {
  await server.stop();
});

/** The body of a file of a release, by its encoded URL as the install script builds it. */
async function download(file: string, headers: Record<string, string> = {}): Promise<Response> {
  return await fetch(`${server.releasesUrl}/download/v1.33.4%2Bk3s1/${file}`, { headers });
}

test('serves releases behind a redirect, whether the plus is encoded or not', async () => {
  const sums = await download('sha256sum-amd64.txt');
  expect(await sums.text()).toBe(`${sum}  k3s\n`);
  expect(sums.redirected).toBe(true);
  const plain = await fetch(`${server.releasesUrl}/download/v1.33.4+k3s1/k3s`);
  expect(Buffer.from(await plain.arrayBuffer()).equals(binary)).toBe(true);
  expect((await fetch(`${server.releasesUrl}/download/v9.9.9+k3s1/k3s`)).status).toBe(404);
  expect((await fetch(`${server.releasesUrl}/download/v1.33.4+k3s1/none`)).status).toBe(404);
  expect((await fetch(`${server.releasesUrl}/download/v1.33.4+k3s1/..%2F..%2Finstall.sh`)).status).toBe(404);
});

test('remembers what was asked', async () => {
  await (await download('k3s')).arrayBuffer();
  expect(server.requests).toMatchObject([
    { method: 'GET', path: '/k3s-io/k3s/releases/download/v1.33.4+k3s1/k3s', status: 302, bytes: 0 },
    { method: 'GET', path: '/objects/v1.33.4+k3s1/k3s', status: 200, bytes: binary.length },
  ]);
});

test('lists channels as update.k3s.io does: newest of each minor, no release candidates', async () => {
  const list: unknown = await (await fetch(server.channelsUrl)).json();
  expect(list).toMatchObject({
    data: [
      { id: 'v1.32', name: 'v1.32', latest: 'v1.32.9+k3s1' },
      { id: 'latest', latest: 'v1.33.4+k3s10' },
      { id: 'stable', latest: 'v1.33.4+k3s10' },
      { id: 'v1.33', latest: 'v1.33.4+k3s10' },
    ],
  });
  const one = await fetch(`${server.channelsUrl}/stable`);
  expect(one.url).toBe(`${server.releasesUrl}/tag/v1.33.4+k3s10`);
  expect((await fetch(`${server.channelsUrl}/v1.1`)).status).toBe(404);
});

test('serves the install script at the root, as get.k3s.io does', async () => {
  expect(await (await fetch(server.origin)).text()).toBe('#!/bin/sh\n');
  expect(await (await fetch(server.installScriptUrl)).text()).toBe('#!/bin/sh\n');
});

test('resumes a download', async () => {
  const rest = await download('k3s', { range: 'bytes=100-' });
  expect(rest.status).toBe(206);
  expect((await rest.arrayBuffer()).byteLength).toBe(binary.length - 100);
});

describe('faults', () => {
  test('statuses, as often as told', async () => {
    server.inject({ match: /sha256sum/, fault: { kind: 'status', code: 429, retryAfter: 7 }, times: 2 });
    const first = await download('sha256sum-amd64.txt');
    expect([first.status, first.headers.get('retry-after')]).toEqual([429, '7']);
    expect((await download('k3s')).status).toBe(200);
    expect((await download('sha256sum-amd64.txt')).status).toBe(429);
    expect((await download('sha256sum-amd64.txt')).status).toBe(200);
  });

  test('a cut connection', async () => {
    server.inject({ match: /objects.*k3s$/, fault: { kind: 'cut', afterBytes: 70_000 } });
    const response = await download('k3s');
    expect(response.headers.get('content-length')).toBe(String(binary.length));
    await expect(response.arrayBuffer()).rejects.toThrow('terminated');
    expect(server.requests.at(-1)).toMatchObject({ bytes: 70_000 });
    server.heal();
    expect((await (await download('k3s')).arrayBuffer()).byteLength).toBe(binary.length);
  });

  test('one bit of the binary, and other sums', async () => {
    server.inject({ match: /objects.*k3s$/, fault: { kind: 'damaged' } });
    const damaged = Buffer.from(await (await download('k3s')).arrayBuffer());
    expect(damaged).toHaveLength(binary.length);
    expect(damaged.filter((byte, index) => byte !== binary[index])).toHaveLength(1);
    server.inject({ match: /objects.*sha256sum/, fault: { kind: 'wrong-sums' } });
    const sums = await (await download('sha256sum-amd64.txt')).text();
    expect(sums).toMatch(/^[0-9a-f]{64} {2}k3s\n$/);
    expect(sums).not.toContain(sum);
  });

  test('slowness and silence', async () => {
    server.inject({ match: /objects.*k3s$/, fault: { kind: 'slow', bytesPerSecond: 500_000 } });
    const begun = performance.now();
    await (await download('k3s')).arrayBuffer();
    expect(performance.now() - begun).toBeGreaterThan(200);
    server.inject({ match: /channels/, fault: { kind: 'silent' } });
    await expect(fetch(server.channelsUrl, { signal: AbortSignal.timeout(100) })).rejects.toThrow('timeout');
  });
});

test('has a certificate of a CA of its own', async () => {
  await using secure = await startReleaseServer({ artifacts, https: true, names: ['localhost'] });
  const caFile = secure.caFile ?? '';
  await expect(fetch(secure.channelsUrl)).rejects.toThrow('fetch failed');
  const read = `fetch('${secure.channelsUrl}').then(async (r) => console.log(r.status))`;
  const { stdout } = await runCommand(process.execPath, ['-e', read], {
    env: { ...process.env, NODE_EXTRA_CA_CERTS: caFile },
  });
  expect(stdout).toBe('200\n');
});
