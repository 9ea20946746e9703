import { posix } from 'node:path';
import { Type } from '@sinclair/typebox';
import { Secret } from '../core/secret.ts';
import { lines, sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask, askControl, type ControlQuestion, type HostQuestion } from '../engine/fact.ts';
import { change, defineStep, type HostView, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type ControlFile, controlFile } from '../facts/control-file.ts';
import {
  type Content,
  contentOf,
  digestOf,
  type FileState,
  fileAt,
  type Tree,
  touchesOfPath,
  treeOf,
} from '../facts/file.ts';
import { identity } from '../facts/identity.ts';
import { flag, mode, optional, path, secretText, text } from './arguments.ts';
import { attributeArguments, resolveMode, sameOwner } from './file-attributes.ts';
import {
  type LandingSite,
  landFile,
  landingArguments,
  landingOf,
  type WantedFile,
  worldReadable,
} from './landed-file.ts';

const args = Type.Object(
  {
    dest: path('Where the file lands. With a trailing slash, or where a folder is: into that folder.'),
    src: optional(
      text(
        'A file or folder on the control node, looked for beside the playbook and in its files/. With a trailing slash: what is in the folder.',
      ),
    ),
    content: optional(secretText('The content itself, instead of src. A map or list is written as JSON.')),
    ...attributeArguments,
    directory_mode: optional(mode('Permission bits of folders made while copying a folder.')),
    ...landingArguments,
    remote_src: optional(flag('src is a file on the host itself.')),
    checksum: optional(text('Ignored: what is sent is always verified by its sha256.')),
    local_follow: optional(flag('Ignored: links on the control node are always followed.')),
    decrypt: optional(flag('Whether a src encrypted by ansible-vault is decrypted. Default true.')),
  },
  { additionalProperties: false },
);

interface Seen extends LandingSite {
  readonly source?: ControlFile;
  /** What stands at `dest/NAME`, should dest turn out to be a folder. */
  readonly inner?: FileState;
  readonly innerContent?: Content;
  readonly tree?: Tree | undefined;
  /** With `remote_src`. */
  readonly remote?: FileState;
  readonly remoteDigest?: Content;
}

/** Ansible's `copy`. */
export const copyStep = defineStep<typeof args, Seen>({
  name: 'copy',
  summary: 'A file (or a folder) on the host equals one on the control node, or a given text.',
  args,
  examples: [
    `- copy:
    dest: /etc/motd
    content: |
      This host belongs to {{ cluster_context }}.
    mode: '0644'`,
    `- copy: src=sshd.conf dest=/etc/ssh/sshd_config.d/10-fleet.conf validate='sshd -t -f %s'`,
  ],
  look(args, host) {
    const { src } = args;
    const trimmed = args.dest.replace(/(.)\/+$/, '$1');
    const name = src === undefined ? undefined : posix.basename(src);
    const isInto = args.dest.endsWith('/') && name !== undefined && !src?.endsWith('/');
    const target = isInto ? posix.join(trimmed, name) : trimmed;
    const reader = args.content instanceof Secret || hides(args.mode) ? digestOf : contentOf;
    const base = {
      file: ask(fileAt(target)),
      content: ask(reader(target)),
      parent: ask(fileAt(posix.dirname(target))),
      me: ask(identity),
    };
    if (src === undefined || name === undefined) return base;
    if (args.remote_src === true) {
      return {
        ...base,
        remote: ask(fileAt(src)),
        remoteDigest: ask(digestOf(src)),
        ...innerQuestions(trimmed, name, isInto, reader),
      };
    }
    return {
      ...base,
      source: askControl(controlFile(src, host.searchPath, 'files')) as ControlQuestion<ControlFile>,
      ...innerQuestions(trimmed, name, isInto, reader),
      tree: ask(treeOf(src.endsWith('/') ? trimmed : posix.join(trimmed, name))) as HostQuestion<
        Tree | undefined
      >,
    };
  },
  plan(seen, args, host): Plan<Seen> {
    if ((args.src === undefined) === (args.content === undefined)) {
      return refuse('exactly one of src and content must be given', 'Leave one of them out.');
    }
    if (args.content !== undefined) {
      if (args.dest.endsWith('/')) return refuse(`${args.dest} is a folder`, 'Name the file in it.');
      return landFile(seen, wantedFile(args, args.dest, args.content));
    }
    if (args.remote_src === true) return planRemote(seen, args);
    const { source } = seen;
    if (source === undefined || source.kind === 'missing') return missingSource(args.src ?? '', source, host);
    if (source.kind === 'directory') return planFolder(seen, args, source);
    const place = placeOf(seen, args);
    const opened = openedVault(source.bytes, host, args.decrypt);
    const content =
      opened ??
      source.bytes ??
      ({
        upload: { from: 'file', path: source.path, sha256: source.sha256 },
        sha256: source.sha256,
      } as const);
    return landFile(place.site, {
      ...wantedFile(args, place.path, content),
      ...(args.mode === 'preserve' ? { mode: source.mode } : {}),
    });
  },
});

function innerQuestions(dest: string, name: string, isInto: boolean, reader: typeof contentOf) {
  if (isInto) return {};
  const inner = posix.join(dest, name);
  return { inner: ask(fileAt(inner)), innerContent: ask(reader(inner)) };
}

function hides(mode: string | undefined): boolean {
  return mode !== undefined && /^[0-7]+$/.test(mode) && !worldReadable(mode);
}

/** The text of a local file that ansible-vault encrypted; `undefined` for any other. Inside copied folders files stay as they are. */
export function openedVault(
  bytes: Buffer | undefined,
  host: HostView,
  wanted: boolean | undefined,
): Secret | undefined {
  if (bytes === undefined || wanted === false || host.decrypt === undefined) return undefined;
  return bytes.subarray(0, 15).toString('latin1') === '$ANSIBLE_VAULT;'
    ? host.decrypt(bytes.toString('utf8'))
    : undefined;
}

/** What to say of a local file that is nowhere on the search path. */
export function missingSource(name: string, source: ControlFile | undefined, _host: HostView): Plan<never> {
  const searched = source?.kind === 'missing' ? source.searched : [];
  return refuse(
    `there is no file ${name} on the control node`,
    searched.length === 0
      ? 'Check its name.'
      : `Looked at ${searched.join(', ')}; put it there or correct src.`,
  );
}

type CopyArgs = Parameters<typeof copyStep.plan>[1];

function placeOf(seen: Seen, args: CopyArgs) {
  const trimmed = args.dest.replace(/(.)\/+$/, '$1');
  const name = posix.basename(args.src ?? '');
  if (args.dest.endsWith('/')) return { path: posix.join(trimmed, name), site: seen };
  if (seen.file.followed?.type !== 'directory' || seen.inner === undefined)
    return { path: trimmed, site: seen };
  return {
    path: posix.join(trimmed, name),
    site: {
      ...seen,
      file: seen.inner,
      content: seen.innerContent ?? { sha256: undefined },
      parent: seen.file,
    },
  };
}

function wantedFile(args: CopyArgs, path: string, content: WantedFile['content']): WantedFile {
  return {
    path,
    content,
    mode: args.mode === 'preserve' ? undefined : args.mode,
    owner: args.owner,
    group: args.group,
    ...landingOf(args),
  };
}

function planRemote(seen: Seen, args: CopyArgs): Plan<Seen> {
  const src = args.src ?? '';
  const stat = seen.remote?.followed;
  if (stat === undefined)
    return refuse(`${src} does not exist on the host`, 'Make it first, or leave remote_src out.');
  const { path, site } = placeOf(seen, args);
  if (stat.type === 'directory') {
    return change(
      `folders on the host are copied whenever the step runs`,
      [
        {
          kind: 'run',
          what: `copy ${src} to ${path}`,
          script: lines(
            sh`set -e`,
            sh`mkdir -p -- ${path}`,
            sh`cp -R -p -- ${src.endsWith('/') ? `${src}.` : src} ${path}`,
          ),
        },
      ],
      { imperative: true, touches: touchesOfPath(path, 'below') },
    );
  }
  const sha256 = seen.remoteDigest?.sha256;
  if (sha256 === undefined) return refuse(`${src} cannot be read`, 'Check its permissions.');
  const now = site.file.self;
  if (now?.type === 'file' && (site.content.sha256 === sha256 || args.force === false)) {
    return landFile(site, { ...wantedFile(args, path, { upload: { from: 'file', path: src }, sha256 }) });
  }
  const wantedMode = resolveMode(
    args.mode === 'preserve' || args.mode === undefined ? stat.mode : args.mode,
    stat.mode,
    false,
  );
  const temporary = posix.join(posix.dirname(path), `.${posix.basename(path)}.fleet-copy`);
  const owner = args.owner ?? now?.owner ?? seen.me.user;
  const group = args.group ?? now?.group ?? seen.me.group;
  return change(
    now === undefined ? `${path} does not exist` : `the content of ${path} differs from ${src}`,
    [
      {
        kind: 'run',
        what: `copy ${src} to ${path}`,
        script: lines(
          sh`set -e`,
          sh`t=${temporary}`,
          sh`trap 'rm -f "$t"' EXIT`,
          sh`(umask 077; cat ${src} >"$t")`,
          sh`chown ${`${owner}:${group}`} "$t"`,
          sh`chmod ${wantedMode} "$t"`,
          sh`sync "$t" 2>/dev/null || sync`,
          ...(args.backup === true && now !== undefined
            ? [sh`cp -p -- ${path} ${path}."$(date +%Y%m%d-%H%M%S)~"`]
            : []),
          sh`mv -f -- "$t" ${path}`,
        ),
      },
    ],
    { touches: touchesOfPath(path), result: () => ({ dest: path, src, checksum_sha256: sha256 }) },
  );
}

function planFolder(
  seen: Seen,
  args: CopyArgs,
  source: Extract<ControlFile, { kind: 'directory' }>,
): Plan<Seen> {
  const src = args.src ?? '';
  const trimmed = args.dest.replace(/(.)\/+$/, '$1');
  const root = src.endsWith('/') ? trimmed : posix.join(trimmed, posix.basename(src));
  const actions: Action[] = [];
  const reasons: string[] = [];
  const diff: { subject: string; before: string | undefined; after: string | undefined }[] = [];
  const folderMode = resolveMode(args.directory_mode ?? '0755', '0755', true);
  const tree = seen.tree;
  const folders = [
    '.',
    ...source.entries.filter((entry) => entry.type === 'directory').map((entry) => entry.name),
  ];
  const missing = folders.filter((name) => tree?.get(name)?.type !== 'directory');
  const chown =
    args.owner === undefined && args.group === undefined
      ? undefined
      : `${args.owner ?? ''}${args.group === undefined ? '' : `:${args.group}`}`;
  if (missing.length > 0) {
    const paths = missing.map((name) => posix.join(root, name));
    reasons.push(
      `${missing.length === 1 ? 'the folder' : `${missing.length} folders, first`} ${paths[0]} missing`,
    );
    actions.push({
      kind: 'run',
      what: `make ${paths.join(' ')}`,
      script: lines(
        sh`set -e`,
        sh`mkdir -p -- ${paths}`,
        sh`chmod ${folderMode} ${paths}`,
        ...(chown === undefined ? [] : [sh`chown ${chown} ${paths}`]),
      ),
    });
  }
  for (const entry of source.entries) {
    const { file } = entry;
    if (file === undefined) continue;
    const target = posix.join(root, entry.name);
    const now = tree?.get(entry.name);
    const mode = resolveMode(
      args.mode === 'preserve' ? file.mode : (args.mode ?? now?.mode ?? '0644'),
      now?.mode ?? '0644',
      false,
    );
    const owner = args.owner ?? now?.owner ?? seen.me.user;
    const group = args.group ?? now?.group ?? seen.me.group;
    if (now !== undefined && args.force === false) continue;
    if (now?.sha256 === file.sha256) {
      if (
        now.mode === mode &&
        sameOwner(args.owner, now.owner, undefined) &&
        sameOwner(args.group, now.group, undefined)
      )
        continue;
      reasons.push(`attributes of ${target} differ`);
      actions.push({
        kind: 'run',
        what: `set attributes of ${target}`,
        script: lines(sh`set -e`, sh`chown ${`${owner}:${group}`} ${target}`, sh`chmod ${mode} ${target}`),
      });
      continue;
    }
    reasons.push(now === undefined ? `${target} does not exist` : `the content of ${target} differs`);
    if (now === undefined && file.bytes !== undefined && worldReadable(mode) && !file.bytes.includes(0)) {
      diff.push({ subject: target, before: undefined, after: file.bytes.toString('utf8') });
    }
    actions.push(
      file.bytes === undefined
        ? {
            kind: 'upload',
            source: { from: 'file', path: file.path, sha256: file.sha256 },
            path: target,
            mode,
            owner,
            group,
          }
        : {
            kind: 'write',
            path: target,
            content: file.bytes,
            mode,
            owner,
            group,
            ...(args.backup === true ? { backup: true } : {}),
          },
    );
  }
  const [first, ...rest] = actions;
  if (first === undefined) return unchanged(`everything of ${src} is in ${root}`, { dest: root, src });
  const shown =
    reasons.length > 3
      ? `${reasons.slice(0, 3).join('; ')}; and ${reasons.length - 3} more`
      : reasons.join('; ');
  return change(shown, [first, ...rest], {
    ...(diff.length > 0 ? { diff } : {}),
    touches: touchesOfPath(root, 'below'),
    result: () => ({ dest: root, src }),
  });
}
