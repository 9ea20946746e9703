/**
 * Compares fleet's reading of random inventories with that of a real `ansible-inventory`. Not part of the tests:
 *   npx tsx test/inventory/compare-with-ansible.ts [how many] [seed]
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { asFleetErrors } from '../../src/core/errors.ts';
import { loadFleet } from '../../src/inventory/load-fleet.ts';
import { inventoryGraph, inventoryList } from '../../src/inventory/render.ts';
import { Dice, randomInventory } from './random-inventory.ts';

const count = Number(process.argv[2] ?? 50);
const seed = Number(process.argv[3] ?? 1);

function ansible(
  inventory: string,
  what: '--list' | '--graph',
): { readonly text: string; readonly warnings: string } {
  const run = spawnSync('ansible-inventory', ['-i', inventory, what], {
    encoding: 'utf8',
    env: { ...process.env, ANSIBLE_NOCOLOR: '1' },
    maxBuffer: 64 * 1024 * 1024,
  });
  return { text: run.stdout, warnings: run.stderr };
}

async function main(): Promise<number> {
  if (spawnSync('ansible-inventory', ['--version']).status !== 0) {
    process.stdout.write(
      'skipped: there is no ansible-inventory here (Debian: apt-get install ansible-core)\n',
    );
    return 0;
  }
  let same = 0;
  let refused = 0;
  let different = 0;
  for (let number = 0; number < count; number += 1) {
    const files = randomInventory(new Dice(seed * 1_000_003 + number * 7919));
    const folder = mkdtempSync(join(tmpdir(), 'fleet-compare-'));
    for (const [path, text] of files) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    const inventory = join(folder, [...files.keys()][0] ?? '');
    const theirs = ansible(inventory, '--list');
    const failed = /Failed to parse|Unable to parse|ERROR!/.test(theirs.warnings);
    let ours: string | undefined;
    let graph = '';
    let why = '';
    try {
      const fleet = await loadFleet({ sources: [inventory] });
      ours = JSON.stringify(inventoryList(fleet));
      graph = inventoryGraph(fleet);
    } catch (error) {
      why = asFleetErrors(error)
        .map((fault) => `${fault.code}: ${fault.message}`)
        .join('; ');
    }
    const equal =
      ours === undefined
        ? failed
        : isDeepStrictEqual(JSON.parse(ours), JSON.parse(theirs.text || 'null')) &&
          (number % 4 !== 0 || graph === ansible(inventory, '--graph').text.trimEnd());
    if (equal && ours === undefined) refused += 1;
    else if (equal) same += 1;
    else {
      different += 1;
      process.stdout.write(
        `\n=== ${number} differs\n${[...files].map(([path, text]) => `--- ${path}\n${text}`).join('')}\nfleet:   ${ours ?? why}\nansible: ${JSON.stringify(JSON.parse(theirs.text || 'null'))}\n${theirs.warnings}\n`,
      );
    }
    rmSync(folder, { recursive: true });
  }
  process.stdout.write(`${same} the same, ${refused} refused by both, ${different} different\n`);
  return different === 0 ? 0 : 1;
}

process.exitCode = await main();
