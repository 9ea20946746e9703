import { Type } from '@sinclair/typebox';
import { ask } from '../engine/fact.ts';
import { defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type FetchedFile, fetchedFile } from '../facts/file.ts';
import { path } from './arguments.ts';

const args = Type.Object(
  { src: path('A file of at most 10 MiB.', { aliases: ['path'] }) },
  { additionalProperties: false },
);

interface Seen {
  readonly source: FetchedFile;
}

/** Ansible's `slurp`. */
export const slurpStep = defineStep<typeof args, Seen>({
  name: 'slurp',
  summary: 'Reads a file of the host into a variable, in base64; changes nothing.',
  args,
  examples: [
    `- slurp: src=/etc/machine-id\n  register: id\n- debug: msg="{{ id.content | b64decode | trim }}"`,
  ],
  readsOnly: true,
  look: (args) => ({ source: ask(fetchedFile(args.src)) }),
  plan({ source }, args): Plan<Seen> {
    if (source.kind === 'missing') return refuse(`${args.src} does not exist on the host`, 'Correct src.');
    if (source.kind === 'not-a-file') return refuse(`${args.src} is no regular file`, 'Name a file.');
    if (source.kind === 'too-large')
      return refuse(
        `${args.src} is larger than 10 MiB, which is more than a variable should hold`,
        'Bring it to the control node with fetch, or ask for a part of it with a command.',
      );
    return unchanged(`${args.src} is read`, {
      source: args.src,
      encoding: 'base64',
      content: Buffer.from(source.bytes).toString('base64'),
    });
  },
});
