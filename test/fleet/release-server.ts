/**
 * What k3s.io and GitHub serve, on this machine: releases, the channels and the install script, with the faults that downloads meet.
 *
 *     const server = await startReleaseServer({ artifacts, addresses: [fleet.network.gateway] });
 *     server.inject({ match: /sha256sum/, fault: { kind: 'status', code: 404 }, times: 1 });
 *     … server.releasesUrl, server.channelsUrl, server.installScriptUrl, server.requests …
 */
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { runCommand } from './docker.ts';
import type { K3sArtifacts } from './k3s-artifacts.ts';
import { provideProgram } from './machine.ts';

/** What goes wrong with an answer. */
export type Fault =
  /** Another status; `retryAfter` in seconds, as a rate limit says it. */
  | { readonly kind: 'status'; readonly code: number; readonly retryAfter?: number }
  /** The connection is cut after so many bytes of the body. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** One bit of the body is flipped: the right length, the wrong sum. */
  | { readonly kind: 'damaged' }
  /** Every sha256 in the text is another one. */
  | { readonly kind: 'wrong-sums' }
  /** So many bytes a second. */
  | { readonly kind: 'slow'; readonly bytesPerSecond: number }
  /** The request is taken and never answered. */
  | { readonly kind: 'silent' };

/** A fault and what it befalls. */
export interface Injection {
  /** Tested against the path of the request, decoded. */
  readonly match: RegExp;
  readonly fault: Fault;
  /** How often; for ever unless told. */
  readonly times?: number;
}

/** A request that came in. */
export interface SeenRequest {
  readonly method: string;
  /** Decoded. */
  readonly path: string;
  readonly from: string;
  /** What was answered; 0 while it is not. */
  readonly status: number;
  readonly bytes: number;
}

/** What a server is to serve, and where. */
export interface ReleaseServerOptions {
  readonly artifacts: K3sArtifacts;
  /** Where it listens: 127.0.0.1 unless told; a fleet's `network.gateway` for its nodes. Same port everywhere. */
  readonly addresses?: readonly string[];
  /** With a certificate of a CA of its own, made for this run (`caFile`). */
  readonly https?: boolean;
  /** Names in the certificate beside the addresses. */
  readonly names?: readonly string[];
  /** Versions by channel; `stable`, `latest` and one per minor are derived from the artifacts unless told. */
  readonly channels?: Readonly<Record<string, string>>;
  /** Answer downloads with a redirect first, as GitHub does; so unless told otherwise. */
  readonly redirect?: boolean;
}

const releasesPath = '/k3s-io/k3s/releases';
const channelsPath = '/v1-release/channels';
const objectsPath = '/objects';

/** Starts a server. `stop()` ends it, its open connections included. */
export async function startReleaseServer(options: ReleaseServerOptions): Promise<ReleaseServer> {
  const addresses = options.addresses ?? ['127.0.0.1'];
  const directory = await mkdtemp(path.join(tmpdir(), 'fleet-test-release-'));
  const certificate = options.https
    ? await makeCertificate(directory, [...addresses, ...(options.names ?? [])])
    : undefined;
  const server = new ReleaseServer(options, directory, certificate?.caFile);
  const make = (): Server =>
    certificate
      ? createSecureServer({ key: certificate.key, cert: certificate.cert }, server.answer)
      : createServer(server.answer);
  try {
    await server.listen(addresses, make);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

/** A running server. */
export class ReleaseServer implements AsyncDisposable {
  /** The CA that signed its certificate, as PEM; undefined for HTTP. For `NODE_EXTRA_CA_CERTS`, `curl --cacert`. */
  readonly caFile: string | undefined;
  /** Every request so far, oldest first. */
  readonly requests: SeenRequest[] = [];
  readonly #options: ReleaseServerOptions;
  readonly #directory: string;
  readonly #servers: Server[] = [];
  #injections: { match: RegExp; fault: Fault; left: number }[] = [];
  #origin = '';

  /** Not for tests: see `startReleaseServer`. */
  constructor(options: ReleaseServerOptions, directory: string, caFile: string | undefined) {
    this.#options = options;
    this.#directory = directory;
    this.caFile = caFile;
  }

  /** Stands for https://github.com; at the first address. */
  get origin(): string {
    return this.#origin;
  }

  /** Stands for https://github.com/k3s-io/k3s/releases: `…/download/<version>/<file>` below it. */
  get releasesUrl(): string {
    return this.#origin + releasesPath;
  }

  /** Stands for https://update.k3s.io/v1-release/channels. */
  get channelsUrl(): string {
    return this.#origin + channelsPath;
  }

  /** Stands for https://get.k3s.io. */
  get installScriptUrl(): string {
    return `${this.#origin}/install.sh`;
  }

  /** The same server at another of its addresses. */
  at(address: string): {
    origin: string;
    releasesUrl: string;
    channelsUrl: string;
    installScriptUrl: string;
  } {
    const origin = new URL(this.#origin);
    origin.hostname = address;
    const base = origin.origin;
    return {
      origin: base,
      releasesUrl: base + releasesPath,
      channelsUrl: base + channelsPath,
      installScriptUrl: `${base}/install.sh`,
    };
  }

  /** From now on, requests that match meet this fault; of several injections the newest that matches counts. */
  inject(injection: Injection): void {
    const { match, fault, times } = injection;
    this.#injections.unshift({ match, fault, left: times ?? Number.POSITIVE_INFINITY });
  }

  /** No more faults. */
  heal(): void {
    this.#injections = [];
  }

  /** The channels as update.k3s.io lists them. */
  get channels(): Readonly<Record<string, string>> {
    return this.#options.channels ?? channelsOf(this.#options.artifacts.versions);
  }

  /** Not for tests: see `startReleaseServer`. */
  async listen(addresses: readonly string[], make: () => Server): Promise<void> {
    let port = 0;
    for (const address of addresses) {
      const server = make();
      this.#servers.push(server);
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, address, resolve);
      });
      const bound = server.address();
      if (bound === null || typeof bound === 'string') throw new Error('the release server has no port');
      port = bound.port;
      if (this.#origin === '') {
        this.#origin = `${this.caFile === undefined ? 'http' : 'https'}://${address}:${port}`;
      }
    }
  }

  /** Ends the server and deletes its certificate. */
  async stop(): Promise<void> {
    await Promise.all(
      this.#servers.map(
        (server) =>
          new Promise<void>((resolve) => {
            server.close(() => resolve());
            server.closeAllConnections();
          }),
      ),
    );
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** For `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Not for tests: what the HTTP server calls. */
  readonly answer = (request: IncomingMessage, response: ServerResponse): void => {
    const wanted = decodedPath(request.url ?? '/');
    const seen = {
      method: request.method ?? '',
      path: wanted,
      from: request.socket.remoteAddress ?? '',
      get status() {
        return response.headersSent ? response.statusCode : 0;
      },
      bytes: 0,
    };
    this.requests.push(seen);
    this.#serve(wanted, request, response, (bytes) => {
      seen.bytes += bytes;
    }).catch((error: unknown) => {
      // A client that hangs up is its own business; a fault of this server must not look like one that was injected.
      if (!response.headersSent) response.writeHead(500).end(String(error));
      else response.destroy();
    });
  };

  async #serve(
    wanted: string,
    request: IncomingMessage,
    response: ServerResponse,
    count: (bytes: number) => void,
  ): Promise<void> {
    const injection = this.#injections.find((each) => each.left > 0 && each.match.test(wanted));
    if (injection) injection.left -= 1;
    const fault = injection?.fault;
    if (fault?.kind === 'silent') return;
    if (fault?.kind === 'status') {
      response.writeHead(
        fault.code,
        fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) },
      );
      response.end(`${fault.code}\n`);
      return;
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405).end();
      return;
    }
    const found = this.#find(wanted, request);
    if (found === undefined) {
      response.writeHead(404).end('Not Found');
      return;
    }
    if ('location' in found) {
      response.writeHead(302, { location: found.location }).end();
      return;
    }
    const headers = { 'content-type': found.type };
    if ('text' in found || fault?.kind === 'wrong-sums') {
      const text = 'text' in found ? found.text : await readFile(found.file, 'utf8');
      const body = Buffer.from(fault?.kind === 'wrong-sums' ? otherSums(text) : text);
      response.writeHead(200, { ...headers, 'content-length': body.length });
      if (request.method === 'HEAD') response.end();
      else await pipeline([body], faulty(fault, count), response);
      return;
    }
    const facts = await stat(found.file).catch(() => undefined);
    if (!facts?.isFile()) {
      response.writeHead(404).end('Not Found');
      return;
    }
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const partial = from > 0 && from < facts.size;
    response.writeHead(partial ? 206 : 200, {
      ...headers,
      'content-length': facts.size - (partial ? from : 0),
      'accept-ranges': 'bytes',
      ...(partial ? { 'content-range': `bytes ${from}-${facts.size - 1}/${facts.size}` } : {}),
    });
    if (request.method === 'HEAD') response.end();
    else
      await pipeline(
        createReadStream(found.file, { start: partial ? from : 0 }),
        faulty(fault, count),
        response,
      );
  }

  #find(
    wanted: string,
    request: IncomingMessage,
  ): { file: string; type: string } | { text: string; type: string } | { location: string } | undefined {
    const scheme = this.caFile === undefined ? 'http' : 'https';
    const here = `${scheme}://${request.headers.host ?? ''}`;
    const { artifacts, redirect = true } = this.#options;
    if (wanted === '/' || wanted === '/install.sh')
      return { file: artifacts.installScript, type: 'text/x-sh' };
    if (wanted === channelsPath) return { text: channelsText(this.channels, here), type: 'application/json' };
    if (wanted.startsWith(`${channelsPath}/`)) {
      const version = this.channels[wanted.slice(channelsPath.length + 1)];
      return version === undefined ? undefined : { location: `${here}${releasesPath}/tag/${version}` };
    }
    if (wanted.startsWith(`${releasesPath}/tag/`)) return { text: 'a release\n', type: 'text/html' };
    const download = /^(\/k3s-io\/k3s\/releases\/download|\/objects)\/([^/]+)\/([^/]+)$/.exec(wanted);
    const [, place, version, name] = download ?? [];
    if (
      version === undefined ||
      name === undefined ||
      !artifacts.versions.includes(version) ||
      name.startsWith('.')
    ) {
      return undefined;
    }
    if (redirect && place !== objectsPath) {
      return { location: `${here}${objectsPath}/${encodeURIComponent(version)}/${encodeURIComponent(name)}` };
    }
    return { file: path.join(artifacts.directory, version, name), type: 'application/octet-stream' };
  }
}

/** The path of a request; a malformed one is taken as it is, and found nowhere. */
function decodedPath(url: string): string {
  try {
    return decodeURIComponent(new URL(url, 'http://any').pathname);
  } catch {
    return url;
  }
}

/** `stable` and `latest` are the newest release, every minor has a channel of its own. Release candidates are in none. */
function channelsOf(versions: readonly string[]): Record<string, string> {
  const channels: Record<string, string> = {};
  // Oldest first (see k3sArtifacts), so that the newest of each stays.
  for (const version of versions.filter((each) => !each.includes('-rc'))) {
    const minor = /^v\d+\.\d+/.exec(version)?.[0];
    if (minor !== undefined) channels[minor] = version;
    channels.latest = version;
    channels.stable = version;
  }
  return channels;
}

function channelsText(channels: Readonly<Record<string, string>>, here: string): string {
  const self = here + channelsPath;
  return JSON.stringify({
    type: 'collection',
    links: { self },
    actions: {},
    resourceType: 'channels',
    data: Object.entries(channels).map(([id, latest]) => ({
      id,
      type: 'channel',
      links: { self: `${self}/${id}` },
      name: id,
      latest,
    })),
  });
}

function otherSums(text: string): string {
  return text.replace(/\b[0-9a-f]{64}\b/g, (sum) =>
    [...sum]
      .reverse()
      .join('')
      .replace(/^./, (first) => (first === '0' ? '1' : '0')),
  );
}

/** Lets a body through, with what the fault does to it. */
export function faulty(fault: Fault | undefined, count: (bytes: number) => void): Transform {
  let sent = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      let out = chunk;
      if (fault?.kind === 'damaged' && sent === 0 && chunk.length > 0) {
        out = Buffer.from(chunk);
        const middle = Math.floor(out.length / 2);
        out[middle] = (out[middle] ?? 0) ^ 1;
      }
      if (fault?.kind === 'cut' && sent + chunk.length > fault.afterBytes) {
        const kept = chunk.subarray(0, fault.afterBytes - sent);
        sent += kept.length;
        count(kept.length);
        this.push(kept);
        // What was let through is to arrive: the error that ends the connection comes after it.
        setImmediate(done, new Error('cut by the test'));
        return;
      }
      sent += out.length;
      count(out.length);
      const pause = fault?.kind === 'slow' ? (1000 * out.length) / fault.bytesPerSecond : 0;
      if (pause > 0) setTimeout(done, pause, null, out);
      else done(null, out);
    },
  });
}

export interface Certificate {
  readonly key: Buffer;
  readonly cert: Buffer;
  readonly ca: Buffer;
  readonly caFile: string;
}

/** A CA and a certificate of it for these names, by OpenSSL: Node's own crypto makes keys, but no certificates. */
export async function makeCertificate(directory: string, names: readonly string[]): Promise<Certificate> {
  await provideProgram('openssl', 'openssl', 'a release server with HTTPS needs a certificate');
  const openssl = async (...args: string[]): Promise<void> => {
    const { code, stderr } = await runCommand('openssl', args, { cwd: directory });
    if (code !== 0) throw new Error(`openssl ${args[0]} failed: ${stderr}`);
  };
  const subjects = names.map((name) => (isIP(name) ? `IP:${name}` : `DNS:${name}`)).join(',');
  await writeFile(
    path.join(directory, 'server.ext'),
    `subjectAltName=${subjects}\nextendedKeyUsage=serverAuth\n`,
  );
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const subject = `/CN=fleet test CA ${randomBytes(4).toString('hex')}`;
  await openssl(
    'req',
    '-x509',
    ...curve,
    '-keyout',
    'ca.key',
    '-out',
    'ca.crt',
    '-days',
    '2',
    '-subj',
    subject,
  );
  await openssl(
    'req',
    ...curve,
    '-keyout',
    'server.key',
    '-out',
    'server.csr',
    '-subj',
    '/CN=release server',
  );
  const signing = [
    '-CA',
    'ca.crt',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-days',
    '2',
    '-extfile',
    'server.ext',
  ];
  await openssl('x509', '-req', '-in', 'server.csr', '-out', 'server.crt', ...signing);
  return {
    key: await readFile(path.join(directory, 'server.key')),
    cert: await readFile(path.join(directory, 'server.crt')),
    ca: await readFile(path.join(directory, 'ca.crt')),
    caFile: path.join(directory, 'ca.crt'),
  };
}
