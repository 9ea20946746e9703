import { secretKeys } from './config-text.ts';

/**
 * Words of a command line as sh and systemd split them: blanks part, quotes and backslashes hold together.
 * `extra_server_args` is written in this form, and `ExecStart=` of the unit, continued over lines.
 * @returns the words, or `undefined` when a quote is never closed
 */
export function splitWords(text: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  for (let index = 0; index < text.length; index += 1) {
    const character = text.charAt(index);
    if (character === "'" || character === '"') {
      const quoted = quotedFrom(text, index);
      if (quoted === undefined) return undefined;
      word = (word ?? '') + quoted.content;
      index = quoted.end;
    } else if (character === '\\' && index + 1 < text.length) {
      index += 1;
      if (text.charAt(index) !== '\n') word = (word ?? '') + text.charAt(index);
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? '') + character;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

function quotedFrom(text: string, start: number): { content: string; end: number } | undefined {
  const mark = text.charAt(start);
  let content = '';
  for (let index = start + 1; index < text.length; index += 1) {
    const character = text.charAt(index);
    if (character === mark) return { content, end: index };
    if (character === '\\' && mark === '"' && /["\\$`\n]/.test(text.charAt(index + 1))) index += 1;
    if (character !== '\\' || text.charAt(index) !== '\n') content += text.charAt(index);
  }
  return undefined;
}

/**
 * The arguments behind the binary in the unit's `ExecStart=`: `['server', '--flannel-backend', 'none']`. The install
 * script writes one argument a line, each in single quotes and continued with a backslash.
 */
export function execStartArgs(unit: string): string[] | undefined {
  const match = /^ExecStart=((?:[^\n]*\\\n)*[^\n]*)/m.exec(unit);
  if (match?.[1] === undefined) return undefined;
  return splitWords(match[1])?.slice(1);
}

/** The value of a flag in an argument list, `--name value` or `--name=value`; the last one wins. */
export function flagValue(args: readonly string[], name: string): string | undefined {
  let value: string | undefined;
  args.forEach((arg, index) => {
    if (arg === name) value = args[index + 1];
    else if (arg.startsWith(`${name}=`)) value = arg.slice(name.length + 1);
  });
  return value;
}

/** Whether a switch is on: `--name`, `--name=true`. */
export function hasFlag(args: readonly string[], name: string): boolean {
  return args.some((arg) => arg === name || arg === `${name}=true`);
}

/** Arguments as a person may see them: the values of secret flags replaced. */
export function argsWithoutSecrets(args: readonly string[]): readonly string[] {
  return args.map((arg, index) => {
    const [flag = '', ...value] = arg.split('=');
    if (value.length > 0 && isSecretFlag(flag)) return `${flag}=[secret]`;
    return isSecretFlag(args[index - 1] ?? '') ? '[secret]' : arg;
  });
}

/** `-t` is short for `--token`. */
function isSecretFlag(flag: string): boolean {
  return flag === '-t' || (flag.startsWith('--') && secretKeys.has(flag.slice(2)));
}
