/** The host names that one entry of an inventory stands for, with the port it may carry. */
export interface ExpandedHosts {
  readonly names: readonly string[];
  readonly port?: number;
}

/** Why an entry cannot be expanded, as a sentence. */
export class HostRangeError extends Error {
  override readonly name = 'HostRangeError';
}

/** One entry may stand for this many hosts; more is a slip of the keyboard. */
const MOST_HOSTS = 100_000;

/**
 * Expands `node[01:20]`, `db[a:f]`, `n[1:9:2].[x:y].example`, `10.0.0.1:2222` and `[fd00::1]:22` as Ansible does.
 * @throws HostRangeError for a range that makes no sense.
 */
export function expandHostPattern(pattern: string): ExpandedHosts {
  const { host, port } = splitPort(pattern) ?? { host: pattern, port: undefined };
  const names = host.includes('[') ? expandRanges(host) : [host];
  return port === undefined ? { names } : { names, port };
}

const NUMERIC = String.raw`\[(?:[0-9]+:[0-9]+)(?::[0-9]+)?\]`;
const HEXADECIMAL = String.raw`\[(?:[0-9a-f]+:[0-9a-f]+)(?::[0-9]+)?\]`;
const ALPHANUMERIC = String.raw`\[(?:[a-z]:[a-z]|[0-9]+:[0-9]+)(?::[0-9]+)?\]`;
const FOUR = `(?:[01]?[0-9]{1,2}|2[0-4][0-9]|25[0-5]|${NUMERIC})`;
const SIX = `(?:[0-9a-f]{1,4}|${HEXADECIMAL})`;
const LABEL = String.raw`(?:[\p{L}\p{N}_]|${ALPHANUMERIC})(?:[\p{L}\p{N}_-]|${ALPHANUMERIC})*(?<![_-])`;

const IPV4 = new RegExp(`^(?:${FOUR}\\.){3}${FOUR}$`, 'i');
const IPV6 = new RegExp(
  `^(?:(?:${SIX}:){7}${SIX}|(?:${SIX}:){1,6}:|(?:${SIX}:)(?::${SIX}){1,6}|(?:${SIX}:){2}(?::${SIX}){1,5}|` +
    `(?:${SIX}:){3}(?::${SIX}){1,4}|(?:${SIX}:){4}(?::${SIX}){1,3}|(?:${SIX}:){5}(?::${SIX}){1,2}|(?:${SIX}:){6}(?::${SIX})|` +
    `:(?::${SIX}){1,6}|${SIX}?::|(?:0:){6}(?:${FOUR}\\.){3}${FOUR}|::(?:ffff:)?(?:${FOUR}\\.){3}${FOUR}|(?:0:){5}ffff:(?:${FOUR}\\.){3}${FOUR})$`,
  'i',
);
const HOST_NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`, 'iu');

/** Most names, known to be hosts without compiling the patterns above, which takes as long as reading a small inventory. */
const PLAIN_NAME =
  /^(?!-)(?:[a-z0-9]|[a-z0-9][a-z0-9-]*[a-z0-9])(?:\.(?!-)(?:[a-z0-9]|[a-z0-9][a-z0-9-]*[a-z0-9]))*$/i;

/** Longer text is no host name; the patterns above may backtrack on it. */
const LONGEST_NAME = 512;

/** Host and port of an address as Ansible's `parse_address` reads it; `undefined` for what is no address at all. */
export function splitPort(address: string): { host: string; port: number | undefined } | undefined {
  if (address.length > LONGEST_NAME) return undefined;
  if (PLAIN_NAME.test(address)) return { host: address, port: undefined };
  let host = address;
  let port: number | undefined;
  const bracketed = /^\[(.+)\]:([0-9]+)$/.exec(host);
  if (bracketed !== null) {
    host = bracketed[1] ?? '';
    port = Number(bracketed[2]);
  }
  const plain = /^((?:[^:[\]]|\[[^\]]*\])*):([0-9]+)$/.exec(host);
  if (plain !== null) {
    host = plain[1] ?? '';
    port = Number(plain[2]);
  }
  return IPV4.test(host) || IPV6.test(host) || HOST_NAME.test(host) ? { host, port } : undefined;
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

function expandRanges(text: string): readonly string[] {
  let names: readonly string[] = [text];
  while (names[0]?.includes('[') === true) {
    names = names.flatMap(expandFirstRange);
    if (names.length > MOST_HOSTS) throw new HostRangeError(`it stands for more than ${MOST_HOSTS} hosts`);
  }
  return names;
}

function expandFirstRange(text: string): readonly string[] {
  const open = text.indexOf('[');
  const close = text.indexOf(']', open);
  if (close < 0) throw new HostRangeError('a range is not closed by "]"');
  const [head, range, tail] = [text.slice(0, open), text.slice(open + 1, close), text.slice(close + 1)];
  return rangeMembers(range).map((member) => head + member + tail);
}

function rangeMembers(range: string): readonly string[] {
  const bounds = range.split(':');
  const [from = '', to = '', by = '1'] = bounds;
  if (bounds.length !== 2 && bounds.length !== 3) {
    throw new HostRangeError(`"[${range}]" must be [begin:end] or [begin:end:step]`);
  }
  const begin = from === '' ? '0' : from;
  if (to === '') throw new HostRangeError(`"[${range}]" has no end`);
  if (!/^\d+$/.test(by) || Number(by) === 0) throw new HostRangeError(`"${by}" is not a step of a range`);
  const step = Number(by);
  if (/^[a-zA-Z]$/.test(begin) && /^[a-zA-Z]$/.test(to)) {
    const [first, last] = [LETTERS.indexOf(begin), LETTERS.indexOf(to)];
    if (first > last) throw new HostRangeError(`"[${range}]" ends before it begins`);
    return [...LETTERS.slice(first, last + 1)].filter((_letter, index) => index % step === 0);
  }
  if (!/^\d{1,15}$/.test(begin) || !/^\d{1,15}$/.test(to)) {
    throw new HostRangeError(`"[${range}]" is neither a range of numbers nor of single letters`);
  }
  const padded = begin.startsWith('0') && begin.length > 1 ? begin.length : 0;
  if (padded > 0 && padded !== to.length) {
    throw new HostRangeError(`"[${range}]" must have the same number of digits at both ends`);
  }
  const [first, last] = [Number(begin), Number(to)];
  if (first > last) throw new HostRangeError(`"[${range}]" ends before it begins`);
  if ((last - first) / step >= MOST_HOSTS)
    throw new HostRangeError(`it stands for more than ${MOST_HOSTS} hosts`);
  const members: string[] = [];
  for (let number = first; number <= last; number += step) members.push(String(number).padStart(padded, '0'));
  return members;
}
