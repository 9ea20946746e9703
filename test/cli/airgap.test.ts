import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { emptyFolder, fleet } from './run-fleet.ts';

describe('fleet airgap pull', () => {
  it.each<[string, readonly string[], RegExp]>([
    ['an image', ['--images', 'Not/An image'], /"Not\/An image" names no container image/],
    ['a chart', ['--chart', 'shop'], /"shop" names no chart/],
    ['a system', ['--selinux', 'el5'], /no SELinux policy for "el5", but for el7, el8/],
    [
      'a repository without a system',
      ['--selinux', 'el9', '--rpm-repo', 'https://a.b/c'],
      /--rpm-repo takes a system/,
    ],
    ['a repository for another system', ['--selinux', 'el9', '--rpm-repo', 'el8=https://a.b/c'], /names el8/],
    ['a key for nothing', ['--rpm-key', 'x.asc'], /--selinux is missing/],
    ['registries that are not there', ['--registries', 'nowhere.yaml'], /cannot read nowhere\.yaml/],
  ])('refuses %s before it fetches anything', (_what, flags, message) => {
    const out = join(emptyFolder(), 'bundle');
    const { code, err } = fleet(['airgap', 'pull', '--version', 'v1.33.4+k3s1', '--out', out, ...flags]);
    expect({ code, err }).toEqual({ code: 64, err: expect.stringMatching(message) });
  });
});
