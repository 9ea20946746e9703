import { Type } from '@sinclair/typebox';
import { type Action, waitUntil } from '../engine/action.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, unchanged } from '../engine/step.ts';
import { type Identity, identity } from '../facts/identity.ts';
import { anything, optional, whole } from './arguments.ts';

const args = Type.Object(
  {
    timeout: optional(whole('Gives up after so many seconds. Default 600.', { minimum: 1 })),
    delay: optional(whole('Seconds to wait before trying.', { minimum: 0 })),
    sleep: optional(whole('Seconds between two tries. Default 1.', { minimum: 1 })),
    connect_timeout: optional(anything('Ignored: see the settings of the connection.')),
  },
  { additionalProperties: false },
);

/** Ansible's `wait_for_connection`. fleet waits for its connections anyway; that it could look is proof. */
export const waitForConnectionStep = defineStep<typeof args, { me: Identity }>({
  name: 'wait_for_connection',
  summary: 'The host answers.',
  args,
  examples: [`- wait_for_connection: timeout=300`],
  readsOnly: true,
  look: () => ({ me: ask(identity) }),
  plan(seen, args) {
    if (!args.delay) return unchanged(`answers as ${seen.me.user}`, { elapsed: 0 });
    const wait: Action = waitUntil({
      what: 'the host to answer',
      fact: identity,
      holds: () => true,
      deadlineMs: (args.timeout ?? 600) * 1000,
      everyMs: (args.sleep ?? 1) * 1000,
    });
    return change(
      `waits ${args.delay} s, then for an answer`,
      [{ kind: 'pause', durationMs: args.delay * 1000 }, wait],
      {
        imperative: true,
        changesNothing: true,
        // What was seen before the wait may have been what is waited for.
        touches: 'everything',
        result: () => ({ changed: false }),
      },
    );
  },
});
