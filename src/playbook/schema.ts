import type { AnyStep } from '../engine/step.ts';
import {
  blockKeywords,
  importKeywords,
  type Keywords,
  loopForms,
  playKeywords,
  taskKeywords,
} from './keywords.ts';

type Schema = Readonly<Record<string, unknown>>;

const templated: Schema = { type: 'string', pattern: '\\{\\{|\\{%' };
const entries: Schema = {
  anyOf: [{ type: 'null' }, { type: 'array', items: { $ref: '#/definitions/entry' } }],
};
const nested = new Set([
  'tasks',
  'steps',
  'pre_tasks',
  'post_tasks',
  'handlers',
  'block',
  'rescue',
  'always',
]);

/**
 * The JSON Schema of playbooks with these steps, for editors: drawn from the same tables that the compiler checks with.
 * It ships as schemas/playbook.schema.json.
 */
export function playbookJsonSchema(steps: readonly AnyStep[]): object {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'fleet playbook',
    type: 'array',
    items: { anyOf: [{ $ref: '#/definitions/play' }, { $ref: '#/definitions/import' }] },
    definitions: {
      play: closed(playKeywords, ['hosts']),
      import: {
        ...closed({
          ...importKeywords,
          'ansible.builtin.import_playbook': importKeywords.import_playbook as Keywords[string],
        }),
        anyOf: [
          { required: ['import_playbook'] },
          { required: ['ansible.builtin.import_playbook'] },
          { required: ['include'] },
        ],
      },
      // A file of tasks: `"$schema": "…/playbook.schema.json#/definitions/tasks"`.
      tasks: entries,
      entry: {
        if: { required: ['block'] },
        // biome-ignore lint/suspicious/noThenProperty: JSON Schema calls it so.
        then: { $ref: '#/definitions/block' },
        else: { $ref: '#/definitions/task' },
      },
      block: closed(blockKeywords, ['block']),
      task: taskSchema(steps),
    },
  };
}

function closed(keywords: Keywords, required: readonly string[] = []): Schema {
  return {
    type: 'object',
    properties: propertiesOf(keywords),
    additionalProperties: false,
    ...(required.length === 0 ? {} : { required }),
  };
}

function propertiesOf(keywords: Keywords): Schema {
  return Object.fromEntries(
    Object.entries(keywords).map(([name, { schema, description }]) => [
      name,
      nested.has(name) ? { ...entries, description } : { ...schema, description },
    ]),
  );
}

function taskSchema(steps: readonly AnyStep[]): Schema {
  const named = steps.flatMap((step) => {
    const names = [step.name, ...(step.aliases ?? [])];
    return [
      ...names,
      ...names.filter((name) => !name.includes('.')).map((name) => `ansible.builtin.${name}`),
    ].map((name) => [name, stepSchema(step)] as const);
  });
  const forms = Object.entries(loopForms).map(([name, description]) => [name, { description }] as const);
  const names = ['string', 'object', 'null'];
  const directives = [
    ['include_tasks', 'Tasks of another file, read when the run comes to it.'],
    ['import_tasks', 'Tasks of another file, as if they were written here.'],
    ['include', 'The same as include_tasks.'],
    ['import', 'The same as import_tasks.'],
    ['include_role', 'A role, read when the run comes to it.'],
    ['import_role', 'A role, as if its tasks were written here.'],
    ['meta', 'Tells the run itself something: flush_handlers, end_play, end_host …'],
    ['setup', 'Reads the facts of the host again.'],
    ['gather_facts', 'Reads the facts of the host again.'],
  ].flatMap(([name, description]) =>
    [name, `ansible.builtin.${name}`].map((full) => [full, { type: names, description }] as const),
  );
  return {
    type: 'object',
    properties: {
      ...propertiesOf(taskKeywords),
      ...Object.fromEntries(forms),
      ...Object.fromEntries(directives),
      ...Object.fromEntries(named),
    },
    additionalProperties: false,
  };
}

/** A step's arguments; each may be a template instead, and the whole may be text. */
function stepSchema(step: AnyStep): Schema {
  const args = step.args as { properties?: Readonly<Record<string, Schema>>; required?: readonly string[] };
  const properties = Object.fromEntries(
    Object.entries(args.properties ?? {}).map(([name, schema]) => [
      name,
      {
        ...(typeof schema.description === 'string' ? { description: schema.description } : {}),
        anyOf: [schema, ...alsoRead(schema), templated],
      },
    ]),
  );
  // What `args:` beside the step may hold is not required here.
  const { required: _, ...open } = args;
  return {
    description: step.summary,
    anyOf: [{ ...open, properties }, { type: 'string' }, { type: 'null' }],
  };
}

/** What is read as the declared type although YAML calls it something else. */
function alsoRead(schema: Schema): readonly Schema[] {
  if (schema.type === 'string' && schema.enum === undefined) return [{ type: ['number', 'boolean'] }];
  if (schema.type === 'boolean') return [{ enum: ['yes', 'no', 'on', 'off', 'true', 'false', 0, 1] }];
  if (schema.type === 'integer' || schema.type === 'number')
    return [{ type: 'string', pattern: '^\\s*-?\\d+(\\.\\d+)?\\s*$' }];
  if (schema.type === 'array') return [{ type: ['string', 'number'] }];
  return [];
}
