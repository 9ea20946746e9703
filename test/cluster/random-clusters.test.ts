import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { play } from './model/sequence.ts';

/** `FLEET_SOAK=1000000 npm run test:soak` plays as many; the normal run plays these. */
const sequences = Number(process.env.FLEET_SOAK ?? 100_000);

describe(`${sequences} random clusters, edits, failures and runs`, () => {
  /**
   * `play` throws as soon as a sequence breaks what fleet promises: a quorum of three or more lost by a restart or a removal of
   * ours, a second cluster, a minor skipped or taken back, servers two minors apart, an agent newer than a server, two
   * learners at once, a host worked on twice, a run without end; or, once all is quiet, a refusal without need, something
   * left undone or a node left cordoned.
   */
  it('never break a promise, and end as the inventory says or with a refusal that is right', () => {
    const endings = new Map<string, number>();
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 20, maxLength: 140, size: 'max' }), (tape) => {
        for (const ending of play(tape).endings) endings.set(ending, (endings.get(ending) ?? 0) + 1);
      }),
      { numRuns: sequences, ...seed() },
    );
    // What is never reached is not tested: all of this happens, and most sequences end well.
    for (const code of [
      'done',
      'failed',
      'UNREACHABLE',
      'CLUSTER_MAY_BE_AWAY',
      'LIMIT_ORDER',
      'QUORUM_LOST',
      'QUORUM_AT_RISK',
      'MEMBER_NOT_WELL',
      'MINOR_SKIPPED',
      'MINOR_DOWNGRADE',
      'AGENT_NEWER',
      'LAST_SERVER',
      'API_SILENT',
      'TOO_MANY_UNAVAILABLE',
    ]) {
      expect(endings.get(code) ?? 0, code).toBeGreaterThan(0);
    }
    expect(endings.get('in the end done') ?? 0).toBeGreaterThan(0.95 * sequences);
  }, 3_600_000);
});

/** The normal run is the same each time, so that it never fails by luck; a soak is another each time. `FLEET_SEED` plays one again. */
function seed(): { seed?: number } {
  const { FLEET_SEED: given, FLEET_SOAK: soaks } = process.env;
  if (given !== undefined) return { seed: Number(given) };
  return soaks === undefined ? { seed: 20_261_121 } : {};
}
