import { expect, test } from 'vitest';
import type { DynamicInclude } from '../../src/engine/play.ts';
import { compiled, fakeVariables, faultsOf, namesIn } from './project.ts';

const web = {
  'roles/web/tasks/main.yml': '- {name: install, command: x, notify: restart}\n- import_tasks: more.yml\n',
  'roles/web/tasks/more.yml': '- {name: more, copy: {src: a, dest: /a}}\n',
  'roles/web/tasks/other.yml': '- {name: other, ping: }\n',
  'roles/web/handlers/main.yml': '- {name: restart, ping: }\n',
  'roles/web/defaults/main.yml': 'port: 80\nname: web\n',
  'roles/web/vars/main.yml': 'kind: role\nfixed: role\n',
};

test('a role brings tasks, handlers, variables and defaults', async () => {
  const [play] = await compiled({
    'site.yml':
      '- hosts: all\n  vars: {kind: play}\n  roles:\n    - {role: web, when: w, tags: [t], vars: {fixed: entry}, param: 1}\n',
    ...web,
  });
  expect(play).toMatchObject({ defaults: { port: 80, name: 'web' }, vars: { kind: 'role', fixed: 'role' } });
  expect(namesIn(play?.tasks ?? [])).toEqual(['web : install', 'web : more']);
  expect(play?.tasks[0]).toMatchObject({
    when: [{ expression: 'w' }],
    tags: ['t'],
    vars: { kind: 'role', fixed: 'role', param: 1, role_name: 'web' },
    defaults: { port: 80 },
  });
  expect(play?.handlers).toMatchObject([{ name: 'web : restart', listen: ['restart'], when: [], tags: [] }]);
  const [, more] = play?.tasks ?? [];
  expect(
    (more as unknown as { searchPath: string[] }).searchPath.map((path) =>
      path.replace(/.*fleet-playbook-[^/]*/, ''),
    ),
  ).toEqual(['/roles/web/files', '/roles/web', '/roles/web/tasks/files', '/roles/web/tasks', '/files', '']);
});

test('dependencies run first, and once', async () => {
  const [play] = await compiled({
    'site.yml': '- hosts: all\n  roles: [a, b, a, {role: a, vars: {x: 1}}]\n',
    'roles/a/meta/main.yml': 'dependencies: [common]\n',
    'roles/b/meta/main.yml': 'dependencies: [{role: common}]\n',
    'roles/a/tasks/main.yml': '- {name: a, ping: }\n',
    'roles/b/tasks/main.yml': '- {name: b, ping: }\n',
    'roles/common/tasks/main.yml': '- {name: common, ping: }\n',
  });
  expect(namesIn(play?.tasks ?? [])).toEqual(['common : common', 'a : a', 'b : b', 'a : a']);
});

test('import_role stands for its tasks, include_role is read at the run, both with tasks_from', async () => {
  const [play] = await compiled({
    'site.yml':
      '- hosts: all\n  tasks:\n    - import_role: {name: web, tasks_from: other}\n    - include_role: {name: web}\n      vars: {v: 1}\n      when: c\n    - include_role: {name: "{{ r }}", tasks_from: other.yml}\n',
    ...web,
  });
  const [imported, include, templated] = play?.tasks ?? [];
  expect(imported).toMatchObject({ name: 'web : other' });
  const loaded = (include as DynamicInclude).load(fakeVariables({}));
  expect(namesIn(loaded)).toEqual(['web : install', 'web : more']);
  expect(loaded[0]).toMatchObject({ vars: { v: 1, fixed: 'role' }, defaults: { port: 80 }, when: [] });
  expect(play?.handlers.map((handler) => handler.name)).toEqual(['web : restart']);
  expect(namesIn((templated as DynamicInclude).load(fakeVariables({ r: 'web' })))).toEqual(['web : other']);
  expect(
    (templated as DynamicInclude).loadHandlers?.(fakeVariables({ r: 'web' })).map(({ name }) => name),
  ).toEqual([]);
});

test('roles that depend on each other, or that are not there, are named', async () => {
  expect(
    await faultsOf({
      'site.yml': '- hosts: all\n  roles: [a]\n',
      'roles/a/meta/main.yml': 'dependencies: [b]\n',
      'roles/b/meta/main.yml': 'dependencies: [a]\n',
    }),
  ).toMatchObject([
    expect.stringContaining('PLAYBOOK_INCLUDE_LOOP 1:16 roles depend on each other without end: a → b → a'),
  ]);
  expect(
    await faultsOf({ 'site.yml': '- hosts: all\n  tasks: [{import_role: {name: wep}}]\n', ...web }),
  ).toMatchObject([expect.stringContaining("no role 'wep' | Did you mean 'web'?")]);
  expect(
    await faultsOf({
      'site.yml': '- hosts: all\n  tasks: [{import_role: {name: web, tasks_from: othr}}]\n',
      ...web,
    }),
  ).toMatchObject([expect.stringContaining("role 'web' has no tasks 'othr'")]);
});

test('a role that imports itself is an error, one that includes itself is not', async () => {
  const site = '- hosts: all\n  roles: [a]\n';
  expect(
    await faultsOf({ 'site.yml': site, 'roles/a/tasks/main.yml': '- import_role: {name: a}\n' }),
  ).toMatchObject([expect.stringContaining('PLAYBOOK_INCLUDE_LOOP')]);
  expect(
    await faultsOf({ 'site.yml': site, 'roles/a/tasks/main.yml': '- include_role: {name: a}\n  when: x\n' }),
  ).toEqual([]);
});

test('the innermost role has its own variables, and block and task variables lie above them', async () => {
  const [play] = await compiled({
    'site.yml': '- hosts: all\n  roles: [outer]\n',
    'roles/outer/vars/main.yml': 'kind: outer\nonly: outer\n',
    'roles/outer/defaults/main.yml': 'port: 1\n',
    'roles/outer/tasks/main.yml':
      '- import_role: {name: inner}\n  vars: {above: import}\n- ping:\n  vars: {kind: task}\n',
    'roles/inner/vars/main.yml': 'kind: inner\nabove: inner\n',
    'roles/inner/defaults/main.yml': 'port: 2\n',
    'roles/inner/tasks/main.yml': '- ping:\n',
  });
  expect(play?.tasks).toMatchObject([
    { vars: { kind: 'inner', only: 'outer', above: 'import', role_name: 'inner' }, defaults: { port: 2 } },
    { vars: { kind: 'task', only: 'outer', role_name: 'outer' }, defaults: { port: 1 } },
  ]);
});
