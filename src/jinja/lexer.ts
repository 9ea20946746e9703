import { TemplateError } from './error.ts';

export interface TemplateToken {
  readonly kind: 'name' | 'string' | 'number' | 'operator' | 'end';
  /** The text; of a string, its value. */
  readonly text: string;
  /** Where it starts in the template, from 0. */
  readonly at: number;
}

/** A piece of a template: plain text, `{{ … }}` or `{% … %}`. Comments are gone, whitespace control is applied. */
export type TemplatePiece =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'print' | 'statement'; readonly tokens: readonly TemplateToken[]; readonly at: number };

/** Deeper brackets than this are refused, so that hostile input cannot exhaust the stack of the parser. */
const DEEPEST_BRACKETS = 100;

const OPEN = /\{\{|\{%|\{#/g;
const SPACE = /[ \t\r\n\f\v]+/y;
const NAME = /[\p{L}_][\p{L}\p{N}_]*/uy;
const NUMBER =
  /0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|\d[\d_]*(?:\.\d[\d_]*(?:[eE][+-]?\d+)?|[eE][+-]?\d+)?/y;
const STRING = /'([^'\\]*(?:\\[\s\S][^'\\]*)*)'|"([^"\\]*(?:\\[\s\S][^"\\]*)*)"/y;
const OPERATOR = /\/\/|\*\*|==|!=|<=|>=|[-+*/%~<>=()[\]{}.,:|;]/y;

/** What begins a first line in which a template says how its white space is taken. */
const WHITESPACE_HEADER = '#jinja2:';

interface Whitespace {
  /** The newline behind a statement or comment goes. */
  readonly trimBlocks: boolean;
  /** So do blanks between the beginning of a line and a statement or comment. */
  readonly lstripBlocks: boolean;
}

/** Ansible's `#jinja2: lstrip_blocks: True, trim_blocks: False`, and where the template begins behind it. */
function headerOf(source: string): { readonly whitespace: Whitespace; readonly end: number } {
  const usual = { trimBlocks: true, lstripBlocks: false };
  if (!source.startsWith(WHITESPACE_HEADER)) return { whitespace: usual, end: 0 };
  const newline = source.indexOf('\n');
  const end = newline < 0 ? source.length : newline + 1;
  const written = new Map<string, boolean>();
  for (const pair of source.slice(WHITESPACE_HEADER.length, end).split(',')) {
    const match = /^\s*(trim_blocks|lstrip_blocks)\s*:\s*(True|False)\s*$/.exec(pair);
    if (match === null) {
      throw new TemplateError(
        'syntax',
        `${WHITESPACE_HEADER} takes "trim_blocks: True" and "lstrip_blocks: True" (or False), not ${JSON.stringify(pair.trim())}`,
        0,
      );
    }
    written.set(match[1] ?? '', match[2] === 'True');
  }
  const whitespace = {
    trimBlocks: written.get('trim_blocks') ?? usual.trimBlocks,
    lstripBlocks: written.get('lstrip_blocks') ?? usual.lstripBlocks,
  };
  return { whitespace, end };
}

/**
 * Cuts a template into pieces as Ansible's environment does: `trim_blocks` on, `lstrip_blocks` off where its first line does not
 * say otherwise, the final newline kept.
 * @throws TemplateError (`syntax`) for an unclosed tag or string and for characters that Jinja does not know.
 */
export function lexTemplate(source: string): readonly TemplatePiece[] {
  const pieces: TemplatePiece[] = [];
  const { whitespace, end: beginning } = headerOf(source);
  const behindTag = (at: number): number => (whitespace.trimBlocks ? skipNewline(source, at) : at);
  let position = beginning;
  let stripNext = false;
  const pushText = (text: string): void => {
    const kept = stripNext ? text.replace(/^\s+/, '') : text;
    if (kept !== '') pieces.push({ kind: 'text', text: kept });
  };
  while (position < source.length) {
    OPEN.lastIndex = position;
    const found = OPEN.exec(source);
    if (found === null) {
      pushText(source.slice(position));
      break;
    }
    const start = found.index;
    const opener = found[0];
    const sign = source[start + 2];
    const text = source.slice(position, start);
    const dashed = sign === '-';
    const lstrips = whitespace.lstripBlocks && opener !== '{{' && sign !== '+';
    const startsLine = position === beginning || source[position - 1] === '\n';
    if (dashed) pushText(text.replace(/\s+$/, ''));
    else pushText(lstrips ? withoutIndent(text, startsLine) : text);
    const inside = start + (dashed || sign === '+' ? 3 : 2);
    if (opener === '{#') {
      const end = source.indexOf('#}', start + 2);
      if (end < 0) throw new TemplateError('syntax', 'a comment is not closed by #}', start);
      stripNext = source[end - 1] === '-';
      position = behindTag(end + 2);
      continue;
    }
    const isPrint = opener === '{{';
    const raw = isPrint ? undefined : rawBlock(source, start, inside, whitespace);
    if (raw !== undefined) {
      stripNext = raw.stripBefore;
      pushText(raw.text);
      stripNext = raw.stripAfter;
      position = raw.end;
      continue;
    }
    const code = lexCode(source, inside, isPrint ? '}}' : '%}', isPrint);
    pieces.push({ kind: isPrint ? 'print' : 'statement', tokens: code.tokens, at: start });
    stripNext = code.strip;
    position = isPrint || code.keepNewline ? code.end : behindTag(code.end);
  }
  return pieces;
}

/** The tokens of a bare expression, such as the text of a `when`. */
export function lexExpression(source: string): readonly TemplateToken[] {
  return lexCode(source, 0, undefined, false).tokens;
}

/** The text before a tag without the blanks that alone stand between it and the beginning of its line. */
function withoutIndent(text: string, startsLine: boolean): string {
  const line = text.lastIndexOf('\n') + 1;
  return (line > 0 || startsLine) && /^[ \t]*$/.test(text.slice(line)) ? text.slice(0, line) : text;
}

function skipNewline(source: string, position: number): number {
  if (source.startsWith('\r\n', position)) return position + 2;
  return source[position] === '\n' ? position + 1 : position;
}

interface RawBlock {
  readonly text: string;
  readonly stripBefore: boolean;
  readonly stripAfter: boolean;
  readonly end: number;
}

function rawBlock(
  source: string,
  start: number,
  inside: number,
  { trimBlocks, lstripBlocks }: Whitespace,
): RawBlock | undefined {
  const opening = /\s*raw\s*([-+]?)%\}/y;
  opening.lastIndex = inside;
  const opened = opening.exec(source);
  if (opened === null) return undefined;
  const closing = /\{%([-+]?)\s*endraw\s*([-+]?)%\}/g;
  closing.lastIndex = opening.lastIndex;
  const closed = closing.exec(source);
  if (closed === null) throw new TemplateError('syntax', 'a raw block is not closed by {% endraw %}', start);
  // Jinja keeps the newline behind {% raw %}, and only that.
  const textStart = opening.lastIndex;
  const text = source.slice(textStart, Math.max(textStart, closed.index));
  const startsLine = source[textStart - 1] === '\n';
  const indented = lstripBlocks && closed[1] === '' ? withoutIndent(text, startsLine) : text;
  return {
    text: closed[1] === '-' ? text.replace(/\s+$/, '') : indented,
    stripBefore: opened[1] === '-',
    stripAfter: closed[2] === '-',
    end: trimBlocks && closed[2] === '' ? skipNewline(source, closing.lastIndex) : closing.lastIndex,
  };
}

interface Code {
  readonly tokens: readonly TemplateToken[];
  readonly end: number;
  readonly strip: boolean;
  readonly keepNewline: boolean;
}

function lexCode(source: string, start: number, close: string | undefined, isPrint: boolean): Code {
  const tokens: TemplateToken[] = [];
  const brackets: string[] = [];
  let position = start;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = position;
    return pattern.exec(source);
  };
  while (position < source.length) {
    const space = match(SPACE);
    if (space !== null) {
      position += space[0].length;
      continue;
    }
    if (close !== undefined && brackets.length === 0) {
      const sign = source[position];
      const signed = (sign === '-' || sign === '+') && source.startsWith(close, position + 1);
      if (signed || source.startsWith(close, position)) {
        const end = position + close.length + (signed ? 1 : 0);
        tokens.push({ kind: 'end', text: close, at: position });
        return { tokens, end, strip: signed && sign === '-', keepNewline: signed };
      }
    }
    const at = position;
    const name = match(NAME);
    if (name !== null) {
      tokens.push({ kind: 'name', text: name[0], at });
      position += name[0].length;
      continue;
    }
    // After a dot a number is an index (`servers.0.name`), never a fraction.
    const number =
      tokens.at(-1)?.text === '.' && tokens.at(-1)?.kind === 'operator' ? match(/\d+/y) : match(NUMBER);
    if (number !== null) {
      tokens.push({ kind: 'number', text: number[0].replaceAll('_', ''), at });
      position += number[0].length;
      continue;
    }
    const string = match(STRING);
    if (string !== null) {
      const body = string[1] ?? string[2] ?? '';
      tokens.push({ kind: 'string', text: isPrint ? printedString(body) : unescapeString(body), at });
      position += string[0].length;
      continue;
    }
    const operator = match(OPERATOR)?.[0];
    if (operator === undefined) {
      const character = String.fromCodePoint(source.codePointAt(position) ?? 0);
      const what = /['"]/.test(character)
        ? 'a string that is not closed'
        : `the character ${JSON.stringify(character)}`;
      throw new TemplateError('syntax', `unexpected: ${what}`, position);
    }
    trackBrackets(brackets, operator, at);
    tokens.push({ kind: 'operator', text: operator, at });
    position += operator.length;
  }
  if (close !== undefined) {
    throw new TemplateError('syntax', `${isPrint ? '{{' : '{%'} is not closed by ${close}`, start);
  }
  if (brackets.length > 0)
    throw new TemplateError('syntax', `a bracket is not closed by ${brackets.at(-1)}`, start);
  tokens.push({ kind: 'end', text: '', at: position });
  return { tokens, end: position, strip: false, keepNewline: false };
}

const CLOSERS: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

function trackBrackets(brackets: string[], operator: string, at: number): void {
  const closer = CLOSERS[operator];
  if (closer !== undefined) {
    brackets.push(closer);
    if (brackets.length > DEEPEST_BRACKETS)
      throw new TemplateError('limit', 'brackets are nested too deeply', at);
  } else if (operator === ')' || operator === ']' || operator === '}') {
    if (brackets.pop() !== operator) throw new TemplateError('syntax', `unexpected: "${operator}"`, at);
  }
}

/**
 * Ansible doubles backslashes of strings inside `{{ }}` (templar's `escape_backslashes`), so that
 * `regex_replace('\.', '-')` in YAML means what it says; only quotes can be escaped there.
 */
function printedString(body: string): string {
  return body.replace(/\\(['"])/g, '$1');
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  a: '\u0007',
  b: '\b',
  f: '\f',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
  '\n': '',
};

/** Python's string escapes; an unknown one stays as it is written. */
export function unescapeString(body: string): string {
  if (!body.includes('\\')) return body;
  return body.replace(
    /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{1,3})|([\s\S]))/g,
    (
      whole,
      two: string | undefined,
      four: string | undefined,
      eight: string | undefined,
      octal: string | undefined,
      one: string,
    ) => {
      const hex = two ?? four ?? eight;
      if (hex !== undefined) {
        const code = Number.parseInt(hex, 16);
        return code > 0x10ffff ? whole : String.fromCodePoint(code);
      }
      if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
      return ESCAPES[one] ?? whole;
    },
  );
}
