import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Type } from '@sinclair/typebox';
import { describe, expect, it } from 'vitest';
import { raw, sh } from '../../src/core/shell.ts';
import type { StampedEvent } from '../../src/engine/event.ts';
import { ask, type Fact } from '../../src/engine/fact.ts';
import { type AnyStep, change, defineStep, refuse, unchanged } from '../../src/engine/step.ts';
import { doorAt } from '../fleet/awaited.ts';
import {
  applied,
  type Here,
  here,
  isIsolated,
  messagesIn,
  onHost,
  only,
  opened,
  planned,
  play,
  tasksIn,
} from './run-here.ts';

const copies = (count: number): string =>
  Array.from(
    { length: count },
    (_, index) =>
      `- name: File ${index}\n  copy: {dest: "{{ playbook_dir }}/{{ inventory_hostname }}-${index}", content: "x\\n"}`,
  ).join('\n');

/** A task that notes in one file, which tells the order, that it ran. It is begun and ended by itself, not with its neighbours. */
const note = (name: string, more = ''): string =>
  `- name: ${name}\n  shell: "echo {{ inventory_hostname }} ${name} >> {{ playbook_dir }}/order"\n  changed_when: rc == 0${more.replace(/^(?=.)/gm, '\n  ').replaceAll('\n\n', '\n')}`;

const fails = '- name: Fails\n  command: "false"';

function order(folder: string): string[] {
  const path = join(folder, 'order');
  return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n') : [];
}

function tripsOf(told: Awaited<ReturnType<typeof applied>>, host = 'a'): number | undefined {
  return only(told.events, 'run-finished')[0]?.hosts[host]?.roundTrips;
}

describe('a run', () => {
  it('tells what it does, in order, from the first event to the last', async () => {
    const where = await here();
    const { result, events } = await applied(where, play(copies(1)));
    expect(events.map(({ kind }) => kind)).toEqual([
      'run-started',
      'host-connected',
      'look-finished',
      'play-started',
      'task-started',
      'task-finished',
      'run-finished',
    ]);
    expect(only(events, 'run-finished')[0]).toMatchObject({
      status: 'changed',
      hosts: { a: { changed: 1, failed: 0 } },
    });
    expect([result.status, result.changed, result.failed.size]).toEqual(['changed', 1, 0]);
  });

  it('works through tasks in the order in which they are written, the second play after the first', async () => {
    const where = await here();
    const one = play([note('one'), copies(2), note('two')].join('\n'));
    const { tasks } = await applied(where, `${one}${play(note('three'))}`);
    expect(order(where.folder)).toEqual(['a one', 'a two', 'a three']);
    expect(tasks).toEqual([
      'a one changed',
      'a File 0 changed',
      'a File 1 changed',
      'a two changed',
      'a three changed',
    ]);
  });

  it('again changes nothing: no file is touched, one trip is made', async () => {
    const where = await here();
    await applied(where, play(copies(5)));
    const past = new Date('2020-01-01');
    for (const name of readdirSync(where.folder)) utimesSync(join(where.folder, name), past, past);
    const again = await applied(where, play(copies(5)));
    expect(again.result.status).toBe('unchanged');
    expect(new Set(again.tasks.map((task) => task.split(' ').at(-1)))).toEqual(new Set(['unchanged']));
    expect(tripsOf(again)).toBe(1);
    for (let index = 0; index < 5; index += 1)
      expect(statSync(join(where.folder, `a-${index}`)).mtime).toEqual(past);
  });

  it('sends neighbouring changes in one trip: twenty cost as many as one', async () => {
    const one = await applied(await here(), play(copies(1)));
    const twenty = await applied(await here(), play(copies(20)));
    expect(tripsOf(twenty)).toBe(tripsOf(one));
    expect(only(twenty.events, 'look-finished')).toHaveLength(1);
  });

  it('sends commands that never count as a change in one trip too', async () => {
    const commands = (count: number): string =>
      Array.from({ length: count }, () => '- command: "true"\n  changed_when: false').join('\n');
    const one = await applied(await here(), play(commands(1)));
    const twenty = await applied(await here(), play(commands(20)));
    expect(tripsOf(twenty)).toBe(tripsOf(one));
    expect(twenty.result.status).toBe('unchanged');
  });

  it('on hosts that cannot be reached fails there alone, before any task', async () => {
    const { result, tasks, events } = await applied(await here(), play(copies(1)), {
      hosts: ['a', 'gone'],
      unreachable: ['gone'],
    });
    expect(tasks).toEqual(['a File 0 changed']);
    expect([...result.failed].map(([host, { message }]) => `${host}: ${message}`)).toEqual([
      expect.stringContaining('gone: '),
    ]);
    expect(only(events, 'host-failed')[0]).toMatchObject({ host: 'gone', error: { host: 'gone' } });
  });
});

describe('a plan', () => {
  it('changes nothing, and says what would be', async () => {
    const where = await here();
    const { result, tasks, events } = await planned(where, play(`${copies(2)}\n${note('one')}`));
    expect(readdirSync(where.folder)).toEqual(['site.yml']);
    expect(result.status).toBe('would-change');
    expect(tasks).toEqual(['a File 0 would-change', 'a File 1 would-change', 'a one would-change']);
    expect(only(events, 'task-finished')[0]).toMatchObject({
      actions: [expect.stringContaining('write ')],
      diff: [{ after: 'x\n' }],
    });
    expect(only(events, 'task-started')).toEqual([]);
  });

  it('foresees what earlier tasks leave to later ones', async () => {
    const tasks = `
- name: Folder
  file: {path: "{{ playbook_dir }}/new", state: directory}
- name: File in it
  copy: {dest: "{{ playbook_dir }}/new/file", content: "one\\n"}
- name: Line in that
  lineinfile: {path: "{{ playbook_dir }}/new/file", line: one}
- name: Another line
  lineinfile: {path: "{{ playbook_dir }}/new/file", line: two}
`;
    const where = await here();
    const plan = await planned(where, play(tasks));
    expect(plan.tasks).toEqual([
      'a Folder would-change',
      'a File in it would-change',
      'a Line in that unchanged',
      'a Another line would-change',
    ]);
    expect(plan.result.failed.size).toBe(0);
    const done = await applied(where, play(tasks));
    expect(done.tasks).toEqual(plan.tasks.map((task) => task.replace('would-change', 'changed')));
  });

  it('says what only an earlier change makes known', async () => {
    const tasks = `
- name: Ask
  command: echo yes
  register: answer
- name: Depends
  copy: {dest: "{{ playbook_dir }}/{{ answer.stdout }}", content: x}
- name: Depends too
  debug: {msg: hello}
  when: answer.stdout == 'yes'
- name: Includes
  include_tasks: more.yml
  when: answer.stdout == 'yes'
`;
    const where = await here({ 'more.yml': copies(1) });
    const { events, tasks: told, result } = await planned(where, play(tasks));
    expect(result.failed.size, JSON.stringify(told)).toBe(0);
    expect(only(events, 'task-finished').slice(1, 3)).toEqual([
      expect.objectContaining({ task: 'Depends', status: 'would-change', knownAfterApply: true }),
      expect.objectContaining({ task: 'Depends too', knownAfterApply: true }),
    ]);
  });

  it('can be applied: what it saw is not asked again', async () => {
    const where = await here();
    const { run, events } = await opened(where, play(copies(1)));
    expect((await run.plan()).status).toBe('would-change');
    expect((await run.apply()).status).toBe('changed');
    expect(only(events, 'look-finished')).toHaveLength(1);
    expect(readFileSync(join(where.folder, 'a-0'), 'utf8')).toBe('x\n');
  });

  it('runs what is marked with check_mode: false, for later tasks to build on', async () => {
    const where = await here();
    const tasks = `${note('real')}\n  check_mode: false\n- command: echo 5\n  check_mode: false\n  register: five\n- debug: {msg: "{{ five.stdout }}"}`;
    const { events } = await planned(where, play(tasks));
    expect(order(where.folder)).toEqual(['a real']);
    expect(messagesIn(events)).toEqual(['a: 5']);
  });
});

const answerOf = (path: string): Fact<string> => ({
  key: `test:${path}`,
  sh: sh`cat ${path} 2> /dev/null; true`,
  parse: ({ stdout }) => stdout.trim(),
});
const testArgs = Type.Object(
  { path: Type.String({ description: 'A path.' }) },
  { additionalProperties: false },
);

/** Promises that a file says "done", and does not keep it. */
const futile: AnyStep = defineStep<typeof testArgs, { text: string }>({
  name: 'futile',
  summary: 'Acts without effect.',
  args: testArgs,
  examples: ['- futile: {path: /x}'],
  look: ({ path }) => ({ text: ask(answerOf(path)) }),
  plan: ({ text }) =>
    text === 'done'
      ? unchanged('it is done')
      : change('it is not done', [{ kind: 'run', what: 'try', script: raw('true') }]),
});

const refusing: AnyStep = defineStep<typeof testArgs, Record<never, never>>({
  name: 'refusing',
  summary: 'Refuses.',
  args: testArgs,
  examples: ['- refusing: {path: /x}'],
  look: () => ({}),
  plan: (_seen, { path }) => refuse(`${path} must not be`, 'Do something else.'),
});

const broken: AnyStep = defineStep<typeof testArgs, { text: string }>({
  name: 'broken',
  summary: 'Cannot read an answer.',
  args: testArgs,
  examples: ['- broken: {path: /x}'],
  look: () => ({
    text: ask<string>({
      key: 'test:nonsense',
      sh: raw('echo nonsense'),
      parse: ({ stdout }) => {
        throw new Error(`unknown ${stdout.trim()}`);
      },
    }),
  }),
  plan: () => unchanged('never'),
});

/** Says what of its answers it can alter, and of one of them what it will be whatever it finds. */
const candid: AnyStep = defineStep<
  typeof testArgs,
  { text: string; altered: string; promised: string; left: string }
>({
  name: 'candid',
  summary: 'Says what it leaves.',
  args: testArgs,
  examples: ['- candid: {path: /x}'],
  alters: ['altered', 'promised'],
  outcome: ({ text, left }) => (text === undefined && left === '' ? { promised: 'done' } : {}),
  look: ({ path }) => ({
    text: ask(answerOf(path)),
    altered: ask(answerOf('/nonexistent/altered')),
    promised: ask(answerOf('/nonexistent/promised')),
    left: ask(answerOf('/nonexistent/left')),
  }),
  plan: () => unchanged('never asked'),
});

it('a step that cannot decide yet puts no more in doubt than it can alter and does not promise', async () => {
  const where = await here();
  const tasks = ['futile', 'candid']
    .map((step) => `- ${step}: {path: /nonexistent/first}\n`)
    .concat(['altered', 'promised', 'left'].map((name) => `- futile: {path: /nonexistent/${name}}\n`));
  const { events } = await planned(where, play(tasks.join('')), { steps: [futile, candid] });
  expect(
    only(events, 'task-finished').map(({ status, knownAfterApply = false }) => [status, knownAfterApply]),
  ).toEqual([
    ['would-change', false],
    ['would-change', true],
    ['would-change', true],
    ['unchanged', false],
    ['would-change', false],
  ]);
});

describe('a task that fails', () => {
  it.each([
    [
      'its own actions do not help',
      '- name: Fails\n  futile: {path: /nonexistent}',
      'NOT_CONVERGED',
      /it is not done/,
    ],
    ['its step refuses', '- name: Fails\n  refusing: {path: /x}', 'REFUSED', /\/x must not be/],
    [
      'an answer makes no sense',
      '- name: Fails\n  broken: {path: /x}',
      'FACT_UNREADABLE',
      /test:nonsense.*unknown nonsense/,
    ],
    ['a command fails', fails, 'COMMAND_FAILED', /exit status 1/],
    [
      'its variable does not exist',
      '- name: Fails\n  debug: {msg: "{{ nobody.knows }}"}',
      'TEMPLATE_UNDEFINED',
      /nobody/,
    ],
    [
      'its argument is wrong',
      '- name: Fails\n  copy: {dest: "{{ x }}", content: y}',
      undefined,
      /dest is "relative"/,
    ],
  ])('because %s ends the play for its host, with place and advice', async (_why, task, code, message) => {
    const where = await here();
    const { result, tasks, events } = await applied(
      where,
      play(`${note('before')}\n${task}\n${note('after')}`),
      {
        steps: [futile, refusing, broken],
        vars: { x: 'relative' },
      },
    );
    expect(order(where.folder)).toEqual(['a before']);
    expect(tasks).toEqual(['a before changed', 'a Fails failed']);
    expect(result.status).toBe('failed');
    const failed = only(events, 'task-finished').at(-1);
    expect(failed?.error).toMatchObject({
      host: 'a',
      message: expect.stringMatching(message),
      where: { file: join(where.folder, 'site.yml'), line: expect.any(Number) },
    });
    if (code !== undefined) expect(failed?.error?.code).toBe(code);
    expect(only(events, 'host-failed')).toHaveLength(1);
  });

  it('leaves the other hosts at work, and its own host out of later plays', async () => {
    const where = await here();
    const book = `${play(`${fails}\n  when: inventory_hostname == 'a'\n${note('after')}`)}${play(note('next'))}`;
    const { result } = await applied(where, book, { hosts: ['a', 'b'] });
    expect(order(where.folder)).toEqual(['b after', 'b next']);
    expect([...result.failed.keys()]).toEqual(['a']);
  });

  it('among neighbours keeps those behind it from being begun, and those before it done', async () => {
    const where = await here();
    const { tasks } = await applied(
      where,
      play(`${copies(1)}\n${fails}\n- name: Later\n  copy: {dest: "{{ playbook_dir }}/later", content: x}`),
    );
    expect(tasks).toEqual(['a File 0 changed', 'a Fails failed']);
    expect(readdirSync(where.folder).sort()).toEqual(['a-0', 'site.yml']);
  });

  it('may be ignored, and is told and counted as such', async () => {
    const where = await here();
    const { result, tasks, events } = await applied(
      where,
      play(
        `${fails}\n  ignore_errors: true\n  register: r\n${note('after')}\n- debug: {msg: "{{ r.failed }} {{ r.rc }}"}`,
      ),
    );
    expect(tasks.slice(0, 2)).toEqual(['a Fails failed-ignored', 'a after changed']);
    expect(messagesIn(events)).toEqual(['a: True 1']);
    expect([result.status, only(events, 'run-finished')[0]?.hosts.a?.ignored]).toEqual(['changed', 1]);
  });

  it('may be what failed_when says, and only that', async () => {
    const book = play(
      `- name: Fine\n  command: "false"\n  failed_when: false\n- name: Wrong\n  command: echo bad news\n  failed_when: "'bad' in result.stdout"\n  register: result`,
    );
    const { tasks, events } = await applied(await here(), book);
    expect(tasks).toEqual(['a Fine changed', 'a Wrong failed']);
    expect(only(events, 'host-failed')[0]?.error).toMatchObject({
      code: 'FAILED_WHEN',
      message: expect.stringContaining('bad news'),
    });
  });
});

describe('a block', () => {
  const block = (inside: string, rescue: string, always: string): string =>
    play(`
- block:
${inside.replace(/^(?=.)/gm, '    ')}
  rescue:
${rescue.replace(/^(?=.)/gm, '    ')}
  always:
${always.replace(/^(?=.)/gm, '    ')}
${note('behind')}
`);

  it.each([
    ['all is well', note('inside'), ['a inside', 'a always', 'a behind'], 'changed'],
    ['a task fails', `${fails}\n${note('inside')}`, ['a rescue', 'a always', 'a behind'], 'changed'],
    [
      'a task cannot even be templated',
      `- debug: {msg: "{{ nobody }}"}`,
      ['a rescue', 'a always', 'a behind'],
      'changed',
    ],
    [
      'an include of it cannot be found',
      `- include_tasks: "{{ 'nobody' }}.yml"`,
      ['a rescue', 'a always', 'a behind'],
      'changed',
    ],
  ])('when %s', async (_what, inside, ran, status) => {
    const where = await here();
    const { result } = await applied(where, block(inside, note('rescue'), note('always')));
    expect(order(where.folder)).toEqual(ran);
    expect(result.status).toBe(status);
  });

  it('whose rescue fails too runs its always and fails', async () => {
    const where = await here();
    const { result } = await applied(where, block(fails, fails, note('always')));
    expect(order(where.folder)).toEqual(['a always']);
    expect(result.status).toBe('failed');
  });

  it('tells its rescue what failed', async () => {
    const { events } = await applied(
      await here(),
      block(
        '- name: Bad one\n  command: sh -c "echo why >&2; exit 3"',
        '- debug: {msg: "{{ ansible_failed_task.name }} {{ ansible_failed_result.rc }} {{ ansible_failed_result.error.code }}"}',
        '- debug: {msg: done}',
      ),
    );
    expect(messagesIn(events)).toEqual(['a: Bad one 3 COMMAND_FAILED', 'a: done']);
  });
});

describe('handlers', () => {
  it('run once at the end, in the order in which they are written, and only where something changed', async () => {
    const where = await here();
    const book = play(
      `${note('one', 'notify: [Second, First]')}\n${note('two', 'notify: First')}\n- name: Same\n  command: "true"\n  changed_when: false\n  notify: Third\n${note('three')}`,
      `handlers:\n${[note('First'), note('Second'), note('Third')].join('\n')}`,
    );
    await applied(where, book);
    expect(order(where.folder)).toEqual(['a one', 'a two', 'a three', 'a First', 'a Second']);
  });

  it('can be asked for earlier, and answer to other names', async () => {
    const where = await here();
    const book = play(
      `${note('one', 'notify: all of them')}\n- meta: flush_handlers\n${note('two')}`,
      `handlers:\n${note('H', 'listen: all of them')}`,
    );
    await applied(where, book);
    expect(order(where.folder)).toEqual(['a one', 'a H', 'a two']);
  });

  it('of a host that failed do not run', async () => {
    const where = await here();
    await applied(where, play(`${note('one', 'notify: H')}\n${fails}`, `handlers:\n${note('H')}`));
    expect(order(where.folder)).toEqual(['a one']);
  });

  it('are foreseen in a plan', async () => {
    const { tasks } = await planned(
      await here(),
      play(`${copies(1)}\n  notify: H`, `handlers:\n${note('H')}`),
    );
    expect(tasks).toEqual(['a File 0 would-change', 'a H would-change']);
  });
});

describe('loops and results', () => {
  it('each item is a task of its own, and all are registered in order', async () => {
    const where = await here({ two: 'x\n' });
    const { tasks, events } = await applied(
      where,
      play(`
- name: File
  copy: {dest: "{{ playbook_dir }}/{{ item }}", content: "x\\n"}
  loop: [one, two, three]
  register: made
- debug: {msg: "{{ made.changed }} {{ made.results | map(attribute='item') | join(',') }} {{ made.results | map(attribute='changed') | join(',') }}"}
`),
    );
    expect(tasks.slice(0, 3).sort()).toEqual([
      'a File[one] changed',
      'a File[three] changed',
      'a File[two] unchanged',
    ]);
    expect(messagesIn(events)).toEqual(['a: True one,two,three True,False,True']);
  });

  it('a name that is registered twice holds the second result alone', async () => {
    const where = await here();
    const { events } = await applied(
      where,
      play(`
- command: echo {{ item }}
  loop: [1, 2]
  register: said
- command: echo {{ item }}
  loop: [3, 4]
  register: said
- debug: {msg: "{{ said.results | map(attribute='stdout') | join(',') }}"}
`),
    );
    expect(messagesIn(events)).toEqual(['a: 3,4']);
  });

  it('changes are sent before a condition asks for their result', async () => {
    const where = await here();
    const { tasks } = await applied(
      where,
      play(`
- name: Ask
  command: echo 42
  register: answer
${copies(1)}
- name: Right
  command: "true"
  when: answer.stdout == '42'
- name: Through a variable
  command: "true"
  when: theAnswer == '43'
  vars: {theAnswer: "{{ answer.stdout }}"}
- name: Not so
  command: "true"
  when: answer.stdout != '42'
`),
    );
    // Skipped and unchanged ones are told when they are decided, changes when they have been sent.
    expect(tasks.toSorted()).toEqual([
      'a Ask changed',
      'a File 0 changed',
      'a Not so skipped',
      'a Right changed',
      'a Through a variable skipped',
    ]);
  });

  it('a skipped task registers that it was skipped', async () => {
    const { events } = await applied(
      await here(),
      play(
        `- command: "true"\n  when: false\n  register: r\n- debug: {msg: "{{ r.skipped }} {{ r is changed }}"}`,
      ),
    );
    expect(messagesIn(events)).toEqual(['a: True False']);
  });

  it('what set_fact sets holds for later plays, on its own host', async () => {
    const book = `${play('- set_fact: {mine: "{{ inventory_hostname }}!"}')}${play('- debug: {msg: "{{ mine }}"}')}`;
    const { events } = await applied(await here(), book, { hosts: ['a', 'b'] });
    expect(messagesIn(events).toSorted()).toEqual(['a: a!', 'b: b!']);
  });

  it('until tries again until it holds, and counts', async () => {
    const where = await here();
    const { tasks, events } = await applied(
      where,
      play(`
- name: Third time
  shell: "echo x >> {{ playbook_dir }}/tries; wc -l < {{ playbook_dir }}/tries"
  register: tries
  until: tries.stdout | trim | int >= 3
  retries: 5
  delay: 0
- debug: {msg: "{{ tries.attempts }}"}
`),
    );
    expect(tasks[0]).toBe('a Third time changed');
    expect(messagesIn(events)).toEqual(['a: 3']);
  });

  it('until tries again what fails, and fails with the last try', async () => {
    const where = await here();
    const failing = (count: number) =>
      play(
        `- name: Try\n  shell: "echo x >> {{ playbook_dir }}/tries; test $(wc -l < {{ playbook_dir }}/tries) -ge ${count}"\n  register: r\n  until: r.rc == 0\n  retries: 2\n  delay: 0`,
      );
    expect((await applied(where, failing(3))).tasks).toEqual(['a Try changed']);
    writeFileSync(join(where.folder, 'tries'), '');
    expect((await applied(where, failing(9))).tasks).toEqual(['a Try failed']);
    expect(readFileSync(join(where.folder, 'tries'), 'utf8')).toBe('x\nx\nx\n');
  });

  it('until tries again what no condition was reached for', async () => {
    const where = await here();
    const book = play(
      `- name: Try\n  copy: {dest: "{{ playbook_dir }}/file", content: x, validate: "sh -c 'echo x >> {{ playbook_dir }}/tries; test $(wc -l < {{ playbook_dir }}/tries) -ge 2' %s"}\n  register: r\n  until: r is succeeded\n  retries: 3\n  delay: 0`,
    );
    expect((await applied(where, book)).tasks).toEqual(['a Try changed']);
  });
});

describe('several hosts', () => {
  const hosts = ['a', 'b', 'c', 'd'];

  it('run_once is done by one, and its result is everybody’s', async () => {
    const where = await here();
    const { events } = await applied(
      where,
      play(`${note('once', 'run_once: true\nregister: r')}\n- debug: {msg: "{{ r.rc }}"}`),
      { hosts },
    );
    expect(order(where.folder)).toHaveLength(1);
    expect(messagesIn(events).toSorted()).toEqual(hosts.map((host) => `${host}: 0`));
  });

  it('run_once that fails fails for all', async () => {
    const { result } = await applied(await here(), play(`${fails}\n  run_once: true`), { hosts });
    expect([...result.failed.keys()].toSorted()).toEqual(hosts);
  });

  it('serial ends one batch, handlers too, before the next begins', async () => {
    const where = await here();
    const { events } = await applied(
      where,
      play(note('task', 'notify: H'), `serial: [1, 2]\nhandlers:\n${note('H')}`),
      { hosts },
    );
    const ran = order(where.folder);
    expect(ran.slice(0, 2)).toEqual(['a task', 'a H']);
    expect(ran.slice(2, 6).toSorted()).toEqual(['b H', 'b task', 'c H', 'c task']);
    expect(ran.slice(6)).toEqual(['d task', 'd H']);
    expect(
      only(events, 'batch-started').map(({ hosts: names, number, of }) => `${number}/${of} ${names.join()}`),
    ).toEqual(['1/3 a', '2/3 b,c', '3/3 d']);
  });

  const failsOn = (host: string): string => `${fails}\n  when: inventory_hostname == '${host}'`;

  it.each<[string, string, string[]]>([
    ['any_errors_fatal ends the run before the next task', 'serial: 2\nany_errors_fatal: true', []],
    ['a batch that failed whole ends the run', 'serial: 1', []],
    ['a batch that failed in part does not', 'serial: 2', ['b after', 'c after', 'd after']],
    ['max_fail_percentage does when more failed', 'serial: 2\nmax_fail_percentage: 49', []],
    [
      'max_fail_percentage does not when as many failed',
      'serial: 2\nmax_fail_percentage: 50',
      ['b after', 'c after', 'd after'],
    ],
  ])('%s', async (_what, keywords, ran) => {
    const where = await here();
    const { result } = await applied(where, `${play(`${failsOn('a')}\n${note('after')}`, keywords)}`, {
      hosts,
    });
    expect(order(where.folder).toSorted()).toEqual(ran);
    expect([...result.failed.keys()]).toEqual(['a']);
  });

  it('any_errors_fatal begins no later play', async () => {
    const where = await here();
    await applied(where, `${play(failsOn('a'), 'any_errors_fatal: true')}${play(note('next'))}`, { hosts });
    expect(order(where.folder)).toEqual([]);
  });

  it('delegate_to acts elsewhere with its own variables, also on localhost', async () => {
    const where = await here();
    const book = play(
      `- name: Elsewhere\n  shell: "echo {{ inventory_hostname }} {{ own }} >> {{ playbook_dir }}/order"\n  delegate_to: localhost\n  vars: {own: "of-{{ inventory_hostname }}"}`,
    );
    const { events } = await applied(where, book, { hosts: ['a', 'b'] });
    expect(order(where.folder).toSorted()).toEqual(['a of-a', 'b of-b']);
    expect(
      only(events, 'host-connected')
        .map(({ host }) => host)
        .toSorted(),
    ).toEqual(['a', 'b', 'localhost']);
    expect(tasksIn(events).toSorted()).toEqual(['a Elsewhere changed', 'b Elsewhere changed']);
  });
});

describe('what must not be seen', () => {
  const secret = 'hunter2-hunter2';

  it('is masked in every event, wherever it turns up', async () => {
    const where = await here({ old: 'before hunter2-hunter2\n' });
    const book = play(`
- name: Say {{ password }}
  shell: "echo {{ password }}; echo {{ password }} | base64; echo {{ password }} >&2"
  register: said
- name: Write
  copy: {dest: "{{ playbook_dir }}/old", content: "after {{ password }}\\n", mode: "0644"}
- name: Loop
  command: echo {{ item }}
  loop: ["{{ password }}"]
- debug: {var: said}
- name: Fail
  shell: "echo no {{ password }} >&2; exit 1"
`);
    const { events, result } = await applied(where, book, {
      vars: { password: secret },
      secrets: [secret, Buffer.from(`${secret}\n`).toString('base64').slice(0, 16)],
    });
    expect(result.status).toBe('failed');
    expect(readFileSync(join(where.folder, 'old'), 'utf8')).toBe(`after ${secret}\n`);
    expect(JSON.stringify(events)).toContain('[secret]');
    const written = only(events, 'task-finished').find(({ task }) => task === 'Write');
    expect(written?.diff?.[0]).toMatchObject({ before: 'before [secret]\n', after: 'after [secret]\n' });
  });

  it('is hidden by no_log altogether: text, diff, output, items and errors', async () => {
    const where = await here();
    const book = play(`
- name: Output
  shell: echo TREASURE
  no_log: true
- name: File
  copy: {dest: "{{ playbook_dir }}/file", content: TREASURE}
  no_log: true
- name: Items
  command: echo {{ item }}
  loop: [TREASURE]
  no_log: true
- name: Message
  debug: {msg: TREASURE}
  no_log: true
- name: Failure
  shell: "echo TREASURE >&2; exit 1"
  no_log: true
`);
    for (const told of [await planned(where, book), await applied(where, book)]) {
      expect(JSON.stringify(told.events)).not.toContain('TREASURE');
      expect([...told.result.failed.values()].map(({ message }) => message).join()).not.toContain('TREASURE');
    }
    expect(readFileSync(join(where.folder, 'file'), 'utf8')).toBe('TREASURE');
  });
});

describe('an interrupt', () => {
  it('lets what runs come to its end, begins nothing new, and marks the run', async () => {
    const where = await here();
    const abort = new AbortController();
    const { result, tasks, events } = await applied(
      where,
      play([note('one'), note('two'), note('three')].join('\n')),
      {
        signal: abort.signal,
        onEvent: (event) => {
          if (event.kind === 'task-started' && event.task === 'two') abort.abort();
        },
      },
    );
    expect(order(where.folder)).toEqual(['a one', 'a two']);
    expect(tasks).toEqual(['a one changed', 'a two changed']);
    expect(result.status).toBe('interrupted');
    expect(only(events, 'interrupted')).toEqual([expect.objectContaining({ running: ['a: two'] })]);
    expect(events.at(-1)).toMatchObject({ kind: 'run-finished', status: 'interrupted' });
  });

  it('ends a wait at once', async () => {
    const abort = new AbortController();
    const { result } = await applied(await here(), play('- name: Wait\n  pause: {minutes: 60}'), {
      signal: abort.signal,
      onEvent: (event) => {
        if (event.kind === 'task-waiting') abort.abort();
      },
    });
    expect(result.status).toBe('interrupted');
  });

  it('begins no later batch, no later play, no handler, no rescue and no always', async () => {
    const where = await here();
    const abort = new AbortController();
    const guarded = `- block:\n    - name: two\n      pause: {minutes: 60}\n  rescue:\n${note('rescue').replace(/^/gm, '    ')}\n  always:\n${note('always').replace(/^/gm, '    ')}`;
    const book = `${play(`${note('one', 'notify: H')}\n${guarded}`, `serial: 1\nhandlers:\n${note('H')}`)}${play(note('next'))}`;
    const { result } = await applied(where, book, {
      hosts: ['a', 'b'],
      signal: abort.signal,
      onEvent: (event) => {
        if (event.kind === 'task-waiting') abort.abort();
      },
    });
    expect(order(where.folder)).toEqual(['a one']);
    expect(result.status).toBe('interrupted');
  });
});

describe('the play itself', () => {
  it.each([
    ['end_host', ['b one', 'b two']],
    ['end_play', []],
  ])('meta: %s ends it without failing anybody', async (meta, ran) => {
    const where = await here();
    const tasks = `- meta: ${meta}\n  when: inventory_hostname == 'a'\n${note('two')}`;
    const { result } = await applied(
      where,
      `${play(`${note('one')}\n  when: inventory_hostname == 'b'\n${tasks}`, 'serial: 1\norder: inventory')}`,
      { hosts: ['a', 'b'] },
    );
    expect(order(where.folder)).toEqual(ran);
    expect(result.failed.size).toBe(0);
  });

  it('gives a task its environment', async () => {
    const { events } = await applied(
      await here(),
      play(
        `- shell: echo "$GREETING $OTHER"\n  environment: {GREETING: "it's {{ inventory_hostname }}", OTHER: 2}\n  register: r\n- debug: {msg: "{{ r.stdout }}"}`,
      ),
    );
    expect(messagesIn(events)).toEqual(["a: it's a 2"]);
  });

  /** Begins what a broken-off run left at work; it does this and ends once it is warned of. */
  function endingOldJob(where: Here, work = 'true'): (event: StampedEvent) => void {
    const door = join(where.folder, 'end');
    const { open } = doorAt(door);
    const job = '/run/fleet/jobs/old';
    onHost(
      where,
      `mkdir -p ${job}; (read -r _ < ${door}; ${work}; echo 0 > ${job}/code) > /dev/null 2>&1 & echo $! > ${job}/pid`,
    );
    return ({ kind }) => {
      if (kind === 'warning') open();
    };
  }

  it.runIf(isIsolated)('waits for a job of a run that was broken off, and clears up after it', async () => {
    const where = await here();
    mkdirSync(join(where.folder, 'x'));
    const { events, result } = await applied(where, play(copies(1)), {
      onEvent: endingOldJob(where),
    });
    expect(only(events, 'warning')[0]).toMatchObject({ code: 'UNFINISHED_JOB', host: 'a' });
    expect(result.status).toBe('changed');
    expect(onHost(where, 'ls /run/fleet 2>/dev/null')).toBe('');
  });

  it.runIf(isIsolated)('waits for it also right behind a plan, and then goes by what it left', async () => {
    const where = await here();
    const made = join(where.folder, 'made');
    const book = play(`- copy: {dest: "${made}", content: "x\\n"}`);
    const { run, events } = await opened(where, book, {
      onEvent: endingOldJob(where, `printf 'x\\n' > ${made}`),
    });
    expect((await run.plan()).status).toBe('would-change');
    expect(only(events, 'warning')).toEqual([]);
    expect((await run.apply()).status).toBe('unchanged');
    expect(only(events, 'warning')[0]).toMatchObject({ code: 'UNFINISHED_JOB', host: 'a' });
  });
});
