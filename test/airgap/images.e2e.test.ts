import { createHash, randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashSync } from 'bcryptjs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { parseImageName } from '../../src/airgap/image-name.ts';
import { type PullWish, pullBundle } from '../../src/airgap/pull.ts';
import type { PullProgress } from '../../src/airgap/pull-place.ts';
import { readRegistriesFile } from '../../src/airgap/registries-file.ts';
import { verifyFolder } from '../../src/airgap/verify.ts';
import type { WebOptions } from '../../src/engine/web.ts';
import { provideDocker, runCommand } from '../fleet/docker.ts';
import { type Certificate, makeCertificate } from '../fleet/release-server.ts';
import { type FaultFront, startFaultFront } from './fault-front.ts';
import { type FreshBundle, freshBundle, withoutReleases } from './fresh-bundle.ts';
import {
  type Registry,
  skopeo,
  startContainerd,
  startRegistry,
  startTokenServer,
  writeImage,
} from './registry.ts';

/** Images come from real registries, and what is written is imported by the programs that will have to. */

const everywhere = [
  { architecture: 'amd64' },
  { architecture: 'arm64', variant: 'v8' },
  { architecture: 'arm', variant: 'v7' },
  { architecture: 'arm', variant: 'v6' },
];
/** Nothing packs it smaller, so that an archive is as large. */
const big = randomBytes(600_000);

let place: string;
let certificate: Certificate;
let registry: Registry;
let front: FaultFront;
let bundle: FreshBundle;
let root: string;
let folder: string;
let options: WebOptions;

beforeAll(async () => {
  place = mkdtempSync(join(tmpdir(), 'fleet-registry-'));
  certificate = await makeCertificate(place, ['127.0.0.1', 'localhost']);
  registry = await startRegistry(place, join(place, 'images'), certificate, 'everybody');
  front = await startFaultFront(certificate, { url: `https://${registry.host}` });
  options = { caFiles: [certificate.caFile], firstPauseMs: 1 };
  for (const [name, recipe] of Object.entries({
    'shop/charm:1.0': { platforms: everywhere, layers: [big, Buffer.from('small')] },
    'shop/alone:2': { platforms: [{ architecture: 'amd64' }], layers: [big] },
  })) {
    const layout = join(place, 'layouts', name.replaceAll(/[/:]/g, '-'));
    mkdirSync(layout, { recursive: true });
    writeImage(layout, 'x', recipe);
    await skopeo(certificate, 'copy', '--all', `oci:${layout}:x`, `docker://${registry.host}/${name}`);
  }
});
afterAll(async () => {
  await front?.stop();
  await registry?.stop();
  rmSync(place, { recursive: true, force: true });
});
beforeEach(() => {
  bundle = freshBundle();
  ({ root, folder } = bundle);
});
afterEach(() => front.heal());

const pull = (
  images: readonly string[],
  more: Partial<PullWish> = {},
  onProgress: (progress: PullProgress) => void = () => {},
) =>
  pullBundle({ ...withoutReleases(bundle), images: images.map(parseImageName), ...more }, options, {
    onProgress,
  });
const frontHost = (): string => front.origin.slice('https://'.length);
const blobBytes = (): number =>
  front.requests.filter(({ path }) => path.includes('/blobs/')).reduce((sum, { bytes }) => sum + bytes, 0);
const digestOf = (manifest: string): string =>
  `sha256:${createHash('sha256').update(manifest).digest('hex')}`;

describe('images', () => {
  it('are archives that containerd, docker and skopeo import, one for each architecture', async () => {
    const name = `${registry.host}/shop/charm:1.0`;
    const bundle = await pull([name], { architectures: ['amd64', 'arm64', 'arm'] });
    const archives = bundle.files.filter(({ kind }) => kind === 'image');
    const file = (arch: string): string =>
      `images/${registry.host.replace(':', '=')}+shop+charm@1.0-${arch}.tar`;
    expect(archives.map(({ path }) => path)).toEqual(['amd64', 'arm', 'arm64'].map(file));
    expect((await verifyFolder(folder)).isRight).toBe(true);
    expect(readdirSync(folder).sort()).toEqual(['bundle.json', 'images', 'k3s-install.sh']);

    // The digest of the registry survives: what is imported is what was pushed.
    const index = JSON.parse(await skopeo(certificate, 'inspect', '--raw', `docker://${name}`)) as {
      manifests: { digest: string; platform: { architecture: string; variant?: string } }[];
    };
    const pushed = (architecture: string, variant?: string): string | undefined =>
      index.manifests.find(
        ({ platform }) => platform.architecture === architecture && platform.variant === variant,
      )?.digest;
    expect(archives.map(({ digest }) => digest)).toEqual([
      pushed('amd64'),
      pushed('arm', 'v7'),
      pushed('arm64', 'v8'),
    ]);

    const out = join(root, 'out');
    await skopeo(certificate, 'copy', `docker-archive:${join(folder, file('arm'))}:${name}`, `dir:${out}`);
    expect(JSON.parse(await skopeo(certificate, 'inspect', '--config', `dir:${out}`))).toMatchObject({
      architecture: 'arm',
      variant: 'v7',
    });
    const raw = await skopeo(
      certificate,
      'inspect',
      '--raw',
      `oci-archive:${join(folder, file('arm64'))}:1.0`,
    );
    expect(digestOf(raw)).toBe(pushed('arm64', 'v8'));

    const containerd = await startContainerd(root);
    try {
      for (const arch of ['amd64', 'arm64']) {
        await containerd.ctr('images', 'import', '--no-unpack', '--all-platforms', join(folder, file(arch)));
        expect(await containerd.ctr('images', 'ls', `name==${name}`)).toContain(
          pushed(arch, arch === 'arm64' ? 'v8' : undefined),
        );
      }
    } finally {
      await containerd.stop();
    }

    const env = { ...process.env, DOCKER_HOST: await provideDocker() };
    const loaded = await runCommand('docker', ['load', '-i', join(folder, file('amd64'))], { env });
    expect(loaded).toMatchObject({ code: 0, stdout: expect.stringContaining(name) });
    const container = (await runCommand('docker', ['create', name], { env })).stdout.trim();
    const copied = await runCommand('docker', ['cp', `${container}:/layer-0`, join(root, 'layer')], { env });
    await runCommand('docker', ['rm', container], { env });
    await runCommand('docker', ['rmi', name], { env });
    expect(copied.code, copied.stderr).toBe(0);
    expect(readFileSync(join(root, 'layer')).equals(big)).toBe(true);
  });

  it('are fetched once, layers in common too, and again only where the tag means another one', async () => {
    const name = `${frontHost()}/shop/charm:1.0`;
    await pull([name, `${frontHost()}/shop/alone:2`]);
    const once = blobBytes();
    expect(once).toBeLessThan(2 * big.length);
    const states: string[] = [];
    const again = await pull([name], {}, ({ state }) => states.push(state));
    expect(states).toEqual(['there already']);
    expect(blobBytes()).toBe(once);
    expect(again.files.filter(({ kind }) => kind === 'image')).toHaveLength(2);
    const [first] = again.files.filter(({ image }) => image === name);
    writeFileSync(join(folder, first?.path ?? ''), 'damaged');
    await pull([name]);
    expect((await verifyFolder(folder)).isRight).toBe(true);
  });

  it('go on at the byte where a connection was cut, and wait when they are told to', async () => {
    front.inject({ match: /\/blobs\//, fault: { kind: 'cut', afterBytes: 200_000 }, times: 3 });
    front.inject({ match: /\/manifests\//, fault: { kind: 'status', code: 429, retryAfter: 0 }, times: 2 });
    front.inject({ match: /\/blobs\//, fault: { kind: 'status', code: 503 }, times: 1 });
    await pull([`${frontHost()}/shop/charm:1.0`]);
    // Three times from the beginning would be twice as much; what is under way when a connection is cut may be lost.
    expect(blobBytes()).toBeLessThan(big.length + 100_000);
    expect((await verifyFolder(folder)).isRight).toBe(true);
  });

  it('come slowly, if they come', async () => {
    front.inject({ match: /\/blobs\//, fault: { kind: 'slow', bytesPerSecond: 2_000_000 } });
    expect((await pull([`${frontHost()}/shop/charm:1.0`])).files).toHaveLength(2);
  });

  it.each<[string, RegExp, Parameters<FaultFront['inject']>[0]['fault'], string]>([
    ['a manifest that is not there', /\/manifests\//, { kind: 'status', code: 404 }, 'IMAGE_NOT_FOUND'],
    ['a manifest with another digest', /\/manifests\/sha256/, { kind: 'damaged' }, 'IMAGE_DAMAGED'],
    ['a layer with another digest', /\/blobs\//, { kind: 'damaged' }, 'DOWNLOAD_DAMAGED'],
    ['a layer that is not there', /\/blobs\//, { kind: 'status', code: 404 }, 'DOWNLOAD_FAILED'],
  ])('leave nothing behind that counts after %s', async (_what, match, fault, code) => {
    front.inject({ match, fault });
    const failure = await pull([`${frontHost()}/shop/charm:1.0`]).catch(
      (error: { code?: string; errors?: { code: string }[] }) => error,
    );
    const codes =
      'errors' in failure ? failure.errors?.map((each) => each.code) : [(failure as { code: string }).code];
    expect(new Set(codes)).toEqual(new Set([code]));
    expect(existsSync(join(folder, 'bundle.json'))).toBe(false);
    expect(existsSync(join(folder, 'images'))).toBe(false);
  });

  it('for another architecture are refused by what they are for', async () => {
    await expect(pull([`${registry.host}/shop/alone:2`], { architectures: ['arm64'] })).rejects.toMatchObject(
      {
        code: 'IMAGE_ARCH',
        message: `${registry.host}/shop/alone:2 is not for linux/arm64, but for linux/amd64`,
      },
    );
  });

  it('come from a mirror for their registry, under the name that is rewritten there', async () => {
    const file = join(root, 'registries.yaml');
    writeFileSync(
      file,
      `mirrors:\n  registry.example.org:\n    endpoint: [https://127.0.0.1:1, ${front.origin}]\n    rewrite: {"^team/(.*)": "shop/$1"}\n`,
    );
    const registries = await readRegistriesFile(file);
    const { files } = await pull(['registry.example.org/team/charm:1.0'], { registries });
    expect(files.map(({ image }) => image)).toContain('registry.example.org/team/charm:1.0');
    expect(front.requests.some(({ path }) => path === '/v2/shop/charm/manifests/1.0')).toBe(true);
  });
});

describe('registries that are not for everybody', () => {
  const htpasswd = `reader:${hashSync('s3cret', 5)}\n`;
  const login = (host: string, password: string): void => {
    mkdirSync(join(root, 'docker'), { recursive: true });
    const auth = Buffer.from(`reader:${password}`).toString('base64');
    writeFileSync(join(root, 'docker', 'config.json'), JSON.stringify({ auths: { [host]: { auth } } }));
  };

  it('are read with a token that docker’s password buys', async () => {
    const tokens = await startTokenServer(certificate, 'reader:s3cret');
    const guarded = await startRegistry(place, join(place, 'images'), certificate, { tokenUrl: tokens.url });
    try {
      const { host } = guarded;
      await expect(pull([`${host}/shop/charm:1.0`])).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' });
      login(host, 's3cret');
      await pull([`${host}/shop/charm:1.0`]);
      expect((await verifyFolder(folder)).isRight).toBe(true);
      expect(tokens.asked.at(-1)).toContain('scope=repository%3Ashop%2Fcharm%3Apull');
    } finally {
      await guarded.stop();
      await tokens.stop();
    }
  });

  it('are read with a password of registries.yaml, and refused with another, which nobody gets to see', async () => {
    const guarded = await startRegistry(place, join(place, 'images'), certificate, { htpasswd });
    try {
      const file = join(root, 'registries.yaml');
      const withPassword = async (password: string) => {
        writeFileSync(
          file,
          `configs:\n  "${guarded.host}":\n    auth: {username: reader, password: ${password}}\n    tls: {ca_file: ${certificate.caFile}}\n`,
        );
        return { registries: await readRegistriesFile(file) };
      };
      options = { firstPauseMs: 1 };
      const failure: unknown = await pull(
        [`${guarded.host}/shop/alone:2`],
        await withPassword('wr0ng'),
      ).catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: 'IMAGE_NOT_FOUND', message: expect.stringContaining('401') });
      expect(JSON.stringify(failure)).not.toContain('wr0ng');
      expect((await pull([`${guarded.host}/shop/alone:2`], await withPassword('s3cret'))).files).toHaveLength(
        2,
      );
    } finally {
      options = { caFiles: [certificate.caFile], firstPauseMs: 1 };
      await guarded.stop();
    }
  });
});
