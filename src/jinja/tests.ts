import { FilterArguments } from './arguments.ts';
import { TemplateError } from './error.ts';
import type { Evaluator, Test } from './evaluator.ts';
import { toBoolean } from './filters-text.ts';
import { parseNetwork } from './ip.ts';
import { contains } from './operators.ts';
import { compileRegex, firstMatch } from './regex.ts';
import {
  Callable,
  compare,
  dictGet,
  equals,
  isDict,
  isFloat,
  isNumber,
  isTrue,
  iterate,
  numberOf,
  toText,
  typeName,
  Undefined,
} from './value.ts';

function test(holds: (value: unknown, args: FilterArguments, evaluator: Evaluator) => boolean): Test {
  return {
    holds: (value, args, named, evaluator) => holds(value, new FilterArguments(args, named), evaluator),
  };
}

function regexTest(anchor: 'search' | 'match'): Test {
  return test((value, args) => {
    const regex = compileRegex(args.text(0, 'pattern'), {
      ignoreCase: args.flag(1, 'ignorecase', false),
      multiline: args.flag(2, 'multiline', false),
    });
    return firstMatch(regex, toText(value), anchor === 'match') !== null;
  });
}

const byType: Test = test((value, args) => {
  const regex = compileRegex(args.text(0, 'pattern'), {
    ignoreCase: args.flag(1, 'ignorecase', false),
    multiline: args.flag(2, 'multiline', false),
  });
  return firstMatch(regex, toText(value), args.text(3, 'match_type', 'search') !== 'search') !== null;
});

/** Loose version order: numbers by value, words by letter, as Python's LooseVersion. */
function compareVersions(a: string, b: string): number {
  const parts = (text: string): (string | number)[] =>
    (text.match(/\d+|[a-z]+/gi) ?? []).map((part) => (/^\d/.test(part) ? Number(part) : part));
  const [left, right] = [parts(a), parts(b)];
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const [one, two] = [left[index], right[index]];
    if (one === undefined) return -1;
    if (two === undefined) return 1;
    if (typeof one !== typeof two)
      throw new TemplateError('failed', `cannot compare the versions "${a}" and "${b}"`);
    if (one !== two) return one < two ? -1 : 1;
  }
  return 0;
}

/** Semantic versions: a pre-release comes before its release; build metadata does not count. */
function compareSemantic(a: string, b: string): number {
  const parse = (text: string): { core: string; pre: readonly string[] } => {
    const match = /^(\d+\.\d+\.\d+)(?:-([\w.-]+))?(?:\+[\w.-]+)?$/.exec(text);
    if (match === null) throw new TemplateError('failed', `"${text}" is not a semantic version`);
    return { core: match[1] ?? '', pre: match[2]?.split('.') ?? [] };
  };
  const [left, right] = [parse(a), parse(b)];
  const core = compareVersions(left.core, right.core);
  if (core !== 0 || (left.pre.length === 0 && right.pre.length === 0)) return core;
  if (left.pre.length === 0) return 1;
  if (right.pre.length === 0) return -1;
  for (let index = 0; index < Math.max(left.pre.length, right.pre.length); index += 1) {
    const [one, two] = [left.pre[index], right.pre[index]];
    if (one === undefined) return -1;
    if (two === undefined) return 1;
    const numbers = /^\d+$/.test(one) && /^\d+$/.test(two);
    const order = numbers ? Number(one) - Number(two) : one < two ? -1 : one > two ? 1 : 0;
    if (order !== 0) return order;
  }
  return 0;
}

const OPERATORS: Readonly<Record<string, (order: number) => boolean>> = {
  '==': (order) => order === 0,
  '=': (order) => order === 0,
  eq: (order) => order === 0,
  '<': (order) => order < 0,
  lt: (order) => order < 0,
  '<=': (order) => order <= 0,
  le: (order) => order <= 0,
  '>': (order) => order > 0,
  gt: (order) => order > 0,
  '>=': (order) => order >= 0,
  ge: (order) => order >= 0,
  '!=': (order) => order !== 0,
  '<>': (order) => order !== 0,
  ne: (order) => order !== 0,
};

const version: Test = test((value, args) => {
  const other = toText(args.get(0, 'version') ?? '');
  const operator = args.text(1, 'operator', 'eq');
  const strict = args.flag(2, 'strict', false);
  const kind = args.maybeText(3, 'version_type');
  const holds = OPERATORS[operator];
  if (holds === undefined) throw new TemplateError('failed', `version knows no operator "${operator}"`);
  const text = toText(value);
  if (text === '' || other === '') throw new TemplateError('failed', 'a version to compare is empty');
  const semantic = kind === 'semver' || kind === 'semantic';
  if (strict && !/^\d+\.\d+(?:\.\d+)?(?:[ab]\d+)?$/.test(text)) {
    throw new TemplateError('failed', `"${text}" is not a strict version`);
  }
  return holds(semantic ? compareSemantic(text, other) : compareVersions(text, other));
});

/** Tests of a step's registered result: `result is failed`. */
function outcome(holds: (result: (key: string) => boolean) => boolean): Test {
  return test((value) => {
    if (!isDict(value))
      throw new TemplateError('failed', `this test needs a registered result, not ${typeName(value)}`);
    return holds((key) => {
      const flag = dictGet(value, key);
      return flag !== undefined && isTrue(flag);
    });
  });
}

function skippedAll(value: unknown): boolean {
  const results = isDict(value) ? dictGet(value, 'results') : undefined;
  return (
    Array.isArray(results) &&
    results.length > 0 &&
    results.every((item) => isDict(item) && dictGet(item, 'skipped') === true)
  );
}

const ORDER: Readonly<Record<string, (order: number) => boolean>> = {
  lt: (order) => order < 0,
  lessthan: (order) => order < 0,
  '<': (order) => order < 0,
  le: (order) => order <= 0,
  '<=': (order) => order <= 0,
  gt: (order) => order > 0,
  greaterthan: (order) => order > 0,
  '>': (order) => order > 0,
  ge: (order) => order >= 0,
  '>=': (order) => order >= 0,
};

function ipTest(wanted: 4 | 6 | undefined): Test {
  return test((value) => {
    const network = typeof value === 'string' ? parseNetwork(value) : undefined;
    return network !== undefined && (wanted === undefined || network.version === wanted);
  });
}

function same(expected: boolean): Test {
  return test((value, args) => equals(value, args.get(0, 'other') ?? null) === expected);
}

const isNan = test((value) => isNumber(value) && Number.isNaN(numberOf(value)));
const failed = outcome((has) => has('failed'));
const succeeded = outcome((has) => !has('failed'));
const changed = outcome((has) => has('changed'));

/** Jinja's and Ansible's tests of values, by name. */
export const TESTS: ReadonlyMap<string, Test> = new Map<string, Test>([
  ['defined', { seesUndefined: true, holds: (value) => !(value instanceof Undefined) }],
  ['undefined', { seesUndefined: true, holds: (value) => value instanceof Undefined }],
  ['none', test((value) => value === null)],
  ['true', test((value) => value === true)],
  ['false', test((value) => value === false)],
  ['boolean', test((value) => typeof value === 'boolean')],
  ['string', test((value) => typeof value === 'string')],
  ['number', test((value) => isNumber(value) || typeof value === 'boolean')],
  ['integer', test((value) => isNumber(value) && !isFloat(value))],
  ['float', test((value) => isFloat(value))],
  ['mapping', test(isDict)],
  ['sequence', test((value) => Array.isArray(value) || typeof value === 'string' || isDict(value))],
  ['iterable', test((value) => Array.isArray(value) || typeof value === 'string' || isDict(value))],
  ['callable', test((value) => value instanceof Callable)],
  ['sameas', test((value, args) => value === args.get(0, 'other'))],
  ['escaped', test(() => false)],
  ['odd', test((value) => Math.abs(number(value) % 2) === 1)],
  ['even', test((value) => number(value) % 2 === 0)],
  ['divisibleby', test((value, args) => number(value) % args.number(0, 'num') === 0)],
  ['upper', test((value) => toText(value) === toText(value).toUpperCase() && /\p{Lu}/u.test(toText(value)))],
  ['lower', test((value) => toText(value) === toText(value).toLowerCase() && /\p{Ll}/u.test(toText(value)))],
  ['in', test((value, args) => contains(args.get(0, 'seq'), value))],
  ['contains', test((value, args) => contains(value, args.get(0, 'item')))],
  ['eq', same(true)],
  ['equalto', same(true)],
  ['==', same(true)],
  ['ne', same(false)],
  ['!=', same(false)],
  ...Object.entries(ORDER).map(([name, holds]): [string, Test] => [
    name,
    test((value, args) => holds(compare(value, args.get(0, 'other')))),
  ]),
  ['search', regexTest('search')],
  ['match', regexTest('match')],
  ['regex', byType],
  ['version', version],
  ['version_compare', version],
  [
    'truthy',
    test((value, args) => (args.flag(0, 'convert_bool', false) ? isTrue(converted(value)) : isTrue(value))),
  ],
  [
    'falsy',
    test((value, args) => (args.flag(0, 'convert_bool', false) ? !isTrue(converted(value)) : !isTrue(value))),
  ],
  ['any', test((value) => iterate(value).some(isTrue))],
  ['all', test((value) => iterate(value).every(isTrue))],
  ['subset', test((value, args) => includesAll(args.get(0, 'b'), value))],
  ['issubset', test((value, args) => includesAll(args.get(0, 'b'), value))],
  ['superset', test((value, args) => includesAll(value, args.get(0, 'b')))],
  ['issuperset', test((value, args) => includesAll(value, args.get(0, 'b')))],
  ['failed', failed],
  ['failure', failed],
  ['succeeded', succeeded],
  ['success', succeeded],
  ['successful', succeeded],
  ['changed', changed],
  ['change', changed],
  [
    'skipped',
    { holds: (value) => (isDict(value) && dictGet(value, 'skipped') === true) || skippedAll(value) },
  ],
  ['skip', { holds: (value) => (isDict(value) && dictGet(value, 'skipped') === true) || skippedAll(value) }],
  ['unreachable', outcome((has) => has('unreachable'))],
  ['reachable', outcome((has) => !has('unreachable'))],
  ['finished', outcome((has) => has('finished'))],
  ['started', outcome((has) => has('started'))],
  ['nan', isNan],
  ['isnan', isNan],
  ['filter', test((value, _args, evaluator) => evaluator.surroundings.filters.has(toText(value)))],
  ['test', test((value, _args, evaluator) => evaluator.surroundings.tests.has(toText(value)))],
  ['abs', test((value) => toText(value).startsWith('/'))],
  ['is_abs', test((value) => toText(value).startsWith('/'))],
  ['ip', ipTest(undefined)],
  ['ip_address', ipTest(undefined)],
  ['ipv4', ipTest(4)],
  ['ipv4_address', ipTest(4)],
  ['ipv6', ipTest(6)],
  ['ipv6_address', ipTest(6)],
  ['vault_encrypted', test((value) => toText(value).startsWith('$ANSIBLE_VAULT;'))],
  ['uri', test((value) => /^[a-z][a-z0-9+.-]*:\S+$/i.test(toText(value)))],
  ['url', test((value) => /^(?:https?|ftps?|file|s3|git|ssh):\/\/\S+$/i.test(toText(value)))],
  ['urn', test((value) => /^urn:[\w-]+:\S+$/i.test(toText(value)))],
]);

function number(value: unknown): number {
  if (isNumber(value)) return numberOf(value);
  if (typeof value === 'boolean') return Number(value);
  throw new TemplateError('failed', `expected a number, not ${typeName(value)}`);
}

function converted(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const word = value.toLowerCase();
  if (['y', 't'].includes(word)) return true;
  return ['yes', 'on', '1', 'true', 'no', 'off', '0', 'false', 'n', 'f'].includes(word)
    ? toBoolean(value)
    : value;
}

function includesAll(whole: unknown, part: unknown): boolean {
  const items = iterate(whole);
  return iterate(part).every((item) => items.some((other) => equals(other, item)));
}
