import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Ajv } from 'ajv';
import { describe, expect, it, test } from 'vitest';
import { parse, type ScalarTag } from 'yaml';
import { playbookJsonSchema } from '../../src/playbook/schema.ts';
import { withPlaybookSteps } from '../../src/playbook/step-library.ts';
import { allSteps, stepNamed } from '../../src/steps/registry.ts';
import { PLAYBOOK_CASES } from '../compat/playbooks/cases.ts';
import type { Outcome } from '../compat/playbooks/outcome.ts';

const root = resolve(import.meta.dirname, '../..');
const answers = JSON.parse(
  readFileSync(join(root, 'test/compat/playbooks/answers.json'), 'utf8'),
) as Readonly<Record<string, Outcome>>;
const steps = withPlaybookSteps({ allSteps, stepNamed }).allSteps;

interface Drawn {
  readonly definitions: Readonly<Record<string, { readonly properties?: Readonly<Record<string, unknown>> }>>;
}

// As it is in the file: without TypeBox's symbols.
const schema = JSON.parse(JSON.stringify(playbookJsonSchema(steps))) as Drawn;
const ajv = new Ajv({ strict: false });
const validate = ajv.compile(schema);

/** As an editor reads it: YAML 1.2, tags of Ansible passed over. */
function read(yaml: string): unknown {
  const customTags = ['!vault', '!unsafe'].map((tag): ScalarTag => ({ tag, resolve: (text) => text }));
  return parse(yaml, { customTags });
}

function playbookOf(read: unknown): unknown {
  const isTasks = Array.isArray(read) && !read.some((item) => 'hosts' in item || 'import_playbook' in item);
  return isTasks ? [{ hosts: 'all', tasks: read }] : read;
}

const cases: readonly (readonly [string, boolean])[] = [
  ['[{hosts: all}]', true],
  ['[{hosts: all, tasks: [{command: x, when: a, tags: [a]}]}]', true],
  ['[{hosts: all, tasks: [{copy: {dest: "{{ a }}", backup: "{{ b }}"}}]}]', true],
  ['[{hosts: all, tasks: [{copy: {dest: /x, mode: 0644, backup: yes}}]}]', true],
  ['[{hosts: all, tasks: [{copy: {dest: /x, mode: "u=rw,g=r"}}]}]', true],
  ['[{hosts: all, tasks: [{copy: dest=/x content=y}]}]', true],
  ['[{hosts: all, tasks: [{block: [{ping: }], rescue: [{ansible.builtin.ping: }]}]}]', true],
  ['[{import_playbook: a.yml}]', true],
  ['[{hosts: all, tasks: [{include_tasks: a.yml, vars: {a: 1}}]}]', true],
  ['[{hosts: all, tasks: [{include_vars: {dir: vars}}]}]', true],
  ['[{hosts: all, steps: [{ping: , with_items: [a]}]}]', true],
  ['[{hosts: all, tasks: [{apt: {pkg: curl, update-cache: yes, cache_valid_time: "60"}}]}]', true],
  ['[{hosts: all, tasks: [{lineinfile: {dest: /x, line: y}}]}]', true],
  ['[{hosts: all, tasks: [{command: {_raw_params: uptime, chdir: /x}}]}]', true],
  ['[{hosts: all, tasks: [{set_fact: {any_name: 1}}]}]', true],
  // A step of the user's own, and one that fleet has under a shorter name.
  ['[{hosts: all, tasks: [{motd: {line: x}}]}]', true],
  ['[{hosts: all, tasks: [{ansible.posix.mount: {path: /x, state: mounted}}]}]', true],
  ['[{host: all}]', false],
  ['[{hosts: all, task: [{ping: }]}]', false],
  ['[{hosts: all, tasks: {}}]', false],
  ['[{hosts: all, order: upwards}]', false],
  ['[{hosts: all, tasks: [{copy: {desst: x}}]}]', false],
  ['[{hosts: all, tasks: [{copy: {content: x}}]}]', false],
  ['[{hosts: all, tasks: [{copy: {dest: x}}]}]', false],
  ['[{hosts: all, tasks: [{copy: {dest: /x, mode: rw}}]}]', false],
  ['[{hosts: all, tasks: [{ansible.builtin.copy: {dest: /x, backup: 5}}]}]', false],
  ['[{hosts: all, tasks: [{lineinfile: {line: y}}]}]', false],
  ['[{hosts: all, tasks: [{service: {name: x, state: running}}]}]', false],
  ['[{hosts: all, tasks: [{apt: {name: x, cache_valid_time: -1}}]}]', false],
  ['[{hosts: all, tasks: [{ping: , retries: many}]}]', false],
  ['[{hosts: all, tasks: [{ping: , loop: 5}]}]', false],
  ['[{hosts: all, tasks: [{block: [{copy: {desst: x}}]}]}]', false],
  ['[{hosts: all, tasks: [{block: [{ping: }], rescu: [{ping: }]}]}]', false],
  ['{}', false],
];
test.each(cases)('%s', (yaml, valid) => {
  expect(validate(read(yaml)), JSON.stringify(validate.errors)).toBe(valid);
});

describe('the schema of playbooks', () => {
  it('has each step once, and every name of it for the same', () => {
    const properties = schema.definitions.task?.properties ?? {};
    for (const step of steps) {
      const own = { $ref: `#/definitions/step-${step.name}` };
      for (const name of [step.name, ...(step.aliases ?? [])]) {
        expect(properties[name], name).toEqual(own);
        if (!name.startsWith('k3s_')) expect(properties[`ansible.builtin.${name}`], name).toEqual(own);
      }
    }
    const drawn = Object.keys(schema.definitions).filter((name) => name.startsWith('step-'));
    expect(drawn).toHaveLength(steps.length);
  });

  it('is one of draft 7, where nothing counts that stands beside a $ref', () => {
    expect(ajv.validateSchema(schema), JSON.stringify(ajv.errors)).toBe(true);
    JSON.stringify(schema, (key, value: unknown) => {
      if (typeof value === 'object' && value !== null && '$ref' in value)
        expect(Object.keys(value), key).toEqual(['$ref']);
      return value;
    });
  });

  it('takes what is being typed for a task, so that editors offer all steps and a block', () => {
    const { entry, task } = schema.definitions as Readonly<Record<string, object>>;
    expect(new Ajv({ strict: false }).compile((entry as { readonly if: object }).if)('cop')).toBe(false);
    expect((task as { readonly properties: object }).properties).toHaveProperty('block');
  });

  it('describes every key and argument, wherever it stands', () => {
    const named = Object.values(schema.definitions).flatMap(({ properties = {} }) =>
      Object.entries(properties),
    );
    const bare = named.filter(
      ([, value]) => !('$ref' in (value as object)) && !('description' in (value as object)),
    );
    expect(bare.map(([name]) => name)).toEqual([]);
  });

  it('takes every playbook of ours', () => {
    for (const folder of ['playbooks', 'test/compat']) {
      const files = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
      const playbooks = files.filter((name) => name.endsWith('.yml'));
      expect(playbooks, folder).not.toEqual([]);
      for (const name of playbooks) {
        const value = read(readFileSync(join(root, folder, name), 'utf8'));
        if (!Array.isArray(value)) continue;
        expect(validate(playbookOf(value)), `${name}: ${JSON.stringify(validate.errors)}`).toBe(true);
      }
    }
  });

  it('takes the examples of every step', () => {
    for (const { name, examples } of steps) {
      for (const example of examples) {
        const value = playbookOf(read(example));
        expect(validate(value), `${name}: ${JSON.stringify(validate.errors)}`).toBe(true);
      }
    }
  });

  it('takes the playbooks that Ansible and fleet both run', () => {
    for (const [name, { playbook, differs }] of Object.entries(PLAYBOOK_CASES)) {
      if (differs !== undefined || answers[name]?.refused !== false) continue;
      const value = playbookOf(read(playbook));
      expect(validate(value), `${name}: ${JSON.stringify(validate.errors)}`).toBe(true);
    }
  });
});
