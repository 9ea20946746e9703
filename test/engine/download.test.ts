import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { cacheFolder } from '../../src/engine/cache-folder.ts';
import { fetchText, fetchVerified, sumIn } from '../../src/engine/download.ts';

type Answer = (response: ServerResponse, request: IncomingMessage) => void;

const content = Buffer.alloc(300_000, 'k3s ');
const sha256 = createHash('sha256').update(content).digest('hex');
const whole: Answer = (response) =>
  response.writeHead(200, { 'content-length': content.length }).end(content);
/** Says how much is coming, sends half of it and hangs up. */
const cut: Answer = (response) => {
  response.writeHead(200, { 'content-length': content.length });
  response.write(content.subarray(0, content.length / 2), () => response.destroy());
};
const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  (response) =>
    response.writeHead(code, headers).end(`this is ${code}`);

let server: Server;
let url: string;
let answers: Answer[];
let asked: string[];
let cache: string;

beforeEach(async () => {
  cache = mkdtempSync(join(tmpdir(), 'fleet-cache-'));
  vi.stubEnv('FLEET_CACHE', cache);
  vi.stubEnv('NO_PROXY', '127.0.0.1');
  vi.stubEnv('no_proxy', '127.0.0.1');
  answers = [];
  asked = [];
  server = createServer((request, response) => {
    asked.push(request.url ?? '');
    // The last answer goes for all that come after.
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    answer?.(response, request);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/k3s`;
});
afterEach(async () => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(cache, { recursive: true, force: true });
});

/** All files in the cache. */
function cached(): string[] {
  return readdirSync(cache, { recursive: true, encoding: 'utf8' }).filter((name) =>
    statSync(join(cache, name)).isFile(),
  );
}

describe('a verified download', () => {
  it('lands in the cache under its sum, readable by its owner alone', async () => {
    answers = [whole];
    const path = await fetchVerified(url, sha256);
    expect(readFileSync(path)).toEqual(content);
    expect(cached()).toEqual([join('sha256', sha256)]);
    expect(statSync(path).mode & 0o077).toBe(0);
  });

  it('is fetched once, and used again without asking anybody', async () => {
    answers = [whole];
    await fetchVerified(url, sha256);
    answers = [status(500)];
    expect(readFileSync(await fetchVerified(`${url}-elsewhere`, sha256))).toEqual(content);
    expect(asked).toHaveLength(1);
  });

  it('is fetched anew where the cache was damaged', async () => {
    answers = [whole];
    const path = await fetchVerified(url, sha256);
    writeFileSync(path, 'damaged');
    expect(readFileSync(await fetchVerified(url, sha256))).toEqual(content);
    expect(asked).toHaveLength(2);
  });

  it('tells how far it is', async () => {
    answers = [whole];
    const told: (readonly [number, number | undefined])[] = [];
    await fetchVerified(url, sha256, (done, total) => told.push([done, total]));
    expect(told.at(-1)).toEqual([content.length, content.length]);
    expect(told.map(([done]) => done)).toEqual(told.map(([done]) => done).toSorted((a, b) => a - b));
  });

  it.each<[string, Answer]>([
    ['cut in its middle', cut],
    ['refused for a moment', status(503)],
    ['slowed down', status(429, { 'retry-after': '0' })],
    ['slowed down until a date', status(429, { 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' })],
    ['hung up on', (response) => response.destroy()],
  ])('that is %s is tried again', async (_what, fault) => {
    answers = [fault, whole];
    expect(readFileSync(await fetchVerified(url, sha256))).toEqual(content);
    expect(asked).toHaveLength(2);
    expect(cached()).toEqual([join('sha256', sha256)]);
  });

  it('waits as long as it is asked to', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout'], shouldAdvanceTime: true, advanceTimeDelta: 200 });
    try {
      const pauses: number[] = [];
      const real = globalThis.setTimeout;
      vi.spyOn(globalThis, 'setTimeout').mockImplementation(((work: () => void, ms?: number) => {
        if (ms === 7000) pauses.push(ms);
        return real(work, ms === 7000 ? 0 : ms);
      }) as typeof setTimeout);
      answers = [status(429, { 'retry-after': '7' }), whole];
      await fetchVerified(url, sha256);
      expect(pauses).toEqual([7000]);
    } finally {
      vi.restoreAllMocks();
      vi.useRealTimers();
    }
  });

  it.each([
    ['404', 404],
    ['403', 403],
    ['401', 401],
  ])('that answers %s fails at once, and says what to do', async (_name, code) => {
    answers = [status(code)];
    await expect(fetchVerified(url, sha256)).rejects.toMatchObject({
      code: 'DOWNLOAD_FAILED',
      message: expect.stringMatching(new RegExp(`${url}.*${code}`)),
      fix: expect.stringContaining('HTTPS_PROXY'),
    });
    expect(asked).toHaveLength(1);
    expect(cached()).toEqual([]);
  });

  it('with another sum is not used, not tried again and not kept', async () => {
    answers = [(response) => response.end('something else')];
    await expect(fetchVerified(url, sha256)).rejects.toMatchObject({
      code: 'DOWNLOAD_DAMAGED',
      message: expect.stringContaining(sha256),
    });
    expect(asked).toHaveLength(1);
    expect(cached()).toEqual([]);
  });

  it('follows a redirect, as releases do', async () => {
    answers = [status(302, { location: '/mirror/k3s' }), whole];
    await fetchVerified(url, sha256);
    expect(asked).toEqual(['/k3s', '/mirror/k3s']);
  });

  it('that fails again and again is given up, and nothing half stays', async () => {
    answers = [cut];
    await expect(fetchVerified(url, sha256)).rejects.toMatchObject({ code: 'DOWNLOAD_FAILED' });
    expect(asked.length).toBeGreaterThan(2);
    expect(cached()).toEqual([]);
  });

  it('in two runs at once is whole in both', async () => {
    answers = [whole];
    const paths = await Promise.all([fetchVerified(url, sha256), fetchVerified(url, sha256)]);
    for (const path of paths) expect(readFileSync(path)).toEqual(content);
    expect(cached()).toHaveLength(1);
  });
});

describe('a small text', () => {
  it('comes as it is', async () => {
    answers = [(response) => response.end('sums é\n')];
    expect(await fetchText(url)).toBe('sums é\n');
  });

  it('is tried again when it is cut', async () => {
    answers = [cut, (response) => response.end('sums')];
    expect(await fetchText(url)).toBe('sums');
  });

  it('that is none is refused before it fills the memory', async () => {
    let sent = 0;
    answers = [
      (response) => {
        const more = (): void => {
          while (!response.destroyed && sent < 100_000_000) {
            sent += 65_536;
            if (!response.write(Buffer.alloc(65_536))) {
              response.once('drain', more);
              return;
            }
          }
        };
        more();
      },
    ];
    await expect(fetchText(url)).rejects.toMatchObject({ code: 'DOWNLOAD_TOO_LARGE' });
    expect(sent).toBeLessThan(50_000_000);
    expect(asked).toHaveLength(1);
  });

  it('from nobody fails with the reason', async () => {
    answers = [status(404)];
    await expect(fetchText(url)).rejects.toMatchObject({
      code: 'DOWNLOAD_FAILED',
      message: expect.stringContaining('404'),
    });
  });
});

describe('a list of sums', () => {
  const list = `${'a'.repeat(64)}  k3s\n${'b'.repeat(64)} *k3s-airgap-images-amd64.tar.zst\r\n${'c'.repeat(64)}  k3s-arm64\n`;

  it.each([
    ['k3s', 'a'],
    ['k3s-airgap-images-amd64.tar.zst', 'b'],
    ['k3s-arm64', 'c'],
  ])('gives that of %s', (name, letter) => {
    expect(sumIn(list, name, url)).toBe(letter.repeat(64));
  });

  it.each([
    [list, 'k3s-armhf'],
    ['<html>', 'k3s'],
    ['', 'k3s'],
    [`${'a'.repeat(63)}  k3s`, 'k3s'],
  ])('without the file is an error, never a missing check', (text, name) => {
    expect(() => sumIn(text, name, 'https://x/sums.txt')).toThrow(
      expect.objectContaining({ code: 'SUM_MISSING', message: expect.stringContaining(name) }),
    );
  });
});

it('the cache stands where the environment says', () => {
  expect(cacheFolder()).toBe(cache);
  vi.stubEnv('FLEET_CACHE', undefined);
  vi.stubEnv('XDG_CACHE_HOME', '/xdg');
  expect(cacheFolder()).toBe('/xdg/fleet');
  expect(existsSync('/xdg/fleet')).toBe(false);
});
