import { usageError } from './findings.ts';
import type { Fleet, Host } from './fleet.ts';
import { splitPort } from './host-pattern.ts';

/** What a pattern is matched against. */
export type Selectable = Pick<Fleet, 'hosts' | 'groups'>;

/**
 * The hosts that an Ansible pattern names. `!` excludes and `&` keeps only what both name; those are applied after the rest,
 * wherever they stand.
 * @throws FleetError `HOSTS_UNKNOWN` or `HOSTS_PATTERN`.
 */
export function selectHosts(fleet: Selectable, pattern: string): readonly Host[] {
  const parts = splitPattern(pattern);
  const regular = parts.filter((part) => !part.startsWith('!') && !part.startsWith('&'));
  const narrowing = parts.filter((part) => part.startsWith('&'));
  const excluding = parts.filter((part) => part.startsWith('!'));
  let chosen = new Set<Host>();
  for (const part of regular.length === 0 ? ['all'] : regular) {
    for (const host of matchOne(fleet, part)) chosen.add(host);
  }
  for (const part of narrowing) {
    const kept = new Set(matchOne(fleet, part.slice(1)));
    chosen = new Set([...chosen].filter((host) => kept.has(host)));
  }
  for (const part of excluding) for (const host of matchOne(fleet, part.slice(1))) chosen.delete(host);
  return [...chosen];
}

/** Commas separate; without any, colons do, unless the whole is one address or one range. */
export function splitPattern(pattern: string): readonly string[] {
  const parts = pattern.includes(',')
    ? pattern.split(',')
    : pattern.startsWith('~') || splitPort(pattern) !== undefined
      ? [pattern]
      : (pattern.match(/(?:[^\s:[\]]|\[[^\]]*\])+/g) ?? []);
  return parts.map((part) => part.trim()).filter((part) => part !== '' && part !== '!' && part !== '&');
}

const LOCALHOST = ['localhost', '127.0.0.1', '::1'];

/** This machine under another of its names than the one that the inventory has for it. */
function sameMachine(fleet: Selectable, name: string): Host | undefined {
  if (!LOCALHOST.includes(name)) return undefined;
  return LOCALHOST.map((one) => fleet.hosts.get(one)).find((host) => host !== undefined);
}

const SUBSCRIPT = /^(.+)\[(?:(-?[0-9]+)|([0-9]+)([:-])([0-9]*))\]$/s;

function matchOne(fleet: Selectable, part: string): readonly Host[] {
  // Of a host and a group with one name, Ansible takes the host.
  const exact = fleet.hosts.get(part) ?? sameMachine(fleet, part);
  if (exact !== undefined) return [exact];
  const subscript = part.startsWith('~') ? null : SUBSCRIPT.exec(part);
  if (subscript === null) return matchName(fleet, part);
  const [, name = '', single, from, , to] = subscript;
  const hosts = matchName(fleet, name);
  if (single !== undefined) {
    const host = hosts.at(Number(single));
    if (host === undefined) {
      throw usageError({
        code: 'HOSTS_PATTERN',
        message: `"${part}" asks for host ${single} of ${hosts.length} in "${name}"`,
        fix: 'Counting starts at 0; -1 is the last.',
      });
    }
    return [host];
  }
  return hosts.slice(Number(from), to === undefined || to === '' ? undefined : Number(to) + 1);
}

function matchName(fleet: Selectable, name: string): readonly Host[] {
  if (name === 'all' || name === '*') return [...fleet.hosts.values()];
  const matches = matcherOf(name);
  const hosts = new Set<Host>();
  const groups = [...fleet.groups.values()].filter((group) => matches(group.name));
  for (const group of groups) {
    for (const member of group.hosts) {
      const host = fleet.hosts.get(member);
      if (host !== undefined) hosts.add(host);
    }
  }
  const special = name.startsWith('~') || /[.?*[]/.test(name);
  if (groups.length === 0 || special) {
    for (const host of fleet.hosts.values()) if (matches(host.name)) hosts.add(host);
  }
  if (hosts.size === 0 && groups.length === 0) {
    throw usageError({
      code: 'HOSTS_UNKNOWN',
      message: `no host or group is named "${name}"`,
      fix: `Known groups: ${shortList([...fleet.groups.keys()])}. List all with: fleet inventory --graph`,
    });
  }
  return [...hosts];
}

function shortList(names: readonly string[]): string {
  return names.length <= 8 ? names.join(', ') : `${names.slice(0, 8).join(', ')} …`;
}

/** Names longer than any host's are not worth matching, and could make a pattern run for ever. */
const LONGEST_PATTERN = 1000;

function matcherOf(name: string): (candidate: string) => boolean {
  if (name.length > LONGEST_PATTERN) {
    throw usageError({
      code: 'HOSTS_PATTERN',
      message: 'a host pattern is too long',
      fix: 'Use a group instead.',
    });
  }
  if (!name.startsWith('~')) return globMatcher(name);
  const source = name.slice(1);
  try {
    const regex = new RegExp(`^(?:${source.replaceAll('(?P<', '(?<')})`, 'u');
    return (candidate) => regex.test(candidate);
  } catch (error) {
    throw usageError({
      code: 'HOSTS_PATTERN',
      message: `"${source}" is not a regular expression: ${error instanceof Error ? error.message : String(error)}`,
      fix: 'A pattern that starts with "~" is a regular expression.',
    });
  }
}

/** Python's fnmatch. Repeated stars are one, so that it cannot take for ever. */
export function globMatcher(glob: string): (candidate: string) => boolean {
  if (!/[?*[]/.test(glob)) return (candidate) => candidate === glob;
  const source = glob.replace(
    /\*+|\?|\[(!?)(\]?[^\]]*)\]|[\s\S]/g,
    (token, not: string | undefined, set: string | undefined) => {
      if (token.startsWith('*')) return '.*';
      if (token === '?') return '.';
      if (set !== undefined) return `[${not === '!' ? '^' : ''}${set.replace(/[\\\]^]/g, '\\$&')}]`;
      return token.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    },
  );
  try {
    const regex = new RegExp(`^${source}$`, 's');
    return (candidate) => regex.test(candidate);
  } catch {
    return (candidate) => candidate === glob;
  }
}
