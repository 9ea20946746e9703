import { CommanderError, Option, Command as Parser } from 'commander';
import { FleetError } from '../core/errors.ts';
import { nearest } from '../playbook/nearest.ts';
import { type Command, OwnFlags } from './command.ts';
import { commands, findCommand } from './commands.ts';
import { type Flag, flagGroups, flagKey, flagName } from './flags.ts';

export interface Parsed {
  readonly command: Command;
  readonly arguments: readonly string[];
  readonly trailing: readonly string[] | undefined;
  /** The shared flags by key, unchecked but for choices. */
  readonly shared: Readonly<Record<string, unknown>>;
  readonly own: OwnFlags;
  readonly wantsHelp: boolean;
}

const sharedFlags: readonly Flag[] = Object.values(flagGroups).flat();

/**
 * A command line, taken apart. Shared flags may stand before or after the command.
 * @throws FleetError (usage) naming what is wrong and the nearest right flag or command.
 */
export function parseCommandLine(argv: readonly string[]): Parsed {
  // Cut here, so that `run -- CMD` keeps its words apart from the pattern and no flag of CMD is taken for ours.
  const cut = argv.indexOf('--');
  const words = cut === -1 ? argv : argv.slice(0, cut);
  const trailing = cut === -1 ? undefined : argv.slice(cut + 1);

  let parsed: Parsed | undefined;
  const root = configure(new Parser('fleet'), sharedFlags).argument('[command]');
  root.action(() => {
    const help = findCommand('help');
    if (help === undefined) throw new Error('there is no help command');
    parsed = { command: help, arguments: [], trailing, shared: {}, own: new OwnFlags({}), wantsHelp: true };
  });
  for (const command of commands) {
    const parser = configure(root.command(command.name), command.flags);
    for (const argument of command.arguments) {
      // Whether an argument is missing is checked below: `--help` needs none.
      parser.argument(argument.name.replace('<', '[').replace('>', ']'), argument.description);
    }
    parser.action(() => {
      parsed = {
        command,
        arguments: parser.args,
        trailing,
        shared: root.opts(),
        own: new OwnFlags(parser.opts()),
        wantsHelp: root.opts().help === true,
      };
      if (!parsed.wantsHelp) check(parsed);
    });
  }

  const named = words.find((word) => findCommand(word) !== undefined);
  try {
    rejectUnknownCommand(words);
    root.parse([...words], { from: 'user' });
  } catch (error) {
    throw error instanceof CommanderError ? usageError(error, findCommand(named ?? '')) : error;
  }
  if (parsed === undefined) throw new Error('the command line was not taken apart');
  return parsed;
}

function configure(parser: Parser, flags: readonly Flag[]): Parser {
  parser.exitOverride().helpOption(false).helpCommand(false).showSuggestionAfterError(false);
  parser.configureOutput({ writeErr: () => {}, writeOut: () => {} });
  for (const flag of flags) parser.addOption(optionOf(flag));
  return parser;
}

function optionOf(flag: Flag): Option {
  const option = new Option(flag.flags, flag.description);
  if (flag.choices !== undefined) option.choices([...flag.choices]);
  if (flag.repeatable === true) {
    option.argParser((value: string, earlier: string[] | undefined) => [...(earlier ?? []), value]);
  }
  return option;
}

/** Before commander sees it: the root takes no argument, so whatever stands in the place of a command must be one. */
function rejectUnknownCommand(words: readonly string[]): void {
  const valued = new Set(
    sharedFlags
      .filter(({ flags }) => flags.includes('<'))
      .flatMap(({ flags }) => flags.match(/--?[A-Za-z-]+/g) ?? []),
  );
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? '';
    if (valued.has(word)) index += 1;
    else if (!word.startsWith('-') || word === '-') {
      if (findCommand(word) === undefined) throw unknownCommand(word);
      return;
    }
  }
}

export function unknownCommand(name: string): FleetError {
  const near = nearest(
    name,
    commands.filter((command) => command.hidden !== true).map((command) => command.name),
  );
  return new FleetError({
    code: 'UNKNOWN_COMMAND',
    message: `there is no command ${JSON.stringify(name)}`,
    fix: near === undefined ? 'See `fleet help`.' : `Did you mean \`fleet ${near}\`?`,
    blame: 'usage',
  });
}

function check(parsed: Parsed): void {
  const { command } = parsed;
  for (const [index, argument] of command.arguments.entries()) {
    if (argument.name.startsWith('<') && parsed.arguments[index] === undefined) {
      throw misuse(
        'MISSING_ARGUMENT',
        `fleet ${command.name} needs ${argument.name}: ${argument.description}`,
        command,
      );
    }
  }
  if (parsed.trailing !== undefined && command.trailing === undefined) {
    throw misuse('EXCESS_ARGUMENT', `fleet ${command.name} takes nothing after --`, command);
  }
  const taken = new Set(
    command.groups.flatMap((group) => flagGroups[group].map((flag: Flag) => flagKey(flag))),
  );
  for (const flag of sharedFlags) {
    if (parsed.shared[flagKey(flag)] !== undefined && !taken.has(flagKey(flag)) && command.hidden !== true) {
      throw misuse('UNKNOWN_FLAG', `fleet ${command.name} has no flag --${flagName(flag)}`, command);
    }
  }
}

function usageError(error: CommanderError, command: Command | undefined): FleetError {
  const [, quoted = ''] = /'([^']*)'/.exec(error.message) ?? [];
  const name = command === undefined ? 'fleet' : `fleet ${command.name}`;
  switch (error.code) {
    case 'commander.unknownOption': {
      const groups =
        command === undefined ? (Object.keys(flagGroups) as (keyof typeof flagGroups)[]) : command.groups;
      const known = [
        ...(command?.flags ?? []),
        ...groups.flatMap((group): readonly Flag[] => flagGroups[group]),
      ];
      const near = nearest(
        quoted.replace(/=.*$/s, ''),
        known.map((flag) => `--${flagName(flag)}`),
      );
      return misuse(
        'UNKNOWN_FLAG',
        `${name} has no flag ${quoted}`,
        command,
        near && `Did you mean ${near}?`,
      );
    }
    case 'commander.optionMissingArgument':
      return misuse('FLAG_VALUE', `${longName(quoted)} needs a value`, command);
    case 'commander.invalidArgument': {
      const [, value = '', choices = ''] =
        /argument '([\s\S]*)' is invalid\. Allowed choices are ([\s\S]*)\.$/.exec(error.message) ?? [];
      const near = nearest(value, choices.split(', '));
      return misuse(
        'FLAG_VALUE',
        `${longName(quoted)} is one of ${choices}, not ${JSON.stringify(value)}`,
        command,
        near && `Did you mean ${near}?`,
      );
    }
    case 'commander.excessArguments': {
      const most = command?.arguments.length ?? 0;
      const fix = command?.trailing && 'Write the command after --: `fleet run server -- uptime`.';
      return misuse(
        'EXCESS_ARGUMENT',
        `${name} takes ${most === 0 ? 'no argument' : `at most ${most}`}`,
        command,
        fix,
      );
    }
    default:
      return misuse('USAGE', error.message.replace(/^error: /, ''), command);
  }
}

/** `-i, --inventory <path>` as commander quotes it becomes `--inventory`. */
function longName(flags: string): string {
  return /--[a-z-]+/.exec(flags)?.[0] ?? flags;
}

function misuse(code: string, message: string, command: Command | undefined, fix?: string): FleetError {
  const help = command === undefined ? 'See `fleet help`.' : `See \`fleet help ${command.name}\`.`;
  return new FleetError({
    code,
    message,
    fix: fix === undefined || fix === '' ? help : `${fix} ${help}`,
    blame: 'usage',
  });
}
