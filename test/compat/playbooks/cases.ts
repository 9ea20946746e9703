import { FAILURES } from './failures.ts';
import type { PlaybookCases } from './playbook-case.ts';
import { PRECEDENCE } from './precedence.ts';
import { STRUCTURE } from './structure.ts';
import { TASKS } from './tasks.ts';

/** Every playbook that Ansible and fleet are compared by. */
export const PLAYBOOK_CASES: PlaybookCases = { ...PRECEDENCE, ...STRUCTURE, ...TASKS, ...FAILURES };
