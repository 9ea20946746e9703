import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { thisMachine } from '../../src/inventory/control-machine.ts';
import { TemplateError } from '../../src/jinja/error.ts';
import { renderTemplate, type TemplateScope, testExpression } from '../../src/jinja/template.ts';

interface Case {
  readonly template: string;
  readonly value?: unknown;
  readonly error?: true;
}
interface Cases {
  readonly vars: Readonly<Record<string, unknown>>;
  readonly cases: readonly Case[];
}
const casesOf = (name: string): Cases =>
  JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8')) as Cases;
const { vars, cases } = casesOf('./template-cases.json');
const filterCases = casesOf('./filter-cases.json');

function scopeOf(values: Readonly<Record<string, unknown>>): TemplateScope {
  return { get: (name) => (Object.hasOwn(values, name) ? values[name] : undefined), lookups: new Map() };
}

function errorOf(work: () => unknown): TemplateError {
  try {
    work();
  } catch (error) {
    if (error instanceof TemplateError) return error;
    throw error;
  }
  throw new Error('no error was thrown');
}

describe('what Ansible itself makes of a template', () => {
  test.each(cases)('$template', ({ template, value, error }) => {
    if (error === true) {
      expect(errorOf(() => renderTemplate(template, scopeOf(vars)))).toBeInstanceOf(TemplateError);
    } else {
      expect(JSON.parse(JSON.stringify(renderTemplate(template, scopeOf(vars)) ?? null))).toEqual(value);
    }
  });
});

describe('what Ansible itself makes of filters and tests of addresses, dates, files and hashes', () => {
  const scope: TemplateScope = { ...scopeOf(filterCases.vars), control: thisMachine(process.env, '/') };
  test.each(filterCases.cases)('$template', ({ template, value, error }) => {
    if (error === true) expect(errorOf(() => renderTemplate(template, scope))).toBeInstanceOf(TemplateError);
    else expect(JSON.parse(JSON.stringify(renderTemplate(template, scope) ?? null))).toEqual(value);
  });
});

describe('where fleet keeps a type that Ansible 2.14 loses', () => {
  test.each([
    ['{{ 5 + 1 }}', 6],
    ['{{ none }}', null],
    ["{{ 'a' | regex_search('b') }}", null],
    ['{{ 10 / 4 }}', 2.5],
    ['{{ missing | default(none) }}', null],
  ])('%s', (template, value) => {
    expect(renderTemplate(template, scopeOf({}))).toEqual(value);
  });
});

describe('addresses', () => {
  test.each([
    ["{{ '10.1.2.3/24' | ipaddr('network') }}", '10.1.2.0'],
    ["{{ '10.1.2.3/24' | ipaddr('netmask') }}", '255.255.255.0'],
    ["{{ '10.1.2.3/24' | ipaddr('address') }}", '10.1.2.3'],
    ["{{ '10.1.2.0/24' | ipaddr('5') }}", '10.1.2.5/24'],
    ["{{ '10.1.2.3' | ipaddr('10.0.0.0/8') }}", '10.1.2.3'],
    ["{{ '11.1.2.3' | ipaddr('10.0.0.0/8') }}", null],
    ["{{ 'nonsense' | ipaddr }}", false],
    ["{{ ['10.0.0.1', 'x', 'fd00::1'] | ipv6 }}", ['fd00::1']],
    ["{{ ['10.0.0.1', 'x', 'fd00::1'] | ipv4 }}", ['10.0.0.1']],
    ["{{ 'fd00::1' | ipwrap }} {{ '10.0.0.1' | ansible.utils.ipwrap }}", '[fd00::1] 10.0.0.1'],
    ["{{ 'fd00:0:0::0001/64' | ipaddr('network') }}", 'fd00::'],
    ["{{ '10.0.0.0/8' | ipsubnet(16, 3) }}", '10.3.0.0/16'],
    ["{{ '10.0.0.0/8' | ipsubnet(16) }}", 256],
    ["{{ '192.168.1.1' | ipmath(10) }}", '192.168.1.11'],
    ["{{ '::ffff:10.0.0.1' | ipaddr('version') }}", 6],
  ])('%s', (template, value) => {
    expect(renderTemplate(template, scopeOf({}))).toEqual(value);
  });
});

describe('secrets', () => {
  const scope = scopeOf({ token: new Secret('sesame'), plain: 'p', nested: { key: new Secret('deep') } });
  test('what is made from a secret is a secret', () => {
    for (const template of [
      '{{ token }}',
      'x {{ token }}',
      '{{ token | b64encode }}',
      '{{ nested.key }}',
      '{{ nested }}',
    ]) {
      const value = renderTemplate(template, scope);
      expect(JSON.stringify(value)).not.toMatch(/sesame|deep|c2VzYW1l/);
    }
    const joined = renderTemplate('{{ plain }}-{{ token }}', scope);
    expect(joined).toBeInstanceOf(Secret);
    expect((joined as Secret).reveal()).toBe('p-sesame');
  });
  test('asking whether a secret exists reveals nothing', () => {
    expect(renderTemplate("{{ 'yes' if token is defined else 'no' }}", scope)).toBe('yes');
    expect(renderTemplate('{{ plain }}', scope)).toBe('p');
    expect(renderTemplate('{{ token | length }}', scope)).toBe(6);
  });
});

describe('a template cannot reach out', () => {
  test.each([
    "{{ lookup('env', 'HOME') }}",
    "{{ lookup('file', '/etc/passwd') }}",
    "{{ lookup('pipe', 'id') }}",
    "{{ ''.__class__.__mro__ }}",
    "{{ ''.constructor.constructor('return process')() }}",
    '{{ constructor }}',
    '{{ __proto__ }}',
    '{{ {}.__proto__ }}',
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    '{{ process }}',
    '{{ require }}',
    '{{ toString }}',
    "{{ '/etc/passwd' | fileglob }}",
    "{{ '/etc/passwd' is file }}",
    "{{ '~' | expanduser }}",
    "{{ '$HOME' | expandvars }}",
    "{{ '/etc' | realpath }}",
  ])('%s', (template) => {
    expect(errorOf(() => renderTemplate(template, scopeOf({})))).toBeInstanceOf(TemplateError);
  });
});

describe('a template cannot run away', () => {
  test.each([
    '{% for a in range(100000) %}{% for b in range(100000) %}{{ b }}{% endfor %}{% endfor %}',
    "{{ 'a' * 1000000000 }}",
    "{{ ('a' * 1000000) * 1000000 }}",
    '{{ [1] * 100000000 }}',
    '{{ range(100000000) | list }}',
    `{{ ${'('.repeat(5000)}1${')'.repeat(5000)} }}`,
    `{{ ${'-'.repeat(50000)}1 }}`,
    `{{ ${'not '.repeat(20000)}1 }}`,
    `{{ 1${' + 1'.repeat(50000)} }}`,
    `{{ 1${' | abs'.repeat(50000)} }}`,
    `{{ 1${' if 1 else 1'.repeat(20000)} }}`,
    '{% if 1 %}'.repeat(5000),
    '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}',
    `{% set ns = namespace(l=[1]) %}${'{% set ns.l = ns.l + ns.l %}'.repeat(60)}`,
    "{{ ('a' * 40) | regex_search('(a+)+$b') }}{{ ('a' * 40 ~ 'b') | regex_replace('(a+)+$', '') }}",
    '{{ [1,2,3,4,5,6,7,8,9,10,11,12] | permutations | list }}',
    "{{ '%1000000000d' % 5 }}",
    '{% for x in range(10) recursive %}{{ loop(range(10)) }}{% endfor %}',
  ])('%#', (template) => {
    const started = performance.now();
    const error = errorOf(() => renderTemplate(template, scopeOf({})));
    expect(error.kind).toMatch(/limit|failed|syntax/);
    expect(performance.now() - started).toBeLessThan(15_000);
  });
});

describe('errors', () => {
  test.each([
    ['{{ missing }}', 'undefined', /'missing' is undefined/],
    ['{{ a.b.c }}', 'undefined', /'a' is undefined/],
    ['{{ 1 + }}', 'syntax', /expected an expression/],
    ['{{ x', 'syntax', /not closed/],
    ['{% if x %}', 'syntax', /missing {% endif %}/],
    ['{{ 1 | nofilter }}', 'failed', /no filter "nofilter"/],
    ["{{ 1 + 'a' }}", 'failed', /int and str/],
    ["{{ 'x' is match('(') }}", 'failed', /regular expression/],
  ] as const)('%s', (template, kind, message) => {
    const error = errorOf(() => renderTemplate(template, scopeOf({})));
    expect(error.kind).toBe(kind);
    expect(error.message).toMatch(message);
  });
  test('an error knows where in the template it is', () => {
    expect(errorOf(() => renderTemplate('abc {{ missing }}', scopeOf({}))).offset).toBe(7);
  });
});

describe('conditions', () => {
  const scope = scopeOf({
    flag: true,
    text: 'false',
    result: { failed: true, results: [] },
    version: '1.30.0',
  });
  test.each([
    ['flag', true],
    ['not flag', false],
    ['text', true],
    ['text | bool', false],
    ['result is failed', true],
    ['result is succeeded', false],
    ['missing is not defined', true],
    ["version is version('1.31', '<') and flag", true],
  ])('%s', (expression, holds) => {
    expect(testExpression(expression, scope)).toBe(holds);
  });
  test('an undefined name is an error, not false', () => {
    expect(errorOf(() => testExpression('missing', scope)).kind).toBe('undefined');
    expect(errorOf(() => testExpression('not missing', scope)).kind).toBe('undefined');
  });
});

test('omit leaves nothing', () => {
  expect(renderTemplate('{{ missing | default(omit) }}', scopeOf({}))).toBeUndefined();
});

test('values of the inventory cannot be changed by a template', () => {
  const list = Object.freeze([1]);
  expect(errorOf(() => renderTemplate('{{ l.append(2) }}', scopeOf({ l: list }))).kind).toBe('failed');
});
