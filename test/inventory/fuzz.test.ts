import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FleetError, FleetErrors } from '../../src/core/errors.ts';
import { clustersOf } from '../../src/inventory/cluster.ts';
import { iniValue } from '../../src/inventory/ini-inventory.ts';
import type { LoadedFleet } from '../../src/inventory/loaded-fleet.ts';
import { inventoryGraph, inventoryList } from '../../src/inventory/render.ts';
import { validateFleet } from '../../src/inventory/validate.ts';
import { TemplateError } from '../../src/jinja/error.ts';
import { renderTemplate } from '../../src/jinja/template.ts';
import { load, loadIni, loadYaml } from './files-in-memory.ts';
import { Dice, randomInventory } from './random-inventory.ts';

/** Pieces that inventories are made of, so that nonsense is likely to be almost right. */
const pieces = fc.constantFrom(
  ...'all: |hosts:|children:|vars:|server:|agent:|k3s_cluster:|node[1:3]:|- |: |\n|\n  |\n    |\n      |{|}|[|]|"|\'|{{ |}}|{% if x %}|{% endif %}|{# |#}|&a |*a|<<: |!vault |!unsafe |---\n|...\n|?|\t|\r\n|#|,|=|token: x|[all:vars]|[a:children]|\u0000|é|\ud83d\ude00|🦊|0x1f|1:30|~|$ANSIBLE_VAULT;1.1;AES256|plugin: x|ansible_group_priority: |k3s_version: 1|| |'.split(
    '|',
  ),
);
const nonsense = fc
  .array(fc.oneof({ weight: 8, arbitrary: pieces }, fc.string({ maxLength: 4 })), { maxLength: 40 })
  .map((parts) => parts.join(''));

function use(fleet: LoadedFleet): void {
  JSON.stringify(inventoryList(fleet));
  inventoryGraph(fleet);
  validateFleet(fleet);
  for (const host of fleet.hosts.values()) {
    for (const name of host.vars.names()) only(() => host.vars.get(name));
  }
  only(() => clustersOf(fleet));
  only(() => fleet.select('server:!agent'));
}

function only(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof FleetError) && !(error instanceof FleetErrors)) throw error;
  }
}

async function read(loading: Promise<LoadedFleet>): Promise<void> {
  try {
    use(await loading);
  } catch (error) {
    if (!(error instanceof FleetError) && !(error instanceof FleetErrors)) throw error;
  }
}

describe('no input does worse than a FleetError', () => {
  test('YAML', async () => {
    await fc.assert(
      fc.asyncProperty(nonsense, (text) => read(loadYaml(text))),
      { numRuns: 600 },
    );
  });
  test('INI', async () => {
    await fc.assert(
      fc.asyncProperty(nonsense, (text) => read(loadIni(text))),
      { numRuns: 600 },
    );
  });
  test('answers of programs, and -e', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json(), nonsense, (json, extra) =>
        read(load({ '/inv/x': () => json }, { sources: ['/inv/x'], extraVars: [extra] })),
      ),
      { numRuns: 300 },
    );
  });
  test('templates', () => {
    const code = fc.constantFrom(
      ...'{{ |}}|{% |%}|{#|#}|if |endif |for x in |endfor |set a = |macro m() |endmacro |x|y.z|[0]|[1:2]|(|)|[|]|{|}|| |is defined|in |not |and |or |+|-|*|**|//|~|1|2.5|"s"|\'|default(|map(|join(|select(|range(9)|loop.|caller()|namespace(|.append(|.items()|regex_replace("(a+)+","")|to_json|from_yaml|ipaddr|%|==|<|,|:|raw |endraw |call |if 1 else |\n'.split(
        '|',
      ),
    );
    fc.assert(
      fc.property(fc.array(code, { maxLength: 30 }), (parts) => {
        try {
          renderTemplate(parts.join(''), {
            get: (name) => (name === 'x' ? Object.freeze(['a', 1, null]) : undefined),
          });
        } catch (error) {
          expect(error).toBeInstanceOf(TemplateError);
        }
      }),
      { numRuns: 3000 },
    );
  });
  test.each([
    [
      'a laughing matter',
      `a: &a [${'x,'.repeat(9)}]\n${[...'bcdefghij'].map((name, at) => `${name}: &${name} [${`*${'abcdefghij'[at]},`.repeat(9)}]`).join('\n')}\nall: {vars: {x: *j}}`,
    ],
    ['brackets', `all: {vars: {a: ${'['.repeat(20_000)}`],
    ['braces', `${'{a: '.repeat(5000)}`],
    [
      'deep groups',
      Array.from(
        { length: 500 },
        (_item, at) => `${' '.repeat(at * 2)}${at % 2 === 0 ? `g${at}` : 'children'}:`,
      ).join('\n'),
    ],
    ['a long line', `all: {vars: {a: "${'x'.repeat(1_000_000)}"}}`],
    ['an alias of itself', 'a: &a {children: *a}'],
    ['a merge of itself', 'a: &a\n  <<: *a\n  hosts: {x: }'],
    ['many ranges', 'all: {hosts: {"[1:99][1:99][1:99]": }}'],
  ])('%s', async (_what, text) => {
    await read(loadYaml(text));
  });
});

describe('properties', () => {
  test('a random inventory reads the same each time, and every group’s hosts are hosts', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1 }), async (seed) => {
        const files = Object.fromEntries(
          [...randomInventory(new Dice(seed))].map(([path, text]) => [`/inv/${path}`, text]),
        );
        const sources = [Object.keys(files)[0] ?? ''];
        const once = await load(files, { sources }).catch((error: unknown) => error);
        if (once instanceof Error) {
          expect(once.name).toMatch(/^FleetErrors?$/);
          return;
        }
        const fleet = once as LoadedFleet;
        expect(inventoryList(await load(files, { sources }))).toEqual(inventoryList(fleet));
        for (const group of fleet.groups.values())
          for (const name of group.hosts) expect(fleet.hosts.has(name)).toBe(true);
        use(fleet);
      }),
      { numRuns: 150 },
    );
  });
  test('INI values: numbers and quoted texts come back', () => {
    fc.assert(
      fc.property(fc.integer(), fc.stringMatching(/^[\w .:/-]*$/), (number, text) => {
        expect(iniValue(String(number))).toBe(number);
        expect(iniValue(`'${text}'`)).toBe(text);
      }),
    );
  });
});
