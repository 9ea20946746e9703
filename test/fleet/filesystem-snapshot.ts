/**
 * Proof that nothing changed on a node: every path with its type, mode, owner, size, modification time and content, before and
 * after.
 */

/** What a snapshot says of one path. */
export interface PathFacts {
  /** f: file, d: directory, l: symbolic link, and the other letters of `find -printf %y`. */
  readonly type: string;
  /** Octal, with set-id and sticky bits. */
  readonly mode: string;
  readonly owner: string;
  /** In bytes; 0 for directories, whose size is the file system's business. */
  readonly size: number;
  /** Seconds since 1970, with all the fraction that the file system keeps. */
  readonly mtime: string;
  /** sha256 of a file, target of a link, else empty. */
  readonly content: string;
}

/** The paths of a node and what was seen of each. */
export type FilesystemSnapshot = ReadonlyMap<string, PathFacts>;

/** The folders that a snapshot covers. */
export const snapshotRoots = ['/etc', '/usr', '/var', '/root', '/home', '/boot', '/opt'] as const;

/**
 * What is left out, because a machine that is only logged in to changes it by itself:
 * - /var/log: the journal, and the records of logins;
 * - /var/lib/systemd: random seed, timers' stamps, the catalog;
 * - /var/lib/sudo: that sudo has once lectured a user;
 * - /var/cache/ldconfig and /var/lib/dbus: caches made at boot.
 * The time stamp of the directory that holds one of them is still compared.
 */
export const snapshotExclusions = [
  '/var/log',
  '/var/lib/systemd',
  '/var/lib/sudo',
  '/var/cache/ldconfig',
  '/var/lib/dbus',
] as const;

/** The shell script that takes a snapshot; `parseSnapshot` reads what it prints. */
export function snapshotScript(roots: readonly string[] = snapshotRoots): string {
  const prune = snapshotExclusions.map((each) => `-path ${each}`).join(' -o ');
  const existing = `for each in ${roots.join(' ')}; do [ ! -e "$each" ] || set -- "$@" "$each"; done`;
  // Where a node has BusyBox' tools, those that a snapshot takes lie apart.
  return `PATH=/usr/lib/fake-node/gnu:$PATH; set -- ; ${existing}; [ $# -gt 0 ] || exit 0
    find "$@" '(' ${prune} ')' -prune -o -printf '%y\\t%m\\t%U:%G\\t%s\\t%T@\\t%l\\t%p\\0'
    printf '\\0'
    find "$@" '(' ${prune} ')' -prune -o -type f -print0 | xargs -0 -r sha256sum -z --`;
}

/** Reads the output of `snapshotScript`. */
export function parseSnapshot(output: string): FilesystemSnapshot {
  const [listing = '', sums = ''] = splitOnce(output, '\0\0');
  const contents = new Map<string, string>();
  for (const record of sums.split('\0')) {
    if (record !== '') contents.set(record.slice(66), record.slice(0, 64));
  }
  const snapshot = new Map<string, PathFacts>();
  for (const record of listing.split('\0')) {
    const [type, mode, owner, size, mtime, link, ...rest] = record.split('\t');
    const path = rest.join('\t');
    if (type === undefined || mode === undefined || owner === undefined || mtime === undefined || path === '')
      continue;
    snapshot.set(path, {
      type,
      mode,
      owner,
      size: type === 'd' ? 0 : Number(size),
      mtime,
      content: type === 'f' ? (contents.get(path) ?? '') : (link ?? ''),
    });
  }
  return snapshot;
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)];
}

/** What differs between two snapshots, one line per path; empty when nothing does. */
export function snapshotDifferences(before: FilesystemSnapshot, after: FilesystemSnapshot): string[] {
  const lines: string[] = [];
  for (const path of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const was = before.get(path);
    const is = after.get(path);
    if (was === undefined) lines.push(`+ ${path} (${is?.type} ${is?.mode} ${is?.owner})`);
    else if (is === undefined) lines.push(`- ${path}`);
    else {
      const fields = (['type', 'mode', 'owner', 'size', 'mtime', 'content'] as const).filter(
        (field) => was[field] !== is[field],
      );
      if (fields.length > 0) {
        lines.push(
          `~ ${path} (${fields.map((field) => `${field} ${was[field]} -> ${is[field]}`).join(', ')})`,
        );
      }
    }
  }
  return lines;
}
