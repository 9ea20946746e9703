import { createHash } from 'node:crypto';
import { open, rename, rm, stat } from 'node:fs/promises';
import type { Dispatcher, Response } from 'undici';
import { FleetError } from '../core/errors.ts';
import { readNamedFile } from '../core/readable.ts';

/** A server that sends nothing for this long is given up; large files may take as long as they keep coming. */
const silenceMs = 60_000;
const longestPauseMs = 120_000;
const largestTextBytes = 4 * 1024 * 1024;

/** What a server wants to know of who asks. */
export interface Access {
  /** Sent to this server, and to none that it redirects to. */
  headers(): Promise<Readonly<Record<string, string>>>;
  /** The server has answered 401 with this challenge. @returns whether `headers` now has something to try it again with */
  challenged(challenge: string): Promise<boolean>;
}

export interface WebOptions {
  /** Files in PEM; trusted beside the usual ones, for mirrors with a CA of their own. */
  readonly caFiles?: readonly string[];
  /** Attempts in a row without a byte more before it is given up. Default 6. */
  readonly attempts?: number;
  /** The first pause after a failure, in milliseconds; it doubles. Default 500. */
  readonly firstPauseMs?: number;
  /** The permissions of files that it writes. Default 0644. */
  readonly fileMode?: number;
  /** What to do where a server cannot be reached. */
  readonly fix?: string;
}

/** What came as an answer, whole. */
export interface Answer {
  readonly bytes: Buffer;
  /** Lower-case, without parameters; empty where the server says none. */
  readonly mediaType: string;
}

/** How to ask, beside the address. */
export interface Asking {
  readonly accept?: string;
  readonly access?: Access;
  /** Sent as a form, by POST. */
  readonly form?: Readonly<Record<string, string>>;
  /** More than this is refused. Default 4 MiB. */
  readonly largestBytes?: number;
}

/** Fetches texts and large files, patiently: through proxies as HTTPS_PROXY and NO_PROXY say, again after failures, and on at the byte. */
export class Web {
  readonly #options: WebOptions;
  #dispatcher: Promise<Dispatcher> | undefined;

  constructor(options: WebOptions = {}) {
    this.#options = options;
  }

  /** @throws FleetError DOWNLOAD_FAILED, DOWNLOAD_TOO_LARGE */
  async text(url: string, asking: Asking = {}): Promise<string> {
    return (await this.answer(url, asking)).bytes.toString('utf8');
  }

  /** @throws FleetError DOWNLOAD_FAILED, DOWNLOAD_TOO_LARGE */
  answer(url: string, asking: Asking = {}): Promise<Answer> {
    const { accept, access, form, largestBytes = largestTextBytes } = asking;
    return this.#patiently(url, access, async () => {
      const response = await this.#request(url, access, accept === undefined ? {} : { accept }, form);
      const chunks: Uint8Array[] = [];
      let size = 0;
      for await (const chunk of bodyOf(response)) {
        size += chunk.length;
        if (size > largestBytes) {
          throw new FleetError({
            code: 'DOWNLOAD_TOO_LARGE',
            message: `${url} sent more than ${largestBytes} bytes`,
            fix: 'Check that the address is the right one.',
          });
        }
        chunks.push(chunk);
      }
      const type = response.headers.get('content-type') ?? '';
      return { bytes: Buffer.concat(chunks), mediaType: type.split(';')[0]?.trim().toLowerCase() ?? '' };
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
    access?: Access,
  ): Promise<void> {
    const part = partOf(path);
    if ((await sizeOf(part)) > 0 && (await sumOf(part)) === sha256) return rename(part, path);
    for (let wholly = false; ; wholly = true) {
      const resumed = await this.#fetchPart(url, part, onProgress, access);
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
    access: Access | undefined,
  ): Promise<boolean> {
    const before = await sizeOf(part);
    let from = before;
    await this.#patiently(
      url,
      access,
      async () => {
        from = await sizeOf(part);
        const response = await this.#request(url, access, from === 0 ? {} : { range: `bytes=${from}-` });
        const isRest =
          response.status === 206 &&
          response.headers.get('content-range')?.startsWith(`bytes ${from}-`) === true;
        if (!isRest) from = 0;
        const length = Number(response.headers.get('content-length') ?? Number.NaN);
        const total = Number.isNaN(length) ? undefined : from + length;
        const handle = await open(part, from === 0 ? 'w' : 'r+', this.#options.fileMode ?? 0o644);
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

  async #request(
    url: string,
    access: Access | undefined,
    headers: Record<string, string>,
    form?: Readonly<Record<string, string>>,
  ): Promise<Response> {
    // A megabyte of code that only a download needs: loaded at the start it cost every command 40 ms.
    const { fetch } = await import('./undici.ts');
    this.#dispatcher ??= this.#open();
    const response = await fetch(url, {
      dispatcher: await this.#dispatcher,
      redirect: 'follow',
      // fetch takes the authorization off where it is redirected to another origin.
      headers: { 'accept-encoding': 'identity', ...headers, ...(await access?.headers()) },
      ...(form === undefined ? {} : { method: 'POST', body: new URLSearchParams(form) }),
    });
    if (response.ok) return response;
    await response.body?.cancel();
    throw new HttpStatusError(
      response.status,
      response.statusText,
      secondsOf(response.headers.get('retry-after')),
      response.headers.get('www-authenticate') ?? '',
    );
  }

  async #open(): Promise<Dispatcher> {
    const { EnvHttpProxyAgent } = await import('./undici.ts');
    const { caFiles = [] } = this.#options;
    const tls = caFiles.length === 0 ? {} : { ca: await trusted(caFiles) };
    return new EnvHttpProxyAgent({
      headersTimeout: silenceMs,
      bodyTimeout: silenceMs,
      connect: { timeout: 15_000, ...tls },
      ...(caFiles.length === 0 ? {} : { requestTls: tls, proxyTls: tls }),
    });
  }

  /** Tries again after failures that may pass, waiting as long as the server asks for; a byte more makes it patient anew. */
  async #patiently<Result>(
    url: string,
    access: Access | undefined,
    attempt: () => Promise<Result>,
    progress: () => Promise<number> = async () => 0,
    mend: (status: number) => Promise<boolean> = async () => false,
  ): Promise<Result> {
    const { attempts = 6, firstPauseMs = 500 } = this.#options;
    let furthest = await progress();
    let hasProven = false;
    for (let fruitless = 0; ; ) {
      try {
        return await attempt();
      } catch (cause) {
        if (cause instanceof FleetError) throw cause;
        const status = cause instanceof HttpStatusError ? cause.status : undefined;
        if (cause instanceof HttpStatusError && status === 401 && access !== undefined && !hasProven) {
          hasProven = await access.challenged(cause.challenge);
          if (hasProven) continue;
        }
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
        // A token may run out while a large file comes in.
        if (now > furthest) hasProven = false;
        furthest = Math.max(furthest, now);
        if (hopeless || fruitless >= attempts) throw failed(url, cause, this.#options.fix);
        const asked = cause instanceof HttpStatusError ? cause.retryAfterSeconds * 1000 : 0;
        const own = firstPauseMs * 2 ** (fruitless - 1);
        await new Promise((resolve) => setTimeout(resolve, Math.min(longestPauseMs, Math.max(asked, own))));
      }
    }
  }
}

/** Where a file grows until it is whole; airgap folders are read without names that begin with a dot. */
export function partOf(path: string): string {
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

async function trusted(caFiles: readonly string[]): Promise<string[]> {
  const { rootCertificates } = await import('node:tls');
  const own = caFiles.map((file) => readNamedFile(file, 'Give a file with certificates in PEM.'));
  return [...rootCertificates, ...(await Promise.all(own))];
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
    /** `www-authenticate`. */
    readonly challenge: string,
  ) {
    super(`${status} ${statusText}`.trim());
  }
}

function failed(url: string, cause: unknown, fix: string | undefined): FleetError {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  return new FleetError(
    {
      code: 'DOWNLOAD_FAILED',
      message: `cannot fetch ${url}: ${inner instanceof Error ? inner.message : String(inner)}`,
      fix: fix ?? 'Check the address, the network and HTTPS_PROXY.',
    },
    { cause },
  );
}
