import type { Palette } from '../ui/color.ts';
import type { Command } from './command.ts';
import { commands } from './commands.ts';
import { exitCodes } from './exit-codes.ts';
import { type Flag, flagGroups } from './flags.ts';

/** What `fleet help` prints. */
export function overviewText(palette: Palette): string {
  const shown = commands.filter((command) => command.hidden !== true);
  const width = Math.max(...shown.map(({ name }) => name.length));
  return [
    `${palette.bold('fleet')}: from an inventory file to a running k3s cluster, over plain SSH`,
    '',
    `${palette.bold('Usage:')} fleet <command> [flags]`,
    '',
    palette.bold('Commands:'),
    ...shown.map(({ name, summary }) => `  ${palette.cyan(name.padEnd(width))}  ${summary}`),
    '',
    '`fleet help COMMAND` tells its flags; `fleet init` is where to begin.',
  ].join('\n');
}

/** What `fleet help NAME` prints. */
export function commandText(command: Command, palette: Palette): string {
  const usage = ['fleet', command.name, ...command.arguments.map(({ name }) => name), '[flags]'];
  if (command.trailing !== undefined) usage.push('--', `<${command.trailing.name}>`);
  const operands = [
    ...command.arguments,
    ...(command.trailing === undefined ? [] : [{ ...command.trailing, name: `-- ${command.trailing.name}` }]),
  ];
  const titles = {
    inventory: 'Inventory',
    connection: 'Connection',
    run: 'Running',
    output: 'Output',
  } as const;
  return [
    `${command.summary}.`,
    ...(command.details === undefined ? [] : ['', command.details]),
    '',
    `${palette.bold('Usage:')} ${usage.join(' ')}`,
    ...section(
      'Arguments',
      operands.map(({ name, description }) => [name, description] as const),
      palette,
    ),
    ...section('Flags', command.flags.map(flagRow), palette),
    ...command.groups.flatMap((group) => section(titles[group], flagGroups[group].map(flagRow), palette)),
    ...(command.examples.length === 0
      ? []
      : ['', palette.bold('Examples:'), ...command.examples.map((example) => `  ${example}`)]),
  ].join('\n');
}

/** The exit codes, for `fleet help exit-codes`. */
export function exitCodesText(palette: Palette): string {
  return [
    palette.bold('Exit codes:'),
    ...exitCodes.map(({ code, meaning }) => `  ${String(code).padStart(3)}  ${meaning}`),
  ].join('\n');
}

function section(title: string, rows: readonly (readonly [string, string])[], palette: Palette): string[] {
  if (rows.length === 0) return [];
  const width = Math.max(...rows.map(([name]) => name.length));
  return [
    '',
    palette.bold(`${title}:`),
    ...rows.map(([name, text]) => `  ${palette.cyan(name.padEnd(width))}  ${text}`),
  ];
}

export function flagRow(flag: Flag): readonly [string, string] {
  const notes = [
    ...(flag.choices === undefined ? [] : [`One of ${flag.choices.join(', ')}.`]),
    ...(flag.repeatable === true ? ['Repeatable.'] : []),
    ...(flag.env === undefined ? [] : [`Or ${flag.env}.`]),
  ];
  return [flag.flags, [flag.description, ...notes].join(' ')];
}
