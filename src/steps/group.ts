import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, unchanged } from '../engine/step.ts';
import { group } from '../facts/account.ts';
import { anything, choice, flag, optional, text, whole } from './arguments.ts';

const args = Type.Object(
  {
    name: text('The group.'),
    gid: optional(whole('Its number.', { minimum: 0 })),
    state: optional(choice(['present', 'absent'], 'Whether it exists. Default present.')),
    system: optional(flag('A new group gets a number from the system range.')),
    non_unique: optional(flag('Its number may belong to another group too.')),
    local: optional(anything('Ignored.')),
    force: optional(anything('Ignored.')),
  },
  { additionalProperties: false },
);

type Seen = { readonly group: { readonly name: string; readonly gid: number } | undefined };

/** Ansible's `group`. */
export const groupStep = defineStep<typeof args, Seen>({
  name: 'group',
  summary: 'A group exists, or does not.',
  args,
  examples: [`- group: name=k3s system=true`],
  look: (args) => ({ group: ask(group(args.name)) }),
  plan(seen, args): Plan<Seen> {
    const { name } = args;
    const now = seen.group;
    if (args.state === 'absent') {
      if (now === undefined) return unchanged(`there is no group ${name}`);
      return change(
        `there is a group ${name}`,
        [
          {
            kind: 'run',
            what: `remove group ${name}`,
            script: sh`if command -v groupdel >/dev/null 2>&1; then groupdel ${name}; else delgroup ${name}; fi`,
          },
        ],
        { after: { group: undefined }, touches: ['account:*'] },
      );
    }
    if (now === undefined) {
      const number = args.gid === undefined ? [] : ['-g', String(args.gid)];
      const system = args.system === true;
      return change(
        `there is no group ${name}`,
        [
          {
            kind: 'run',
            what: `add group ${name}`,
            script: sh`if command -v groupadd >/dev/null 2>&1; then groupadd ${[...(system ? ['-r'] : []), ...number, ...(args.non_unique === true ? ['-o'] : [])]} ${name}; else addgroup ${[...(system ? ['-S'] : []), ...number]} ${name}; fi`,
          },
        ],
        { touches: ['account:*'], result: () => ({ name, state: 'present', system }) },
      );
    }
    if (args.gid !== undefined && args.gid !== now.gid) {
      return change(
        `the number of ${name} is ${now.gid}, not ${args.gid}`,
        [
          {
            kind: 'run',
            what: `give group ${name} the number ${args.gid}`,
            script: sh`groupmod -g ${args.gid} ${args.non_unique === true ? ['-o'] : []} ${name}`,
          },
        ],
        { after: { group: { name, gid: args.gid } }, touches: ['account:*', 'file:*'] },
      );
    }
    return unchanged(`there is a group ${name}`, { name, gid: now.gid, state: 'present' });
  },
});
