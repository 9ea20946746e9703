import { describe, expect, it } from 'vitest';
import { compareRpmVersions, type RpmVersion } from '../../src/airgap/rpm-version.ts';

/** `2:1.0-3`. */
function version(text: string): RpmVersion {
  const [, epoch = '0', number = '', release = ''] = /^(?:(\d+):)?([^-]*)(?:-(.*))?$/.exec(text) ?? [];
  return { epoch: Number(epoch), version: number, release };
}

describe('versions of packages', () => {
  // As rpm's own rpmvercmp tests have them.
  it.each<[string, -1 | 0 | 1, string]>([
    ['1.0', 0, '1.0'],
    ['1.0', -1, '2.0'],
    ['2.0.1', 1, '2.0'],
    ['2.0.1a', 1, '2.0.1'],
    ['5.5p1', -1, '5.5p2'],
    ['5.5p10', 1, '5.5p1'],
    ['10xyz', -1, '10.1xyz'],
    ['xyz10', -1, 'xyz10.1'],
    ['xyz.4', -1, '8'],
    ['1.10', 1, '1.9'],
    ['1.05', 0, '1.5'],
    ['6.0.rc1', 1, '6.0'],
    ['10b2', 1, '10a1'],
    ['1.0~rc1', -1, '1.0'],
    ['1.0~rc1', -1, '1.0~rc2'],
    ['1.0~rc1~git123', -1, '1.0~rc1'],
    ['1.0^', 1, '1.0'],
    ['1.0^git1', -1, '1.01'],
    ['1.0^20160101', -1, '1.0.1'],
    ['1.0~rc1^git1', 1, '1.0~rc1'],
    ['2_0', 0, '2.0'],
    ['3:0.1', 1, '2:9.9'],
    ['1.0-1.el9', -1, '1.0-2.el9'],
    ['1.0-10.el9', 1, '1.0-9.el9'],
    ['1.0-1', 0, '1.0'],
    ['99999999999999999999', 1, '99999999999999999998'],
  ])('%s against %s: %s', (a, order, b) => {
    expect(Math.sign(compareRpmVersions(version(a), version(b)))).toBe(order);
    expect(Math.sign(compareRpmVersions(version(b), version(a)))).toBe(order === 0 ? 0 : -order);
  });
});
