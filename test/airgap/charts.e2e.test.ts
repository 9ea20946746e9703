import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseChart } from '../../src/airgap/charts.ts';
import { type PullWish, pullBundle } from '../../src/airgap/pull.ts';
import { verifyFolder } from '../../src/airgap/verify.ts';
import type { WebOptions } from '../../src/engine/web.ts';
import { type Certificate, makeCertificate } from '../fleet/release-server.ts';
import { type FaultFront, startFaultFront } from './fault-front.ts';
import { type FreshBundle, freshBundle, withoutReleases } from './fresh-bundle.ts';
import { type Registry, skopeo, startRegistry, tarOf, writeLayout } from './registry.ts';

/** Charts from a repository with index.yaml, and from a real registry where they stand as helm push leaves them. */

const sum = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const chart = (version: string): Buffer =>
  gzipSync(tarOf('shop/Chart.yaml', Buffer.from(`apiVersion: v2\nname: shop\nversion: ${version}\n`)));

let place: string;
let certificate: Certificate;
let repository: FaultFront;
let registry: Registry;
let bundle: FreshBundle;
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
  writeLayout(layout, 'x', (blob) =>
    blob(
      'application/vnd.oci.image.manifest.v1+json',
      JSON.stringify({
        schemaVersion: 2,
        config: blob('application/vnd.cncf.helm.config.v1+json', '{"name":"shop","version":"2.0.0+1"}'),
        layers: [blob('application/vnd.cncf.helm.chart.content.v1.tar+gzip', chart('2.0.0+1'))],
      }),
    ),
  );
  await skopeo(
    certificate,
    'copy',
    '--preserve-digests',
    `oci:${layout}:x`,
    `docker://${registry.host}/charts/shop:2.0.0_1`,
  );
});
afterAll(async () => {
  await repository?.stop();
  await registry?.stop();
  rmSync(place, { recursive: true, force: true });
});
beforeEach(() => {
  bundle = freshBundle();
  writeFileSync(
    join(bundle.root, 'repositories.yaml'),
    `repositories:\n  - {name: own, url: "${repository.origin}/stable", username: reader, password: s3cret, caFile: ${certificate.caFile}}\n`,
  );
});
afterEach(() => repository.heal());

const pull = (charts: readonly string[], more: Partial<PullWish> = {}) =>
  pullBundle({ ...withoutReleases(bundle), charts: charts.map(parseChart), ...more }, options);

describe('charts', () => {
  it('come from a repository of helm’s, with its password, and from a registry, each by its sum', async () => {
    const { files } = await pull(['own/shop@1.4.0', `oci://${registry.host}/charts/shop@2.0.0+1`]);
    expect(files.filter(({ kind }) => kind === 'chart').map(({ path, sha256 }) => [path, sha256])).toEqual([
      ['charts/shop-1.4.0.tgz', sum(chart('1.4.0'))],
      ['charts/shop-2.0.0+1.tgz', sum(chart('2.0.0+1'))],
    ]);
    const { folder } = bundle;
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
    expect(existsSync(join(bundle.folder, 'bundle.json'))).toBe(false);
  });

  it('are refused where an image stands under the name', async () => {
    expect(() => parseChart('shop')).toThrow(/names no chart/);
    expect(() => parseChart(`${registry.host}/charts/shop@1`)).toThrow(/names no chart/);
  });

  it('lie beside manifests, of which each keeps its name', async () => {
    const manifest = join(bundle.root, 'shop.yaml');
    writeFileSync(manifest, 'kind: HelmChart\n');
    const { files } = await pull([], { manifests: [manifest] });
    expect(files).toContainEqual(expect.objectContaining({ path: 'manifests/shop.yaml', kind: 'manifest' }));
    await expect(pull([], { manifests: [manifest, manifest] })).rejects.toMatchObject({
      code: 'BUNDLE_TWICE',
    });
    await expect(pull(['own/shop@1.4.0', 'own/shop@1.4.0'])).rejects.toMatchObject({ code: 'BUNDLE_TWICE' });
    await expect(pull([], { manifests: [join(bundle.root, 'install.sh')] })).rejects.toMatchObject({
      code: 'MANIFEST_NAME',
    });
  });
});
