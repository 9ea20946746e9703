import type { AnyStep } from '../../src/engine/step.ts';
import { blockKeywords, type Keywords, playKeywords, taskKeywords } from '../../src/playbook/keywords.ts';
import { allSteps } from '../../src/steps/registry.ts';

/** schemas/playbook.schema.json: for editors. What fleet itself checks goes further. */
export function playbookJsonSchema(): object {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'fleet playbook',
    type: 'array',
    items: { anyOf: [{ $ref: '#/definitions/play' }, { $ref: '#/definitions/import' }] },
    definitions: {
      play: objectOf(playKeywords, tasksIn(playKeywords)),
      import: {
        type: 'object',
        description: 'Another playbook, put in at this place.',
        required: ['import_playbook'],
        properties: { import_playbook: { type: 'string', description: 'Its path, from this file.' } },
      },
      entries: {
        type: ['array', 'null'],
        items: { anyOf: [{ $ref: '#/definitions/block' }, { $ref: '#/definitions/task' }] },
      },
      block: { ...objectOf(blockKeywords, tasksIn(blockKeywords)), required: ['block'] },
      // Open: a step by its long name, or a file of steps, is a key too.
      task: {
        ...objectOf(taskKeywords, {
          ...Object.fromEntries(
            allSteps.flatMap((step) => namesOf(step).map((name) => [name, argumentsOf(step)])),
          ),
          include_tasks: { description: 'A file of steps that only the run can name.' },
          import_tasks: { description: 'A file of steps, put in at this place.' },
        }),
        additionalProperties: true,
      },
    },
  };
}

const lists = ['tasks', 'steps', 'pre_tasks', 'post_tasks', 'handlers', 'block', 'rescue', 'always'];

function tasksIn(keywords: Keywords): Record<string, object> {
  return Object.fromEntries(
    Object.entries(keywords)
      .filter(([name]) => lists.includes(name))
      .map(([name, { description }]) => [name, { description, allOf: [{ $ref: '#/definitions/entries' }] }]),
  );
}

function objectOf(keywords: Keywords, more: Record<string, object>): object {
  const own = Object.entries(keywords).map(([name, keyword]) => [
    name,
    { ...plain(keyword.schema), description: keyword.description },
  ]);
  return { type: 'object', properties: { ...Object.fromEntries(own), ...more }, additionalProperties: false };
}

function namesOf(step: AnyStep): readonly string[] {
  return [step.name, ...(step.aliases ?? [])];
}

/** As written in a playbook: any value may also be a template, and all of it one text. */
function argumentsOf(step: AnyStep): object {
  const { properties = {}, required } = plain(step.args) as {
    properties?: Record<string, { description?: string }>;
    required?: readonly string[];
  };
  const loose = Object.entries(properties).map(([name, schema]) => [
    name,
    { description: schema.description, anyOf: [schema, { type: 'string' }] },
  ]);
  return {
    description: step.summary,
    anyOf: [
      {
        type: 'object',
        properties: Object.fromEntries(loose),
        ...(required === undefined ? {} : { required }),
      },
      { type: ['string', 'null'] },
    ],
  };
}

/** Without TypeBox's symbols and our own notes. */
function plain(schema: object): object {
  return JSON.parse(
    JSON.stringify(schema, (key, value) => (key === 'reading' || key === 'aliases' ? undefined : value)),
  );
}
