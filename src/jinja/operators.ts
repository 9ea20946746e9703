import type { Budget } from './budget.ts';
import { TemplateError } from './error.ts';
import { formatPercent } from './format.ts';
import type { BinaryOperator, CompareOperator } from './syntax.ts';
import { timeArithmetic } from './time.ts';
import {
  compare,
  dictHas,
  equals,
  isDict,
  isFloat,
  isNumber,
  limitText,
  makeFloat,
  numberOf,
  requireDefined,
  Tuple,
  tupleOf,
  typeName,
  Undefined,
} from './value.ts';

const LARGEST_LIST = 1_000_000;

/** A comparison as Python has it. @throws TemplateError for what is undefined, or has no order */
export function holds(operator: CompareOperator, left: unknown, right: unknown): boolean {
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

/** `-value` or `+value`. */
export function signed(operator: '-' | '+', value: unknown, at: number): unknown {
  if (value instanceof Undefined) throw value.error();
  const number = typeof value === 'boolean' ? Number(value) : value;
  if (!isNumber(number)) {
    throw new TemplateError('failed', `"${operator}" needs a number, not ${typeName(value)}`, at);
  }
  const result = operator === '-' ? -numberOf(number) || 0 : numberOf(number);
  return isFloat(number) ? makeFloat(result) : result;
}

/**
 * What stands between two values, as Python has it: sums and products, texts and lists put together, dates moved.
 * @throws TemplateError for values that it does not work between
 */
export function operate(operator: BinaryOperator, left: unknown, right: unknown, budget: Budget): unknown {
  requireDefined([left, right]);
  if (operator === '+' && typeof left === 'string' && typeof right === 'string')
    return limitText(left + right);
  if (operator === '+' && Array.isArray(left) && Array.isArray(right)) {
    if (left instanceof Tuple === right instanceof Tuple) {
      budget.spend(left.length + right.length);
      const joined = left instanceof Tuple ? new Tuple() : [];
      for (const item of left) joined.push(item);
      for (const item of right) joined.push(item);
      return joined;
    }
  }
  if (operator === '%' && typeof left === 'string') return limitText(formatPercent(left, right));
  if (operator === '*') {
    const repeated = repeat(left, right) ?? repeat(right, left);
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

function repeat(value: unknown, times: unknown): unknown {
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

/** `value[from:to:step]` of a text, a list or a tuple. */
export function slice(
  value: unknown,
  from: number | undefined,
  to: number | undefined,
  step: number,
  at: number,
): unknown {
  if (typeof value === 'string') return sliceItems([...value], from, to, step).join('');
  if (Array.isArray(value)) {
    const items = sliceItems(value, from, to, step);
    return value instanceof Tuple ? tupleOf(...items) : [...items];
  }
  throw new TemplateError('failed', `cannot take a part of a ${typeName(value)}`, at);
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
