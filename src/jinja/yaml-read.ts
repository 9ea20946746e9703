import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  Scalar,
  type YAMLMap,
} from 'yaml';
import { setOwn, toText } from './value.ts';
import { resolvePlain } from './yaml-scalar.ts';

/** Something wrong or doubtful in YAML text. The offset counts characters from 0. */
export interface YamlFinding {
  readonly kind: 'syntax' | 'duplicate' | 'tag' | 'limit' | 'merge' | 'key' | 'documents';
  readonly message: string;
  readonly offset: number;
}

export interface YamlReading {
  /** The first document, if the text holds one that can be read. */
  readonly root: Node | null;
  readonly findings: readonly YamlFinding[];
  readonly lines: LineCounter;
}

/** Reads YAML text into nodes that know where they stand. Errors are gathered, not thrown. */
export function readYaml(text: string): YamlReading {
  const lines = new LineCounter();
  const findings: YamlFinding[] = [];
  let documents: readonly Document[] = [];
  try {
    const parsed = parseAllDocuments(text, {
      version: '1.1',
      schema: 'failsafe',
      uniqueKeys: false,
      lineCounter: lines,
      strict: true,
      logLevel: 'silent',
      stringKeys: false,
      prettyErrors: false,
    });
    documents = Array.isArray(parsed) ? parsed : [];
  } catch (error) {
    // The parser recurses; absurdly nested text exhausts its stack.
    const message = error instanceof RangeError ? 'it is nested too deeply' : String(error);
    findings.push({ kind: 'limit', message, offset: 0 });
  }
  const [document, second] = documents;
  for (const error of document?.errors ?? []) {
    findings.push({ kind: 'syntax', message: firstLine(error.message), offset: error.pos[0] });
  }
  if (second !== undefined) {
    const offset = second.range?.[0] ?? 0;
    findings.push({ kind: 'documents', message: 'there is more than one YAML document', offset });
  }
  return { root: (document?.contents as Node | null | undefined) ?? null, findings, lines };
}

/** The text of each document of a YAML stream. */
export function splitDocuments(text: string): readonly string[] {
  const documents: string[] = [];
  let current: string[] = [];
  let isMarked = false;
  const close = (): void => {
    const body = current.join('\n');
    if (isMarked || body.replace(/^\s*#.*$/gm, '').trim() !== '') documents.push(body);
    current = [];
  };
  for (const line of text.split('\n')) {
    if (/^---(?:\s|$)/.test(line)) {
      close();
      isMarked = true;
      current.push(line.slice(3));
    } else if (/^\.\.\.\s*$/.test(line)) {
      close();
      isMarked = false;
    } else current.push(line);
  }
  close();
  return documents;
}

function firstLine(message: string): string {
  return message.split('\n')[0] ?? message;
}

/** Values of nodes with unusual tags (`!vault`, `!unsafe`); `undefined` for a tag that is not known. */
export type TagReader = (tag: string, node: Scalar) => unknown;

/** More values than this come only from aliases that multiply (a "billion laughs" file). */
const MOST_VALUES = 2_000_000;
const DEEPEST = 200;

/**
 * Turns nodes into plain values as PyYAML's loader does: YAML 1.1 scalars, aliases, merge keys, the last of two equal keys.
 * Lists and dicts that come out are frozen.
 */
export class YamlValues {
  readonly findings: YamlFinding[] = [];
  readonly #anchors: ReadonlyMap<string, readonly Node[]>;
  readonly #tags: TagReader;
  #made = 0;
  #depth = 0;

  constructor(root: Node | null, tags: TagReader = () => undefined) {
    this.#anchors = anchorsOf(root);
    this.#tags = tags;
  }

  value(node: unknown): unknown {
    if (node === null || node === undefined) return null;
    this.#made += 1;
    if (this.#made > MOST_VALUES) return this.#refuse(node, 'limit', 'aliases make it too large');
    this.#depth += 1;
    try {
      if (this.#depth > DEEPEST) return this.#refuse(node, 'limit', 'it is nested too deeply');
      if (isScalar(node)) return this.#scalar(node);
      if (isAlias(node)) return this.value(this.#target(node));
      if (isSeq(node)) return Object.freeze(node.items.map((item) => this.value(item)));
      if (isMap(node)) return this.#map(node);
      return null;
    } finally {
      this.#depth -= 1;
    }
  }

  /** The pairs of a map with merge keys (`<<`) resolved: explicit keys win, then the first merged map. */
  pairs(
    map: YAMLMap,
  ): { readonly key: unknown; readonly keyNode: Node | null; readonly valueNode: Node | null }[] {
    const own = new Map<unknown, { key: unknown; keyNode: Node | null; valueNode: Node | null }>();
    const merged: YAMLMap[] = [];
    for (const pair of map.items) {
      const keyNode = pair.key as Node | null;
      const valueNode = pair.value as Node | null;
      if (isScalar(keyNode) && keyNode.value === '<<' && keyNode.type === Scalar.PLAIN) {
        merged.push(...this.#merged(valueNode));
        continue;
      }
      const key = this.value(keyNode);
      if (key !== null && typeof key === 'object') {
        this.#refuse(keyNode, 'key', 'a list or dict cannot be a key');
        continue;
      }
      if (own.has(key)) {
        this.findings.push({
          kind: 'duplicate',
          message: `the key "${toText(key)}" stands here twice; the last one counts`,
          offset: offsetOf(keyNode),
        });
      }
      own.set(key, { key, keyNode, valueNode });
    }
    if (merged.length === 0) return [...own.values()];
    this.#depth += 1;
    const all = new Map<unknown, { key: unknown; keyNode: Node | null; valueNode: Node | null }>();
    if (this.#depth <= DEEPEST) {
      // PyYAML puts merged pairs before a map's own; of several merged maps the first wins.
      for (const source of merged.reverse()) {
        this.#made += source.items.length;
        if (this.#made > MOST_VALUES) break;
        for (const pair of this.pairs(source)) all.set(pair.key, pair);
      }
    }
    this.#depth -= 1;
    for (const pair of own.values()) all.set(pair.key, pair);
    return [...all.values()];
  }

  /** Follows an alias to what it stands for. */
  resolve(node: unknown): unknown {
    let current = node;
    for (let hops = 0; isAlias(current) && hops < 50; hops += 1) current = this.#target(current);
    return current;
  }

  #target(alias: Alias): Node | undefined {
    // An anchor may be set again: an alias means the last one before it.
    const target = this.#anchors.get(alias.source)?.findLast((node) => offsetOf(node) < offsetOf(alias));
    if (target === undefined) this.#refuse(alias, 'syntax', `there is no anchor "&${alias.source}"`);
    return target;
  }

  #merged(node: Node | null): YAMLMap[] {
    const target = this.resolve(node);
    if (isMap(target)) return [target];
    if (isSeq(target)) {
      return target.items.flatMap((item) => {
        const inner = this.resolve(item);
        return isMap(inner) ? [inner] : [];
      });
    }
    this.findings.push({
      kind: 'merge',
      message: 'only a dict can be merged with "<<"',
      offset: offsetOf(node),
    });
    return [];
  }

  #map(map: YAMLMap): unknown {
    const result: Record<string, unknown> = {};
    for (const { key, valueNode } of this.pairs(map)) setOwn(result, keyText(key), this.value(valueNode));
    return Object.freeze(result);
  }

  #scalar(node: Scalar): unknown {
    const text = typeof node.value === 'string' ? node.value : node.value === null ? '' : String(node.value);
    const { tag } = node;
    if (tag !== undefined && tag !== '!' && !/^tag:yaml\.org,2002:str$/.test(tag)) {
      if (tag === 'tag:yaml.org,2002:int' || tag === 'tag:yaml.org,2002:float') {
        const value = resolvePlain(text);
        return typeof value === 'number' ? value : Number(text);
      }
      if (tag === 'tag:yaml.org,2002:bool' || tag === 'tag:yaml.org,2002:null') return resolvePlain(text);
      const value = this.#tags(tag, node);
      if (value !== undefined) return value;
      this.#refuse(node, 'tag', `the tag "${tag}" is not known here`);
      return text;
    }
    return node.type === Scalar.PLAIN && tag === undefined ? resolvePlain(text) : text;
  }

  #refuse(node: unknown, kind: YamlFinding['kind'], message: string): null {
    if (!this.findings.some((finding) => finding.message === message)) {
      this.findings.push({ kind, message, offset: offsetOf(node) });
    }
    return null;
  }
}

/** A key as the text it has in JSON: `80`, `true`, `null`. */
export function keyText(key: unknown): string {
  if (typeof key === 'string') return key;
  return key === null ? 'null' : String(key);
}

/** Where a node starts in the text; 0 when it does not know. */
export function offsetOf(node: unknown): number {
  if (node === null || typeof node !== 'object' || !('range' in node) || !Array.isArray(node.range)) return 0;
  return Number(node.range[0]);
}

function anchorsOf(root: Node | null): ReadonlyMap<string, readonly Node[]> {
  const anchors = new Map<string, Node[]>();
  const stack: unknown[] = [root];
  while (stack.length > 0) {
    const node = stack.pop();
    if (isScalar(node) || isMap(node) || isSeq(node)) {
      if (node.anchor !== undefined) {
        const same = anchors.get(node.anchor);
        if (same === undefined) anchors.set(node.anchor, [node]);
        else same.push(node);
      }
    }
    if (isSeq(node)) stack.push(...node.items.toReversed());
    else if (isMap(node)) for (const pair of node.items.toReversed()) stack.push(pair.value, pair.key);
  }
  return anchors;
}
