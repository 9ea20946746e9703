import { posix } from 'node:path';
import { Type } from '@sinclair/typebox';
import { lines, sh } from '../core/shell.ts';
import { ask, type HostQuestion } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import {
  ancestorsOf,
  type FileStat,
  type FileState,
  fileAt,
  noFile,
  type Tree,
  touchesOfPath,
  treeOf,
} from '../facts/file.ts';
import { type Identity, identity } from '../facts/identity.ts';
import { choice, flag, optional, path, text } from './arguments.ts';
import { attributeArguments, attributeChange, resolveMode, sameOwner } from './file-attributes.ts';

const args = Type.Object(
  {
    path: path('What is looked after.', { aliases: ['dest', 'name'] }),
    state: optional(
      choice(
        ['file', 'directory', 'absent', 'touch', 'link', 'hard'],
        'What shall stand there. `file` (the default) only mends attributes of what exists; `directory` makes missing parents too; `absent` removes whole trees.',
      ),
    ),
    src: optional(text('What a link points to; relative for symbolic links as they are stored.')),
    ...attributeArguments,
    recurse: optional(flag('Sets owner, group and mode on everything in a directory too.')),
    follow: optional(flag('Attributes are set on what a link points to. Default true.')),
    access_time: optional(
      choice(
        ['preserve', 'now'],
        'With state: touch, whether the time of the last reading stays. Default now.',
      ),
    ),
    modification_time: optional(
      choice(
        ['preserve', 'now'],
        'With state: touch, whether the time of the last change stays. Default now.',
      ),
    ),
    force: optional(
      flag('A link may replace a file or an empty directory, and may point to what does not exist (yet).'),
    ),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly file: FileState;
  readonly me: Identity;
  readonly tree?: Tree | undefined;
  /** What `src` of a hard link is. */
  readonly source?: FileState;
}

/** Ansible's `file`: directories, links, attributes, removal. */
export const fileStep = defineStep<typeof args, Seen>({
  name: 'file',
  summary: 'A path is a directory, a link, a file with certain attributes, or nothing.',
  args,
  examples: [
    `- file:
    path: /etc/rancher/k3s
    state: directory
    mode: '0755'`,
    `- file:
    path: /usr/local/bin/kubectl
    src: k3s
    state: link`,
    `- file: path=/var/tmp/leftover state=absent`,
  ],
  look(args) {
    const hardSource =
      args.state === 'hard' && args.src !== undefined ? absolute(args.src, args.path) : undefined;
    return {
      file: ask(fileAt(args.path)),
      me: ask(identity),
      ...(args.recurse === true && args.state === 'directory'
        ? { tree: ask(treeOf(args.path)) as HostQuestion<Tree | undefined> }
        : {}),
      ...(hardSource === undefined ? {} : { source: ask(fileAt(hardSource)) }),
    };
  },
  plan(seen, args): Plan<Seen> {
    if (args.recurse === true && args.state !== 'directory') {
      return refuse('recurse works on directories only', 'Set state: directory or leave recurse out.');
    }
    if (args.path === '/' && args.state === 'absent') {
      return refuse('this would remove everything on the host', 'Name the path that shall go.');
    }
    const state = args.state ?? (args.src === undefined ? 'file' : 'link');
    switch (state) {
      case 'absent':
        return planAbsent(seen, args.path);
      case 'directory':
        return planDirectory(seen, args);
      case 'touch':
        return planTouch(seen, args);
      case 'link':
        return planLink(seen, args);
      case 'hard':
        return planHardLink(seen, args);
      case 'file':
        return planAttributes(seen, args);
    }
  },
});

const {
  state: _state,
  src: _src,
  access_time: _access,
  modification_time: _modification,
  recurse,
  ...pathArgs
} = args.properties;
const directoryArgs = Type.Object({ ...pathArgs, recurse }, { additionalProperties: false });

/** `file` with `state: directory`. */
export const directoryStep = defineStep<typeof directoryArgs, Seen>({
  name: 'directory',
  summary: 'A directory exists, its parents too.',
  args: directoryArgs,
  freeForm: 'path',
  examples: [`- directory: path=/var/lib/rancher mode=0755`],
  look: (args, host) => fileStep.look({ ...args, state: 'directory' }, host),
  plan: (seen, args, host) => fileStep.plan(seen, { ...args, state: 'directory' }, host),
});

const linkArgs = Type.Object(
  {
    path: args.properties.path,
    src: text('What it points to, as it is stored in the link.', { aliases: ['to', 'target'] }),
    owner: args.properties.owner,
    group: args.properties.group,
    force: args.properties.force,
  },
  { additionalProperties: false },
);

/** `file` with `state: link`. */
export const linkStep = defineStep<typeof linkArgs, Seen>({
  name: 'link',
  summary: 'A symbolic link points somewhere.',
  args: linkArgs,
  examples: [`- link: path=/usr/local/bin/kubectl src=k3s`],
  look: (args, host) => fileStep.look({ ...args, state: 'link' }, host),
  plan: (seen, args, host) => fileStep.plan(seen, { ...args, state: 'link' }, host),
});

interface FileArgs {
  readonly path: string;
  readonly access_time?: 'preserve' | 'now';
  readonly modification_time?: 'preserve' | 'now';
  readonly src?: string;
  readonly mode?: string;
  readonly owner?: string;
  readonly group?: string;
  readonly recurse?: boolean;
  readonly follow?: boolean;
  readonly force?: boolean;
}

function planAbsent(seen: Seen, path: string): Plan<Seen> {
  const { self } = seen.file;
  if (self === undefined) return unchanged(`${path} is not there`, { path, state: 'absent' });
  const isTree = self.type === 'directory';
  return change(
    `${path} is there (${self.type})`,
    [{ kind: 'remove', path, ...(isTree ? { recursive: true as const } : {}) }],
    {
      after: { file: noFile },
      touches: touchesOfPath(path, isTree ? 'below' : 'alone'),
      result: () => ({ path, state: 'absent' }),
    },
  );
}

function planDirectory(seen: Seen, args: FileArgs): Plan<Seen> {
  const now = seen.file.followed;
  const { path } = args;
  if (now === undefined) {
    if (seen.file.self !== undefined) {
      return refuse(`${path} is a broken link to ${seen.file.linkTarget}`, 'Remove the link first.');
    }
    const mode = resolveMode(args.mode ?? '0755', '0755', true);
    const made: FileStat = {
      type: 'directory',
      mode,
      owner: args.owner ?? seen.me.user,
      group: args.group ?? seen.me.group,
    };
    const script = lines(
      sh`set -e`,
      sh`mkdir -p -- ${posix.dirname(path)}`,
      sh`mkdir -m 0700 -- ${path} 2>/dev/null || test -d ${path}`,
      ...ownership(path, args),
      sh`chmod ${mode} ${path}`,
    );
    return change(`${path} does not exist`, [{ kind: 'run', what: `make directory ${path}`, script }], {
      after: { file: { self: made, followed: made } },
      touches: [
        ...touchesOfPath(path),
        // The outermost folder (/etc, /var) is there on any host.
        ...ancestorsOf(path)
          .slice(0, -1)
          .map((folder) => `file:${folder}`),
      ],
      result: () => ({ path, state: 'directory', mode, owner: made.owner, group: made.group }),
    });
  }
  if (now.type !== 'directory') {
    return refuse(
      `${path} is a ${now.type}, not a directory`,
      `Remove it first: file: path=${path} state=absent.`,
    );
  }
  const real = seen.file.realPath ?? path;
  const own = attributeChange(real, now, args);
  const below = args.recurse === true ? differingBelow(seen.tree, args) : [];
  const result = {
    path,
    state: 'directory',
    mode: own.after.mode,
    owner: own.after.owner,
    group: own.after.group,
  };
  const [first, ...rest] = own.scripts;
  if (below.length === 0) {
    if (first === undefined) return unchanged(`${path} is a directory as wanted`, result);
    return change(
      `${path}: ${own.because.join(', ')}`,
      [{ kind: 'run', what: `set ${own.because.join(', ')} of ${path}`, script: lines(first, ...rest) }],
      {
        after: { file: seenThrough(seen.file, own.after) },
        touches: touchesOfPath(path),
        result: () => result,
      },
    );
  }
  const reasons = [...own.because, `${below.length} of what is in it differ, first ${below[0]}`];
  return change(
    `${path}: ${reasons.join(', ')}`,
    [{ kind: 'run', what: `set attributes of everything in ${path}`, script: recursiveScript(real, args) }],
    { touches: touchesOfPath(path, 'below'), result: () => result },
  );
}

function ownership(path: string, args: FileArgs) {
  if (args.owner === undefined && args.group === undefined) return [];
  return [sh`chown ${`${args.owner ?? ''}${args.group === undefined ? '' : `:${args.group}`}`} ${path}`];
}

function differingBelow(tree: Tree | undefined, args: FileArgs): readonly string[] {
  const differing: string[] = [];
  for (const [name, entry] of tree ?? []) {
    if (name === '.') continue;
    const ownerDiffers =
      !sameOwner(args.owner, entry.owner, undefined) || !sameOwner(args.group, entry.group, undefined);
    const modeDiffers =
      args.mode !== undefined &&
      entry.type !== 'link' &&
      resolveMode(args.mode, entry.mode, entry.type === 'directory') !== entry.mode;
    if (ownerDiffers || modeDiffers) differing.push(name);
  }
  return differing;
}

function recursiveScript(path: string, args: FileArgs) {
  const scripts = [sh`set -e`];
  if (args.owner !== undefined || args.group !== undefined) {
    const to = `${args.owner ?? ''}${args.group === undefined ? '' : `:${args.group}`}`;
    scripts.push(sh`chown -h -R ${to} ${path}`);
  }
  if (args.mode !== undefined) scripts.push(sh`find ${path} ! -type l -exec chmod ${args.mode} {} +`);
  return lines(...scripts);
}

function planAttributes(seen: Seen, args: FileArgs): Plan<Seen> {
  const follow = args.follow ?? true;
  const now = follow ? seen.file.followed : seen.file.self;
  const { path } = args;
  if (now === undefined) {
    return refuse(
      seen.file.self === undefined ? `${path} does not exist` : `${path} is a broken link`,
      'Make it with copy, template or state: touch; state: file only mends attributes.',
    );
  }
  const real = follow ? (seen.file.realPath ?? path) : path;
  const mended = attributeChange(real, now, args);
  const result = {
    path,
    state: now.type,
    mode: mended.after.mode,
    owner: mended.after.owner,
    group: mended.after.group,
  };
  const [first, ...rest] = mended.scripts;
  if (first === undefined) return unchanged(`${path} has the wanted attributes`, result);
  return change(
    `${path}: ${mended.because.join(', ')}`,
    [{ kind: 'run', what: `set ${mended.because.join(', ')} of ${path}`, script: lines(first, ...rest) }],
    {
      after: { file: follow ? seenThrough(seen.file, mended.after) : own(mended.after) },
      touches: touchesOfPath(path, 'attributes'),
      result: () => result,
    },
  );
}

function planTouch(seen: Seen, args: FileArgs): Plan<Seen> {
  const { path } = args;
  const now = seen.file.followed;
  const keeps = { access: args.access_time === 'preserve', change: args.modification_time === 'preserve' };
  if (now !== undefined && keeps.access && keeps.change) return planAttributes(seen, args);
  const which = keeps.access ? ['-m'] : keeps.change ? ['-a'] : [];
  const scripts = [sh`touch ${which} -- ${path}`];
  if (now === undefined) {
    const mode = resolveMode(args.mode ?? '0644', '0644', false);
    const made: FileStat = {
      type: 'file',
      mode,
      owner: args.owner ?? seen.me.user,
      group: args.group ?? seen.me.group,
    };
    return change(
      `${path} does not exist`,
      [
        {
          kind: 'write',
          path,
          content: '',
          mode,
          owner: made.owner,
          group: made.group,
        },
      ],
      {
        after: { file: own(made) },
        touches: touchesOfPath(path),
        result: () => ({ dest: path, state: 'file', mode }),
      },
    );
  }
  const mended = attributeChange(seen.file.realPath ?? path, now, args);
  return change(
    'touch always sets the times',
    [{ kind: 'run', what: `touch ${path}`, script: lines(sh`set -e`, ...scripts, ...mended.scripts) }],
    {
      imperative: true,
      touches: touchesOfPath(path),
      result: () => ({ dest: path, state: 'file', mode: mended.after.mode }),
    },
  );
}

function planLink(seen: Seen, args: FileArgs): Plan<Seen> {
  const { path } = args;
  const target = args.src;
  const { self } = seen.file;
  if (target === undefined) {
    if (self?.type === 'link') return planAttributes(seen, { ...args, follow: args.follow ?? false });
    return refuse('a link needs src', 'Say what it points to: src: /target.');
  }
  if (self?.type === 'link' && seen.file.linkTarget === target) {
    const mended = attributeChange(path, self, args);
    const [first, ...rest] = mended.scripts;
    if (first === undefined)
      return unchanged(`${path} points to ${target}`, { dest: path, src: target, state: 'link' });
    return change(
      `${path}: ${mended.because.join(', ')}`,
      [{ kind: 'run', what: `set ${mended.because.join(', ')} of ${path}`, script: lines(first, ...rest) }],
      { touches: touchesOfPath(path), after: { file: { ...seen.file, self: mended.after } } },
    );
  }
  if (self !== undefined && self.type !== 'link' && args.force !== true) {
    return refuse(
      `${path} is a ${self.type}, not a link`,
      'Remove it first, or set force: true to replace it.',
    );
  }
  const scripts = [sh`set -e`];
  if (self?.type === 'directory') scripts.push(sh`rmdir -- ${path}`);
  const temporary = posix.join(posix.dirname(path), `.${posix.basename(path)}.fleet-link`);
  scripts.push(sh`rm -f -- ${temporary}`, sh`ln -s -- ${target} ${temporary}`);
  if (args.owner !== undefined || args.group !== undefined) {
    scripts.push(
      sh`chown -h ${`${args.owner ?? ''}${args.group === undefined ? '' : `:${args.group}`}`} ${temporary}`,
    );
  }
  // `mv` moves INTO a directory, so also into a link that points to one: such a link goes first.
  if (self?.type === 'link' && seen.file.followed?.type === 'directory') scripts.push(sh`rm -f -- ${path}`);
  scripts.push(sh`mv -f -- ${temporary} ${path}`);
  const because =
    self === undefined
      ? `${path} does not exist`
      : self.type === 'link'
        ? `${path} points to ${seen.file.linkTarget}`
        : `${path} is a ${self.type}`;
  return change(because, [{ kind: 'run', what: `link ${path} to ${target}`, script: lines(...scripts) }], {
    diff: [{ subject: path, before: seen.file.linkTarget, after: target }],
    touches: touchesOfPath(path),
    result: () => ({ dest: path, src: target, state: 'link' }),
  });
}

function planHardLink(seen: Seen, args: FileArgs): Plan<Seen> {
  const { path, src } = args;
  if (src === undefined)
    return refuse('a hard link needs src', 'Say which file it is another name of: src: /file.');
  const source = seen.source?.self;
  if (source === undefined) return refuse(`${src} does not exist`, 'Make it first.');
  const { self } = seen.file;
  if (self?.inode !== undefined && self.inode === source.inode && self.device === source.device) {
    return unchanged(`${path} is the same file as ${src}`, { dest: path, src, state: 'hard' });
  }
  if (self !== undefined && args.force !== true) {
    return refuse(`${path} is another file`, 'Remove it first, or set force: true to replace it.');
  }
  return change(
    self === undefined ? `${path} does not exist` : `${path} is another file`,
    [
      {
        kind: 'run',
        what: `hard link ${path} to ${src}`,
        script: sh`ln -f -- ${absolute(src, path)} ${path}`,
      },
    ],
    { touches: touchesOfPath(path), result: () => ({ dest: path, src, state: 'hard' }) },
  );
}

function absolute(target: string, linkPath: string): string {
  return posix.resolve(posix.dirname(linkPath), target);
}

function own(stat: FileStat): FileState {
  return { self: stat, followed: stat };
}

function seenThrough(state: FileState, followed: FileStat): FileState {
  return state.self?.type === 'link' ? { ...state, followed } : own(followed);
}
