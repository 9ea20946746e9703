import { Type } from '@sinclair/typebox';
import { defineStep } from '../engine/step.ts';
import { choice, list, optional, path, text } from './arguments.ts';
import { editFile, editQuestions, joinLines, splitLines } from './edited-file.ts';
import type { LandingSite } from './landed-file.ts';

const args = Type.Object(
  {
    address: text('The IP address.', { aliases: ['ip'] }),
    names: list(
      'The names it has, the canonical one first. They lose every other address of the same family.',
      { aliases: ['name', 'hosts'] },
    ),
    state: optional(choice(['present', 'absent'], 'Whether the names have the address. Default present.')),
    path: optional(path('The file. Default /etc/hosts.')),
  },
  { additionalProperties: false },
);

/** Lines of /etc/hosts. */
export const hostsEntryStep = defineStep<typeof args, LandingSite>({
  name: 'hosts_entry',
  summary: 'Names have an address in /etc/hosts, and no other.',
  args,
  examples: [`- hosts_entry:\n    address: 10.0.0.10\n    names: [k3s.example.com, k3s]`],
  look: (args) => editQuestions({ path: args.path ?? '/etc/hosts' }),
  plan: (seen, args) =>
    editFile(seen, { path: args.path ?? '/etc/hosts' }, true, (text) =>
      withEntry(text, args.address, args.names, args.state !== 'absent'),
    ),
});

/** /etc/hosts with the names at the address (or no longer), everything else as it was. */
export function withEntry(
  text: string,
  address: string,
  names: readonly string[],
  isPresent: boolean,
): string {
  const { lines, ending } = splitLines(text);
  let isThere = false;
  const kept = lines.flatMap((line) => {
    const [entry = '', ...comment] = line.split('#');
    const [lineAddress = '', ...lineNames] = entry.trim().split(/\s+/);
    if (lineAddress === '' || !lineNames.some((name) => names.includes(name))) return [line];
    const sameFamily = lineAddress.includes(':') === address.includes(':');
    if (lineAddress === address && isPresent && names.every((name) => lineNames.includes(name))) {
      isThere = true;
      return [line];
    }
    if (!sameFamily || (!isPresent && lineAddress !== address)) return [line];
    const others = lineNames.filter((name) => !names.includes(name));
    if (others.length === 0) return [];
    return [`${lineAddress} ${others.join(' ')}${comment.length === 0 ? '' : ` #${comment.join('#')}`}`];
  });
  if (isPresent && !isThere) kept.push(`${address} ${names.join(' ')}`);
  const made = joinLines(kept, ending);
  return made === joinLines(lines, ending) ? text : made;
}
