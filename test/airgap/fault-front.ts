import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Agent, request as send } from 'undici';
import { type Certificate, faulty, type Injection } from '../fleet/release-server.ts';

/** An HTTPS server with a CA of its own in front of a folder or of another server; it does to answers what a test injects. */
export interface FaultFront {
  readonly origin: string;
  readonly requests: {
    readonly path: string;
    readonly headers: Readonly<Record<string, unknown>>;
    bytes: number;
  }[];
  /** Of several that match the newest counts. */
  inject(injection: Injection): void;
  heal(): void;
  stop(): Promise<void>;
}

/** @param behind a folder, or the address of a server whose certificate is by the same CA */
export async function startFaultFront(
  certificate: Certificate,
  behind: { readonly folder: string; readonly password?: string } | { readonly url: string },
): Promise<FaultFront> {
  let injections: { match: RegExp; fault: Injection['fault']; left: number }[] = [];
  const requests: FaultFront['requests'] = [];
  const agent = new Agent({ connect: { ca: certificate.ca } });
  const server = createServer({ key: certificate.key, cert: certificate.cert }, (request, response) => {
    const url = new URL(request.url ?? '/', 'https://any');
    const path = decodeURIComponent(url.pathname);
    const seen = { path, headers: request.headers, bytes: 0 };
    requests.push(seen);
    const injection = injections.find((each) => each.left > 0 && each.match.test(path));
    if (injection !== undefined) injection.left -= 1;
    const fault = injection?.fault;
    if (fault?.kind === 'status') {
      const later = fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) };
      response.writeHead(fault.code, later).end();
      return;
    }
    const answer = async (): Promise<void> => {
      const range = request.headers.range;
      const found = await ('folder' in behind
        ? fromFolder(behind, path, range, request.headers.authorization)
        : fromServer(behind.url, request.url ?? '/', request.headers, agent));
      response.writeHead(found.status, found.headers);
      if (found.body === undefined) response.end();
      else
        await pipeline(
          found.body,
          faulty(fault, (bytes) => {
            seen.bytes += bytes;
          }),
          response,
        );
    };
    answer().catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    inject: ({ match, fault, times }) => {
      injections.unshift({ match, fault, left: times ?? Number.POSITIVE_INFINITY });
    },
    heal: () => {
      injections = [];
      requests.length = 0;
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await agent.close();
    },
  };
}

interface Found {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body?: Readable;
}

async function fromFolder(
  { folder, password }: { readonly folder: string; readonly password?: string },
  path: string,
  range: string | undefined,
  authorization: string | undefined,
): Promise<Found> {
  if (password !== undefined && authorization !== `Basic ${Buffer.from(password).toString('base64')}`)
    return { status: 401, headers: {} };
  const file = join(folder, path);
  const facts = await stat(file).catch(() => undefined);
  if (facts?.isFile() !== true) return { status: 404, headers: {} };
  const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
  return {
    status: from > 0 ? 206 : 200,
    headers: {
      'content-length': String(facts.size - from),
      ...(from > 0 ? { 'content-range': `bytes ${from}-${facts.size - 1}/${facts.size}` } : {}),
    },
    body: createReadStream(file, { start: from }),
  };
}

async function fromServer(
  origin: string,
  path: string,
  asked: Readonly<Record<string, string | string[] | undefined>>,
  agent: Agent,
): Promise<Found> {
  const passed = ['accept', 'authorization', 'range'].flatMap((name) =>
    typeof asked[name] === 'string' ? [[name, asked[name]] as const] : [],
  );
  const { statusCode, headers, body } = await send(`${origin}${path}`, {
    dispatcher: agent,
    headers: Object.fromEntries(passed),
  });
  const back = [
    'content-type',
    'content-length',
    'content-range',
    'www-authenticate',
    'docker-content-digest',
  ];
  return {
    status: statusCode,
    headers: Object.fromEntries(
      back.flatMap((name) => (typeof headers[name] === 'string' ? [[name, headers[name]]] : [])),
    ),
    body,
  };
}
