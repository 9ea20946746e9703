import { scopeWords, variableType } from '../../src/cli/commands/explain.ts';
import { allVariables, type VariableInfo } from '../../src/inventory/variables.ts';
import { valueWords } from '../../src/ui/schema-words.ts';
import { cell, code, fence, page, table } from './markdown.ts';

/** docs/reference/variables.md */
export function variablesPage(): string {
  const all = allVariables();
  const isConnection = ({ scope }: VariableInfo): boolean => scope === 'connection';
  return page('Variables', 'src/inventory/variables.ts', [
    'What fleet itself reads from the inventory. Any other variable is allowed: templates use them. `fleet explain NAME` tells the same.',
    '## k3s',
    variableTable(all.filter((info) => !isConnection(info))),
    '## Connection',
    variableTable(all.filter(isConnection)),
    '## Examples',
    ...all.flatMap((info) => (info.example === undefined ? [] : [fence(example(info), 'yaml')])),
  ]);
}

function variableTable(infos: readonly VariableInfo[]): string {
  return table(
    ['Variable', 'Value', 'For', 'Default', 'Meaning'],
    infos.map((info) => [
      code(info.name),
      cell(variableType(info)),
      scopeWords[info.scope],
      info.default === undefined ? '' : code(valueWords(info.default)),
      cell(info.description + (info.secret ? ' A secret: shown nowhere.' : '')),
    ]),
  );
}

function example(info: VariableInfo): string {
  const value = valueWords(info.example);
  if (value.includes('\n')) return `${info.name}: |\n${value.trimEnd().replace(/^/gm, '  ')}`;
  return `${info.name}: ${typeof info.example === 'string' && /[{}[\]#&*!|>'"%@]|: /.test(value) ? JSON.stringify(value) : value}`;
}
