import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defaultK3sVersion, k3sArtifacts } from '../fleet/k3s-artifacts.ts';
import { makeCertificate, type ReleaseServer, startReleaseServer } from '../fleet/release-server.ts';
import { endedAs } from '../up/fleet-cli.ts';
import { kubectl, type Lab, on, startLab } from '../up/lab.ts';
import { type FaultFront, startFaultFront } from './fault-front.ts';

/** From `fleet airgap pull` to what stands on servers: charts, manifests, and nodes that hand images on to each other. */

const chart = gzipSync('a chart');
const manifest = `apiVersion: v1
kind: ConfigMap
metadata: {name: from-the-bundle, namespace: default}
data: {a: b}
`;

describe('a bundle with a chart and a manifest', () => {
  let lab: Lab;
  let releases: ReleaseServer;
  let charts: FaultFront;
  let place: string;
  const folder = (): string => path.join(lab.nodes.directory, 'bundle');

  beforeAll(async () => {
    place = await mkdtemp(path.join(tmpdir(), 'fleet-bundle-'));
    const sha256 = createHash('sha256').update(chart).digest('hex');
    await mkdir(path.join(place, 'charts'));
    await writeFile(path.join(place, 'charts', 'shop-1.4.0.tgz'), chart);
    await writeFile(
      path.join(place, 'charts', 'index.yaml'),
      `entries: {shop: [{version: 1.4.0, urls: [shop-1.4.0.tgz], digest: "${sha256}"}]}\n`,
    );
    await writeFile(path.join(place, 'shop.yaml'), manifest);
    const certificate = await makeCertificate(place, ['127.0.0.1']);
    charts = await startFaultFront(certificate, { folder: path.join(place, 'charts') });
    releases = await startReleaseServer({ artifacts: await k3sArtifacts([defaultK3sVersion]), https: true });
    await writeFile(
      path.join(place, 'all.crt'),
      `${await readFile(releases.caFile ?? '', 'utf8')}${certificate.ca.toString()}`,
    );
    lab = await startLab({
      servers: 1,
      agents: 1,
      vars: { k3s_version: defaultK3sVersion, embedded_registry: true },
    });
  });
  afterAll(async () => {
    await lab?.stop();
    await releases?.stop();
    await charts?.stop();
    await rm(place, { recursive: true, force: true });
  });

  const pull = (...more: readonly string[]) =>
    lab.cli.run(
      ['airgap', 'pull', '--out', folder(), '--ca-file', path.join(place, 'all.crt'), '--output', 'json']
        .concat(['--artifact-url', `${releases.releasesUrl}/download`])
        .concat(['--install-script', releases.installScriptUrl], more),
      { inventory: null, expect: 0 },
    );

  test('is made by one command, and what is asked for later joins it', async () => {
    await pull('--version', defaultK3sVersion);
    const { stdout } = await pull(
      '--chart',
      `${charts.origin}/shop@1.4.0`,
      '--manifest',
      path.join(place, 'shop.yaml'),
    );
    const { versions, architectures, files } = JSON.parse(stdout) as {
      versions: string[];
      architectures: string[];
      files: { path: string; kind: string }[];
    };
    expect({ versions, architectures }).toEqual({ versions: [defaultK3sVersion], architectures: ['amd64'] });
    expect(files.map(({ path: name }) => name)).toEqual(
      expect.arrayContaining(['charts/shop-1.4.0.tgz', 'manifests/shop.yaml', `${defaultK3sVersion}/k3s`]),
    );
    await lab.cli.run(['airgap', 'verify', folder()], { inventory: null, expect: 0 });
  });

  test('is on the server after one run, applied, and a second run changes nothing', async () => {
    await lab.nodes.writeInventory({
      airgap_dir: folder(),
      k3s_version: defaultK3sVersion,
      embedded_registry: true,
    });
    await lab.cli.up({ expect: 0 });
    const sum = createHash('sha256').update(chart).digest('hex');
    const there = '/var/lib/rancher/k3s/server/static/charts/shop-1.4.0.tgz';
    expect(await on(lab, 'server-1', `sha256sum < ${there}; stat -c '%a %U' ${there}`)).toBe(
      `${sum}  -\n644 root`,
    );
    expect(await on(lab, 'agent-1', 'ls /var/lib/rancher/k3s/server 2>/dev/null || echo none')).toBe('none');
    // k3s looks for manifests now and then.
    await expect
      .poll(() => kubectl(lab.cli, 'get', 'configmap', 'from-the-bundle', '-o', 'jsonpath={.data.a}'), {
        timeout: 60_000,
      })
      .toMatchObject({ code: 0, stdout: 'b' });
    expect(endedAs((await lab.cli.up({ expect: 0 })).events, 'changed')).toEqual([]);
  });

  test('lets nodes hand images on to each other', async () => {
    const config = '/etc/rancher/k3s/config.yaml.d/90-fleet.yaml';
    expect(await on(lab, 'server-1', `cat ${config}`)).toContain('embedded-registry: true');
    expect(await on(lab, 'agent-1', `cat ${config} 2>/dev/null || true`)).not.toContain('embedded-registry');
    for (const node of lab.nodes.nodes)
      expect(
        await on(
          lab,
          node,
          'cat /etc/rancher/k3s/registries.yaml; stat -c %a /etc/rancher/k3s/registries.yaml',
        ),
      ).toBe('mirrors:\n  "*":\n600');
  });
});
