import { readdirSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { FleetError, type Place } from '../core/errors.ts';
import { shown } from './args.ts';
import { isFile } from './files.ts';
import { parseFreeForm } from './free-form.ts';

/** No playbook means a longer one; a slip in `with_sequence` must not fill the memory. */
const mostItems = 100_000;

export type Expand = (templated: unknown) => readonly unknown[];

/**
 * How a `with_…` form makes its items out of what stands behind it, once templated; `undefined` for forms that are
 * not here. `folders` are those in which the files of `with_fileglob` and `with_first_found` are looked for.
 */
export function expansionOf(
  form: string,
  folders: readonly string[],
  where: Place | undefined,
): Expand | undefined {
  const wrong = (what: string): FleetError =>
    new FleetError({
      code: 'PLAYBOOK_LOOP',
      message: `${form} ${what}`,
      fix: "See 'loops' in docs/compatibility.md.",
      blame: 'usage',
      ...(where === undefined ? {} : { where }),
    });
  const listOf = (value: unknown): readonly unknown[] => {
    if (Array.isArray(value)) return value;
    if (value === null || value === undefined || value === '') return [];
    return [value];
  };
  const lists = (value: unknown): readonly (readonly unknown[])[] => listOf(value).map(listOf);
  const bounded = (items: readonly unknown[]): readonly unknown[] => {
    if (items.length > mostItems) throw wrong(`has ${items.length} items; the most is ${mostItems}`);
    return items;
  };
  switch (form) {
    case 'with_items':
      return (value) =>
        bounded(listOf(value).flatMap((item) => (Array.isArray(item) ? (item as unknown[]) : [item])));
    case 'with_list':
      return (value) => {
        if (!Array.isArray(value)) throw wrong(`wants a list, not ${shown(value)}`);
        return bounded(value as unknown[]);
      };
    case 'with_flattened':
      return (value) => bounded(listOf(value).flat(Number.POSITIVE_INFINITY));
    case 'with_dict':
      return (value) => {
        const [mapping] = Array.isArray(value) && value.length === 1 ? (value as unknown[]) : [value];
        if (Array.isArray(mapping) && mapping.length === 0) return [];
        if (typeof mapping !== 'object' || mapping === null || Array.isArray(mapping)) {
          throw wrong(`wants a mapping, not ${shown(mapping)}`);
        }
        return bounded(Object.entries(mapping).map(([key, item]) => ({ key, value: item as unknown })));
      };
    case 'with_indexed_items':
      return (value) =>
        bounded(
          listOf(value)
            .flatMap((item) => (Array.isArray(item) ? (item as unknown[]) : [item]))
            .map((item, index) => [index, item]),
        );
    case 'with_together':
      return (value) => {
        const columns = lists(value);
        const length = Math.max(0, ...columns.map((column) => column.length));
        return bounded(Array.from({ length }, (_, row) => columns.map((column) => column[row] ?? null)));
      };
    case 'with_nested':
    case 'with_cartesian':
      return (value) => {
        const columns = lists(value);
        if (columns.length === 0) return [];
        const total = columns.reduce((product, column) => product * column.length, 1);
        if (total > mostItems) throw wrong(`has ${total} items; the most is ${mostItems}`);
        return columns.reduce<unknown[][]>(
          (rows, column) => rows.flatMap((row) => column.map((item) => [...row, item])),
          [[]],
        );
      };
    case 'with_subelements':
      return (value) => bounded(subelements(value, wrong));
    case 'with_sequence':
      return (value) => listOf(value).flatMap((item) => sequence(item, wrong));
    case 'with_random_choice':
      return (value) => {
        const items = listOf(value);
        return items.length === 0 ? [] : [items[Math.floor(Math.random() * items.length)]];
      };
    case 'with_fileglob':
      return (value) => listOf(value).flatMap((pattern) => filesMatching(String(pattern), folders));
    case 'with_first_found':
      return (value) => firstFound(value, folders, wrong);
    default:
      return undefined;
  }
}

type Wrong = (what: string) => FleetError;

function subelements(value: unknown, wrong: Wrong): readonly unknown[] {
  if (!Array.isArray(value) || value.length < 2)
    throw wrong('wants a list of items and the name of a list inside them');
  const [over, key, options] = value as unknown[];
  const skipMissing =
    typeof options === 'object' &&
    options !== null &&
    (options as { skip_missing?: unknown }).skip_missing === true;
  const items = Array.isArray(over)
    ? (over as unknown[])
    : typeof over === 'object' && over !== null
      ? Object.values(over)
      : [];
  return items.flatMap((item) => {
    const inner = String(key)
      .split('.')
      .reduce<unknown>(
        (current, part) =>
          typeof current === 'object' && current !== null && Object.hasOwn(current, part)
            ? (current as Record<string, unknown>)[part]
            : undefined,
        item,
      );
    if (inner === undefined && skipMissing) return [];
    if (!Array.isArray(inner)) throw wrong(`finds no list '${String(key)}' in ${shown(item)}`);
    // As in Ansible, the item has the list no more.
    const rest = without(item, String(key).split('.'));
    return inner.map((element: unknown) => [rest, element]);
  });
}

/** A mapping that lacks what stands at the end of a path. */
function without(value: unknown, [first, ...path]: readonly string[]): unknown {
  if (typeof value !== 'object' || value === null || first === undefined) return value;
  const { [first]: inner, ...rest } = value as Record<string, unknown>;
  return path.length === 0 ? rest : { ...rest, [first]: without(inner, path) };
}

/** `start=1 end=5 stride=2 format=%02x`, `count=4`, or `5`, `2-8`, `2-8/2:host%02d`. */
function sequence(value: unknown, wrong: Wrong): readonly string[] {
  const options = sequenceOptions(value, wrong);
  const number = (name: string): number | undefined => {
    const text = options[name];
    if (text === undefined) return undefined;
    const parsed = /^0x/i.test(text) ? Number.parseInt(text, 16) : Number(text);
    if (!Number.isInteger(parsed)) throw wrong(`wants whole numbers; ${name} is '${text}'`);
    return parsed;
  };
  const start = number('start') ?? 1;
  const count = number('count');
  const end = number('end');
  if (count === undefined && end === undefined) throw wrong('needs end or count');
  if (count !== undefined && end !== undefined) throw wrong('takes end or count, not both');
  if (count === 0) return [];
  const stride = number('stride') ?? 1;
  const last = end ?? start + ((count ?? 1) - 1) * stride;
  if (stride === 0) throw wrong('cannot have a stride of 0');
  if (stride > 0 && last < start) throw wrong('counts down only with a negative stride');
  if (stride < 0 && last > start) throw wrong('counts up only with a positive stride');
  const length = Math.floor((last - start) / stride) + 1;
  if (length > mostItems) throw wrong(`has ${length} items; the most is ${mostItems}`);
  const format = options.format ?? '%d';
  return Array.from({ length }, (_, index) => formatted(format, start + index * stride, wrong));
}

function sequenceOptions(value: unknown, wrong: Wrong): Readonly<Record<string, string>> {
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, String(item)]));
  }
  const text = String(value).trim();
  const short = /^(?:(0x[0-9a-f]+|\d+)-)?(0x[0-9a-f]+|\d+)(?:\/(-?\d+))?(?::(.+))?$/i.exec(text);
  if (short !== null) {
    const [, start, end, stride, format] = short;
    return {
      end: String(end),
      ...(start === undefined ? {} : { start }),
      ...(stride === undefined ? {} : { stride }),
      ...(format === undefined ? {} : { format }),
    };
  }
  const { pairs, rest } = parseFreeForm(text);
  const unknown = Object.keys(pairs).find(
    (key) => !['start', 'end', 'count', 'stride', 'format'].includes(key),
  );
  if (rest !== '' || unknown !== undefined) throw wrong(`does not understand '${unknown ?? rest}'`);
  return pairs;
}

function formatted(format: string, number: number, wrong: Wrong): string {
  const match = /^((?:[^%]|%%)*)%(0?)(\d{0,2})([dxXo])((?:[^%]|%%)*)$/.exec(format);
  if (match === null) throw wrong(`cannot use the format '${format}': it needs one of %d, %02d, %x, %o`);
  const [, before = '', zero, width = '', kind, after = ''] = match;
  const radix = kind === 'd' ? 10 : kind === 'o' ? 8 : 16;
  const digits = number.toString(radix).padStart(Number(width), zero === '0' ? '0' : ' ');
  return `${before}${kind === 'X' ? digits.toUpperCase() : digits}${after}`.replaceAll('%%', '%');
}

/** Files of one folder whose names match, as absolute paths, sorted; the first folder that has the pattern's folder wins. */
function filesMatching(pattern: string, folders: readonly string[]): readonly string[] {
  const directory = dirname(pattern);
  const name = pattern.slice(pattern.lastIndexOf('/') + 1);
  const places = isAbsolute(pattern) ? [directory] : folders.map((folder) => resolve(folder, directory));
  for (const place of places) {
    const found = entriesOf(place)
      .filter((entry) => globPattern(name).test(entry) && (name.startsWith('.') || !entry.startsWith('.')))
      .map((entry) => join(place, entry))
      .filter(isFile);
    if (found.length > 0) return found.sort();
  }
  return [];
}

/** `*`, `?` and `[a-z]` of a file name; node's own matchesGlob still warns that it is experimental. */
function globPattern(glob: string): RegExp {
  const source = glob.replace(/\[!?[^\]/]+\]|[\s\S]/g, (part) => {
    if (part === '*') return '[^/]*';
    if (part === '?') return '[^/]';
    if (part.length > 1)
      return `[${part.startsWith('[!') ? '^' : ''}${part.replace(/^\[!?|\]$/g, '').replace(/[\\^]/g, '\\$&')}]`;
    return part.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  });
  try {
    return new RegExp(`^${source}$`);
  } catch {
    return /(?!)/;
  }
}

function entriesOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function firstFound(value: unknown, folders: readonly string[], wrong: Wrong): readonly string[] {
  const terms = Array.isArray(value) ? (value as unknown[]) : [value];
  const names: string[] = [];
  let skip = false;
  for (const term of terms) {
    if (typeof term === 'object' && term !== null && !Array.isArray(term)) {
      const { files, paths, skip: mayBeNone } = term as { files?: unknown; paths?: unknown; skip?: unknown };
      skip ||= mayBeNone === true;
      const fileNames = [files ?? []].flat().map(String);
      const pathNames = [paths ?? []].flat().map(String);
      names.push(
        ...(pathNames.length === 0
          ? fileNames
          : pathNames.flatMap((path) => fileNames.map((file) => join(path, file)))),
      );
    } else names.push(...[term].flat().map(String));
  }
  for (const name of names) {
    const found = (isAbsolute(name) ? [name] : folders.map((folder) => resolve(folder, name))).find(isFile);
    if (found !== undefined) return [found];
  }
  if (skip) return [];
  throw wrong(`finds none of ${names.slice(0, 6).join(', ')}`);
}
