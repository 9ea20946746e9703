import { describe, expect, it } from 'vitest';
import { asFleetErrors, FleetError, FleetErrors, formatPlace } from '../../src/core/errors.ts';

const place = { file: 'inventory.yml', line: 3, column: 7 };

describe('a place', () => {
  it.each([
    [{ file: 'a.yml' }, 'a.yml'],
    [{ file: 'a.yml', line: 3 }, 'a.yml:3'],
    [place, 'inventory.yml:3:7'],
  ])('reads as editors understand it', (where, text) => {
    expect(formatPlace(where)).toBe(text);
  });
});

describe('an error', () => {
  const bare = new FleetError({ code: 'X', message: 'wrong' });

  it('blames the run unless it says otherwise', () => {
    expect(bare.blame).toBe('run');
    expect(new FleetError({ code: 'X', message: 'm', blame: 'usage' }).blame).toBe('usage');
  });

  it('as plain data holds what is known and nothing else', () => {
    expect(bare.toFault()).toEqual({ code: 'X', message: 'wrong', blame: 'run' });
    const full = {
      code: 'X',
      message: 'm',
      fix: 'f',
      host: 'h',
      step: 's',
      where: place,
      blame: 'usage',
    } as const;
    expect(new FleetError(full).toFault()).toEqual(full);
  });

  it('takes host, step and place from around it where it has none of its own', () => {
    const cause = new Error('why');
    const own = new FleetError({ code: 'X', message: 'wrong', host: 'mine' }, { cause });
    const within = own.within({ host: 'other', step: 'copy', where: place });
    expect(within.toFault()).toMatchObject({ host: 'mine', step: 'copy', where: place });
    expect(within.cause).toBe(cause);
  });
});

describe('several errors', () => {
  const [a, b] = [new FleetError({ code: 'A', message: 'a' }), new FleetError({ code: 'B', message: 'b' })];

  it('are thrown together, one alone as itself, none not at all', () => {
    expect(() => FleetErrors.throwIfAny([])).not.toThrow();
    expect(() => FleetErrors.throwIfAny([a])).toThrow(a);
    try {
      FleetErrors.throwIfAny([a, b]);
      expect.unreachable();
    } catch (thrown) {
      expect(asFleetErrors(thrown)).toEqual([a, b]);
      expect(String(thrown)).toContain('a\nb');
    }
  });
});

describe('whatever is thrown', () => {
  it.each<unknown>([new TypeError('x is undefined'), 'x is undefined', { toString: () => 'x is undefined' }])(
    'and is no error of ours becomes a defect that asks for a report',
    (thrown) => {
      const [error] = asFleetErrors(thrown);
      expect(error).toMatchObject({ code: 'INTERNAL', blame: 'fleet', cause: thrown });
      expect(error.message).toContain('x is undefined');
      expect(error.fix).toContain('FLEET_DEBUG');
    },
  );
});
