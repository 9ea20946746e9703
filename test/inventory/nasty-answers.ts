/** Writes what the Ansible of this machine makes of the nasty inventories: npx tsx test/inventory/nasty-answers.ts */
import { writeFileSync } from 'node:fs';
import { NASTY_INVENTORIES } from './nasty-inventories.ts';
import { readByAnsible } from './nasty-reading.ts';

const answers = readByAnsible(Object.values(NASTY_INVENTORIES));
if (answers === undefined) {
  process.stdout.write('there is no Ansible for /usr/bin/python3 (Debian: apt-get install ansible-core)\n');
  process.exitCode = 1;
} else {
  const byName = Object.keys(NASTY_INVENTORIES).map((name, index) => [
    name,
    { list: answers[index]?.list, patterns: answers[index]?.patterns },
  ]);
  writeFileSync(
    new URL('./nasty-answers.json', import.meta.url),
    `${JSON.stringify(Object.fromEntries(byName), null, 1)}\n`,
  );
}
