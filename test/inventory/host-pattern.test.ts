import { describe, expect, test } from 'vitest';
import { expandHostPattern, HostRangeError } from '../../src/inventory/host-pattern.ts';

describe('ranges', () => {
  test.each([
    ['node', ['node'], undefined],
    ['node[1:3]', ['node1', 'node2', 'node3'], undefined],
    ['n[08:10]', ['n08', 'n09', 'n10'], undefined],
    ['n[1:9:4]-x', ['n1-x', 'n5-x', 'n9-x'], undefined],
    ['[a:c].example', ['a.example', 'b.example', 'c.example'], undefined],
    ['[1:2][a:b]', ['1a', '1b', '2a', '2b'], undefined],
    ['[:2]', ['0', '1', '2'], undefined],
    ['host:22', ['host'], 22],
    ['10.0.0.[1:2]:2222', ['10.0.0.1', '10.0.0.2'], 2222],
    ['[fd00::1]:22', ['fd00::1'], 22],
    ['fd00::1', ['fd00::1'], undefined],
    ['příbor', ['příbor'], undefined],
  ])('%s', (pattern, names, port) => {
    expect(expandHostPattern(pattern)).toEqual(port === undefined ? { names } : { names, port });
  });
  test.each([
    'n[3:1]',
    'n[1:]',
    'n[1:2:0]',
    'n[01:2]',
    'n[1:2',
    'n[x]',
    'n[1:2:3:4]',
    'n[1:99999999]',
    '[1:999][1:999]',
    'n[é:f]',
  ])('%s makes no sense', (pattern) => {
    expect(() => expandHostPattern(pattern)).toThrow(HostRangeError);
  });
});
