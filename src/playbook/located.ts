import {
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  type ScalarTag,
  type Tags,
  type YAMLMap,
} from 'yaml';
import { type Fault, FleetError, type Place } from '../core/errors.ts';

/** A YAML value that still knows where it stands. */
export interface Located {
  /** Plain data: what the node means. Never changed. */
  readonly value: unknown;
  readonly place: Place;
  /** The pairs of a mapping, merge keys resolved; `undefined` for anything else. */
  readonly entries?: readonly LocatedEntry[];
  /** The items of a list; `undefined` for anything else. */
  readonly items?: readonly Located[];
}

export interface LocatedEntry {
  readonly key: string;
  readonly keyPlace: Place;
  readonly node: Located;
}

export interface ReadYamlOptions {
  /** Opens a `!vault` value. Without it such a value is an error. */
  readonly decrypt?: ((ciphertext: string, where: Place) => unknown) | undefined;
}

/** More nodes than any person writes; reached only by aliases of aliases of aliases. */
const MOST_NODES = 500_000;
const DEEPEST = 200;

/**
 * Reads one YAML document as Ansible does (YAML 1.1: `yes` is true, `<<` merges) with the place of every node.
 * Unlike there, `0644`, `12:30` and dates stay the text that was written: a file mode or a port mapping is never
 * turned into a surprising number.
 *
 * @throws FleetError for the first thing that makes the text unreadable.
 */
export function readYaml(text: string, file: string, options: ReadYamlOptions = {}): Located {
  const lines = new LineCounter();
  const documents = parse(text, file, lines);
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const [first, second] = documents;
  const problem = first?.errors[0];
  if (problem !== undefined) {
    throw yamlFault(problem.code, firstLine(problem.message), placeAt(problem.pos[0]), text, problem.pos[0]);
  }
  if (second !== undefined) {
    throw fault({
      code: 'PLAYBOOK_TWO_DOCUMENTS',
      message: 'a second YAML document begins here, and it would be ignored',
      fix: "Remove the '---' or move what follows to a file of its own.",
      where: placeAt(second.range?.[0] ?? 0),
    });
  }
  if (first === undefined || first.contents === null)
    return { value: null, place: { file, line: 1, column: 1 } };
  return new Reader(first, placeAt, options).read(first.contents);
}

function parse(text: string, file: string, lines: LineCounter): Document.Parsed[] {
  try {
    const parsed = parseAllDocuments(text.replace(/^\uFEFF/, ''), {
      lineCounter: lines,
      version: '1.1',
      schema: 'yaml-1.1',
      merge: true,
      customTags: ansibleTags,
      keepSourceTokens: false,
      prettyErrors: false,
      stringKeys: false,
      logLevel: 'silent',
    });
    return Array.isArray(parsed) ? (parsed as Document.Parsed[]) : [];
  } catch (error) {
    throw fault({
      code: 'PLAYBOOK_YAML',
      message:
        error instanceof RangeError
          ? 'the YAML is nested too deeply to be read'
          : `the YAML cannot be read: ${error instanceof Error ? firstLine(error.message) : String(error)}`,
      fix: 'Check the file with any YAML linter.',
      where: { file, line: 1, column: 1 },
    });
  }
}

const vaultTag: ScalarTag = {
  tag: '!vault',
  resolve: (text) => new VaultText(text),
};

class VaultText {
  constructor(readonly ciphertext: string) {}
}

/** Text that must never be templated. Whoever templates it gets back what was written. */
const unsafeTag: ScalarTag = {
  tag: '!unsafe',
  resolve: (text, onError) => {
    if (!/\{[{%#]/.test(text)) return text;
    if (/\{%-?\s*endraw/.test(text)) onError('!unsafe text cannot contain {% endraw %}');
    return `{% raw %}${text}{% endraw %}`;
  },
};

/** PyYAML's reading of plain scalars, less those that turn text into surprising numbers. */
function ansibleTags(tags: Tags): Tags {
  const kept: Tags = [];
  for (const tag of tags) {
    if (typeof tag === 'string') {
      kept.push(tag);
      continue;
    }
    const format = 'format' in tag ? tag.format : undefined;
    if (format === 'OCT' || format === 'TIME' || tag.tag === 'tag:yaml.org,2002:timestamp') continue;
    if (tag.tag === 'tag:yaml.org,2002:bool') {
      const scalar = tag as ScalarTag;
      // `y` and `n` are words, as PyYAML has it.
      kept.push(
        scalar.test?.test('yes')
          ? { ...scalar, test: /^(?:[Yy]es|YES|[Tt]rue|TRUE|[Oo]n|ON)$/ }
          : { ...scalar, test: /^(?:[Nn]o|NO|[Ff]alse|FALSE|[Oo]ff|OFF)$/ },
      );
      continue;
    }
    if (tag.tag === 'tag:yaml.org,2002:int' && format === undefined) {
      kept.push({ ...(tag as ScalarTag), test: /^[-+]?(?:0|[1-9][0-9_]*)$/ });
      continue;
    }
    kept.push(tag);
  }
  return kept.concat(vaultTag, unsafeTag);
}

class Reader {
  readonly #done = new Map<Node, { located: Located; size: number }>();
  readonly #open = new Set<Node>();
  #depth = 0;

  constructor(
    private readonly document: Document.Parsed,
    private readonly placeAt: (offset: number) => Place,
    private readonly options: ReadYamlOptions,
  ) {}

  read(node: Node): Located {
    return this.#read(node).located;
  }

  #read(node: unknown): { located: Located; size: number } {
    if (node === null || node === undefined)
      return { located: { value: null, place: this.placeAt(0) }, size: 1 };
    const known = this.#done.get(node as Node);
    if (known !== undefined) return known;
    const place = this.#placeOf(node as Node);
    if (isAlias(node)) {
      const target = node.resolve(this.document);
      if (target === undefined || this.#open.has(target)) {
        throw fault({
          code: 'PLAYBOOK_YAML',
          message:
            target === undefined
              ? `no anchor '${node.source}' stands before this alias`
              : `the alias '${node.source}' contains itself`,
          fix: 'Write the value out, or move the anchor before it.',
          where: place,
        });
      }
      return this.#read(target);
    }
    this.#open.add(node as Node);
    this.#depth += 1;
    if (this.#depth > DEEPEST) {
      throw fault({
        code: 'PLAYBOOK_YAML',
        message: `the YAML is nested more than ${DEEPEST} levels deep`,
        fix: 'Flatten it.',
        where: place,
      });
    }
    const result = this.#build(node as Node, place);
    this.#depth -= 1;
    this.#open.delete(node as Node);
    if (result.size > MOST_NODES) {
      throw fault({
        code: 'PLAYBOOK_TOO_LARGE',
        message: `this value has more than ${MOST_NODES} parts once its aliases are written out`,
        fix: 'Do not nest aliases in aliases.',
        where: place,
      });
    }
    this.#done.set(node as Node, result);
    return result;
  }

  #build(node: Node, place: Place): { located: Located; size: number } {
    if (isMap(node)) return this.#map(node, place);
    if (isSeq(node)) {
      const read = node.items.map((item) => this.#read(isPair(item) ? item.value : item));
      const items = read.map(({ located }) => located);
      return {
        located: { value: items.map((item) => item.value), place, items },
        size: read.reduce((sum, { size }) => sum + size, 1),
      };
    }
    if (!isScalar(node)) return { located: { value: null, place }, size: 1 };
    const { value } = node;
    if (value instanceof VaultText) {
      if (this.options.decrypt === undefined) {
        throw fault({
          code: 'PLAYBOOK_VAULT',
          message: 'this value is encrypted and no vault password was given',
          fix: 'Give one with --vault-password-file or --vault-id.',
          where: place,
        });
      }
      return { located: { value: this.options.decrypt(value.ciphertext, place), place }, size: 1 };
    }
    if (typeof value === 'bigint') return { located: { value: Number(value), place }, size: 1 };
    if (value instanceof Uint8Array) {
      return { located: { value: Buffer.from(value).toString('base64'), place }, size: 1 };
    }
    return { located: { value: value === undefined ? null : value, place }, size: 1 };
  }

  #map(node: YAMLMap, place: Place): { located: Located; size: number } {
    const own = new Map<string, LocatedEntry>();
    const merged = new Map<string, LocatedEntry>();
    let size = 1;
    for (const pair of node.items) {
      const keyNode = pair.key;
      const keyPlace = isNode(keyNode) ? this.#placeOf(keyNode) : place;
      const key = this.#key(keyNode, keyPlace);
      const value = this.#read(pair.value ?? null);
      size += value.size;
      if (key === '<<' && isScalar(keyNode) && keyNode.type === 'PLAIN') {
        for (const entry of this.#mergeSource(value.located, keyPlace)) {
          if (!merged.has(entry.key)) merged.set(entry.key, entry);
        }
        continue;
      }
      if (own.has(key)) {
        throw fault({
          code: 'PLAYBOOK_DUPLICATE_KEY',
          message: `'${key}' is written twice in one mapping`,
          fix: 'Remove one; Ansible would silently keep the last.',
          where: keyPlace,
        });
      }
      const located =
        pair.value === null || pair.value === undefined ? { value: null, place: keyPlace } : value.located;
      own.set(key, { key, keyPlace, node: located });
    }
    for (const [key, entry] of merged) if (!own.has(key)) own.set(key, entry);
    const entries = [...own.values()];
    return {
      located: { value: Object.fromEntries(entries.map((e) => [e.key, e.node.value])), place, entries },
      size,
    };
  }

  #mergeSource(source: Located, keyPlace: Place): readonly LocatedEntry[] {
    if (source.entries !== undefined) return source.entries;
    if (source.items?.every((item) => item.entries !== undefined)) {
      return source.items.flatMap((item) => item.entries ?? []);
    }
    throw fault({
      code: 'PLAYBOOK_YAML',
      message: "'<<' can merge only a mapping or a list of mappings",
      fix: 'Let it point to an anchor of a mapping.',
      where: keyPlace,
    });
  }

  #key(node: unknown, place: Place): string {
    const target = isAlias(node) ? node.resolve(this.document) : node;
    if (isScalar(target)) {
      // The key as written: `on:` and `yes:` are words here, not truth values.
      const text = typeof target.value === 'string' ? target.value : (target.source ?? String(target.value));
      if (target.value !== null) return text;
    }
    if (isMap(target) && target.flow === true) {
      throw fault({
        code: 'PLAYBOOK_YAML',
        message: 'a value that begins with {{ must be quoted, or YAML takes it for a mapping',
        fix: 'Write "{{ … }}" in double quotes.',
        where: place,
      });
    }
    throw fault({
      code: 'PLAYBOOK_YAML',
      message: 'a key must be a word',
      fix: 'Quote it, or write the value on the right of a name.',
      where: place,
    });
  }

  #placeOf(node: Node): Place {
    return this.placeAt(node.range?.[0] ?? 0);
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'range' in value;
}

function yamlFault(code: string, message: string, where: Place, text: string, offset: number): FleetError {
  if (code === 'DUPLICATE_KEY') {
    const key = /^\s*(?:-\s+)*("[^"]*"|'[^']*'|[^:\s]+)/.exec(text.slice(offset))?.[1] ?? 'a key';
    return fault({
      code: 'PLAYBOOK_DUPLICATE_KEY',
      message: `'${key}' is written twice in one mapping`,
      fix: 'Remove one; Ansible would silently keep the last.',
      where,
    });
  }
  return fault({
    code: 'PLAYBOOK_YAML',
    message: `the YAML cannot be read: ${message.charAt(0).toLowerCase()}${message.slice(1)}`,
    fix: /tab/i.test(message)
      ? 'Indent with spaces.'
      : "Check the indentation, and quote values that contain ': ' or begin with {{.",
    where,
  });
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text;
}

function fault(what: Omit<Fault, 'blame'>): FleetError {
  return new FleetError({ ...what, blame: 'usage' });
}

/** The entry of a mapping with this key. */
export function entryOf(node: Located, key: string): LocatedEntry | undefined {
  return node.entries?.find((entry) => entry.key === key);
}

/** The place of what a path of keys and indexes leads to, or of the last part of it that exists. */
export function placeAlong(node: Located, path: readonly (string | number)[]): Place {
  let current = node;
  for (const part of path) {
    const next: Located | undefined =
      current.items !== undefined ? current.items[Number(part)] : entryOf(current, String(part))?.node;
    if (next === undefined) return current.place;
    current = next;
  }
  return current.place;
}
