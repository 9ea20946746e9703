/**
 * Writes what the Ansible of this machine makes of the playbooks here, to answers.json: npx tsx test/compat/playbooks/answers.ts
 * With names behind it, of these alone.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { hasAnsible, playByAnsible } from './by-ansible.ts';
import { PLAYBOOK_CASES } from './cases.ts';

const path = new URL('./answers.json', import.meta.url);
const wanted = process.argv.slice(2);

if (hasAnsible) {
  const before = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  const asked = Object.entries(PLAYBOOK_CASES).filter(
    ([name]) => wanted.length === 0 || wanted.includes(name),
  );
  const outcomes = playByAnsible(asked.map(([, one]) => one));
  const now = new Map(asked.map(([name], index) => [name, outcomes[index]]));
  const answers = Object.keys(PLAYBOOK_CASES).map((name) => [name, now.get(name) ?? before[name]]);
  writeFileSync(path, `${JSON.stringify(Object.fromEntries(answers), null, 1)}\n`);
} else {
  process.stdout.write('there is no Ansible for /usr/bin/python3 (Debian: apt-get install ansible-core)\n');
  process.exitCode = 1;
}
