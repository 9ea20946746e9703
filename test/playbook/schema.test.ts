import { Ajv } from 'ajv';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { playbookJsonSchema } from '../../src/playbook/schema.ts';
import { fakeSteps } from './project.ts';

const validate = new Ajv({ strict: false }).compile(playbookJsonSchema(fakeSteps));

const cases: readonly (readonly [string, boolean])[] = [
  ['[{hosts: all}]', true],
  ['[{hosts: all, tasks: [{command: x, when: a, tags: [a]}]}]', true],
  ['[{hosts: all, tasks: [{copy: {dest: "{{ a }}", backup: "{{ b }}"}}]}]', true],
  ['[{hosts: all, tasks: [{block: [{ping: }], rescue: [{ansible.builtin.ping: }]}]}]', true],
  ['[{import_playbook: a.yml}]', true],
  ['[{hosts: all, tasks: [{include_tasks: a.yml, vars: {a: 1}}]}]', true],
  ['[{hosts: all, steps: [{ping: , with_items: [a]}]}]', true],
  ['[{host: all}]', false],
  ['[{hosts: all, tasks: [{comand: x}]}]', false],
  ['[{hosts: all, tasks: [{copy: {desst: x}}]}]', false],
  ['[{hosts: all, tasks: [{block: [{pong: }]}]}]', false],
  ['[{hosts: all, tasks: {}}]', false],
  ['{}', false],
];
test.each(cases)('%s', (yaml, valid) => {
  expect(validate(parse(yaml)), JSON.stringify(validate.errors)).toBe(valid);
});
