import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream, existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Response } from 'undici';
import { FleetError } from '../core/errors.ts';
import { cacheFolder } from './cache-folder.ts';
import { localFile } from './local-file.ts';

/** A server that sends nothing for this long is given up; large files may take as long as they keep coming. */
const silenceMs = 60_000;
const retries = 4;
const largestTextBytes = 4 * 1024 * 1024;

/**
 * Fetches a small text (a list of sums, a channel, an install script). Proxies as HTTPS_PROXY and NO_PROXY say.
 * @throws FleetError DOWNLOAD_FAILED, DOWNLOAD_TOO_LARGE
 */
export async function fetchText(url: string): Promise<string> {
  return retried(url, async () => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of bodyOf(await request(url))) {
      size += chunk.length;
      if (size > largestTextBytes) throw tooLarge(url);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
  });
}

/**
 * The path of a file in the cache that has this sha256, fetched if it is not there yet.
 * @throws FleetError DOWNLOAD_FAILED, or DOWNLOAD_DAMAGED when what came has another sum; nothing unverified stays
 */
export async function fetchVerified(
  url: string,
  sha256: string,
  onProgress: (doneBytes: number, totalBytes: number | undefined) => void = () => {},
): Promise<string> {
  const path = join(cacheFolder(), 'sha256', sha256);
  // All hosts of a wave may want the same file at once: whoever comes second waits for the first one's.
  const begun = fetching.get(path);
  if (begun !== undefined) return begun;
  const fetched = fetchInto(path, url, sha256, onProgress).finally(() => fetching.delete(path));
  fetching.set(path, fetched);
  return fetched;
}

const fetching = new Map<string, Promise<string>>();

async function fetchInto(
  path: string,
  url: string,
  sha256: string,
  onProgress: (doneBytes: number, totalBytes: number | undefined) => void,
): Promise<string> {
  if (existsSync(path) && (await localFile(path)).sha256 === sha256) return path;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  return retried(url, async () => {
    const temporary = `${path}.${randomBytes(6).toString('hex')}.part`;
    const hash = createHash('sha256');
    try {
      const response = await request(url);
      const length = Number(response.headers.get('content-length') ?? Number.NaN);
      let done = 0;
      await pipeline(
        bodyOf(response),
        async function* (chunks: AsyncIterable<Uint8Array>) {
          for await (const chunk of chunks) {
            hash.update(chunk);
            done += chunk.length;
            onProgress(done, Number.isNaN(length) ? undefined : length);
            yield chunk;
          }
        },
        createWriteStream(temporary, { mode: 0o600 }),
      );
      const got = hash.digest('hex');
      if (got !== sha256) {
        throw new FleetError({
          code: 'DOWNLOAD_DAMAGED',
          message: `${url} has sha256 ${got}, published is ${sha256}`,
          fix: 'Nothing of it was used. Check the mirror or proxy it came through.',
        });
      }
      await rename(temporary, path);
      return path;
    } finally {
      await rm(temporary, { force: true });
    }
  });
}

function bodyOf(response: Response): AsyncIterable<Uint8Array> {
  return (response.body ?? []) as AsyncIterable<Uint8Array>;
}

async function request(url: string): Promise<Response> {
  // A megabyte of code that only a download needs: loaded at the start it cost every command 40 ms.
  const { EnvHttpProxyAgent, fetch } = await import('undici');
  const response = await fetch(url, {
    dispatcher: new EnvHttpProxyAgent({
      headersTimeout: silenceMs,
      bodyTimeout: silenceMs,
      connectTimeout: 15_000,
    }),
    redirect: 'follow',
  });
  if (response.ok) return response;
  await response.body?.cancel();
  throw new HttpStatusError(
    response.status,
    response.statusText,
    secondsOf(response.headers.get('retry-after')),
  );
}

/** `retry-after` counts seconds or names a date; what is neither asks for nothing. */
function secondsOf(header: string | null): number {
  if (header === null) return 0;
  const seconds = /^\d+$/.test(header.trim()) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? 0 : Math.max(0, seconds);
}

class HttpStatusError extends Error {
  constructor(
    readonly status: number,
    statusText: string,
    readonly retryAfterSeconds: number,
  ) {
    super(`${status} ${statusText}`.trim());
  }
}

async function retried<Result>(url: string, attempt: () => Promise<Result>): Promise<Result> {
  for (let failures = 0; ; failures += 1) {
    try {
      return await attempt();
    } catch (cause) {
      if (cause instanceof FleetError) throw cause;
      const hopeless = cause instanceof HttpStatusError && cause.status < 500 && cause.status !== 429;
      if (hopeless || failures >= retries) throw failed(url, cause);
      const asked = cause instanceof HttpStatusError ? cause.retryAfterSeconds * 1000 : 0;
      await new Promise((resolve) =>
        setTimeout(resolve, Math.min(30_000, Math.max(asked, 250 * 2 ** failures))),
      );
    }
  }
}

function failed(url: string, cause: unknown): FleetError {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  const reason = inner instanceof Error ? inner.message : String(inner);
  return new FleetError(
    {
      code: 'DOWNLOAD_FAILED',
      message: `cannot fetch ${url}: ${reason}`,
      fix: 'Check the address, the network and HTTPS_PROXY; or set artifact_url to a mirror, or airgap_dir to a folder.',
    },
    { cause },
  );
}

function tooLarge(url: string): FleetError {
  return new FleetError({
    code: 'DOWNLOAD_TOO_LARGE',
    message: `${url} sent more than ${largestTextBytes} bytes`,
    fix: 'Check that the address is the right one.',
  });
}

/**
 * The sha256 that a list of sums (`sha256sum-amd64.txt`: `<hex>  <name>` a line) gives for a file.
 * @throws FleetError SUM_MISSING
 */
export function sumIn(list: string, name: string, url: string): string {
  for (const line of list.split('\n')) {
    const match = /^([0-9a-f]{64})\s+\*?(\S+)$/.exec(line.trim());
    if (match?.[1] !== undefined && match[2] === name) return match[1];
  }
  throw new FleetError({
    code: 'SUM_MISSING',
    message: `${url} holds no sha256 for ${name}`,
    fix: 'Check that the version was published for this architecture.',
  });
}
