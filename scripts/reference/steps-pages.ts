import type { AnyStep } from '../../src/engine/step.ts';
import { allSteps } from '../../src/steps/registry.ts';
import { type ShownSchema, typeWords, valueWords } from '../../src/ui/schema-words.ts';
import { cell, code, fence, page, table } from './markdown.ts';

/** docs/reference/steps/NAME.md for each step, and their index. */
export function stepsPages(): ReadonlyMap<string, string> {
  const steps = [...allSteps].sort((a, b) => a.name.localeCompare(b.name));
  const index = page('Steps', 'src/steps/', [
    'Each step is a promise about a host. Names and arguments are those of Ansible where Ansible has one; ' +
      '`ansible.builtin.` and the like may stand before them.',
    table(
      ['Step', 'What holds after it'],
      steps.map((step) => [`[\`${step.name}\`](${step.name}.md)`, cell(step.summary)]),
    ),
  ]);
  return new Map([
    ['README.md', index],
    ...steps.map((step) => [`${step.name}.md`, stepPage(step)] as const),
  ]);
}

function stepPage(step: AnyStep): string {
  const schema = step.args as ShownSchema;
  const required = new Set(schema.required ?? []);
  const rows = Object.entries(schema.properties ?? {}).map(([name, argument]) => {
    const notes = [
      ...(argument.description === undefined ? [] : [argument.description]),
      ...(argument.default === undefined ? [] : [`Default: ${code(valueWords(argument.default))}.`]),
      ...(argument.aliases === undefined ? [] : [`Also called ${argument.aliases.map(code).join(', ')}.`]),
    ];
    return [
      code(name) + (required.has(name) ? ' (required)' : ''),
      cell(typeWords(argument)),
      cell(notes.join(' ')),
    ];
  });
  return page(step.name, `src/steps/ (${step.name})`, [
    step.summary,
    ...(step.aliases === undefined ? [] : [`Also called ${step.aliases.map(code).join(', ')}.`]),
    ...(step.freeForm === undefined ? [] : [`A bare text stands for \`${step.freeForm}\`.`]),
    '## Arguments',
    rows.length === 0 ? 'None.' : table(['Argument', 'Value', 'Meaning'], rows),
    '## Examples',
    ...step.examples.map((example) => fence(example, 'yaml')),
  ]);
}
