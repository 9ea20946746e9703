import { FleetError } from '../../core/errors.ts';
import type { AnyStep } from '../../engine/step.ts';
import { nearest } from '../../playbook/nearest.ts';
import type { Palette } from '../../ui/color.ts';
import { safeJson } from '../../ui/json.ts';
import { type ShownSchema, typeWords, valueWords } from '../../ui/schema-words.ts';
import { indent } from '../../ui/wording.ts';
import type { RunCommand } from '../command.ts';
import { exit } from '../exit-codes.ts';
import { stepsHere } from '../steps-here.ts';

/** Explains a step, or lists all of them. */
export const doc: RunCommand = async ({ arguments: [name], settings, console }) => {
  const isJson = settings.output === 'json';
  const library = await stepsHere();
  if (name === undefined) {
    const steps = [...library.allSteps].sort((a, b) => a.name.localeCompare(b.name));
    const width = Math.max(...steps.map((step) => step.name.length));
    console.result(
      isJson
        ? safeJson(steps.map(asData), 2)
        : steps
            .map((step) => `${console.outPalette.cyan(step.name.padEnd(width))}  ${step.summary}`)
            .join('\n'),
    );
    return exit.ok;
  }
  const step = library.stepNamed(name);
  if (step === undefined) throw unknownStep(name, library.allSteps);
  console.result(isJson ? safeJson(asData(step), 2) : stepText(step, console.outPalette));
  return exit.ok;
};

function asData(step: AnyStep): object {
  const { name, aliases = [], summary, args, freeForm, examples } = step;
  return { name, aliases, summary, args, freeForm, examples };
}

function unknownStep(name: string, allSteps: readonly AnyStep[]): FleetError {
  const near = nearest(
    name,
    allSteps.flatMap((step) => [step.name, ...(step.aliases ?? [])]),
  );
  return new FleetError({
    code: 'STEP_UNKNOWN',
    message: `there is no step ${JSON.stringify(name)}`,
    fix: near === undefined ? 'See `fleet doc` for all of them.' : `Did you mean \`fleet doc ${near}\`?`,
    blame: 'usage',
  });
}

function stepText(step: AnyStep, palette: Palette): string {
  const schema = step.args as ShownSchema;
  const required = new Set(schema.required ?? []);
  const args = Object.entries(schema.properties ?? {}).map(([name, argument]) => {
    const notes = [
      typeWords(argument),
      ...(required.has(name) ? ['required'] : []),
      ...(argument.default === undefined ? [] : [`default ${valueWords(argument.default)}`]),
      ...(argument.aliases === undefined ? [] : [`also ${argument.aliases.join(', ')}`]),
    ];
    const title = `  ${palette.cyan(name)} ${palette.dim(`(${notes.join('; ')})`)}`;
    return argument.description === undefined ? title : `${title}\n${indent(argument.description, '      ')}`;
  });
  return [
    `${palette.bold(step.name)}: ${step.summary}`,
    ...(step.aliases === undefined ? [] : [palette.dim(`Also called ${step.aliases.join(', ')}.`)]),
    ...(step.freeForm === undefined ? [] : [palette.dim(`A bare text stands for ${step.freeForm}.`)]),
    '',
    palette.bold('Arguments:'),
    ...(args.length === 0 ? ['  none'] : args),
    '',
    palette.bold('Examples:'),
    ...step.examples.map((example) => indent(example.trimEnd(), '  ')),
  ].join('\n');
}
