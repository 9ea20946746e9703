import { describe, expect, test } from 'vitest';
import { asFleetErrors, formatPlace } from '../../src/core/errors.ts';
import { inventoryGraph, inventoryList } from '../../src/inventory/render.ts';
import { load, loadIni, loadYaml } from './files-in-memory.ts';

async function faults(work: Promise<unknown>): Promise<readonly string[]> {
  try {
    await work;
  } catch (error) {
    return asFleetErrors(error).map(
      (fault) =>
        `${fault.code}${fault.where === undefined ? '' : ` ${formatPlace(fault.where).replace('/inv/', '')}`}`,
    );
  }
  return [];
}

describe('YAML', () => {
  test('groups, children, hosts and vars on every level', async () => {
    const fleet = await loadYaml(
      [
        'all:',
        '  vars: {a: all, b: all}',
        '  children:',
        '    outer:',
        '      vars: {b: outer}',
        '      children:',
        '        inner:',
        '          hosts:',
        '            h[01:03]: {c: host}',
        '            alone:',
        'empty:',
        'other: {hosts: {h02: , extra: }}',
      ].join('\n'),
    );
    expect([...fleet.hosts.keys()]).toEqual(['h02', 'extra', 'h01', 'h03', 'alone']);
    expect(fleet.hosts.get('h01')?.groups).toEqual(['inner', 'outer']);
    expect(fleet.hosts.get('h01')?.vars.get('b')).toBe('outer');
    expect(fleet.hosts.get('h03')?.vars.get('c')).toBe('host');
    expect(fleet.groups.get('empty')?.hosts).toEqual([]);
    expect(fleet.hosts.get('h01')?.where).toEqual({ file: '/inv/hosts.yml', line: 9, column: 13 });
    expect(fleet.hosts.get('h01')?.vars.where('b')).toEqual({ file: '/inv/hosts.yml', line: 5, column: 14 });
  });

  test('values are read as Ansible reads them', async () => {
    const fleet = await loadYaml(
      `all:
  hosts:
    h:
      yes_word: yes
      quoted: "yes"
      octal: 0644
      sixty: 1:30
      float: 1.5
      exponent: 1e3
      empty:
      y: y
      merged: {<<: {a: 1, b: 1}, b: 2}
      base: &base {k: v}
      alias: *base
      date: 2024-01-01
      text: |
        one
          two
      80: number key
`.replaceAll('\n', '\r\n'),
    );
    const vars = fleet.hosts.get('h')?.vars;
    expect(Object.fromEntries(vars?.names().map((name) => [name, vars.get(name)]) ?? [])).toEqual({
      yes_word: true,
      quoted: 'yes',
      octal: 420,
      sixty: 90,
      float: 1.5,
      exponent: '1e3',
      empty: null,
      y: 'y',
      merged: { a: 1, b: 2 },
      base: { k: 'v' },
      alias: { k: 'v' },
      date: '2024-01-01',
      text: 'one\n  two\n',
      '80': 'number key',
    });
  });

  test.each([
    ['two documents', 'all:\n  hosts: {a: }\n---\nb:\n', ['YAML_SEVERAL_DOCUMENTS hosts.yml:3:1']],
    ['an integer host', 'all:\n  hosts:\n    10:\n', ['INVENTORY_NAME hosts.yml:3:5']],
    ['a list of hosts', 'all:\n  hosts:\n    - a\n', ['INVENTORY_SHAPE hosts.yml:2:3']],
    ['a tab', 'all:\n\thosts:\n', ['YAML_SYNTAX hosts.yml:2:1']],
    ['a plugin', 'plugin: aws_ec2\nregions: [x]\n', ['INVENTORY_PLUGIN hosts.yml:1:1']],
    ['a list at the top', '- a\n', ['INVENTORY_SHAPE hosts.yml:1:1']],
    ['an unquoted template', 'all:\n  vars:\n    a: {{ b }}\n', ['YAML_VALUE hosts.yml:3:9']],
    [
      'a bad range',
      'all:\n  hosts:\n    n[3:1]:\n    n[a:]:\n',
      ['INVENTORY_RANGE hosts.yml:3:5', 'INVENTORY_RANGE hosts.yml:4:5'],
    ],
    [
      'a loop of groups',
      'a:\n  children:\n    b:\n      children:\n        a:\n',
      ['INVENTORY_GROUP_LOOP hosts.yml:3:5'],
    ],
    ['an unknown tag', 'all:\n  vars:\n    a: !nope x\n', ['YAML_VALUE hosts.yml:3:14']],
    ['Terraform', '%{ for ip in ips ~}\nx\n%{ endfor ~}\n', ['INVENTORY_TERRAFORM hosts.yml']],
  ])('%s is refused, with the place', async (_what, text, expected) => {
    expect(await faults(loadYaml(text))).toEqual(expected);
  });

  test.each([
    ['an empty block text', 'g:\n  vars:\n    a: |\n    b: 1\n', 'YAML_EMPTY_BLOCK'],
    ['hosts at the top', 'hosts:\n  a:\n', 'INVENTORY_LEVEL'],
    ['a group below a group without children', 'g:\n  sub:\n    hosts: {a: }\n', 'INVENTORY_LEVEL'],
    ['a variable below a group without vars', 'g:\n  token: x\n', 'INVENTORY_LEVEL'],
    ['a key that stands twice', 'g:\n  vars: {a: 1, a: 2}\n', 'YAML_DUPLICATE_KEY'],
    ['a name of host and group', 'g:\n  hosts: {g: }\n', 'INVENTORY_NAME_SHARED'],
    ['a variable at the top', 'token: abc\ng: {hosts: {a: }}\n', 'INVENTORY_GROUP_SKIPPED'],
    ['an empty file', '', 'INVENTORY_EMPTY'],
  ])('%s is named', async (_what, text, code) => {
    expect((await loadYaml(text)).warnings.map((warning) => warning.code)).toContain(code);
  });

  test('a slip in hosts, children or vars is told with the word that it nearly is', async () => {
    const { warnings } = await loadYaml('g:\n  hosts: {a: }\n  childrens:\n    h: {hosts: {b: }}\n');
    expect(warnings).toMatchObject([
      { code: 'INVENTORY_LEVEL', fix: 'Rename it to "children" if that is what it means.' },
    ]);
  });
});

describe('INI', () => {
  test('hosts, vars, children, ranges, comments and quotes', async () => {
    const fleet = await loadIni(
      [
        'lone ansible_port=2222 # a comment',
        '; another',
        '[web]',
        'web[1:2] note="two words" list="[1, \'b\']" flag=yes number=5',
        '10.0.0.1:2200',
        '[site:children]',
        'web',
        'late',
        '[site:vars]',
        'cut = 7   # counts as a comment',
        "quoted = 'a # b'",
        'plain = a # b',
        'literal = True',
        '[late]',
        'x key=a#b',
      ].join('\n'),
    );
    expect(inventoryList(fleet)).toMatchObject({
      ungrouped: { hosts: ['lone'] },
      site: { children: ['web', 'late'] },
      _meta: {
        hostvars: {
          lone: { ansible_port: 2222 },
          web1: {
            note: 'two words',
            list: [1, 'b'],
            flag: 'yes',
            number: 5,
            cut: 7,
            quoted: 'a # b',
            plain: 'a # b',
            literal: true,
          },
          '10.0.0.1': { ansible_port: 2200 },
          x: { key: 'a' },
        },
      },
    });
    expect(fleet.warnings.map((warning) => warning.code)).toEqual(['INI_COMMENT_IN_VALUE']);
    expect(fleet.hosts.get('web2')?.vars.where('flag')).toEqual({
      file: '/inv/hosts.ini',
      line: 4,
      column: 43,
    });
  });

  test.each([
    ['[a b]\n', ['INI_SECTION hosts.ini:1:1']],
    ['[a:what]\n', ['INI_SECTION hosts.ini:1:1']],
    ['[a\nh\n', ['INI_SECTION hosts.ini:1:1']],
    ['[a:children]\nnope\n', ['INVENTORY_GROUP_UNKNOWN hosts.ini:2:1']],
    ['[a:vars]\nx=1\n', ['INVENTORY_GROUP_UNKNOWN hosts.ini:1:1']],
    ['[a:children]\nall\n', ['INVENTORY_GROUP_LOOP hosts.ini:2:1']],
    ['h oops\n', ['INI_VARIABLE hosts.ini:1:3']],
    ['h a="b\n', ['INI_QUOTES hosts.ini:1:1']],
    ['[a]\n[a:vars]\nnothing\n', ['INI_VARIABLE hosts.ini:3:1']],
    ['h:\n', ['INVENTORY_NAME hosts.ini:1:1']],
  ])('%j is refused', async (text, expected) => {
    expect(await faults(loadIni(text))).toEqual(expected);
  });
});

describe('sources', () => {
  test('a list of hosts', async () => {
    const fleet = await load({}, { sources: ['a,b:2222,n[1:2],'] });
    expect([...fleet.hosts.keys()]).toEqual(['a', 'b', 'n1', 'n2']);
    expect(fleet.hosts.get('b')?.vars.get('ansible_port')).toBe(2222);
    expect(fleet.hosts.get('b')?.vars.get('inventory_dir')).toBeNull();
  });

  test('a folder is read in the order of names, without what is no inventory', async () => {
    const fleet = await load(
      {
        '/inv/20-late': '[g]\na v=late\n',
        '/inv/10-early': '[g]\na v=early w=kept\n',
        '/inv/README.md': 'not an inventory',
        '/inv/program.ini': '[settings]\nregion=eu\n',
        '/inv/.hidden.yml': '{',
        '/inv/group_vars/g.yml': 'from_file: 1\n',
      },
      { sources: ['/inv'] },
    );
    expect(fleet.hosts.get('a')?.vars.get('v')).toBe('late');
    expect(fleet.hosts.get('a')?.vars.get('w')).toBe('kept');
    expect(fleet.hosts.get('a')?.vars.get('from_file')).toBe(1);
    expect(fleet.hosts.get('a')?.vars.get('inventory_file')).toBe('/inv/10-early');
  });

  test('a program answers --list, and --host when it has no _meta', async () => {
    const asked: string[] = [];
    const fleet = await load(
      {
        '/inv/dynamic': (args) => {
          asked.push(args.join(' '));
          return args[0] === '--list'
            ? '{"g": ["a", "b"], "p": {"children": ["g"], "vars": {"x": 1}}}'
            : `{"me": "${args[1]}"}`;
        },
        '/inv/group_vars/p.yml': 'y: 2\n',
      },
      { sources: ['/inv/dynamic'] },
    );
    expect(asked).toEqual(['--list', '--host a', '--host b']);
    expect(['x', 'y', 'me'].map((name) => fleet.hosts.get('b')?.vars.get(name))).toEqual([1, 2, 'b']);
  });

  test.each([
    ['not json', ['INVENTORY_PROGRAM_ANSWER /x'.replace('/x', 'dynamic')]],
    ['[1]', ['INVENTORY_PROGRAM_ANSWER dynamic']],
    ['{"g": 5, "_meta": {"hostvars": {}}}', ['INVENTORY_PROGRAM_ANSWER dynamic']],
  ])('a program that answers %s is named', async (answer, expected) => {
    expect(await faults(load({ '/inv/dynamic': () => answer }, { sources: ['/inv/dynamic'] }))).toEqual(
      expected,
    );
  });

  test('everything wrong in all sources is told at once', async () => {
    expect(
      await faults(
        load(
          { '/inv/a.yml': 'g:\n  hosts:\n    5:\n', '/inv/b.ini': '[x y]\n', '/inv/main.tf': '' },
          { sources: ['/inv/a.yml', '/inv/b.ini', '/inv/none.yml', '/inv/main.tf'], extraVars: ['nonsense'] },
        ),
      ),
    ).toEqual([
      'INVENTORY_NAME a.yml:3:5',
      'INI_SECTION b.ini:1:1',
      'INVENTORY_NOT_FOUND',
      'INVENTORY_TERRAFORM main.tf',
      'EXTRA_VARS',
    ]);
  });
});

test('which value wins, from the weakest to the strongest', async () => {
  const levels = [
    ['all in the inventory', 'all: {vars: {v: 0}}'],
    ['a parent group', 'parent: {vars: {v: 1}}'],
    ['a child group', 'child: {vars: {v: 2}}'],
  ] as const;
  const yaml = [
    'all: {vars: {v0: 0, v1: 0, v2: 0, v3: 0, v4: 0, v5: 0, v6: 0, v7: 0, v8: 0, v9: 0, v10: 0}}',
    'parent:',
    '  vars: {v1: 1, v2: 1, v3: 1, v4: 1, v5: 1, v6: 1, v7: 1, v8: 1, v9: 1, v10: 1}',
    '  children:',
    '    child:',
    '      vars: {v2: 2, v3: 2, v4: 2, v5: 2, v6: 2, v7: 2, v8: 2, v9: 2, v10: 2}',
    '      hosts: {h: {v7: 7, v8: 7, v9: 7, v10: 7}}',
  ].join('\n');
  const from = (first: number, value: number): string =>
    Array.from({ length: 11 - first }, (_item, index) => `v${first + index}: ${value}\n`).join('');
  const fleet = await load(
    {
      '/inv/hosts.yml': yaml,
      '/inv/group_vars/all.yml': from(3, 3),
      '/play/group_vars/all.yml': from(4, 4),
      '/inv/group_vars/child.yml': from(5, 5),
      '/play/group_vars/child/z.yml': from(6, 6),
      '/inv/host_vars/h': from(8, 8),
      '/play/host_vars/h.yml': from(9, 9),
    },
    { playbookFolder: '/play', extraVars: ['v10=10'] },
  );
  expect(levels.length).toBe(3);
  const vars = fleet.hosts.get('h')?.vars;
  expect(Array.from({ length: 11 }, (_item, index) => Number(vars?.get(`v${index}`)))).toEqual([
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
  ]);
  expect(vars?.with({ v0: 'play', v10: 'play' }).get('v0')).toBe('play');
  expect(vars?.with({ v0: 'play', v10: 'play' }).get('v10')).toBe('10');
  expect(vars?.with({ inventory_hostname: 'other' }).get('inventory_hostname')).toBe('other');
});

test('groups of the same depth: by priority, then by name', async () => {
  const fleet = await loadYaml(
    'b: {hosts: {h: }, vars: {x: b, y: b}}\na: {hosts: {h: }, vars: {x: a, y: a, ansible_group_priority: 5}}\nc: {hosts: {h: }, vars: {y: c}}\n',
  );
  expect(fleet.hosts.get('h')?.vars.get('x')).toBe('a');
  expect(fleet.hosts.get('h')?.vars.get('y')).toBe('a');
});

describe('extra vars', () => {
  test.each([
    [['a=1 b="two words"'], { a: '1', b: 'two words' }],
    [['{"a": 1, "b": [true]}'], { a: 1, b: [true] }],
    [['@/inv/extra.yml', 'b=later'], { a: { c: 1 }, b: 'later' }],
    [['url=http://x/#y'], { url: 'http://x/#y' }],
  ])('%j', async (extraVars, expected) => {
    const fleet = await load(
      { '/inv/hosts.yml': 'all: {hosts: {h: }}', '/inv/extra.yml': 'a: {c: 1}\nb: 2\n' },
      { extraVars },
    );
    const vars = fleet.hosts.get('h')?.vars;
    expect(Object.fromEntries(vars?.names().map((name) => [name, vars.get(name)]) ?? [])).toEqual(expected);
    expect(fleet.vars.get(Object.keys(expected)[0] ?? '')).toEqual(Object.values(expected)[0]);
  });
});

test('the graph has the form of ansible-inventory --graph', async () => {
  const fleet = await loadYaml(
    'top: {children: {sub: {hosts: {a: {v: 1}}}}, hosts: {b: }}\nall: {hosts: {c: }}\n',
  );
  expect(inventoryGraph(fleet)).toBe(
    [
      '@all:',
      '  |--@ungrouped:',
      '  |  |--c',
      '  |--@top:',
      '  |  |--@sub:',
      '  |  |  |--a',
      '  |  |--b',
    ].join('\n'),
  );
  expect(inventoryGraph(fleet, { group: 'sub', vars: true })).toBe('@sub:\n  |--a\n  |  |--{v = 1}');
});
