import type { AnyStep } from '../engine/step.ts';
import {
  blockKeywords,
  importKeywords,
  type Keywords,
  loopForms,
  playKeywords,
  taskKeywords,
} from './keywords.ts';
import type { Directive } from './step-of.ts';

type Schema = Readonly<Record<string, unknown>>;

/** An argument of a step, with what its author notes beside JSON Schema. */
interface Argument extends Schema {
  readonly description?: string;
  /** Ansible's other names for it. */
  readonly aliases?: readonly string[];
  readonly reading?: string;
}

const template: Schema = { type: 'string', pattern: '\\{\\{|\\{%' };

/** What an argument may be written as, which is more than its type: templates, and what is read as that type. */
const written: Readonly<Record<string, Schema>> = {
  text: { type: ['string', 'number', 'boolean'] },
  flag: {
    anyOf: [
      { type: 'boolean' },
      { type: 'integer', minimum: 0, maximum: 1 },
      {
        type: 'string',
        pattern: '^([Yy](es|ES)?|[Nn][Oo]?|[Oo](n|ff|N|FF)|[Tt](rue|RUE)?|[Ff](alse|ALSE)?|0|1)$',
      },
      template,
    ],
  },
  // A number or a template, as text.
  numeric: { type: 'string', pattern: '^\\s*-?\\d+(\\.\\d+)?\\s*$|\\{\\{|\\{%' },
  mode: {
    anyOf: [
      { type: 'integer', minimum: 0 },
      { type: 'string', pattern: '^\\s*(0o)?[0-7]{1,5}\\s*$' },
      { type: 'string', pattern: '^[ugoa]*[-+=]|^preserve$' },
      template,
    ],
  },
  path: { type: 'string', pattern: '^/|\\{\\{|\\{%' },
  list: {
    anyOf: [
      { type: 'array', items: { $ref: '#/definitions/text' } },
      { type: ['string', 'number', 'boolean'] },
    ],
  },
};

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
 * schemas/playbook.schema.json is this, with all of fleet's own steps.
 *
 * A step is written once, and each of its names refers to it. Nothing stands beside a `$ref`: in draft 7, which is what
 * editors know best, it would be passed over.
 *
 * A task may have keys that are not here: a user's own step, or one by a long name of another collection.
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
      entries,
      entry: {
        // Whatever is no mapping yet, as while it is being typed, is to become a task.
        if: { type: 'object', required: ['block'] },
        // biome-ignore lint/suspicious/noThenProperty: JSON Schema calls it so.
        then: { $ref: '#/definitions/block' },
        else: { $ref: '#/definitions/task' },
      },
      block: closed(blockKeywords, ['block']),
      task: taskSchema(steps),
      ...written,
      template,
      ...Object.fromEntries(steps.map((step) => [definitionOf(step), stepSchema(step)])),
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
      { description, ...(nested.has(name) ? { allOf: [{ $ref: '#/definitions/entries' }] } : schema) },
    ]),
  );
}

const directives: Readonly<Record<Directive, string>> = {
  include_tasks: 'Tasks of another file, read when the run comes to it.',
  import_tasks: 'Tasks of another file, as if they were written here.',
  include: 'The same as include_tasks.',
  import: 'The same as import_tasks.',
  include_role: 'A role, read when the run comes to it.',
  import_role: 'A role, as if its tasks were written here.',
  meta: 'Tells the run itself something: flush_handlers, end_play, end_host …',
};

function taskSchema(steps: readonly AnyStep[]): Schema {
  return {
    type: 'object',
    properties: {
      // To be offered: an entry that has it is a block.
      ...propertiesOf({ block: blockKeywords.block as Keywords[string] }),
      ...propertiesOf(taskKeywords),
      ...Object.fromEntries(Object.entries(loopForms).map(([name, description]) => [name, { description }])),
      ...Object.fromEntries(
        Object.entries(directives).flatMap(([name, description]) =>
          asInAnsible(name).map((each) => [each, { type: ['string', 'object', 'null'], description }]),
        ),
      ),
      ...Object.fromEntries(
        steps.flatMap((step) =>
          [step.name, ...(step.aliases ?? [])]
            .flatMap(asInAnsible)
            .map((name) => [name, { $ref: `#/definitions/${definitionOf(step)}` }]),
        ),
      ),
    },
  };
}

/** A name and its long form, which Ansible has for all but k3s's own steps. */
function asInAnsible(name: string): readonly string[] {
  return name.startsWith('k3s_') || name.includes('.') ? [name] : [name, `ansible.builtin.${name}`];
}

function definitionOf(step: AnyStep): string {
  return `step-${step.name}`;
}

/** A step's arguments by any of their names; the whole may be text, or nothing. */
function stepSchema(step: AnyStep): Schema {
  const args = step.args as {
    readonly properties?: Readonly<Record<string, Argument>>;
    readonly required?: readonly string[];
    readonly additionalProperties?: boolean;
  };
  const path = `#/definitions/${definitionOf(step)}/properties`;
  const isFreeForm = step.freeForm !== undefined;
  const needed = (args.required ?? []).map((name) => [
    name,
    ...(args.properties?.[name]?.aliases ?? []),
    ...(name === step.freeForm ? [freeFormName] : []),
  ]);
  return {
    description: step.summary,
    type: ['object', 'string', 'null'],
    properties: Object.fromEntries(
      Object.entries(args.properties ?? {}).flatMap(([name, argument]) => [
        [name, { description: argument.description, ...asWritten(argument) }],
        ...(argument.aliases ?? []).map((other) => [other, { $ref: `${path}/${name}` }]),
      ]),
    ),
    // Understood, but not to be offered.
    ...(isFreeForm ? { patternProperties: { [`^${freeFormName}$`]: {} } } : {}),
    ...(needed.length === 0 ? {} : { allOf: needed.map(anyOfThem) }),
    additionalProperties: args.additionalProperties === true,
  };
}

/** Ansible's own name for the text of a free form. */
const freeFormName = '_raw_params';

function anyOfThem(names: readonly string[]): Schema {
  const [only] = names;
  return names.length === 1 ? { required: [only] } : { anyOf: names.map((name) => ({ required: [name] })) };
}

/** What may be written for an argument: the other side of how src/steps/arguments.ts reads it. */
function asWritten({ description: _, aliases: __, reading, ...schema }: Argument): Schema {
  const to = (...names: readonly string[]): readonly Schema[] =>
    names.map((name) => ({ $ref: `#/definitions/${name}` }));
  if (schema.type === undefined) return schema;
  if (reading === 'mode') return { anyOf: to('mode') };
  if (reading === 'secret') return { anyOf: [...to('text'), { type: ['object', 'array'] }] };
  if (schema.type === 'string') {
    if (schema.enum !== undefined) return { anyOf: [{ enum: schema.enum }, ...to('template')] };
    if (schema.pattern === '^/') return { anyOf: to('path') };
    if (schema.pattern === undefined) return { anyOf: to('text') };
  }
  if (schema.type === 'boolean') return { anyOf: to('flag') };
  if (schema.type === 'integer' || schema.type === 'number') return { anyOf: [schema, ...to('numeric')] };
  if (schema.type === 'array') return { anyOf: to('list') };
  return { anyOf: [schema, ...to('template')] };
}
