import type { ControlMachine } from './control-machine.ts';
import { DateTime, TimeDelta } from './date-time.ts';
import { TemplateError } from './error.ts';
import { formatPercent } from './format.ts';
import { callMethod, isMethod } from './methods.ts';
import type { Arguments, Block, Expression, Parameter, Statement, Target } from './syntax.ts';
import { callTimeMethod, isTimeMethod, timeArithmetic, timeAttribute } from './time.ts';
import {
  Callable,
  compare,
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
  Namespace,
  numberOf,
  Tuple,
  toText,
  tupleOf,
  typeName,
  Undefined,
} from './value.ts';

export type NamedArguments = ReadonlyMap<string, unknown>;

/** A filter: the value before the bar and the arguments. Undefined values reach only filters that ask for them. */
export interface Filter {
  /** Whether it wants to see undefined input, as `default` does. */
  readonly seesUndefined?: boolean;
  readonly apply: (
    value: unknown,
    args: readonly unknown[],
    named: NamedArguments,
    evaluator: Evaluator,
  ) => unknown;
}

export interface Test {
  readonly seesUndefined?: boolean;
  readonly holds: (
    value: unknown,
    args: readonly unknown[],
    named: NamedArguments,
    evaluator: Evaluator,
  ) => boolean;
}

/** What an evaluation stands on: the names, filters, tests and how much work it may do. */
export interface Surroundings {
  /** The value of a free name, `Undefined` when there is none. Secrets are already revealed. */
  name(name: string, at: number): unknown;
  /** Runs a check that only asks whether something exists, so that a secret asked about does not spread. */
  unnoticed<T>(ask: () => T): T;
  readonly filters: ReadonlyMap<string, Filter>;
  readonly tests: ReadonlyMap<string, Test>;
  readonly budget: Budget;
  /** The files of the control machine; absent where a template may not ask about them. */
  readonly control?: ControlMachine;
}

const STEPS_BETWEEN_CLOCKS = 256;

/** How much one template, with everything it pulls in, may do. Runs out with a `limit` error. */
export class Budget {
  #steps = 0;
  #until: number;

  constructor(
    milliseconds: number,
    readonly mostSteps = 20_000_000,
  ) {
    this.#until = performance.now() + milliseconds;
  }

  spend(steps: number, at?: number): void {
    const before = this.#steps;
    this.#steps += steps;
    if (this.#steps > this.mostSteps) throw new TemplateError('limit', 'the template does too much work', at);
    if (
      Math.trunc(before / STEPS_BETWEEN_CLOCKS) !== Math.trunc(this.#steps / STEPS_BETWEEN_CLOCKS) &&
      performance.now() > this.#until
    ) {
      throw new TemplateError('limit', 'the template takes too long', at);
    }
  }

  /** Does work that is slow on purpose, as the hash of a password is: it costs steps, and no time. */
  outsideTheClock<T>(steps: number, work: () => T): T {
    this.spend(steps);
    const before = performance.now();
    const result = work();
    this.#until += performance.now() - before;
    return result;
  }
}

const LARGEST_LIST = 1_000_000;
const DEEPEST_CALLS = 60;

/** Local names of a template: what `for`, `set`, `with` and macros bind. */
class Frame {
  readonly #values = new Map<string, unknown>();

  constructor(readonly outer?: Frame) {}

  find(name: string): { readonly value: unknown } | undefined {
    for (let frame: Frame | undefined = this; frame !== undefined; frame = frame.outer) {
      if (frame.#values.has(name)) return { value: frame.#values.get(name) };
    }
    return undefined;
  }

  set(name: string, value: unknown): void {
    this.#values.set(name, value);
  }
}

/** Walks a parsed template. One evaluator serves one rendering. */
export class Evaluator {
  #calls = 0;
  #written = 0;

  constructor(readonly surroundings: Surroundings) {}

  /** The values a template prints, text and expressions alike, in order. */
  render(block: Block): readonly unknown[] {
    const parts: unknown[] = [];
    this.#block(block, new Frame(), parts);
    return parts;
  }

  evaluate(expression: Expression): unknown {
    return this.#value(expression, new Frame());
  }

  /** Applies a filter by name, as `map('upper')` does. @throws TemplateError for one that does not exist. */
  filter(
    name: string,
    value: unknown,
    args: readonly unknown[],
    named: NamedArguments = new Map(),
    at?: number,
  ): unknown {
    const filter = this.surroundings.filters.get(name);
    if (filter === undefined) throw new TemplateError('failed', `there is no filter "${name}"`, at);
    this.surroundings.budget.spend(1, at);
    if (filter.seesUndefined !== true) requireDefined([value, ...args]);
    return locate(at, () => filter.apply(value, args, named, this));
  }

  test(
    name: string,
    value: unknown,
    args: readonly unknown[],
    named: NamedArguments = new Map(),
    at?: number,
  ): boolean {
    const test = this.surroundings.tests.get(name);
    if (test === undefined) throw new TemplateError('failed', `there is no test "${name}"`, at);
    this.surroundings.budget.spend(1, at);
    if (test.seesUndefined !== true) requireDefined([value, ...args]);
    return locate(at, () => test.holds(value, args, named, this));
  }

  /** `value.name` or `value[name]`, whichever there is. */
  attribute(value: unknown, name: unknown, at?: number): unknown {
    return this.#index(value, name, at);
  }

  #block(block: Block, frame: Frame, out: unknown[]): void {
    for (const statement of block) this.#statement(statement, frame, out);
  }

  #text(block: Block, frame: Frame): string {
    const parts: unknown[] = [];
    this.#block(block, frame, parts);
    return limitText(parts.map(toText).join(''));
  }

  #print(value: unknown, out: unknown[]): void {
    if (value instanceof Undefined) {
      if (!value.lenient) throw value.error();
      out.push('');
      return;
    }
    if (typeof value === 'string') {
      this.#written += value.length;
      if (this.#written > 16 * 1024 * 1024) {
        throw new TemplateError('limit', 'the template makes more than 16 MiB of text');
      }
    }
    out.push(value);
  }

  #statement(statement: Statement, frame: Frame, out: unknown[]): void {
    this.surroundings.budget.spend(1);
    switch (statement.kind) {
      case 'text':
        this.#print(statement.text, out);
        return;
      case 'print':
        this.#print(
          locate(statement.at, () => this.#value(statement.value, frame)),
          out,
        );
        return;
      case 'if':
        for (const branch of statement.branches) {
          if (isTrue(this.#value(branch.condition, frame))) {
            this.#block(branch.body, frame, out);
            return;
          }
        }
        if (statement.otherwise !== undefined) this.#block(statement.otherwise, frame, out);
        return;
      case 'for':
        this.#loop(
          statement,
          locate(statement.at, () => iterate(this.#value(statement.over, frame))),
          frame,
          out,
          0,
        );
        return;
      case 'set':
        this.#assign(statement.target, this.#value(statement.value, frame), frame);
        return;
      case 'setBlock': {
        let value: unknown = this.#text(statement.body, new Frame(frame));
        for (const filter of statement.filters) value = this.#filterOn(filter, value, frame);
        this.#assign(statement.target, value, frame);
        return;
      }
      case 'with': {
        const inner = new Frame(frame);
        for (const { target, value } of statement.bindings)
          this.#assign(target, this.#value(value, frame), inner);
        this.#block(statement.body, inner, out);
        return;
      }
      case 'filterBlock': {
        let value: unknown = this.#text(statement.body, new Frame(frame));
        for (const filter of statement.filters) value = this.#filterOn(filter, value, frame);
        this.#print(value, out);
        return;
      }
      case 'macro':
        frame.set(statement.name, this.#macro(statement.name, statement.parameters, statement.body, frame));
        return;
      case 'callBlock': {
        const caller = this.#macro('caller', statement.parameters, statement.body, frame);
        const { call } = statement;
        if (call.kind !== 'call') throw new TemplateError('syntax', '{% call %} needs a call', statement.at);
        const inner = new Frame(frame);
        inner.set(CALLER, caller);
        this.#print(this.#call(call.callee, call.args, inner, call.at, caller), out);
        return;
      }
    }
  }

  #loop(
    statement: Extract<Statement, { kind: 'for' }>,
    all: readonly unknown[],
    frame: Frame,
    out: unknown[],
    depth: number,
  ): void {
    if (depth > DEEPEST_CALLS) throw new TemplateError('limit', 'the loop recurses too deeply', statement.at);
    const { filter } = statement;
    const items =
      filter === undefined
        ? all
        : all.filter((item) => {
            this.surroundings.budget.spend(1, statement.at);
            const inner = new Frame(frame);
            this.#assign(statement.target, item, inner);
            return isTrue(this.#value(filter, inner));
          });
    if (items.length === 0) {
      if (statement.otherwise !== undefined) this.#block(statement.otherwise, frame, out);
      return;
    }
    let changed: unknown = UNSET;
    items.forEach((item, index) => {
      this.surroundings.budget.spend(1, statement.at);
      const inner = new Frame(frame);
      this.#assign(statement.target, item, inner);
      const loop = new Map<unknown, unknown>([
        ['index', index + 1],
        ['index0', index],
        ['revindex', items.length - index],
        ['revindex0', items.length - index - 1],
        ['first', index === 0],
        ['last', index === items.length - 1],
        ['length', items.length],
        ['depth', depth + 1],
        ['depth0', depth],
        ['previtem', index === 0 ? new Undefined('there is no previous item') : items[index - 1]],
        ['nextitem', index + 1 === items.length ? new Undefined('there is no next item') : items[index + 1]],
        [
          'cycle',
          new Callable('cycle', (args) =>
            args.length === 0 ? new Undefined('nothing to cycle through') : args[index % args.length],
          ),
        ],
        [
          'changed',
          new Callable('changed', (args) => {
            const different = changed === UNSET || !equals(changed, [...args]);
            changed = [...args];
            return different;
          }),
        ],
      ]);
      const again = new Callable('loop', ([items]) => {
        const parts: unknown[] = [];
        this.#loop(statement, iterate(items), frame, parts, depth + 1);
        return parts.map(toText).join('');
      });
      inner.set('loop', statement.recursive ? new RecursiveLoop(loop, again) : loop);
      this.#block(statement.body, inner, out);
    });
  }

  #macro(name: string, parameters: readonly Parameter[], body: Block, frame: Frame): Callable {
    return new Callable(name, (args, named) => {
      this.#calls += 1;
      if (this.#calls > DEEPEST_CALLS)
        throw new TemplateError('limit', `macro "${name}" calls itself too deeply`);
      const inner = new Frame(frame);
      parameters.forEach((parameter, index) => {
        const { fallback } = parameter;
        const value =
          index < args.length
            ? args[index]
            : named.has(parameter.name)
              ? named.get(parameter.name)
              : fallback === undefined
                ? new Undefined(`parameter '${parameter.name}' of macro '${name}' was not given`)
                : this.#value(fallback, inner);
        inner.set(parameter.name, value);
      });
      inner.set('varargs', tupleOf(...args.slice(parameters.length)));
      const known = new Set(parameters.map((parameter) => parameter.name));
      inner.set('kwargs', new Map([...named].filter(([key]) => !known.has(key) && key !== 'caller')));
      if (named.has('caller')) inner.set('caller', named.get('caller'));
      const text = this.#text(body, inner);
      this.#calls -= 1;
      return text;
    });
  }

  #assign(target: Target, value: unknown, frame: Frame): void {
    if (target.kind === 'name') {
      frame.set(target.name, value);
      return;
    }
    if (target.kind === 'attribute') {
      const holder = frame.find(target.of)?.value;
      if (!(holder instanceof Namespace)) {
        throw new TemplateError(
          'failed',
          `cannot set "${target.of}.${target.name}": only a namespace() can be changed`,
        );
      }
      holder.values.set(target.name, value);
      return;
    }
    const items = iterate(value);
    if (items.length !== target.targets.length) {
      throw new TemplateError(
        'failed',
        `cannot spread ${items.length} values over ${target.targets.length} names`,
      );
    }
    target.targets.forEach((inner, index) => {
      this.#assign(inner, items[index], frame);
    });
  }

  #name(name: string, at: number, frame: Frame): unknown {
    const local = frame.find(name);
    if (local !== undefined) return local.value;
    return this.surroundings.name(name, at);
  }

  #value(expression: Expression, frame: Frame): unknown {
    this.surroundings.budget.spend(1);
    switch (expression.kind) {
      case 'literal':
        return expression.value;
      case 'name':
        return this.#name(expression.name, expression.at, frame);
      case 'list':
        return expression.items.map((item) => this.#value(item, frame));
      case 'tuple':
        return tupleOf(...expression.items.map((item) => this.#value(item, frame)));
      case 'dict':
        return new Map(
          expression.entries.map(([key, value]) => [
            hashKey(this.#value(key, frame)),
            this.#value(value, frame),
          ]),
        );
      case 'attribute':
        return this.#attribute(this.#value(expression.of, frame), expression.name, expression.at);
      case 'index': {
        const of = this.#value(expression.of, frame);
        return this.#index(of, this.#value(expression.index, frame), expression.at);
      }
      case 'slice':
        return this.#slice(expression, frame);
      case 'call':
        return this.#call(expression.callee, expression.args, frame, expression.at);
      case 'filter':
        if (expression.of === undefined)
          throw new TemplateError('syntax', 'a filter without a value', expression.at);
        return this.#filterOn(expression, this.#value(expression.of, frame), frame);
      case 'test':
        return this.#testOn(expression, frame);
      case 'unary':
        return this.#unary(expression, frame);
      case 'binary': {
        const left = this.#value(expression.left, frame);
        return locate(expression.at, () =>
          this.#binary(expression.operator, left, this.#value(expression.right, frame)),
        );
      }
      case 'logic':
        return this.#logic(expression, frame);
      case 'compare':
        return this.#compare(expression, frame);
      case 'concat':
        return limitText(expression.parts.map((part) => toText(this.#value(part, frame))).join(''));
      case 'choice': {
        if (isTrue(this.#value(expression.condition, frame))) return this.#value(expression.yes, frame);
        if (expression.no !== undefined) return this.#value(expression.no, frame);
        return new Undefined('the condition does not hold and there is no else', expression.at, true);
      }
    }
  }

  #logic(expression: Extract<Expression, { kind: 'logic' }>, frame: Frame): unknown {
    let value: unknown = null;
    for (const operand of expression.operands) {
      value = this.#value(operand, frame);
      if (operand === expression.operands.at(-1)) break;
      if (isTrue(value) === (expression.operator === 'or')) break;
    }
    return value;
  }

  #compare(expression: Extract<Expression, { kind: 'compare' }>, frame: Frame): boolean {
    let left = this.#value(expression.first, frame);
    for (const { operator, right } of expression.rest) {
      const value = this.#value(right, frame);
      if (!locate(expression.at, () => this.#holds(operator, left, value))) return false;
      left = value;
    }
    return true;
  }

  #holds(operator: string, left: unknown, right: unknown): boolean {
    if (left instanceof Undefined) throw left.error();
    if (right instanceof Undefined) throw right.error();
    if (operator === '==') return equals(left, right);
    if (operator === '!=') return !equals(left, right);
    if (operator === 'in') return contains(right, left);
    if (operator === 'not in') return !contains(right, left);
    const order = compare(left, right);
    if (operator === '<') return order < 0;
    if (operator === '<=') return order <= 0;
    return operator === '>' ? order > 0 : order >= 0;
  }

  #filterOn(expression: Expression, value: unknown, frame: Frame): unknown {
    if (expression.kind !== 'filter') throw new TemplateError('syntax', 'expected a filter');
    const { args, named } = this.#arguments(expression.args, frame);
    return this.filter(expression.name, value, args, named, expression.at);
  }

  #testOn(expression: Extract<Expression, { kind: 'test' }>, frame: Frame): boolean {
    const asksExistence = expression.name === 'defined' || expression.name === 'undefined';
    const value = asksExistence
      ? this.surroundings.unnoticed(() => this.#value(expression.of, frame))
      : this.#value(expression.of, frame);
    const { args, named } = this.#arguments(expression.args, frame);
    return this.test(expression.name, value, args, named, expression.at) !== expression.negated;
  }

  #unary(expression: Extract<Expression, { kind: 'unary' }>, frame: Frame): unknown {
    const value = this.#value(expression.of, frame);
    if (expression.operator === 'not') return !isTrue(value);
    if (value instanceof Undefined) throw value.error();
    const number = typeof value === 'boolean' ? Number(value) : value;
    if (!isNumber(number)) {
      throw new TemplateError(
        'failed',
        `"${expression.operator}" needs a number, not ${typeName(value)}`,
        expression.at,
      );
    }
    const signed = expression.operator === '-' ? -numberOf(number) || 0 : numberOf(number);
    return isFloat(number) ? makeFloat(signed) : signed;
  }

  #binary(operator: string, left: unknown, right: unknown): unknown {
    requireDefined([left, right]);
    if (operator === '+' && typeof left === 'string' && typeof right === 'string')
      return limitText(left + right);
    if (operator === '+' && Array.isArray(left) && Array.isArray(right)) {
      if (left instanceof Tuple === right instanceof Tuple) {
        this.surroundings.budget.spend(left.length + right.length);
        const joined = left instanceof Tuple ? new Tuple() : [];
        for (const item of left) joined.push(item);
        for (const item of right) joined.push(item);
        return joined;
      }
    }
    if (operator === '%' && typeof left === 'string') return limitText(formatPercent(left, right));
    if (operator === '*') {
      const repeated = this.#repeat(left, right) ?? this.#repeat(right, left);
      if (repeated !== undefined) return repeated;
    }
    const time = timeArithmetic(operator, left, right);
    if (time !== undefined) return time;
    const a = typeof left === 'boolean' ? Number(left) : left;
    const b = typeof right === 'boolean' ? Number(right) : right;
    if (!isNumber(a) || !isNumber(b)) {
      throw new TemplateError(
        'failed',
        `"${operator}" does not work between ${typeName(left)} and ${typeName(right)}`,
      );
    }
    return arithmetic(operator, numberOf(a), numberOf(b), isFloat(a) || isFloat(b));
  }

  #repeat(value: unknown, times: unknown): unknown {
    if (typeof times !== 'number' && typeof times !== 'boolean') return undefined;
    const count = Math.max(0, Number(times));
    if (typeof value === 'string') {
      if (value.length * count > 16 * 1024 * 1024) {
        throw new TemplateError('limit', 'the template makes more than 16 MiB of text');
      }
      return value.repeat(count);
    }
    if (!Array.isArray(value)) return undefined;
    if (value.length * count > LARGEST_LIST)
      throw new TemplateError('limit', 'the template makes too long a list');
    const list = value instanceof Tuple ? new Tuple() : [];
    for (let round = 0; round < count; round += 1) list.push(...value);
    return list;
  }

  #attribute(value: unknown, name: string, at: number): unknown {
    if (value instanceof Undefined) return value;
    if (value instanceof Namespace) {
      return value.values.has(name) ? value.values.get(name) : new Undefined(`'${name}' is undefined`, at);
    }
    if (value instanceof RecursiveLoop) return this.#attribute(value.values, name, at);
    if (value instanceof DateTime || value instanceof TimeDelta) {
      if (isTimeMethod(value, name)) return new Callable(name, (args) => callTimeMethod(value, name, args));
      return timeAttribute(value, name) ?? new Undefined(`a date has no '${name}'`, at);
    }
    // Python's methods win over keys in `x.items`, as Jinja looks for an attribute first.
    if (isMethod(value, name)) {
      return new Callable(name, (args, named) => {
        this.surroundings.budget.spend(1, at);
        return callMethod(value, name, args, named);
      });
    }
    return this.#index(value, name, at);
  }

  #index(value: unknown, index: unknown, at?: number): unknown {
    if (value instanceof Undefined) return value;
    if (index instanceof Undefined) throw index.error();
    if (isDict(value)) {
      const found = dictGet(value, index);
      if (found !== undefined || dictHas(value, index)) return found ?? null;
      return new Undefined(`there is no key '${toText(index)}'`, at);
    }
    if (typeof index === 'number' && (Array.isArray(value) || typeof value === 'string')) {
      const items = typeof value === 'string' ? [...value] : value;
      const place = index < 0 ? items.length + index : index;
      if (place >= 0 && place < items.length) return items[place] ?? null;
      return new Undefined(`there is no item ${index} in a ${typeName(value)} of ${items.length}`, at);
    }
    if (value instanceof Namespace) return this.#attribute(value, toText(index), at ?? 0);
    return new Undefined(`a ${typeName(value)} has no '${toText(index)}'`, at);
  }

  #slice(expression: Extract<Expression, { kind: 'slice' }>, frame: Frame): unknown {
    const value = this.#value(expression.of, frame);
    if (value instanceof Undefined) throw value.error();
    const bound = (part: Expression | undefined): number | undefined => {
      const number = part === undefined ? null : this.#value(part, frame);
      if (number instanceof Undefined) throw number.error();
      if (number === null) return undefined;
      if (typeof number !== 'number')
        throw new TemplateError('failed', 'a slice needs whole numbers', expression.at);
      return number;
    };
    const [from, to, step] = [bound(expression.from), bound(expression.to), bound(expression.step) ?? 1];
    if (typeof value === 'string') return sliceItems([...value], from, to, step).join('');
    if (Array.isArray(value)) {
      const items = sliceItems(value, from, to, step);
      return value instanceof Tuple ? tupleOf(...items) : [...items];
    }
    throw new TemplateError('failed', `cannot take a part of a ${typeName(value)}`, expression.at);
  }

  #arguments(given: Arguments, frame: Frame): { args: unknown[]; named: Map<string, unknown> } {
    const args: unknown[] = [];
    for (const { value, spread } of given.positional) {
      const item = this.#value(value, frame);
      if (spread) args.push(...iterate(item));
      else args.push(item);
    }
    const named = new Map<string, unknown>();
    for (const { name, value } of given.named) {
      const item = this.#value(value, frame);
      if (name !== undefined) named.set(name, item);
      else if (isDict(item)) for (const [key, inner] of dictEntries(item)) named.set(toText(key), inner);
      else throw new TemplateError('failed', '"**" needs a dict');
    }
    return { args, named };
  }

  #call(callee: Expression, given: Arguments, frame: Frame, at: number, caller?: Callable): unknown {
    const target = this.#value(callee, frame);
    const { args, named } = this.#arguments(given, frame);
    if (caller !== undefined) named.set('caller', caller);
    const callable = target instanceof RecursiveLoop ? target.again : target;
    if (callable instanceof Undefined) throw callable.error();
    if (!(callable instanceof Callable)) {
      throw new TemplateError('failed', `a ${typeName(callable)} cannot be called`, at);
    }
    return locate(at, () => callable.call(args, named));
  }
}

const CALLER = 'caller';
const UNSET = Symbol('unset');

/** `loop` in a recursive `for`: its attributes, and itself to call. */
class RecursiveLoop {
  constructor(
    readonly values: Map<unknown, unknown>,
    readonly again: Callable,
  ) {}
}

function requireDefined(values: readonly unknown[]): void {
  for (const value of values) if (value instanceof Undefined) throw value.error();
}

/** Gives an error the offset of the expression that raised it, unless something inside knows better. */
function locate<T>(at: number | undefined, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof TemplateError && error.offset === undefined && at !== undefined) {
      throw new TemplateError(error.kind, error.message, at);
    }
    throw error;
  }
}

/** Python's `item in container`. */
export function contains(container: unknown, item: unknown): boolean {
  if (typeof container === 'string') {
    if (typeof item !== 'string') {
      throw new TemplateError('failed', `only text can be looked for in text, not ${typeName(item)}`);
    }
    return container.includes(item);
  }
  if (isDict(container)) return dictHas(container, item);
  if (Array.isArray(container)) return container.some((other) => equals(other, item));
  throw new TemplateError('failed', `cannot look for something in a ${typeName(container)}`);
}

function arithmetic(operator: string, a: number, b: number, float: boolean): unknown {
  const result = (value: number): unknown => (float ? makeFloat(value) : value);
  if (operator === '+') return result(a + b);
  if (operator === '-') return result(a - b);
  if (operator === '*') return result(a * b);
  if (operator === '**') return b < 0 && !float ? makeFloat(a ** b) : result(a ** b);
  if (b === 0) throw new TemplateError('failed', 'division by zero');
  if (operator === '/') return makeFloat(a / b);
  if (operator === '//') return result(Math.floor(a / b) || 0);
  return result(a - b * Math.floor(a / b));
}

function sliceItems<T>(
  items: readonly T[],
  from: number | undefined,
  to: number | undefined,
  step: number,
): T[] {
  if (step === 0) throw new TemplateError('failed', 'the step of a slice cannot be zero');
  const { length } = items;
  const clamp = (bound: number | undefined, fallback: number): number => {
    if (bound === undefined) return fallback;
    const place = bound < 0 ? length + bound : bound;
    return step > 0 ? Math.min(Math.max(place, 0), length) : Math.min(Math.max(place, -1), length - 1);
  };
  const start = clamp(from, step > 0 ? 0 : length - 1);
  const end = clamp(to, step > 0 ? length : -1);
  const taken: T[] = [];
  for (let index = start; step > 0 ? index < end : index > end; index += step) taken.push(items[index] as T);
  return taken;
}
