import { TemplateError } from './template-error.ts';
import { resolvePlain } from './template-yaml-scalar.ts';
import { compareText, dictEntries, isDict, isNumber, repr, toText, typeName, Undefined } from './template-value.ts';

export interface YamlStyle {
  readonly indent?: number;
  /** `block` writes one item a line; `auto` writes innermost lists and dicts as `[a, b]`, as PyYAML does by default. */
  readonly flow: 'block' | 'auto';
  readonly sortKeys?: boolean;
}

/** YAML as PyYAML's `dump` writes it: sorted keys, lists not indented below their key. Long lines are not folded. */
export function dumpYaml(value: unknown, style: YamlStyle): string {
  if (isScalar(value)) {
    const text = scalar(value);
    return /^['"]/.test(text) ? `${text}\n` : `${text}\n...\n`;
  }
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
  return scalar(value, true);
}

function block(value: unknown, style: YamlStyle, column: number, depth: number): string {
  if (depth > 60) throw new TemplateError('limit', 'the value is nested too deeply for YAML');
  const step = style.indent ?? 2;
  const pad = ' '.repeat(column);
  const inline = (item: unknown): boolean =>
    isScalar(item) || isEmpty(item) || (style.flow === 'auto' && isFlat(item));
  if (Array.isArray(value)) {
    return value
      .map((item) => {
        const dash = `${pad}-${' '.repeat(step - 1)}`;
        if (inline(item)) return `${pad}- ${flow(item, style)}\n`.replace(`${pad}- `, step > 2 ? dash : `${pad}- `);
        return dash + block(item, style, column + step, depth + 1).slice(column + step);
      })
      .join('');
  }
  return entriesOf(value, style)
    .map(([key, item]) => {
      if (typeof item === 'string' && item.includes('\n')) return `${pad}${key}: ${multiline(item, column + step)}\n`;
      if (inline(item)) return `${pad}${key}: ${flow(item, style)}\n`;
      return `${pad}${key}:\n${block(item, style, Array.isArray(item) ? column : column + step, depth + 1)}`;
    })
    .join('');
}

function multiline(text: string, column: number): string {
  if (/[ \t]\n|^\s|[^\n\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u.test(text)) return doubleQuoted(text);
  const pad = ' '.repeat(column);
  const chomp = text.endsWith('\n') ? (text.endsWith('\n\n') ? '+' : '') : '-';
  const rows = text.replace(/\n$/, '').split('\n');
  return `|${chomp}\n${rows.map((row) => (row === '' ? '' : pad + row)).join('\n')}`;
}

function scalar(value: unknown, inFlow = false): string {
  if (value instanceof Undefined) throw value.error();
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'boolean') return String(value);
  if (isNumber(value)) return repr(value);
  if (typeof value !== 'string') throw new TemplateError('failed', `a ${typeName(value)} cannot be written as YAML`);
  const text = toText(value);
  if (text === '') return "''";
  if (/[\u0000-\u001f\u007f-\u0084\u0086-\u009f\ufeff]/.test(text)) return doubleQuoted(text);
  const special =
    /^[-?:](?:\s|$)|^[,[\]{}#&*!|>'"%@`]|:(?:\s|$)|\s#|^\s|\s$|^(?:---|\.\.\.)/.test(text) ||
    (inFlow && /[,[\]{}]|^[-?:]/.test(text)) ||
    typeof resolvePlain(text) !== 'string' ||
    text === '=' ||
    text === '<<';
  return special ? `'${text.replaceAll("'", "''")}'` : text;
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
