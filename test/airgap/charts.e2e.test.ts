import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseChart } from '../../src/airgap/charts.ts';
import { type PullWish, pullBundle } from '../../src/airgap/pull.ts';
import { tarEnd, tarHeader, tarPadding } from '../../src/airgap/tar.ts';
import { verifyFolder } from '../../src/airgap/verify.ts';
import type { WebOptions } from '../../src/engine/web.ts';
import { type Certificate, makeCertificate } from '../fleet/release-server.ts';
import { type FaultFront, startFaultFront } from './fault-front.ts';
import { type Registry, skopeo, startRegistry } from './registry.ts';

/** Charts from a repository with index.yaml, and from a real registry where they stand as helm push leaves them. */

const sum = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const chart = (version: string): Buffer => {
  const text = Buffer.from(`apiVersion: v2\nname: shop\nversion: ${version}\n`);
  const tar = [
    tarHeader({ name: 'shop/Chart.yaml', sizeBytes: text.length }, 0o644, new Date(0)),
    text,
    tarPadding(text.length),
    tarEnd,
  ];
  return gzipSync(Buffer.concat(tar));
};

let place: string;
let certificate: Certificate;
let repository: FaultFront;
let registry: Registry;
let root: string;
let folder: string;
let options: WebOptions;

beforeAll(async () => {
  place = mkdtempSync(join(tmpdir(), 'fleet-charts-'));
  certificate = await makeCertificate(place, ['127.0.0.1']);
  options = { caFiles: [certificate.caFile], firstPauseMs: 1 };
  mkdirSync(join(place, 'repository', 'stable', 'files'), { recursive: true });
  writeFileSync(join(place, 'repository', 'stable', 'files', 'shop-1.4.0.tgz'), chart('1.4.0'));
  writeFileSync(
    join(place, 'repository', 'stable', 'index.yaml'),
    `apiVersion: v1
entries:
  shop:
    - {name: shop, version: 1.5.0, urls: [files/shop-1.5.0.tgz]}
    - {name: shop, version: 1.4.0, urls: [files/shop-1.4.0.tgz], digest: ${sum(chart('1.4.0'))}}
    - {name: shop, version: 1.3.0, urls: [files/shop-1.4.0.tgz], digest: "${'0'.repeat(64)}"}
`,
  );
  repository = await startFaultFront(certificate, {
    folder: join(place, 'repository'),
    password: 'reader:s3cret',
  });
  registry = await startRegistry(place, join(place, 'images'), certificate, 'everybody');
  const layout = join(place, 'layout');
  mkdirSync(join(layout, 'blobs', 'sha256'), { recursive: true });
  const blob = (mediaType: string, bytes: Buffer) => {
    writeFileSync(join(layout, 'blobs', 'sha256', sum(bytes)), bytes);
    return { mediaType, digest: `sha256:${sum(bytes)}`, size: bytes.length };
  };
  const manifest = {
    schemaVersion: 2,
    config: blob(
      'application/vnd.cncf.helm.config.v1+json',
      Buffer.from('{"name":"shop","version":"2.0.0+1"}'),
    ),
    layers: [blob('application/vnd.cncf.helm.chart.content.v1.tar+gzip', chart('2.0.0+1'))],
  };
  const top = blob('application/vnd.oci.image.manifest.v1+json', Buffer.from(JSON.stringify(manifest)));
  const annotations = { 'org.opencontainers.image.ref.name': 'x' };
  writeFileSync(
    join(layout, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...top, annotations }] }),
  );
  writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  await skopeo(
    certificate,
    'copy',
    '--preserve-digests',
    `oci:${layout}:x`,
    `docker://${registry.host}/charts/shop:2.0.0_1`,
  );
  writeFileSync(join(place, 'install.sh'), '#!/bin/sh\n# INSTALL_K3S_EXEC\n');
});
afterAll(async () => {
  await repository?.stop();
  await registry?.stop();
  rmSync(place, { recursive: true, force: true });
});
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'fleet-chart-'));
  folder = join(root, 'bundle');
  process.env.FLEET_CACHE = join(root, 'cache');
  process.env.DOCKER_CONFIG = join(root, 'docker');
  process.env.HELM_REPOSITORY_CONFIG = join(root, 'repositories.yaml');
  writeFileSync(
    join(root, 'repositories.yaml'),
    `repositories:\n  - {name: own, url: "${repository.origin}/stable", username: reader, password: s3cret, caFile: ${certificate.caFile}}\n`,
  );
});
afterEach(() => {
  repository.heal();
  for (const name of ['FLEET_CACHE', 'DOCKER_CONFIG', 'HELM_REPOSITORY_CONFIG']) delete process.env[name];
  rmSync(root, { recursive: true, force: true });
});

const pull = (charts: readonly string[], more: Partial<PullWish> = {}) =>
  pullBundle(
    {
      folder,
      versions: [],
      architectures: ['amd64'],
      artifactUrl: 'https://127.0.0.1:1',
      installScript: join(place, 'install.sh'),
      atOnce: 2,
      charts: charts.map(parseChart),
      ...more,
    },
    options,
  );

describe('charts', () => {
  it('come from a repository of helm’s, with its password, and from a registry, each by its sum', async () => {
    const { files } = await pull(['own/shop@1.4.0', `oci://${registry.host}/charts/shop@2.0.0+1`]);
    expect(files.filter(({ kind }) => kind === 'chart').map(({ path, sha256 }) => [path, sha256])).toEqual([
      ['charts/shop-1.4.0.tgz', sum(chart('1.4.0'))],
      ['charts/shop-2.0.0+1.tgz', sum(chart('2.0.0+1'))],
    ]);
    expect(readFileSync(join(folder, 'charts', 'shop-2.0.0+1.tgz')).equals(chart('2.0.0+1'))).toBe(true);
    expect((await verifyFolder(folder)).isRight).toBe(true);
    expect(readFileSync(join(folder, 'bundle.json'), 'utf8')).not.toContain('s3cret');
  });

  it.each([
    [
      'in a version that nobody published',
      'own/shop@9.9.9',
      'CHART_NOT_FOUND',
      /no chart shop in version 9\.9\.9/,
    ],
    ['without a published sum', 'own/shop@1.5.0', 'CHART_NOT_FOUND', /no sum for shop 1\.5\.0/],
    ['with another sum than published', 'own/shop@1.3.0', 'DOWNLOAD_DAMAGED', /published is 0000/],
    ['of a repository that helm does not know', 'other/shop@1.4.0', 'CHART_NOT_FOUND', /no repository other/],
  ])('%s are refused', async (_what, name, code, message) => {
    await expect(pull([name])).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(existsSync(join(folder, 'bundle.json'))).toBe(false);
  });

  it('are refused where an image stands under the name', async () => {
    expect(() => parseChart('shop')).toThrow(/names no chart/);
    expect(() => parseChart(`${registry.host}/charts/shop@1`)).toThrow(/names no chart/);
  });

  it('lie beside manifests, of which each keeps its name', async () => {
    const manifest = join(root, 'shop.yaml');
    writeFileSync(manifest, 'kind: HelmChart\n');
    const { files } = await pull([], { manifests: [manifest] });
    expect(files).toContainEqual(expect.objectContaining({ path: 'manifests/shop.yaml', kind: 'manifest' }));
    await expect(pull([], { manifests: [manifest, manifest] })).rejects.toMatchObject({
      code: 'BUNDLE_TWICE',
    });
    await expect(pull(['own/shop@1.4.0', 'own/shop@1.4.0'])).rejects.toMatchObject({ code: 'BUNDLE_TWICE' });
    await expect(pull([], { manifests: [join(place, 'install.sh')] })).rejects.toMatchObject({
      code: 'MANIFEST_NAME',
    });
  });
});
