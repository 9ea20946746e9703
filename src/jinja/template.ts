import { Secret } from '../core/secret.ts';
import { Budget } from './budget.ts';
import { type ControlMachine, PATH_FILTERS, PATH_TESTS } from './control-machine.ts';
import { TemplateError } from './error.ts';
import { Evaluator, type Filter, type Surroundings, type Test } from './evaluator.ts';
import { DATA_FILTERS } from './filters-data.ts';
import { TEXT_FILTERS } from './filters-text.ts';
import { IP_FILTERS } from './ip.ts';
import { NOT_LITERAL, parseLiteral } from './literal.ts';
import { parseExpression, parseTemplate } from './parser.ts';
import { Renderer } from './renderer.ts';
import type { Block, Expression } from './syntax.ts';
import { TESTS as VALUE_TESTS } from './tests.ts';
import { TIME_FILTERS } from './time.ts';
import {
  Callable,
  dictEntries,
  isDict,
  isNumber,
  isTrue,
  LazyMap,
  limitText,
  Namespace,
  numberOf,
  setOwn,
  toPlain,
  toText,
  tupleOf,
  Undefined,
} from './value.ts';

/** Where a template finds its names. */
export interface TemplateScope {
  /**
   * The value of a variable, itself templated; `undefined` when there is none. It may hold Secrets and LazyMaps.
   * A `TemplateError` of kind `undefined` that it throws makes the name undefined, so that `default()` applies.
   */
  get(name: string): unknown;
  /** What `lookup('name', …)` and `query` may reach; nothing else leaves the template. */
  readonly lookups?: ReadonlyMap<string, Lookup>;
  /** For tests and filters that ask about the control machine's files (`is file`, `fileglob`). */
  readonly control?: ControlMachine;
}

/** One lookup: its terms and options, and a list of answers. @throws TemplateError */
export type Lookup = (
  terms: readonly unknown[],
  options: ReadonlyMap<string, unknown>,
  /** The value of a variable where the template stands; `undefined` for none. */
  variable: (name: string) => unknown,
) => readonly unknown[];

const FILTERS: ReadonlyMap<string, Filter> = new Map(
  Object.entries({ ...TEXT_FILTERS, ...DATA_FILTERS, ...IP_FILTERS, ...TIME_FILTERS, ...PATH_FILTERS }),
);
const TESTS: ReadonlyMap<string, Test> = new Map([...VALUE_TESTS, ...PATH_TESTS]);

/** A template and all it pulls in must end within this. */
const MILLISECONDS = 5000;
const LONGEST_TEMPLATE = 1024 * 1024;
const MOST_PARSED = 5000;
/** Templates that need templates that need templates: more levels are a loop or a mistake. */
const DEEPEST_NESTING = 60;
const LARGEST_RANGE = 1_000_000;
/** What `omit` stands for until the value is used. */
const OMIT = '__omit_place_holder__7f3b2c1e';

const parsed = new Map<string, Block>();
const conditions = new Map<string, Expression>();

/** Work in progress on this thread: the limits of the outermost template hold for everything below it. */
let running: { readonly budget: Budget; depth: number } | undefined;

/** Whether a text has anything to template. */
export function isTemplate(text: string): boolean {
  return text.includes('{{') || text.includes('{%') || text.includes('{#');
}

/** The names of filters and tests, for suggestions and documentation. */
export function templateVocabulary(): {
  readonly filters: readonly string[];
  readonly tests: readonly string[];
} {
  return { filters: [...FILTERS.keys()].sort(), tests: [...TESTS.keys()].sort() };
}

/**
 * Templates a text as Ansible does. A template that is one expression gives that expression's own type; a longer one gives
 * text, unless the text reads as a list, a dict or a boolean. What was made from a Secret is a Secret.
 * `undefined` stands for `omit`.
 * @throws TemplateError
 */
export function renderTemplate(text: string, scope: TemplateScope): unknown {
  if (!isTemplate(text)) return text;
  if (text.length > LONGEST_TEMPLATE) throw new TemplateError('limit', 'the template is longer than 1 MiB');
  // Jinja drops the last newline, and Ansible puts back as many as the result has fewer than the template.
  const newlines = newlinesAtEnd(text);
  const block = remembered(parsed, newlines === 0 ? text : text.slice(0, -1), parseTemplate);
  return withBudget((budget) => {
    const surroundings = new ScopeSurroundings(scope, budget);
    const parts = new Renderer(new Evaluator(surroundings)).render(block);
    const result = resultOf(block, parts, newlines);
    if (result === OMIT) return undefined;
    return surroundings.touchedSecret ? hide(result) : result;
  });
}

/**
 * Whether a bare expression holds, as in `when`.
 * @throws TemplateError, also when something in it is undefined.
 */
export function testExpression(text: string, scope: TemplateScope): boolean {
  if (text.length > LONGEST_TEMPLATE) throw new TemplateError('limit', 'the expression is longer than 1 MiB');
  const expression = remembered(conditions, text, parseExpression);
  return withBudget((budget) =>
    isTrue(new Evaluator(new ScopeSurroundings(scope, budget)).evaluate(expression)),
  );
}

function remembered<T>(cache: Map<string, T>, text: string, parse: (text: string) => T): T {
  const known = cache.get(text);
  if (known !== undefined) return known;
  const fresh = parse(text);
  if (cache.size >= MOST_PARSED) cache.clear();
  cache.set(text, fresh);
  return fresh;
}

function withBudget<T>(work: (budget: Budget) => T): T {
  const outermost = running === undefined;
  running ??= { budget: new Budget(MILLISECONDS), depth: 0 };
  const current = running;
  current.depth += 1;
  try {
    if (current.depth > DEEPEST_NESTING)
      throw new TemplateError('limit', 'variables refer to each other too deeply');
    return work(current.budget);
  } catch (error) {
    if (error instanceof RangeError)
      throw new TemplateError('limit', `the template needs too much: ${error.message}`);
    throw error;
  } finally {
    current.depth -= 1;
    if (outermost) running = undefined;
  }
}

/** Filters whose text stays text even if it reads as a list or dict (Ansible's STRING_TYPE_FILTERS). */
const STRING_FILTERS = new Set([
  'string',
  'to_json',
  'to_nice_json',
  'to_yaml',
  'to_nice_yaml',
  'tojson',
  'ppretty',
]);

function resultOf(block: Block, parts: readonly unknown[], newlines: number): unknown {
  const [only] = block;
  if (block.length === 1 && only?.kind === 'print' && newlines === 0) {
    const [value] = parts;
    if (typeof value !== 'string') return toPlain(value ?? null);
    if (only.value.kind === 'filter' && STRING_FILTERS.has(only.value.name)) return value;
    return literalOf(value);
  }
  // None prints as nothing, as Ansible's finalizer has it.
  const text = limitText(parts.map((part) => (part === null ? '' : toText(part))).join(''));
  return literalOf(text + '\n'.repeat(Math.max(0, newlines - newlinesAtEnd(text))));
}

function newlinesAtEnd(text: string): number {
  let count = 0;
  while (text.at(-1 - count) === '\n') count += 1;
  return count;
}

function literalOf(text: string): unknown {
  if (!/^[[{]|^(?:True|False)$/.test(text)) return text;
  const value = parseLiteral(text, { json: true });
  return value === NOT_LITERAL ? text : toPlain(value);
}

/** Every text in a value that was made from a secret becomes a secret. */
function hide(value: unknown): unknown {
  if (typeof value === 'string') return new Secret(value);
  if (Array.isArray(value)) return value.map(hide);
  if (isDict(value) && !(value instanceof Map) && !(value instanceof LazyMap)) {
    const hidden: Record<string, unknown> = {};
    for (const [key, item] of Object.entries(value)) setOwn(hidden, key, hide(item));
    return hidden;
  }
  return value;
}

class ScopeSurroundings implements Surroundings {
  readonly filters = FILTERS;
  readonly tests = TESTS;
  touchedSecret = false;
  readonly control?: ControlMachine;
  readonly #values = new Map<string, unknown>();

  constructor(
    readonly scope: TemplateScope,
    readonly budget: Budget,
  ) {
    if (scope.control !== undefined) this.control = scope.control;
  }

  name(name: string, at: number): unknown {
    const known = this.#values.get(name);
    if (known !== undefined) return known;
    const value = this.#find(name, at);
    // A secret is looked up again each time, so that every use of it is noticed.
    if (!this.touchedSecret) this.#values.set(name, value);
    return value;
  }

  unnoticed<T>(ask: () => T): T {
    const before = this.touchedSecret;
    try {
      return ask();
    } finally {
      this.touchedSecret = before;
    }
  }

  #find(name: string, at: number): unknown {
    if (name === 'omit') return OMIT;
    let value: unknown;
    try {
      value = this.scope.get(name);
    } catch (error) {
      if (error instanceof TemplateError && error.kind === 'undefined')
        return new Undefined(error.message, at);
      throw error;
    }
    if (value !== undefined) return this.#reveal(value, 0);
    return this.#global(name) ?? new Undefined(`'${name}' is undefined`, at);
  }

  /** Secrets as the text they hold; lazy maps are wrapped so that what comes out of them is revealed too. */
  #reveal(value: unknown, depth: number): unknown {
    if (value instanceof Secret) {
      this.touchedSecret = true;
      return value.reveal();
    }
    if (value === null || typeof value !== 'object' || depth > 60) return value;
    if (value instanceof LazyMap) return new RevealingMap(value, (inner) => this.#reveal(inner, 0));
    if (!holdsSecret(value)) return value;
    if (Array.isArray(value)) return value.map((item) => this.#reveal(item, depth + 1));
    const plain: Record<string, unknown> = {};
    for (const [key, item] of Object.entries(value)) setOwn(plain, key, this.#reveal(item, depth + 1));
    return plain;
  }

  /** The lookups that only look inside the template's own world; all others are the scope's. */
  #lookUp(
    name: unknown,
    terms: readonly unknown[],
    options: ReadonlyMap<string, unknown>,
  ): readonly unknown[] {
    const short = typeof name === 'string' ? name.replace(/^.*\./, '') : '';
    if (short === 'vars') {
      return terms.map((term) => {
        const value = this.name(toText(term), 0);
        if (!(value instanceof Undefined)) return value;
        if (options.has('default')) return options.get('default');
        throw value.error();
      });
    }
    if (short === 'dict') {
      return terms.flatMap((term) =>
        isDict(term)
          ? dictEntries(term).map(
              ([key, value]) =>
                new Map<unknown, unknown>([
                  ['key', key],
                  ['value', value],
                ]),
            )
          : [],
      );
    }
    if (short === 'items') return terms.flatMap((term) => (Array.isArray(term) ? [...term] : [term]));
    if (short === 'list') return terms;
    return lookUp(this.scope, name, terms, options);
  }

  #global(name: string): Callable | undefined {
    switch (name) {
      case 'range':
        return new Callable('range', (args) => rangeOf(args, this.budget));
      case 'dict':
        return new Callable('dict', (args, named) => {
          const [pairs] = args;
          const dict = new Map<unknown, unknown>(
            isDict(pairs) ? Object.entries(toPlain(pairs) as object) : [],
          );
          if (Array.isArray(pairs))
            for (const pair of pairs) if (Array.isArray(pair)) dict.set(pair[0], pair[1]);
          for (const [key, value] of named) dict.set(key, value);
          return dict;
        });
      case 'namespace':
        return new Callable('namespace', (args, named) => {
          const space = new Namespace();
          const [first] = args;
          if (isDict(first))
            for (const [key, value] of Object.entries(toPlain(first) as object)) space.values.set(key, value);
          for (const [key, value] of named) space.values.set(key, value);
          return space;
        });
      case 'lookup':
        return new Callable('lookup', ([lookup, ...terms], named) => {
          const options = new Map(named);
          const wantList = options.delete('wantlist') && isTrue(named.get('wantlist'));
          const answers = this.#lookUp(lookup, terms, options);
          if (wantList) return [...answers];
          if (answers.length === 1) return answers[0];
          return answers.every((answer) => typeof answer === 'string') ? answers.join(',') : [...answers];
        });
      case 'query':
      case 'q':
        return new Callable(name, ([lookup, ...terms], named) => [...this.#lookUp(lookup, terms, named)]);
      case 'undef':
        return new Callable(
          'undef',
          (args, named) => new Undefined(toText(args[0] ?? named.get('hint') ?? 'undefined')),
        );
      case 'cycler':
        return new Callable('cycler', (args) => tupleOf(...args));
      default:
        return undefined;
    }
  }
}

class RevealingMap extends LazyMap {
  constructor(
    readonly inner: LazyMap,
    readonly reveal: (value: unknown) => unknown,
  ) {
    super();
  }

  keys(): readonly string[] {
    return this.inner.keys();
  }

  has(key: string): boolean {
    return this.inner.has(key);
  }

  get(key: string): unknown {
    try {
      return this.reveal(this.inner.get(key));
    } catch (error) {
      if (error instanceof TemplateError && error.kind === 'undefined') return new Undefined(error.message);
      throw error;
    }
  }
}

/** Frozen values never change, and large ones (`groups`) are asked about for every host. */
const examined = new WeakMap<object, boolean>();

function holdsSecret(value: unknown, depth = 0): boolean {
  if (value instanceof Secret || value instanceof LazyMap) return true;
  if (value === null || typeof value !== 'object' || depth > 60) return false;
  const known = examined.get(value);
  if (known !== undefined) return known;
  const holds = Object.values(value).some((item) => holdsSecret(item, depth + 1));
  if (Object.isFrozen(value)) examined.set(value, holds);
  return holds;
}

function lookUp(
  { lookups, get }: TemplateScope,
  name: unknown,
  terms: readonly unknown[],
  options: ReadonlyMap<string, unknown>,
): readonly unknown[] {
  for (const value of [name, ...terms]) if (value instanceof Undefined) throw value.error();
  const short = toText(name).replace(/^.*\./, '');
  const lookup = lookups?.get(short);
  if (lookup === undefined) {
    const known = [...(lookups?.keys() ?? [])].sort().join(', ');
    throw new TemplateError('failed', `lookup('${short}') is not here; there are: ${known || 'none'}`);
  }
  const flat = terms.flatMap((term) => (Array.isArray(term) ? (term as readonly unknown[]) : [term]));
  try {
    return lookup(flat, options, get);
  } catch (error) {
    const how = options.get('errors');
    if (error instanceof TemplateError && (how === 'ignore' || how === 'warn')) return [null];
    throw error;
  }
}

function rangeOf(args: readonly unknown[], budget: Budget): readonly unknown[] {
  const numbers = args.map((arg) => {
    if (arg instanceof Undefined) throw arg.error();
    if (!isNumber(arg) || !Number.isInteger(numberOf(arg)))
      throw new TemplateError('failed', 'range needs whole numbers');
    return numberOf(arg);
  });
  const [from = 0, to = 0, step = 1] = numbers.length === 1 ? [0, numbers[0]] : numbers;
  if (step === 0) throw new TemplateError('failed', 'the step of range cannot be zero');
  const length = Math.max(0, Math.ceil((to - from) / step));
  if (length > LARGEST_RANGE) throw new TemplateError('limit', 'the range is too long');
  budget.spend(length);
  return Array.from({ length }, (_item, index) => from + index * step);
}
