import { expect, it } from 'vitest';
import { upgradePath } from '../../src/k3s/upgrade-path.ts';
import { mustParseVersion } from '../../src/k3s/version.ts';

const versions = (...texts: string[]) => texts.map(mustParseVersion);

it.each([
  [['v1.33.4+k3s1'], 'v1.33.9+k3s1', 'v1.33.4+k3s1', []],
  [['v1.33.4+k3s1'], 'v1.34.1+k3s1', 'v1.33.4+k3s1', []],
  [['v1.31.2+k3s1'], 'v1.34.1+k3s1', 'v1.31.2+k3s1', ['v1.32', 'v1.33']],
  // A broken-off upgrade: the server that is behind decides.
  [['v1.34.1+k3s1', 'v1.33.4+k3s10', 'v1.33.4+k3s2'], 'v1.35.0+k3s1', 'v1.33.4+k3s2', ['v1.34']],
])('from %j to %s: from %s over %j', (running, to, from, between) => {
  const path = upgradePath(versions(...running), mustParseVersion(to));
  expect(path.from.text).toBe(from);
  expect(path.between).toEqual(between);
});
