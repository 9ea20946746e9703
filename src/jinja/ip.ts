import { isIPv4, isIPv6 } from 'node:net';
import { FilterArguments } from './arguments.ts';
import { TemplateError } from './error.ts';
import type { Filter } from './evaluator.ts';
import { isNumber, numberOf, toText } from './value.ts';

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

const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'];
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

type Answer = string | number | boolean | undefined;

/** The questions `ipaddr` answers. `undefined` means "does not apply", which becomes false or drops the item from a list. */
const QUERIES: Readonly<Record<string, (network: Network, text: string) => Answer>> = {
  '': (network, text) =>
    (network.sized ? withPrefix(network, network.value) : formatAddress(network.version, network.value)) ||
    text,
  bool: () => true,
  address: (network) =>
    network.sized &&
    network.prefix < width(network.version) &&
    network.value === firstOf(network) &&
    sizeOf(network) > 2n
      ? undefined
      : formatAddress(network.version, network.value),
  ip: (network) => formatAddress(network.version, network.value),
  host: (network) => withPrefix(network, network.value),
  'host/prefix': (network) => (network.sized ? withPrefix(network, network.value) : undefined),
  'address/prefix': (network) => withPrefix(network, network.value),
  'ip/prefix': (network) => withPrefix(network, network.value),
  network: (network) => formatAddress(network.version, firstOf(network)),
  network_id: (network) => formatAddress(network.version, firstOf(network)),
  net: (network) =>
    network.sized && network.value === firstOf(network) ? withPrefix(network, network.value) : undefined,
  'network/prefix': (network) => withPrefix(network, firstOf(network)),
  subnet: (network) => withPrefix(network, firstOf(network)),
  netmask: (network) => formatAddress(network.version, maskOf(network)),
  hostmask: (network) => formatAddress(network.version, sizeOf(network) - 1n),
  wildcard: (network) => formatAddress(network.version, sizeOf(network) - 1n),
  prefix: (network) => network.prefix,
  broadcast: (network) =>
    network.version === 4 && sizeOf(network) > 2n
      ? formatAddress(4, firstOf(network) + sizeOf(network) - 1n)
      : undefined,
  size: (network) => Number(sizeOf(network)),
  version: (network) => network.version,
  type: (network) =>
    network.sized && network.value === firstOf(network) && sizeOf(network) > 1n ? 'network' : 'address',
  first_usable: (network) =>
    formatAddress(network.version, firstOf(network) + (sizeOf(network) > 2n ? 1n : 0n)),
  last_usable: (network) =>
    formatAddress(network.version, firstOf(network) + sizeOf(network) - (sizeOf(network) > 2n ? 2n : 1n)),
  next_usable: (network) => {
    const next = network.value + 1n;
    return next < firstOf(network) + sizeOf(network) - 1n ? formatAddress(network.version, next) : undefined;
  },
  previous_usable: (network) => {
    const previous = network.value - 1n;
    return previous > firstOf(network) ? formatAddress(network.version, previous) : undefined;
  },
  range_usable: (network) =>
    `${formatAddress(network.version, firstOf(network) + (sizeOf(network) > 2n ? 1n : 0n))}-${formatAddress(network.version, firstOf(network) + sizeOf(network) - (sizeOf(network) > 2n ? 2n : 1n))}`,
  revdns: (network) =>
    network.version === 4
      ? `${formatAddress(4, network.value).split('.').reverse().join('.')}.in-addr.arpa.`
      : `${[...network.value.toString(16).padStart(32, '0')].reverse().join('.')}.ip6.arpa.`,
  int: (network) => Number(network.value),
  wrap: (network, text) => wrap(network, text),
  private: (network, text) => (isIn(network, PRIVATE) ? text : undefined),
  public: (network, text) =>
    isIn(network, [
      ...PRIVATE,
      ...LOOPBACK,
      ...LINK_LOCAL,
      ...MULTICAST,
      '0.0.0.0/8',
      '100.64.0.0/10',
      '240.0.0.0/4',
    ])
      ? undefined
      : text,
  unicast: (network, text) => (isIn(network, MULTICAST) ? undefined : text),
  multicast: (network, text) => (isIn(network, MULTICAST) ? text : undefined),
  loopback: (network, text) => (isIn(network, LOOPBACK) ? text : undefined),
  'link-local': (network, text) => (isIn(network, LINK_LOCAL) ? text : undefined),
  ipv4: (network, text) => (network.version === 4 ? text : undefined),
  ipv6: (network, text) => (network.version === 6 ? text : undefined),
};
const ALIASES: Readonly<Record<string, string>> = {
  v4: 'ipv4',
  '4': 'ipv4',
  v6: 'ipv6',
  '6': 'ipv6',
  gateway: 'host',
  gw: 'host',
};

function wrap(network: Network, text: string): string {
  if (network.version === 4) return text;
  const [host = '', size] = text.replace(/^\[([^\]]*)\]/, '$1').split('/');
  return `[${host}]${size === undefined ? '' : `/${size}`}`;
}

function ask(value: unknown, query: unknown, version: 4 | 6 | undefined): Answer {
  if (typeof value !== 'string' && !(isNumber(value) && numberOf(value) >= 0)) return undefined;
  const text =
    typeof value === 'string' ? value.trim() : formatAddress(4, BigInt(Math.trunc(numberOf(value))));
  const network = parseNetwork(text);
  if (network === undefined || (version !== undefined && network.version !== version)) return undefined;
  const wanted = toText(query ?? '');
  const known = QUERIES[ALIASES[wanted] ?? wanted];
  if (known !== undefined) return known(network, text);
  if (/^-?\d+$/.test(wanted)) return nth(network, BigInt(wanted));
  const outer = parseNetwork(wanted);
  if (outer === undefined) throw new TemplateError('failed', `ipaddr knows no query "${wanted}"`);
  return contains(outer, network) ? text : undefined;
}

function nth(network: Network, index: bigint): Answer {
  const size = sizeOf(network);
  const place = index < 0n ? size + index : index;
  return place >= 0n && place < size ? withPrefix(network, firstOf(network) + place) : undefined;
}

/** One value gives its answer or false; of a list, those remain to which the question applies. */
function family(version: 4 | 6 | undefined): Filter {
  return {
    apply: (value, args, named) => {
      const query = new FilterArguments(args, named).get(0, 'query');
      if (Array.isArray(value)) {
        return value
          .map((item) => ask(item, query, version))
          .filter((item) => item !== undefined && item !== false);
      }
      return ask(value, query, version) ?? false;
    },
  };
}

function needNetwork(value: unknown): Network {
  const network = parseNetwork(toText(value));
  if (network === undefined)
    throw new TemplateError('failed', `"${toText(value)}" is not an address or network`);
  return network;
}

function ipsubnet(value: unknown, args: FilterArguments): unknown {
  const network = parseNetwork(toText(value));
  if (network === undefined) return false;
  const query = args.get(0, 'query') ?? '';
  if (toText(query) === '') return withPrefix(network, firstOf(network));
  if (!/^\d+$/.test(toText(query)))
    return contains(parseNetwork(toText(query)), network) ? toText(value) : false;
  const prefix = Number(toText(query));
  if (prefix > width(network.version)) return false;
  const wanted = args.get(1, 'index');
  if (prefix < network.prefix) {
    const outer = { ...network, prefix };
    return wanted === undefined ? false : withPrefix(outer, firstOf(outer));
  }
  const count = 1n << BigInt(prefix - network.prefix);
  if (wanted === undefined) return Number(count);
  const index = BigInt(Math.trunc(args.number(1, 'index')));
  const place = index < 0n ? count + index : index;
  if (place < 0n || place >= count) return false;
  const size = 1n << BigInt(width(network.version) - prefix);
  return `${formatAddress(network.version, firstOf(network) + place * size)}/${prefix}`;
}

/** Filters of ansible.utils that k3s inventories use for addresses. Without netaddr, from the same definitions. */
export const IP_FILTERS: Readonly<Record<string, Filter>> = {
  ipaddr: family(undefined),
  ipv4: family(4),
  ipv6: family(6),
  ipwrap: {
    apply: (value) => {
      const one = (item: unknown): unknown => {
        const network = typeof item === 'string' ? parseNetwork(item) : undefined;
        return network === undefined ? item : wrap(network, String(item));
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
      const answer = nth(network, index);
      return typeof answer === 'string' ? answer.replace(/\/.*$/, '') : false;
    },
  },
  network_in_network: {
    apply: (value, args, named) =>
      contains(needNetwork(value), needNetwork(new FilterArguments(args, named).get(0, 'test'))),
  },
  network_in_usable: {
    apply: (value, args, named) =>
      contains(needNetwork(value), needNetwork(new FilterArguments(args, named).get(0, 'test'))),
  },
};
