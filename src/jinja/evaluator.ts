import type { Budget } from './budget.ts';
import type { ControlMachine } from './control-machine.ts';
import { DateTime, TimeDelta } from './date-time.ts';
import { locate, TemplateError } from './error.ts';
import { Frame } from './frame.ts';
import { RecursiveLoop } from './loop.ts';
import { callMethod, isMethod } from './methods.ts';
import { holds, operate, signed, slice } from './operators.ts';
import type { Arguments, Expression } from './syntax.ts';
import { callTimeMethod, isTimeMethod, timeAttribute } from './time.ts';
import {
  Callable,
  dictEntries,
  dictGet,
  dictHas,
  hashKey,
  isDict,
  isTrue,
  iterate,
  limitText,
  Namespace,
  requireDefined,
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

/** Finds the values of expressions. One evaluator serves one rendering. */
export class Evaluator {
  constructor(readonly surroundings: Surroundings) {}

  /** The value of an expression that stands alone. */
  evaluate(expression: Expression): unknown {
    return this.value(expression, new Frame());
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

  #name(name: string, at: number, frame: Frame): unknown {
    const local = frame.find(name);
    if (local !== undefined) return local.value;
    return this.surroundings.name(name, at);
  }

  /** The value of an expression among these local names. */
  value(expression: Expression, frame: Frame): unknown {
    this.surroundings.budget.spend(1);
    switch (expression.kind) {
      case 'literal':
        return expression.value;
      case 'name':
        return this.#name(expression.name, expression.at, frame);
      case 'list':
        return expression.items.map((item) => this.value(item, frame));
      case 'tuple':
        return tupleOf(...expression.items.map((item) => this.value(item, frame)));
      case 'dict':
        return new Map(
          expression.entries.map(([key, value]) => [
            hashKey(this.value(key, frame)),
            this.value(value, frame),
          ]),
        );
      case 'attribute':
        return this.#attribute(this.value(expression.of, frame), expression.name, expression.at);
      case 'index': {
        const of = this.value(expression.of, frame);
        return this.#index(of, this.value(expression.index, frame), expression.at);
      }
      case 'slice':
        return this.#slice(expression, frame);
      case 'call':
        return this.call(expression.callee, expression.args, frame, expression.at);
      case 'filter':
        if (expression.of === undefined)
          throw new TemplateError('syntax', 'a filter without a value', expression.at);
        return this.filterWith(expression, this.value(expression.of, frame), frame);
      case 'test':
        return this.#testOn(expression, frame);
      case 'unary': {
        const value = this.value(expression.of, frame);
        if (expression.operator === 'not') return !isTrue(value);
        return signed(expression.operator, value, expression.at);
      }
      case 'binary': {
        const left = this.value(expression.left, frame);
        return locate(expression.at, () =>
          operate(expression.operator, left, this.value(expression.right, frame), this.surroundings.budget),
        );
      }
      case 'logic':
        return this.#logic(expression, frame);
      case 'compare':
        return this.#compare(expression, frame);
      case 'concat':
        return limitText(expression.parts.map((part) => toText(this.value(part, frame))).join(''));
      case 'choice': {
        if (isTrue(this.value(expression.condition, frame))) return this.value(expression.yes, frame);
        if (expression.no !== undefined) return this.value(expression.no, frame);
        return new Undefined('the condition does not hold and there is no else', expression.at, true);
      }
    }
  }

  #logic(expression: Extract<Expression, { kind: 'logic' }>, frame: Frame): unknown {
    let value: unknown = null;
    for (const operand of expression.operands) {
      value = this.value(operand, frame);
      if (operand === expression.operands.at(-1)) break;
      if (isTrue(value) === (expression.operator === 'or')) break;
    }
    return value;
  }

  #compare(expression: Extract<Expression, { kind: 'compare' }>, frame: Frame): boolean {
    let left = this.value(expression.first, frame);
    for (const { operator, right } of expression.rest) {
      const value = this.value(right, frame);
      if (!locate(expression.at, () => holds(operator, left, value))) return false;
      left = value;
    }
    return true;
  }

  /** A filter with its arguments, as `{% filter upper %}` has it, on a value. */
  filterWith(expression: Expression, value: unknown, frame: Frame): unknown {
    if (expression.kind !== 'filter') throw new TemplateError('syntax', 'expected a filter');
    const { args, named } = this.#arguments(expression.args, frame);
    return this.filter(expression.name, value, args, named, expression.at);
  }

  #testOn(expression: Extract<Expression, { kind: 'test' }>, frame: Frame): boolean {
    const asksExistence = expression.name === 'defined' || expression.name === 'undefined';
    const value = asksExistence
      ? this.surroundings.unnoticed(() => this.value(expression.of, frame))
      : this.value(expression.of, frame);
    const { args, named } = this.#arguments(expression.args, frame);
    return this.test(expression.name, value, args, named, expression.at) !== expression.negated;
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
    const value = this.value(expression.of, frame);
    if (value instanceof Undefined) throw value.error();
    const bound = (part: Expression | undefined): number | undefined => {
      const number = part === undefined ? null : this.value(part, frame);
      if (number instanceof Undefined) throw number.error();
      if (number === null) return undefined;
      if (typeof number !== 'number')
        throw new TemplateError('failed', 'a slice needs whole numbers', expression.at);
      return number;
    };
    const [from, to, step] = [bound(expression.from), bound(expression.to), bound(expression.step) ?? 1];
    return slice(value, from, to, step, expression.at);
  }

  #arguments(given: Arguments, frame: Frame): { args: unknown[]; named: Map<string, unknown> } {
    const args: unknown[] = [];
    for (const { value, spread } of given.positional) {
      const item = this.value(value, frame);
      if (spread) args.push(...iterate(item));
      else args.push(item);
    }
    const named = new Map<string, unknown>();
    for (const { name, value } of given.named) {
      const item = this.value(value, frame);
      if (name !== undefined) named.set(name, item);
      else if (isDict(item)) for (const [key, inner] of dictEntries(item)) named.set(toText(key), inner);
      else throw new TemplateError('failed', '"**" needs a dict');
    }
    return { args, named };
  }

  /** Calls what an expression names. `caller` is what stands inside of `{% call %}`. */
  call(callee: Expression, given: Arguments, frame: Frame, at: number, caller?: Callable): unknown {
    const target = this.value(callee, frame);
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
