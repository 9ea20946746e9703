/** Moments of a run, drawn at random, at which a test breaks a run like it off. `FLEET_TEST_SEED` draws the same ones again. */
import { randomInt } from 'node:crypto';
import { setTimeout as after } from 'node:timers/promises';
import type { StampedEvent } from '../../src/engine/event.ts';
import type { FleetProcess } from './fleet-cli.ts';

/** What the moments are drawn from; a test has it in its title, where every reporter shows it. */
export const seed = Number(process.env.FLEET_TEST_SEED ?? randomInt(2 ** 31));

/** mulberry32: small, and the same everywhere. */
function randomOf(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Shares of a run, one in each part of it, so that together they meet all of it. */
export function randomShares(count: number): readonly number[] {
  const random = randomOf(seed);
  return Array.from({ length: count }, (_, index) => (index + random()) / count);
}

/** A moment of a run, told by what had happened in another one like it. */
export interface Moment {
  /** For a person: `12 ms after task-finished Servers and agents server-1 k3s binary (40 % of the run)`. */
  readonly words: string;
  /** Resolves when the run is there. @throws where it ends before */
  reached(running: FleetProcess): Promise<void>;
}

/** What happens in every run of a kind, whatever there is to do; how much is told in between depends on what is sent. */
const landmarks: ReadonlySet<string> = new Set([
  'run-started',
  'play-started',
  'wave-started',
  'task-finished',
]);

/** @param timeline the events of a run of the same kind that nobody broke off */
export function momentAt(timeline: readonly StampedEvent[], share: number): Moment {
  const times = timeline.map(({ at }) => Date.parse(at));
  const begun = times[0] ?? 0;
  const atMs = begun + share * ((times.at(-1) ?? begun) - begun);
  const index = timeline.findLastIndex(
    ({ kind }, each) => landmarks.has(kind) && (times[each] ?? atMs) <= atMs,
  );
  const landmark = timeline[index];
  if (landmark === undefined) throw new Error('a run begins with a landmark');
  const delayMs = atMs - (times[index] ?? atMs);
  const name = nameOf(landmark);
  return {
    words: `${Math.round(delayMs)} ms after ${name} (${Math.round(share * 100)} % of the run)`,
    async reached(running) {
      await running.until((happened) => nameOf(happened) === name);
      await after(delayMs);
    },
  };
}

function nameOf(event: StampedEvent): string {
  const { kind, play, host, task } = { play: '', host: '', task: '', ...event };
  return [kind, play, host, task].filter((part) => part !== '').join(' ');
}
