import { TemplateError } from './error.ts';
import { formatBraces } from './format.ts';
import {
  type Dict,
  dictEntries,
  dictGet,
  dictHas,
  dictKeys,
  equals,
  isDict,
  isNumber,
  iterate,
  limitText,
  numberOf,
  toText,
  tupleOf,
  typeName,
  Undefined,
} from './value.ts';

type Named = ReadonlyMap<string, unknown>;
type Method<T> = (value: T, args: readonly unknown[], named: Named) => unknown;

/** Whether a value has this method of Python's. */
export function isMethod(value: unknown, name: string): boolean {
  if (typeof value === 'string') return Object.hasOwn(TEXT, name);
  if (Array.isArray(value)) return Object.hasOwn(LIST, name);
  if (isDict(value)) return Object.hasOwn(DICT, name);
  return isNumber(value) && name === 'is_integer';
}

/** Calls a method of Python's str, list or dict. None of them changes its value: a template cannot. */
export function callMethod(value: unknown, name: string, args: readonly unknown[], named: Named): unknown {
  for (const argument of args) if (argument instanceof Undefined && name !== 'get') throw argument.error();
  if (typeof value === 'string') return TEXT[name]?.(value, args, named);
  if (Array.isArray(value)) return LIST[name]?.(value, args, named);
  if (isDict(value)) return DICT[name]?.(value, args, named);
  if (isNumber(value) && name === 'is_integer') return Number.isInteger(numberOf(value));
  throw new TemplateError('failed', `a ${typeName(value)} has no method ${name}()`);
}

function text(value: unknown, fallback?: string): string {
  if (typeof value === 'string') return value;
  if (value === undefined && fallback !== undefined) return fallback;
  throw new TemplateError(
    'failed',
    `expected text, not ${value === undefined ? 'nothing' : typeName(value)}`,
  );
}

function whole(value: unknown, fallback: number): number {
  if (value === undefined || value === null) return fallback;
  if (isNumber(value)) return numberOf(value);
  throw new TemplateError('failed', `expected a number, not ${typeName(value)}`);
}

/** Python's strip: white space by default, otherwise any of the given characters. */
export function stripText(value: string, characters: unknown, side: 'both' | 'left' | 'right'): string {
  const set = characters === undefined || characters === null ? undefined : new Set(text(characters));
  const drop = (character: string): boolean =>
    set === undefined ? /\s/.test(character) : set.has(character);
  const letters = [...value];
  let start = 0;
  let end = letters.length;
  if (side !== 'right') while (start < end && drop(letters[start] ?? '')) start += 1;
  if (side !== 'left') while (end > start && drop(letters[end - 1] ?? '')) end -= 1;
  return letters.slice(start, end).join('');
}

/** Python's split: at white space when no separator is given. */
export function splitText(value: string, separator: unknown, most: number): string[] {
  if (separator === undefined || separator === null) {
    const words = value
      .trim()
      .split(/\s+/)
      .filter((word) => word !== '');
    if (most < 0 || words.length <= most + 1) return words;
    const parts: string[] = [];
    let rest = value.trimStart();
    for (let count = 0; count < most; count += 1) {
      const word = /^\S+/.exec(rest)?.[0] ?? '';
      parts.push(word);
      rest = rest.slice(word.length).trimStart();
    }
    return rest === '' ? parts : [...parts, rest];
  }
  const mark = text(separator);
  if (mark === '') throw new TemplateError('failed', 'cannot split at nothing');
  const parts = value.split(mark);
  if (most < 0 || parts.length <= most + 1) return parts;
  return [...parts.slice(0, most), parts.slice(most).join(mark)];
}

function splitFromRight(value: string, separator: unknown, most: number): string[] {
  if (separator === undefined || separator === null) {
    const words = splitText(value, undefined, -1);
    if (most < 0 || words.length <= most + 1) return words;
    return [words.slice(0, words.length - most).join(' '), ...words.slice(words.length - most)];
  }
  const mark = text(separator);
  const parts = splitText(value, mark, -1);
  if (most < 0 || parts.length <= most + 1) return parts;
  return [parts.slice(0, parts.length - most).join(mark), ...parts.slice(parts.length - most)];
}

/** Python's replace; replaces everywhere, or the first `most` times. */
export function replaceText(value: string, from: string, to: string, most: number): string {
  if (most < 0) {
    const pieces = from === '' ? ['', ...value, ''] : value.split(from);
    if (pieces.length * to.length > 16 * 1024 * 1024) {
      throw new TemplateError('limit', 'the template makes more than 16 MiB of text');
    }
    return limitText(pieces.join(to));
  }
  const parts = splitText(value, from, most);
  return limitText(parts.join(to));
}

const cased = (value: string, pattern: RegExp): boolean => pattern.test(value);

/** Python's title: every run of letters starts with a capital. */
export function titleText(value: string): string {
  return value.replace(/\p{L}+/gu, (word) => {
    const [first = '', ...rest] = word;
    return first.toUpperCase() + rest.join('').toLowerCase();
  });
}

export function capitalizeText(value: string): string {
  const [first = '', ...rest] = value;
  return first.toUpperCase() + rest.join('').toLowerCase();
}

function affixes(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map((item) => text(item)) : [text(value)];
}

function part(value: string, args: readonly unknown[]): string {
  return value.slice(whole(args[1], 0), args[2] === undefined ? undefined : whole(args[2], value.length));
}

function fillTo(value: string, args: readonly unknown[], side: 'left' | 'right' | 'both'): string {
  const width = whole(args[0], 0);
  if (width > 100_000) throw new TemplateError('limit', 'the field is too wide');
  const missing = Math.max(0, width - [...value].length);
  const fill = text(args[1], ' ');
  if (side === 'right') return value + fill.repeat(missing);
  if (side === 'left') return fill.repeat(missing) + value;
  const left = Math.floor(missing / 2) + (missing & width & 1);
  return fill.repeat(left) + value + fill.repeat(missing - left);
}

const TEXT: Readonly<Record<string, Method<string>>> = {
  upper: (value) => value.toUpperCase(),
  lower: (value) => value.toLowerCase(),
  casefold: (value) => value.toLowerCase(),
  title: (value) => titleText(value),
  capitalize: (value) => capitalizeText(value),
  swapcase: (value) =>
    [...value].map((one) => (one === one.toUpperCase() ? one.toLowerCase() : one.toUpperCase())).join(''),
  strip: (value, [characters]) => stripText(value, characters, 'both'),
  lstrip: (value, [characters]) => stripText(value, characters, 'left'),
  rstrip: (value, [characters]) => stripText(value, characters, 'right'),
  split: (value, [separator, most], named) =>
    splitText(value, separator ?? named.get('sep'), whole(most ?? named.get('maxsplit'), -1)),
  rsplit: (value, [separator, most], named) =>
    splitFromRight(value, separator ?? named.get('sep'), whole(most ?? named.get('maxsplit'), -1)),
  splitlines: (value) => {
    const rows = value.split(/\r\n|\r|\n/);
    if (rows.at(-1) === '') rows.pop();
    return rows;
  },
  join: (value, [items]) =>
    limitText(
      iterate(items)
        .map((item) => text(item))
        .join(value),
    ),
  replace: (value, [from, to, most]) => replaceText(value, text(from), text(to), whole(most, -1)),
  startswith: (value, args) => affixes(args[0]).some((affix) => part(value, args).startsWith(affix)),
  endswith: (value, args) => affixes(args[0]).some((affix) => part(value, args).endsWith(affix)),
  removeprefix: (value, [prefix]) =>
    value.startsWith(text(prefix)) ? value.slice(text(prefix).length) : value,
  removesuffix: (value, [suffix]) =>
    text(suffix) !== '' && value.endsWith(text(suffix)) ? value.slice(0, -text(suffix).length) : value,
  find: (value, [mark]) => value.indexOf(text(mark)),
  rfind: (value, [mark]) => value.lastIndexOf(text(mark)),
  index: (value, [mark]) => {
    const place = value.indexOf(text(mark));
    if (place < 0) throw new TemplateError('failed', `"${text(mark)}" is not in the text`);
    return place;
  },
  count: (value, [mark]) => (text(mark) === '' ? [...value].length + 1 : value.split(text(mark)).length - 1),
  format: (value, args, named) => limitText(formatBraces(value, args, named)),
  format_map: (value, [map]) =>
    formatBraces(
      value,
      [],
      new Map(isDict(map) ? dictEntries(map).map(([key, item]) => [toText(key), item]) : []),
    ),
  zfill: (value, [width]) => {
    const sign = /^[-+]/.exec(value)?.[0] ?? '';
    const size = Math.min(whole(width, 0), 100_000);
    return sign + value.slice(sign.length).padStart(size - sign.length, '0');
  },
  ljust: (value, args) => fillTo(value, args, 'right'),
  rjust: (value, args) => fillTo(value, args, 'left'),
  center: (value, args) => fillTo(value, args, 'both'),
  partition: (value, [mark]) => {
    const place = value.indexOf(text(mark));
    if (place < 0) return tupleOf(value, '', '');
    return tupleOf(value.slice(0, place), text(mark), value.slice(place + text(mark).length));
  },
  rpartition: (value, [mark]) => {
    const place = value.lastIndexOf(text(mark));
    if (place < 0) return tupleOf('', '', value);
    return tupleOf(value.slice(0, place), text(mark), value.slice(place + text(mark).length));
  },
  isdigit: (value) => cased(value, /^\p{Nd}+$/u),
  isnumeric: (value) => cased(value, /^\p{N}+$/u),
  isdecimal: (value) => cased(value, /^\p{Nd}+$/u),
  isalpha: (value) => cased(value, /^\p{L}+$/u),
  isalnum: (value) => cased(value, /^[\p{L}\p{N}]+$/u),
  isspace: (value) => cased(value, /^\s+$/),
  isupper: (value) => value === value.toUpperCase() && value !== value.toLowerCase(),
  islower: (value) => value === value.toLowerCase() && value !== value.toUpperCase(),
  istitle: (value) => value !== '' && value === titleText(value),
  isidentifier: (value) => cased(value, /^[\p{L}_][\p{L}\p{N}_]*$/u),
  encode: (value) => value,
  expandtabs: (value) => value.replaceAll('\t', '        '),
};

const LIST: Readonly<Record<string, Method<readonly unknown[]>>> = {
  index: (value, [item]) => {
    const place = value.findIndex((other) => equals(other, item));
    if (place < 0) throw new TemplateError('failed', `${toText(item)} is not in the list`);
    return place;
  },
  count: (value, [item]) => value.filter((other) => equals(other, item)).length,
  copy: (value) => [...value],
  // Ansible users write `list.append(x)` inside `{% if … %}` to build lists; Python's own returns None.
  append: (value, [item]) => changed(value, (list) => list.push(item)),
  extend: (value, [items]) => changed(value, (list) => list.push(...iterate(items))),
  insert: (value, [place, item]) => changed(value, (list) => list.splice(whole(place, 0), 0, item)),
  pop: (value, [place]) => {
    if (value.length === 0) throw new TemplateError('failed', 'cannot pop from an empty list');
    let removed: unknown;
    changed(value, (list) => {
      [removed] = list.splice(whole(place, -1), 1);
    });
    return removed;
  },
};

/** Lists made by the template itself may be changed; those of the inventory are frozen and stay as they are. */
function changed(list: readonly unknown[], change: (list: unknown[]) => void): null {
  if (Object.isFrozen(list)) throw new TemplateError('failed', 'a variable cannot be changed by a template');
  if (list.length > 1_000_000) throw new TemplateError('limit', 'the template makes too long a list');
  change(list as unknown[]);
  return null;
}

const DICT: Readonly<Record<string, Method<Dict>>> = {
  get: (value, [key, fallback]) => (dictHas(value, key) ? (dictGet(value, key) ?? null) : (fallback ?? null)),
  keys: (value) => [...dictKeys(value)],
  values: (value) => dictKeys(value).map((key) => dictGet(value, key)),
  items: (value) => dictEntries(value).map(([key, item]) => tupleOf(key, item)),
  copy: (value) => new Map(dictEntries(value)),
  update: (value, [more], named) => {
    if (!(value instanceof Map))
      throw new TemplateError('failed', 'a variable cannot be changed by a template');
    if (isDict(more)) for (const [key, item] of dictEntries(more)) value.set(key, item);
    for (const [key, item] of named) value.set(key, item);
    return null;
  },
  setdefault: (value, [key, fallback]) => {
    if (!dictHas(value, key)) {
      if (!(value instanceof Map))
        throw new TemplateError('failed', 'a variable cannot be changed by a template');
      value.set(key, fallback ?? null);
    }
    return dictGet(value, key);
  },
  pop: (value, [key, fallback]) => {
    if (!(value instanceof Map))
      throw new TemplateError('failed', 'a variable cannot be changed by a template');
    const found = value.has(key) ? value.get(key) : fallback;
    value.delete(key);
    return found ?? null;
  },
};
