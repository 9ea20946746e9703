import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dockerCredentials } from '../../src/airgap/docker-credentials.ts';
import { parseImageName } from '../../src/airgap/image-name.ts';
import { endpointsOf, readRegistriesFile } from '../../src/airgap/registries-file.ts';
import { challengeIn } from '../../src/airgap/registry-access.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fleet-registries-'));
  process.env.DOCKER_CONFIG = folder;
});
afterEach(() => {
  delete process.env.DOCKER_CONFIG;
  rmSync(folder, { recursive: true, force: true });
});

const file = (text: string): Promise<Awaited<ReturnType<typeof readRegistriesFile>>> => {
  writeFileSync(join(folder, 'registries.yaml'), text);
  return readRegistriesFile(join(folder, 'registries.yaml'));
};
const places = async (text: string, image: string): Promise<readonly string[]> =>
  endpointsOf(await file(text), parseImageName(image)).map(({ url, repository }) => `${url} ${repository}`);

describe('where an image is asked for', () => {
  it('is the registry itself, where nobody says otherwise', async () => {
    expect(await places('', 'busybox')).toEqual(['https://registry-1.docker.io/v2 library/busybox']);
    expect(await places('mirrors:\n  other.example.org:\n', 'r.example.org:5000/a/b')).toEqual([
      'https://r.example.org:5000/v2 a/b',
    ]);
  });

  it('is its mirrors first, as they stand; those for all registries only where it has none', async () => {
    const text = `mirrors:
  "*": {endpoint: ["http://all.example.org"]}
  docker.io:
    endpoint: ["https://one.example.org:5000", "https://two.example.org/proxy/hub/"]
    rewrite: {"^library/(.*)": "official/$1", ".*": "never"}
`;
    expect(await places(text, 'busybox')).toEqual([
      'https://one.example.org:5000/v2 official/busybox',
      'https://two.example.org/proxy/hub official/busybox',
      'https://registry-1.docker.io/v2 library/busybox',
    ]);
    expect(await places(text, 'r.example.org/a')).toEqual([
      'http://all.example.org/v2 a',
      'https://r.example.org/v2 a',
    ]);
  });

  it.each([
    ['no YAML', 'a: [s3cret', /no YAML/],
    ['of another form', 'mirrors: [docker.io]', /mirrors/],
  ])('is refused where the file is %s, without its passwords', async (_what, text, message) => {
    const failure = await file(text).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'REGISTRIES_FILE', message: expect.stringMatching(message) });
    expect(String((failure as { message: string }).message)).not.toContain('s3cret');
  });

  it('is no address with a password in it', async () => {
    await expect(
      places('mirrors: {a.b: {endpoint: ["https://me:s3cret@c.d"]}}', 'a.b/c'),
    ).rejects.toMatchObject({
      code: 'REGISTRIES_FILE',
      message: expect.not.stringContaining('s3cret'),
    });
  });
});

describe('what docker login left', () => {
  const config = (value: object): void => writeFileSync(join(folder, 'config.json'), JSON.stringify(value));
  const shown = async (registry: string): Promise<string | undefined> => {
    const found = await dockerCredentials(registry);
    if (found === undefined) return undefined;
    return 'identityToken' in found
      ? `token ${found.identityToken.reveal()}`
      : `${found.username} ${found.password.reveal()}`;
  };

  it('is found under the names that docker gives registries', async () => {
    expect(await shown('a.b')).toBeUndefined();
    config({
      auths: {
        'https://index.docker.io/v1/': { auth: Buffer.from('hub:p:w').toString('base64') },
        'a.b:5000': { username: 'me', password: 'x' },
        'c.d': { auth: 'OjA=', identitytoken: 'abc' },
        'e.f': {},
      },
    });
    expect(await Promise.all(['docker.io', 'a.b:5000', 'c.d', 'e.f', 'g.h'].map(shown))).toEqual([
      'hub p:w',
      'me x',
      'token abc',
      undefined,
      undefined,
    ]);
  });

  it('is asked of a credential helper', async () => {
    const bin = join(folder, 'bin');
    mkdirSync(bin);
    const program = `#!/bin/sh\nread -r host; case $host in a.b) echo '{"Username":"me","Secret":"from-helper"}' ;; c.d) echo '{"Username":"<token>","Secret":"t"}' ;; *) echo 'credentials not found in native keychain'; exit 1 ;; esac\n`;
    writeFileSync(join(bin, 'docker-credential-test'), program, { mode: 0o755 });
    const path = process.env.PATH;
    process.env.PATH = `${bin}:${path}`;
    try {
      config({ credsStore: 'test', credHelpers: { 'e.f': 'nowhere-to-be-found' } });
      expect(await Promise.all(['a.b', 'c.d', 'x.y'].map(shown))).toEqual([
        'me from-helper',
        'token t',
        undefined,
      ]);
      await expect(shown('e.f')).rejects.toMatchObject({ code: 'DOCKER_CONFIG' });
    } finally {
      process.env.PATH = path;
    }
  });

  it('is told of where it cannot be read, without what is in it', async () => {
    writeFileSync(join(folder, 'config.json'), '{"auths": "s3cret');
    await expect(shown('a.b')).rejects.toMatchObject({
      code: 'DOCKER_CONFIG',
      message: expect.not.stringContaining('s3cret'),
    });
  });
});

describe('what a registry asks for', () => {
  it.each([
    [
      'Bearer realm="https://a.b/token",service="a.b",scope="repository:x/y:pull,push"',
      'bearer',
      { realm: 'https://a.b/token', service: 'a.b', scope: 'repository:x/y:pull,push' },
    ],
    ['Basic realm="Registry"', 'basic', { realm: 'Registry' }],
    ['bearer realm=https://a.b/t, service=x', 'bearer', { realm: 'https://a.b/t', service: 'x' }],
  ])('is read out of %s', (text, scheme, parameters) => {
    expect(challengeIn(text)).toEqual({ scheme, parameters });
  });

  it('is nothing that is understood', () => {
    expect(challengeIn('')).toBeUndefined();
    expect(challengeIn('Negotiate abc')).toBeUndefined();
  });
});
