/** One blank-separated word of a free-form argument string, with where it stands in it. */
interface Word {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** The words of a line as Ansible splits them: quotes and `{{ }}`, `{% %}`, `{# #}` hold together what is inside them. */
export function words(text: string): readonly Word[] {
  const found: Word[] = [];
  let start: number | undefined;
  let quote: string | undefined;
  let closer: string | undefined;
  let index = 0;
  for (; index < text.length; index += 1) {
    const character = text.charAt(index);
    const pair = text.slice(index, index + 2);
    if (closer !== undefined) {
      if (pair === closer) {
        closer = undefined;
        index += 1;
      }
      continue;
    }
    if (pair === '{{' || pair === '{%' || pair === '{#') {
      closer = { '{{': '}}', '{%': '%}', '{#': '#}' }[pair];
      start ??= index;
      index += 1;
      continue;
    }
    if (quote !== undefined) {
      if (character === '\\') index += 1;
      else if (character === quote) quote = undefined;
      continue;
    }
    if (/\s/.test(character)) {
      if (start !== undefined) found.push({ text: text.slice(start, index), start, end: index });
      start = undefined;
      continue;
    }
    start ??= index;
    if (character === '\\') index += 1;
    else if (character === '"' || character === "'") quote = character;
  }
  if (start !== undefined) found.push({ text: text.slice(start), start, end: text.length });
  return found;
}

/** Whether quotes and template braces are all closed. */
export function isBalanced(text: string): boolean {
  let quote: string | undefined;
  for (let index = 0; index < text.length; index += 1) {
    const character = text.charAt(index);
    if (character === '\\') index += 1;
    else if (quote !== undefined) {
      if (character === quote) quote = undefined;
    } else if (character === '"' || character === "'") quote = character;
  }
  return quote === undefined;
}

/** What a free-form string says: `key=value` pairs, and all else verbatim. */
export interface FreeForm {
  readonly pairs: Readonly<Record<string, string>>;
  /** What is left once the pairs are taken out, line breaks and inner blanks as written. */
  readonly rest: string;
}

/**
 * Takes the `key=value` words out of a string. `isOption` says which keys count: for a command only its own
 * options do (`creates=…`), so that `make FOO=bar` stays what it is.
 */
export function parseFreeForm(text: string, isOption: (key: string) => boolean = () => true): FreeForm {
  const pairs: [string, string][] = [];
  let rest = '';
  let from = 0;
  for (const word of words(text)) {
    const match = /^([A-Za-z_][A-Za-z0-9_.-]*)=([\s\S]*)$/.exec(word.text);
    const key = match?.[1];
    if (key === undefined || !isOption(key)) continue;
    pairs.push([key, unquote(match?.[2] ?? '')]);
    // The blank before the option goes with it; blanks and line breaks elsewhere are the command's.
    rest += text.slice(from, word.start).replace(/[ \t]+$/, '');
    from = word.end;
  }
  rest += text.slice(from);
  return { pairs: Object.fromEntries(pairs), rest: rest.trim() };
}

function unquote(text: string): string {
  const first = text.charAt(0);
  const quoted = text.length >= 2 && (first === '"' || first === "'") && text.endsWith(first);
  return unescaped(quoted ? text.slice(1, -1) : text);
}

const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  '\\': '\\',
  '"': '"',
  "'": "'",
};

function unescaped(text: string): string {
  return text.replace(/\\([ntr\\"']|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})/g, (_, code: string) => {
    const simple = escapes[code];
    return simple ?? String.fromCharCode(Number.parseInt(code.slice(1), 16));
  });
}
