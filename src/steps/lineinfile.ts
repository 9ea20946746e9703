import { Type } from '@sinclair/typebox';
import { defineStep, refuse, unchanged } from '../engine/step.ts';
import { choice, flag, optional, text } from './arguments.ts';
import { editArguments, editFile, editQuestions, joinLines, splitLines } from './edited-file.ts';
import type { LandingSite } from './landed-file.ts';
import { expandReferences, pythonPattern } from './python-pattern.ts';

const args = Type.Object(
  {
    ...editArguments,
    line: optional(text('The line that shall be there.', { aliases: ['value'] })),
    regexp: optional(
      text(
        'The line that it replaces: the last that matches. With state: absent, every line that matches goes.',
        { aliases: ['regex'] },
      ),
    ),
    search_string: optional(text('Like regexp, but plain text.')),
    state: optional(choice(['present', 'absent'], 'Whether the line is there. Default present.')),
    insertafter: optional(
      text('Where it goes when nothing is replaced: after the last line that matches, or EOF (the default).'),
    ),
    insertbefore: optional(text('Or before the last line that matches, or BOF.')),
    firstmatch: optional(flag('The first line that matches counts instead of the last.')),
    backrefs: optional(
      flag(
        '\\1 and \\g<name> in line stand for what regexp matched; nothing is added where it does not match.',
      ),
    ),
    create: optional(flag('Makes the file when it is not there.')),
  },
  { additionalProperties: false },
);

/** Ansible's `lineinfile`. */
export const lineinfileStep = defineStep<typeof args, LandingSite>({
  name: 'lineinfile',
  summary: 'A text file has a certain line, or has it not.',
  args,
  examples: [
    `- lineinfile:
    path: /etc/ssh/sshd_config
    regexp: '^#?PermitRootLogin '
    line: PermitRootLogin prohibit-password
    validate: sshd -t -f %s`,
    `- lineinfile: path=/etc/hosts regexp='\\sold-name$' state=absent`,
  ],
  look: (args) => editQuestions(args),
  plan(seen, args) {
    if (args.regexp !== undefined && args.search_string !== undefined) {
      return refuse('both regexp and search_string are given', 'Keep one of them.');
    }
    const matches = matcher(args);
    if (typeof matches === 'string') return refuse(matches, 'Correct regexp.');
    if (args.state === 'absent') {
      if (args.line === undefined && matches === undefined)
        return refuse('neither line nor regexp is given', 'Say which line shall go.');
      if (seen.file.followed === undefined) return unchanged(`${args.path} is not there`);
      return editFile(seen, args, false, (text) => {
        const { lines, ending } = splitLines(text);
        const kept = lines.filter((line) => !(matches === undefined ? line === args.line : matches(line)));
        return kept.length === lines.length ? text : joinLines(kept, ending);
      });
    }
    const { line } = args;
    if (line === undefined) return refuse('line is missing', 'Say which line shall be there.');
    if (args.backrefs === true && args.regexp === undefined)
      return refuse('backrefs needs regexp', 'Add regexp.');
    const place = placement(args);
    if (typeof place === 'string') return refuse(place, 'Correct insertafter or insertbefore.');
    return editFile(seen, args, args.create === true, (text) =>
      withLine(text, line, { ...args, matches, place }),
    );
  },
});

type Matches = (line: string) => RegExpExecArray | boolean | null;

function matcher(args: { regexp?: string; search_string?: string }): Matches | string | undefined {
  const { regexp, search_string } = args;
  if (search_string !== undefined) return (line) => line.includes(search_string);
  if (regexp === undefined) return undefined;
  const pattern = pythonPattern(regexp);
  return typeof pattern === 'string' ? pattern : (line) => pattern.exec(line);
}

interface Placement {
  readonly where: 'start' | 'end' | 'after' | 'before';
  readonly pattern?: RegExp;
}

function placement(args: { insertafter?: string; insertbefore?: string }): Placement | string {
  const { insertafter, insertbefore } = args;
  if (insertbefore !== undefined) {
    if (insertbefore === 'BOF') return { where: 'start' };
    const pattern = pythonPattern(insertbefore);
    return typeof pattern === 'string' ? pattern : { where: 'before', pattern };
  }
  if (insertafter === undefined || insertafter === 'EOF') return { where: 'end' };
  if (insertafter === 'BOF') return { where: 'start' };
  const pattern = pythonPattern(insertafter);
  return typeof pattern === 'string' ? pattern : { where: 'after', pattern };
}

/** A text with a line in it, by the rules of Ansible's module: replaced where it matches, else inserted. */
export function withLine(
  text: string,
  line: string,
  how: { matches: Matches | undefined; place: Placement; firstmatch?: boolean; backrefs?: boolean },
): string {
  const { lines, ending } = splitLines(text);
  let found = -1;
  let match: RegExpExecArray | boolean | null = null;
  if (how.matches !== undefined) {
    for (const [index, one] of lines.entries()) {
      const hit = how.matches(one);
      if (!hit) continue;
      found = index;
      match = hit;
      if (how.firstmatch === true) break;
    }
  }
  if (found < 0 && how.backrefs !== true) found = lines.indexOf(line);
  if (found >= 0) {
    const wanted =
      how.backrefs === true && match !== null && typeof match === 'object'
        ? expandReferences(line, match)
        : line;
    if (lines[found] === wanted) return text;
    return joinLines(lines.with(found, wanted), ending);
  }
  if (how.backrefs === true) return text;
  return joinLines(inserted(lines, line, how.place, how.firstmatch === true), ending);
}

function inserted(lines: readonly string[], line: string, place: Placement, first: boolean): string[] {
  if (place.where === 'start') return [line, ...lines];
  const { pattern } = place;
  if (pattern === undefined) return [...lines, line];
  const index = first
    ? lines.findIndex((one) => pattern.test(one))
    : lines.findLastIndex((one) => pattern.test(one));
  if (index < 0) return [...lines, line];
  return lines.toSpliced(place.where === 'after' ? index + 1 : index, 0, line);
}
