import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { NASTY_INVENTORIES } from './nasty-inventories.ts';
import { type Reading, readByAnsible, readByFleet } from './nasty-reading.ts';

type Answer = Pick<Reading, 'list' | 'patterns'>;

/** Of ansible-core 2.14.18, by nasty-answers.ts. */
const answers = JSON.parse(
  readFileSync(new URL('./nasty-answers.json', import.meta.url), 'utf8'),
) as Readonly<Record<string, Answer>>;
const nasty = Object.entries(NASTY_INVENTORIES);
const hasAnsible = spawnSync('/usr/bin/python3', ['-c', 'import ansible']).status === 0;

/** What can be compared: of an inventory that was refused, its patterns mean nothing. */
function compared({ list, patterns }: Answer): Answer {
  return { list, patterns: list === null ? {} : patterns };
}

describe('an inventory is read as Ansible reads it', () => {
  test.each(nasty.filter(([, { differs }]) => differs === undefined))('%s', async (name, inventory) => {
    expect(compared(await readByFleet(inventory))).toEqual(compared(answers[name] as Answer));
  });

  test.each(nasty.filter(([, { differs }]) => differs !== undefined))(
    'otherwise on purpose: %s',
    async (name, inventory) => {
      expect(compared(await readByFleet(inventory))).not.toEqual(compared(answers[name] as Answer));
    },
  );

  test.skipIf(!hasAnsible)(
    'the kept answers are those of the Ansible that is installed here',
    { timeout: 60_000 },
    () => {
      const now = readByAnsible(nasty.map(([, inventory]) => inventory)) ?? [];
      for (const [index, [name]] of nasty.entries()) {
        expect({ name, ...compared(now[index] as Answer) }).toEqual({
          name,
          ...compared(answers[name] as Answer),
        });
      }
    },
  );
});
