import { search } from 'jmespath';
import { FilterArguments } from './arguments.ts';
import { TemplateError } from './error.ts';
import type { Evaluator, Filter } from './evaluator.ts';
import { PythonRandom } from './random.ts';
import {
  compare,
  type Dict,
  dictEntries,
  dictGet,
  dictHas,
  equals,
  hashKey,
  isDict,
  isFloat,
  isNumber,
  isTrue,
  iterate,
  limitText,
  makeFloat,
  numberOf,
  repr,
  toPlain,
  toText,
  tupleOf,
  typeName,
  Undefined,
} from './value.ts';

type Apply = (value: unknown, args: FilterArguments, evaluator: Evaluator) => unknown;

function filter(apply: Apply): Filter {
  return {
    apply: (value, args, named, evaluator) => apply(value, new FilterArguments(args, named), evaluator),
  };
}

/** A filter over the items of a list, of a dict's keys or of a string's characters. */
function onItems(
  apply: (items: readonly unknown[], args: FilterArguments, evaluator: Evaluator) => unknown,
): Filter {
  return filter((value, args, evaluator) => {
    const items = iterate(value);
    evaluator.surroundings.budget.spend(items.length);
    return apply(items, args, evaluator);
  });
}

/** Reads `a.b.0` out of an item, as Jinja's `attribute=` arguments do. */
function attributeOf(item: unknown, path: unknown, evaluator: Evaluator): unknown {
  const keys = typeof path === 'string' ? path.split('.') : [path];
  return keys.reduce<unknown>(
    (value, key) =>
      evaluator.attribute(
        value,
        typeof key === 'string' && /^\d+$/.test(key) && !isDict(value) ? Number(key) : key,
      ),
    item,
  );
}

function sortKey(value: unknown, caseSensitive: boolean): unknown {
  return !caseSensitive && typeof value === 'string' ? value.toLowerCase() : value;
}

function sorted(items: readonly unknown[], key: (item: unknown) => unknown, reverse: boolean): unknown[] {
  const keyed = items.map((item) => ({ item, key: key(item) }));
  keyed.sort((a, b) => (reverse ? compare(b.key, a.key) : compare(a.key, b.key)));
  return keyed.map(({ item }) => item);
}

/** Items that are the same by value are found by their Python form, which equal values share. */
function identity(value: unknown): unknown {
  if (typeof value === 'boolean') return Number(value);
  if (isNumber(value)) return numberOf(value);
  if (typeof value === 'string') return `s${value}`;
  return `r${repr(value)}`;
}

function distinct(items: readonly unknown[], key: (item: unknown) => unknown = (item) => item): unknown[] {
  const seen = new Set<unknown>();
  return items.filter((item) => {
    const id = identity(key(item));
    if (seen.has(id)) return false;
    seen.add(id);
    return true;
  });
}

function membership(items: unknown): Set<unknown> {
  return new Set(iterate(items).map(identity));
}

/** `select('test', …)` and its kin. */
function chosen(keep: boolean, byAttribute: boolean): Filter {
  return {
    apply: (value, args, named, evaluator) => {
      const [first, ...rest] = args;
      const testName = byAttribute ? rest[0] : first;
      const testArgs = byAttribute ? rest.slice(1) : rest;
      return iterate(value).filter((item) => {
        const subject = byAttribute ? attributeOf(item, first, evaluator) : item;
        const holds =
          testName === undefined
            ? isTrue(subject)
            : evaluator.test(toText(testName).replace(/^.*\./, ''), subject, testArgs, named);
        return holds === keep;
      });
    },
  };
}

const map: Filter = {
  apply: (value, args, named, evaluator) => {
    const items = iterate(value);
    if (args.length === 0 && named.has('attribute')) {
      const path = named.get('attribute');
      return items.map((item) => {
        const found = attributeOf(item, path, evaluator);
        return found instanceof Undefined && named.has('default') ? named.get('default') : found;
      });
    }
    const [name, ...rest] = args;
    if (typeof name !== 'string')
      throw new TemplateError('failed', 'map needs the name of a filter, or attribute=');
    const short = name.replace(/^.*\./, '');
    return items.map((item) => evaluator.filter(short, item, rest, named));
  },
};

function flatten(
  items: readonly unknown[],
  levels: number | undefined,
  skipNulls: boolean,
  depth = 0,
): unknown[] {
  if (depth > 60) throw new TemplateError('limit', 'lists are nested too deeply to flatten');
  const flat: unknown[] = [];
  for (const item of items) {
    if (skipNulls && (item === null || item === 'None' || item === 'null')) continue;
    if (Array.isArray(item) && (levels === undefined || levels >= 1)) {
      for (const inner of flatten(item, levels === undefined ? undefined : levels - 1, skipNulls, depth + 1))
        flat.push(inner);
    } else {
      flat.push(item);
    }
  }
  return flat;
}

function needDict(value: unknown): Dict {
  if (isDict(value)) return value;
  if (value instanceof Undefined) throw value.error();
  throw new TemplateError('failed', `expected a dict, not ${typeName(value)}`);
}

function mergeDicts(
  low: Dict,
  high: Dict,
  recursive: boolean,
  lists: string,
  depth = 0,
): Map<unknown, unknown> {
  if (depth > 60) throw new TemplateError('limit', 'dicts are nested too deeply to combine');
  const result = new Map(dictEntries(low));
  for (const [key, value] of dictEntries(high)) {
    const before = result.get(key);
    if (recursive && isDict(before) && isDict(value)) {
      result.set(key, mergeDicts(before, value, recursive, lists, depth + 1));
    } else if (lists !== 'replace' && Array.isArray(before) && Array.isArray(value)) {
      result.set(key, mergeLists(before, value, lists));
    } else {
      result.set(key, value);
    }
  }
  return result;
}

function mergeLists(low: readonly unknown[], high: readonly unknown[], how: string): unknown[] {
  const without = (items: readonly unknown[], others: readonly unknown[]): unknown[] =>
    items.filter((item) => !others.some((other) => equals(item, other)));
  if (how === 'keep') return [...low];
  if (how === 'append') return [...low, ...high];
  if (how === 'prepend') return [...high, ...low];
  if (how === 'append_rp') return [...without(low, high), ...high];
  if (how === 'prepend_rp') return [...high, ...without(low, high)];
  throw new TemplateError('failed', `combine knows no list_merge '${how}'`);
}

const combine: Filter = {
  apply: (value, args, named) => {
    const recursive = named.has('recursive') && isTrue(named.get('recursive'));
    const lists = toText(named.get('list_merge') ?? 'replace');
    const dicts = flatten([value, ...args], 1, true).map(needDict);
    return dicts.reduce<Dict>(
      (low, high, index) => (index === 0 ? high : mergeDicts(low, high, recursive, lists)),
      new Map(),
    );
  },
};

function extreme(wanted: 1 | -1): Filter {
  return onItems((items, args, evaluator) => {
    const attribute = args.get(1, 'attribute');
    const caseSensitive = args.flag(0, 'case_sensitive', false);
    const key = (item: unknown): unknown =>
      sortKey(
        attribute === undefined || attribute === null ? item : attributeOf(item, attribute, evaluator),
        caseSensitive,
      );
    if (items.length === 0) return new Undefined('there is no item in an empty list');
    return items.reduce((best, item) => (Math.sign(compare(key(item), key(best))) === wanted ? item : best));
  });
}

function random(value: unknown, args: FilterArguments): unknown {
  const seed = args.get(2, 'seed') ?? args.get(99, 'seed');
  const below = (limit: number): number => {
    if (seed === undefined || seed === null) return Math.floor(Math.random() * limit);
    return generator(seed).below(limit);
  };
  if (isNumber(value)) {
    const start = args.number(0, 'start', 0);
    const step = args.number(1, 'step', 1) || 1;
    const width = Math.ceil((numberOf(value) - start) / step);
    if (width <= 0) throw new TemplateError('failed', 'random has nothing to choose from');
    return start + step * below(width);
  }
  const items = iterate(value);
  if (items.length === 0) throw new TemplateError('failed', 'random has nothing to choose from');
  return items[below(items.length)];
}

function generator(seed: unknown): PythonRandom {
  return new PythonRandom(isNumber(seed) ? numberOf(seed) : toText(seed));
}

function zip(lists: readonly (readonly unknown[])[], length: number, fill: unknown): unknown[] {
  return Array.from({ length }, (_item, index) =>
    tupleOf(...lists.map((list) => (index < list.length ? list[index] : fill))),
  );
}

const MOST_COMBINATIONS = 100_000;

function product(lists: readonly (readonly unknown[])[]): unknown[] {
  if (lists.reduce((size, list) => size * list.length, 1) > MOST_COMBINATIONS) {
    throw new TemplateError('limit', 'there are too many combinations');
  }
  return lists
    .reduce<unknown[][]>((rows, list) => rows.flatMap((row) => list.map((item) => [...row, item])), [[]])
    .map((row) => tupleOf(...row));
}

function arrange(items: readonly unknown[], size: number, ordered: boolean): unknown[] {
  const rows: unknown[] = [];
  const walk = (taken: readonly number[]): void => {
    if (rows.length > MOST_COMBINATIONS) throw new TemplateError('limit', 'there are too many combinations');
    if (taken.length === size) {
      rows.push(tupleOf(...taken.map((index) => items[index])));
      return;
    }
    items.forEach((_item, index) => {
      if (ordered ? !taken.includes(index) : index > (taken.at(-1) ?? -1)) walk([...taken, index]);
    });
  };
  walk([]);
  return rows;
}

function subelements(value: unknown, args: FilterArguments): unknown[] {
  const path = args.get(0, 'subelements');
  const keys = Array.isArray(path) ? path : toText(path).split('.');
  const skip = args.flag(1, 'skip_missing', false);
  const elements = isDict(value) ? dictEntries(value).map(([, item]) => item) : iterate(value);
  return elements.flatMap((element) => {
    let inner: unknown = element;
    for (const key of keys) {
      if (!isDict(inner) || !dictHas(inner, key)) {
        if (skip) return [];
        throw new TemplateError('failed', `there is no key '${toText(key)}' in an item of subelements`);
      }
      inner = dictGet(inner, key);
    }
    return iterate(inner).map((item) => tupleOf(element, item));
  });
}

function batch(items: readonly unknown[], size: number, fill: unknown): unknown[] {
  if (!(size >= 1)) throw new TemplateError('failed', 'batch needs a number above 0');
  const rows: unknown[][] = [];
  for (let at = 0; at < items.length; at += size) rows.push(items.slice(at, at + size));
  const last = rows.at(-1);
  if (fill !== undefined && fill !== null && last !== undefined) while (last.length < size) last.push(fill);
  return rows;
}

function slice(items: readonly unknown[], count: number, fill: unknown): unknown[] {
  if (!(count >= 1) || count > 100_000) throw new TemplateError('failed', 'slice needs a number above 0');
  const size = Math.floor(items.length / count);
  const more = items.length % count;
  let at = 0;
  return Array.from({ length: count }, (_row, index) => {
    const row = items.slice(at, at + size + (index < more ? 1 : 0));
    at += row.length;
    if (fill !== undefined && fill !== null && index >= more && more > 0) row.push(fill);
    return row;
  });
}

const defaultFilter: Filter = {
  seesUndefined: true,
  apply: (value, args, named) => {
    const fallback = args.length > 0 ? args[0] : (named.get('default_value') ?? '');
    const wide = args.length > 1 ? args[1] : (named.get('boolean') ?? false);
    if (value instanceof Undefined || (isTrue(wide) && !isTrue(value))) return fallback;
    return value;
  },
};

/** Filters over lists and dicts, and those that see undefined values. */
export const DATA_FILTERS: Readonly<Record<string, Filter>> = {
  default: defaultFilter,
  d: defaultFilter,
  mandatory: {
    seesUndefined: true,
    apply: (value, args, named) => {
      if (!(value instanceof Undefined)) return value;
      const message = args[0] ?? named.get('msg');
      if (typeof message === 'string') throw new TemplateError('undefined', message);
      throw value.error();
    },
  },
  ternary: {
    apply: (value, args, named) => {
      const [yes = named.get('true_val'), no = named.get('false_val'), none = named.get('none_val')] = args;
      if (value === null && none !== undefined && none !== null) return none;
      return isTrue(value) ? yes : no;
    },
  },
  list: onItems((items) => [...items]),
  length: filter(length),
  count: filter(length),
  first: onItems((items) =>
    items.length === 0 ? new Undefined('there is no first item in an empty list') : items[0],
  ),
  last: onItems((items) =>
    items.length === 0 ? new Undefined('there is no last item in an empty list') : items.at(-1),
  ),
  join: onItems((items, args, evaluator) => {
    const attribute = args.get(1, 'attribute');
    const values =
      attribute === undefined || attribute === null
        ? items
        : items.map((item) => attributeOf(item, attribute, evaluator));
    return limitText(values.map(toText).join(toText(args.get(0, 'd') ?? '')));
  }),
  map,
  select: chosen(true, false),
  reject: chosen(false, false),
  selectattr: chosen(true, true),
  rejectattr: chosen(false, true),
  sort: onItems((items, args, evaluator) => {
    const attribute = args.get(2, 'attribute');
    const caseSensitive = args.flag(1, 'case_sensitive', false);
    const paths =
      typeof attribute === 'string'
        ? attribute.split(',')
        : attribute === undefined || attribute === null
          ? []
          : [attribute];
    const key = (item: unknown): unknown =>
      paths.length === 0
        ? sortKey(item, caseSensitive)
        : paths.map((path) => sortKey(attributeOf(item, path, evaluator), caseSensitive));
    return sorted(items, key, args.flag(0, 'reverse', false));
  }),
  reverse: filter((value) =>
    typeof value === 'string' ? [...value].reverse().join('') : [...iterate(value)].reverse(),
  ),
  unique: onItems((items, args, evaluator) => {
    const attribute = args.get(1, 'attribute');
    const caseSensitive = args.flag(0, 'case_sensitive', false);
    return distinct(items, (item) =>
      sortKey(
        attribute === undefined || attribute === null ? item : attributeOf(item, attribute, evaluator),
        caseSensitive,
      ),
    );
  }),
  union: onItems((items, args) => distinct([...items, ...iterate(args.get(0, 'b'))])),
  intersect: onItems((items, args) => {
    const other = membership(args.get(0, 'b'));
    return distinct(items.filter((item) => other.has(identity(item))));
  }),
  difference: onItems((items, args) => {
    const other = membership(args.get(0, 'b'));
    return distinct(items.filter((item) => !other.has(identity(item))));
  }),
  symmetric_difference: onItems((items, args) => {
    const others = iterate(args.get(0, 'b'));
    const [mine, theirs] = [membership(items), membership(others)];
    return distinct(
      [...items, ...others].filter((item) => mine.has(identity(item)) !== theirs.has(identity(item))),
    );
  }),
  min: extreme(-1),
  max: extreme(1),
  sum: onItems((items, args, evaluator) => {
    const attribute = args.get(0, 'attribute');
    const start = args.get(1, 'start') ?? 0;
    const values =
      attribute === undefined || attribute === null
        ? items
        : items.map((item) => attributeOf(item, attribute, evaluator));
    if (Array.isArray(start)) return [...start, ...values.flatMap((item) => [...iterate(item)])];
    let float = isFloat(start);
    const total = values.reduce<number>(
      (sum, item) => {
        if (!isNumber(item) && typeof item !== 'boolean') {
          throw new TemplateError('failed', `cannot sum up a ${typeName(item)}`);
        }
        float ||= isFloat(item);
        return sum + (typeof item === 'boolean' ? Number(item) : numberOf(item));
      },
      isNumber(start) ? numberOf(start) : 0,
    );
    return float ? makeFloat(total) : total;
  }),
  batch: onItems((items, args) => batch(items, args.number(0, 'linecount'), args.get(1, 'fill_with'))),
  slice: onItems((items, args) => slice(items, args.number(0, 'slices'), args.get(1, 'fill_with'))),
  groupby: onItems((items, args, evaluator) => {
    const path = args.get(0, 'attribute');
    const fallback = args.get(1, 'default');
    const keyOf = (item: unknown): unknown => {
      const found = attributeOf(item, path, evaluator);
      return found instanceof Undefined && fallback !== undefined ? fallback : found;
    };
    const groups: { key: unknown; items: unknown[] }[] = [];
    for (const item of sorted(items, (one) => sortKey(keyOf(one), false), false)) {
      const key = keyOf(item);
      const last = groups.at(-1);
      if (last !== undefined && equals(sortKey(last.key, false), sortKey(key, false))) last.items.push(item);
      else groups.push({ key, items: [item] });
    }
    return groups.map(({ key, items: members }) => tupleOf(key, members));
  }),
  flatten: onItems((items, args) => {
    const levels = args.get(0, 'levels');
    return flatten(
      items,
      levels === undefined || levels === null ? undefined : args.number(0, 'levels'),
      args.flag(1, 'skip_nulls', true),
    );
  }),
  zip: {
    apply: (value, args) => {
      const lists = [value, ...args].map(iterate);
      return zip(lists, Math.min(...lists.map((list) => list.length)), null);
    },
  },
  zip_longest: {
    apply: (value, args, named) => {
      const lists = [value, ...args].map(iterate);
      return zip(lists, Math.max(...lists.map((list) => list.length)), named.get('fillvalue') ?? null);
    },
  },
  product: { apply: (value, args) => product([value, ...args].map(iterate)) },
  permutations: onItems((items, args) => arrange(items, args.number(0, 'r', items.length), true)),
  combinations: onItems((items, args) => arrange(items, args.number(0, 'r'), false)),
  subelements: filter(subelements),
  json_query: filter((value, args) => {
    const expression = args.text(0, 'expr');
    try {
      return search(toPlain(value), expression) as unknown;
    } catch (error) {
      if (error instanceof TemplateError || error instanceof RangeError) throw error;
      throw new TemplateError(
        'failed',
        `json_query cannot use "${expression}": ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }),
  random: filter(random),
  shuffle: onItems((items, args) => {
    const seed = args.get(0, 'seed');
    const list = [...items];
    new PythonRandom(
      seed === undefined || seed === null
        ? Math.floor(Math.random() * 2 ** 31)
        : isNumber(seed)
          ? numberOf(seed)
          : toText(seed),
    ).shuffle(list);
    return list;
  }),
  combine,
  dict2items: filter((value, args) => {
    const [keyName, valueName] = [args.text(0, 'key_name', 'key'), args.text(1, 'value_name', 'value')];
    return dictEntries(needDict(value)).map(
      ([key, item]) =>
        new Map<unknown, unknown>([
          [keyName, key],
          [valueName, item],
        ]),
    );
  }),
  items2dict: onItems((items, args) => {
    const [keyName, valueName] = [args.text(0, 'key_name', 'key'), args.text(1, 'value_name', 'value')];
    return new Map(
      items.map((item) => {
        const dict = needDict(item);
        if (!dictHas(dict, keyName) || !dictHas(dict, valueName)) {
          throw new TemplateError('failed', `items2dict needs '${keyName}' and '${valueName}' in every item`);
        }
        return [hashKey(dictGet(dict, keyName)), dictGet(dict, valueName)];
      }),
    );
  }),
  items: filter((value) => dictEntries(needDict(value)).map(([key, item]) => tupleOf(key, item))),
  dictsort: filter((value, args) => {
    const caseSensitive = args.flag(0, 'case_sensitive', false);
    const at = args.text(1, 'by', 'key') === 'key' ? 0 : 1;
    const rows = dictEntries(needDict(value)).map(([key, item]) => tupleOf(key, item));
    return sorted(
      rows,
      (row) => sortKey((row as unknown[])[at], caseSensitive),
      args.flag(2, 'reverse', false),
    );
  }),
  rekey_on_member: filter((value, args) => {
    const key = args.text(0, 'key');
    const rows = isDict(value) ? dictEntries(value).map(([, item]) => item) : iterate(value);
    return new Map(rows.map((row) => [hashKey(dictGet(needDict(row), key)), row]));
  }),
  extract: {
    apply: (value, args, _named, evaluator) => {
      const [container, more] = args;
      const keys = [value, ...(more === undefined ? [] : Array.isArray(more) ? more : [more])];
      return keys.reduce<unknown>((inner, key) => evaluator.attribute(inner, key), container);
    },
  },
  attr: filter((value, args, evaluator) => evaluator.attribute(value, args.text(0, 'name'))),
  pprint: filter((value) => repr(value)),
};

function length(value: unknown): number {
  if (typeof value === 'string') return [...value].length;
  if (Array.isArray(value)) return value.length;
  if (isDict(value)) return dictEntriesLength(value);
  throw new TemplateError('failed', `a ${typeName(value)} has no length`);
}

function dictEntriesLength(dict: Dict): number {
  return iterate(dict).length;
}
