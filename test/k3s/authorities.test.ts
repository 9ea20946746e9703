import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { certificateTexts, isRoot, rootReached, tokenHashOf } from '../../src/k3s/authorities.ts';
import { makeAuthorities } from './make-authorities.ts';

const folder = mkdtempSync(join(tmpdir(), 'fleet-authorities-'));
const at = (...names: string[]): string => join(folder, ...names);
const read = (...names: string[]): X509Certificate[] =>
  certificateTexts(readFileSync(at(...names), 'utf8')).map((text) => new X509Certificate(text));

beforeAll(async () => {
  await makeAuthorities(at('one'), at('office'));
  await makeAuthorities(at('two'), at('office'));
  await makeAuthorities(at('other'), at('elsewhere'));
  // The new root as the old one signs it, from the new root's own request.
  const [root, key, signed] = [at('elsewhere', 'root.pem'), at('elsewhere', 'root.key'), at('crossed.pem')];
  execFileSync('openssl', ['x509', '-x509toreq', '-in', root, '-signkey', key, '-out', at('request')], {
    stdio: 'pipe',
  });
  const by = ['-CA', at('office', 'root.pem'), '-CAkey', at('office', 'root.key'), '-set_serial', '7'];
  const asAuthority = ['-extfile', at('office', 'extensions'), '-extensions', 'authority'];
  execFileSync('openssl', ['x509', '-req', '-in', at('request'), ...by, ...asAuthority, '-out', signed], {
    stdio: 'pipe',
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the way from an authority to a root', () => {
  const ca = 'server-ca.crt';

  it('leads to the root that signed it, and to no other', () => {
    const [, root] = read('one', ca);
    expect(root && isRoot(root)).toBe(true);
    expect(rootReached(read('two', ca), read('one', ca))?.fingerprint256).toBe(root?.fingerprint256);
    expect(rootReached(read('other', ca), read('one', ca))).toBeUndefined();
  });

  it('needs no root in the new bundle, and believes none that is only there', () => {
    expect(rootReached(read('two', ca).slice(0, 1), read('one', ca))).toBeDefined();
    expect(rootReached(read('two', ca), read('one', ca).slice(0, 1))).toBeUndefined();
  });

  it('goes by way of a new root that the old one has signed', () => {
    const bundle = [...read('other', ca), ...read('crossed.pem')];
    expect(rootReached(bundle, read('one', ca))?.subject).toBe('CN=root of office');
    // The token names the new one all the same: it is nearer.
    expect(rootReached(bundle, bundle)?.subject).toBe('CN=root of elsewhere');
  });

  it('ends where there is nothing', () => {
    expect(rootReached([], read('one', ca))).toBeUndefined();
  });
});

it('a token names the root as openssl sums it', () => {
  const [root] = read('office', 'root.pem');
  const der = execFileSync('openssl', ['x509', '-in', at('office', 'root.pem'), '-outform', 'DER']);
  const [sum] = execFileSync('sha256sum', { input: der, encoding: 'utf8' }).split(' ');
  expect(root && tokenHashOf(root)).toBe(sum);
});
