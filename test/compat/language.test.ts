import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { encryptVault } from '../../src/inventory/vault.ts';
import { type Ended, emptyFolder, fleet } from '../cli/run-fleet.ts';

// Runs on this very machine, whose lock only root can take.
const isRoot = process.getuid?.() === 0;

const local = ['-e', 'ansible_connection=local', '-e', 'ansible_become=false'];

function project(files: Readonly<Record<string, string>>): string {
  const folder = emptyFolder();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

function play(cwd: string, more: readonly string[] = [], hosts = 'a,b,'): Ended {
  return fleet(['play', 'site.yml', '-i', hosts, ...local, '-e', `folder=${cwd}`, ...more], { cwd });
}

describe.skipIf(!isRoot)('the language of playbooks', () => {
  test('is what Ansible makes of language/site.yml', () => {
    const cwd = emptyFolder();
    const book = join(import.meta.dirname, 'language', 'site.yml');
    const { code, err } = fleet(
      ['play', book, '-i', 'a,b,c,', ...local, '-e', `folder=${cwd}`, '-e', 'extra=extra'],
      { cwd },
    );
    expect(err).toContain('Done on 3 hosts');
    expect(code).toBe(0);
  });

  test('ends a role at meta: end_role, and only this taking part of it', () => {
    const cwd = project({
      'site.yml': `- hosts: all
  gather_facts: false
  tasks:
    - include_role: {name: quits}
      loop: [1, 2]
    - import_role: {name: quits}
    - assert: {that: "times | int == 3"}
`,
      'roles/quits/tasks/main.yml': `- set_fact: {times: "{{ times | default(0) | int + 1 }}"}
- command: "true"
  notify: heard
- meta: end_role
- fail: {msg: the role has ended}
`,
      'roles/quits/handlers/main.yml':
        '- name: heard\n  shell: echo {{ inventory_hostname }} >>{{ folder }}/heard\n',
    });
    expect(play(cwd)).toMatchObject({ code: 0 });
    expect(readFileSync(join(cwd, 'heard'), 'utf8').split('\n').filter(Boolean).sort()).toEqual(['a', 'b']);
  });

  test('a loop goes on behind an item that failed, and fails in the end', () => {
    const cwd = project({
      'site.yml': `- hosts: all
  gather_facts: false
  tasks:
    - block:
        - copy: {dest: "{{ folder }}/{{ item }}", content: x}
          loop: [one, none/there, two]
        - fail: {msg: not reached}
      rescue:
        - assert:
            that:
              - ansible_failed_result.msg == 'One or more items failed'
              - ansible_failed_result.results | map(attribute='failed', default=false) | list == [false, true, false]
    - command: test "{{ item }}" = 2
      loop: [1, 2, 3]
      register: tried
      ignore_errors: true
    - assert: {that: "tried is failed and tried.results | map(attribute='rc') | list == [1, 0, 1]"}
    - command: test "{{ item }}" = 2
      loop: [1, 2, 3]
`,
    });
    const { code, err } = play(cwd, [], 'a,');
    expect(code).toBe(1);
    expect(readFileSync(join(cwd, 'one'), 'utf8') + readFileSync(join(cwd, 'two'), 'utf8')).toBe('xx');
    expect(err).not.toContain('not reached');
    expect(err).toContain('1 of 1 host failed');
  });

  test('a rescue sees what failed under its registered name, and the host counts as none that failed', () => {
    const cwd = project({
      'site.yml': `- hosts: all
  gather_facts: false
  tasks:
    - block:
        - command: sh -c 'echo oh; exit 3'
          register: said
      rescue:
        - assert: {that: "said is failed and said.rc == 3 and ansible_failed_result.stdout == 'oh'"}
`,
    });
    const { code, err } = play(cwd);
    expect(code).toBe(0);
    expect(err).toContain('Nothing to change on 2 hosts');
    expect(err).not.toMatch(/\d of 2 hosts failed/);
  });

  test('a plan counts nothing that never changes, and waits for run_once on all hosts', () => {
    const cwd = project({
      'site.yml': `- hosts: all
  gather_facts: false
  tasks:
    - command: echo 5
      register: number
      run_once: true
    - debug: msg="{{ number.stdout }}"
    - set_fact: {twice: "{{ number.stdout | int * 2 }}"}
    - assert: {that: twice == 10}
`,
    });
    const { code, out } = play(cwd, ['--check']);
    expect({ code, out: out.includes('Plan: 1 to change on 1 host') }).toEqual({ code: 2, out: true });
    expect(play(cwd).code).toBe(0);
  });

  test('any_errors_fatal stops the others before their next step', () => {
    const book = (word: string): string => `- hosts: all
  gather_facts: false
  ${word}
  tasks:
    - shell: "[ {{ inventory_hostname }} = b ] || exit 1"
    - command: sleep 1
    - shell: touch {{ folder }}/reached-{{ inventory_hostname }}
`;
    const stopped = project({ 'site.yml': book('any_errors_fatal: true') });
    expect(play(stopped).code).toBe(1);
    expect(() => readFileSync(join(stopped, 'reached-b'))).toThrow();
    const limited = project({ 'site.yml': book('max_fail_percentage: 10') });
    expect(play(limited).code).toBe(1);
    expect(() => readFileSync(join(limited, 'reached-b'))).toThrow();
    const goesOn = project({ 'site.yml': book('max_fail_percentage: 60') });
    expect(play(goesOn).code).toBe(1);
    expect(readFileSync(join(goesOn, 'reached-b'), 'utf8')).toBe('');
  });

  test('runs handlers of the others after a failure, and of the failed host where force_handlers says so', () => {
    const book = (word: string): string => `- hosts: all
  gather_facts: false
  ${word}
  tasks:
    - command: "true"
      notify: note
    - shell: "[ {{ inventory_hostname }} = b ] || exit 1"
  handlers:
    - name: note
      shell: touch {{ folder }}/noted-{{ inventory_hostname }}
`;
    const usual = project({ 'site.yml': book('become: false') });
    expect(play(usual).code).toBe(1);
    expect(readFileSync(join(usual, 'noted-b'), 'utf8')).toBe('');
    expect(() => readFileSync(join(usual, 'noted-a'))).toThrow();
    const forced = project({ 'site.yml': book('force_handlers: true') });
    expect(play(forced).code).toBe(1);
    expect(readFileSync(join(forced, 'noted-a'), 'utf8')).toBe('');
  });

  test('does what stands before a failing step, and sets no fact behind a failed one', () => {
    const cwd = project({
      'site.yml': `- hosts: all
  gather_facts: false
  tasks:
    - copy: {dest: "{{ folder }}/{{ inventory_hostname }}", content: "x"}
    - fail: {msg: on purpose}
`,
    });
    expect(play(cwd, [], 'a,').code).toBe(1);
    expect(readFileSync(join(cwd, 'a'), 'utf8')).toBe('x');
  });

  test('never takes what a host says for a template', () => {
    const cwd = project({
      'secret.txt': 'of the control node',
      'evil.txt': `{{ lookup('file', '/etc/hostname') }}`,
      'site.yml': `- hosts: a
  gather_facts: false
  tasks:
    - command: cat {{ folder }}/evil.txt
      register: evil
      changed_when: "'lookup' in evil.stdout"
    - set_fact: {kept: "{{ evil.stdout }}"}
    - copy: {dest: "{{ folder }}/1", content: "{{ kept }}"}
    - copy: {dest: "{{ folder }}/2", content: "{{ item }}"}
      loop: "{{ evil.stdout_lines }}"
    - include_tasks: inner.yml
      loop: "{{ evil.stdout_lines }}"
`,
      'inner.yml': '- copy: {dest: "{{ folder }}/3", content: "{{ item }}"}\n',
    });
    expect(play(cwd)).toMatchObject({ code: 0 });
    for (const name of ['1', '2', '3']) {
      expect(readFileSync(join(cwd, name), 'utf8')).toBe(`{{ lookup('file', '/etc/hostname') }}`);
    }
  });

  test('opens vault text in playbooks, variables files, copied files and templates, and shows none of it', () => {
    const password = new Secret('vault-pass');
    const inline = encryptVault('inline-secret-1', password).trimEnd().replaceAll('\n', '\n        ');
    const cwd = project({
      pass: 'vault-pass\n',
      'site.yml': `- hosts: a
  gather_facts: false
  vars:
    inline: !vault |
        ${inline}
  vars_files: [vars.yml]
  tasks:
    - copy: {dest: "{{ folder }}/values", content: "{{ inline }} {{ in_file }} {{ both }}"}
    - copy: {src: whole.txt, dest: "{{ folder }}/whole"}
    - copy: {src: whole.txt, dest: "{{ folder }}/raw", decrypt: false}
    - template: {src: whole.j2, dest: "{{ folder }}/rendered"}
    - debug: msg="{{ in_file }}"
`,
      'vars.yml': encryptVault('in_file: file-secret-2\nboth: "{{ in_file }}-3"\n', password),
      'whole.txt': encryptVault('whole-secret-4\n', password),
      'whole.j2': encryptVault('{{ inventory_hostname }}-secret-5\n', password),
    });
    const { code, out, err } = play(cwd, ['--vault-password-file', 'pass', '--diff', '-v']);
    expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' });
    expect(readFileSync(join(cwd, 'values'), 'utf8')).toBe('inline-secret-1 file-secret-2 file-secret-2-3');
    expect(readFileSync(join(cwd, 'whole'), 'utf8')).toBe('whole-secret-4\n');
    expect(readFileSync(join(cwd, 'raw'), 'utf8')).toMatch(/^\$ANSIBLE_VAULT/);
    expect(readFileSync(join(cwd, 'rendered'), 'utf8')).toBe('a-secret-5\n');
    expect(`${out}${err}`).not.toMatch(/-secret-[1-5]/);
    const without = play(cwd);
    expect(without.code).toBe(64);
    expect(without.err).toContain('site.yml:4:');
  });

  test('--step needs somebody to ask', () => {
    const cwd = project({ 'site.yml': '- hosts: a\n  tasks: [{ping: }]\n' });
    const { code, err } = play(cwd, ['--step']);
    expect(code).toBe(64);
    expect(err).toContain('--step asks before each step');
  });

  test('lists hosts, steps and tags without connecting', () => {
    const cwd = project({
      'site.yml':
        '- hosts: all\n  gather_facts: false\n  tags: base\n  tasks:\n    - {name: first, ping: , tags: one}\n    - {name: second, ping: }\n',
    });
    const listed = (flag: string, more: readonly string[] = []): string =>
      fleet(['play', 'site.yml', '-i', 'x,y,', flag, ...more], { cwd }).out;
    expect(listed('--list-hosts', ['--limit', 'y'])).toBe('all (all)\n  y\n');
    expect(listed('--list-steps', ['--start-at', 'second'])).toBe('all (all)\n  second  [base]\n');
    expect(listed('--list-tags')).toBe('all (all)\n  base, one\n');
  });
});

describe.skipIf(!isRoot)('ad hoc', () => {
  test('a step with its arguments in one text, and its documentation', () => {
    const cwd = emptyFolder();
    const run = (...words: readonly string[]): Ended =>
      fleet(['run', ...words, '-i', 'a,', ...local], { cwd });
    expect(run('-m', 'copy', '-a', `dest=${cwd}/x content="a b" mode=0600`, 'all')).toMatchObject({
      code: 0,
    });
    expect(readFileSync(join(cwd, 'x'), 'utf8')).toBe('a b');
    expect(run('-m', 'service', '-a', 'name=k3s state=restartd', 'all')).toMatchObject({ code: 64 });
    expect(fleet(['doc', 'kubectl'], { cwd }).out).toContain('kubectl: Objects of the cluster');
    expect(fleet(['doc', 'kubernetes.core.k8s'], { cwd }).out).toContain('Also called k8s.');
    expect(fleet(['explain', 'api_endpoint'], { cwd }).out).toContain('api_endpoint');
  });

  test('facts as one document', () => {
    const { code, out } = fleet(['facts', '-i', 'a,b,', '--limit', 'b', '--output', 'json', ...local]);
    expect(code).toBe(0);
    expect(Object.keys(JSON.parse(out))).toEqual(['b']);
    expect(JSON.parse(out).b.os_family ?? JSON.parse(out).b.ansible_os_family).toBeDefined();
  });
});
