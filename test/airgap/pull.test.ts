import { generateKeyPairSync, type KeyPairKeyObjectResult } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { packBundle, unpackBundle } from '../../src/airgap/pack.ts';
import { pruneBundle } from '../../src/airgap/prune.ts';
import { type PullWish, pullBundle } from '../../src/airgap/pull.ts';
import type { PullProgress } from '../../src/airgap/pull-place.ts';
import { parseChannels, wantedReleases } from '../../src/airgap/releases.ts';
import { verifyFolder } from '../../src/airgap/verify.ts';
import type { WebOptions } from '../../src/engine/web.ts';
import { airgapBundleJsonSchema } from '../../src/facts/airgap-bundle.ts';
import { mustParseVersion } from '../../src/k3s/version.ts';
import { type ReleaseServer, startReleaseServer } from '../fleet/release-server.ts';
import { freshBundle } from './fresh-bundle.ts';
import { releasesIn, sha256 } from './releases-folder.ts';

const old = 'v1.33.4+k3s1';
const next = 'v1.34.1+k3s1';
const images = 'k3s-airgap-images-amd64.tar.zst';

/** Not every test leaves these as they are. */
const older = 'v1.32.9+k3s1';
const oldest = 'v1.31.9+k3s1';

let releases: string;
let root: string;
let folder: string;
let server: ReleaseServer;
let web: WebOptions;

beforeAll(async () => {
  releases = mkdtempSync(join(tmpdir(), 'fleet-airgap-releases-'));
  const artifacts = releasesIn(releases, [oldest, older, old, next]);
  server = await startReleaseServer({ artifacts, https: true });
  web = { caFiles: [server.caFile ?? ''], firstPauseMs: 1 };
});

afterAll(async () => {
  await server?.stop();
  rmSync(releases, { recursive: true, force: true });
});

beforeEach(() => {
  ({ root, folder } = freshBundle());
});

afterEach(() => {
  server.heal();
  server.requests.length = 0;
});

const wish = (more: Partial<PullWish> = {}): PullWish => ({
  folder,
  versions: [mustParseVersion(old)],
  architectures: ['amd64'],
  artifactUrl: `${server.releasesUrl}/download`,
  installScript: server.installScriptUrl,
  atOnce: 3,
  ...more,
});
const pull = (more: Partial<PullWish> = {}, onProgress: (progress: PullProgress) => void = () => {}) =>
  pullBundle(wish(more), web, { onProgress });
const released = (version: string, name: string): Buffer => readFileSync(join(releases, version, name));
const bytesSent = (name: string): number =>
  server.requests
    .filter(({ path }) => path.startsWith('/objects/') && path.endsWith(name))
    .reduce((sum, { bytes }) => sum + bytes, 0);

describe('pull', () => {
  it('fetches binaries, images and script from a mirror with a CA of its own, and lists them by the schema', async () => {
    const bundle = await pull({ architectures: ['amd64', 'arm'] });
    expect(bundle).toMatchObject({ versions: [old], architectures: ['amd64', 'arm'] });
    expect(bundle.files.map(({ path }) => path)).toEqual(
      [
        'k3s-install.sh',
        ...['k3s', 'k3s-airgap-images-amd64.tar.zst', 'k3s-airgap-images-arm.tar.zst', 'k3s-armhf'],
        ...['sha256sum-amd64.txt', 'sha256sum-arm.txt'],
      ].map((name) => (name === 'k3s-install.sh' ? name : `${old}/${name}`)),
    );
    for (const { path, sha256: sum, sizeBytes } of bundle.files) {
      expect(sha256(readFileSync(join(folder, path))), path).toBe(sum);
      expect(statSync(join(folder, path)).size).toBe(sizeBytes);
    }
    const written: unknown = JSON.parse(readFileSync(join(folder, 'bundle.json'), 'utf8'));
    expect(new Ajv().validate(airgapBundleJsonSchema(), written)).toBe(true);
    expect((await verifyFolder(folder)).isRight).toBe(true);
    expect(readdirSync(folder, { recursive: true }).filter((name) => String(name).endsWith('.part'))).toEqual(
      [],
    );
  });

  it('goes through the proxy that HTTPS_PROXY names', async () => {
    const asked: (string | undefined)[] = [];
    const { port } = new URL(server.releasesUrl);
    const proxy = createServer().on('connect', ({ url }, socket) => {
      asked.push(url);
      const beyond = connect(Number(port), '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
      beyond.on('error', () => socket.destroy()).pipe(socket);
      socket.on('error', () => beyond.destroy()).pipe(beyond);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const at = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    for (const name of ['HTTPS_PROXY', 'https_proxy']) vi.stubEnv(name, at);
    for (const name of ['NO_PROXY', 'no_proxy']) vi.stubEnv(name, '');
    try {
      await pull();
    } finally {
      vi.unstubAllEnvs();
      proxy.closeAllConnections();
      proxy.close();
    }
    expect(new Set(asked)).toEqual(new Set([`127.0.0.1:${port}`]));
    expect((await verifyFolder(folder)).isRight).toBe(true);
  });

  it('goes on at the byte where a connection was cut, many times over', async () => {
    const size = released(old, images).length;
    server.inject({
      match: new RegExp(`/objects/.*${images}`),
      fault: { kind: 'cut', afterBytes: 40_000 },
      times: 6,
    });
    await pull();
    expect(readFileSync(join(folder, old, images)).equals(released(old, images))).toBe(true);
    expect(bytesSent(images)).toBe(size);
  });

  it('goes on with what an earlier call left', async () => {
    const part = join(folder, old, `.${images}.part`);
    await pull();
    rmSync(join(folder, old, images));
    writeFileSync(part, released(old, images).subarray(0, 250_000));
    const before = bytesSent(images);
    await pull();
    expect(bytesSent(images) - before).toBe(50_000);
    expect(existsSync(part)).toBe(false);
  });

  it('throws away a beginning that was of another file, and fetches the whole', async () => {
    await pull();
    rmSync(join(folder, old, images));
    writeFileSync(join(folder, old, `.${images}.part`), Buffer.alloc(250_000, 'x'));
    await pull();
    expect(readFileSync(join(folder, old, images)).equals(released(old, images))).toBe(true);
  });

  it('waits when it is told to, and tries again after a server error', async () => {
    server.inject({ match: /sha256sum/, fault: { kind: 'status', code: 429, retryAfter: 0 }, times: 2 });
    server.inject({ match: /objects.*k3s$/, fault: { kind: 'status', code: 503 }, times: 3 });
    expect((await pull()).files).toHaveLength(4);
  });

  it.each<[string, Parameters<ReleaseServer['inject']>[0], string]>([
    ['other sums than published', { match: /sha256sum/, fault: { kind: 'wrong-sums' } }, 'DOWNLOAD_DAMAGED'],
    ['a damaged file', { match: /objects.*\.tar\.zst/, fault: { kind: 'damaged' } }, 'DOWNLOAD_DAMAGED'],
    [
      'a file that is not there',
      { match: /objects.*\.tar\.zst/, fault: { kind: 'status', code: 404 } },
      'DOWNLOAD_FAILED',
    ],
    [
      'an install script that is none',
      { match: /install\.sh/, fault: { kind: 'cut', afterBytes: 3 } },
      'DOWNLOAD_FAILED',
    ],
  ])('writes no list when it meets %s', async (_what, injection, code) => {
    server.inject(injection);
    const failure = await pull().catch((error: { code?: string; errors?: { code: string }[] }) => error);
    const codes =
      'errors' in failure ? failure.errors?.map((error) => error.code) : [(failure as { code: string }).code];
    expect(new Set(codes)).toEqual(new Set([code]));
    expect(existsSync(join(folder, 'bundle.json'))).toBe(false);
    expect(existsSync(join(folder, old, images))).toBe(false);
  });

  it('fetches nothing that is there and right, mends what is not, and keeps other versions in the list', async () => {
    await pull();
    const states: string[] = [];
    const both = await pull({ versions: [mustParseVersion(next)] });
    expect(both.versions).toEqual([old, next]);
    appendFileSync(join(folder, old, images), 'x');
    const before = bytesSent(`${old}/${images}`);
    await pull({}, ({ path, state }) => {
      if (state !== 'loading') states.push(`${path} ${state}`);
    });
    expect(new Set(states)).toEqual(new Set([`${old}/${images} done`, `${old}/k3s there already`]));
    expect(bytesSent(`${old}/${images}`) - before).toBe(released(old, images).length);
    expect((await verifyFolder(folder)).isRight).toBe(true);
  });

  it('takes gz where a release has no zst', async () => {
    const list = join(releases, older, 'sha256sum-amd64.txt');
    writeFileSync(list, readFileSync(list, 'utf8').replace(/.*zst\n/, ''));
    const { files } = await pull({ versions: [mustParseVersion(older)] });
    expect(files.map(({ path }) => path)).toContain(`${older}/k3s-airgap-images-amd64.tar.gz`);
  });
});

describe('which releases', () => {
  const channels = parseChannels(
    JSON.stringify({
      data: [
        { id: 'stable', latest: 'v1.33.4+k3s1' },
        { id: 'v1.31', latest: 'v1.31.9+k3s1' },
        { id: 'v1.32', latest: 'v1.32.8+k3s2' },
      ],
    }),
    'https://x',
  );
  const texts = (wanted: string[], path = false) =>
    wantedReleases(wanted, channels, path).map(({ text }) => text);

  it('channels, and every minor in between on an upgrade path', () => {
    expect(texts(['stable', 'v1.31.2+k3s1'])).toEqual(['v1.31.2+k3s1', 'v1.33.4+k3s1']);
    expect(texts(['v1.30.1+k3s1', 'v1.33.4+k3s1'], true)).toEqual([
      'v1.30.1+k3s1',
      'v1.31.9+k3s1',
      'v1.32.8+k3s2',
      'v1.33.4+k3s1',
    ]);
  });

  it('are refused by name where nobody published them, or where a path has one end', () => {
    expect(() => texts(['v1.29'])).toThrow(/v1\.29/);
    expect(() => texts(['v1.28.1+k3s1', 'v1.31.9+k3s1'], true)).toThrow(/v1\.29/);
    expect(() => texts(['stable'], true)).toThrow(/path/);
    expect(() => parseChannels('<html>', 'https://x')).toThrow(/https:\/\/x/);
  });
});

describe('verify', () => {
  it.each<[string, (at: string) => void, string, string]>([
    ['tampered with', (at) => writeFileSync(join(at, old, images), Buffer.alloc(300_000)), images, 'damaged'],
    ['cut short', (at) => writeFileSync(join(at, old, images), 'x'), images, 'damaged'],
    ['missing', (at) => rmSync(join(at, old, images)), images, 'missing'],
    ['slipped in', (at) => writeFileSync(join(at, old, 'evil.tar'), 'x'), 'evil.tar', 'unlisted'],
  ])('says what is %s', async (_what, spoil, name, state) => {
    await pull();
    spoil(folder);
    const verdict = await verifyFolder(folder);
    expect(verdict.isRight).toBe(false);
    expect(verdict.files.filter((file) => file.state !== 'right')).toMatchObject([
      { path: `${old}/${name}`, state },
    ]);
  });

  it('lets a person put images of their own beside', async () => {
    await pull();
    writeFileSync(join(folder, 'own.tar'), 'x');
    expect(await verifyFolder(folder)).toMatchObject({ isRight: true });
  });

  it('holds a folder made by hand against the sums that lie in it', async () => {
    const hand = join(releases, oldest);
    expect(await verifyFolder(hand)).toMatchObject({ kind: 'made by hand', isRight: true });
    writeFileSync(join(hand, images), 'x');
    expect((await verifyFolder(hand)).files.filter(({ state }) => state === 'damaged')).toMatchObject([
      { path: images },
    ]);
  });

  it.each<[string, () => KeyPairKeyObjectResult]>([
    ['Ed25519', () => generateKeyPairSync('ed25519')],
    ['P-256, as cosign has them,', () => generateKeyPairSync('ec', { namedCurve: 'P-256' })],
  ])('trusts a list that is signed by the key of %s and no other', async (_kind, pairOf) => {
    const keys = [pairOf(), pairOf()].map((pair, index) => {
      const at = (kind: string): string => join(root, `${index}.${kind}`);
      writeFileSync(at('key'), pair.privateKey.export({ type: 'pkcs8', format: 'pem' }));
      writeFileSync(at('pub'), pair.publicKey.export({ type: 'spki', format: 'pem' }));
      return { key: at('key'), pub: at('pub') };
    });
    const [mine, other] = keys;
    if (mine === undefined || other === undefined) throw new Error('no keys');
    await pull({ signKeyFile: mine.key });
    expect(await verifyFolder(folder, mine.pub)).toMatchObject({ signature: 'right', isRight: true });
    expect(await verifyFolder(folder, other.pub)).toMatchObject({ signature: 'wrong', isRight: false });
    const list = join(folder, 'bundle.json');
    writeFileSync(list, readFileSync(list, 'utf8').replace('"format": 1', '"format":  1'));
    expect(await verifyFolder(folder, mine.pub)).toMatchObject({ signature: 'wrong', isRight: false });
    await pull();
    expect(await verifyFolder(folder, mine.pub)).toMatchObject({ signature: 'missing', isRight: false });
    await expect(verifyFolder(folder, join(root, 'nowhere'))).rejects.toMatchObject({ code: 'SIGN_KEY' });
    await pull({ signKeyFile: mine.key });
    await expect(verifyFolder(folder, list)).rejects.toMatchObject({ code: 'SIGN_KEY' });
  });
});

describe('prune', () => {
  it('removes the older releases, leaves what is not its own, and the rest is right', async () => {
    await pull({ versions: [mustParseVersion(old), mustParseVersion(next)] });
    writeFileSync(join(folder, old, 'mine.txt'), 'x');
    expect(await pruneBundle(folder, 2)).toEqual([]);
    expect(await pruneBundle(folder, 1)).toEqual([old]);
    expect(readdirSync(join(folder, old))).toEqual(['mine.txt']);
    rmSync(join(folder, old), { recursive: true });
    expect(await verifyFolder(folder)).toMatchObject({ isRight: true });
  });

  it('leaves what belongs to no release, and a pack carries that over', async () => {
    const manifest = join(root, 'shop.yaml');
    writeFileSync(manifest, 'kind: HelmChart\n');
    await pull({ versions: [mustParseVersion(old), mustParseVersion(next)], manifests: [manifest] });
    expect(await pruneBundle(folder, 1)).toEqual([old]);
    const [tar = ''] = await packBundle(folder, join(root, 'k3s.tar'), undefined);
    const to = join(root, 'there');
    await unpackBundle(tar, to);
    expect(await verifyFolder(to)).toMatchObject({ kind: 'bundle', isRight: true });
    expect(readFileSync(join(to, 'manifests', 'shop.yaml'), 'utf8')).toBe('kind: HelmChart\n');
  });

  it('refuses a folder that is no bundle', async () => {
    await expect(pruneBundle(root, 1)).rejects.toMatchObject({ code: 'NO_BUNDLE' });
  });
});

describe('pack and unpack', () => {
  it.each([undefined, 100_000])('carry a bundle over, in parts of %s bytes', async (split) => {
    await pull();
    const written = await packBundle(folder, join(root, 'k3s.tar'), split);
    if (split !== undefined) {
      expect(written.length).toBeGreaterThan(3);
      for (const part of written) expect(statSync(part).size).toBeLessThanOrEqual(split);
    }
    const to = join(root, 'there');
    await unpackBundle(written[0] ?? '', to);
    expect(await verifyFolder(to)).toMatchObject({ kind: 'bundle', isRight: true });
    if (split === undefined) return;
    rmSync(written[1] ?? '');
    await expect(unpackBundle(join(root, 'k3s.tar'), to)).rejects.toMatchObject({ message: /k3s\.tar\.002/ });
  });

  it('writes a tar that tar reads', async () => {
    await pull();
    const [tar = ''] = await packBundle(folder, join(root, 'k3s.tar'), undefined);
    const { execFileSync } = await import('node:child_process');
    const listed = execFileSync('tar', ['-tf', tar], { encoding: 'utf8' }).trim().split('\n');
    expect(listed.at(-1)).toBe('bundle.json');
    expect(listed).toContain(`${old}/${images}`);
  });

  it('refuses a tar that was cut, and one that leads outside', async () => {
    await pull();
    const [tar = ''] = await packBundle(folder, join(root, 'k3s.tar'), undefined);
    const bytes = readFileSync(tar);
    writeFileSync(tar, bytes.subarray(0, bytes.length - 200_000));
    await expect(unpackBundle(tar, join(root, 'there'))).rejects.toMatchObject({ code: 'TAR_WRONG' });
    expect(existsSync(join(root, 'there', 'bundle.json'))).toBe(false);
    const { execFileSync } = await import('node:child_process');
    execFileSync('tar', ['-C', releases, '-Pcf', tar, '--transform', 's|^|../../|', 'install.sh']);
    await expect(unpackBundle(tar, join(root, 'there'))).rejects.toMatchObject({ message: /outside/ });
  });
});
