import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import type { Dispatcher, Response } from 'undici';
import { FleetError } from '../core/errors.ts';

/** A server that sends nothing for this long is given up; large files may take as long as they keep coming. */
const silenceMs = 60_000;
/** In a row, without a byte more. */
const fruitlessAttempts = 6;
const longestPauseMs = 120_000;
const largestTextBytes = 4 * 1024 * 1024;

export interface WebOptions {
  /** PEM; trusted beside the usual ones, for a mirror with a CA of its own. */
  readonly caFile?: string;
  /** The first pause after a failure, in milliseconds; it doubles. Default 500. */
  readonly firstPauseMs?: number;
  readonly signal?: AbortSignal;
}

/** Fetches texts and large files, patiently: through proxies as HTTPS_PROXY and NO_PROXY say, again after failures, and on at the byte. */
export class Web {
  readonly #options: WebOptions;
  #dispatcher: Promise<Dispatcher> | undefined;

  constructor(options: WebOptions = {}) {
    this.#options = options;
  }

  /** @throws FleetError DOWNLOAD_FAILED, DOWNLOAD_TOO_LARGE */
  text(url: string): Promise<string> {
    return this.#patiently(url, async () => {
      const response = await this.#request(url, {});
      const chunks: Uint8Array[] = [];
      let size = 0;
      for await (const chunk of bodyOf(response)) {
        size += chunk.length;
        if (size > largestTextBytes) {
          throw new FleetError({
            code: 'DOWNLOAD_TOO_LARGE',
            message: `${url} sent more than ${largestTextBytes} bytes`,
            fix: 'Check that the address is the right one.',
          });
        }
        chunks.push(chunk);
      }
      return Buffer.concat(chunks).toString('utf8');
    });
  }

  /**
   * Fetches a file that is known by its sha256. What has arrived stands beside `path` until it is whole, and is gone on
   * with after a failure and by the next call.
   * @throws FleetError DOWNLOAD_FAILED, or DOWNLOAD_DAMAGED when what came has another sum; nothing unverified is at `path`
   */
  async file(
    url: string,
    path: string,
    sha256: string,
    onProgress: (doneBytes: number, totalBytes: number | undefined) => void,
  ): Promise<void> {
    const part = partOf(path);
    if ((await sizeOf(part)) > 0 && (await sumOf(part)) === sha256) return rename(part, path);
    for (let wholly = false; ; wholly = true) {
      const resumed = await this.#fetchPart(url, part, onProgress);
      const got = await sumOf(part);
      if (got === sha256) break;
      await rm(part, { force: true });
      // Two halves of different files: the mirror has changed it in between. Once more from the beginning.
      if (resumed && !wholly) continue;
      throw new FleetError({
        code: 'DOWNLOAD_DAMAGED',
        message: `${url} has sha256 ${got}, published is ${sha256}`,
        fix: 'Nothing of it was used. Check the mirror or proxy it came through.',
      });
    }
    await rename(part, path);
  }

  /** @returns whether it went on with what was there before */
  async #fetchPart(
    url: string,
    part: string,
    onProgress: (doneBytes: number, totalBytes: number | undefined) => void,
  ): Promise<boolean> {
    const before = await sizeOf(part);
    let from = before;
    await this.#patiently(
      url,
      async () => {
        from = await sizeOf(part);
        const response = await this.#request(url, from === 0 ? {} : { range: `bytes=${from}-` });
        const isRest =
          response.status === 206 &&
          response.headers.get('content-range')?.startsWith(`bytes ${from}-`) === true;
        if (!isRest) from = 0;
        const length = Number(response.headers.get('content-length') ?? Number.NaN);
        const total = Number.isNaN(length) ? undefined : from + length;
        const handle = await open(part, from === 0 ? 'w' : 'r+');
        try {
          let at = from;
          for await (const chunk of bodyOf(response)) {
            await handle.write(chunk, 0, chunk.length, at);
            at += chunk.length;
            onProgress(at, total);
          }
          await handle.sync();
          if (total !== undefined && at < total) throw new Error(`it ended after ${at} of ${total} bytes`);
        } finally {
          await handle.close();
        }
      },
      async () => await sizeOf(part),
      async (status) => {
        // Nothing is left to send, or the server knows another file by now.
        if (status === 416) await rm(part, { force: true });
        return status === 416;
      },
    );
    return before > 0 || from > 0;
  }

  async #request(url: string, headers: Record<string, string>): Promise<Response> {
    const { fetch } = await import('undici');
    this.#dispatcher ??= this.#open();
    const { signal } = this.#options;
    const response = await fetch(url, {
      dispatcher: await this.#dispatcher,
      redirect: 'follow',
      headers: { 'accept-encoding': 'identity', ...headers },
      ...(signal === undefined ? {} : { signal }),
    });
    if (response.ok) return response;
    await response.body?.cancel();
    throw new HttpStatusError(
      response.status,
      response.statusText,
      secondsOf(response.headers.get('retry-after')),
    );
  }

  async #open(): Promise<Dispatcher> {
    const { EnvHttpProxyAgent } = await import('undici');
    const { caFile } = this.#options;
    const tls = caFile === undefined ? {} : { ca: await trusted(caFile) };
    return new EnvHttpProxyAgent({
      headersTimeout: silenceMs,
      bodyTimeout: silenceMs,
      connect: { timeout: 15_000, ...tls },
      ...(caFile === undefined ? {} : { requestTls: tls, proxyTls: tls }),
    });
  }

  /** Tries again after failures that may pass, waiting as long as the server asks for; a byte more makes it patient anew. */
  async #patiently<Result>(
    url: string,
    attempt: () => Promise<Result>,
    progress: () => Promise<number> = async () => 0,
    mend: (status: number) => Promise<boolean> = async () => false,
  ): Promise<Result> {
    let furthest = await progress();
    for (let fruitless = 0; ; ) {
      try {
        return await attempt();
      } catch (cause) {
        if (cause instanceof FleetError || this.#options.signal?.aborted === true) throw cause;
        const status = cause instanceof HttpStatusError ? cause.status : undefined;
        if (status !== undefined && (await mend(status))) {
          furthest = 0;
          if (fruitless === 0) {
            fruitless = 1;
            continue;
          }
        }
        const hopeless = status !== undefined && status < 500 && status !== 429 && status !== 408;
        const now = await progress();
        fruitless = now > furthest ? 1 : fruitless + 1;
        furthest = Math.max(furthest, now);
        if (hopeless || fruitless >= fruitlessAttempts) throw failed(url, cause);
        const asked = cause instanceof HttpStatusError ? cause.retryAfterSeconds * 1000 : 0;
        const own = (this.#options.firstPauseMs ?? 500) * 2 ** (fruitless - 1);
        await new Promise((resolve) => setTimeout(resolve, Math.min(longestPauseMs, Math.max(asked, own))));
      }
    }
  }
}

/** Where a file grows until it is whole; airgap folders are read without names that begin with a dot. */
function partOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return `${path.slice(0, slash + 1)}.${path.slice(slash + 1)}.part`;
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

async function sumOf(path: string): Promise<string> {
  const handle = await open(path, 'r');
  try {
    const hash = createHash('sha256');
    for await (const chunk of handle.createReadStream({ highWaterMark: 1024 * 1024, autoClose: false }))
      hash.update(chunk);
    return hash.digest('hex');
  } finally {
    await handle.close();
  }
}

async function trusted(caFile: string): Promise<string[]> {
  const { rootCertificates } = await import('node:tls');
  try {
    return [...rootCertificates, readFileSync(caFile, 'utf8')];
  } catch (cause) {
    throw new FleetError(
      {
        code: 'FILE_UNREADABLE',
        message: `cannot read ${caFile}`,
        where: { file: caFile },
        fix: 'Give a file with certificates in PEM.',
        blame: 'usage',
      },
      { cause },
    );
  }
}

function bodyOf(response: Response): AsyncIterable<Uint8Array> {
  return (response.body ?? []) as AsyncIterable<Uint8Array>;
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

function failed(url: string, cause: unknown): FleetError {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  return new FleetError(
    {
      code: 'DOWNLOAD_FAILED',
      message: `cannot fetch ${url}: ${inner instanceof Error ? inner.message : String(inner)}`,
      fix: 'Check the address, the network and HTTPS_PROXY, then run the same command again: it goes on where it stopped.',
    },
    { cause },
  );
}
