import { Type } from '@sinclair/typebox';
import { ask, type Questions } from '../engine/fact.ts';
import { defineStep, type Plan, unchanged } from '../engine/step.ts';
import { type PackageState, packages } from '../facts/package.ts';
import { flag, optional, whole } from './arguments.ts';
import { planPackages } from './package-change.ts';

const args = Type.Object(
  {
    wanted: optional(flag('Whether anything is done at all. Default true.')),
    older_than: optional(whole('How old the lists may be, in seconds. Default 86400.', { minimum: 0 })),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly packages?: PackageState;
}

/** Managers that fetch their lists whenever they are asked keep none. */
export const packageListsStep = defineStep<typeof args, Seen>({
  name: 'package_lists',
  summary: 'The lists of packages on the host are not old, where its package manager keeps any.',
  args,
  examples: ['- package_lists:\n', '- package_lists: older_than=3600\n'],
  look: (args): Questions<Seen> =>
    args.wanted === false ? {} : { packages: ask(packages([], undefined, false)) },
  plan({ packages: state }, args): Plan<Seen> {
    if (state === undefined) return unchanged('nobody needs them');
    return planPackages(
      { packages: state },
      { names: [], state: 'present', refreshOlderThanS: args.older_than ?? 86_400 },
    );
  },
});
