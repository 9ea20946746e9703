import type { Command } from '../../src/cli/command.ts';
import { commands } from '../../src/cli/commands.ts';
import { exitCodes } from '../../src/cli/exit-codes.ts';
import { type Flag, flagGroups } from '../../src/cli/flags.ts';
import { flagRow } from '../../src/cli/help-text.ts';
import { cell, code, fence, page, table } from './markdown.ts';

const groupTitles = {
  inventory: 'Inventory flags',
  connection: 'Connection flags',
  run: 'Run flags',
  output: 'Output flags',
} as const;

/** docs/reference/commands.md */
export function commandsPage(): string {
  const shown = commands.filter((command) => command.hidden !== true);
  return page('Commands', 'src/cli/commands.ts and src/cli/flags.ts', [
    'Results are written to stdout, everything else to stderr. What a command returns: [exit codes](exit-codes.md). ' +
      'Shared flags may stand before or after the command.',
    table(
      ['Command', 'What it does'],
      shown.map(({ name, summary }) => [`[\`fleet ${name}\`](#fleet-${name})`, cell(summary)]),
    ),
    ...shown.map(commandSection),
    ...Object.entries(flagGroups).map(([group, flags]) =>
      [`## ${groupTitles[group as keyof typeof groupTitles]}`, flagTable(flags)].join('\n\n'),
    ),
  ]);
}

function commandSection(command: Command): string {
  const usage = ['fleet', command.name, ...command.arguments.map(({ name }) => name), '[flags]'];
  if (command.trailing !== undefined) usage.push('--', `<${command.trailing.name}>`);
  const groups = command.groups.map((group) => {
    const title = groupTitles[group];
    return `[${title.toLowerCase()}](#${title.toLowerCase().replace(' ', '-')})`;
  });
  return [
    `## fleet ${command.name}`,
    `${command.summary}.${command.details === undefined ? '' : ` ${command.details}`}`,
    fence(usage.join(' '), 'text'),
    ...(command.arguments.length === 0
      ? []
      : [
          table(
            ['Argument', 'Meaning'],
            command.arguments.map(({ name, description }) => [code(name), cell(description)]),
          ),
        ]),
    ...(command.flags.length === 0 ? [] : [flagTable(command.flags)]),
    ...(groups.length === 0 ? [] : [`Also takes ${groups.join(', ')}.`]),
    fence(command.examples.join('\n'), 'sh'),
  ].join('\n\n');
}

function flagTable(flags: readonly Flag[]): string {
  return table(
    ['Flag', 'Meaning'],
    flags.map((flag) => flagRow(flag)).map(([name, text]) => [code(name), cell(text)]),
  );
}

/** docs/reference/exit-codes.md */
export function exitCodesPage(): string {
  return page('Exit codes', 'src/cli/exit-codes.ts', [
    table(
      ['Code', 'Name', 'Meaning'],
      exitCodes.map(({ code: number, name, meaning }) => [String(number), name, cell(meaning)]),
    ),
  ]);
}
