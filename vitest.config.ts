import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The files that take longest, in that order; each of the others takes less than a minute on two cores. */
const longest = [
  'test/up/rolling-upgrade.e2e.test.ts',
  'test/up/faults.e2e.test.ts',
  'test/steps/k3s-firewall.e2e.test.ts',
  'test/up/interrupted.e2e.test.ts',
  'test/up/external-datastore.e2e.test.ts',
  'test/up/day2.e2e.test.ts',
  'test/up/snapshots.e2e.test.ts',
  'test/up/rotate.e2e.test.ts',
  'test/up/killed-upgrade.e2e.test.ts',
  'test/up/topologies.e2e.test.ts',
];

/** The longest first, so that none of them is at work alone in the end. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const place = longest.findIndex((file) => moduleId.endsWith(file));
      return place < 0 ? longest.length : place;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    globalSetup: ['test/cli/build-command.ts'],
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.e2e.test.ts'],
          testTimeout: 20_000,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/**/*.e2e.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 600_000,
          // They wait for nodes half of their time: of two files at a time one works, on any machine.
          maxWorkers: 2,
          // Behind all of the unit project, whose tests are to be as quick as they are without containers.
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
