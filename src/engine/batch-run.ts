import pLimit from 'p-limit';
import type { Host } from '../inventory/fleet.ts';
import { HostRun } from './host-run.ts';
import { Meeting, meets } from './meeting.ts';
import type { Play } from './play.ts';
import type { BatchShared, RunContext } from './run-context.ts';

/** What hosts share that go through a play together. */
export function newShared(meeting: Iterable<string>): BatchShared {
  return {
    once: new Map(),
    throttles: new Map(),
    wanted: new Map(),
    meeting: new Meeting(meeting),
    ended: false,
    fatal: false,
    failures: 0,
  };
}

/** Takes hosts through a play together, and tells how it went. In a plan they go one after the other, in the order given. */
export async function runBatch(
  context: RunContext,
  play: Play,
  batch: readonly Host[],
  forks: number,
): Promise<BatchShared> {
  const together = meets(play) || context.confirmTask !== undefined;
  const limit = pLimit(context.mode === 'plan' ? 1 : together ? Math.max(1, batch.length) : forks);
  // A plan takes one host after the other: whoever comes to a meeting is alone.
  const shared = newShared(context.mode === 'plan' ? [] : batch.map((host) => host.name));
  await Promise.all(batch.map((host) => limit(() => new HostRun(context, play, host, batch, shared).run())));
  return shared;
}
