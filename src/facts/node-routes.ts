import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import { isInnerInterface } from './k3s-firewall.ts';

/** An IPv4 address and the interface that it is on. */
export interface NodeAddress {
  readonly interface: string;
  readonly address: string;
}

/** How a host reaches the other nodes. */
export interface NodeRoutes {
  /** The first address of each interface that other nodes may be behind. */
  readonly candidates: readonly NodeAddress[];
  /** Where packets to anywhere else leave: what k3s takes when nobody tells it. */
  readonly usual: NodeAddress | undefined;
  /** Where packets to each of the others leave. */
  readonly toOthers: readonly NodeAddress[];
}

/** Routes to the given addresses, and what the host could be known by. Source: `ip -4 addr`, `ip -4 route`. */
export function nodeRoutes(others: readonly string[]): Fact<NodeRoutes> {
  return {
    key: `address:routes ${others.join(' ')}`,
    sh: sh`ip -o -4 addr show 2>/dev/null; echo =; ip -4 route show default 2>/dev/null
echo =; for o in ${others}; do ip -4 route get "$o" 2>/dev/null | head -n 1; done; true`,
    parse: ({ stdout }) => parseNodeRoutes(stdout),
  };
}

/** The parser of `nodeRoutes`. */
export function parseNodeRoutes(stdout: string): NodeRoutes {
  const [addresses = '', defaults = '', routes = ''] = stdout.split(/^=$/m);
  const candidates = new Map<string, string>();
  for (const line of addresses.split('\n')) {
    // 2: eth0    inet 10.0.0.5/24 brd 10.0.0.255 scope global eth0\       valid_lft …
    const [, name = '', address = '', prefix = '', rest = ''] =
      /^\d+:\s+(\S+)\s+inet\s+([0-9.]+)\/(\d+)(.*)$/.exec(line) ?? [];
    // A /32 on top is somebody's virtual address, today here and tomorrow there.
    const isOwn = /\bscope global\b/.test(rest) && !/\bsecondary\b/.test(rest) && prefix !== '32';
    if (isOwn && !isInnerInterface(name) && !candidates.has(name)) candidates.set(name, address);
  }
  // default via 10.0.0.1 dev eth0 proto dhcp src 10.0.0.5 metric 100
  const byMetric = defaults
    .split('\n')
    .filter((line) => line.startsWith('default'))
    .map((line) => ({ line, metric: Number(/\bmetric (\d+)/.exec(line)?.[1] ?? 0) }))
    .sort((one, other) => one.metric - other.metric);
  const device = /\bdev (\S+)/.exec(byMetric[0]?.line ?? '')?.[1];
  const usual = device === undefined ? undefined : candidates.get(device);
  return {
    candidates: [...candidates].map(([name, address]) => ({ interface: name, address })),
    usual: device === undefined || usual === undefined ? undefined : { interface: device, address: usual },
    // 10.0.0.6 dev eth0 src 10.0.0.5 uid 0
    toOthers: routes.split('\n').flatMap((line) => {
      const name = /\bdev (\S+)/.exec(line)?.[1];
      const address = /\bsrc (\S+)/.exec(line)?.[1];
      return name === undefined || address === undefined || name === 'lo'
        ? []
        : [{ interface: name, address }];
    }),
  };
}

/**
 * What k3s must be told of a node's address: nothing where what it takes by itself is right, the address that reaches the other
 * nodes where it is another, and a question where they are reached with different ones.
 */
export function addressToOthers(
  routes: NodeRoutes,
):
  | { readonly is: 'usual' }
  | ({ readonly is: 'told' } & NodeAddress)
  | { readonly is: 'unclear'; readonly among: readonly NodeAddress[] } {
  const ways = new Map(routes.toOthers.map((way) => [way.address, way]));
  const [way, second] = [...ways.values()];
  if (second !== undefined) return { is: 'unclear', among: [...ways.values()] };
  const wanted =
    way ?? (routes.usual === undefined && routes.candidates.length === 1 ? routes.candidates[0] : undefined);
  if (wanted === undefined || wanted.address === routes.usual?.address) return { is: 'usual' };
  return { is: 'told', interface: wanted.interface, address: wanted.address };
}
