/** How fleet ends, as scripts and CI rely on it. docs/reference/exit-codes.md is drawn from this table. */
export const exitCodes = [
  { code: 0, name: 'ok', meaning: 'All went well. For `plan` and `--check`: there is nothing to do.' },
  {
    code: 1,
    name: 'failed',
    meaning:
      'Something failed on a host, a host could not be reached, or a plan was refused. The errors say which and why.',
  },
  {
    code: 2,
    name: 'changes',
    meaning: 'Only `plan` and `--check`: there is something to change. Nothing was changed.',
  },
  {
    code: 64,
    name: 'usage',
    meaning: 'A flag, the inventory, a variable or a playbook is wrong. No host was connected to.',
  },
  {
    code: 70,
    name: 'defect',
    meaning: 'A defect of fleet itself. Run again with FLEET_DEBUG=1 and report what it prints.',
  },
  {
    code: 130,
    name: 'interrupted',
    meaning:
      'Ctrl-C. Once: running actions were finished first. Twice: at once. Running again goes on from there.',
  },
] as const;

export type ExitCode = (typeof exitCodes)[number]['code'];
type ExitName = (typeof exitCodes)[number]['name'];

/** Exit codes by name: `exit.usage`. */
export const exit = Object.fromEntries(exitCodes.map(({ name, code }) => [name, code])) as {
  readonly [Name in ExitName]: Extract<(typeof exitCodes)[number], { name: Name }>['code'];
};
