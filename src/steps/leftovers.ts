import { type Static, Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask, askControl } from '../engine/fact.ts';
import { lockFolder, runOf } from '../engine/lock.ts';
import { change, defineStep, type Plan, unchanged } from '../engine/step.ts';
import { type Leftovers, leftovers, type RunsHere, runsHere } from '../facts/leftovers.ts';
import { flag, optional } from './arguments.ts';
import { k3sNode } from './k3s-node.ts';

const args = Type.Object(
  {
    parts: optional(
      flag(
        'Whether beginnings of uploads go too. A later run would go on with them, so by default they stay.',
      ),
    ),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly left: Leftovers;
  readonly here: RunsHere;
}

/** First of a run: behind the first change on a host, its lock is our own. */
export const leftoversStep = defineStep<typeof args, Seen>({
  name: 'leftovers',
  summary:
    'Nothing is left of runs that were broken off: no lock of a run that died, no finished job, no file that was to be renamed into place.',
  args,
  examples: ['- leftovers:\n', '- leftovers: {parts: true}\n'],
  look(_args, host) {
    const { k3sServerLocation, systemdDir } = k3sNode(host).settings;
    return { left: ask(leftovers(k3sServerLocation, systemdDir)), here: askControl(runsHere) };
  },
  plan({ left, here }, args, host): Plan<Seen> {
    const dead = left.lock !== undefined && isDead(left.lock, here) ? left.lock : undefined;
    if (left.lock !== undefined && dead === undefined) return unchanged('a run is at work here');
    const paths = wanted(left, args);
    const actions: Action[] = [
      ...(dead === undefined
        ? []
        : [
            // The lock itself is taken over before this, as before any change, and given back at the end of the run.
            {
              kind: 'run' as const,
              what: `release the lock of a run that died: ${dead.owner}`,
              script: sh`rm -rf ${lockFolder}.stale.*`,
            },
          ]),
      ...left.jobs.map((path): Action => ({ kind: 'remove', path, recursive: true })),
      ...paths.map((path): Action => ({ kind: 'remove', path })),
    ];
    const [first, ...rest] = actions;
    if (first === undefined) return unchanged('nothing is left of earlier runs');
    const found = [
      ...(dead === undefined ? [] : [`the lock of ${dead.owner}`]),
      ...(left.jobs.length === 0 ? [] : [`${left.jobs.length} finished jobs`]),
      ...paths,
    ];
    return change(`a run that was broken off left ${found.join(', ')} on ${host.name}`, [first, ...rest], {
      after: {
        left: { lock: undefined, jobs: [], files: [], parts: args.parts === true ? [] : left.parts },
      },
    });
  },
});

function wanted(left: Leftovers, args: Static<typeof leftoversStep.args>): readonly string[] {
  return args.parts === true ? [...left.files, ...left.parts] : left.files;
}

function isDead(lock: NonNullable<Leftovers['lock']>, here: RunsHere): boolean {
  const run = runOf(lock.owner);
  return (
    lock.isStale || (run !== undefined && run.machine === here.machine && !here.processes.has(run.process))
  );
}
