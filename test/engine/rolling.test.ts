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

  it('a wave that must not begin now ends the run before it; a plan shows all of them, and says so', async () => {
    const where = await here();
    const error = new FleetError({ code: 'OUTSIDE_WINDOW', message: 'not at this time', fix: 'Wait.' });
    const all = new InOrder(['a', 'b', 'c']);
    const untilA: WaveSource = {
      look: () => all.look(),
      gates: () => [],
      next: async (outlook) => {
        const decided = await all.next(outlook);
        if (decided.verdict === 'stop') return decided;
        const held = decided.waves.find(({ hosts: [name] }) => name !== 'a');
        return held === undefined ? decided : { ...decided, held: { wave: held, error } };
      },
    };
    const seen = await planned(where, rolling(once), { hosts, waves: untilA });
    expect(seen.result.status).toBe('would-change');
    expect(seen.tasks).toEqual(['a Once would-change', 'b Once would-change', 'c Once would-change']);
    expect(only(seen.events, 'warning')).toMatchObject([{ code: 'OUTSIDE_WINDOW', fix: 'Wait.' }]);
    const { result, events } = await applied(where, rolling(once), { hosts, waves: untilA });
    expect(result.status).toBe('failed');
    expect(only(events, 'run-failed')[0]?.error).toMatchObject({ code: 'OUTSIDE_WINDOW', fix: 'Wait.' });
    expect(order(where.folder)).toEqual(['a']);
  });

  describe('pauses behind a wave', () => {
    const pausing = (pause: NonNullable<Wave['pause']>): WaveSource => {
      const all = new InOrder(['a', 'b']);
      return {
        look: () => all.look(),
        gates: () => [],
        next: async (outlook) => {
          const decided = await all.next(outlook);
          if (decided.verdict === 'stop') return decided;
          return {
            ...decided,
            waves: decided.waves.map((one) => (one.hosts.includes('a') ? { ...one, pause } : one)),
          };
        },
      };
    };
    const two = { hosts: ['a', 'b'] };
    const after = 'the canary a';

    it.each<[string, NonNullable<Wave['pause']>, boolean | undefined, string[], string]>([
      ['a time', { after, asks: false, durationMs: 1 }, undefined, ['a', 'b'], 'changed'],
      ['yes', { after, asks: true, durationMs: undefined }, true, ['a', 'b'], 'changed'],
      ['no', { after, asks: true, durationMs: 1 }, false, ['a'], 'PAUSED'],
      [
        'a time where nobody can be asked',
        { after, asks: true, durationMs: 1 },
        undefined,
        ['a', 'b'],
        'changed',
      ],
      ['the end, without either', { after, asks: true, durationMs: undefined }, undefined, ['a'], 'PAUSED'],
    ])('%s', async (_what, pause, answer, done, ending) => {
      const where = await here();
      const questions: string[] = [];
      const { result, events } = await applied(where, rolling(once), {
        ...two,
        waves: pausing(pause),
        ...(answer === undefined
          ? {}
          : {
              confirmPause: async (question) => {
                questions.push(question);
                return answer;
              },
            }),
      });
      expect(order(where.folder)).toEqual(done);
      const [failed] = only(events, 'run-failed');
      expect(failed?.error.code ?? result.status).toBe(ending);
      expect(questions).toEqual(answer === undefined ? [] : ['Paused after the canary a. Go on?']);
      expect(only(events, 'wave-paused').map((event) => event.after)).toEqual([after]);
      // Run again it goes on: who is done has no wave any more.
      const again = await applied(where, rolling(once), { ...two, waves: pausing(pause) });
      expect(order(where.folder)).toEqual(['a', 'b']);
      expect(only(again.events, 'wave-paused')).toEqual([]);
    });

    it('not behind a wave that failed, and Ctrl-C ends it', async () => {
      const where = await here();
      const broken = rolling('- name: Breaks\n  command: "false"');
      const pause = { after, asks: false, durationMs: 3_600_000 };
      const failed = await applied(where, broken, { ...two, waves: pausing(pause) });
      expect(only(failed.events, 'wave-paused')).toEqual([]);
      const control = new AbortController();
      const { result } = await applied(where, rolling(once), {
        ...two,
        waves: pausing(pause),
        signal: control.signal,
        onEvent: ({ kind }) => void (kind === 'wave-paused' && control.abort('graceful')),
      });
      expect(result.status).toBe('interrupted');
      expect(order(where.folder)).toEqual(['a']);
    });
  });

  it('is refused where no source of waves is', async () => {
    const { result, events } = await applied(await here(), rolling(once));
    expect(result.status).toBe('failed');
    expect(only(events, 'run-failed')[0]?.error.code).toBe('NO_WAVES');
  });
});

describe('a rolling play behind others', () => {
  const earlier = (tasks: string): string => play(tasks).replace('name: Play', 'name: Before');
  const marks = earlier(`
- name: Mark
  command: {cmd: "sh -c 'echo before >> {{ playbook_dir }}/order; touch {{ playbook_dir }}/before'", creates: "{{ playbook_dir }}/before"}
`);
  const refusing = (more: Partial<Stop> = {}): WaveSource & { asked: number } => ({
    asked: 0,
    look: () => new Map(),
    gates: () => [],
    async next() {
      this.asked += 1;
      const error = new FleetError({ code: 'QUORUM_AT_RISK', message: 'not now', fix: 'Wait.' });
      return { verdict: 'stop', failed: [], error, ...more };
    },
  });

  it('is refused before they change anything', async () => {
    const where = await here();
    const { result, events } = await applied(where, marks + rolling(once), { hosts, waves: refusing() });
    expect(result.status).toBe('failed');
    expect(only(events, 'run-failed')[0]?.error.code).toBe('QUORUM_AT_RISK');
    expect(order(where.folder)).toEqual([]);
  });

  it('is asked behind those that only read: what they find is told first', async () => {
    const where = await here();
    const reads = earlier('- fail: {msg: found}');
    const waves = refusing();
    const { events } = await applied(where, reads + marks + rolling(once), { hosts, waves });
    expect(only(events, 'host-failed').map(({ error }) => error.message)).toEqual([
      'found',
      'found',
      'found',
    ]);
    expect([waves.asked, order(where.folder)]).toEqual([0, []]);
  });

  it('has its say again at its turn where what they do may mend it, or where hosts say it for themselves', async () => {
    for (const more of [{ mayPass: true }, { error: undefined as never }]) {
      const where = await here();
      const waves = refusing(more);
      await applied(where, marks + rolling(once), { waves });
      expect([waves.asked, order(where.folder)]).toEqual([2, ['before']]);
    }
  });

  it('is not looked at twice where nothing was done before its turn, and anew where something was', async () => {
    const where = await here();
    const book = `${marks}${rolling(`${once}\n- set_fact: {told: "{{ inventory_hostname }}"}`)}${play('- debug: {msg: "{{ told }}"}')}`;
    const looks = async (): Promise<readonly unknown[]> => {
      const previews: unknown[] = [];
      const waves = new InOrder(['a']);
      const next = waves.next.bind(waves);
      waves.next = (outlook) => {
        previews.push(outlook.previews[0]);
        return next(outlook);
      };
      const { events } = await applied(where, book, { waves });
      expect(messagesIn(events)).toEqual(['a: a']);
      return previews;
    };
    const [early, atItsTurn] = await looks();
    expect(order(where.folder)).toEqual(['before', 'a']);
    expect(atItsTurn).not.toBe(early);
    const again = await looks();
    expect(again.length).toBe(2);
    expect(again[1]).toBe(again[0]);
  });

  it('sees what earlier plays registered, though they changed nothing', async () => {
    const where = await here();
    await applied(where, marks);
    const book = `${marks}${earlier('- set_fact: {wanted: true}')}${rolling('- copy: {dest: "{{ playbook_dir }}/file", content: x}\n  when: wanted is defined')}`;
    await applied(where, book, { waves: new InOrder(['a']) });
    expect(existsSync(join(where.folder, 'file'))).toBe(true);
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
