import { TemplateError } from './error.ts';
import { compareText, dictEntries, isDict, isNumber, repr, toText, typeName, Undefined } from './value.ts';

export interface JsonStyle {
  readonly indent?: number;
  readonly sortKeys?: boolean;
  readonly ensureAscii?: boolean;
  readonly separators?: readonly [string, string];
}

/** JSON as Python's `json.dumps` writes it, separators, escapes and order of keys included. */
export function dumpJson(value: unknown, style: JsonStyle = {}, depth = 0): string {
  if (depth > 60) throw new TemplateError('limit', 'the value is nested too deeply for JSON');
  const { indent, ensureAscii = true } = style;
  const [comma, colon] = style.separators ?? (indent === undefined ? [', ', ': '] : [',', ': ']);
  if (value instanceof Undefined) throw value.error();
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'boolean') return String(value);
  if (isNumber(value)) return repr(value);
  if (typeof value === 'string') return dumpText(value, ensureAscii);
  const wrap = (open: string, items: readonly string[], close: string): string => {
    if (items.length === 0) return open + close;
    if (indent === undefined) return open + items.join(comma) + close;
    const inner = `\n${' '.repeat(indent * (depth + 1))}`;
    return `${open}${inner}${items.join(`${comma.trimEnd()}${inner}`)}\n${' '.repeat(indent * depth)}${close}`;
  };
  if (Array.isArray(value)) {
    return wrap(
      '[',
      value.map((item) => dumpJson(item, style, depth + 1)),
      ']',
    );
  }
  if (isDict(value)) {
    const entries = dictEntries(value).map(([key, item]) => [jsonKey(key), item] as const);
    if (style.sortKeys === true) entries.sort(([a], [b]) => compareText(a, b));
    return wrap(
      '{',
      entries.map(
        ([key, item]) => `${dumpText(key, ensureAscii)}${colon}${dumpJson(item, style, depth + 1)}`,
      ),
      '}',
    );
  }
  throw new TemplateError('failed', `a ${typeName(value)} cannot be written as JSON`);
}

function jsonKey(key: unknown): string {
  if (key === null) return 'null';
  return typeof key === 'boolean' ? String(key) : toText(key);
}

function dumpText(text: string, ensureAscii: boolean): string {
  const json = JSON.stringify(text);
  if (!ensureAscii) return json;
  return json.replace(/[\u007f-\uffff]/g, (unit) =>
    unit === '\u007f' ? unit : `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
