import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { hasAnsible, playByAnsible } from './playbooks/by-ansible.ts';
import { PLAYBOOK_CASES } from './playbooks/cases.ts';
import type { Outcome } from './playbooks/outcome.ts';

const answers = JSON.parse(
  readFileSync(new URL('./playbooks/answers.json', import.meta.url), 'utf8'),
) as Readonly<Record<string, Outcome>>;

describe.skipIf(!hasAnsible)('the kept answers about playbooks', () => {
  test('are those of the Ansible that is installed here', { timeout: 600_000 }, () => {
    const outcomes = playByAnsible(Object.values(PLAYBOOK_CASES));
    const now = Object.keys(PLAYBOOK_CASES).map((name, index) => [name, outcomes[index]]);
    expect(Object.fromEntries(now)).toEqual(answers);
  });
});
