import { describe, expect, test } from 'vitest';
import type { Event } from '../../src/engine/event.ts';
import { createPalette } from '../../src/ui/color.ts';
import { PlainRenderer } from '../../src/ui/plain.ts';
import { Collected } from './collect.ts';
import { recordedRun, stamp } from './recorded-run.ts';

function drawn(events = recordedRun, options: { verbose?: boolean; diff?: boolean } = {}): string {
  const out = new Collected();
  const renderer = new PlainRenderer({
    out,
    palette: createPalette(false),
    verbose: false,
    diff: false,
    ...options,
  });
  for (const event of events) renderer.handle(event);
  return out.text;
}

describe('plain lines', () => {
  test('tell what changes and why, on the line of its host', () => {
    const text = drawn();
    expect(text).toContain('server1: Install k3s v1.33.1+k3s1: changed (3.2s): v1.32.4+k3s1 is installed\n');
    expect(text).toContain(
      'server1: k3s service: waiting for server1 to be Ready: it is NotReady (gives up after 5m)\n',
    );
  });

  test('end with the error, its place, its fix, the recap and how it ended', () => {
    const [, end = ''] = drawn().split('\nRecap\n');
    expect(end).toContain(
      'error[DISK_FULL] server3, Install k3s v1.33.1+k3s1: no room for 68 MB under /usr/local/bin\n' +
        '  at: playbooks/site.yml:12:5\n' +
        '  fix: Free some space: df -h /usr/local/bin\n',
    );
    expect(end.match(/error\[/g)).toHaveLength(1);
    expect(end).toMatch(/server1 {2}0 unchanged {2}2 changed {2}0 failed/);
    expect(end).toMatch(/\nFailed \(2 changed, 1 of 3 hosts failed, 18s\)\n$/);
  });

  test('show what a failed command printed', () => {
    expect(drawn()).toContain('    | cat: write error: No space left on device\n');
  });

  test('pass over what is as it should be, but for --verbose', () => {
    expect(drawn()).not.toContain('server2: Install');
    expect(drawn(recordedRun, { verbose: true })).toContain('server2: Install k3s v1.33.1+k3s1: unchanged');
  });

  test('have no escape sequences without colour', () => {
    expect(drawn()).not.toContain('\u001b');
  });

  test('mention a wait that goes on only now and then', () => {
    const waiting: Event = {
      kind: 'task-waiting',
      play: 'p',
      host: 'h',
      task: 't',
      step: 's',
      what: 'h to be Ready',
      reason: 'not yet',
      deadlineMs: 300_000,
    };
    const text = drawn(stamp(Array.from({ length: 65 }, () => waiting)));
    expect(text.match(/waiting for/g)).toHaveLength(3);
  });

  test('neutralise escape sequences and forged lines in everything that comes from outside', () => {
    const evil = 'x\u001b[2J\u009b31m\u202e\nserver2: k3s: changed: all is well';
    const events: Event[] = [
      { kind: 'run-started', run: evil, command: evil, mode: 'apply', sources: [evil], hosts: 1 },
      { kind: 'host-lost', host: evil, reason: evil },
      { kind: 'play-started', play: evil, hosts: [evil], mode: 'apply' },
      { kind: 'batch-started', play: evil, hosts: [evil], number: 1, of: 2 },
      {
        kind: 'waves-planned',
        play: evil,
        waves: [
          { number: 1, wave: evil, hosts: [evil], because: evil, awaits: [evil], disruption: evil },
          { number: 2, wave: evil, hosts: [evil], because: evil, awaits: [], disruption: 'none' },
        ],
        leftOut: [{ host: evil, because: evil }],
        strangers: [evil],
      },
      { kind: 'wave-started', play: evil, wave: evil, hosts: [evil], because: evil, number: 1, of: 2 },
      {
        kind: 'wave-waiting',
        play: evil,
        number: 1,
        host: evil,
        what: evil,
        reason: evil,
        deadlineMs: 1000,
      },
      { kind: 'task-started', play: evil, host: evil, task: evil, step: evil, because: evil },
      {
        kind: 'task-waiting',
        play: evil,
        host: evil,
        task: evil,
        step: evil,
        what: evil,
        reason: evil,
        deadlineMs: 1000,
      },
      { kind: 'task-progress', play: evil, host: evil, task: evil, step: evil, item: evil, text: evil },
      {
        kind: 'task-finished',
        play: evil,
        host: evil,
        task: evil,
        step: evil,
        status: 'failed',
        because: evil,
        error: { code: evil, message: evil, fix: evil, host: evil, step: evil, where: { file: evil } },
        diff: [{ subject: evil, before: evil, after: `${evil}!` }],
        durationMs: 1,
      },
      { kind: 'warning', code: evil, message: evil, fix: evil, where: { file: evil, line: 1 } },
      { kind: 'host-failed', host: evil, error: { code: evil, message: evil } },
      { kind: 'run-failed', error: { code: evil, message: evil } },
      { kind: 'interrupted', running: [evil] },
      {
        kind: 'run-finished',
        status: 'failed',
        hosts: { [evil]: { unchanged: 0, changed: 0, skipped: 0, failed: 1, ignored: 0, roundTrips: 1 } },
        durationMs: 1,
      },
    ];
    const text = drawn(stamp(events), { verbose: true, diff: true });
    expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(text).toContain('\\u001b[2J');
    expect(text).not.toMatch(/^server2: k3s: changed/m);
  });
});
