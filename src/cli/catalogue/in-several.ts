import type { Argument } from '../command.ts';
import type { Flag } from '../flags.ts';

/** The hosts of a command that may be about a few of them. */
export const pattern: Argument = {
  name: '[pattern]',
  description: 'Which hosts, as an Ansible pattern. Default: all.',
  completes: 'pattern',
};

/** The groups of flags of a command that changes hosts. */
export const all = ['inventory', 'connection', 'run', 'output'] as const;

/** Those of a command that only looks at them. */
export const looking = ['inventory', 'connection', 'output'] as const;

/** For commands that touch every node in the end. */
export const tolerateDown: Flag = {
  flags: '--tolerate-down',
  description:
    'Go on without hosts that cannot be reached: agents, and servers as long as the quorum can spare them. They are named, and no failure.',
};
