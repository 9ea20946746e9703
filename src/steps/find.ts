import { posix } from 'node:path';
import { Type } from '@sinclair/typebox';
import { ask } from '../engine/fact.ts';
import { defineStep, refuse, unchanged } from '../engine/step.ts';
import { type FoundFile, foundFiles } from '../facts/file.ts';
import { choice, flag, list, optional, text, whole } from './arguments.ts';
import { pythonPattern } from './python-pattern.ts';

const args = Type.Object(
  {
    paths: list('Folders to look in.', { aliases: ['name', 'path'] }),
    patterns: optional(
      list('Names that count, as shell patterns (or regular expressions with use_regex). Default all.', {
        aliases: ['pattern'],
      }),
    ),
    excludes: optional(list('Names that do not count.', { aliases: ['exclude'] })),
    use_regex: optional(flag('Patterns are regular expressions.')),
    file_type: optional(choice(['any', 'directory', 'file', 'link'], 'Default file.')),
    recurse: optional(flag('Looks in folders below too.')),
    depth: optional(whole('How deep, with recurse.', { minimum: 1 })),
    follow: optional(flag('Goes where links point to.')),
    hidden: optional(flag('Whether names that begin with a dot count.')),
    contains: optional(text('A regular expression that a line of the file must begin with. Files only.')),
    age: optional(text('Older than so long (2w, 3d, 12h, 30m, 10s); with a minus, younger.')),
    age_stamp: optional(choice(['atime', 'ctime', 'mtime'], 'Which time counts. Default mtime.')),
    size: optional(text('At least so large (10m, 1g); with a minus, at most.')),
    limit: optional(whole('No more than so many.', { minimum: 1 })),
  },
  { additionalProperties: false },
);

type Seen = { readonly found: { readonly clockS: number; readonly files: readonly FoundFile[] } };

/** Ansible's `find`. */
export const findStep = defineStep<typeof args, Seen>({
  name: 'find',
  summary: 'Lists files; changes nothing.',
  args,
  examples: [`- find: paths=/var/log patterns='*.gz' age=4w recurse=true\n  register: old`],
  readsOnly: true,
  look: (args) => ({
    found: ask(
      foundFiles({
        paths: args.paths,
        depth: args.recurse === true ? (args.depth ?? -1) : 1,
        type: args.file_type ?? 'file',
        hidden: args.hidden === true,
        ...(args.follow === true ? { follow: true } : {}),
        ...(args.contains === undefined ? {} : { contains: extendedPattern(args.contains) }),
      }),
    ),
  }),
  plan(seen, args) {
    if (args.contains !== undefined && /\(\?(?!:)|[*+?}]\?|\\[A-Zbz]/.test(args.contains))
      return refuse(
        `contains ${args.contains} is more than grep -E understands`,
        'Leave out look-around, lazy quantifiers and \\b; or use a command with grep -P.',
      );
    const patterns = (args.patterns ?? ['*']).map((one) => namePattern(one, args.use_regex === true));
    const excludes = (args.excludes ?? []).map((one) => namePattern(one, args.use_regex === true));
    const wrong = [...patterns, ...excludes].find((one) => typeof one === 'string');
    if (wrong !== undefined) return refuse(String(wrong), 'Correct the pattern.');
    const age =
      args.age === undefined ? undefined : amount(args.age, { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 });
    const size =
      args.size === undefined
        ? undefined
        : amount(args.size, { b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 });
    if (Number.isNaN(age)) return refuse(`age ${args.age} is none`, 'Write 2w, 3d, 12h, 30m or 10s.');
    if (Number.isNaN(size)) return refuse(`size ${args.size} is none`, 'Write 10m, 1g or 512k.');
    const matches = (all: readonly (RegExp | string)[], name: string) =>
      all.some((one) => one instanceof RegExp && one.test(name));
    const stamp = { atime: 'accessedAtS', ctime: 'changedAtS', mtime: 'modifiedAtS' }[
      args.age_stamp ?? 'mtime'
    ] as 'modifiedAtS';
    const files = seen.found.files
      .filter((file) => args.hidden === true || !hidden(file.path, args.paths))
      .filter(
        (file) =>
          matches(patterns, posix.basename(file.path)) && !matches(excludes, posix.basename(file.path)),
      )
      .filter((file) => beyond(age, seen.found.clockS - (file[stamp] ?? 0)))
      .filter((file) => beyond(size, file.sizeBytes ?? 0))
      .slice(0, args.limit);
    return unchanged(`${files.length} of ${seen.found.files.length} match`, {
      matched: files.length,
      examined: seen.found.files.length,
      files: files.map((file) => ({
        path: file.path,
        mode: file.mode,
        isdir: file.type === 'directory',
        isreg: file.type === 'file',
        islnk: file.type === 'link',
        pw_name: file.owner,
        gr_name: file.group,
        uid: file.uid,
        gid: file.gid,
        size: file.sizeBytes,
        mtime: file.modifiedAtS,
        atime: file.accessedAtS,
        ctime: file.changedAtS,
      })),
    });
  },
});

function namePattern(written: string, isRegex: boolean): RegExp | string {
  if (isRegex) return pythonPattern(`^(?:${written})`);
  const body = written
    .replace(/[.+^${}()|\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
    .replace(/\[!/g, '[^');
  return pythonPattern(`^${body}$`, 's');
}

/** A Python pattern in the words of grep -E, which is all that a host is sure to have. */
function extendedPattern(written: string): string {
  return written
    .replaceAll('(?:', '(')
    .replaceAll('\\d', '[0-9]')
    .replaceAll('\\s', '[[:space:]]')
    .replaceAll('\\w', '[[:alnum:]_]');
}

function amount(written: string, units: Readonly<Record<string, number>>): number {
  const match = /^(-?\d+)([a-z])?$/i.exec(written.trim());
  const unit = match?.[2]?.toLowerCase();
  return match === null
    ? Number.NaN
    : Number(match[1]) * (unit === undefined ? 1 : (units[unit] ?? Number.NaN));
}

function beyond(limit: number | undefined, value: number): boolean {
  if (limit === undefined) return true;
  return limit >= 0 ? value >= limit : value <= -limit;
}

function hidden(path: string, roots: readonly string[]): boolean {
  const root = roots.find((one) => path.startsWith(one)) ?? '';
  return path
    .slice(root.length)
    .split('/')
    .some((part) => part.startsWith('.'));
}
