import { type Static, type TUnsafe, Type } from '@sinclair/typebox';
import type { Place } from '../core/errors.ts';
import { defineStep, type Plan, refuse } from '../engine/step.ts';
import { binaryPath } from '../k3s/paths.ts';
import { anything, optional } from './arguments.ts';
import { rejectedFolder } from './k3s-rollback.ts';

/** What `rescue` finds in `ansible_failed_result.error`. */
interface FailedAs {
  readonly code: string;
  readonly message: string;
  readonly fix?: string;
  readonly step?: string;
  readonly where?: Place;
}

const args = Type.Object(
  {
    error: anything('What failed: `ansible_failed_result.error`.') as TUnsafe<FailedAs>,
    rollback: optional(anything('What k3s_rollback answered, as `register` kept it.')),
  },
  { additionalProperties: false },
);

/** The end of a `rescue`: a host that was put back has failed all the same. */
export const k3sFailedStep = defineStep<typeof args, Record<never, never>>({
  name: 'k3s_failed',
  summary:
    'Stops the host with the error that a block failed with; where k3s_rollback put something back, also with what that was.',
  args,
  examples: [
    `- k3s_failed:
    error: "{{ ansible_failed_result.error }}"
    rollback: "{{ rollback }}"
`,
  ],
  look: () => ({}),
  plan(_seen, { error, rollback }: Static<typeof args>): Plan<Record<never, never>> {
    const { changed, put_back: paths, version } = (rollback ?? {}) as Readonly<Record<string, unknown>>;
    const fix = error.fix ?? 'Mend what the message names, then run the same command again.';
    const origin = {
      ...(error.step === undefined ? {} : { step: error.step }),
      ...(error.where === undefined ? {} : { where: error.where }),
    };
    if (changed !== true || !Array.isArray(paths))
      return { ...refuse(error.message, fix, error.code), origin };
    const hasRejected = paths.some((path) => path !== binaryPath);
    return {
      ...refuse(
        `the change failed and was taken back: ${String(version)} runs here again as before, and its node is Ready. Put back: ${paths.join(', ')}.\nWhat failed: ${error.message}`,
        `Correct the inventory and run the same command again.${hasRejected ? ` The configuration that did not work is in ${rejectedFolder} on the host.` : ''}`,
        'ROLLED_BACK',
      ),
      origin,
    };
  },
});
