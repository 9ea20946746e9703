import { Type } from '@sinclair/typebox';
import { defineStep, refuse } from '../engine/step.ts';
import { anything, optional, text } from './arguments.ts';
import { editArguments, editFile, editQuestions } from './edited-file.ts';
import type { LandingSite } from './landed-file.ts';
import { expandReferences, pythonPattern } from './python-pattern.ts';

const args = Type.Object(
  {
    ...editArguments,
    regexp: text('What is replaced, everywhere; ^ and $ match at each line.'),
    replace: optional(text('What it becomes; \\1 and \\g<name> stand for groups. Nothing removes it.')),
    after: optional(text('Only what stands after the first match of this.')),
    before: optional(text('Only what stands before the first match of this.')),
    encoding: optional(anything('Ignored: files are UTF-8.')),
  },
  { additionalProperties: false },
);

/** Ansible's `replace`. */
export const replaceStep = defineStep<typeof args, LandingSite>({
  name: 'replace',
  summary: 'Nothing in a text file matches a pattern any more: it was replaced.',
  args,
  examples: [`- replace:\n    path: /etc/fstab\n    regexp: '^([^#].*\\sswap\\s.*)$'\n    replace: '# \\1'`],
  look: (args) => editQuestions(args),
  plan(seen, args) {
    const pattern = pythonPattern(args.regexp, 'gm');
    const after = args.after === undefined ? undefined : pythonPattern(args.after, 's');
    const before = args.before === undefined ? undefined : pythonPattern(args.before, 's');
    for (const one of [pattern, after, before])
      if (typeof one === 'string') return refuse(one, 'Correct it.');
    if (typeof pattern === 'string' || typeof after === 'string' || typeof before === 'string')
      return refuse('', '');
    return editFile(seen, args, false, (text) => {
      const [start, end] = section(text, after, before);
      if (start > end) return text;
      const middle = text
        .slice(start, end)
        .replace(pattern, (...match: unknown[]) => expandReferences(args.replace ?? '', asMatch(match)));
      return `${text.slice(0, start)}${middle}${text.slice(end)}`;
    });
  },
});

/** Where the replaced part of a text begins and ends; an empty range (start after end) when `after` or `before` is nowhere. */
function section(
  text: string,
  after: RegExp | undefined,
  before: RegExp | undefined,
): readonly [number, number] {
  let start = 0;
  if (after !== undefined) {
    const match = after.exec(text);
    if (match === null) return [1, 0];
    start = match.index + match[0].length;
  }
  if (before === undefined) return [start, text.length];
  const match = before.exec(text.slice(start));
  return match === null ? [1, 0] : [start, start + match.index];
}

// String.replace hands over: whole, groups …, offset, text, and named groups where the pattern has any.
function asMatch(given: readonly unknown[]): RegExpExecArray {
  const last = given.at(-1);
  const named = typeof last === 'object' && last !== null ? (last as Record<string, string>) : undefined;
  const groups = given.slice(0, named === undefined ? -2 : -3) as string[];
  return Object.assign(groups, { index: 0, input: '', groups: named }) as unknown as RegExpExecArray;
}
