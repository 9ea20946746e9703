import { describe, expect, it } from 'vitest';
import { openingAt, parseMaintenanceWindow, sayInstant } from '../../src/inventory/maintenance-window.ts';

function windows(...texts: string[]) {
  return texts.map((text) => parseMaintenanceWindow(text) ?? expect.unreachable(text));
}

/** The opening that counts at an instant, in UTC: `open until …` or `opens …`. */
function at(instant: string, ...texts: string[]): string {
  const now = new Date(instant);
  const opening = openingAt(windows(...texts), now);
  if (opening === undefined) return 'never';
  const isOpen = opening.from <= now;
  return `${isOpen ? 'open until' : 'opens'} ${(isOpen ? opening.until : opening.from).toISOString().slice(0, 16)}`;
}

// 2026-11-21 is a Saturday. Berlin is an hour ahead of UTC in winter and two in summer.
const sat = 'Sat 02:00-05:00 Europe/Berlin';

describe('maintenance windows', () => {
  it.each<[string, string[], string]>([
    ['2026-11-21T00:59:59Z', [sat], 'opens 2026-11-21T01:00'],
    ['2026-11-21T01:00:00Z', [sat], 'open until 2026-11-21T04:00'],
    ['2026-11-21T03:59:59Z', [sat], 'open until 2026-11-21T04:00'],
    ['2026-11-21T04:00:00Z', [sat], 'opens 2026-11-28T01:00'],
    ['2026-07-18T00:30:00Z', [sat], 'open until 2026-07-18T03:00'],
    // Of several the one that is open, or comes next.
    ['2026-11-21T04:00:00Z', [sat, 'Wed 12:00-13:00'], 'opens 2026-11-25T12:00'],
    ['2026-11-25T12:30:00Z', [sat, 'Wed 12:00-13:00'], 'open until 2026-11-25T13:00'],
    // Over midnight: Friday's ends on Saturday morning, and there is none in the night to Sunday.
    ['2026-11-21T05:00:00Z', ['Mon-Fri 22:00-06:00'], 'open until 2026-11-21T06:00'],
    ['2026-11-21T23:00:00Z', ['Mon-Fri 22:00-06:00'], 'opens 2026-11-23T22:00'],
    ['2026-11-22T05:00:00Z', ['Fri 22:00-Sun 06:00'], 'open until 2026-11-22T06:00'],
    ['2026-11-22T06:00:00Z', ['Fri 22:00-Sun 06:00'], 'opens 2026-11-27T22:00'],
    ['2026-11-22T01:00:00Z', ['Sat-Sun 00:00-24:00 UTC'], 'open until 2026-11-23T00:00'],
    ['2026-11-21T12:00:00Z', ['daily 11:30-12:30'], 'open until 2026-11-21T12:30'],
    ['2026-11-21T12:30:00Z', ['11:30-12:30'], 'opens 2026-11-22T11:30'],
    // On the far side of the date line it is Saturday already.
    ['2026-11-20T14:00:00Z', ['Saturday 02:00-05:00 Pacific/Kiritimati'], 'open until 2026-11-20T15:00'],
    // Clocks go forward from 02:00 to 03:00, and back from 03:00 to 02:00.
    ['2026-03-29T00:30:00Z', ['Sun 02:30-04:00 Europe/Berlin'], 'opens 2026-03-29T01:30'],
    ['2026-10-25T00:00:00Z', ['Sun 02:30-04:00 Europe/Berlin'], 'opens 2026-10-25T01:30'],
    ['2026-10-25T02:30:00Z', ['Sun 02:30-04:00 Europe/Berlin'], 'open until 2026-10-25T03:00'],
  ])('%s of %j: %s', (now, texts, expected) => {
    expect(at(now, ...texts)).toBe(expected);
  });

  it.each([
    '',
    'Sat',
    'Sat 02:00',
    'Sat 2-5',
    'Sat 02:00-25:00',
    'Sat 02:60-03:00',
    'Sat 24:00-03:00',
    'Xxx 02:00-05:00',
    'Sa 02:00-05:00',
    'Mon-Fri 22:00-Sun 06:00',
    'Sat 02:00-05:00 Europe/Berlim',
    'daily-Fri 02:00-05:00',
  ])('%j is none', (text) => {
    expect(parseMaintenanceWindow(text)).toBeUndefined();
  });

  it('an instant is said by the clock of the place', () => {
    expect(sayInstant(new Date('2026-11-28T01:00:00Z'), 'Europe/Berlin')).toBe(
      'Sat 2026-11-28 02:00 Europe/Berlin',
    );
  });
});
