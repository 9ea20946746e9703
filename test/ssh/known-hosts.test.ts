import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import {
  hostKeyAlgorithms,
  judgeHostKey,
  KnownHosts,
  knownHostLine,
  parseKnownHosts,
} from '../../src/ssh/known-hosts.ts';

/** A public key blob that names its type; the rest need not be a real point. */
function key(type: string, seed: string): string {
  const name = Buffer.from(type);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(name.length);
  return Buffer.concat([length, name, Buffer.from(seed)]).toString('base64');
}
const ED = key('ssh-ed25519', 'one');
const ED2 = key('ssh-ed25519', 'two');
const RSA = key('ssh-rsa', 'one');

const judge = (text: string, host: string, port = 22, shown = ED) => {
  const verdict = judgeHostKey(parseKnownHosts(text, 'kh'), host, port, shown);
  return verdict.kind === 'unknown' ? 'unknown' : `${verdict.kind}:${verdict.entry.line}`;
};

describe('judgeHostKey', () => {
  test.each([
    ['a plain name', `node1 ssh-ed25519 ${ED}`, 'node1', 22, 'known:1'],
    ['whatever the case', `Node1 ssh-ed25519 ${ED}`, 'nODE1', 22, 'known:1'],
    ['one of several names', `a,node1,10.0.0.1 ssh-ed25519 ${ED}`, '10.0.0.1', 22, 'known:1'],
    ['a comment and blank lines before', `# x\n\nnode1 ssh-ed25519 ${ED} me@here`, 'node1', 22, 'known:3'],
    ['a wildcard', `*.lan ssh-ed25519 ${ED}`, 'a.lan', 22, 'known:1'],
    ['a question mark is one character', `node? ssh-ed25519 ${ED}`, 'node12', 22, 'unknown'],
    ['a negation', `*.lan,!bad.lan ssh-ed25519 ${ED}`, 'bad.lan', 22, 'unknown'],
    ['a port', `[node1]:2222 ssh-ed25519 ${ED}`, 'node1', 2222, 'known:1'],
    ['another port', `[node1]:2222 ssh-ed25519 ${ED}`, 'node1', 22, 'unknown'],
    ['a port, known without it', `node1 ssh-ed25519 ${ED}`, 'node1', 2222, 'known:1'],
    ['a port, another key without it', `node1 ssh-ed25519 ${ED2}`, 'node1', 2222, 'unknown'],
    ['IPv6', `fd00::1 ssh-ed25519 ${ED}`, 'fd00::1', 22, 'known:1'],
    ['IPv6 and port', `[fd00::1]:2222 ssh-ed25519 ${ED}`, 'FD00::1', 2222, 'known:1'],
    ['a dot is a dot', `a.b ssh-ed25519 ${ED}`, 'axb', 22, 'unknown'],
    ['another key', `x ssh-ed25519 ${ED}\nnode1 ssh-ed25519 ${ED2}`, 'node1', 22, 'changed:2'],
    ['a key of another type only', `node1 ssh-rsa ${RSA}`, 'node1', 22, 'changed:1'],
    [
      'the line of the same type is at fault',
      `node1 ssh-rsa ${RSA}\nnode1 ssh-ed25519 ${ED2}`,
      'node1',
      22,
      'changed:2',
    ],
    ['several keys, one fits', `node1 ssh-ed25519 ${ED2}\nnode1 ssh-ed25519 ${ED}`, 'node1', 22, 'known:2'],
    ['revoked for all', `node1 ssh-ed25519 ${ED}\n@revoked * ssh-ed25519 ${ED}`, 'node1', 22, 'revoked:2'],
    ['another one revoked', `node1 ssh-ed25519 ${ED}\n@revoked * ssh-ed25519 ${ED2}`, 'node1', 22, 'known:1'],
    ['revoked, on a port', `@revoked * ssh-ed25519 ${ED}`, 'node1', 2222, 'revoked:1'],
    ['an authority only', `@cert-authority *.lan ssh-ed25519 ${ED2}`, 'a.lan', 22, 'authority-only:1'],
    [
      'an authority and the key',
      `@cert-authority * ssh-ed25519 ${ED2}\na ssh-ed25519 ${ED}`,
      'a',
      22,
      'known:2',
    ],
    ['a marker nobody knows', `@other node1 ssh-ed25519 ${ED}`, 'node1', 22, 'unknown'],
    ['a broken line', 'node1 ssh-ed25519', 'node1', 22, 'unknown'],
    ['CRLF', `node1 ssh-ed25519 ${ED}\r\n`, 'node1', 22, 'known:1'],
    // Made by `ssh-keygen -H` of OpenSSH 9.2 from `[10.0.0.1]:2222`.
    ['hashed', `${knownHostLine('10.0.0.1', 2222, ED, true)}`, '10.0.0.1', 2222, 'known:1'],
    ['hashed, another host', `${knownHostLine('10.0.0.1', 2222, ED, true)}`, '10.0.0.2', 2222, 'unknown'],
  ])('%s', (_name, text, host, port, expected) => {
    expect(judge(text, host, port)).toBe(expected);
  });
});

test('the algorithms of known keys are offered first', () => {
  const supported = ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'rsa-sha2-512', 'rsa-sha2-256'];
  const entries = parseKnownHosts(
    `a ssh-rsa ${RSA}\nb ecdsa-sha2-nistp256 ${ED}\n@revoked c ssh-rsa ${RSA}`,
    'kh',
  );
  expect(hostKeyAlgorithms(entries, 'a', 22, supported)).toEqual([
    'rsa-sha2-512',
    'rsa-sha2-256',
    'ssh-ed25519',
    'ecdsa-sha2-nistp256',
  ]);
  expect(hostKeyAlgorithms(entries, 'b', 2222, supported)[0]).toBe('ecdsa-sha2-nistp256');
  expect(hostKeyAlgorithms(entries, 'c', 22, supported)).toEqual(supported);
});

describe('KnownHosts', () => {
  const dir = mkdtempSync(join(tmpdir(), 'fleet-kh-'));
  afterAll(() => rmSync(dir, { recursive: true }));

  test('accepts into a new file with mode 0600, and knows it at once', () => {
    const file = join(dir, 'sub', 'known_hosts');
    const known = new KnownHosts();
    expect(known.entries([file])).toEqual([]);
    known.accept(file, 'node1', 2222, ED, false);
    expect(readFileSync(file, 'utf8')).toBe(`[node1]:2222 ssh-ed25519 ${ED}\n`);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(judgeHostKey(known.entries([file]), 'node1', 2222, ED).kind).toBe('known');
  });

  test('does not glue its line to one without an end', () => {
    const file = join(dir, 'unfinished');
    writeFileSync(file, `a ssh-ed25519 ${ED2}`);
    new KnownHosts().accept(file, 'b', 22, ED, false);
    expect(readFileSync(file, 'utf8')).toBe(`a ssh-ed25519 ${ED2}\nb ssh-ed25519 ${ED}\n`);
  });
});
