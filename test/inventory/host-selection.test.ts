import { describe, expect, test } from 'vitest';
import { asFleetErrors } from '../../src/core/errors.ts';
import { loadYaml } from './files-in-memory.ts';

const INVENTORY = `
server: {hosts: {s1: , s2: , s3: }}
agent: {hosts: {"a[01:04]": }}
eu: {hosts: {s1: , a02: }}
web: {hosts: {web.example.org: , "10.0.0.1": , "fd00::1": }}
parent: {children: {server: , eu: }}
`;

describe('patterns', () => {
  test.each([
    ['all', 'a01 a02 a03 a04 web.example.org 10.0.0.1 fd00::1 s1 s2 s3'],
    ['*', 'a01 a02 a03 a04 web.example.org 10.0.0.1 fd00::1 s1 s2 s3'],
    ['server', 's1 s2 s3'],
    ['s2', 's2'],
    ['server:agent', 's1 s2 s3 a01 a02 a03 a04'],
    ['agent,server', 'a01 a02 a03 a04 s1 s2 s3'],
    ['server:!s2', 's1 s3'],
    ['!server:!agent:!web', ''],
    ['all:&eu', 'a02 s1'],
    ['&eu:!agent', 's1'],
    ['!s2:server', 's1 s3'],
    ['server[0]', 's1'],
    ['server[-1]', 's3'],
    ['server[1:]', 's2 s3'],
    ['agent[0:2]', 'a01 a02 a03'],
    ['a0*', 'a01 a02 a03 a04'],
    ['a0[!13]', 'a02 a04'],
    ['ser*:a01', 's1 s2 s3 a01'],
    ['~s[12]', 's1 s2'],
    ['~(s|a)\\d+', 'a01 a02 a03 a04 s1 s2 s3'],
    ['web.example.org', 'web.example.org'],
    ['*.example.org', 'web.example.org'],
    ['10.0.0.1', '10.0.0.1'],
    ['fd00::1', 'fd00::1'],
    ['parent', 's1 s2 s3 a02'],
    [' server , a01 ', 's1 s2 s3 a01'],
    ['s?', 's1 s2 s3'],
  ])('%s', async (pattern, expected) => {
    const fleet = await loadYaml(INVENTORY);
    expect(
      fleet
        .select(pattern)
        .map((host) => host.name)
        .join(' '),
    ).toBe(expected);
  });

  test.each([
    ['nobody', 'HOSTS_UNKNOWN'],
    ['server:nobody', 'HOSTS_UNKNOWN'],
    ['x*', 'HOSTS_UNKNOWN'],
    ['server[9]', 'HOSTS_PATTERN'],
    ['~(', 'HOSTS_PATTERN'],
  ])('%s is refused', async (pattern, code) => {
    const fleet = await loadYaml(INVENTORY);
    try {
      fleet.select(pattern);
      expect.unreachable();
    } catch (error) {
      expect(asFleetErrors(error)[0].code).toBe(code);
    }
  });
});
