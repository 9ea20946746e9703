import { describe, expect, test } from 'vitest';
import { asFleetErrors, formatPlace } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import { load, loadYaml } from './files-in-memory.ts';

const CLUSTER = `
k3s_cluster:
  children:
    server: {hosts: {s1: {ansible_host: 10.0.0.1}, s2: }}
    agent: {hosts: {a1.example.org: }}
  vars:
    endpoint: "{{ hostvars[groups['server'][0]]['ansible_host'] | default(groups['server'][0]) }}"
    second: "{{ hostvars[groups['server'][1]]['ansible_host'] | default(groups['server'][1]) }}"
    others: "{{ groups['server'] | difference([inventory_hostname]) }}"
    addresses: "{{ groups['k3s_cluster'] | map('extract', hostvars, 'ansible_host') | select('defined') | list }}"
    args: "--node-ip={{ ansible_host }} {% if 'agent' in group_names %}--agent{% endif %}"
    chain: "{{ endpoint }}:{{ port }}"
    port: 6443
    broken: "{{ nothing }}"
    spare: "{{ broken | default('spare') }}"
    loop_a: "{{ loop_b }}"
    loop_b: "x{{ loop_a }}"
    raw: !unsafe "{{ not a template }}"
    deep: {list: ["{{ port }}", {key: "{{ port + 1 }}"}], gone: "{{ nothing | default(omit) }}"}
    all_vars: "{{ vars['port'] }} {{ hostvars[inventory_hostname].port }}"
    looked_up: "{{ lookup('vars', 'port') }} {{ lookup('vars', 'nope', default='d') }} {{ query('dict', {'a': 1}) }}"
    listing: "{% for name in hostvars %}{{ name }} {% endfor %}"
`;

describe('variables of a host', () => {
  test.each([
    ['a1.example.org', 'endpoint', '10.0.0.1'],
    ['a1.example.org', 'second', 's2'],
    ['s2', 'others', ['s1']],
    ['s1', 'addresses', ['10.0.0.1']],
    ['a1.example.org', 'args', '--node-ip=a1.example.org --agent'],
    ['s1', 'args', '--node-ip=10.0.0.1 '],
    ['s1', 'chain', '10.0.0.1:6443'],
    ['s1', 'spare', 'spare'],
    ['s1', 'raw', '{{ not a template }}'],
    ['s1', 'deep', { list: [6443, { key: 6444 }] }],
    ['s1', 'all_vars', '6443 6443'],
    ['s1', 'listing', 's1 s2 a1.example.org '],
    ['a1.example.org', 'inventory_hostname_short', 'a1'],
    ['s1', 'group_names', ['k3s_cluster', 'server']],
    ['s1', 'looked_up', "6443 d [{'key': 'a', 'value': 1}]"],
    ['s1', 'missing', undefined],
  ])('%s %s', async (host, name, value) => {
    expect((await loadYaml(CLUSTER)).hosts.get(host)?.vars.get(name)).toEqual(value);
  });

  test.each([
    [
      'broken',
      'TEMPLATE_UNDEFINED',
      '/inv/hosts.yml:14:5',
      /variable "broken": 'nothing' is undefined in {{ nothing }}/,
    ],
    ['loop_a', 'TEMPLATE_LOOP', '/inv/hosts.yml:16:5', /loop_a → loop_b → loop_a/],
    ['loop_b', 'TEMPLATE_LOOP', '/inv/hosts.yml:17:5', /loop_b → loop_a → loop_b/],
  ])('%s fails as %s, naming host, place and expression', async (name, code, place, message) => {
    const vars = (await loadYaml(CLUSTER)).hosts.get('s1')?.vars;
    for (const _again of [1, 2]) {
      try {
        vars?.get(name);
        expect.unreachable();
      } catch (error) {
        const [fault] = asFleetErrors(error);
        expect(fault.code).toBe(code);
        expect(fault.host).toBe('s1');
        expect(fault.message).toMatch(message);
        expect(fault.where === undefined ? '' : formatPlace(fault.where)).toBe(place);
      }
    }
  });

  test('scopes laid over one another', async () => {
    const base = (await loadYaml(CLUSTER)).hosts.get('s1')?.vars;
    const scope = base?.with({ port: 1, item: '{{ port + 1 }}' }).with({ item2: '{{ item }}' });
    expect(scope?.get('chain')).toBe('10.0.0.1:1');
    expect(scope?.template({ a: ['{{ item2 }}'], b: 'x{{ item }}' })).toEqual({ a: [2], b: 'x2' });
    expect(scope?.test('item == 2 and port is defined')).toBe(true);
    expect(scope?.test('{{ item }} == 3')).toBe(false);
    expect(scope?.test('')).toBe(true);
    expect(base?.get('port')).toBe(6443);
  });

  test('values are frozen', async () => {
    const vars = (await loadYaml(CLUSTER)).hosts.get('s1')?.vars;
    expect(Object.isFrozen(vars?.get('deep'))).toBe(true);
    expect(Object.isFrozen(vars?.get('others'))).toBe(true);
  });
});

describe('lookups', () => {
  test('the environment and files, and nothing else', async () => {
    const fleet = await load(
      {
        '/inv/hosts.yml': `all: {hosts: {h: {home: "{{ lookup('env', 'PLACE') }}", none: "{{ lookup('env', 'NONE') }}", pipe: "{{ lookup('pipe', 'id') }}", names: "{{ query('inventory_hostnames', 'all') }}"}}}`,
      },
      { env: { PLACE: 'here' } },
    );
    const vars = fleet.hosts.get('h')?.vars;
    expect(vars?.get('home')).toBe('here');
    expect(vars?.get('none')).toBe('');
    expect(vars?.get('names')).toEqual(['h']);
    expect(() => vars?.get('pipe')).toThrow(/templates run no programs/);
  });
});

test('a secret laid over stays one in what is made of it', async () => {
  const vars = (await loadYaml('all: {hosts: {h: {line: "K3S_TOKEN={{ token }}"}}}')).hosts.get('h')?.vars;
  const line = vars?.with({ token: new Secret('sesame') }).get('line');
  expect(line).toBeInstanceOf(Secret);
  expect((line as Secret).reveal()).toBe('K3S_TOKEN=sesame');
});
