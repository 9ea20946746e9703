import { change, type Plan, refuse } from '../engine/step.ts';
import { flag, optional, path, text } from './arguments.ts';
import { attributeArguments } from './file-attributes.ts';
import { type LandingSite, landFile, siteQuestions } from './landed-file.ts';

/** The arguments of steps that edit a text file. */
export const editArguments = {
  path: path('The file.', { aliases: ['dest', 'destfile', 'name'] }),
  ...attributeArguments,
  backup: optional(flag('Keeps what was there beside it, with the time in its name.')),
  validate: optional(
    text('A command that must accept the new file before it lands; %s stands for its path.'),
  ),
};

interface EditArgs {
  readonly path: string;
  readonly mode?: string;
  readonly owner?: string;
  readonly group?: string;
  readonly backup?: boolean;
  readonly validate?: string;
}

/** The questions of a step that edits a file; its text is needed whatever its mode is. */
export function editQuestions(args: EditArgs) {
  return siteQuestions(args.path);
}

/**
 * What it takes for a text file to be as an edit makes it. The edit sees the text (of a missing file: empty) and says what it
 * becomes; `undefined` in place of the text when the file is not there and must not be made.
 */
export function editFile(
  seen: LandingSite,
  args: EditArgs,
  create: boolean,
  edit: (text: string) => string,
): Plan<LandingSite> {
  const isThere = seen.file.followed !== undefined;
  if (!isThere && !create) {
    return refuse(
      `${args.path} does not exist`,
      'Set create: true to make it, or bring it with copy or template first.',
    );
  }
  if (isThere && seen.content.text === undefined) {
    return refuse(
      seen.file.followed?.type === 'file'
        ? `${args.path} is no UTF-8 text of at most 256 KiB`
        : `${args.path} is a ${seen.file.followed?.type}, not a file`,
      'Edit it with command or replace it whole with copy.',
    );
  }
  const before = seen.content.text ?? '';
  const after = edit(before);
  const plan = landFile(seen, {
    path: args.path,
    content: after,
    mode: args.mode,
    owner: args.owner,
    group: args.group,
    follow: true,
    ...(args.backup === true ? { backup: true } : {}),
    ...(args.validate === undefined ? {} : { validate: args.validate }),
    ...(create ? { makeParents: true } : {}),
  });
  // Some edits never come to rest (`replace: a` by `aa`): they act whenever they run and are not looked at again.
  if (plan.verdict === 'change' && edit(after) !== after) {
    const { after: _foreseen, ...rest } = plan;
    return change(plan.because, plan.actions, { ...rest, imperative: true });
  }
  return plan;
}

/** The lines of a text without their ends, and whether the last one has an end. */
export function splitLines(text: string): { readonly lines: string[]; readonly ending: string } {
  const ending = text.includes('\r\n') ? '\r\n' : '\n';
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  return { lines, ending };
}

/** Lines as a text, each with its end. */
export function joinLines(lines: readonly string[], ending: string): string {
  return lines.length === 0 ? '' : `${lines.join(ending)}${ending}`;
}
