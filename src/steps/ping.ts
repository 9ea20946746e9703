import { Type } from '@sinclair/typebox';
import { ask } from '../engine/fact.ts';
import { defineStep, unchanged } from '../engine/step.ts';
import { type Identity, identity } from '../facts/identity.ts';
import { optional, text } from './arguments.ts';

const args = Type.Object(
  { data: optional(text('What to answer. Default pong.')) },
  { additionalProperties: false },
);

/** Ansible's `ping`. */
export const pingStep = defineStep<typeof args, { me: Identity }>({
  name: 'ping',
  summary: 'The host answers, and we are who we want to be there.',
  args,
  examples: [`- ping:`],
  readsOnly: true,
  look: () => ({ me: ask(identity) }),
  plan: (seen, args) => unchanged(`answers as ${seen.me.user}`, { ping: args.data ?? 'pong' }),
});
