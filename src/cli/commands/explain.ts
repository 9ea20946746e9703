import { stringify } from 'yaml';
import { FleetError } from '../../core/errors.ts';
import { allVariables, type VariableInfo, variableInfo } from '../../inventory/variables.ts';
import { nearest } from '../../playbook/nearest.ts';
import type { Palette } from '../../ui/color.ts';
import { safeJson } from '../../ui/json.ts';
import { type ShownSchema, typeWords, valueWords } from '../../ui/schema-words.ts';
import { indent } from '../../ui/wording.ts';
import type { RunCommand } from '../command.ts';
import { exit } from '../exit-codes.ts';
import { variableTexts } from '../variable-texts.ts';

/** Explains a variable of the inventory, or lists all of them. */
export const explain: RunCommand = async ({ arguments: [name], settings, console }) => {
  const isJson = settings.output === 'json';
  if (name === undefined) {
    const texts = variableTexts();
    const width = Math.max(...texts.map((one) => one.name.length));
    console.result(
      isJson
        ? safeJson(allVariables(), 2)
        : texts.map((one) => `${console.outPalette.cyan(one.name.padEnd(width))}  ${one.summary}`).join('\n'),
    );
    return exit.ok;
  }
  const info = variableInfo(name);
  if (info === undefined) {
    const near = nearest(
      name,
      allVariables().map((one) => one.name),
    );
    throw new FleetError({
      code: 'VARIABLE_UNKNOWN',
      message: `fleet itself reads no variable ${JSON.stringify(name)}; templates may use any`,
      fix:
        near === undefined
          ? 'See `fleet explain` for all of them.'
          : `Did you mean \`fleet explain ${near}\`?`,
      blame: 'usage',
    });
  }
  console.result(isJson ? safeJson(info, 2) : variableText(info, console.outPalette));
  return exit.ok;
};

/** Who reads a variable, in words. */
export const scopeWords = {
  connection: 'how a host is reached',
  node: 'every node',
  server: 'servers',
  agent: 'agents',
  control: 'the machine that fleet runs on',
} as const satisfies Record<VariableInfo['scope'], string>;

/** What is written first is what is meant; the other alternatives are what is understood too. */
export function variableType(info: VariableInfo): string {
  const schema = info.schema as ShownSchema;
  return typeWords(schema.anyOf?.[0] ?? schema);
}

function variableText(info: VariableInfo, palette: Palette): string {
  const { example } = info;
  return [
    `${palette.bold(info.name)} ${palette.dim(`(${variableType(info)})`)}`,
    indent(info.description, '  '),
    '',
    `  For: ${scopeWords[info.scope]}`,
    ...(info.default === undefined ? [] : [`  Default: ${valueWords(info.default) || 'empty'}`]),
    ...(info.secret ? ['  A secret: shown nowhere. Keep it in a vault or in the environment.'] : []),
    ...(example === undefined
      ? []
      : [
          '',
          palette.dim('  Example:'),
          indent(stringify({ [info.name]: example }, { lineWidth: 0 }).trimEnd(), '    '),
        ]),
  ].join('\n');
}
