import { describe, expect, test } from 'vitest';
import type { Event } from '../../src/engine/event.ts';
import { htmlReport } from '../../src/ui/html.ts';
import { recordedRun, stamp } from './recorded-run.ts';

describe('the HTML report', () => {
  test('has the outcome, every failure with its fix, the changes and the hosts', () => {
    const html = htmlReport(recordedRun);
    expect(html).toContain('<title>fleet up: failed</title>');
    expect(html).toContain('no room for 68 MB under /usr/local/bin');
    expect(html).toContain('k3s service');
    expect(html).toContain('<th>server2</th>');
  });

  test('stands alone: it fetches nothing and runs nothing', () => {
    const html = htmlReport(recordedRun);
    expect(html).not.toMatch(/<script|<link|<img|src=|@import|url\(/);
    expect(html).toContain("default-src 'none'");
  });

  test('lets nothing from outside become markup', () => {
    const evil = `"><script>alert(1)</script><img src=x onerror='alert(1)'>&\u001b[31m`;
    const task = { play: evil, host: evil, task: evil, step: evil, item: evil };
    const events: Event[] = [
      { kind: 'run-started', run: evil, command: evil, mode: 'apply', sources: [evil], hosts: 1 },
      { kind: 'play-started', play: evil, hosts: [evil], mode: 'apply' },
      {
        kind: 'task-finished',
        ...task,
        status: 'failed',
        because: evil,
        actions: [evil],
        output: evil,
        diff: [{ subject: evil, before: `${evil}\n`, after: `${evil}!\n` }],
        durationMs: 10,
      },
      {
        kind: 'host-failed',
        host: evil,
        error: { code: evil, message: evil, fix: evil, step: evil, where: { file: evil } },
      },
      {
        kind: 'run-finished',
        status: 'failed',
        hosts: { [evil]: { unchanged: 0, changed: 0, skipped: 0, failed: 1, ignored: 0, roundTrips: 1 } },
        durationMs: 10,
      },
    ];
    const html = htmlReport(stamp(events));
    expect(html).not.toMatch(/<script|<img|\u001b/);
    // Every attribute that holds foreign text is closed where we close it.
    expect(html).not.toMatch(/title="[^"]*"[^\s>]/);
  });

  test('of a journal that was broken off is still a page', () => {
    expect(htmlReport(recordedRun.slice(0, 9))).toContain('broken off');
    expect(htmlReport([])).toContain('broken off');
  });
});
