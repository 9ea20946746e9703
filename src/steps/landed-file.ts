import { posix } from 'node:path';
import { Secret } from '../core/secret.ts';
import { lines, raw, type ShellScript, sh } from '../core/shell.ts';
import type { Action, UploadSource } from '../engine/action.ts';
import { ask } from '../engine/fact.ts';
import {
  type Change,
  change,
  type Diff,
  type Refuse,
  refuse,
  type Unchanged,
  unchanged,
} from '../engine/step.ts';
import {
  type Content,
  contentOf,
  digestOf,
  type FileStat,
  type FileState,
  fileAt,
  sha256Of,
  touchesOfPath,
} from '../facts/file.ts';
import { type Identity, identity } from '../facts/identity.ts';
import { flag, optional, text } from './arguments.ts';
import { attributeChange, resolveMode, type WantedAttributes } from './file-attributes.ts';

/** What must be seen of a path before a file can land there. */
export interface LandingSite {
  readonly file: FileState;
  readonly content: Content;
  readonly parent: FileState;
  readonly me: Identity;
}

/** The file that shall stand at a path. */
export interface WantedFile extends WantedAttributes {
  readonly path: string;
  readonly content: string | Secret | Uint8Array | { readonly upload: UploadSource; readonly sha256: string };
  /** Mode of a file that is not there yet and for which none is asked. Default 0644. */
  readonly newMode?: string;
  /** Write to where a link points instead of replacing the link. */
  readonly follow?: boolean;
  readonly backup?: boolean;
  /** `false`: a file that is there stays as it is. */
  readonly overwrite?: boolean;
  /** A command with `%s` for the temporary file, as Ansible's. */
  readonly validate?: string;
  /** No text in the diff, whatever the modes say. */
  readonly confidential?: boolean;
  /** Makes missing parent folders (0755, of our user) first. */
  readonly makeParents?: boolean;
}

/** How a file lands, as the arguments of Ansible's `copy` and `template` say it. */
export const landingArguments = {
  backup: optional(flag('Keeps what was there beside it, with the time in its name.')),
  force: optional(flag('When false, a file that exists stays as it is. Default true.')),
  follow: optional(flag('Writes to where a link at dest points instead of replacing the link.')),
  validate: optional(
    text('A command that must accept the new file before it lands; %s stands for its path.'),
  ),
};

interface LandingArguments {
  readonly backup?: boolean | undefined;
  readonly force?: boolean | undefined;
  readonly follow?: boolean | undefined;
  readonly validate?: string | undefined;
}

/** What those arguments ask for. */
export function landingOf({
  backup,
  force,
  follow,
  validate,
}: LandingArguments): Pick<WantedFile, 'backup' | 'overwrite' | 'follow' | 'validate'> {
  return {
    ...(backup === true ? { backup } : {}),
    ...(force === false ? { overwrite: false } : {}),
    ...(follow === true ? { follow } : {}),
    ...(validate === undefined ? {} : { validate }),
  };
}

type LandedPlan =
  | Unchanged
  | Refuse
  | (Change<{ file: FileState; content: Content }> & {
      readonly after: { readonly file: FileState; readonly content: Content };
    });

/**
 * What it takes for a path to hold some content with some attributes. Content that differs is written whole, with its
 * final owner and mode from the start; when only attributes differ, only they are changed.
 */
export function landFile(site: LandingSite, wanted: WantedFile): LandedPlan {
  const { file } = site;
  const followLink = wanted.follow === true && file.self?.type === 'link';
  if (followLink && file.realPath === undefined) {
    return refuse(
      `${wanted.path} is a broken link to ${file.linkTarget}`,
      `Remove the link or set follow: false.`,
    );
  }
  const path = followLink ? (file.realPath ?? wanted.path) : wanted.path;
  const now = followLink ? file.followed : file.self;
  if (now?.type === 'directory') {
    return refuse(`${path} is a directory`, `Give the path of a file in it, or remove the directory first.`);
  }
  if (now === undefined && site.parent.followed?.type !== 'directory' && wanted.makeParents !== true) {
    return refuse(
      `the folder ${posix.dirname(path)} does not exist`,
      `Add a step before it: file: path=${posix.dirname(path)} state=directory.`,
    );
  }
  const sha256 = sha256OfWanted(wanted.content);
  const facts = { path, checksum_sha256: sha256 };
  if (now?.type === 'file' && wanted.overwrite === false) {
    return unchanged(`${path} exists and force is false`, facts);
  }
  if (now?.type === 'file' && site.content.sha256 === sha256) {
    const mended = attributeChange(path, now, wanted);
    const [first, ...rest] = mended.scripts;
    if (first === undefined) return unchanged(`${path} is as wanted`, { ...facts, mode: now.mode });
    return withAfter(
      change(
        `${path}: ${mended.because.join(', ')}`,
        [{ kind: 'run', what: `set ${mended.because.join(', ')} of ${path}`, script: lines(first, ...rest) }],
        { touches: touchesOfPath(path, 'attributes'), result: () => facts },
      ),
      { file: replaced(file, mended.after, followLink), content: site.content },
    );
  }
  const mode = resolveMode(
    wanted.mode ?? (now?.type === 'file' ? now.mode : (wanted.newMode ?? '0644')),
    now?.type === 'file' ? now.mode : '0644',
    false,
  );
  const owner = wanted.owner ?? (now?.type === 'file' ? now.owner : site.me.user);
  const group = wanted.group ?? (now?.type === 'file' ? now.group : site.me.group);
  const text = textOf(wanted.content);
  const diff = diffOf(path, now, site.content, text, mode, wanted.confidential === true);
  const actions: Action[] = [];
  if (wanted.makeParents === true && site.parent.followed === undefined) {
    const folder = posix.dirname(path);
    actions.push({ kind: 'run', what: `make ${folder}`, script: sh`mkdir -p -- ${folder}` });
  }
  const landing = landingAction(wanted, path, { mode, owner, group });
  const after: FileStat = { type: 'file', mode, owner, group };
  return withAfter(
    change(reasonFor(path, now, site.content, diff), inOrder(actions, landing), {
      ...(diff === undefined ? {} : { diff: [diff] }),
      touches: [...touchesOfPath(path), ...(actions.length > 0 ? ['file:*'] : [])],
      result: () => ({ ...facts, dest: path, mode, owner, group }),
    }),
    {
      file: replaced(file, after, followLink),
      content: { sha256, ...(text === undefined ? {} : { text }) },
    },
  );
}

function inOrder(before: readonly Action[], last: Action): readonly [Action, ...Action[]] {
  const [first, ...rest] = [...before, last];
  return [first ?? last, ...rest];
}

function withAfter<After>(plan: Change<never>, after: After): Change<never> & { readonly after: After } {
  return { ...plan, after } as Change<never> & { readonly after: After };
}

function landingAction(
  wanted: WantedFile,
  path: string,
  attributes: { mode: string; owner: string; group: string },
): Action {
  const { content } = wanted;
  if (typeof content === 'object' && 'upload' in content) {
    return { kind: 'upload', source: content.upload, path, ...attributes };
  }
  const command = wanted.validate;
  return {
    kind: 'write',
    path,
    content,
    ...attributes,
    ...(wanted.backup === true ? { backup: true } : {}),
    ...(command === undefined ? {} : { validate: (temporary: string) => validateScript(command, temporary) }),
  };
}

/** `visudo -cf %s` with the temporary file's path for `%s`. The command is the playbook's own and run as it stands. */
export function validateScript(command: string, temporaryPath: string): ShellScript {
  const parts = command.split('%s');
  return parts
    .slice(1)
    .reduce((script, part) => sh`${script}${temporaryPath}${words(part)}`, words(parts[0] ?? ''));
}

function words(text: string): ShellScript {
  return raw(text);
}

function reasonFor(
  path: string,
  now: FileStat | undefined,
  content: Content,
  diff: Diff | undefined,
): string {
  if (now === undefined) return `${path} does not exist`;
  if (now.type !== 'file') return `${path} is a ${now.type}, not a file`;
  if (content.sha256 === undefined) return `${path} cannot be read`;
  return diff === undefined ? `the content of ${path} differs (not shown)` : `the content of ${path} differs`;
}

/** Only what everybody on the host may read is shown, before and after. */
function diffOf(
  path: string,
  now: FileStat | undefined,
  content: Content,
  text: string | undefined,
  mode: string,
  confidential: boolean,
): Diff | undefined {
  if (confidential || text === undefined || !worldReadable(mode)) return undefined;
  if (now === undefined) return { subject: path, before: undefined, after: text };
  if (now.type !== 'file' || !worldReadable(now.mode) || content.text === undefined) return undefined;
  return { subject: path, before: content.text, after: text };
}

/** Whether any user of the host may read a file of this mode. */
export function worldReadable(mode: string): boolean {
  return (Number.parseInt(mode, 8) & 0o004) !== 0;
}

function sha256OfWanted(content: WantedFile['content']): string {
  if (content instanceof Secret) return sha256Of(content.reveal());
  if (typeof content === 'object' && 'upload' in content) return content.sha256;
  return sha256Of(content);
}

/** Text for a diff; `undefined` for secrets, uploads and what is no text. */
function textOf(content: WantedFile['content']): string | undefined {
  if (typeof content === 'string') return content;
  if (!(content instanceof Uint8Array)) return undefined;
  const text = Buffer.from(content).toString('utf8');
  return text.includes('\0') || !Buffer.from(text, 'utf8').equals(Buffer.from(content)) ? undefined : text;
}

function replaced(before: FileState, after: FileStat, throughLink: boolean): FileState {
  return throughLink ? { ...before, followed: after } : { self: after, followed: after };
}

/** The questions about a place where a file shall land. `hidden`: its text stays on the host. */
export function siteQuestions(path: string, hidden = false) {
  return {
    file: ask(fileAt(path)),
    content: ask(hidden ? digestOf(path) : contentOf(path)),
    parent: ask(fileAt(posix.dirname(path))),
    me: ask(identity),
  };
}
