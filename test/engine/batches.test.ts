import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batchesOf, batchSize } from '../../src/engine/batches.ts';

const hosts = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

describe('serial', () => {
  it('without a size works on all hosts at once', () => {
    expect(batchesOf([1, 2, 3], [])).toEqual([[1, 2, 3]]);
    expect(batchesOf([], [])).toEqual([]);
  });

  it('repeats the last size until no host is left', () => {
    expect(batchesOf(hosts(7), [1, 2]).map((batch) => batch.length)).toEqual([1, 2, 2, 2]);
  });

  it('takes percentages of all hosts, rounded down, at least one', () => {
    expect(batchesOf(hosts(10), ['25%']).map((batch) => batch.length)).toEqual([2, 2, 2, 2, 2]);
    expect(batchSize('10%', 3)).toBe(1);
  });

  it('takes zero for all', () => {
    expect(batchesOf(hosts(4), [0])).toEqual([hosts(4)]);
  });

  it('refuses what is no size, with the value', () => {
    expect(() => batchSize('half', 4)).toThrow(/"half"/);
  });

  it('loses and repeats no host, whatever the sizes', () => {
    const size = fc.oneof(
      fc.integer({ min: 0, max: 9 }),
      fc.integer({ min: 1, max: 100 }).map((n) => `${n}%`),
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 60 }), fc.array(size, { maxLength: 4 }), (count, serial) => {
        expect(batchesOf(hosts(count), serial).flat()).toEqual(hosts(count));
      }),
    );
  });
});
