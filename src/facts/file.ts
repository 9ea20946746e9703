import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { type ShellScript, sh } from '../core/shell.ts';
import { type Fact, ofMany } from '../engine/fact.ts';
import type { Answer } from '../ssh/connection.ts';

export type FileType = 'file' | 'directory' | 'link' | 'block' | 'character' | 'fifo' | 'socket';

/** What `stat` says of one file. What an action cannot foresee (size, times, inode) is absent from a foreseen one. */
export interface FileStat {
  readonly type: FileType;
  /** Four octal digits, `0644`, with setuid, setgid and sticky bits. */
  readonly mode: string;
  /** A name, or the number as text where the host has no name for it. */
  readonly owner: string;
  readonly group: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly sizeBytes?: number;
  /** Seconds since the epoch. */
  readonly modifiedAtS?: number;
  readonly accessedAtS?: number;
  readonly changedAtS?: number;
  readonly links?: number;
  readonly inode?: number;
  readonly device?: number;
}

/** What stands at a path. */
export interface FileState {
  /** The thing itself, a link not followed; `undefined` when nothing is there. */
  readonly self: FileStat | undefined;
  /** What one gets when opening it; the same as `self` unless it is a link. `undefined` for a broken link. */
  readonly followed: FileStat | undefined;
  /** Where a link points to, as it is written in the link. */
  readonly linkTarget?: string;
  /** Where a link ends, all links followed. */
  readonly realPath?: string;
}

/** Nothing there. */
export const noFile: FileState = { self: undefined, followed: undefined };

const STAT_FORMAT = '%f %u %g %s %Y %X %Z %h %i %d %U %G';

/** One `stat` for all, where there are several: its answer and the path, a line each, so that no path can be taken for the end of another. */
const statsOfAll = sh`nl='
'; stats=; if [ $# -gt 1 ]; then stats=$nl$(stat -c ${`${STAT_FORMAT}\n%n`} -- "$@" 2>/dev/null)$nl; fi`;

// 81a4 0 0 2287 1700000000 1700000000 1700000000 1 1234 2049 root root
const statOfEach = sh`if [ -L "$p" ]; then
  stat -c ${STAT_FORMAT} -- "$p"
  if [ -e "$p" ]; then stat -L -c ${STAT_FORMAT} -- "$p"; readlink -f -- "$p"; else echo broken; echo; fi
  readlink -- "$p"
elif [ -e "$p" ]; then
  case $stats in
    *"$nl$p$nl"*) stat=\${stats%%"$nl$p$nl"*}; echo "\${stat##*"$nl"}" ;;
    *) stat -c ${STAT_FORMAT} -- "$p" ;;
  esac
fi`;

/** Type, mode, owner and the rest of what stands at an absolute path. Source: `stat -c`, `readlink`. */
export function fileAt(path: string): Fact<FileState> {
  return ofMany({
    key: `file:${path}`,
    ofMany: { about: path, before: statsOfAll, each: statOfEach },
    parse: parseFileState,
  });
}

/** The parser of `fileAt`: nothing, one line of `stat`, or four lines for a link (itself, its end or `broken`, real path, target). */
export function parseFileState(answer: Answer): FileState {
  if (answer.stdout === '' && answer.code === 0) return noFile;
  const [own = '', end = '', realPath = '', ...target] = answer.stdout.replace(/\n$/, '').split('\n');
  const self = parseStat(own, answer);
  if (self.type !== 'link') return { self, followed: self };
  return {
    self,
    followed: end === 'broken' ? undefined : parseStat(end, answer),
    linkTarget: target.join('\n'),
    ...(realPath === '' ? {} : { realPath }),
  };
}

function parseStat(line: string, answer: Answer): FileStat {
  const [
    raw = '',
    uid,
    gid,
    size,
    modified,
    accessed,
    changed,
    links,
    inode,
    device,
    owner = '',
    group = '',
  ] = line.split(' ');
  const bits = Number.parseInt(raw, 16);
  const type = typeOfBits(bits);
  if (type === undefined) throw new Error(`stat answered ${JSON.stringify(line)} ${answer.stderr.trim()}`);
  return {
    type,
    mode: octal(bits),
    owner: owner === 'UNKNOWN' || owner === '' ? String(uid) : owner,
    group: group === 'UNKNOWN' || group === '' ? String(gid) : group,
    uid: Number(uid),
    gid: Number(gid),
    sizeBytes: Number(size),
    modifiedAtS: Number(modified),
    accessedAtS: Number(accessed),
    changedAtS: Number(changed),
    links: Number(links),
    inode: Number(inode),
    device: Number(device),
  };
}

/** Permission bits as four octal digits. */
export function octal(bits: number): string {
  return (bits & 0o7777).toString(8).padStart(4, '0');
}

function typeOfBits(bits: number): FileType | undefined {
  const types: Readonly<Record<number, FileType>> = {
    8: 'file',
    4: 'directory',
    10: 'link',
    6: 'block',
    2: 'character',
    1: 'fifo',
    12: 'socket',
  };
  return Number.isNaN(bits) ? undefined : types[bits >> 12];
}

/** What a regular file holds; `undefined` fields where there is none, or where the content is not text that fits. */
export interface Content {
  /** Lower-case hex; `undefined` when there is no regular file at the path. */
  readonly sha256: string | undefined;
  /** The whole text, when it was asked for, is valid UTF-8 without NUL and no larger than 256 KiB. */
  readonly text?: string;
}

/** No regular file, so no content. */
export const noContent: Content = { sha256: undefined };

const LARGEST_TEXT_BYTES = 256 * 1024;

/**
 * One `sha256sum` for all regular files, and `sum_of`, which looks one up as `HASH  -`: what is no hash alone (a path that ends like
 * another, one that sha256sum has to mask) is summed by itself.
 */
const sumsOfAll = sh`nl='
'; sums=$nl$(for p; do shift; if [ -f "$p" ]; then set -- "$@" "$p"; fi; done; [ $# -lt 2 ] || sha256sum -- "$@" 2>/dev/null)$nl
sum_of() {
  sum=\${sums%%"  $1$nl"*}; sum=\${sum##*"$nl"}
  if [ \${#sum} = 64 ]; then echo "$sum  -"; else sha256sum <"$1"; fi
}`;

/** Hash and text of a regular file, links followed. Ask `digestOf` for files that may hold secrets. Source: `sha256sum`, `head -c`. */
export function contentOf(path: string): Fact<Content> {
  return ofMany({
    key: `content:${path}`,
    ofMany: {
      about: path,
      before: sumsOfAll,
      each: sh`if [ -f "$p" ]; then sum_of "$p" && head -c ${LARGEST_TEXT_BYTES + 1} -- "$p"; fi`,
    },
    parse: parseContent,
  });
}

/** Hash of a regular file, links followed; its text never leaves the host. Source: `sha256sum`. */
export function digestOf(path: string): Fact<Content> {
  return ofMany({
    key: `digest:${path}`,
    ofMany: { about: path, before: sumsOfAll, each: sh`if [ -f "$p" ]; then sum_of "$p"; fi` },
    parse: (answer) => ({ sha256: parseContent(answer).sha256 }),
  });
}

/** The parser of `contentOf`: `HASH  -`, then the bytes. Text that does not hash to HASH was cut off or is no UTF-8. */
export function parseContent(answer: Answer): Content {
  if (answer.stdout === '' && answer.code === 0) return noContent;
  const match = /^([0-9a-f]{64}) [ *]?-?\n?/.exec(answer.stdout);
  if (match?.[1] === undefined) throw new Error(`sha256sum answered ${JSON.stringify(answer.stderr.trim())}`);
  const text = answer.stdout.slice(match[0].length);
  const faithful = !text.includes('\0') && sha256Of(text) === match[1];
  return { sha256: match[1], ...(faithful ? { text } : {}) };
}

/** Lower-case hex sha256. */
export function sha256Of(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

/** One entry below a directory. */
export interface TreeEntry {
  readonly type: 'file' | 'directory' | 'link';
  readonly mode: string;
  readonly owner: string;
  readonly group: string;
  /** Of regular files. */
  readonly sha256?: string;
}

/** Everything below a directory, by path relative to it; `undefined` when there is no directory. The directory itself is `.`. */
export type Tree = ReadonlyMap<string, TreeEntry>;

/** Modes, owners and hashes of all below a directory. For folders that are copied: not for `/`. Source: `find`, `stat`, `sha256sum`. */
export function treeOf(path: string): Fact<Tree | undefined> {
  return {
    key: `tree:${path}`,
    sh: sh`p=${path}
if [ -d "$p" ]; then
  cd "$p" && find . -exec stat -c '%f %U %G %n' {} + && echo = && find . -type f -exec sha256sum {} +
fi`,
    parse: parseTree,
  };
}

function parseTree(answer: Answer): Tree | undefined {
  if (answer.stdout === '' && answer.code === 0) return undefined;
  const [stats = '', sums = ''] = answer.stdout.split('\n=\n');
  const hashes = new Map<string, string>();
  for (const line of sums.split('\n')) {
    // e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  ./etc/hosts
    const match = /^([0-9a-f]{64}) [ *](.+)$/.exec(line);
    if (match?.[1] && match[2]) hashes.set(posix.normalize(match[2]), match[1]);
  }
  const tree = new Map<string, TreeEntry>();
  for (const line of stats.split('\n')) {
    const match = /^([0-9a-f]+) (\S+) (\S+) (.+)$/.exec(line);
    if (match === null) continue;
    const [, raw = '', owner = '', group = '', name = ''] = match;
    const bits = Number.parseInt(raw, 16);
    const type = typeOfBits(bits);
    if (type !== 'file' && type !== 'directory' && type !== 'link') continue;
    const relative = posix.normalize(name);
    const sha256 = hashes.get(relative);
    tree.set(relative, {
      type,
      mode: octal(bits),
      owner,
      group,
      ...(sha256 === undefined ? {} : { sha256 }),
    });
  }
  return tree;
}

/**
 * The keys of every question that a change at this path makes stale: `alone` for one file or directory, `attributes` for its
 * owner and mode (what it holds stays known), `below` for a whole tree.
 */
export function touchesOfPath(
  path: string,
  extent: 'alone' | 'attributes' | 'below' = 'alone',
): readonly string[] {
  if (extent === 'below') return ['file:*', 'content:*', 'digest:*', 'tree:*', 'find:*'];
  if (extent === 'attributes') return [`file:${path}`, 'tree:*', 'find:*'];
  return [
    `file:${path}`,
    `content:${path}`,
    `content:${path}#*`,
    `digest:${path}`,
    `digest:${path}#*`,
    'tree:*',
    'find:*',
  ];
}

/** The folders that `mkdir -p` may create on the way to a path, nearest first, without `/`. */
export function ancestorsOf(path: string): readonly string[] {
  const parent = posix.dirname(path);
  return parent === path || parent === '/' || parent === '.' ? [] : [parent, ...ancestorsOf(parent)];
}

/** What `find` is asked to list, as Ansible's module of that name. */
export interface FindQuery {
  readonly paths: readonly string[];
  /** -1 for no limit; 1 lists the folder alone. */
  readonly depth: number;
  readonly type: 'any' | 'directory' | 'file' | 'link';
  readonly hidden: boolean;
  /** An extended regular expression that a line of the file must begin with. */
  readonly contains?: string;
  /** Whether links to folders are gone into, and files told by what a link points to. */
  readonly follow?: boolean;
}

/** One found file. */
export interface FoundFile extends FileStat {
  readonly path: string;
}

/** Files below some folders with their `stat`, and the host's clock for telling their age; folders that are not there are left out. Source: `find`, `stat -c`. */
export function foundFiles(
  query: FindQuery,
): Fact<{ readonly clockS: number; readonly files: readonly FoundFile[] }> {
  const depth = query.depth < 0 ? [] : ['-maxdepth', String(query.depth)];
  const letter = { any: '', directory: 'd', file: 'f', link: 'l' }[query.type];
  const type = [
    ...(letter === '' ? [] : ['-type', letter]),
    ...(query.contains === undefined
      ? []
      : ['-exec', 'grep', '-qaE', '-e', `^(${query.contains})`, '{}', ';']),
  ];
  const scripts: ShellScript[] = query.paths.map(
    (path) =>
      sh`if [ -d ${path} ]; then find ${query.follow === true ? '-L' : '-P'} ${path} -mindepth 1 ${depth} ${type} -exec stat ${query.follow === true ? ['-L'] : []} -c ${`${STAT_FORMAT} %n`} {} + ; fi`,
  );
  return {
    key: `find:${query.paths.join(',')} ${query.depth} ${query.type} ${query.contains ?? ''}${query.follow === true ? ' follow' : ''}`,
    sh: scripts.reduce((all, next) => sh`${all}\n${next}`, sh`date +%s`),
    parse: (answer) => {
      const [clock = '0', ...rows] = answer.stdout.split('\n').filter((line) => line !== '');
      const files = rows.flatMap((row) => {
        const words = row.split(' ');
        const path = words.slice(12).join(' ');
        return path === '' ? [] : [{ path, ...parseStat(words.slice(0, 12).join(' '), answer) }];
      });
      return { clockS: Number(clock), files };
    },
  };
}

export type ChecksumAlgorithm = 'md5' | 'sha1' | 'sha224' | 'sha256' | 'sha384' | 'sha512';

/** Checksum of a regular file, links followed, lower-case hex; `undefined` when there is none. Source: `sha1sum` and its like. */
export function checksumOf(path: string, algorithm: ChecksumAlgorithm): Fact<string | undefined> {
  return {
    key: `digest:${path}#${algorithm}`,
    sh: sh`p=${path}
if [ -f "$p" ]; then ${`${algorithm}sum`} <"$p"; fi`,
    parse: (answer) => {
      const sum = /^[0-9a-f]+/.exec(answer.stdout)?.[0];
      if (sum === undefined && answer.code !== 0) throw new Error(`${algorithm}sum: ${answer.stderr.trim()}`);
      return sum;
    },
  };
}

/** A whole file of at most 10 MiB, held in memory. */
export type FetchedFile =
  | { readonly kind: 'missing' }
  | { readonly kind: 'too-large' }
  | { readonly kind: 'not-a-file' }
  | { readonly kind: 'file'; readonly bytes: Uint8Array; readonly sha256: string };

const LARGEST_FETCHED_BYTES = 10 * 1024 * 1024;

/** The bytes of a file. Source: `base64`. */
export function fetchedFile(path: string): Fact<FetchedFile> {
  return {
    key: `content:${path}#bytes`,
    sh: sh`p=${path}
if [ ! -e "$p" ]; then echo missing
elif [ ! -f "$p" ]; then echo not-a-file
elif [ "$(stat -L -c %s "$p")" -gt ${LARGEST_FETCHED_BYTES} ]; then echo too-large
else echo file; base64 <"$p"; fi`,
    parse: (answer) => {
      const end = answer.stdout.indexOf('\n');
      const kind = answer.stdout.slice(0, end);
      if (kind === 'missing' || kind === 'too-large' || kind === 'not-a-file') return { kind };
      if (kind !== 'file' || answer.code !== 0) throw new Error(`base64: ${answer.stderr.trim()}`);
      const bytes = Buffer.from(answer.stdout.slice(end + 1), 'base64');
      return { kind: 'file', bytes, sha256: sha256Of(bytes) };
    },
  };
}
