import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, createPrivateKey, randomUUID, sign, X509Certificate } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { tarEnd, tarHeader, tarPadding } from '../../src/airgap/tar.ts';
import { untilSaid } from '../fleet/awaited.ts';
import { runCommand } from '../fleet/docker.ts';
import { provideProgram } from '../fleet/machine.ts';
import type { Certificate } from '../fleet/release-server.ts';

/** Container registries for tests: the CNCF's own program, as Debian packages it, with TLS and who may read. */

export interface Registry {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  stop(): Promise<void>;
}

/** Who may read. */
export type Readers =
  | 'everybody'
  /** With a password that the registry itself checks (`htpasswd`). */
  | { readonly htpasswd: string }
  /** With a token that another server gives for a password. */
  | { readonly tokenUrl: string };

const service = 'fleet-test-registry';
const issuer = 'fleet-test';

/** Starts a registry on a folder of images; several may share one. */
export async function startRegistry(
  folder: string,
  images: string,
  certificate: Certificate,
  readers: Readers,
): Promise<Registry> {
  await provideProgram('docker-registry', 'docker-registry', 'images are pulled from a real registry');
  const place = join(folder, randomUUID());
  mkdirSync(place, { recursive: true });
  const put = (name: string, content: Buffer | string): string => {
    writeFileSync(join(place, name), content);
    return join(place, name);
  };
  const auth =
    readers === 'everybody'
      ? ''
      : 'htpasswd' in readers
        ? `auth:\n  htpasswd:\n    realm: fleet\n    path: ${put('htpasswd', readers.htpasswd)}\n`
        : `auth:\n  token:\n    realm: ${readers.tokenUrl}\n    service: ${service}\n    issuer: ${issuer}\n    rootcertbundle: ${put('ca.crt', certificate.ca)}\n`;
  const config = put(
    'config.yml',
    `version: 0.1\nlog: {level: info}\nstorage:\n  filesystem: {rootdirectory: ${images}}\nhttp:\n  addr: 127.0.0.1:0\n  tls:\n    certificate: ${put('tls.crt', certificate.cert)}\n    key: ${put('tls.key', certificate.key)}\n${auth}`,
  );
  const child = spawn('docker-registry', ['serve', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  const [, host = ''] = await untilSaid(child, child.stderr, /listening on (127\.0\.0\.1:\d+)/);
  return { host, stop: () => ended(child) };
}

/** Gives tokens for reading to whoever knows the password, as the registry of `tokenUrl` wants them. */
export async function startTokenServer(
  certificate: Certificate,
  password: string,
): Promise<{ readonly url: string; readonly asked: string[]; stop(): Promise<void> }> {
  const asked: string[] = [];
  const server: Server = createServer(
    { key: certificate.key, cert: certificate.cert },
    (request, response) => {
      const url = new URL(request.url ?? '/', 'https://any');
      asked.push(url.search);
      const wanted = `Basic ${Buffer.from(password).toString('base64')}`;
      if (request.headers.authorization !== wanted) {
        response.writeHead(401).end('{}');
        return;
      }
      const [, type, name, actions] = /^(\w+):(.+):(.+)$/.exec(url.searchParams.get('scope') ?? '') ?? [];
      const access = type === undefined ? [] : [{ type, name, actions: actions?.split(',') }];
      response.end(JSON.stringify({ token: tokenFor(certificate, access) }));
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
    asked,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** @see https://distribution.github.io/distribution/spec/auth/jwt/ */
function tokenFor(certificate: Certificate, access: readonly object[]): string {
  const now = Math.floor(Date.now() / 1000);
  const chain = [new X509Certificate(certificate.cert).raw.toString('base64')];
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = {
    iss: issuer,
    sub: 'reader',
    aud: service,
    exp: now + 300,
    nbf: now - 60,
    iat: now,
    jti: randomUUID(),
    access,
  };
  const text = `${part({ typ: 'JWT', alg: 'ES256', x5c: chain })}.${part(claims)}`;
  const key = createPrivateKey(certificate.key);
  const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
  return `${text}.${signature.toString('base64url')}`;
}

/** A program of the test that can be asked for whole images. */
export async function skopeo(certificate: Certificate, ...args: readonly string[]): Promise<string> {
  await provideProgram('skopeo', 'skopeo', 'images are pushed and imported with a real tool');
  const { code, stdout, stderr } = await runCommand('skopeo', ['--insecure-policy', ...args], {
    env: { ...process.env, SSL_CERT_FILE: certificate.caFile },
  });
  if (code !== 0) throw new Error(`skopeo ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** What an image is made of: a layer for each text, below `/layer-N`, filled up to a size that nothing packs smaller. */
export interface ImageRecipe {
  readonly platforms: readonly { readonly architecture: string; readonly variant?: string }[];
  readonly layers: readonly Buffer[];
}

/** How OCI names a blob. */
interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** An archive of one file. */
export function tarOf(name: string, content: Buffer): Buffer {
  const header = tarHeader({ name, sizeBytes: content.length }, 0o644, new Date(0));
  return Buffer.concat([header, content, tarPadding(content.length), tarEnd]);
}

/** Writes OCI's layout around what is made of blobs, with its manifest or index under a tag. */
export function writeLayout(
  folder: string,
  tag: string,
  make: (blob: (mediaType: string, content: Buffer | string) => Descriptor) => Descriptor,
): void {
  const blobs = join(folder, 'blobs', 'sha256');
  mkdirSync(blobs, { recursive: true });
  const top = make((mediaType, content) => {
    const hex = createHash('sha256').update(content).digest('hex');
    writeFileSync(join(blobs, hex), content);
    return { mediaType, digest: `sha256:${hex}`, size: Buffer.byteLength(content) };
  });
  const annotations = { 'org.opencontainers.image.ref.name': tag };
  writeFileSync(
    join(folder, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...top, annotations }] }),
  );
  writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
}

/** Writes an image in OCI's layout; one platform gives a plain image, several an index. */
export function writeImage(folder: string, tag: string, { platforms, layers }: ImageRecipe): void {
  const oci = (what: string): string => `application/vnd.oci.image.${what}`;
  writeLayout(folder, tag, (blob) => {
    const manifests = platforms.map((platform) => {
      const tars = layers.map((content, index) => tarOf(`layer-${index}`, content));
      const diffIds = tars.map((tar) => `sha256:${createHash('sha256').update(tar).digest('hex')}`);
      const config = {
        ...platform,
        os: 'linux',
        config: { Cmd: ['/x'] },
        rootfs: { type: 'layers', diff_ids: diffIds },
      };
      const manifest = {
        schemaVersion: 2,
        mediaType: oci('manifest.v1+json'),
        config: blob(oci('config.v1+json'), JSON.stringify(config)),
        layers: tars.map((tar) => blob(oci('layer.v1.tar+gzip'), gzipSync(tar))),
      };
      return {
        ...blob(oci('manifest.v1+json'), JSON.stringify(manifest)),
        platform: { ...platform, os: 'linux' },
      };
    });
    const [only] = manifests;
    if (manifests.length === 1 && only !== undefined) return only;
    const index = { schemaVersion: 2, mediaType: oci('index.v1+json'), manifests };
    return blob(oci('index.v1+json'), JSON.stringify(index));
  });
}

/** Starts a containerd of its own, which is what k3s imports archives with. */
export async function startContainerd(
  folder: string,
): Promise<{ ctr(...args: string[]): Promise<string>; stop(): Promise<void> }> {
  await provideProgram('containerd', 'containerd', 'archives are imported as k3s does it');
  const address = join(folder, 'containerd.sock');
  writeFileSync(
    join(folder, 'containerd.toml'),
    'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n',
  );
  const child = spawn(
    'containerd',
    [
      '--config',
      join(folder, 'containerd.toml'),
      '--root',
      join(folder, 'root'),
      '--state',
      join(folder, 'state'),
      '--address',
      address,
      '--log-level',
      'info',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const ctr = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await runCommand('ctr', [
      '--address',
      address,
      '--namespace',
      'k8s.io',
      ...args,
    ]);
    if (code !== 0) throw new Error(`ctr ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  await untilSaid(child, child.stderr, /successfully booted/);
  return { ctr, stop: () => ended(child) };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await gone;
}
