import { posix } from 'node:path';
import { Type } from '@sinclair/typebox';
import { lines, type ShellScript, sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask, askControl } from '../engine/fact.ts';
import { change, defineStep, type Notice, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type ControlFile, controlFile } from '../facts/control-file.ts';
import { publishedSum } from '../facts/download.ts';
import {
  type Content,
  contentOf,
  digestOf,
  type FileState,
  fileAt,
  sha256Of,
  touchesOfPath,
} from '../facts/file.ts';
import { anything, flag, list, optional, path, text } from './arguments.ts';
import { missingSource } from './copy.ts';
import { checksumArgument, downloadScript } from './download.ts';
import { attributeArguments } from './file-attributes.ts';

const args = Type.Object(
  {
    src: text(
      'An archive on the control node (tar, also gz, bz2, xz, zst; zip), or with remote_src on the host, or an address from which the host fetches it, once.',
    ),
    checksum: optional(
      text(
        'Of an address: ALGORITHM:HEX, or ALGORITHM:URL of a file that lists the sums; checked before anything is unpacked. Without it a warning says so. Ansible has no such argument.',
      ),
    ),
    dest: path('The folder it is unpacked into, which must exist.'),
    remote_src: optional(flag('src is on the host, or an address.', { aliases: ['copy_remote'] })),
    copy: optional(flag('The opposite of remote_src, as older playbooks have it.')),
    creates: optional(path('Does not unpack when this exists.')),
    extra_opts: optional(list('More arguments for tar or unzip.')),
    exclude: optional(list('Names in the archive to leave out.')),
    include: optional(list('The only names in the archive to unpack.')),
    keep_newer: optional(flag('Does not replace files that are newer than those in the archive.')),
    list_files: optional(anything('Ignored.')),
    validate_certs: optional(flag('Whether the certificate of the server must be valid. Default true.')),
    decrypt: optional(anything('Ignored.')),
    ...attributeArguments,
  },
  { additionalProperties: false },
);

interface Seen {
  readonly dest: FileState;
  readonly creates?: FileState;
  readonly source?: ControlFile;
  readonly remote?: Content;
  /** The sum that the list at the checksum's address gives for the archive; `undefined` when it could not be read. */
  readonly published?: string | undefined;
  /** The note of the archive that was unpacked there last. */
  readonly note: Content;
}

/**
 * Ansible's `unarchive`. What was unpacked is known by a note under /var/lib/fleet/unarchived that holds the sha256 of the
 * archive: a new archive is unpacked, files changed by hand are not put back.
 */
export const unarchiveStep = defineStep<typeof args, Seen>({
  name: 'unarchive',
  summary: 'An archive was unpacked into a folder, and no newer one is there to unpack.',
  args,
  examples: [
    `- unarchive: src=helm-v3.16.2-linux-amd64.tar.gz dest=/opt/helm`,
    `- unarchive:
    src: https://get.helm.sh/helm-v3.16.2-linux-amd64.tar.gz
    remote_src: true
    dest: /opt/helm
    checksum: sha256:9318379b847e333460d33d291d4c088156299a26cd93d570a7f5d0c36e50b5bb`,
  ],
  look(args, host) {
    const sum = checksumArgument(args.checksum);
    return {
      ...(isAddress(args.src) && typeof sum === 'object' && sum.url !== undefined
        ? { published: ask(publishedSum(sum.url, archiveName(args.src))) }
        : {}),
      dest: ask(fileAt(args.dest)),
      note: ask(contentOf(noteOf(args))),
      ...(args.creates === undefined ? {} : { creates: ask(fileAt(args.creates)) }),
      ...(isAddress(args.src)
        ? {}
        : isOnHost(args)
          ? { remote: ask(digestOf(args.src)) }
          : { source: askControl(controlFile(args.src, host.searchPath, 'files')) }),
    };
  },
  plan(seen, args, host): Plan<Seen> {
    if (isAddress(args.src) && !isOnHost(args))
      return refuse('src is an address', 'Say that the host shall fetch it: remote_src: true.');
    const sum = checksumArgument(args.checksum);
    if (typeof sum === 'string') return refuse(sum, 'Write checksum: sha256:HEX.');
    if (sum !== undefined && !isAddress(args.src))
      return refuse(
        `checksum is for archives of an address, and ${args.src} is a file`,
        'Leave checksum out, or check the file with stat and assert.',
      );
    if (args.creates !== undefined && seen.creates?.self !== undefined)
      return unchanged(`${args.creates} exists`);
    if (seen.dest.followed?.type !== 'directory') {
      return refuse(`${args.dest} is no folder`, `Make it first: file: path=${args.dest} state=directory.`);
    }
    const { source } = seen;
    if (source?.kind === 'missing') return missingSource(args.src, source, host);
    if (source?.kind === 'directory') return refuse(`${source.path} is a folder`, 'Use copy for folders.');
    const wanted = sum?.hex ?? seen.published;
    if (sum !== undefined && wanted === undefined) {
      return refuse(
        `the list at ${sum.url} gives no sum for ${archiveName(args.src)}`,
        'Check both addresses, or give the sum itself.',
      );
    }
    const known = isAddress(args.src)
      ? sum === undefined
        ? args.src
        : `${sum.algorithm}:${wanted}`
      : (source?.sha256 ?? seen.remote?.sha256);
    if (known === undefined) return refuse(`${args.src} does not exist on the host`, 'Bring it there first.');
    const note = `${known}\n`;
    if (seen.note.text === note)
      return unchanged(`this ${posix.basename(args.src)} was unpacked into ${args.dest}`, {
        dest: args.dest,
        src: args.src,
      });
    const isStaged = source !== undefined || isAddress(args.src);
    const staged = isStaged ? `${noteOf(args)}.archive` : args.src;
    const actions: Action[] = [
      {
        kind: 'run',
        what: 'make /var/lib/fleet/unarchived',
        script: sh`mkdir -p -m 0755 /var/lib/fleet/unarchived`,
      },
    ];
    if (source !== undefined) {
      actions.push({
        kind: 'upload',
        source: { from: 'file', path: source.path, sha256: source.sha256 },
        path: staged,
        mode: '0600',
        owner: 'root',
        group: 'root',
      });
    }
    if (isAddress(args.src)) {
      actions.push({
        kind: 'run',
        what: `fetch ${args.src}`,
        survives: true,
        deadlineMs: 30 * 60_000,
        script: downloadScript({
          url: args.src,
          target: staged,
          mode: '0600',
          owner: 'root',
          group: 'root',
          ...(sum === undefined || wanted === undefined
            ? {}
            : { sum: { algorithm: sum.algorithm, hex: wanted } }),
          headers: [],
          connectTimeoutS: 10,
          insecure: args.validate_certs === false,
          backup: false,
        }),
      });
    }
    actions.push(
      {
        kind: 'run',
        what: `unpack ${posix.basename(args.src)} into ${args.dest}`,
        script: unpackScript(args, staged),
        survives: true,
        deadlineMs: 30 * 60_000,
      },
      ...(isStaged ? [{ kind: 'remove', path: staged } satisfies Action] : []),
      { kind: 'run', what: 'note what was unpacked', script: sh`printf %s ${note} >${noteOf(args)}` },
    );
    const [first, ...rest] = actions;
    if (first === undefined) return unchanged('');
    return change(
      seen.note.sha256 === undefined
        ? `${posix.basename(args.src)} was not unpacked there`
        : `${posix.basename(args.src)} is another than the one unpacked there`,
      [first, ...rest],
      {
        after: { note: { sha256: sha256Of(note), text: note } },
        touches: touchesOfPath(args.dest, 'below'),
        result: () => ({ dest: args.dest, src: args.src }),
        ...(isAddress(args.src) && sum === undefined ? { warning: unverified(args.src) } : {}),
      },
    );
  },
});

function unverified(address: string): Notice {
  return {
    code: 'DOWNLOAD_UNVERIFIED',
    message: `what ${address} gives is unpacked unchecked: 'unarchive' was given no checksum`,
    fix: "Add 'checksum: sha256:HEX', or the address of a list of sums behind 'sha256:'.",
  };
}

/** What a list of sums calls the archive. */
function archiveName(address: string): string {
  return posix.basename(URL.canParse(address) ? new URL(address).pathname : address);
}

function isAddress(src: string): boolean {
  return /^(https?|ftp):\/\//.test(src);
}

function isOnHost(args: { readonly remote_src?: boolean; readonly copy?: boolean }): boolean {
  return args.remote_src ?? args.copy === false;
}

function noteOf(args: { dest: string; src: string }): string {
  const place = posix.normalize(args.dest).replace(/\/$/, '');
  return `/var/lib/fleet/unarchived/${sha256Of(`${place} ${posix.basename(args.src)}`).slice(0, 32)}`;
}

function unpackScript(
  args: {
    src: string;
    dest: string;
    extra_opts?: readonly string[];
    exclude?: readonly string[];
    include?: readonly string[];
    keep_newer?: boolean;
    owner?: string;
    group?: string;
    mode?: string;
  },
  archive: string,
): ShellScript {
  const extra = args.extra_opts ?? [];
  const include = args.include ?? [];
  const unpack = /\.zip$|\.jar$/i.test(args.src)
    ? sh`unzip -q -o ${extra} ${archive} ${include} ${(args.exclude ?? []).length > 0 ? ['-x', ...(args.exclude ?? [])] : []} -d ${args.dest}`
    : lines(
        // GNU tar tells the compression by itself; BusyBox's must be told.
        sh`case ${args.src} in *.gz|*.tgz) z=-z ;; *.bz2|*.tbz*) z=-j ;; *.xz|*.txz) z=-J ;; *.zst|*.tzst) z=--zstd ;; *) z= ;; esac`,
        sh`tar -x $z -f ${archive} -C ${args.dest} ${args.keep_newer === true ? ['--keep-newer-files'] : []} ${(args.exclude ?? []).map((name) => `--exclude=${name}`)} ${extra} ${include}`,
      );
  const to =
    args.owner === undefined && args.group === undefined
      ? undefined
      : `${args.owner ?? ''}${args.group === undefined ? '' : `:${args.group}`}`;
  return lines(
    sh`set -e`,
    unpack,
    ...(to === undefined ? [] : [sh`chown -h -R ${to} ${args.dest}`]),
    ...(args.mode === undefined
      ? []
      : [sh`find ${args.dest} -mindepth 1 ! -type l -exec chmod ${args.mode} {} +`]),
  );
}
