import { Type } from '@sinclair/typebox';
import { defineStep, refuse, unchanged } from '../engine/step.ts';
import { choice, flag, optional, text } from './arguments.ts';
import { editArguments, editFile, editQuestions, joinLines, splitLines } from './edited-file.ts';
import type { LandingSite } from './landed-file.ts';
import { pythonPattern } from './python-pattern.ts';

const args = Type.Object(
  {
    ...editArguments,
    block: optional(text('The lines between the markers; none removes the block.', { aliases: ['content'] })),
    marker: optional(
      text('The marker line; {mark} becomes BEGIN and END. Default # {mark} ANSIBLE MANAGED BLOCK.'),
    ),
    marker_begin: optional(text('What {mark} becomes before the block. Default BEGIN.')),
    marker_end: optional(text('What {mark} becomes after it. Default END.')),
    state: optional(choice(['present', 'absent'], 'Whether the block is there. Default present.')),
    insertafter: optional(
      text('Where a new block goes: after the last line that matches, or EOF (the default).'),
    ),
    insertbefore: optional(text('Or before the last line that matches, or BOF.')),
    create: optional(flag('Makes the file when it is not there.')),
    append_newline: optional(flag('An empty line after a block that something follows.')),
    prepend_newline: optional(flag('An empty line before a block that something precedes.')),
  },
  { additionalProperties: false },
);

/** Ansible's `blockinfile`. */
export const blockinfileStep = defineStep<typeof args, LandingSite>({
  name: 'blockinfile',
  summary: 'A text file has a block of lines between two marker lines.',
  args,
  examples: [
    `- blockinfile:\n    path: /etc/hosts\n    block: |\n      10.0.0.1 server1\n      10.0.0.2 agent1`,
  ],
  look: (args) => editQuestions(args),
  plan(seen, args) {
    const marker = args.marker ?? '# {mark} ANSIBLE MANAGED BLOCK';
    if (!marker.includes('{mark}'))
      return refuse('the marker has no {mark}', 'Without it begin and end look the same.');
    const begin = marker.replaceAll('{mark}', args.marker_begin ?? 'BEGIN').replace(/\n+$/, '');
    const end = marker.replaceAll('{mark}', args.marker_end ?? 'END').replace(/\n+$/, '');
    const source = args.insertbefore ?? args.insertafter;
    const pattern =
      source === undefined || source === 'EOF' || source === 'BOF' ? undefined : pythonPattern(source);
    if (typeof pattern === 'string') return refuse(pattern, 'Correct insertafter or insertbefore.');
    const isPresent = args.state !== 'absent' && (args.block ?? '') !== '';
    if (!isPresent && seen.file.followed === undefined) return unchanged(`${args.path} is not there`);
    const block = isPresent ? [begin, ...splitLines(args.block ?? '').lines, end] : [];
    return editFile(seen, args, args.create === true, (text) =>
      withBlock(text, block, begin, end, {
        ...(pattern === undefined ? {} : { pattern }),
        before: args.insertbefore !== undefined,
        atStart: source === 'BOF',
        appendNewline: args.append_newline === true,
        prependNewline: args.prepend_newline === true,
      }),
    );
  },
});

interface BlockPlace {
  readonly pattern?: RegExp;
  readonly before: boolean;
  readonly atStart: boolean;
  readonly appendNewline: boolean;
  readonly prependNewline: boolean;
}

/** A text with a block (markers included; none to remove it) where its markers are, or else at its place. */
export function withBlock(
  text: string,
  block: readonly string[],
  begin: string,
  end: string,
  place: BlockPlace,
): string {
  const { lines, ending } = splitLines(text);
  const from = lines.lastIndexOf(begin);
  const to = lines.lastIndexOf(end);
  let rest = lines;
  let at: number;
  if (from >= 0 && to >= 0) {
    at = Math.min(from, to);
    rest = lines.toSpliced(at, Math.abs(to - from) + 1);
  } else if (place.atStart) at = 0;
  else if (place.pattern === undefined) at = lines.length;
  else {
    const pattern = place.pattern;
    const index = lines.findLastIndex((line) => pattern.test(line));
    at = index < 0 ? lines.length : place.before ? index : index + 1;
  }
  if (block.length === 0) return rest.length === lines.length ? text : joinLines(rest, ending);
  const whole = [...block];
  if (place.prependNewline && at > 0 && rest[at - 1] !== '') whole.unshift('');
  if (place.appendNewline && at < rest.length && rest[at] !== '') whole.push('');
  const made = joinLines(rest.toSpliced(at, 0, ...whole), ending);
  return made === joinLines(lines, ending) ? text : made;
}
