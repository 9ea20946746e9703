import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { FilterArguments } from './arguments.ts';
import { TemplateError } from './error.ts';
import type { Filter } from './evaluator.ts';
import { formatPercent } from './format.ts';
import { dumpJson } from './json.ts';
import { capitalizeText, replaceText, splitText, stripText } from './methods.ts';
import { passwordHash } from './password-hash.ts';
import { compileRegex, escapeRegex, expandReplacement, firstMatch, matchAll } from './regex.ts';
import {
  dictEntries,
  isDict,
  isFloat,
  isNumber,
  iterate,
  limitText,
  makeFloat,
  numberOf,
  toText,
  tupleOf,
  typeName,
} from './value.ts';
import { dumpYaml } from './yaml.ts';
import { readYaml, splitDocuments, YamlValues } from './yaml-read.ts';

/** A filter over text: whatever comes is made text first, as Jinja's do. */
function onText(apply: (value: string, args: FilterArguments) => unknown): Filter {
  return { apply: (value, args, named) => apply(toText(value), new FilterArguments(args, named)) };
}

function onValue(apply: (value: unknown, args: FilterArguments) => unknown): Filter {
  return { apply: (value, args, named) => apply(value, new FilterArguments(args, named)) };
}

function hashText(value: string, algorithm: string): string {
  try {
    return createHash(algorithm).update(value).digest('hex');
  } catch {
    throw new TemplateError('failed', `there is no hash "${algorithm}"`);
  }
}

function shellQuote(value: string): string {
  if (value === '') return "''";
  return /^[\w@%+=:,./-]+$/.test(value) ? value : `'${value.replaceAll("'", `'"'"'`)}'`;
}

function toInteger(value: unknown, fallback: number, base: number): number {
  if (typeof value === 'boolean') return Number(value);
  if (isNumber(value)) return Math.trunc(numberOf(value));
  if (typeof value !== 'string') return fallback;
  const text = value.trim().replaceAll('_', '');
  const digits = /^[-+]?(?:0[xX][\da-fA-F]+|0[oO][0-7]+|0[bB][01]+|[\da-zA-Z]+)$/.exec(text)?.[0];
  if (digits !== undefined) {
    const sign = digits.startsWith('-') ? -1 : 1;
    const body = digits.replace(/^[-+]/, '').toLowerCase();
    const prefix = { 16: '0x', 8: '0o', 2: '0b' }[base];
    const bare = prefix !== undefined && body.startsWith(prefix) ? body.slice(2) : body;
    const allowed = [...bare].every((digit) => Number.parseInt(digit, 36) < base);
    if (allowed && bare !== '') return sign * Number.parseInt(bare, base);
  }
  const float = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/.test(text) ? Number(text) : Number.NaN;
  return Number.isNaN(float) ? fallback : Math.trunc(float);
}

function toFloat(value: unknown, fallback: unknown): unknown {
  if (typeof value === 'boolean') return makeFloat(Number(value));
  if (isNumber(value)) return makeFloat(numberOf(value));
  if (typeof value === 'string' && /^\s*[-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*$/.test(value)) {
    return makeFloat(Number(value.replaceAll('_', '')));
  }
  return fallback;
}

/** Ansible's `bool` filter: yes, on, 1 and true are true, whatever else is false, None stays None. */
export function toBoolean(value: unknown): boolean | null {
  if (value === null || typeof value === 'boolean') return value;
  if (isNumber(value)) return numberOf(value) === 1;
  return typeof value === 'string' && ['yes', 'on', '1', 'true'].includes(value.toLowerCase());
}

function regexOptions(args: FilterArguments, first: number, order: 'ignorecase' | 'multiline') {
  const ignoreAt = order === 'ignorecase' ? first : first + 1;
  const multilineAt = order === 'ignorecase' ? first + 1 : first;
  return {
    ignoreCase: args.flag(ignoreAt, 'ignorecase', false),
    multiline: args.flag(multilineAt, 'multiline', false),
  };
}

function regexReplace(value: string, args: FilterArguments): string {
  const regex = compileRegex(args.text(0, 'pattern', ''), regexOptions(args, 2, 'ignorecase'), 'g');
  const replacement = args.text(1, 'replacement', '');
  let result = '';
  let from = 0;
  for (const match of matchAll(regex, value)) {
    result = limitText(result + value.slice(from, match.index) + expandReplacement(replacement, match));
    from = match.index + match[0].length;
  }
  return result + value.slice(from);
}

function regexSearch(value: string, positional: readonly unknown[], args: FilterArguments): unknown {
  const options = {
    ignoreCase: args.flag(99, 'ignorecase', false),
    multiline: args.flag(99, 'multiline', false),
  };
  const match = firstMatch(compileRegex(args.text(0, 'regex'), options), value);
  if (match === null) return null;
  const groups = positional.slice(1).map((wanted) => {
    const form = /^\\(?:g<(\w+)>|(\d+))$/.exec(toText(wanted));
    if (form === null)
      throw new TemplateError('failed', `regex_search does not know the group "${toText(wanted)}"`);
    const [, name, number] = form;
    if (name !== undefined && !/^\d+$/.test(name)) return match.groups?.[name] ?? null;
    const index = Number(number ?? name);
    if (index >= match.length)
      throw new TemplateError('failed', `the regular expression has no group ${index}`);
    return match[index] ?? null;
  });
  return groups.length === 0 ? match[0] : groups;
}

function fromYaml(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const reading = readYaml(value);
  const values = new YamlValues(reading.root);
  const result = values.value(reading.root);
  const problem = [...reading.findings, ...values.findings].find((finding) => finding.kind !== 'duplicate');
  if (problem !== undefined) throw new TemplateError('failed', `not YAML: ${problem.message}`);
  return result;
}

/** Every document of a YAML text. */
function fromYamlAll(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  return splitDocuments(value).map(fromYaml);
}

function wordWrap(value: string, width: number, mark: string): string {
  return value
    .split('\n')
    .map((row) => {
      const lines: string[] = [];
      let line = '';
      for (const word of row.split(' ')) {
        if (line !== '' && line.length + 1 + word.length > width) {
          lines.push(line);
          line = word;
        } else {
          line = line === '' ? word : `${line} ${word}`;
        }
      }
      return [...lines, line].join(mark);
    })
    .join('\n');
}

const BYTE_UNITS = ['Bytes', 'KB', 'MB', 'GB', 'TB', 'PB', 'EB', 'ZB', 'YB'];

function humanReadable(size: number, bits: boolean, unit: string | undefined): string {
  const base = bits ? 'bits' : 'Bytes';
  for (let power = BYTE_UNITS.length - 1; power >= 0; power -= 1) {
    const letter = (BYTE_UNITS[power] ?? '').charAt(0);
    const limit = 1024 ** power;
    if (
      (unit === undefined && size >= limit) ||
      (unit !== undefined && unit.toUpperCase().charAt(0) === letter)
    ) {
      const suffix = power === 0 ? base : letter + (bits ? 'b' : 'B');
      return `${(size / limit).toFixed(2)} ${suffix}`;
    }
  }
  return `${size.toFixed(2)} ${base}`;
}

function humanToBytes(value: string, defaultUnit: string | undefined): number {
  const match = /^\s*([\d.]+)\s*([a-zA-Z]*)\s*$/.exec(value);
  const unit = (match?.[2] === '' ? undefined : match?.[2]) ?? defaultUnit ?? 'B';
  const power = 'BKMGTPEZY'.indexOf(unit.charAt(0).toUpperCase());
  if (match === null || power < 0) throw new TemplateError('failed', `"${value}" is not a size`);
  return Math.round(Number(match[1]) * 1024 ** power);
}

const COMMENTS: Readonly<Record<string, readonly [string, string, string]>> = {
  plain: ['', '# ', ''],
  erlang: ['', '% ', ''],
  c: ['', '// ', ''],
  cblock: ['/*', ' * ', ' */'],
  xml: ['<!--', ' - ', '-->'],
};

function comment(value: string, args: FilterArguments): string {
  const style = COMMENTS[args.text(0, 'style', 'plain')] ?? ['', '# ', ''];
  const decoration = args.text(99, 'decoration', style[1]);
  const prefix = args.text(99, 'prefix', decoration.trimEnd());
  const postfix = args.text(99, 'postfix', decoration.trimEnd());
  const beginning = args.text(99, 'beginning', style[0]);
  const end = args.text(99, 'end', style[2]);
  const head = (beginning === '' ? '' : `${beginning}\n`) + (prefix === '' ? '' : `${prefix}\n`);
  const body = (decoration + value.replaceAll('\n', `\n${decoration}`)).replaceAll(
    `${decoration}\n`,
    `${decoration.trimEnd()}\n`,
  );
  return `${head}${body}\n${postfix}${end === '' ? '' : `\n${end}`}`;
}

function uuidOf(value: string): string {
  const namespace = Buffer.from('361E6D51FAEC444A9079341386DA8E2E', 'hex');
  const digest = createHash('sha1').update(namespace).update(value).digest().subarray(0, 16);
  digest[6] = ((digest[6] ?? 0) & 0x0f) | 0x50;
  digest[8] = ((digest[8] ?? 0) & 0x3f) | 0x80;
  return digest.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function urlParts(value: string): Map<unknown, unknown> {
  const match = /^(?:([a-zA-Z][\w+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/.exec(value);
  const netloc = match?.[2] ?? '';
  const [, user, secret, host, port] =
    /^(?:([^:@]*)(?::([^@]*))?@)?(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(netloc) ?? [];
  return new Map<unknown, unknown>([
    ['fragment', match?.[5] ?? ''],
    ['hostname', host === undefined || host === '' ? null : host.replace(/^\[|\]$/g, '').toLowerCase()],
    ['netloc', netloc],
    ['password', secret ?? null],
    ['path', match?.[3] ?? ''],
    ['port', port === undefined ? null : Number(port)],
    ['query', match?.[4] ?? ''],
    ['scheme', match?.[1] ?? ''],
    ['username', user ?? null],
  ]);
}

function urlEncode(value: unknown): string {
  const encode = (text: string): string =>
    encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
  if (isDict(value)) {
    return dictEntries(value)
      .map(([key, item]) => `${encode(toText(key))}=${encode(toText(item))}`.replaceAll('%20', '+'))
      .join('&');
  }
  return encode(toText(value)).replaceAll('%2F', '/');
}

function isTextual(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new TemplateError('failed', `expected text, not ${typeName(value)}`);
}

/** Filters that make, change or take apart text; encodings, paths and numbers too. */
export const TEXT_FILTERS: Readonly<Record<string, Filter>> = {
  upper: onText((value) => value.toUpperCase()),
  lower: onText((value) => value.toLowerCase()),
  capitalize: onText((value) => capitalizeText(value)),
  title: onText((value) =>
    value.replace(/[^\s\-([{<]+/g, (word) => word.charAt(0).toUpperCase() + word.slice(1).toLowerCase()),
  ),
  trim: onText((value, args) => stripText(value, args.get(0, 'chars'), 'both')),
  replace: onText((value, args) =>
    replaceText(value, toText(args.get(0, 'old')), toText(args.get(1, 'new')), args.number(2, 'count', -1)),
  ),
  string: onValue((value) => toText(value)),
  safe: onValue((value) => value),
  escape: onText((value) => escapeHtml(value)),
  e: onText((value) => escapeHtml(value)),
  forceescape: onText((value) => escapeHtml(value)),
  striptags: onText((value) =>
    value
      .replace(/<!--[\s\S]*?-->|<[^>]*>/g, '')
      .split(/\s+/)
      .filter((word) => word !== '')
      .join(' '),
  ),
  center: onText((value, args) => {
    const width = Math.min(args.number(0, 'width', 80), 100_000);
    const missing = Math.max(0, width - value.length);
    const left = Math.floor(missing / 2) + (missing & width & 1);
    return ' '.repeat(left) + value + ' '.repeat(missing - left);
  }),
  indent: onText((value, args) => {
    const width = args.get(0, 'width') ?? 4;
    const pad = typeof width === 'string' ? width : ' '.repeat(Math.min(args.number(0, 'width', 4), 1000));
    const first = args.flag(1, 'first', false);
    const blank = args.flag(2, 'blank', false);
    const rows = value.split('\n');
    const last = rows.length - 1;
    return limitText(
      rows
        .map((row, index) =>
          index === 0 && !first ? row : row === '' && !blank && (index > 0 || last > 0) ? row : pad + row,
        )
        .join('\n'),
    );
  }),
  truncate: onText((value, args) => {
    const length = args.number(0, 'length', 255);
    const kill = args.flag(1, 'killwords', false);
    const end = args.text(2, 'end', '...');
    const leeway = args.number(3, 'leeway', 5);
    if (value.length <= length + leeway) return value;
    const cut = value.slice(0, Math.max(0, length - end.length));
    return (kill ? cut : cut.slice(0, cut.lastIndexOf(' ') < 0 ? cut.length : cut.lastIndexOf(' '))) + end;
  }),
  wordcount: onText((value) => (value.match(/[\p{L}\p{N}_]+/gu) ?? []).length),
  wordwrap: onText((value, args) =>
    wordWrap(value, args.number(0, 'width', 79), args.text(2, 'wrapstring', '\n')),
  ),
  format: {
    apply: (value, args, named) =>
      formatPercent(toText(value), named.size > 0 ? new Map(named) : tupleOf(...args)),
  },
  split: onText((value, args) => splitText(value, args.get(0, 'sep'), args.number(1, 'maxsplit', -1))),
  comment: onText(comment),
  quote: onValue((value) => shellQuote(value === null ? '' : toText(value))),
  urlencode: onValue((value) => urlEncode(value)),
  urldecode: onText((value) => {
    try {
      return decodeURIComponent(value.replaceAll('+', ' '));
    } catch {
      return value;
    }
  }),
  urlsplit: onText((value, args) => {
    const parts = urlParts(value);
    const wanted = args.maybeText(0, 'query');
    if (wanted === undefined || wanted === '') return parts;
    if (!parts.has(wanted)) throw new TemplateError('failed', `urlsplit knows no "${wanted}"`);
    return parts.get(wanted);
  }),

  b64encode: onValue((value) => Buffer.from(toText(value)).toString('base64')),
  b64decode: onValue((value) => Buffer.from(toText(value), 'base64').toString('utf8')),
  hash: onValue((value, args) => hashText(toText(value), args.text(0, 'hashtype', 'sha1'))),
  md5: onValue((value) => hashText(toText(value), 'md5')),
  sha1: onValue((value) => hashText(toText(value), 'sha1')),
  checksum: onValue((value) => hashText(toText(value), 'sha1')),
  to_uuid: onValue((value) => uuidOf(toText(value))),

  to_json: onValue((value, args) => {
    const indent = args.get(99, 'indent');
    return dumpJson(value, {
      ...(indent === undefined || indent === null ? {} : { indent: args.number(99, 'indent') }),
      sortKeys: args.flag(99, 'sort_keys', false),
      ensureAscii: args.flag(99, 'ensure_ascii', true),
      ...separators(args),
    });
  }),
  to_nice_json: onValue((value, args) =>
    dumpJson(value, {
      indent: args.number(0, 'indent', 4),
      sortKeys: args.flag(1, 'sort_keys', true),
      ensureAscii: args.flag(99, 'ensure_ascii', true),
    }),
  ),
  tojson: onValue((value, args) => {
    const indent = args.get(0, 'indent');
    const json = dumpJson(value, {
      sortKeys: true,
      ...(indent === undefined || indent === null ? {} : { indent: args.number(0, 'indent') }),
    });
    return json.replace(/[<>&']/g, (one) => `\\u00${one.charCodeAt(0).toString(16)}`);
  }),
  from_yaml_all: onValue(fromYamlAll),
  password_hash: {
    apply: (value, args, named, { surroundings }) =>
      passwordHash(toText(value), new FilterArguments(args, named), surroundings.budget),
  },
  from_json: onValue((value) => {
    try {
      return JSON.parse(isTextual(value)) as unknown;
    } catch (error) {
      if (error instanceof TemplateError) throw error;
      throw new TemplateError(
        'failed',
        `not JSON: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }),
  to_yaml: onValue((value, args) =>
    dumpYaml(value, {
      indent: args.number(99, 'indent', 2),
      flow: args.get(99, 'default_flow_style') === false ? 'block' : 'auto',
      sortKeys: args.flag(99, 'sort_keys', true),
    }),
  ),
  to_nice_yaml: onValue((value, args) =>
    dumpYaml(value, {
      indent: args.number(0, 'indent', 4),
      flow: 'block',
      sortKeys: args.flag(99, 'sort_keys', true),
    }),
  ),
  from_yaml: onValue(fromYaml),

  regex_replace: {
    apply: (value, args, named) => regexReplace(toText(value), new FilterArguments(args, named)),
  },
  regex_search: {
    apply: (value, args, named) => regexSearch(toText(value), args, new FilterArguments(args, named)),
  },
  regex_findall: onText((value, args) => {
    const regex = compileRegex(args.text(0, 'regex'), regexOptions(args, 1, 'multiline'), 'g');
    return matchAll(regex, value).map((match) => {
      if (match.length === 1) return match[0];
      return match.length === 2 ? (match[1] ?? '') : tupleOf(...match.slice(1).map((group) => group ?? ''));
    });
  }),
  regex_escape: onText((value) => escapeRegex(value)),

  basename: onText((value) => value.slice(value.lastIndexOf('/') + 1)),
  dirname: onText((value) => {
    const head = value.slice(0, value.lastIndexOf('/') + 1);
    return /[^/]/.test(head) ? head.replace(/\/+$/, '') : head;
  }),
  splitext: onText((value) => {
    const name = value.slice(value.lastIndexOf('/') + 1);
    const dot = name.replace(/^\.+/, (dots) => '_'.repeat(dots.length)).lastIndexOf('.');
    if (dot < 0) return tupleOf(value, '');
    const at = value.length - name.length + dot;
    return tupleOf(value.slice(0, at), value.slice(at));
  }),
  path_join: onValue((value) => {
    const parts = typeof value === 'string' ? [value] : iterate(value).map(isTextual);
    return parts.reduce((path, part) => {
      if (part.startsWith('/') || path === '') return part;
      return path.endsWith('/') ? path + part : `${path}/${part}`;
    }, '');
  }),
  relpath: onText((value, args) => posix.relative(args.text(0, 'start', '.'), value) || '.'),

  bool: onValue((value) => toBoolean(value)),
  int: onValue((value, args) => toInteger(value, args.number(0, 'default', 0), args.number(1, 'base', 10))),
  float: onValue((value, args) => toFloat(value, args.get(0, 'default') ?? makeFloat(0))),
  abs: onValue((value) => {
    if (!isNumber(value)) throw new TemplateError('failed', `abs needs a number, not ${typeName(value)}`);
    const size = Math.abs(numberOf(value));
    return isFloat(value) ? makeFloat(size) : size;
  }),
  round: onValue((value, args) =>
    roundNumber(value, args.number(0, 'precision', 0), args.text(1, 'method', 'common')),
  ),
  pow: onValue((value, args) => makeFloat(needNumber(value) ** args.number(0, 'y'))),
  log: onValue((value, args) => {
    const base = args.get(0, 'base');
    const number = Math.log(needNumber(value));
    return makeFloat(
      base === undefined
        ? number
        : args.number(0, 'base') === 10
          ? Math.log10(needNumber(value))
          : number / Math.log(args.number(0, 'base')),
    );
  }),
  root: onValue((value, args) => {
    const base = args.number(0, 'base', 2);
    return makeFloat(base === 2 ? Math.sqrt(needNumber(value)) : needNumber(value) ** (1 / base));
  }),
  filesizeformat: onValue((value, args) => {
    const binary = args.flag(0, 'binary', false);
    const base = binary ? 1024 : 1000;
    const size = needNumber(typeof value === 'string' ? Number(value) : value);
    if (size === 1) return '1 Byte';
    if (size < base) return `${Math.trunc(size)} Bytes`;
    const units = ['k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];
    const power = Math.min(Math.floor(Math.log(size) / Math.log(base)), units.length);
    const letter = units[power - 1] ?? '';
    return `${(size / base ** power).toFixed(1)} ${binary ? `${letter.toUpperCase()}iB` : `${letter}B`}`;
  }),
  human_readable: onValue((value, args) =>
    humanReadable(
      needNumber(typeof value === 'string' ? Number(value) : value),
      args.flag(0, 'isbits', false),
      args.maybeText(1, 'unit'),
    ),
  ),
  human_to_bytes: onText((value, args) => humanToBytes(value, args.maybeText(0, 'default_unit'))),
  type_debug: onValue((value) => typeName(value)),
};

function separators(args: FilterArguments): { separators?: readonly [string, string] } {
  const given = args.get(99, 'separators');
  if (!Array.isArray(given) || given.length !== 2) return {};
  return { separators: [toText(given[0]), toText(given[1])] };
}

function needNumber(value: unknown): number {
  if (isNumber(value)) return numberOf(value);
  if (typeof value === 'boolean') return Number(value);
  throw new TemplateError('failed', `expected a number, not ${typeName(value)}`);
}

function roundNumber(value: unknown, precision: number, method: string): unknown {
  const number = needNumber(value);
  const scale = 10 ** precision;
  if (method === 'ceil') return makeFloat(Math.ceil(number * scale) / scale);
  if (method === 'floor') return makeFloat(Math.floor(number * scale) / scale);
  const scaled = number * scale;
  const rounded = Math.round(scaled);
  // Python rounds halves to even.
  const even = Math.abs(scaled % 1) === 0.5 ? 2 * Math.round(scaled / 2) : rounded;
  const result = even / scale;
  return isFloat(value) ? makeFloat(result) : Math.trunc(result);
}

function escapeHtml(value: string): string {
  return value
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll("'", '&#39;')
    .replaceAll('"', '&#34;');
}
