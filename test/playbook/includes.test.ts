import { describe, expect, test } from 'vitest';
import { asFleetErrors } from '../../src/core/errors.ts';
import type { DynamicInclude } from '../../src/engine/play.ts';
import { compilePlaybook } from '../../src/playbook/compile.ts';
import { mkfifoSync } from './fifo.ts';
import { compiled, fakeVariables, faultsOf, namesIn, testOptions, writeProject } from './project.ts';

const play = (tasks: string): string => `- hosts: all\n  tasks:\n${tasks.replace(/^/gm, '    ')}\n`;

function dynamic(entry: unknown): DynamicInclude {
  const include = entry as DynamicInclude;
  if (include?.kind !== 'include') throw new Error(`no include but ${include?.kind}`);
  return include;
}

describe('import_tasks', () => {
  test('stands for its tasks, which inherit all that it says', async () => {
    const [site] = await compiled({
      'site.yml': play('- import_tasks: sub/a.yml\n  when: a\n  tags: t\n  become: true\n  vars: {v: 1}'),
      'sub/a.yml': '- import_tasks: b.yml\n- command: two\n',
      'sub/b.yml': '- command: one\n  when: b\n',
    });
    expect(site?.tasks).toMatchObject([
      {
        args: { cmd: 'one' },
        when: [{ expression: 'a' }, { expression: 'b' }],
        tags: ['t'],
        vars: { v: 1 },
        become: { enabled: true },
      },
      { args: { cmd: 'two' } },
    ]);
  });

  test('that comes back to itself is an error that names the chain', async () => {
    const faults = await faultsOf({
      'site.yml': play('- import_tasks: a.yml'),
      'a.yml': '- import_tasks: b.yml\n',
      'b.yml': '- import_tasks: a.yml\n',
    });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(/^PLAYBOOK_INCLUDE_LOOP 1:17 .*a\.yml → .*b\.yml → .*a\.yml/);
  });

  test('cannot fill the memory by doubling', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 20 }, (_, n) => [
        `f${n}.yml`,
        `- import_tasks: f${n + 1}.yml\n- import_tasks: f${n + 1}.yml\n`,
      ]),
    );
    const faults = await faultsOf({
      'site.yml': play('- import_tasks: f0.yml'),
      ...files,
      'f20.yml': '- ping:\n',
    });
    expect(faults.join()).toContain('PLAYBOOK_TOO_LARGE');
  });
});

describe('include_tasks', () => {
  test('is decided at the run: only its variables, and what apply says, are for its tasks', async () => {
    const [site] = await compiled({
      'site.yml': play(
        '- name: more\n  include_tasks: {file: a.yml, apply: {tags: applied, become: true, when: applied}}\n  when: cond\n  tags: own\n  vars: {v: 1}\n  loop: [x]\n  become: true',
      ),
      'a.yml': '- command: one\n  when: b\n',
    });
    const include = dynamic(site?.tasks[0]);
    expect(include).toMatchObject({
      name: 'more',
      when: [{ expression: 'cond' }],
      tags: ['own'],
      vars: { v: 1 },
      loop: { over: ['x'] },
    });
    expect(include.load(fakeVariables({}))).toMatchObject([
      {
        when: [{ expression: 'applied' }, { expression: 'b' }],
        tags: ['applied'],
        vars: { v: 1 },
        become: { enabled: true },
      },
    ]);
  });

  test('does not hand its own conditions, tags or become to its tasks, but hands on those of blocks above', async () => {
    const [site] = await compiled({
      'site.yml': play(
        '- block: [{include_tasks: a.yml, when: own, tags: own, become: true}]\n  when: block\n  tags: block',
      ),
      'a.yml': '- command: one\n',
    });
    const [block] = site?.tasks ?? [];
    const [task] = dynamic(block?.kind === 'block' ? block.tasks[0] : undefined).load(fakeVariables({}));
    expect(task).toMatchObject({ when: [{ expression: 'block' }], tags: ['block'] });
    expect(task).not.toHaveProperty('become');
  });

  test('with a template is read when its name is known, and its faults are told then', async () => {
    const [site] = await compiled({
      'site.yml': play('- include_tasks: "{{ os }}.yml"'),
      'debian.yml': '- command: apt\n',
      'broken.yml': '- comand: apt\n',
    });
    const include = dynamic(site?.tasks[0]);
    const scope = (os: string) => fakeVariables({ os });
    expect(namesIn(include.load(scope('debian')))).toEqual(['command']);
    expect(include.load(scope('debian'))).toBe(include.load(scope('debian')));
    expect(() => include.load(scope('broken'))).toThrow("no step is called 'comand'");
    expect(() => include.load(scope('none'))).toThrow("no file 'none.yml'");
  });

  test('with a plain name is checked before the run', async () => {
    const faults = await faultsOf({
      'site.yml': play('- include_tasks: a.yml\n  when: x'),
      'a.yml': '- comand: x\n',
    });
    expect(faults[0]).toContain("PLAYBOOK_STEP_UNKNOWN 1:3 no step is called 'comand'");
  });

  test('chooses its tasks by their own tags', async () => {
    const files = {
      'site.yml': play('- include_tasks: a.yml\n  tags: a'),
      'a.yml': '- {name: one, ping: }\n- {name: two, ping: , tags: a}\n',
    };
    const [site] = await compiled(files, { tags: ['a'] });
    expect(namesIn(dynamic(site?.tasks[0]).load(fakeVariables({})))).toEqual(['two']);
    expect((await compiled(files, { tags: ['b'] }))[0]?.tasks).toEqual([]);
  });

  test('may come back to itself, but not without end', async () => {
    const [site] = await compiled({
      'site.yml': play('- include_tasks: a.yml'),
      'a.yml': '- include_tasks: a.yml\n  when: more\n',
    });
    let include = dynamic(site?.tasks[0]);
    const follow = () => {
      for (let depth = 0; depth < 100; depth += 1) include = dynamic(include.load(fakeVariables({}))[0]);
    };
    expect(follow).toThrow('includes are nested more than 40 deep');
  });

  test('takes old inline variables', async () => {
    const [site] = await compiled({ 'site.yml': play('- include: a.yml port=80'), 'a.yml': '- ping:\n' });
    expect(dynamic(site?.tasks[0]).load(fakeVariables({}))).toMatchObject([{ vars: { port: '80' } }]);
  });

  test('of a playbook is refused', async () => {
    const faults = await faultsOf({
      'site.yml': play('- import_tasks: other.yml'),
      'other.yml': '- hosts: all\n',
    });
    expect(faults[0]).toContain('is a playbook, not a file of tasks');
  });
});

describe('files', () => {
  test('are read only when they are files', async () => {
    const folder = writeProject({ 'site.yml': play('- import_tasks: pipe.yml'), 'folder.yml/x': '' });
    mkfifoSync(`${folder}/pipe.yml`);
    await expect(compilePlaybook(`${folder}/site.yml`, testOptions())).rejects.toThrow("no file 'pipe.yml'");
    await expect(compilePlaybook(`${folder}/pipe.yml`, testOptions())).rejects.toThrow('is not a file');
    await expect(compilePlaybook(`${folder}/folder.yml`, testOptions())).rejects.toThrow('is not a file');
    await expect(compilePlaybook(`${folder}/none.yml`, testOptions())).rejects.toThrow('no file');
  });

  test('of another encoding are named', async () => {
    const thrown = await compiled({ 'site.yml': play('- import_tasks: a.yml'), 'a.yml': '\0' }).catch(
      asFleetErrors,
    );
    expect(thrown).toMatchObject([{ blame: 'usage' }]);
  });
});

describe('include_vars', () => {
  test('is a step that reads on the control node, and is checked where its name is plain', async () => {
    const [site] = await compiled({
      'site.yml': play('- include_vars: a.yml\n- include_vars: {dir: more, name: all}'),
      'vars/a.yml': 'x: "{{ y }}"\n',
      'more/1.yml': 'a: 1\n',
      'more/2.yml': 'b: 2\n',
    });
    const results = [];
    for (const entry of site?.tasks ?? []) {
      if (entry.kind !== 'task') throw new Error('no task');
      const host = { searchPath: entry.searchPath } as never;
      const { values } = entry.step.look(entry.args, host) as unknown as {
        values: { fact: { read: () => Promise<unknown> } };
      };
      results.push(entry.step.plan({ values: await values.fact.read() }, entry.args, host));
    }
    expect(results).toMatchObject([
      { verdict: 'unchanged', result: { ansible_facts: { x: '{{ y }}' } } },
      { verdict: 'unchanged', result: { ansible_facts: { all: { a: 1, b: 2 } } } },
    ]);
    expect((await faultsOf(play('- include_vars: none.yml')))[0]).toContain(
      "PLAYBOOK_FILE_MISSING 3:21 no file 'none.yml'",
    );
  });
});
