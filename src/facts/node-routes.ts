import { raw, sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import { innerInterfaces, isInnerInterface } from './k3s-firewall.ts';

/** An IPv4 address and the interface that it is on. */
export interface NodeAddress {
  readonly interface: string;
  readonly address: string;
}

/** How a host reaches the other nodes. */
export interface NodeRoutes {
  /** The first address of each interface that other nodes may be behind. */
  readonly candidates: readonly NodeAddress[];
  /** Whether packets to anywhere else leave at all. */
  readonly hasDefault: boolean;
  /** Where they leave: what k3s takes when nobody tells it. `undefined` also where that is a tunnel's end. */
  readonly usual: NodeAddress | undefined;
  /** Other default routes that are as good as that one: which the kernel takes hangs on who came first. */
  readonly asUsual: readonly NodeAddress[];
  /** Where packets to each of the others leave, and where they could as well: routes as narrow and as cheap on another card. */
  readonly toOthers: readonly NodeAddress[];
}

/** Routes to the given addresses, and what the host could be known by. Source: `ip -4 addr`, `ip -4 route`. */
export function nodeRoutes(others: readonly string[]): Fact<NodeRoutes> {
  return {
    key: `address:routes ${others.join(' ')}`,
    // A host with one address to send from is not asked which it takes for whom.
    sh: sh`a=$(ip -o -4 addr show 2>/dev/null); printf '%s\\n' "$a"; echo =; ip -4 route show default 2>/dev/null; echo =
own=0; while read -r _ name _ address rest; do
  case $name in ${raw(innerInterfaces.map((name) => `${name}*`).join('|'))}) continue ;; esac
  case "$address $rest" in */32' '*'scope global'*) own=$((own + 2)) ;; *'scope global'*) own=$((own + 1)) ;; esac
done <<ADDRESSES
$a
ADDRESSES
[ "$own" != 1 ] || exit 0
for o in ${others}; do ip -4 route get "$o" 2>/dev/null | head -n 1; ip -4 route show match "$o" 2>/dev/null | sed 's/^/+ /'; done; true`,
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
  const [usual, ...asUsual] = cheapest(defaults.split('\n'), candidates);
  // 10.0.0.6 dev eth0 src 10.0.0.5 uid 0
  // + 10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.5 metric 100
  const toOthers = routes.split(/^(?!\+ )/m).flatMap((about) => {
    const [taken = '', ...matching] = about.split('\n');
    const [name, address] = [wordAfter('dev', taken), wordAfter('src', taken)];
    if (name === undefined || address === undefined || name === 'lo') return [];
    const equal = cheapest(
      matching.map((line) => line.slice('+ '.length)),
      candidates,
    );
    const isAmong = equal.some((way) => way.interface === name);
    const rivals = isAmong ? equal.filter((way) => way.interface !== name) : [];
    return [{ interface: name, address }, ...rivals];
  });
  return {
    candidates: [...candidates].map(([name, address]) => ({ interface: name, address })),
    hasDefault: /^default/m.test(defaults),
    usual,
    asUsual,
    toOthers,
  };
}

/** The narrowest routes of a list, and of these the cheapest, each with the address of its card: more than one where they are equal. */
function cheapest(lines: readonly string[], candidates: ReadonlyMap<string, string>): readonly NodeAddress[] {
  // default via 10.0.0.1 dev eth0 proto dhcp src 10.0.0.5 metric 100
  const routes = lines
    .filter((line) => /\bdev \S/.test(line))
    .map((line) => ({
      line,
      prefix: Number(/^\S+\/(\d+)/.exec(line)?.[1] ?? (line.startsWith('default') ? 0 : 32)),
      metric: Number(wordAfter('metric', line) ?? 0),
    }))
    .sort((one, other) => other.prefix - one.prefix || one.metric - other.metric);
  const [best] = routes;
  const ways = routes
    .filter(({ prefix, metric }) => prefix === best?.prefix && metric === best.metric)
    .flatMap(({ line }) => {
      const name = wordAfter('dev', line) ?? '';
      const address = candidates.get(name);
      return address === undefined ? [] : [[name, { interface: name, address }] as const];
    });
  return [...new Map(ways).values()];
}

function wordAfter(key: string, line: string): string | undefined {
  return new RegExp(`\\b${key} (\\S+)`).exec(line)?.[1];
}

/**
 * What k3s must be told of a node's address: nothing where what it takes by itself is right, the address that reaches the other
 * nodes where it is another, and a question where they are reached with different ones, or where several are as good.
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
  const { usual, asUsual, candidates } = routes;
  const equal = usual === undefined ? candidates : [usual, ...asUsual];
  const isQuestion = way === undefined && equal.length > 1 && (usual !== undefined || !routes.hasDefault);
  if (isQuestion) return { is: 'unclear', among: equal };
  const wanted = way ?? (usual === undefined && candidates.length === 1 ? candidates[0] : undefined);
  if (wanted === undefined || wanted.address === usual?.address) return { is: 'usual' };
  return { is: 'told', interface: wanted.interface, address: wanted.address };
}
