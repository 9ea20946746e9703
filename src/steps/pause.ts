import { Type } from '@sinclair/typebox';
import { change, defineStep, refuse, unchanged } from '../engine/step.ts';
import { flag, optional, text } from './arguments.ts';

const args = Type.Object(
  {
    seconds: optional(text('How many seconds.')),
    minutes: optional(text('How many minutes.')),
    prompt: optional(text('Not here: a run asks nothing in its middle.')),
    echo: optional(flag('Ignored.')),
  },
  { additionalProperties: false },
);

/** Ansible's `pause`, without its questions. */
export const pauseStep = defineStep<typeof args, Record<never, never>>({
  name: 'pause',
  summary: 'Waits for some time. To wait for something, use wait_for.',
  args,
  examples: [`- pause: seconds=5`],
  look: () => ({}),
  plan(_seen, args) {
    const seconds = Number(args.seconds ?? 0) + 60 * Number(args.minutes ?? 0);
    if (!Number.isFinite(seconds) || seconds < 0)
      return refuse('the pause is no number', 'Write seconds: 5.');
    if (seconds === 0 && args.prompt !== undefined) {
      return refuse(
        'a run does not ask questions in its middle',
        'Use vars_prompt, --step, or pause: seconds=….',
      );
    }
    if (seconds === 0) return unchanged('a pause of no length');
    return change(`waits ${seconds} s`, [{ kind: 'pause', durationMs: seconds * 1000 }], {
      imperative: true,
      changesNothing: true,
      // What was seen before the wait may have been what is waited for.
      touches: 'everything',
      result: () => ({ changed: false, delta: seconds }),
    });
  },
});
