import { TemplateError } from './error.ts';
import { compareText, dictEntries, isDict, isNumber, repr, toText, typeName, Undefined } from './value.ts';
import { resolvePlain } from './yaml-scalar.ts';

export interface YamlStyle {
  readonly indent?: number;
  /** `block` writes one item a line; `auto` writes innermost lists and dicts as `[a, b]`, as PyYAML does by default. */
  readonly flow: 'block' | 'auto';
  readonly sortKeys?: boolean;
}

/** Beyond this column PyYAML breaks lines at blanks. */
const WIDTH = 80;

/** YAML as PyYAML's `dump` writes it: sorted keys, lists not indented below their key, long texts folded. */
export function dumpYaml(value: unknown, style: YamlStyle): string {
  const step = style.indent ?? 2;
  if (isScalar(value)) return `${scalar(value, { column: 0, indent: step })}\n`;
  if (isEmpty(value) || (style.flow === 'auto' && isFlat(value))) return `${flow(value, style)}\n`;
  return block(value, style, 0, 0);
}

function isScalar(value: unknown): boolean {
  return !Array.isArray(value) && !isDict(value);
}

function isEmpty(value: unknown): boolean {
  return (Array.isArray(value) && value.length === 0) || (isDict(value) && dictEntries(value).length === 0);
}

function isFlat(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(isScalar);
  return isDict(value) && dictEntries(value).every(([, item]) => isScalar(item));
}

function entriesOf(value: unknown, style: YamlStyle): [string, unknown][] {
  if (!isDict(value)) return [];
  const entries = dictEntries(value).map(([key, item]): [string, unknown] => [scalar(key), item]);
  return style.sortKeys === false ? entries : entries.sort(([a], [b]) => compareText(unquote(a), unquote(b)));
}

function unquote(text: string): string {
  return text.startsWith("'") ? text.slice(1, -1) : text;
}

function flow(value: unknown, style: YamlStyle): string {
  if (Array.isArray(value)) return `[${value.map((item) => flow(item, style)).join(', ')}]`;
  if (isDict(value)) {
    return `{${entriesOf(value, style)
      .map(([key, item]) => `${key}: ${flow(item, style)}`)
      .join(', ')}}`;
  }
  return scalar(value, { inFlow: true });
}

function block(value: unknown, style: YamlStyle, column: number, depth: number): string {
  if (depth > 60) throw new TemplateError('limit', 'the value is nested too deeply for YAML');
  const step = style.indent ?? 2;
  const pad = ' '.repeat(column);
  const inline = (item: unknown, at: number): string | undefined => {
    if (isScalar(item)) return scalar(item, { column: at, indent: column + step });
    return isEmpty(item) || (style.flow === 'auto' && isFlat(item)) ? flow(item, style) : undefined;
  };
  if (Array.isArray(value)) {
    return value
      .map((item) => {
        const text = inline(item, column + 2);
        if (text !== undefined) return `${pad}- ${text}\n`;
        return `${pad}-${' '.repeat(step - 1)}${block(item, style, column + step, depth + 1).slice(column + step)}`;
      })
      .join('');
  }
  return entriesOf(value, style)
    .map(([key, item]) => {
      const text = inline(item, column + key.length + 2);
      if (text !== undefined) return `${pad}${key}: ${text}\n`;
      return `${pad}${key}:\n${block(item, style, Array.isArray(item) ? column : column + step, depth + 1)}`;
    })
    .join('');
}

/** Where a scalar stands: its first column and how far its further lines are indented. */
interface Position {
  readonly column?: number;
  readonly indent?: number;
  readonly inFlow?: boolean;
}

function scalar(value: unknown, position: Position = {}): string {
  if (value instanceof Undefined) throw value.error();
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'boolean') return String(value);
  if (isNumber(value)) return repr(value);
  if (typeof value !== 'string')
    throw new TemplateError('failed', `a ${typeName(value)} cannot be written as YAML`);
  const text = toText(value);
  if (text === '') return "''";
  const special = /[\u0000-\u0009\u000b-\u001f\u007f-\u0084\u0086-\u009f\ufeff]/.test(text);
  // A blank before or after a line break would be lost in any other style.
  if (special || / \n|\n /.test(text)) return doubleQuoted(text);
  if (needsQuotes(text, position.inFlow === true)) return `'${folded(text.replaceAll("'", "''"), position)}'`;
  return folded(text, position);
}

function needsQuotes(text: string, inFlow: boolean): boolean {
  return (
    text.includes('\n') ||
    /^[-?:](?:\s|$)|^[,[\]{}#&*!|>'"%@`]|:(?:\s|$)|\s#|^\s|\s$|^(?:---|\.\.\.)/.test(text) ||
    (inFlow && /[,[\]{}?]|^[-?:]/.test(text)) ||
    typeof resolvePlain(text) !== 'string' ||
    text === '=' ||
    text === '<<'
  );
}

/** Breaks lines at single blanks beyond the width; a line break inside the text is written as an empty line. */
function folded(text: string, { column = 0, indent }: Position): string {
  if (indent === undefined) return text.replaceAll('\n', '\n\n');
  const pad = `\n${' '.repeat(indent)}`;
  let at = column;
  return text
    .split(/(\n+| +)/)
    .map((part, index, parts) => {
      if (part.startsWith('\n')) {
        at = indent;
        return `\n${part}${' '.repeat(indent)}`;
      }
      const isEdge =
        index === 0 || index === parts.length - 1 || parts[index - 1] === '' || parts[index + 1] === '';
      if (part === ' ' && at > WIDTH && !isEdge) {
        at = indent;
        return pad;
      }
      at += part.length;
      return part;
    })
    .join('');
}

const SHORT: Readonly<Record<string, string>> = {
  '\0': '\\0',
  '\n': '\\n',
  '\t': '\\t',
  '\r': '\\r',
  '\\': '\\\\',
  '"': '\\"',
  '\u001b': '\\e',
  '\u0007': '\\a',
  '\b': '\\b',
  '\v': '\\v',
  '\f': '\\f',
};

function doubleQuoted(text: string): string {
  const body = text.replace(
    /["\\\u0000-\u001f\u007f-\u009f\ufeff]/g,
    (one) => SHORT[one] ?? `\\x${one.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
  return `"${body}"`;
}
