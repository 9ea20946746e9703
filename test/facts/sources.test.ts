import { createServer } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { proxyFor, sourcesReached } from '../../src/facts/sources.ts';

const server = createServer();
const isOpen = (): number => (server.address() as { port: number }).port;

beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
afterAll(() => new Promise((resolve) => server.close(resolve)));

test('a connection is all that it takes', async () => {
  const open = `http://127.0.0.1:${isOpen()}/releases`;
  const [here, nowhere] = await sourcesReached([open, 'http://127.0.0.1:1/releases']).read();
  expect(here).toEqual({ url: open, proxy: undefined, failure: undefined });
  expect(nowhere?.failure).toContain('ECONNREFUSED');
});

test.each([
  ['no proxy', {}, undefined],
  ['one for https', { HTTPS_PROXY: 'http://10.0.0.9:3128' }, '10.0.0.9:3128'],
  ['one for http alone', { http_proxy: 'http://10.0.0.9:3128' }, undefined],
  ['spared by name', { https_proxy: 'http://10.0.0.9:3128', no_proxy: 'a, mirror.example.org' }, undefined],
  ['spared by domain', { https_proxy: 'http://10.0.0.9:3128', NO_PROXY: '.example.org' }, undefined],
  [
    'another is spared',
    { https_proxy: 'http://10.0.0.9:3128', NO_PROXY: 'ror.example.org' },
    '10.0.0.9:3128',
  ],
  ['spared all', { https_proxy: 'http://10.0.0.9:3128', NO_PROXY: '*' }, undefined],
])('%s', (_name, environment, wanted) => {
  expect(proxyFor(new URL('https://mirror.example.org/k3s'), environment)?.host).toBe(wanted);
});
