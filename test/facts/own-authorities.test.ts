import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { ownAuthorities } from '../../src/facts/own-authorities.ts';
import { authorityNames, certificateTexts } from '../../src/k3s/authorities.ts';
import { makeAuthorities } from '../k3s/make-authorities.ts';

const folder = mkdtempSync(join(tmpdir(), 'fleet-own-authorities-'));
const whole = join(folder, 'whole');
const copy = join(folder, 'copy');
beforeAll(() => makeAuthorities(whole, join(folder, 'office')));
beforeEach(() => cpSync(whole, copy, { recursive: true }));
afterEach(() => {
  vi.useRealTimers();
  rmSync(copy, { recursive: true });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const faultOf = (at = copy): Promise<unknown> =>
  ownAuthorities([at])
    .read()
    .then(
      () => 'none',
      (error: unknown) => error,
    );

describe('authorities that a user brings', () => {
  it('are read where k3s’s example script leaves them, and no key is shown', async () => {
    cpSync(whole, join(copy, 'made', 'server', 'tls'), { recursive: true });
    const own = await ownAuthorities([join(folder, 'nowhere'), join(copy, 'made')]).read();
    expect(own.folder).toBe(join(copy, 'made', 'server', 'tls'));
    expect([...own.authorities.keys()]).toEqual([...authorityNames]);
    expect(own.serviceKey).toBeUndefined();
    expect(JSON.stringify([...own.authorities])).not.toContain('PRIVATE');
    expect(own.authorities.get('etcd/peer-ca')?.key.reveal()).toBe(
      readFileSync(join(whole, 'etcd/peer-ca.key'), 'utf8'),
    );
  });

  it.each<[string, () => void, RegExp]>([
    ['one is missing', () => rmSync(join(copy, 'etcd/peer-ca.crt')), /etcd\/peer-ca\.crt is not there/],
    ['a key is missing', () => rmSync(join(copy, 'client-ca.key')), /client-ca\.key is not there/],
    [
      'a key is that of another',
      () => copyFileSync(join(copy, 'server-ca.key'), join(copy, 'client-ca.key')),
      /client-ca\.key is not the key of the first certificate/,
    ],
    [
      'a key needs a passphrase',
      () => {
        const key = join(copy, 'client-ca.key');
        const said = ['-aes256', '-passout', 'pass:secret-word', '-in', key, '-out', `${key}.new`];
        execFileSync('openssl', ['ec', ...said], { stdio: 'pipe' });
        copyFileSync(`${key}.new`, key);
      },
      /client-ca\.key is no key that can be read, or it needs a passphrase/,
    ],
    [
      'the root is left out',
      () => {
        const file = join(copy, 'server-ca.crt');
        writeFileSync(file, certificateTexts(readFileSync(file, 'utf8'))[0] ?? '');
      },
      /server-ca\.crt does not lead to a root/,
    ],
    [
      'it holds something else',
      () => writeFileSync(join(copy, 'server-ca.crt'), 'hello'),
      /holds no certificate/,
    ],
    [
      'it is damaged',
      () => {
        const pem = '-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n';
        writeFileSync(join(copy, 'server-ca.crt'), pem);
      },
      /cannot be read as certificates/,
    ],
    ['it has ended', () => vi.setSystemTime(new Date('2099-01-01')), /has ended at/],
  ])('%s', async (_what, spoil, because) => {
    spoil();
    expect(await faultOf()).toMatchObject({
      code: 'CA_FOLDER',
      blame: 'usage',
      message: expect.stringMatching(because),
    });
  });

  it('are in no such folder', async () => {
    expect(await faultOf(join(folder, 'nowhere'))).toMatchObject({ code: 'CA_FOLDER' });
  });
});
