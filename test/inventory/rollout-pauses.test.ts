import { describe, expect, it } from 'vitest';
import { parsePause, type RolloutPause } from '../../src/inventory/rollout-pauses.ts';
import { settingsOf } from '../../src/inventory/settings.ts';

import { nodesOf } from '../k3s/inventory-of.ts';

describe('the length of a pause', () => {
  it.each<[string, RolloutPause | undefined]>([
    ['10m', { asks: false, durationMs: 600_000 }],
    ['30s', { asks: false, durationMs: 30_000 }],
    [' 2h ', { asks: false, durationMs: 7_200_000 }],
    ['ask', { asks: true, durationMs: undefined }],
    ['ask 10m', { asks: true, durationMs: 600_000 }],
    ['', undefined],
    ['10', undefined],
    ['10 m', undefined],
    ['1h30m', undefined],
    ['asks', undefined],
    ['forever', undefined],
  ])('%j', (text, expected) => {
    expect(parsePause(text)).toEqual(expected);
  });
});

describe('in an inventory', () => {
  const settings = async (vars: Readonly<Record<string, unknown>>) => {
    const view = await nodesOf({ servers: ['s1'], vars });
    return () => settingsOf(view('s1'));
  };

  it('windows and pauses are read', async () => {
    const read = await settings({
      canary: ['s1'],
      pause_after: { canary: '10m', servers: 'ask' },
      maintenance_window: ['Sat 02:00-05:00 Europe/Berlin', '01:00-02:00'],
    });
    expect(read().pauseAfter).toEqual({
      canary: { asks: false, durationMs: 600_000 },
      servers: { asks: true, durationMs: undefined },
    });
    expect(read().maintenanceWindows.map(({ text }) => text)).toEqual([
      'Sat 02:00-05:00 Europe/Berlin',
      '01:00-02:00',
    ]);
  });

  it.each<[Readonly<Record<string, unknown>>, RegExp]>([
    [{ maintenance_window: 'Sat 02:00' }, /"maintenance_window": "Sat 02:00" is no time of the week/],
    [{ pause_after: { servers: 'soon' } }, /"pause_after": "soon" is no length of a pause/],
    [{ pause_after: { agents: '10m' } }, /"pause_after": "agents" is nothing to pause after/],
    [{ pause_after: { canary: '10m' } }, /it pauses after the canary, and there is none/],
  ])('%j is refused', async (vars, because) => {
    const read = await settings(vars);
    expect(read).toThrow(because);
  });
});
