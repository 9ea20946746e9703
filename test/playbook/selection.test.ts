import { describe, expect, test } from 'vitest';
import { bundledPlaybook } from '../../src/playbook/bundled.ts';
import { listingOf } from '../../src/playbook/listing.ts';
import { isSelected } from '../../src/playbook/tags.ts';
import { setupStep } from '../../src/steps/setup.ts';
import { compiled, faultsOf, namesIn } from './project.ts';

describe('tags choose as in Ansible', () => {
  // own tags, --tags, --skip-tags, chosen: each line seen with ansible-playbook 2.14 --list-tasks.
  const cases: readonly (readonly [string, string, string, boolean])[] = [
    ['', '', '', true],
    ['a', '', '', true],
    ['a', 'a', '', true],
    ['a,b', 'b', '', true],
    ['a', 'b', '', false],
    ['', 'a', '', false],
    ['', 'untagged', '', true],
    ['a', 'untagged', '', false],
    ['a', 'tagged', '', true],
    ['', 'tagged', '', false],
    ['always', 'a', '', true],
    ['always', 'untagged', '', true],
    ['always', '', 'always', false],
    ['always', 'a', 'always', false],
    ['always', '', 'all', true],
    ['always', '', 'tagged', false],
    ['always,a', '', 'a', false],
    ['a', '', 'all', false],
    ['', '', 'all', false],
    ['always', '', 'all,always', false],
    ['never', '', '', false],
    ['never', 'all', '', false],
    ['never', 'never', '', true],
    ['never,a', 'a', '', true],
    ['never,a', '', '', false],
    ['never', 'tagged', '', false],
    ['never,a', 'tagged', '', false],
    ['never,always', '', '', true],
    ['a', '', 'a', false],
    ['a', 'a', 'a', false],
    ['a', '', 'tagged', false],
    ['', '', 'tagged', true],
    ['', '', 'untagged', false],
    ['a', '', 'untagged', true],
    ['a,b', 'a', 'b', false],
    ['a', 'all', '', true],
  ];
  const split = (text: string) => text.split(',').filter((tag) => tag !== '');
  test.each(cases)('[%s] with --tags "%s" --skip-tags "%s": %s', (own, only, skip, chosen) => {
    expect(isSelected(split(own), { only: split(only), skip: split(skip) })).toBe(chosen);
  });

  test('plays, blocks and tasks add theirs', async () => {
    const playbook =
      '- hosts: all\n  tags: p\n  tasks:\n    - block: [{name: one, ping: , tags: [t, 5]}, {name: two, ping: , tags: never}]\n      tags: b\n';
    const [play] = await compiled(playbook, { tags: ['5'] });
    expect(namesIn(play?.tasks ?? [])).toEqual(['one']);
    // never is inherited, too; but the tag of the block names the second task as well.
    expect(namesIn((await compiled(playbook, { tags: ['b'] }))[0]?.tasks ?? [])).toEqual(['one', 'two']);
    expect(namesIn((await compiled(playbook))[0]?.tasks ?? [])).toEqual(['one']);
  });

  test('facts are gathered unless always, or the play, is skipped', async () => {
    const playbook = '- hosts: all\n  tags: p\n';
    const gathers = async (more: object) => {
      const [play] = await compiled(playbook, {
        ...more,
        steps: { allSteps: [setupStep], stepNamed: () => setupStep },
      });
      return namesIn(play?.tasks ?? []).includes('Gather facts');
    };
    expect(await gathers({ tags: ['x'] })).toBe(true);
    expect(await gathers({ skipTags: ['always'] })).toBe(false);
    expect(await gathers({ skipTags: ['p'] })).toBe(false);
  });

  test('may be templates of what is known before the run', async () => {
    const [play] = await compiled('- hosts: all\n  tasks: [{ping: , tags: ["{{ t }}", x]}]\n', {
      extraVars: { t: ['a', 'b'] },
    });
    expect(play?.tasks[0]).toMatchObject({ tags: ['a', 'b', 'x'] });
  });
});

describe('--start-at', () => {
  const playbook = `
- hosts: all
  tasks: [{name: one, ping: }]
- hosts: all
  tasks:
    - {name: two, ping: }
    - block: [{name: three, ping: }, {name: four, ping: }]
      rescue: [{name: rescued, ping: }]
    - {name: five, ping: }
- hosts: all
  tasks: [{name: six, ping: }]
`;
  const cases: readonly (readonly [string, readonly (readonly string[])[]])[] = [
    ['one', [['one'], ['two', 'three', 'four', 'rescued', 'five'], ['six']]],
    ['four', [['four', 'rescued', 'five'], ['six']]],
    ['fi*', [['five'], ['six']]],
    ['s?x', [['six']]],
  ];
  test.each(cases)('%s', async (startAt, names) => {
    expect((await compiled(playbook, { startAt })).map((play) => namesIn(play.tasks))).toEqual(names);
  });

  test('names the nearest task when there is none', async () => {
    expect(await faultsOf(playbook, { startAt: 'thre' })).toMatchObject([
      expect.stringContaining("no task is called 'thre' | Did you mean 'three'?"),
    ]);
  });
});

test('lists steps, tags and hosts', async () => {
  const plays = await compiled(`
- hosts: server
  tags: p
  pre_tasks: [{name: pre, ping: }]
  tasks:
    - {name: one, ping: , tags: [z, a]}
    - include_tasks: "{{ x }}.yml"
  handlers: [{name: h, ping: }]
`);
  expect(listingOf(plays)).toMatchObject([
    {
      play: 'server',
      pattern: 'server',
      hosts: ['s1', 's2'],
      tags: ['p'],
      allTags: ['a', 'p', 'z'],
      steps: [
        { name: 'pre', step: 'ping', tags: ['p'] },
        { name: 'one', step: 'ping', tags: ['a', 'p', 'z'] },
        { name: 'include_tasks {{ x }}.yml', step: 'include' },
      ],
      handlers: [{ name: 'h' }],
    },
  ]);
});

test('a bundled playbook that is not there says so', () => {
  expect(() => bundledPlaybook('nothing-of-this-name')).toThrow("has no playbook 'nothing-of-this-name.yml'");
});
