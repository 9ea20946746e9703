import type { Argument, Command, RunCommand } from '../command.ts';
import { commands, findCommand } from '../commands.ts';
import { exit } from '../exit-codes.ts';
import { type Flag, flagGroups, flagName, takesValue } from '../flags.ts';

/** One answer a line: the word, and after a tab what it is for. `:file` and `:folder` leave it to the shell. */
export const complete: RunCommand = async ({ trailing = [], console }) => {
  const answers = await completions(trailing);
  if (answers.length > 0)
    console.result(
      answers.map(([word, text]) => (text === undefined ? word : `${word}\t${text}`)).join('\n'),
    );
  return exit.ok;
};

type Answer = readonly [word: string, text?: string];

/** What may stand in the place of the last word. */
export async function completions(words: readonly string[]): Promise<readonly Answer[]> {
  const current = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  if (before.includes('--')) return [];
  const known = flagsOf(findCommand(operandsOf(before)[0] ?? ''));
  const last = before.at(-1);
  const flag = last === undefined ? undefined : known.find((one) => matches(one, last));
  if (flag !== undefined && takesValue(flag)) return startingWith(current, await valuesOf(flag, before));
  const [, joined = '', value = ''] = /^(--[a-z-]+=)(.*)$/s.exec(current) ?? [];
  const joinedFlag = known.find((one) => joined === `--${flagName(one)}=`);
  if (joinedFlag !== undefined) {
    return startingWith(value, await valuesOf(joinedFlag, before)).map(([word, text]) =>
      word.startsWith(':') ? [word] : [joined + word, text ?? ''],
    );
  }
  if (current.startsWith('-')) {
    return startingWith(
      current,
      known.map((one) => [`--${flagName(one)}`, one.description]),
    );
  }
  const [name, ...operands] = operandsOf(before);
  if (name === undefined) return startingWith(current, commandAnswers());
  const argument = findCommand(name)?.arguments[operands.length];
  return argument === undefined ? [] : startingWith(current, await argumentAnswers(argument, before));
}

function flagsOf(command: Command | undefined): readonly Flag[] {
  const groups = command?.groups ?? (Object.keys(flagGroups) as (keyof typeof flagGroups)[]);
  return [...(command?.flags ?? []), ...groups.flatMap((group): readonly Flag[] => flagGroups[group])];
}

/** The words that are neither flags nor their values. */
function operandsOf(words: readonly string[]): string[] {
  const everyFlag = [
    ...commands.flatMap((command) => command.flags),
    ...Object.values(flagGroups).flat(),
  ] as Flag[];
  return words.filter((word, index) => {
    if (word.startsWith('-')) return false;
    const previous = words[index - 1];
    return previous === undefined || !everyFlag.some((flag) => matches(flag, previous) && takesValue(flag));
  });
}

function matches(flag: Flag, word: string): boolean {
  return flag.flags
    .replace(/<.*$/, '')
    .split(/[\s,]+/)
    .includes(word);
}

async function valuesOf(flag: Flag, before: readonly string[]): Promise<readonly Answer[]> {
  if (flag.choices !== undefined) return flag.choices.map((choice) => [choice]);
  if (flag.completes === 'file' || flag.completes === 'folder') return [[`:${flag.completes}`]];
  if (flag.completes === 'pattern') return patternAnswers(before);
  if (flag.completes === 'cluster') return (await import('../inventory-names.ts')).clusterNames(before);
  return [];
}

async function argumentAnswers(argument: Argument, before: readonly string[]): Promise<readonly Answer[]> {
  const { completes } = argument;
  switch (completes) {
    case undefined:
      return [];
    case 'file':
    case 'folder':
      return [[`:${completes}`]];
    case 'command':
      return commandAnswers();
    case 'pattern':
      return patternAnswers(before);
    case 'step': {
      const { stepsHere } = await import('../steps-here.ts');
      return (await stepsHere()).allSteps.map(({ name, summary }) => [name, summary]);
    }
    case 'variable': {
      const { variableTexts } = await import('../variable-texts.ts');
      return variableTexts().map(({ name, summary }) => [name, summary]);
    }
    default:
      return completes.map((word) => [word]);
  }
}

function commandAnswers(): readonly Answer[] {
  return commands.filter((command) => command.hidden !== true).map(({ name, summary }) => [name, summary]);
}

/** Hosts and groups of the inventory that the words name, or of the default one. A broken inventory completes nothing. */
async function patternAnswers(before: readonly string[]): Promise<readonly Answer[]> {
  const { inventoryNames } = await import('../inventory-names.ts');
  return inventoryNames(before);
}

function startingWith(current: string, answers: readonly Answer[]): readonly Answer[] {
  return answers.filter(([word]) => word.startsWith(':') || word.startsWith(current));
}
