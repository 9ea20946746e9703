import { isIPv4, isIPv6 } from 'node:net';
import { FilterArguments } from './arguments.ts';
import { TemplateError } from './error.ts';
import type { Filter } from './evaluator.ts';
import { isNumber, iterate, numberOf, toText } from './value.ts';

/** An address, perhaps with the size of its network. */
export interface Network {
  readonly version: 4 | 6;
  readonly value: bigint;
  readonly prefix: number;
  /** Whether a prefix was written. */
  readonly sized: boolean;
}

function width(version: 4 | 6): number {
  return version === 4 ? 32 : 128;
}

function parseAddress(text: string): { version: 4 | 6; value: bigint } | undefined {
  if (isIPv4(text)) {
    return { version: 4, value: text.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n) };
  }
  if (!isIPv6(text) || text.includes('%')) return undefined;
  let body = text;
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(body);
  if (dotted !== null) {
    const four = parseAddress(dotted[2] ?? '')?.value ?? 0n;
    body = `${dotted[1] ?? ''}${(four >> 16n).toString(16)}:${(four & 0xffffn).toString(16)}`;
  }
  const [head = '', tail] = body.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const middle = tail === undefined ? [] : Array.from({ length: 8 - left.length - right.length }, () => '0');
  const value = [...left, ...middle, ...right].reduce((sum, part) => sum * 65536n + BigInt(`0x${part}`), 0n);
  return { version: 6, value };
}

/** Reads `10.0.0.1`, `10.0.0.0/24`, `10.0.0.0/255.255.255.0`, `fd00::1/64`; `undefined` for anything else. */
export function parseNetwork(text: string): Network | undefined {
  const [host = '', size, ...rest] = text
    .trim()
    .replace(/^\[([^\]]*)\]/, '$1')
    .split('/');
  const address = rest.length > 0 ? undefined : parseAddress(host);
  if (address === undefined) return undefined;
  const bits = width(address.version);
  if (size === undefined) return { ...address, prefix: bits, sized: false };
  if (/^\d+$/.test(size) && Number(size) <= bits) return { ...address, prefix: Number(size), sized: true };
  const mask = parseAddress(size);
  if (mask === undefined || mask.version !== address.version) return undefined;
  const ones = mask.value.toString(2).padStart(bits, '0');
  return /^1*0*$/.test(ones)
    ? { ...address, prefix: ones.replaceAll('0', '').length, sized: true }
    : undefined;
}

/** The canonical text of an address: IPv6 is shortened as RFC 5952 says. */
export function formatAddress(version: 4 | 6, value: bigint): string {
  if (version === 4) return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join('.');
  // An IPv4 address in IPv6 is written as one.
  if (value >> 32n === 0xffffn) return `::ffff:${formatAddress(4, value & 0xffffffffn)}`;
  const parts = Array.from({ length: 8 }, (_part, index) => (value >> BigInt(112 - index * 16)) & 0xffffn);
  let best = { at: -1, length: 1 };
  for (let at = 0; at < 8; at += 1) {
    let length = 0;
    while (at + length < 8 && parts[at + length] === 0n) length += 1;
    if (length > best.length) best = { at, length };
  }
  const text = (from: number, to: number): string =>
    parts
      .slice(from, to)
      .map((part) => part.toString(16))
      .join(':');
  return best.at < 0 ? text(0, 8) : `${text(0, best.at)}::${text(best.at + best.length, 8)}`;
}

function maskOf(network: Network): bigint {
  const bits = BigInt(width(network.version));
  return ((1n << BigInt(network.prefix)) - 1n) << (bits - BigInt(network.prefix));
}

function sizeOf(network: Network): bigint {
  return 1n << BigInt(width(network.version) - network.prefix);
}

function firstOf(network: Network): bigint {
  return network.value & maskOf(network);
}

function withPrefix(network: Network, value: bigint): string {
  return `${formatAddress(network.version, value)}/${network.prefix}`;
}

/** What netaddr calls private: the shared and link-local ranges too. */
const PRIVATE = [
  '10.0.0.0/8',
  '100.64.0.0/10',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '239.0.0.0/8',
  '169.254.0.0/16',
  'fc00::/7',
  'fe80::/10',
];
const LOOPBACK = ['127.0.0.0/8', '::1/128'];
const LINK_LOCAL = ['169.254.0.0/16', 'fe80::/10'];
const MULTICAST = ['224.0.0.0/4', 'ff00::/8'];

function isIn(network: Network, ranges: readonly string[]): boolean {
  return ranges.some((range) => contains(parseNetwork(range), network));
}

function contains(outer: Network | undefined, inner: Network): boolean {
  if (outer === undefined || outer.version !== inner.version || outer.prefix > inner.prefix) return false;
  return (inner.value & maskOf(outer)) === firstOf(outer);
}

/** `null` for a question that does not apply to the address (None in Ansible), `false` for what cannot be answered at all. */
type Answer = string | number | boolean | null;

/** An address that is that of its network itself, and so of no host. */
function isNetworkItself(network: Network): boolean {
  return network.sized && sizeOf(network) > 2n && network.value === firstOf(network);
}

function usable(network: Network, answer: (first: bigint, last: bigint) => string | null): string | null {
  if (!network.sized) throw new TemplateError('failed', 'Not a network address');
  const size = sizeOf(network);
  if (size === 1n) return null;
  const first = firstOf(network);
  return size === 2n ? answer(first, first + 1n) : answer(first + 1n, first + size - 2n);
}

function address(network: Network, value = network.value): string {
  return formatAddress(network.version, value);
}

function within(network: Network, text: string, ranges: readonly string[]): string | null {
  return isIn(network, ranges) ? text : null;
}

/** The questions `ipaddr` answers. */
const QUERIES: Readonly<Record<string, (network: Network, text: string) => Answer>> = {
  '': (network) => (network.sized ? withPrefix(network, network.value) : address(network)),
  bool: () => true,
  address: (network) => (network.version === 4 && isNetworkItself(network) ? null : address(network)),
  ip: (network) => (network.version === 4 && isNetworkItself(network) ? null : address(network)),
  host: (network) => (isNetworkItself(network) ? null : withPrefix(network, network.value)),
  'host/prefix': (network) => (isNetworkItself(network) ? false : withPrefix(network, network.value)),
  'address/prefix': (network) => (isNetworkItself(network) ? false : withPrefix(network, network.value)),
  'ip/prefix': (network) =>
    !network.sized || sizeOf(network) === 1n || isNetworkItself(network)
      ? null
      : withPrefix(network, network.value),
  ip_netmask: (network) =>
    !network.sized || sizeOf(network) === 1n || isNetworkItself(network)
      ? null
      : `${address(network)} ${address(network, maskOf(network))}`,
  network: (network) => address(network, firstOf(network)),
  network_id: (network) => address(network, firstOf(network)),
  net: (network) =>
    network.sized && sizeOf(network) > 1n && network.value === firstOf(network)
      ? withPrefix(network, network.value)
      : null,
  'network/prefix': (network) => withPrefix(network, firstOf(network)),
  subnet: (network) => withPrefix(network, firstOf(network)),
  cidr: (network) => withPrefix(network, network.value),
  netmask: (network) => address(network, maskOf(network)),
  network_netmask: (network) => `${address(network, firstOf(network))} ${address(network, maskOf(network))}`,
  network_wildcard: (network) =>
    `${address(network, firstOf(network))} ${address(network, sizeOf(network) - 1n)}`,
  hostmask: (network) => address(network, sizeOf(network) - 1n),
  wildcard: (network) => address(network, sizeOf(network) - 1n),
  prefix: (network) => network.prefix,
  broadcast: (network) =>
    sizeOf(network) > 2n ? address(network, firstOf(network) + sizeOf(network) - 1n) : null,
  size: (network) => Number(sizeOf(network)),
  version: (network) => network.version,
  type: (network) =>
    network.sized && network.value === firstOf(network) && sizeOf(network) > 1n ? 'network' : 'address',
  first_usable: (network) => usable(network, (first) => address(network, first)),
  last_usable: (network) => usable(network, (_first, last) => address(network, last)),
  range_usable: (network) =>
    usable(network, (first, last) => `${address(network, first)}-${address(network, last)}`),
  next_usable: (network) =>
    usable(network, (first, last) =>
      network.value + 1n >= first && network.value + 1n <= last ? address(network, network.value + 1n) : null,
    ),
  previous_usable: (network) =>
    usable(network, (first, last) =>
      network.value - 1n >= first && network.value - 1n <= last ? address(network, network.value - 1n) : null,
    ),
  peer: (network) => {
    if (!network.sized) throw new TemplateError('failed', 'Not a network address');
    const size = sizeOf(network);
    const place = network.value - firstOf(network);
    if (size === 2n) return address(network, firstOf(network) + 1n - place);
    if (size === 4n && (place === 1n || place === 2n)) return address(network, firstOf(network) + 3n - place);
    throw new TemplateError('failed', 'Not a point-to-point network');
  },
  revdns: (network) =>
    network.version === 4
      ? `${formatAddress(4, network.value).split('.').reverse().join('.')}.in-addr.arpa.`
      : `${[...network.value.toString(16).padStart(32, '0')].reverse().join('.')}.ip6.arpa.`,
  int: (network) =>
    network.sized
      ? `${network.value}/${network.prefix}`
      : network.value <= BigInt(Number.MAX_SAFE_INTEGER)
        ? Number(network.value)
        : String(network.value),
  wrap: (network, text) => wrap(network, text),
  private: (network, text) => within(network, text, PRIVATE),
  public: (network, text) =>
    isIn(network, [...PRIVATE, ...LOOPBACK, ...LINK_LOCAL, ...MULTICAST, ...RESERVED]) ||
    (network.version === 4 && isNetworkItself(network))
      ? null
      : text,
  unicast: (network, text) => (isIn(network, MULTICAST) ? null : text),
  multicast: (network, text) => within(network, text, MULTICAST),
  loopback: (network, text) => within(network, text, LOOPBACK),
  'link-local': (network, text) => within(network, text, LINK_LOCAL),
  '6to4': (network) => {
    if (network.version === 6)
      return contains(parseNetwork('2002::/16'), network) ? withPrefix(network, network.value) : false;
    if (isNetworkItself(network) || isIn(network, [...LOOPBACK, ...MULTICAST, ...RESERVED])) return false;
    const hex = network.value.toString(16).padStart(8, '0');
    return `2002:${hex.slice(0, 4)}:${hex.slice(4)}::1/48`;
  },
  ipv4: (network, text) => {
    if (network.version === 4) return text;
    const isMapped = network.value >> 32n === 0xffffn || network.value >> 32n === 0n;
    return isMapped && network.prefix >= 96
      ? `${formatAddress(4, network.value & 0xffffffffn)}/${network.prefix - 96}`
      : false;
  },
  ipv6: (network, text) =>
    network.version === 6
      ? text
      : `${formatAddress(6, (0xffffn << 32n) | network.value)}/${network.prefix + 96}`,
};
const RESERVED = ['0.0.0.0/8', '240.0.0.0/4', '192.0.2.0/24'];
const ALIASES: Readonly<Record<string, string>> = {
  v4: 'ipv4',
  v6: 'ipv6',
  gateway: 'host/prefix',
  gw: 'host/prefix',
};

function wrap(network: Network, text: string): string {
  if (network.version === 4) return text;
  const [host = '', size] = text.replace(/^\[([^\]]*)\]/, '$1').split('/');
  return `[${host}]${size === undefined ? '' : `/${size}`}`;
}

function ask(value: unknown, query: unknown, version: 4 | 6 | undefined): Answer {
  const text = addressText(value);
  const network = text === undefined ? undefined : parseNetwork(text);
  if (text === undefined || network === undefined || (version !== undefined && network.version !== version))
    return false;
  const wanted = toText(query ?? '');
  const name = ALIASES[wanted] ?? wanted;
  if (Object.hasOwn(QUERIES, name)) return QUERIES[name]?.(network, text) ?? null;
  if (/^-?\d+$/.test(wanted)) return nth(network, BigInt(wanted));
  const outer = parseNetwork(wanted);
  if (outer === undefined) throw new TemplateError('failed', `ipaddr knows no query "${wanted}"`);
  return contains(outer, network) ? text : null;
}

/** Text as it is; a number as the address that it counts. */
function addressText(value: unknown): string | undefined {
  const text = typeof value === 'string' ? value.trim() : isNumber(value) ? String(numberOf(value)) : '';
  if (!/^\d+$/.test(text)) return text === '' ? undefined : text;
  const number = BigInt(text);
  if (number >= 1n << 128n) return undefined;
  return formatAddress(number < 1n << 32n ? 4 : 6, number);
}

/** `false` for a place outside of the network. */
function nth(network: Network, index: bigint): Answer {
  const size = sizeOf(network);
  // A lone address is all that it has.
  if (size === 1n) return network.sized ? withPrefix(network, network.value) : address(network);
  const place = index < 0n ? size + index : index;
  if (place < 0n || place >= size) return false;
  return withPrefix(network, firstOf(network) + place);
}

/** One value gives its answer; of a list, those remain to which the question applies. */
function family(version: 4 | 6 | undefined): Filter {
  return {
    apply: (value, args, named) => {
      const query = new FilterArguments(args, named).get(0, 'query');
      if (Array.isArray(value)) {
        return value
          .map((item) => ask(item, query, version))
          .filter((item) => item !== null && item !== false);
      }
      return ask(value, query, version);
    },
  };
}

function needNetwork(value: unknown): Network {
  const network = parseNetwork(toText(value));
  if (network === undefined)
    throw new TemplateError('failed', `"${toText(value)}" is not an address or network`);
  return network;
}

/** How many networks of a size there are, one of them, or (for a network) which one of its parts this is. */
function ipsubnet(value: unknown, args: FilterArguments): unknown {
  const network = parseNetwork(toText(value));
  if (network === undefined) return false;
  const query = toText(args.get(0, 'query') ?? '');
  if (query === '') return withPrefix(network, firstOf(network));
  if (!/^\d+$/.test(query)) {
    const outer = parseNetwork(query);
    if (outer === undefined || !contains(outer, network))
      throw new TemplateError('failed', `${toText(value)} is not in the subnet ${query}`);
    return Number((firstOf(network) - firstOf(outer)) / sizeOf(network)) + 1;
  }
  const prefix = Number(query);
  const wanted = args.get(1, 'index');
  if (prefix > width(network.version)) return false;
  if (prefix < network.prefix) {
    // A wider network than its own: the one that it is in.
    if (wanted === undefined)
      throw new TemplateError('failed', `Requested subnet size of ${query} is invalid`);
    const index = BigInt(Math.trunc(args.number(1, 'index')));
    const levels = BigInt(network.prefix - prefix);
    if (index < 0n ? -index > levels : index >= levels) return false;
    const outer = { ...network, prefix: prefix + Number(index < 0n ? levels + index : index) };
    return withPrefix(outer, firstOf(outer));
  }
  const count = 1n << BigInt(prefix - network.prefix);
  if (wanted === undefined) return Number(count);
  const index = BigInt(Math.trunc(args.number(1, 'index')));
  const place = index < 0n ? count + index : index;
  if (place < 0n || place >= count) return false;
  const size = 1n << BigInt(width(network.version) - prefix);
  return `${formatAddress(network.version, firstOf(network) + place * size)}/${prefix}`;
}

/** The fewest networks that hold exactly these, or with `span` the one that holds them all. */
function cidrMerge(value: unknown, action: string): unknown {
  const networks = iterate(value).map((item) => needNetwork(item));
  if (action === 'span') {
    const [first] = networks;
    if (networks.length < 2 || first === undefined)
      return networks.length === 0 ? null : withPrefix(first as Network, firstOf(first as Network));
    if (networks.some(({ version }) => version !== first.version))
      throw new TemplateError('failed', 'cidr_merge cannot span IPv4 and IPv6');
    let span = { ...first, sized: true };
    while (!networks.every((network) => contains(span, network))) span = { ...span, prefix: span.prefix - 1 };
    return withPrefix(span, firstOf(span));
  }
  if (action !== 'merge') throw new TemplateError('failed', `cidr_merge knows no action "${action}"`);
  let merged = [...networks].map((network) => ({ ...network, value: firstOf(network), sized: true }));
  for (let before = -1; before !== merged.length; ) {
    before = merged.length;
    merged.sort(
      (a, b) =>
        a.version - b.version || (a.value < b.value ? -1 : a.value > b.value ? 1 : 0) || a.prefix - b.prefix,
    );
    merged = merged.reduce<typeof merged>((kept, network) => {
      const last = kept.at(-1);
      if (last !== undefined && contains(last, network)) return kept;
      const parent = last === undefined ? undefined : { ...last, prefix: last.prefix - 1 };
      const isPair =
        last !== undefined &&
        parent !== undefined &&
        last.prefix > 0 &&
        last.version === network.version &&
        last.prefix === network.prefix &&
        firstOf(parent) === last.value &&
        contains(parent, network);
      if (isPair) kept[kept.length - 1] = parent;
      else kept.push(network);
      return kept;
    }, []);
  }
  return merged.map((network) => withPrefix(network, network.value));
}

/** The 12 digits of a MAC address in any usual form. */
function macDigits(text: string): string | undefined {
  const isMac =
    /^(?:[\da-f]{1,2}([:-]))(?:[\da-f]{1,2}\1){4}[\da-f]{1,2}$/i.test(text) ||
    /^(?:[\da-f]{4}\.){2}[\da-f]{4}$/i.test(text) ||
    /^[\da-f]{6}[:-]?[\da-f]{6}$/i.test(text);
  if (!isMac) return undefined;
  const parts = text.split(/[:.-]/);
  return (parts.length === 6 ? parts.map((part) => part.padStart(2, '0')) : parts).join('').toLowerCase();
}

const MAC_FORMS: Readonly<Record<string, (digits: string) => unknown>> = {
  bare: (digits) => digits.toUpperCase(),
  bool: () => true,
  int: (digits) => Number.parseInt(digits, 16),
  cisco: (digits) => digits.replace(/(.{4})(?=.)/g, '$1.'),
  eui48: (digits) => digits.toUpperCase().replace(/(..)(?=.)/g, '$1-'),
  win: (digits) => digits.toUpperCase().replace(/(..)(?=.)/g, '$1-'),
  linux: (digits) => digits.replace(/(..)(?=.)/g, '$1:'),
  unix: (digits) => digits.replace(/(..)(?=.)/g, '$1:').replace(/\b0(?=.)/g, ''),
  pgsql: (digits) => digits.replace(/(.{6})(?=.)/, '$1:'),
  postgresql: (digits) => digits.replace(/(.{6})(?=.)/, '$1:'),
  psql: (digits) => digits.replace(/(.{6})(?=.)/, '$1:'),
};

function hwaddr(value: unknown, query: string): unknown {
  const text = toText(value);
  const digits = macDigits(text);
  if (query !== '' && !Object.hasOwn(MAC_FORMS, query))
    throw new TemplateError('failed', `hwaddr knows no query "${query}"`);
  if (digits === undefined) {
    if (query === '' || query === 'bool') return null;
    throw new TemplateError('failed', `"${text}" is not a hardware address`);
  }
  return query === '' ? text : MAC_FORMS[query]?.(digits);
}

/** The address that a host gives itself in an IPv6 network, from its MAC address. */
function slaac(value: unknown, mac: string): unknown {
  const network = parseNetwork(toText(value));
  const digits = macDigits(mac);
  if (network === undefined || network.version !== 6 || digits === undefined) return false;
  const flipped = BigInt(`0x${digits.slice(0, 6)}fffe${digits.slice(6)}`) ^ (2n << 56n);
  return formatAddress(6, firstOf(network) | flipped);
}

function isUsable(outer: Network, inner: Network): boolean {
  if (!contains(outer, inner)) return false;
  const [first, last] = [firstOf(outer), firstOf(outer) + sizeOf(outer) - 1n];
  const end = firstOf(inner) + sizeOf(inner) - 1n;
  return sizeOf(outer) <= 2n || (firstOf(inner) > first && end < last);
}

/** Filters of ansible.utils that k3s inventories use for addresses. Without netaddr, from the same definitions. */
export const IP_FILTERS: Readonly<Record<string, Filter>> = {
  ipaddr: family(undefined),
  ipv4: family(4),
  ipv6: family(6),
  ipwrap: {
    apply: (value) => {
      const one = (item: unknown): unknown => {
        const text = addressText(item);
        const network = text === undefined ? undefined : parseNetwork(text);
        if (network === undefined) return item;
        const plain = network.sized ? withPrefix(network, network.value) : address(network);
        return network.version === 4 ? plain : wrap(network, plain);
      };
      return Array.isArray(value) ? value.map(one) : one(value);
    },
  },
  ipsubnet: { apply: (value, args, named) => ipsubnet(value, new FilterArguments(args, named)) },
  ipmath: {
    apply: (value, args, named) => {
      const network = needNetwork(toText(value).split('/')[0]);
      const sum = network.value + BigInt(Math.trunc(new FilterArguments(args, named).number(0, 'amount')));
      if (sum < 0n || sum >= 1n << BigInt(width(network.version))) {
        throw new TemplateError('failed', 'ipmath leaves the range of addresses');
      }
      return formatAddress(network.version, sum);
    },
  },
  nthhost: {
    apply: (value, args, named) => {
      const network = needNetwork(value);
      const index = BigInt(Math.trunc(new FilterArguments(args, named).number(0, 'query')));
      const size = sizeOf(network);
      const place = index < 0n ? size + index : index;
      if (place < 0n || place >= size) return false;
      return address(network, firstOf(network) + place);
    },
  },
  network_in_network: {
    apply: (value, args, named) =>
      contains(needNetwork(value), needNetwork(new FilterArguments(args, named).get(0, 'test'))),
  },
  network_in_usable: {
    apply: (value, args, named) =>
      isUsable(needNetwork(value), needNetwork(new FilterArguments(args, named).get(0, 'test'))),
  },
  reduce_on_network: {
    apply: (value, args, named) => {
      const outer = needNetwork(new FilterArguments(args, named).get(0, 'network'));
      return iterate(value).filter((item) => contains(outer, needNetwork(item)));
    },
  },
  cidr_merge: {
    apply: (value, args, named) =>
      cidrMerge(value, new FilterArguments(args, named).text(0, 'action', 'merge')),
  },
  hwaddr: {
    apply: (value, args, named) => hwaddr(value, new FilterArguments(args, named).text(0, 'query', '')),
  },
  macaddr: {
    apply: (value, args, named) => hwaddr(value, new FilterArguments(args, named).text(0, 'query', '')),
  },
  slaac: {
    apply: (value, args, named) => slaac(value, toText(new FilterArguments(args, named).get(0, 'query'))),
  },
};
