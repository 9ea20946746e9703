import { describe, expect, test } from 'vitest';
import type { Event } from '../../src/engine/event.ts';
import { createPalette } from '../../src/ui/color.ts';
import { countPlan, planView } from '../../src/ui/plan-view.ts';
import { recordedPlan, stamp } from './recorded-run.ts';

const palette = createPalette(false);

describe('a plan', () => {
  test('shows hosts with equal changes together, with reason, difference and actions', () => {
    expect(planView(recordedPlan, palette)).toContain(`  ~ k3s config  server1, server2
      the file differs
      /etc/rancher/k3s/config.yaml
          a: 1
        - b: 2
        + b: 22
          c: 3
      does: write /etc/rancher/k3s/config.yaml; restart k3s`);
  });

  test('marks what is new, and what only an earlier change makes known', () => {
    expect(planView(recordedPlan, palette)).toContain(
      '  + k3s config  server3\n      it joins with the token of server1 (known after apply)\n',
    );
  });

  test('shows what is refused, once, with the fix', () => {
    const text = planView(recordedPlan, palette);
    expect(text.match(/PLAN_REFUSED/g)).toHaveLength(1);
    expect(text).toContain('  ! k3s config  server4');
    expect(text).toContain('fix: Set k3s_version to v1.34.0+k3s1 or newer.');
  });

  test('ends with what it comes to', () => {
    expect(countPlan(recordedPlan)).toEqual({ toChange: 3, hostsToChange: 3, unchanged: 1, failed: 1 });
    expect(planView(recordedPlan, palette)).toMatch(
      /\nPlan: 3 to change on 3 hosts, 1 unchanged, 1 failed\.$/,
    );
  });

  test('of nothing is one sentence', () => {
    const nothing: Event = {
      kind: 'task-finished',
      play: 'p',
      host: 'h',
      task: 't',
      step: 's',
      status: 'unchanged',
      because: 'it is so',
      durationMs: 0,
    };
    expect(planView(stamp([nothing, nothing]), palette)).toBe('Nothing to change. 2 checked.');
  });

  test('begins with the order of work: what, where, why, what is noticed and what is waited for', () => {
    const waves: Event = {
      kind: 'waves-planned',
      play: 'Servers and agents',
      waves: [
        {
          number: 1,
          wave: 'restart',
          hosts: ['server1'],
          because: 'what it runs with changes',
          awaits: ['server1 Ready', '/readyz ok on server1, server2'],
          disruption: 'the API of server1 is away for some seconds; server2 serves',
        },
        { number: 2, wave: 'live', hosts: ['a', 'b'], because: 'no restart', awaits: [], disruption: 'none' },
      ],
      leftOut: [{ host: 'c', because: 'it does not answer' }],
      strangers: ['old'],
    };
    expect(planView(stamp([waves]), palette)).toBe(`Order of work (Servers and agents)
  1. restart  server1
     what it runs with changes
     notice: the API of server1 is away for some seconds; server2 serves
     then waits for: server1 Ready; /readyz ok on server1, server2
  2. live  a, b
     no restart
  left out: c: it does not answer
  not in the inventory: old; left alone

Nothing to change. 0 checked.`);
  });

  test('names a host that could not be looked at', () => {
    const lost: Event = {
      kind: 'host-failed',
      host: 'agent7',
      error: { code: 'HOST_UNREACHABLE', message: 'no answer from 10.0.0.7:22', host: 'agent7' },
    };
    const text = planView(stamp([lost]), palette);
    expect(text).toContain('error[HOST_UNREACHABLE] agent7: no answer from 10.0.0.7:22');
    expect(text).toContain('1 failed');
  });
});
