import { describe, expect, test } from 'vitest';
import type { Fault } from '../../src/core/errors.ts';
import { compiled, faultsOf, firstTask, namesIn, tasksOf } from './project.ts';

describe('plays', () => {
  test('say what they run on and how', async () => {
    const [play] = await compiled(`
- name: servers
  hosts: server
  serial: [1, "50%"]
  max_fail_percentage: 30%
  any_errors_fatal: yes
  gather_facts: no
  strategy: free
  order: reverse_sorted
  vars: {port: 80}
  tasks:
    - command: uptime
`);
    expect(play).toMatchObject({
      name: 'servers',
      pattern: 'server',
      serial: [1, '50%'],
      maxFailPercentage: 30,
      anyErrorsFatal: true,
      strategy: 'free',
      vars: { port: 80 },
    });
    expect(play?.hosts.map((host) => host.name)).toEqual(['s2', 's1']);
    expect(play?.where).toMatchObject({ line: 2, column: 3 });
  });

  test('without a name are called by their pattern, and gather facts', async () => {
    const [play] = await compiled('- hosts: [server, agent]\n');
    expect(play).toMatchObject({ name: 'server,agent', strategy: 'linear', serial: [] });
    expect(play?.hosts).toHaveLength(4);
  });

  test('take their hosts from extra vars, and --limit narrows them', async () => {
    const [play] = await compiled('- hosts: "{{ target }}"\n', {
      extraVars: { target: 'all' },
      limit: 'a1,s1',
    });
    expect(play?.hosts.map((host) => host.name)).toEqual(['s1', 'a1']);
  });

  test('on a group that is not there have no hosts, and say so', async () => {
    const warnings: Fault[] = [];
    const [play] = await compiled('- hosts: databases\n', { onWarning: (warning) => warnings.push(warning) });
    expect(play?.hosts).toEqual([]);
    expect(warnings).toMatchObject([{ code: 'HOST_UNKNOWN', where: { line: 1, column: 10 } }]);
  });

  test.each([
    ['server:nobody', ['s1', 's2']],
    ['nobody,agent', ['a1', 'a2']],
    ['nobody:!server', []],
    ['server:&nobody', []],
  ])('on %s run on those that are there', async (pattern, hosts) => {
    const warnings: Fault[] = [];
    const [play] = await compiled(`- hosts: "${pattern}"\n`, { onWarning: (fault) => warnings.push(fault) });
    expect(play?.hosts.map((host) => host.name)).toEqual(hosts);
    expect(warnings).toHaveLength(1);
  });

  test('warn once of what has no effect, even where compiled twice', async () => {
    const codes: string[] = [];
    await compiled('- hosts: all\n  port: 22\n  vars_prompt: [{name: pin}]\n', {
      onWarning: ({ code }) => codes.push(code),
      prompt: async () => '1',
    });
    expect(codes).toEqual(['PLAYBOOK_KEY_WITHOUT_EFFECT']);
  });

  test('warn where a meta does less than in Ansible', async () => {
    const told: string[] = [];
    await compiled('- hosts: all\n  tasks: [{meta: clear_host_errors}]\n', {
      onWarning: ({ message }) => told.push(message),
    });
    expect(told).toEqual([
      "'meta: clear_host_errors' does nothing here: a host that has failed stays out of the run",
    ]);
  });

  test('know localhost even when the inventory does not', async () => {
    const [play] = await compiled('- hosts: localhost\n');
    expect(play?.hosts.map((host) => host.vars.get('ansible_connection'))).toEqual(['local']);
  });

  test('run pre_tasks, roles, tasks and post_tasks, with handlers between', async () => {
    const [play] = await compiled({
      'site.yml': `
- hosts: all
  post_tasks: [{name: post, ping: }]
  tasks: [{name: main, ping: }]
  roles: [web]
  pre_tasks: [{name: pre, ping: }]
`,
      'roles/web/tasks/main.yml': '- name: in role\n  ping:\n',
    });
    expect(namesIn(play?.tasks ?? [])).toEqual([
      'pre',
      'flush_handlers',
      'web : in role',
      'main',
      'flush_handlers',
      'post',
    ]);
  });

  test('import other playbooks, with vars, tags and when for all their tasks', async () => {
    const plays = await compiled(
      {
        'site.yml':
          '- import_playbook: "more/{{ which }}.yml"\n  vars: {a: 1}\n  tags: x\n  when: ok\n- hosts: agent\n',
        'more/other.yml': '- hosts: server\n  tasks: [{command: uptime, when: b}]\n',
      },
      { extraVars: { which: 'other' } },
    );
    expect(plays.map((play) => play.pattern)).toEqual(['server', 'agent']);
    expect(plays[0]).toMatchObject({
      vars: { a: 1 },
      tasks: [{ tags: ['x'], when: [{ expression: 'ok' }, { expression: 'b' }] }],
    });
  });

  test('read vars_files, the first that exists of a list in the list', async () => {
    const [play] = await compiled({
      'site.yml': '- hosts: all\n  vars: {a: play, b: play}\n  vars_files: [one.yml, [none.yml, two.yml]]\n',
      'one.yml': 'b: one\nc: one\n',
      'two.yml': 'c: two\n',
    });
    expect(play?.vars).toMatchObject({ a: 'play', b: 'one', c: 'two' });
  });

  test('ask vars_prompt once, and -e answers for a person', async () => {
    const playbook =
      '- hosts: all\n  vars_prompt:\n    - {name: pin, prompt: Your PIN, private: no, default: 1}\n';
    const asked: unknown[] = [];
    const prompt = async (question: unknown) => {
      asked.push(question);
      return '4711';
    };
    const [play] = await compiled(playbook, { prompt });
    expect(play?.vars).toMatchObject({ pin: '4711' });
    expect(asked).toEqual([
      { name: 'pin', text: 'Your PIN', isPrivate: false, confirm: false, byDefault: '1' },
    ]);
    await compiled(playbook, { prompt, extraVars: { pin: 'x' } });
    expect(asked).toHaveLength(1);
    expect(await faultsOf('- hosts: all\n  vars_prompt: [{name: pin}]\n')).toEqual([
      "PLAYBOOK_PROMPT 2:17 'pin' must be asked for, and there is nobody to ask | Give it with -e pin=…, or run on a terminal.",
    ]);
  });

  test('ask nobody anything for a playbook that cannot run', async () => {
    const prompt = async () => {
      throw new Error('asked');
    };
    expect(
      await faultsOf('- hosts: all\n  vars_prompt: [{name: pin}]\n  tasks: [{pong: }]\n', { prompt }),
    ).toHaveLength(1);
  });
});

describe('a step may be written', () => {
  const forms: readonly (readonly [string, string, object])[] = [
    ['as free form', '- command: make FOO=bar creates=/x', { cmd: 'make FOO=bar', creates: '/x' }],
    ['by its full name', '- ansible.builtin.command: uptime', { cmd: 'uptime' }],
    ['as key=value', `- copy: src=a dest="/b c" mode=0644`, { src: 'a', dest: '/b c', mode: '0644' }],
    ['as a mapping', '- copy: {src: a, dest: /b}', { src: 'a', dest: '/b' }],
    ['as an action', '- action: copy src=a dest=/b', { src: 'a', dest: '/b' }],
    ['as an action mapping', '- action: {module: copy, src: a, dest: /b}', { src: 'a', dest: '/b' }],
    ['with args', '- command: ls\n  args: {chdir: /tmp}', { cmd: 'ls', chdir: '/tmp' }],
    [
      'with args of which its own win',
      '- copy: dest=/own\n  args: {dest: /args, src: a}',
      { dest: '/own', src: 'a' },
    ],
    ['with a template of arguments', '- copy: "{{ options }}"', '{{ options }}' as unknown as object],
    [
      'over lines',
      '- shell: |\n    for i in 1; do\n      echo $i\n    done',
      { cmd: 'for i in 1; do\n  echo $i\ndone' },
    ],
    [
      'with quotes kept',
      `- shell: echo "a  b" 'c=d' removes=/y`,
      { cmd: `echo "a  b" 'c=d'`, removes: '/y' },
    ],
    [
      'with blanks in a template',
      '- command: echo {{ a if b else c }} chdir={{ d | e }}',
      { cmd: 'echo {{ a if b else c }}', chdir: '{{ d | e }}' },
    ],
    ['with an octal mode', '- copy: {dest: /x, mode: 0644}', { dest: '/x', mode: '0644' }],
    ['without arguments', '- ping:', {}],
  ];
  test.each(forms)('%s', async (_, yaml, args) => {
    expect((await firstTask(yaml)).args).toEqual(args);
  });

  test('as local_action, which runs on the control node', async () => {
    expect(await firstTask('- local_action: command uptime')).toMatchObject({
      args: { cmd: 'uptime' },
      delegateTo: 'localhost',
    });
  });

  test('with module_defaults under its own arguments', async () => {
    const task = await firstTask('- copy: {dest: /x}\n  module_defaults: {copy: {dest: /d, mode: "0600"}}');
    expect(task.args).toEqual({ dest: '/x', mode: '0600' });
  });
});

describe('a task', () => {
  test('keeps all that it says', async () => {
    const task = await firstTask(`
- name: Fetch {{ thing }}
  command: fetch
  register: result
  until: [result.ok, "{{ result.done }}"]
  retries: 7
  delay: 2
  changed_when: false
  failed_when: result.rc > 1
  ignore_errors: yes
  run_once: true
  delegate_to: "{{ other }}"
  become: true
  become_user: app
  environment: {A: 1}
  no_log: true
  check_mode: false
  timeout: 30
  diff: no
  throttle: 2
  vars: {thing: x}
  tags: a, b`);
    expect(task).toMatchObject({
      name: 'Fetch {{ thing }}',
      register: 'result',
      until: {
        conditions: [{ expression: 'result.ok' }, { expression: 'result.done' }],
        retries: 7,
        delayMs: 2000,
      },
      changedWhen: [{ expression: false }],
      failedWhen: [{ expression: 'result.rc > 1' }],
      ignoreErrors: true,
      runOnce: true,
      delegateTo: '{{ other }}',
      become: { enabled: true, user: 'app' },
      environment: { A: 1 },
      noLog: true,
      checkMode: false,
      deadlineMs: 30_000,
      diff: false,
      throttle: 2,
      vars: { thing: 'x' },
      tags: ['a', 'b'],
    });
    expect(task.where).toMatchObject({ line: 5, column: 7 });
  });

  test('leaves to each host what only a host can decide', async () => {
    const task = await firstTask(`
- command: x
  ignore_errors: "{{ a }}"
  no_log: "{{ b }}"
  become: "{{ c }}"
  until: ok
  retries: "{{ d }}"
  delay: "{{ e }}"
  environment: "{{ proxy }}"`);
    expect(task).toMatchObject({
      ignoreErrors: false,
      noLog: true,
      become: { enabled: false },
      until: { retries: 3, delayMs: 5000 },
      templated: {
        ignoreErrors: '{{ a }}',
        noLog: '{{ b }}',
        become: '{{ c }}',
        retries: '{{ d }}',
        delaySeconds: '{{ e }}',
        environment: ['{{ proxy }}'],
      },
    });
  });

  const conditions: readonly (readonly [string, readonly unknown[]])[] = [
    ['when: a == 1', ['a == 1']],
    ['when: [a, b]', ['a', 'b']],
    ['when: false', [false]],
    ['when: "{{ a }}"', ['a']],
    ['when: \'"{{" in a\'', ['"{{" in a']],
    ['when: 0', [false]],
  ];
  test.each(conditions)('reads %s', async (when, expected) => {
    expect((await firstTask(`- ping:\n  ${when}`)).when.map((c) => c.expression)).toEqual(expected);
  });

  test('retries without until are kept', async () => {
    expect((await firstTask('- ping:\n  retries: 2')).until).toEqual({
      conditions: [],
      retries: 2,
      delayMs: 5000,
    });
  });

  test('finds its files in the playbook, in files/ or templates/ first', async () => {
    const [template, copy] = await tasksOf('- template: {src: a, dest: /a}\n- copy: {src: a, dest: /a}');
    const ends = (entry: unknown) =>
      (entry as { searchPath: string[] }).searchPath.map((path) =>
        path.replace(/.*fleet-playbook-[^/]*/, ''),
      );
    expect(ends(template)).toEqual(['/templates', '']);
    expect(ends(copy)).toEqual(['/files', '']);
  });

  test('that names a user to become wants to become', async () => {
    expect((await firstTask('- ping:\n  become_user: app')).become).toEqual({ enabled: true, user: 'app' });
  });

  test('tells the run itself something with meta', async () => {
    expect(await firstTask('- meta: end_host\n  when: done')).toMatchObject({
      meta: 'end_host',
      when: [{ expression: 'done' }],
    });
  });
});

describe('blocks', () => {
  test('hand down what they say, their conditions first', async () => {
    const [block] = await tasksOf(`
- name: outer
  when: a
  tags: [x]
  become: true
  become_user: app
  vars: {v: block, w: block}
  environment: {E: block, F: block}
  ignore_errors: true
  block:
    - command: one
      when: b
      tags: y
      vars: {v: task}
      environment: {E: task}
      ignore_errors: false
  rescue:
    - command: two
  always:
    - command: three
`);
    expect(block).toMatchObject({
      kind: 'block',
      name: 'outer',
      tasks: [
        {
          when: [{ expression: 'a' }, { expression: 'b' }],
          tags: ['x', 'y'],
          vars: { v: 'task', w: 'block' },
          environment: { E: 'task', F: 'block' },
          become: { enabled: true, user: 'app' },
          ignoreErrors: false,
        },
      ],
      rescue: [{ args: { cmd: 'two' }, ignoreErrors: true, tags: ['x'] }],
      always: [{ args: { cmd: 'three' }, when: [{ expression: 'a' }] }],
    });
  });

  test('that tags leave empty vanish', async () => {
    expect(await tasksOf('- block: [{ping: , tags: x}]', { tags: ['y'] })).toEqual([]);
  });
});

describe('loops', () => {
  const forms: readonly (readonly [string, readonly unknown[]])[] = [
    ['with_items: [a, [b, c], [[d]]]', ['a', 'b', 'c', ['d']]],
    ['with_items: a', ['a']],
    ['with_list: [a, [b]]', ['a', ['b']]],
    ['with_flattened: [a, [b, [c]]]', ['a', 'b', 'c']],
    [
      'with_dict: {a: 1, b: 2}',
      [
        { key: 'a', value: 1 },
        { key: 'b', value: 2 },
      ],
    ],
    ['with_sequence: start=2 end=6 stride=2 format=n%02d', ['n02', 'n04', 'n06']],
    ['with_sequence: count=3', ['1', '2', '3']],
    ['with_sequence: 2-4', ['2', '3', '4']],
    ['with_sequence: end=1 start=3 stride=-1', ['3', '2', '1']],
    ['with_sequence: count=0', []],
    [
      'with_indexed_items: [a, b]',
      [
        [0, 'a'],
        [1, 'b'],
      ],
    ],
    [
      'with_together: [[a, b], [1]]',
      [
        ['a', 1],
        ['b', null],
      ],
    ],
    [
      'with_nested: [[a, b], [1, 2]]',
      [
        ['a', 1],
        ['a', 2],
        ['b', 1],
        ['b', 2],
      ],
    ],
    [
      'with_subelements: [[{n: x, k: [1, 2]}], k]',
      [
        [{ n: 'x' }, 1],
        [{ n: 'x' }, 2],
      ],
    ],
    ['with_subelements: [[{n: x}], k, {skip_missing: true}]', []],
  ];
  test.each(forms)('%s', async (form, items) => {
    const { loop } = await firstTask(`- ping:\n  ${form}`);
    expect(loop?.expand?.(loop.over)).toEqual(items);
  });

  test('keep their control', async () => {
    const task = await firstTask(
      '- ping:\n  loop: "{{ things }}"\n  loop_control: {loop_var: thing, index_var: i, label: "{{ thing.name }}", pause: 1.5, extended: yes}',
    );
    expect(task.loop).toEqual({
      over: '{{ things }}',
      variable: 'thing',
      indexVariable: 'i',
      label: '{{ thing.name }}',
      pauseMs: 1500,
      extended: true,
    });
  });

  test('find files of the control node', async () => {
    const [play] = await compiled({
      'site.yml':
        '- hosts: all\n  tasks:\n    - ping:\n      with_fileglob: "conf/*.[cd]onf"\n    - ping:\n      with_first_found: [none, conf/a.conf]\n',
      'files/conf/b.donf': '',
      'files/conf/a.conf': '',
      'files/conf/c.txt': '',
    });
    const found = (play?.tasks ?? []).map((task) =>
      task.kind === 'task'
        ? task.loop?.expand?.(task.loop.over).map((path) => String(path).replace(/.*\//, ''))
        : [],
    );
    expect(found).toEqual([['a.conf', 'b.donf'], ['a.conf']]);
  });
});

describe('handlers', () => {
  test('answer to names, and a later one of the same name takes its place', async () => {
    const [play] = await compiled(`
- hosts: all
  tasks: [{command: x, notify: [restart, web stuff]}]
  handlers:
    - {name: restart, command: first}
    - {name: restart, command: second, listen: web stuff}
`);
    expect(play?.handlers).toMatchObject([
      { name: 'restart', args: { cmd: 'second' }, listen: ['web stuff'] },
    ]);
  });

  test('are not chosen by tags, and may come from a file that answers to the name of its include', async () => {
    const [play] = await compiled(
      {
        'site.yml': `
- hosts: all
  tasks: [{ping: , notify: all of it, tags: x}]
  handlers:
    - {name: all of it, include_tasks: h.yml}
`,
        'h.yml': '- {name: one, ping: }\n- {name: two, ping: , tags: y}\n',
      },
      { tags: ['x'] },
    );
    expect(play?.handlers.map(({ name, listen }) => [name, listen])).toEqual([
      ['one', ['all of it']],
      ['two', ['all of it']],
    ]);
  });
});
