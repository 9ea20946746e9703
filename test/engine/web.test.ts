import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Access, Web } from '../../src/engine/web.ts';

const servers: Server[] = [];
async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(answer);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

beforeEach(() => {
  vi.stubEnv('NO_PROXY', '127.0.0.1');
  vi.stubEnv('no_proxy', '127.0.0.1');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

/** Has a token to show as soon as it was asked for one, and a new one each time. */
class Tokens implements Access {
  given = 0;
  async headers() {
    return this.given === 0 ? {} : { authorization: `Bearer ${this.given}` };
  }
  async challenged(challenge: string) {
    if (challenge !== 'Bearer realm="x"') return false;
    this.given += 1;
    return true;
  }
}

describe('who asks', () => {
  it('is told to the server that wants to know, and to none that it redirects to', async () => {
    const elsewhere: (string | undefined)[] = [];
    const other = await serve((request, response) => {
      elsewhere.push(request.headers.authorization);
      response.end('there');
    });
    const seen: (string | undefined)[] = [];
    const url = await serve((request, response) => {
      seen.push(request.headers.authorization);
      if (request.headers.authorization === undefined)
        response.writeHead(401, { 'www-authenticate': 'Bearer realm="x"' }).end();
      else response.writeHead(307, { location: `${other}/blob` }).end();
    });
    const access = new Tokens();
    expect(await new Web({ firstPauseMs: 1 }).text(url, { access })).toBe('there');
    expect(seen).toEqual([undefined, 'Bearer 1']);
    expect(elsewhere).toEqual([undefined]);
  });

  it('is asked again where a token has run out while a file came in', async () => {
    const content = Buffer.alloc(200_000, 'k3s ');
    const half = content.length / 2;
    const folder = mkdtempSync(join(tmpdir(), 'fleet-web-'));
    const ranges: (string | undefined)[] = [];
    let cut = (): void => {};
    const url = await serve((request, response) => {
      const { authorization, range } = request.headers;
      // The first token is good for the first half, the second for the rest.
      const isRest = range !== undefined;
      if (authorization !== `Bearer ${isRest ? 2 : 1}`) {
        response.writeHead(401, { 'www-authenticate': 'Bearer realm="x"' }).end();
        return;
      }
      ranges.push(range);
      if (isRest) {
        response.writeHead(206, { 'content-range': `bytes ${half}-${content.length - 1}/${content.length}` });
        response.end(content.subarray(half));
      } else {
        response.writeHead(200, { 'content-length': content.length });
        response.write(content.subarray(0, half));
        cut = () => response.destroy();
      }
    });
    try {
      const path = join(folder, 'file');
      const sha256 = createHash('sha256').update(content).digest('hex');
      const onProgress = (doneBytes: number): void => {
        if (doneBytes === half) cut();
      };
      await new Web({ firstPauseMs: 1 }).file(url, path, sha256, onProgress, new Tokens());
      expect(readFileSync(path).equals(content)).toBe(true);
      expect(ranges).toEqual([undefined, `bytes=${half}-`]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('is asked once, and not again and again, by a server that never has enough', async () => {
    let asked = 0;
    const url = await serve((_request, response) => {
      asked += 1;
      response.writeHead(401, { 'www-authenticate': 'Bearer realm="x"' }).end();
    });
    const access = new Tokens();
    await expect(new Web({ firstPauseMs: 1 }).text(url, { access })).rejects.toMatchObject({
      code: 'DOWNLOAD_FAILED',
      message: expect.stringContaining('401'),
    });
    expect([asked, access.given]).toEqual([2, 1]);
  });
});
