import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FleetError } from '../../src/core/errors.ts';
import { raw } from '../../src/core/shell.ts';
import { waitUntil } from '../../src/engine/action.ts';
import type { Fact } from '../../src/engine/fact.ts';
import type { Outlook, Rollout, Stop, Wave, WaveGate, WaveSource } from '../../src/engine/waves.ts';
import { applied, here, messagesIn, onHost, only, opened, planned, play, tasksIn } from './run-here.ts';

/** Plays with `strategy: rolling`, and a source of waves that is told by the test who is next. */

const hosts = ['a', 'b', 'c'];

const wave = (...names: string[]): Wave => ({
  kind: 'restart',
  hosts: names,
  because: 'it is to be',
  awaits: [`${names.join(', ')} Ready`],
  disruption: 'none',
});

const rollout = (waves: readonly Wave[], more: Partial<Rollout> = {}): Rollout => ({
  verdict: 'waves',
  waves,
  leftOut: [],
  strangers: [],
  failed: [],
  ...more,
});

/** One wave for each host that has something to do or cannot tell yet, in this order; stops as soon as one failed. */
class InOrder implements WaveSource {
  /** What it was shown, per round: hosts with the names of the steps that would act. */
  readonly rounds: string[][] = [];

  constructor(
    private readonly order: readonly string[],
    private readonly gate?: (wave: Wave) => readonly WaveGate[],
    private readonly facts: readonly Fact<unknown>[] = [],
  ) {}

  look(): ReadonlyMap<string, readonly Fact<unknown>[]> {
    return new Map(this.order.map((host) => [host, this.facts]));
  }

  async next({ previews, failed }: Outlook): Promise<Rollout | Stop> {
    this.rounds.push(
      previews.map(({ host, intents, error }) =>
        [host.name, ...intents.map(({ step }) => step), ...(error === undefined ? [] : [error.code])].join(
          ' ',
        ),
      ),
    );
    if (failed.length > 0) return { verdict: 'stop', failed: [] };
    const busy = previews.filter(
      ({ intents, error }) => error !== undefined || intents.some(({ changes }) => changes),
    );
    const names = busy.map(({ host }) => host.name);
    return rollout(this.order.filter((name) => names.includes(name)).map((name) => wave(name)));
  }

  gates(_play: unknown, next: Wave): readonly WaveGate[] {
    return this.gate?.(next) ?? [];
  }
}

const rolling = (tasks: string): string => play(tasks, 'strategy: rolling');

/** Creates a file of the host's own and notes that it did; nothing to do where the file is. */
const once = `
- name: Once
  command: {cmd: "sh -c 'echo {{ inventory_hostname }} >> {{ playbook_dir }}/order; touch {{ playbook_dir }}/did-{{ inventory_hostname }}'", creates: "{{ playbook_dir }}/did-{{ inventory_hostname }}"}
`;

const order = (folder: string): string[] =>
  existsSync(join(folder, 'order')) ? readFileSync(join(folder, 'order'), 'utf8').trimEnd().split('\n') : [];

describe('a rolling play', () => {
  it('goes in the order of the waves, and looks again after each', async () => {
    const where = await here();
    const waves = new InOrder(['c', 'a', 'b']);
    const { result, events } = await applied(where, rolling(once), { hosts, waves });
    expect(result.status).toBe('changed');
    expect(order(where.folder)).toEqual(['c', 'a', 'b']);
    expect(waves.rounds).toEqual([
      ['a command', 'b command', 'c command'],
      ['a command', 'b command'],
      ['b command'],
      [],
    ]);
    expect(
      only(events, 'wave-started').map(({ number, of, hosts: names }) => [number, of, ...names]),
    ).toEqual([
      [1, 3, 'c'],
      [2, 3, 'a'],
      [3, 3, 'b'],
    ]);
    // What was announced came true, so that it was said once.
    expect(
      only(events, 'waves-planned').map(({ waves: told }) => told.map(({ hosts: names }) => names)),
    ).toEqual([[['c'], ['a'], ['b']]]);
  });

  it('a failure ends it where the source says so: no other host is begun, nor a later play', async () => {
    const where = await here();
    const book = `${rolling(`${once}\n- name: Breaks\n  command: "false"\n  when: inventory_hostname == 'b'`)}${play('- debug: {msg: later}')}`;
    const { result, events } = await applied(where, book, { hosts, waves: new InOrder(['a', 'b', 'c']) });
    expect(order(where.folder)).toEqual(['a', 'b']);
    expect([...result.failed.keys()]).toEqual(['b']);
    expect(messagesIn(events)).toEqual([]);
  });

  it('a host that was rescued and then gave up has failed; one that only was rescued has not', async () => {
    const where = await here();
    const book = rolling(`
- block:
    - name: Breaks
      shell: "echo {{ inventory_hostname }} >> {{ playbook_dir }}/order; false"
  rescue:
    - name: Roll back
      debug: {msg: rolled back}
    - name: Give up
      fail: {msg: rolled back and given up}
      when: inventory_hostname == 'b'
`);
    const { result, events } = await applied(where, book, { hosts, waves: new InOrder(['a', 'b', 'c']) });
    expect(order(where.folder)).toEqual(['a', 'b']);
    expect(messagesIn(events)).toEqual(['a: rolled back', 'b: rolled back']);
    expect([...result.failed].map(([host, { message }]) => `${host}: ${message}`)).toEqual([
      'b: rolled back and given up',
    ]);
  });

  it('where nothing is to be done, one trip to each host is made, its questions among the others', async () => {
    const where = await here();
    const fact: Fact<string> = {
      key: 'test:name',
      sh: raw('echo here'),
      parse: ({ stdout }) => stdout.trim(),
    };
    const book = rolling(`
- copy: {dest: "{{ playbook_dir }}/file", content: "x\\n"}
- debug: {msg: "I am {{ inventory_hostname }}"}
- set_fact: {seen: yes}
`);
    await applied(where, book, { waves: new InOrder(['a']) });
    const waves = new InOrder(['a', 'b'], undefined, [fact]);
    const asked: (string | undefined)[] = [];
    const asking: WaveSource = {
      look: () => waves.look(),
      gates: () => [],
      next: async (outlook) => {
        asked.push(await outlook.ask('b', fact));
        return waves.next(outlook);
      },
    };
    const told = await applied(where, `${book}${play('- debug: {msg: "{{ seen }}"}')}`, {
      hosts: ['a', 'b'],
      waves: asking,
    });
    expect(told.result.status).toBe('unchanged');
    expect(asked).toEqual(['here']);
    expect(messagesIn(told.events)).toEqual(['a: I am a', 'b: I am b', 'a: true', 'b: true']);
    const [end] = only(told.events, 'run-finished');
    expect(end?.hosts).toMatchObject({
      a: { unchanged: 4, changed: 0, roundTrips: 1 },
      b: { unchanged: 4, changed: 0, roundTrips: 1 },
    });
  });

  it('a preview leaves no trace: it does nothing, not even with check_mode off, and later tasks see what is', async () => {
    const where = await here();
    const waves = new InOrder(['a']);
    const book = rolling(`
- name: Reads
  shell: "echo {{ inventory_hostname }} >> {{ playbook_dir }}/order; echo real"
  check_mode: false
  changed_when: false
  register: said
- name: File
  copy: {dest: "{{ playbook_dir }}/file", content: "x\\n"}
- debug: {msg: "{{ said.stdout }} {{ ansible_check_mode }}"}
`);
    const { tasks, events } = await applied(where, book, { waves });
    expect(waves.rounds).toEqual([['a shell copy debug'], []]);
    expect(order(where.folder)).toEqual(['a']);
    expect(tasks.toSorted()).toEqual(['a File changed', 'a Reads unchanged', 'a debug unchanged']);
    expect(messagesIn(events)).toEqual(['a: real False']);
  });

  it('hosts that only have something to wait for do it once all waves are done', async () => {
    const where = await here();
    const book = rolling(`${once.replace('name: Once', "name: Once\n  when: inventory_hostname == 'a'")}
- name: Wait
  wait_for: {path: "{{ playbook_dir }}/did-a", timeout: 5}
`);
    const waves = new InOrder(['a', 'b']);
    const { result, tasks } = await applied(where, book, { hosts: ['b', 'a'], waves });
    expect(result.status).toBe('changed');
    expect(tasks.filter((task) => task.includes('Wait'))).toEqual(['a Wait unchanged', 'b Wait unchanged']);
  });

  it('waits behind a wave for what must hold, and says so; a host that never comes to it has failed', async () => {
    const where = await here();
    const marks: Fact<string> = {
      key: 'test:marks',
      sh: raw(`cat ${where.folder}/mark 2> /dev/null; true`),
      parse: ({ stdout }) => stdout,
    };
    const gate = (next: Wave, deadlineMs = 5_000): WaveGate[] =>
      next.hosts.map((host) => ({
        host,
        askedOn: 'a',
        wait: waitUntil({
          what: `${host} to be marked`,
          fact: marks,
          holds: (text) => text.includes(host) || 'it is not',
          deadlineMs,
          everyMs: 20,
        }),
      }));
    const waves = new InOrder(['a', 'b', 'c'], (next) => gate(next, next.hosts.includes('b') ? 100 : 5_000));
    const { result, events } = await applied(where, rolling(once), {
      hosts,
      waves,
      onEvent: (event) => {
        if (event.kind === 'wave-waiting' && event.host === 'a')
          onHost(where, `echo a > ${where.folder}/mark`);
      },
    });
    expect(only(events, 'wave-waiting').map(({ host, what, reason }) => [host, what, reason])).toEqual([
      ['a', 'a to be marked', 'it is not'],
      ['b', 'b to be marked', 'it is not'],
    ]);
    expect(order(where.folder)).toEqual(['a', 'b']);
    expect([...result.failed].map(([host, { code }]) => [host, code])).toEqual([['b', 'WAIT_TIMED_OUT']]);
  });

  it('a refusal of the source is the error of the run, and nothing is done', async () => {
    const where = await here();
    const error = new FleetError({ code: 'QUORUM_AT_RISK', message: 'not now', fix: 'Wait.' });
    const waves: WaveSource = {
      look: () => new Map(),
      gates: () => [],
      next: async () => ({ verdict: 'stop', failed: [], error }),
    };
    for (const run of [planned, applied]) {
      const { result, events } = await run(where, rolling(once), { hosts, waves });
      expect(result.status).toBe('failed');
      expect(only(events, 'run-failed')[0]?.error).toMatchObject({ code: 'QUORUM_AT_RISK', fix: 'Wait.' });
    }
    expect(order(where.folder)).toEqual([]);
  });

  it('hosts that the source gives up are told with why they fail; those it leaves out with the reason', async () => {
    const where = await here();
    const waves: WaveSource = {
      look: () => new Map(),
      gates: () => [],
      next: async ({ previews }) => {
        const broken = previews.filter(({ error }) => error !== undefined).map(({ host }) => host.name);
        return rollout([], { failed: broken, leftOut: [{ host: 'c', because: 'it is away' }] });
      },
    };
    const book = rolling(`- name: Refuses\n  fail: {msg: no}\n  when: inventory_hostname == 'b'`);
    const { result, events, tasks } = await applied(where, book, { hosts, waves });
    expect([...result.failed.keys()]).toEqual(['b']);
    expect(tasks).toEqual(['b Refuses failed', 'a Refuses skipped']);
    expect(only(events, 'warning').map(({ host, message }) => `${host}: ${message}`)).toEqual([
      'c: nothing is done: it is away',
    ]);
  });

  it('a preview takes nothing back: what a rescue would put back was never changed', async () => {
    const where = await here();
    const waves = new InOrder(['a']);
    const book = rolling(`
- block:
    - name: Refuses
      fail: {msg: no}
  rescue:
    - name: Put back
      shell: "echo back >> {{ playbook_dir }}/order"
      when: not ansible_check_mode
`);
    await applied(where, book, { waves });
    expect(waves.rounds).toEqual([['a']]);
    expect(order(where.folder)).toEqual([]);
  });

  it('a wave of hosts that are done is awaited again, but not for ever', async () => {
    const where = await here();
    const seen: number[] = [];
    const again: WaveSource = {
      look: () => new Map(),
      gates: () => [],
      next: async ({ previews }) => {
        seen.push(previews.length);
        return rollout([wave('a')]);
      },
    };
    const { result, events } = await applied(where, rolling(once), { waves: again });
    expect(order(where.folder)).toEqual(['a']);
    expect(seen.length).toBeGreaterThan(2);
    expect(result.status).toBe('failed');
    expect(only(events, 'run-failed')[0]?.error.code).toBe('NOT_SETTLED');
  });

  it('is refused where no source of waves is', async () => {
    const { result, events } = await applied(await here(), rolling(once));
    expect(result.status).toBe('failed');
    expect(only(events, 'run-failed')[0]?.error.code).toBe('NO_WAVES');
  });
});

describe('the plan of a rolling play', () => {
  it('names the waves, then plans the hosts in their order, and is what is then done', async () => {
    const where = await here();
    const waves = new InOrder(['b', 'a']);
    const { run, events } = await opened(where, rolling(once), { hosts: ['a', 'b'], waves });
    await run.plan();
    expect(order(where.folder)).toEqual([]);
    expect(only(events, 'waves-planned')[0]?.waves).toMatchObject([
      { number: 1, wave: 'restart', hosts: ['b'], awaits: ['b Ready'] },
      { number: 2, hosts: ['a'] },
    ]);
    expect(tasksIn(events)).toEqual(['b Once would-change', 'a Once would-change']);
    const { status } = await run.apply();
    expect(status).toBe('changed');
    expect(order(where.folder)).toEqual(['b', 'a']);
  });

  it('of nothing to do names no wave', async () => {
    const where = await here();
    await applied(where, rolling(once), { hosts, waves: new InOrder(hosts) });
    const { result, events } = await planned(where, rolling(once), { hosts, waves: new InOrder(hosts) });
    expect(result.status).toBe('unchanged');
    expect(only(events, 'waves-planned')).toEqual([]);
  });
});

describe('hosts that may be down', () => {
  it('are named, and the run goes on and succeeds without them', async () => {
    const where = await here();
    const { result, events } = await applied(where, rolling(once), {
      hosts,
      waves: new InOrder(hosts),
      unreachable: ['b'],
      mayBeDown: ['b'],
    });
    expect(result.status).toBe('changed');
    expect(order(where.folder)).toEqual(['a', 'c']);
    expect(only(events, 'warning').map(({ host }) => host)).toEqual(['b']);
    expect(only(events, 'host-failed')).toEqual([]);
  });
});
