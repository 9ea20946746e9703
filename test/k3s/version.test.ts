import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  archOf,
  binaryName,
  compareVersions,
  isChannel,
  mustParseVersion,
  parseVersion,
  versionIn,
  whyNotUpgrade,
} from '../../src/k3s/version.ts';

/** Oldest first. */
const inOrder = [
  'v1.9.9+k3s1',
  'v1.31.2-rc2+k3s1',
  'v1.31.2-rc10+k3s1',
  'v1.31.2+k3s1',
  'v1.31.2+k3s2',
  'v1.31.2+k3s10',
  'v1.31.10-rc1+k3s1',
  'v1.31.10+k3s1',
  'v1.32.0-rc1+k3s1',
  'v1.32.0+k3s1',
  'v2.0.0+k3s1',
];

describe('the order of releases', () => {
  const pairs = inOrder.flatMap((a, i) => inOrder.map((b, j) => [a, b, Math.sign(i - j)] as const));

  it.each(pairs)('%s against %s is %i', (a, b, sign) => {
    expect(Math.sign(compareVersions(mustParseVersion(a), mustParseVersion(b)))).toBe(sign);
  });

  it('is one order: antisymmetric and transitive, +k3sN by number', () => {
    const version = fc
      .record({
        minor: fc.nat(3),
        patch: fc.nat(12),
        rc: fc.option(fc.integer({ min: 1, max: 12 })),
        build: fc.integer({ min: 1, max: 12 }),
      })
      .map(({ minor, patch, rc, build }) => ({
        rank: [minor, patch, rc ?? 99, build],
        version: mustParseVersion(`v1.${minor}.${patch}${rc === null ? '' : `-rc${rc}`}+k3s${build}`),
      }));
    fc.assert(
      fc.property(version, version, (a, b) => {
        const difference = a.rank
          .map((part, index) => part - (b.rank[index] ?? 0))
          .find((part) => part !== 0);
        expect(Math.sign(compareVersions(a.version, b.version))).toBe(Math.sign(difference ?? 0));
      }),
    );
  });
});

describe('the form of a version', () => {
  it.each([
    ['v1.33.4+k3s1', 'v1.33.4+k3s1'],
    ['1.33.4+k3s1', 'v1.33.4+k3s1'],
    ['v1.33.4-rc1+k3s2', 'v1.33.4-rc1+k3s2'],
    ['v1.33.4', undefined],
    ['v1.33', undefined],
    ['stable', undefined],
    ['v1.33.4+rke2r1', undefined],
    ['v1.33.4+k3s1; reboot', undefined],
    ['v01.33.4+k3s1', undefined],
    ['', undefined],
  ])('%s is %s', (text, published) => {
    expect(parseVersion(text)?.text).toBe(published);
  });

  it('that names no release is refused with the value and how to write one', () => {
    expect(() => mustParseVersion('v1.33.4')).toThrow(
      expect.objectContaining({
        code: 'K3S_VERSION_FORM',
        blame: 'usage',
        fix: expect.stringContaining('+k3s1'),
      }),
    );
  });

  it.each([
    ['stable', true],
    ['latest', true],
    ['testing', true],
    ['v1.33', true],
    ['v1.33-testing', true],
    ['1.33', false],
    ['v1.33.4+k3s1', false],
    ['v1.33.4', false],
    ['stabel', false],
  ])('%s is a channel: %s', (text, channel) => {
    expect(isChannel(text)).toBe(channel);
  });
});

describe('what a server may be started as', () => {
  it.each([
    ['v1.31.2+k3s1', 'v1.31.2+k3s1', undefined],
    ['v1.31.2+k3s1', 'v1.31.9+k3s1', undefined],
    ['v1.31.9+k3s2', 'v1.31.2+k3s1', undefined],
    ['v1.31.2+k3s1', 'v1.32.0+k3s1', undefined],
    ['v1.32.0-rc1+k3s1', 'v1.32.0+k3s1', undefined],
    ['v1.31.2+k3s1', 'v1.33.0+k3s1', /skip a minor/],
    ['v1.31.2+k3s1', 'v1.40.0+k3s1', /skip a minor/],
    ['v1.32.0+k3s1', 'v1.31.9+k3s1', /cannot go back/],
    ['v1.32.0+k3s1', 'v2.0.0+k3s1', /cannot/],
  ])('%s as %s', (from, to, because) => {
    const hindrance = whyNotUpgrade(mustParseVersion(from), mustParseVersion(to));
    if (because === undefined) expect(hindrance).toBeUndefined();
    else expect(hindrance?.because).toMatch(because);
  });

  it('names the minor to go to first', () => {
    const hindrance = whyNotUpgrade(mustParseVersion('v1.30.1+k3s1'), mustParseVersion('v1.33.0+k3s1'));
    expect(hindrance?.fix).toContain('v1.31');
  });
});

describe('what a machine gets', () => {
  it.each([
    ['x86_64', 'k3s'],
    ['amd64', 'k3s'],
    ['aarch64', 'k3s-arm64'],
    ['arm64', 'k3s-arm64'],
    ['armv7l', 'k3s-armhf'],
    ['armv8l', 'k3s-armhf'],
    ['armv6l', undefined],
    ['riscv64', undefined],
    ['i686', undefined],
    ['', undefined],
  ])('%s: %s', (machine, name) => {
    const arch = archOf(machine);
    expect(arch === undefined ? undefined : binaryName(arch)).toBe(name);
  });
});

it.each([
  ['k3s version v1.33.4+k3s1 (148243c4)\ngo version go1.24.5\n', 'v1.33.4+k3s1'],
  ['time="…" level=warning msg="x"\nk3s version v1.33.4-rc1+k3s1 (abc)\n', 'v1.33.4-rc1+k3s1'],
  ['k3s version dev (HEAD)\n', undefined],
  ['exec format error', undefined],
])('%j tells %s', (output, version) => {
  expect(versionIn(output)?.text).toBe(version);
});
