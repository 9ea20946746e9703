import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { commands } from '../../src/cli/commands.ts';
import { type Flag, flagGroups } from '../../src/cli/flags.ts';

/** Flags of other programs that errors speak of: an inventory script's and sops'. */
const ofOthers = new Set(['--list', '--decrypt']);
const flags: readonly Flag[] = [
  ...Object.values(flagGroups).flat(),
  ...commands.flatMap((command) => command.flags ?? []),
];

/** The page is drawn from the sources: what no command takes must not be what a person is told to try. */
test('every flag that an error names is one that fleet takes', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/reference/errors.md'), 'utf8');
  const named = new Set(page.match(/(?<![\w-])--[a-z][a-z-]*[a-z]/g));
  const known = new Set(flags.flatMap((flag) => flag.flags.match(/--[a-z][a-z-]*/g) ?? []));
  expect(named.size).toBeGreaterThan(10);
  expect([...named].filter((flag) => !known.has(flag) && !ofOthers.has(flag))).toEqual([]);
});
