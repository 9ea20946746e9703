import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isIsolated, privateRun } from '../engine/run-here.ts';
import { playByFleet } from './playbooks/by-fleet.ts';
import { PLAYBOOK_CASES } from './playbooks/cases.ts';
import type { Outcome } from './playbooks/outcome.ts';

/** Of ansible-core 2.14.18, by playbooks/answers.ts. */
const answers = JSON.parse(
  readFileSync(new URL('./playbooks/answers.json', import.meta.url), 'utf8'),
) as Readonly<Record<string, Outcome>>;
const cases = Object.entries(PLAYBOOK_CASES);

// Its hosts are this very machine, with a /run of their own, which only root can have.
describe.skipIf(!isIsolated)('a playbook does what it does in Ansible', () => {
  let namespace: number | undefined;
  let end = async (): Promise<void> => {};
  beforeAll(async () => {
    namespace = await privateRun((atEnd) => {
      end = atEnd;
    });
  });
  afterAll(() => end());

  test.each(cases.filter(([, { differs }]) => differs === undefined))('%s', async (name, one) => {
    const { outcome, events } = await playByFleet(one, namespace);
    expect(outcome).toEqual(answers[name]);
    if (one.secret !== undefined) expect(JSON.stringify(events)).not.toContain(one.secret);
  });

  test.each(cases.filter(([, { differs }]) => differs !== undefined))(
    'otherwise on purpose: %s',
    async (name, one) => {
      const { outcome } = await playByFleet(one, namespace);
      expect(outcome).not.toEqual(answers[name]);
      expect(outcome).toMatchSnapshot();
    },
  );
});
