import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { FleetError, FleetErrors } from '../../src/core/errors.ts';
import { compilePlaybook } from '../../src/playbook/compile.ts';
import { isBalanced, parseFreeForm, words } from '../../src/playbook/free-form.ts';
import { blockKeywords, loopForms, playKeywords, taskKeywords } from '../../src/playbook/keywords.ts';
import { directives } from '../../src/playbook/step-of.ts';
import { fakeSteps, testOptions, writeProject } from './project.ts';

/** Compiles; a FleetError is an answer, anything else is a defect. */
async function survives(folder: string, text: string): Promise<void> {
  writeFileSync(join(folder, 'site.yml'), text);
  try {
    await compilePlaybook(join(folder, 'site.yml'), testOptions());
  } catch (thrown) {
    if (!(thrown instanceof FleetError) && !(thrown instanceof FleetErrors)) throw thrown;
    const errors = thrown instanceof FleetErrors ? thrown.errors : [thrown];
    for (const error of errors) {
      expect(error.code).not.toBe('INTERNAL');
      expect(error.blame).toBe('usage');
      expect(error.fix).toBeTruthy();
    }
  }
}

const files = {
  'a.yml': '- ping:\n',
  'self.yml': '- include_tasks: self.yml\n- import_tasks: a.yml\n',
  'roles/r/tasks/main.yml': '- ping:\n',
};

const words_ = fc.constantFrom(
  'a',
  'a.yml',
  'self.yml',
  'r',
  'all',
  '{{ a }}',
  '{{',
  'x=1 y',
  '"',
  'yes',
  '',
  '-',
  'flush_handlers',
  '__proto__',
  'constructor',
  '\u0000',
  '💥',
  '25%',
  'a: b',
  '!vault',
);
const leaf = fc.oneof(
  words_,
  fc.string(),
  fc.integer(),
  fc.double({ noNaN: true }),
  fc.boolean(),
  fc.constant(null),
);
const anything = fc.oneof(
  { maxDepth: 3 },
  leaf,
  fc.array(leaf, { maxLength: 3 }),
  fc.dictionary(
    fc.oneof(
      words_,
      fc.constantFrom('name', 'file', 'src', 'dest', 'cmd', 'role', 'prompt', 'apply', 'tasks_from'),
    ),
    leaf,
    { maxKeys: 3 },
  ),
);

const taskKeys = [
  ...Object.keys(taskKeywords),
  ...Object.keys(loopForms),
  ...directives,
  ...fakeSteps.map((step) => step.name),
  'include_vars',
  '__proto__',
  'toString',
  'with_x',
];
const task: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 8, arbitrary: fc.dictionary(fc.constantFrom(...taskKeys), anything, { maxKeys: 4 }) },
  { weight: 1, arbitrary: anything },
);
const entry: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: task },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        fc.array(task, { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...Object.keys(blockKeywords)), anything, { maxKeys: 3 }),
      )
      .map(([block, more]) => ({ block, ...more })),
  },
);
const play = fc
  .tuple(
    fc.constantFrom('all', 'server', '{{ x }}', '', 'nobody'),
    fc.array(entry, { maxLength: 4 }),
    fc.dictionary(
      fc.constantFrom(...Object.keys(playKeywords)),
      fc.oneof(anything, fc.array(task, { maxLength: 2 })),
      { maxKeys: 3 },
    ),
  )
  .map(([hosts, tasks, more]) => ({ hosts, tasks, ...more }));

test('no text crashes the compiler', async () => {
  const folder = writeProject(files);
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.string(),
        fc.string({ unit: 'binary' }),
        fc.string({
          unit: fc.constantFrom(
            '-',
            ' ',
            ':',
            '\n',
            '[',
            ']',
            '{',
            '}',
            '"',
            "'",
            '&a',
            '*a',
            '|',
            '>',
            '#',
            '!',
            '?',
            '<<',
            '\t',
            'hosts',
            'tasks',
            'a',
            ',',
            '---',
          ),
        }),
      ),
      (text) => survives(folder, text),
    ),
    { numRuns: 1500 },
  );
}, 60_000);

test('no playbook crashes the compiler', async () => {
  const folder = writeProject(files);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof({ weight: 5, arbitrary: play }, { weight: 1, arbitrary: anything }), {
        maxLength: 3,
      }),
      (plays) => survives(folder, stringify(plays)),
    ),
    { numRuns: 2500 },
  );
}, 60_000);

test('free form loses nothing of a command', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('a', '=', ' ', '"', "'", '{{', '}}', '\\', '\n', 'b c') }),
      (text) => {
        expect(parseFreeForm(text, () => false).rest).toBe(text.trim());
        for (const word of words(text)) expect(text.slice(word.start, word.end)).toBe(word.text);
        expect(typeof isBalanced(text)).toBe('boolean');
      },
    ),
    { numRuns: 1000 },
  );
});
