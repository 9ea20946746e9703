/** The words of a line, and whether a `#` cut a word short (as Python's shlex does with comments on). */
export interface ShellWords {
  readonly words: readonly { readonly text: string; readonly at: number }[];
  /** The word that a `#` in its middle ended, if any. */
  readonly cut?: string;
}

/**
 * Splits a host line of an INI inventory as Python's `shlex.split(line, comments=True)`: quotes, backslashes, comments.
 * Gives `undefined` when a quote is not closed.
 */
export function splitShellWords(line: string): ShellWords | undefined {
  const words: { text: string; at: number }[] = [];
  let word: { text: string; at: number } | undefined;
  let at = 0;
  const push = (): void => {
    if (word !== undefined) words.push(word);
    word = undefined;
  };
  while (at < line.length) {
    const character = line[at] ?? '';
    if (/[ \t\r\n]/.test(character)) {
      push();
      at += 1;
      continue;
    }
    if (character === '#') {
      const cut = word?.text;
      push();
      return cut === undefined ? { words } : { words, cut };
    }
    word ??= { text: '', at };
    if (character === "'") {
      const end = line.indexOf("'", at + 1);
      if (end < 0) return undefined;
      word.text += line.slice(at + 1, end);
      at = end + 1;
    } else if (character === '"') {
      at += 1;
      for (; line[at] !== '"'; at += 1) {
        if (at >= line.length) return undefined;
        if (line[at] === '\\' && (line[at + 1] === '"' || line[at + 1] === '\\')) at += 1;
        word.text += line[at] ?? '';
      }
      at += 1;
    } else if (character === '\\') {
      if (at + 1 >= line.length) return undefined;
      word.text += line[at + 1] ?? '';
      at += 2;
    } else {
      word.text += character;
      at += 1;
    }
  }
  push();
  return { words };
}
