import { describe, expect, test } from 'vitest';
import type { Event, StampedEvent } from '../../src/engine/event.ts';
import { createPalette } from '../../src/ui/color.ts';
import { PlayBoard } from '../../src/ui/play-board.ts';
import type { StampedEventOf } from '../../src/ui/renderer.ts';
import { recordedRun, stamp } from './recorded-run.ts';

const palette = createPalette(false);

function boardOf(events: readonly StampedEvent[]): PlayBoard {
  const start = events.find(
    (event): event is StampedEventOf<'play-started'> => event.kind === 'play-started',
  );
  if (start === undefined) throw new Error('no play');
  const last = Date.parse(events.at(-1)?.at ?? '');
  const board = new PlayBoard(start, palette, () => last + 5_000);
  for (const event of events) board.handle(event);
  return board;
}

describe('a play on the terminal', () => {
  test('shows per host what is waited for, and for how long', () => {
    const upTo = recordedRun.findIndex((event) => event.kind === 'task-waiting');
    const board = boardOf(recordedRun.slice(0, upTo + 1));
    expect(board.rows(10)).toEqual([
      {
        state: 'working',
        text: 'server1  6.0s of 5m  k3s service · waiting for server1 to be Ready: it is NotReady',
      },
      { state: 'waiting', text: 'server2  waits' },
      { state: 'waiting', text: 'server3  waits' },
    ]);
    expect(board.title()).toContain('batch 1 of 3');
  });

  test('shows how far an upload is', () => {
    const upTo = recordedRun.findIndex((event) => event.kind === 'task-progress');
    expect(boardOf(recordedRun.slice(0, upTo + 1)).rows(10)[0]?.text).toContain(
      'uploading █████░░░░░ 34.0 MB of 68.0 MB',
    );
  });

  test('leaves behind what changed and what failed, and only that', () => {
    const board = boardOf(recordedRun);
    board.close(Date.parse(recordedRun.at(-1)?.at ?? ''));
    expect(board.rows(10).map(({ state, text }) => `${state} ${text}`)).toEqual([
      'done server1   5.0s  2 changed: Install k3s v1.33.1+k3s1, k3s service',
      'failed server3  Install k3s v1.33.1+k3s1: no room for 68 MB under /usr/local/bin',
    ]);
    expect(board.hasFailed()).toBe(true);
  });

  test('of many hosts never takes more rows than there are, and keeps those that failed', () => {
    const hosts = Array.from({ length: 300 }, (_, index) => `node${index}`);
    const events: Event[] = [
      { kind: 'play-started', play: 'p', hosts, mode: 'apply' },
      ...hosts.map(
        (host): Event => ({ kind: 'task-started', play: 'p', host, task: 't', step: 's', because: 'b' }),
      ),
      { kind: 'host-failed', host: 'node299', error: { code: 'X', message: 'it broke' } },
    ];
    const rows = boardOf(stamp(events)).rows(12);
    expect(rows).toHaveLength(12);
    expect(rows.some(({ text }) => text.includes('node299') && text.includes('it broke'))).toBe(true);
    expect(rows.at(-1)?.text).toBe('and 289 more hosts: 289 at work');
  });
});
