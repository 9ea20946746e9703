import { Secret } from '../core/secret.ts';
import { compareTimes, DateTime, TimeDelta } from './date-time.ts';
import { TemplateError } from './error.ts';

/**
 * A name or key that does not exist. Attributes of it are undefined too (so `a.b.c | default(x)` works), any other use
 * is an error, as with Ansible's strict undefined.
 */
export class Undefined {
  constructor(
    /** What is missing, as a sentence: `'token' is undefined`. */
    readonly hint: string,
    readonly at?: number,
    /** What an inline `if` without `else` gives: it prints as nothing and is false, instead of failing. */
    readonly lenient = false,
  ) {}

  error(): TemplateError {
    return new TemplateError('undefined', this.hint, this.at);
  }
}

/** @throws TemplateError for the first value that is undefined */
export function requireDefined(values: readonly unknown[]): void {
  for (const value of values) if (value instanceof Undefined) throw value.error();
}

/** A Python float that happens to be whole: `1.0` prints as `1.0`, which a JavaScript number cannot say. */
export class WholeFloat {
  constructor(readonly value: number) {}
}

/** A Python tuple: a list that prints with parentheses. */
export class Tuple extends Array<unknown> {}

export function tupleOf(...items: readonly unknown[]): Tuple {
  const tuple = new Tuple();
  for (const item of items) tuple.push(item);
  return tuple;
}

/** A mapping whose values are worked out when they are asked for, such as `hostvars`. */
export abstract class LazyMap {
  abstract keys(): readonly string[];
  abstract has(key: string): boolean;
  /** The value, or `undefined` for no such key. */
  abstract get(key: string): unknown;
}

/** Something a template can call: a macro, `range`, `lookup`. */
export class Callable {
  constructor(
    readonly name: string,
    readonly call: (args: readonly unknown[], named: ReadonlyMap<string, unknown>) => unknown,
  ) {}
}

/** What `namespace()` makes: the one value that a template can assign attributes of. */
export class Namespace {
  readonly values = new Map<string, unknown>();
}

/** A dictionary in any of the forms a template meets: from YAML, from a literal, or lazy. */
export type Dict = Map<unknown, unknown> | LazyMap | Readonly<Record<string, unknown>>;

export function makeFloat(value: number): number | WholeFloat {
  return Number.isInteger(value) ? new WholeFloat(value) : value;
}

export function isNumber(value: unknown): value is number | WholeFloat {
  return typeof value === 'number' || value instanceof WholeFloat;
}

export function isFloat(value: unknown): boolean {
  return value instanceof WholeFloat || (typeof value === 'number' && !Number.isInteger(value));
}

export function isDict(value: unknown): value is Dict {
  if (value === null || typeof value !== 'object') return false;
  if (value instanceof Map || value instanceof LazyMap) return true;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

export function dictKeys(dict: Dict): readonly unknown[] {
  if (dict instanceof Map) return [...dict.keys()];
  return dict instanceof LazyMap ? dict.keys() : Object.keys(dict);
}

export function dictGet(dict: Dict, key: unknown): unknown {
  if (dict instanceof Map) return dict.get(hashKey(key));
  const name = typeof key === 'string' ? key : isNumber(key) ? String(numberOf(key)) : undefined;
  if (name === undefined) return undefined;
  if (dict instanceof LazyMap) return dict.has(name) ? dict.get(name) : undefined;
  return Object.hasOwn(dict, name) ? dict[name] : undefined;
}

export function dictHas(dict: Dict, key: unknown): boolean {
  if (dict instanceof Map) return dict.has(hashKey(key));
  const name = typeof key === 'string' ? key : isNumber(key) ? String(numberOf(key)) : undefined;
  if (name === undefined) return false;
  return dict instanceof LazyMap ? dict.has(name) : Object.hasOwn(dict, name);
}

export function dictEntries(dict: Dict): [unknown, unknown][] {
  return dictKeys(dict).map((key) => [key, dictGet(dict, key)]);
}

/** A key as a Map can find it again: 1 and 1.0 are the same key. */
export function hashKey(key: unknown): unknown {
  if (key instanceof WholeFloat) return key.value;
  if (Array.isArray(key) || isDict(key)) throw new TemplateError('failed', 'a list or dict cannot be a key');
  return key;
}

export function numberOf(value: number | WholeFloat): number {
  return typeof value === 'number' ? value : value.value;
}

/** Python's `bool(value)`. */
export function isTrue(value: unknown): boolean {
  if (value instanceof Undefined) {
    if (value.lenient) return false;
    throw value.error();
  }
  if (value === null || value === undefined) return false;
  if (typeof value === 'boolean') return value;
  if (isNumber(value)) return numberOf(value) !== 0;
  if (typeof value === 'string') return value !== '';
  if (Array.isArray(value)) return value.length > 0;
  if (isDict(value)) return dictKeys(value).length > 0;
  return true;
}

/** Python's `a == b`: numbers by value, booleans are numbers, lists and dicts by content. */
export function equals(a: unknown, b: unknown, depth = 0): boolean {
  if (depth > 60) throw new TemplateError('limit', 'values are nested too deeply to compare');
  if (a instanceof Undefined || b instanceof Undefined)
    return a instanceof Undefined && b instanceof Undefined;
  const left = typeof a === 'boolean' ? Number(a) : isNumber(a) ? numberOf(a) : a;
  const right = typeof b === 'boolean' ? Number(b) : isNumber(b) ? numberOf(b) : b;
  if (left === right) return true;
  if (left instanceof Secret || right instanceof Secret) return false;
  if (compareTimes(left, right) === 0) return true;
  if (Array.isArray(left) && Array.isArray(right)) {
    return (
      left instanceof Tuple === right instanceof Tuple &&
      left.length === right.length &&
      left.every((item, index) => equals(item, right[index], depth + 1))
    );
  }
  if (isDict(left) && isDict(right)) {
    const keys = dictKeys(left);
    return (
      keys.length === dictKeys(right).length &&
      keys.every((key) => dictHas(right, key) && equals(dictGet(left, key), dictGet(right, key), depth + 1))
    );
  }
  return false;
}

/** Python's ordering: numbers with numbers, strings with strings, lists item by item. @throws TemplateError for a mix. */
export function compare(a: unknown, b: unknown): number {
  if (a instanceof Undefined) throw a.error();
  if (b instanceof Undefined) throw b.error();
  const left = typeof a === 'boolean' ? Number(a) : isNumber(a) ? numberOf(a) : a;
  const right = typeof b === 'boolean' ? Number(b) : isNumber(b) ? numberOf(b) : b;
  if (typeof left === 'number' && typeof right === 'number') return left < right ? -1 : left > right ? 1 : 0;
  if (typeof left === 'string' && typeof right === 'string') return compareText(left, right);
  if (Array.isArray(left) && Array.isArray(right)) {
    for (let index = 0; index < Math.min(left.length, right.length); index += 1) {
      if (!equals(left[index], right[index])) return compare(left[index], right[index]);
    }
    return left.length - right.length;
  }
  const times = compareTimes(left, right);
  if (times !== undefined) return times;
  throw new TemplateError('failed', `cannot order ${typeName(a)} and ${typeName(b)}`);
}

/** By code point, as Python orders strings; JavaScript's own order goes by UTF-16 units. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index += 1) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    if (left !== right) {
      const surrogates = Number(left >= 0xd800 && left < 0xe000) - Number(right >= 0xd800 && right < 0xe000);
      return surrogates !== 0 ? surrogates : left - right;
    }
  }
  return a.length - b.length;
}

export function typeName(value: unknown): string {
  if (value === null) return 'NoneType';
  if (value instanceof Undefined) return 'Undefined';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'string') return 'str';
  if (isNumber(value)) return isFloat(value) ? 'float' : 'int';
  if (value instanceof Tuple) return 'tuple';
  if (Array.isArray(value)) return 'list';
  if (isDict(value)) return 'dict';
  if (value instanceof DateTime) return 'datetime';
  return value instanceof TimeDelta ? 'timedelta' : 'object';
}

/** The items of anything a `for` can walk: lists, the keys of dicts, the characters of strings. @throws TemplateError */
export function iterate(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  if (typeof value === 'string') return [...value];
  if (isDict(value)) return dictKeys(value);
  if (value instanceof Undefined) {
    if (value.lenient) return [];
    throw value.error();
  }
  throw new TemplateError('failed', `'${typeName(value)}' is not a list`);
}

/** How Python prints a value in text: `True`, `None`, `1.0`, `['a', 1]`. */
export function toText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value instanceof Undefined && value.lenient) return '';
  return repr(value);
}

const LONGEST_TEXT = 16 * 1024 * 1024;

/** Python's `repr(value)`. @throws TemplateError when undefined, or for values nested beyond reason. */
export function repr(value: unknown, depth = 0): string {
  if (depth > 60) throw new TemplateError('limit', 'a value is nested too deeply to print');
  if (value instanceof Undefined) throw value.error();
  if (value === null || value === undefined) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (typeof value === 'string') return reprText(value);
  if (value instanceof WholeFloat) return floatText(value.value);
  if (typeof value === 'number') return Number.isInteger(value) ? integerText(value) : floatText(value);
  if (Array.isArray(value)) {
    const items = limitText(value.map((item) => repr(item, depth + 1)).join(', '));
    if (value instanceof Tuple) return value.length === 1 ? `(${items},)` : `(${items})`;
    return `[${items}]`;
  }
  if (isDict(value)) {
    const entries = dictEntries(value).map(([key, item]) => `${repr(key)}: ${repr(item, depth + 1)}`);
    return `{${limitText(entries.join(', '))}}`;
  }
  if (value instanceof Secret || value instanceof DateTime || value instanceof TimeDelta)
    return String(value);
  return `<${typeName(value)}>`;
}

export function limitText(text: string): string {
  if (text.length > LONGEST_TEXT)
    throw new TemplateError('limit', 'the template makes more than 16 MiB of text');
  return text;
}

function integerText(value: number): string {
  return Number.isSafeInteger(value) ? String(value) : BigInt(value).toString();
}

function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
  }
  const text = String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

function reprText(value: string): string {
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
  let text = quote;
  for (const character of value) {
    const code = character.codePointAt(0) ?? 0;
    if (character === quote || character === '\\') text += `\\${character}`;
    else if (character === '\n') text += '\\n';
    else if (character === '\r') text += '\\r';
    else if (character === '\t') text += '\\t';
    else if (code < 0x20 || (code >= 0x7f && code < 0xa1)) text += `\\x${code.toString(16).padStart(2, '0')}`;
    else text += character;
  }
  return text + quote;
}

/** A plain copy of a value for the world outside templates: no Maps, no lazy parts, whole floats as numbers. */
export function toPlain(value: unknown, depth = 0): unknown {
  if (depth > 60) throw new TemplateError('limit', 'a value is nested too deeply');
  if (value instanceof Undefined) throw value.error();
  if (value instanceof WholeFloat) return value.value;
  // Nothing outside of a template knows them; Ansible without native types makes them text too.
  if (value instanceof DateTime || value instanceof TimeDelta) return String(value);
  if (Array.isArray(value)) return Array.from(value, (item) => toPlain(item, depth + 1));
  if (isDict(value)) {
    const plain: Record<string, unknown> = {};
    for (const [key, item] of dictEntries(value)) setOwn(plain, toText(key), toPlain(item, depth + 1));
    return plain;
  }
  if (value instanceof Callable || value instanceof Namespace) {
    throw new TemplateError('failed', 'the value of a template cannot be a function');
  }
  return value;
}

/** Sets a key even when it is `__proto__`. */
export function setOwn(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    target[key] = value;
  }
}
