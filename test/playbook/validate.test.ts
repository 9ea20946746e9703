import { describe, expect, test } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { compiled, faultsOf, firstTask } from './project.ts';

/** A task at line 3, column 7 of a play. */
const inPlay = (task: string): string => `- hosts: all\n  tasks:\n    - ${task.replace(/\n/g, '\n      ')}\n`;

describe('what is wrong is named with its place and the nearest right word', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['an empty playbook', '', 'PLAYBOOK_NOT_A_LIST 1:1 the playbook is empty'],
    [
      'a mapping for a playbook',
      'hosts: all',
      'PLAYBOOK_NOT_A_LIST 1:1 a playbook must be a list of plays, not a mapping',
    ],
    ['a play that is a word', '- web', "PLAYBOOK_PLAY 1:3 a play must be a mapping, not 'web'"],
    ['a play without hosts', '- tasks: []', "PLAYBOOK_HOSTS_MISSING 1:3 this play has no 'hosts'"],
    [
      'a slip in hosts',
      '- host: all',
      "PLAYBOOK_HOSTS_MISSING 1:3 this play has 'host' where 'hosts' should be",
    ],
    ['empty hosts', '- hosts: ""', "PLAYBOOK_HOSTS_MISSING 1:10 'hosts' is empty"],
    [
      'a task among plays',
      '- hosts: all\n- command: x',
      "PLAYBOOK_HOSTS_MISSING 2:3 this play has no 'hosts' | This looks like a task",
    ],
    [
      'an unknown key of a play',
      '- hosts: all\n  task: []',
      "PLAYBOOK_KEY_UNKNOWN 2:3 a play has no key 'task' | Did you mean 'tasks'?",
    ],
    [
      'a value of a wrong kind',
      '- hosts: all\n  serial: {a: 1}',
      "PLAYBOOK_VALUE 2:11 'serial' must be a number, a percentage, or a list of them, not a mapping",
    ],
    [
      'tasks that are no list',
      '- hosts: all\n  tasks:\n    command: x',
      "PLAYBOOK_VALUE 3:5 'tasks' must be a list of tasks, not a mapping",
    ],
    [
      'an unknown step',
      inPlay('comand: x'),
      "PLAYBOOK_STEP_UNKNOWN 3:7 no step is called 'comand' | Did you mean 'command'?",
    ],
    [
      'an unknown step of a collection',
      inPlay('ansible.builtin.coppy: {}'),
      "PLAYBOOK_STEP_UNKNOWN 3:7 no step is called 'ansible.builtin.coppy' | Did you mean 'copy'?",
    ],
    [
      'a module with another way',
      inPlay('group_by: {key: x}'),
      "PLAYBOOK_STEP_UNKNOWN 3:7 no step is called 'group_by' | Use `when`",
    ],
    [
      'an unknown key of a task',
      inPlay('ping:\nwehn: x'),
      "PLAYBOOK_KEY_UNKNOWN 4:7 a task has no key 'wehn' | Did you mean 'when'?",
    ],
    [
      'arguments that are not indented',
      inPlay('copy:\nsrc: x'),
      "PLAYBOOK_KEY_UNKNOWN 4:7 'src' is an argument of 'copy', but stands beside it | Indent it below 'copy:'.",
    ],
    ['a task without a step', inPlay('name: x'), 'PLAYBOOK_NO_STEP 3:7 this task names no step'],
    [
      'two steps',
      inPlay('ping:\ncommand: x'),
      "PLAYBOOK_TWO_STEPS 4:7 one task cannot be both 'ping' and 'command'",
    ],
    [
      'a task that is a word',
      inPlay('reboot'),
      "PLAYBOOK_TASK 3:7 a task must be a mapping, not 'reboot' | Write '- reboot: …'.",
    ],
    ['an empty task', inPlay(''), 'PLAYBOOK_TASK 3:'],
    [
      'an unknown argument',
      inPlay('copy:\n  dest: /x\n  bakcup: yes'),
      'UNKNOWN_ARGUMENT 5:9 copy: has no argument bakcup',
    ],
    [
      'a wrong argument',
      inPlay('copy:\n  dest: /x\n  backup: perhaps'),
      'INVALID_ARGUMENT 5:9 copy: backup is "perhaps"',
    ],
    ['a missing argument', inPlay('copy: {src: a}'), 'MISSING_ARGUMENT 3:7 copy: needs dest'],
    [
      'a word without =',
      inPlay('copy: a b'),
      "PLAYBOOK_ARGS 3:13 'copy' takes arguments by name; 'a' has none",
    ],
    [
      'a list of arguments',
      inPlay('copy: [a]'),
      "PLAYBOOK_ARGS 3:13 'copy' takes arguments by name, not a list",
    ],
    [
      'braces in a condition',
      inPlay('ping:\nwhen: "{{ a }} == 1"'),
      "PLAYBOOK_CONDITION_BRACES 4:13 'when' is an expression already and takes no {{ }}",
    ],
    [
      'a register that is no name',
      inPlay('ping:\nregister: my-result'),
      "PLAYBOOK_VALUE 4:17 'register' must be a variable name, not 'my-result'",
    ],
    [
      'a variable that is no name',
      inPlay('ping:\nvars: {my-var: 1}'),
      "PLAYBOOK_VARIABLE_NAME 4:14 'my-var' cannot be the name of a variable",
    ],
    [
      'an unknown loop',
      inPlay('ping:\nwith_itmes: [a]'),
      "PLAYBOOK_LOOP 4:7 no loop is called 'with_itmes' | Did you mean 'with_items'?",
    ],
    [
      'two loops',
      inPlay('ping:\nloop: [a]\nwith_items: [b]'),
      'PLAYBOOK_LOOP 5:7 a task can have only one loop',
    ],
    [
      'a loop over a word',
      inPlay('ping:\nloop: things'),
      "PLAYBOOK_VALUE 4:13 'loop' must be a list or a template of one, not 'things'",
    ],
    [
      'an unknown loop control',
      inPlay('ping:\nloop: [a]\nloop_control: {loopvar: x}'),
      "PLAYBOOK_VALUE 5:22 'loop_control' must be",
    ],
    [
      'rescue without block',
      inPlay('rescue: [{ping: }]'),
      "PLAYBOOK_BLOCK 3:7 'rescue' and 'always' stand beside 'block', and there is none",
    ],
    [
      'an unknown key of a block',
      inPlay('block: []\nwehn: x'),
      "PLAYBOOK_KEY_UNKNOWN 4:7 a block has no key 'wehn' | Did you mean 'when'?",
    ],
    [
      'an unknown handler',
      '- hosts: all\n  tasks: [{ping: , notify: restrat}]\n  handlers: [{name: restart, ping: }]',
      "PLAYBOOK_HANDLER_UNKNOWN 2:28 no handler is called 'restrat', and none listens to it | Did you mean 'restart'?",
    ],
    [
      'an unknown meta',
      inPlay('meta: flush_handler'),
      "PLAYBOOK_META 3:13 'meta' knows no 'flush_handler' | Did you mean 'flush_handlers'?",
    ],
    [
      'a meta that fleet cannot do',
      inPlay('meta: refresh_inventory'),
      "PLAYBOOK_META 3:13 'meta: refresh_inventory' is not here: an inventory is read once, before anything is done | Put what comes after it into a playbook of its own",
    ],
    ['a missing file', inPlay('import_tasks: nix.yml'), "PLAYBOOK_FILE_MISSING 3:21 no file 'nix.yml'"],
    [
      'a missing dynamic file',
      inPlay('include_tasks: nix.yml'),
      "PLAYBOOK_FILE_MISSING 3:22 no file 'nix.yml'",
    ],
    ['a missing role', '- hosts: all\n  roles: [nix]', "PLAYBOOK_ROLE_MISSING 2:11 no role 'nix'"],
    [
      'a missing vars file',
      '- hosts: all\n  vars_files: [nix.yml]',
      "PLAYBOOK_FILE_MISSING 2:16 no file 'nix.yml'",
    ],
    [
      'a loop on an import',
      inPlay('import_tasks: x\nloop: [a]'),
      "PLAYBOOK_LOOP 3:7 'import_tasks' cannot loop",
    ],
    [
      'an import that needs a host',
      inPlay('import_tasks: "{{ ansible_os_family }}.yml"'),
      'PLAYBOOK_NOT_KNOWN_YET 3:21',
    ],
    [
      'a step whose name is a template',
      inPlay('action: "{{ a }} b=c"'),
      'PLAYBOOK_STEP_UNKNOWN 3:15 the name of a step cannot be a template',
    ],
    ['listen on a task', inPlay('ping:\nlisten: x'), "PLAYBOOK_LISTEN 4:7 only a handler can 'listen'"],
    [
      'an unknown strategy',
      '- hosts: all\n  strategy: fre',
      "PLAYBOOK_VALUE 2:13 no strategy is called 'fre' | Did you mean 'free'?",
    ],
    [
      'a wrong percentage',
      '- hosts: all\n  max_fail_percentage: 150',
      "PLAYBOOK_VALUE 2:24 'max_fail_percentage' must be a number from 0 to 100, not 150",
    ],
    [
      'a wrong batch',
      '- hosts: all\n  serial: some',
      "PLAYBOOK_SERIAL 2:11 'serial' is a number of hosts or a percentage, not 'some'",
    ],
    [
      'two documents',
      '- hosts: all\n---\n- hosts: all\n',
      'PLAYBOOK_TWO_DOCUMENTS 2:1 a second YAML document begins here',
    ],
    [
      'a key written twice',
      '- hosts: all\n  hosts: server\n',
      "PLAYBOOK_DUPLICATE_KEY 2:3 'hosts' is written twice in one mapping",
    ],
    ['bad YAML', '- hosts: all\n  name: a: b\n', 'PLAYBOOK_YAML 2:'],
    ['a template without quotes', inPlay('copy: {dest: /x, content: {{ a }} }'), 'PLAYBOOK_YAML 3:'],
    ['a template without quotes on a line', inPlay('copy:\n  dest: {{ a }}'), 'PLAYBOOK_YAML 4:'],
    [
      'a vault value without a password',
      '- hosts: all\n  vars:\n    a: !vault |\n      $ANSIBLE_VAULT;1.1;AES256\n      00\n',
      'PLAYBOOK_VAULT 3:15',
    ],
    ['an alias that contains itself', '- &a [*a]', 'PLAYBOOK_YAML 1:'],
  ];
  test.each(cases)('%s', async (_, playbook, expected) => {
    const faults = await faultsOf(playbook);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(expected);
  });

  const templates: readonly (readonly [string, string])[] = [
    ['ping:\nwhen: a ==', 'PLAYBOOK_TEMPLATE 4:13 '],
    ['ping:\nuntil: "{{ a | }}"', 'PLAYBOOK_TEMPLATE 4:14 '],
    ['copy:\n  dest: /x\n  content: "{{ a "', 'PLAYBOOK_TEMPLATE 5:9 '],
    ['ping:\nloop: "{{ a b }}"', 'PLAYBOOK_TEMPLATE 4:13 '],
    ['ping:\nvars: {x: "{% if a %}"}', 'PLAYBOOK_TEMPLATE 4:13 '],
  ];
  test.each(templates)('Jinja that does not parse: %j', async (task, expected) => {
    const faults = await faultsOf(inPlay(task));
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(expected);
  });

  test.each([
    [
      'copy: {dest: /x, content: "{{ [1] | select(\'odd\') | frist }}"}',
      "3:24 there is no filter 'frist'",
      "mean 'first'",
    ],
    [
      'copy: {dest: /x, content: "{{ x if y is defind else z }}"}',
      "3:24 there is no test 'defind'",
      "mean 'defined'",
    ],
    ['ping:\nwhen: a is success and b is matched', "4:13 there is no test 'matched'", "mean 'match'"],
    [
      'ping:\nloop: "{% for a in b if a | zzzzzz %}x{% endfor %}"',
      "4:13 there is no filter 'zzzzzz'",
      'compatibility.md',
    ],
  ])('Jinja that names what does not exist: %j', async (task, message, fix) => {
    const faults = await faultsOf(inPlay(task));
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(message);
    expect(faults[0]).toContain(fix);
  });

  test('names of collections and words inside of texts are no unknown names', async () => {
    expect(
      await faultsOf(
        inPlay(
          'copy: {dest: /x, content: "{{ a | ansible.builtin.upper ~ \'| nosuch\' is not ansible.builtin.match }}"}',
        ),
      ),
    ).toEqual([]);
  });

  test('all at once', async () => {
    const faults = await faultsOf(`
- hosts: all
  tags: {}
  tasks:
    - comand: x
    - copy: {dest: /x, mod: 1}
    - block:
        - pign:
      rescue:
        - import_tasks: none.yml
- hosts: all
  strategie: free
`);
    expect(faults.map((fault) => fault.split(' ', 2).join(' '))).toEqual([
      'PLAYBOOK_VALUE 3:9',
      'PLAYBOOK_STEP_UNKNOWN 5:7',
      'UNKNOWN_ARGUMENT 6:24',
      'PLAYBOOK_STEP_UNKNOWN 8:11',
      'PLAYBOOK_FILE_MISSING 10:25',
      'PLAYBOOK_KEY_UNKNOWN 12:3',
    ]);
  });

  test('in tasks that tags leave out, too', async () => {
    expect(await faultsOf(inPlay('pong:\ntags: x'), { tags: ['y'] })).toHaveLength(1);
  });

  test('but not where a template decides', async () => {
    expect((await firstTask('- copy: {dest: "{{ a }}", backup: "{{ b }}"}')).args).toEqual({
      dest: '{{ a }}',
      backup: '{{ b }}',
    });
  });
});

describe('YAML is read as Ansible reads it', () => {
  const values: readonly (readonly [string, unknown])[] = [
    ['yes', true],
    ['No', false],
    ['on', true],
    ['y', 'y'],
    ['0x1F', 31],
    ['1_000', 1000],
    ['12', 12],
    ['1.5', 1.5],
    ['~', null],
    ['', null],
    ['"yes"', 'yes'],
    ['!unsafe "{{ a }}"', '{% raw %}{{ a }}{% endraw %}'],
    ['!unsafe plain', 'plain'],
    // On purpose not: these are octal, base 60 and a date there.
    ['0644', '0644'],
    ['12:30', '12:30'],
    ['2024-01-02', '2024-01-02'],
  ];
  test.each(values)('%s', async (written, value) => {
    const [play] = await compiled(`- hosts: all\n  vars:\n    a: ${written}\n`);
    expect(play?.vars.a).toEqual(value);
  });

  test('with anchors and merge keys', async () => {
    const [play] = await compiled(`
- hosts: all
  vars:
    base: &base {a: 1, b: 1}
    more: {<<: *base, b: 2}
    on: word
`);
    expect(play?.vars).toMatchObject({ more: { a: 1, b: 2 }, on: 'word' });
  });

  test('with CRLF, a byte order mark and no final newline', async () => {
    const [play] = await compiled('\uFEFF- hosts: all\r\n  name: Grüße\r\n  tasks:\r\n    - command: x');
    expect(play).toMatchObject({ name: 'Grüße', tasks: [{ args: { cmd: 'x' } }] });
  });

  test('with vault values, opened by what is given', async () => {
    const decrypt = (text: string) => new Secret(text.includes('ANSIBLE_VAULT') ? 'opened' : 'wrong');
    const [play] = await compiled(
      '- hosts: all\n  vars:\n    a: !vault |\n      $ANSIBLE_VAULT;1.1;AES256\n      00\n',
      { decrypt },
    );
    expect(play?.vars.a).toBeInstanceOf(Secret);
  });

  test('aliases of aliases do not fill the memory', async () => {
    const levels = Array.from(
      { length: 30 },
      (_, level) => `    l${level + 1}: &l${level + 1} [*l${level}, *l${level}]`,
    );
    const faults = await faultsOf(`- hosts: all\n  vars:\n    l0: &l0 [x]\n${levels.join('\n')}\n`);
    expect(faults[0]).toContain('PLAYBOOK_TOO_LARGE');
  });

  test('nesting without end is an error', async () => {
    expect((await faultsOf(`${'['.repeat(100_000)}`))[0]).toContain('PLAYBOOK_YAML');
    expect((await faultsOf(`- hosts: all\n  vars: {a: ${'['.repeat(500)}${']'.repeat(500)}}`))[0]).toContain(
      'levels deep',
    );
  });
});
