import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

/** Where a question goes. */
export interface ReachTarget {
  readonly address: string;
  readonly port: number;
}

/** What a host tries to reach before k3s is on it. */
export interface ReachTargets {
  readonly tcp: readonly ReachTarget[];
  readonly udp: readonly ReachTarget[];
  /** Addresses that packets as large as the host's own card takes must arrive at. */
  readonly paths: readonly string[];
  /** Names that must resolve. */
  readonly names: readonly string[];
  /** The file that names the host's name servers: they are asked something too. */
  readonly resolvConf: string;
  /**
   * All nodes in a circle, and what each asks the next one for: so everybody's own firewall is asked by somebody, and nobody has to
   * ask everybody. The addresses that are in `skip` are asked by all anyway.
   */
  readonly circle: {
    readonly addresses: readonly string[];
    readonly skip: readonly string[];
    /** `tcp 10250`, `udp 8472`. */
    readonly ports: readonly string[];
  };
}

/**
 * How a question ended: `refused` says that nothing filters on the way, though nobody listens; `silent` that it, or the
 * answer, was thrown away (for UDP: or that somebody listens); `forbidden` that a firewall said so.
 */
export type Reach = 'open' | 'refused' | 'silent' | 'forbidden' | 'unknown';

/** What became of a packet of the size that the host's card takes, where a small one arrived. */
export interface PathFound {
  readonly size: number;
  /** `lost` without a word, or the size that a router on the way named. */
  readonly end: 'open' | 'lost' | number;
  /** How it was sent: by `ping`, or as a `datagram` to a port where nobody listens. */
  readonly by: 'ping' | 'datagram';
}

/** What a host found that has no k3s yet. */
export interface FreshReach {
  readonly isNew: true;
  /** By `tcp 10.0.0.1 6443`; for names, `name k3s.example.org` (`refused` for one that does not resolve); for name servers, `dns 10.0.0.53`. */
  readonly ways: ReadonlyMap<string, Reach>;
  /** By address. */
  readonly paths: ReadonlyMap<string, PathFound>;
}

export type Reached = { readonly isNew: false } | FreshReach;

/** A port that traceroute uses, since nobody listens there. */
const quietPort = 33434;

/** A question for the root zone's name servers, that any name server answers, if only by a refusal. Its number starts with an f. */
const rootQuestion = 'fl\\001\\000\\000\\001\\000\\000\\000\\000\\000\\000\\000\\000\\002\\000\\001';

/**
 * Whether a new host reaches the others, its name servers, and with packets as large as its card takes. One that has k3s proves it every
 * second, so it tries nothing. All tries at once, three seconds at most, and about six where large packets are lost. Source: bash's /dev/tcp and /dev/udp, else nc, nslookup;
 * getent; ping, else datagrams; `ip route get`; resolv.conf.
 */
export function reachOf(targets: ReachTargets): Fact<Reached> {
  const ways = [
    ...targets.tcp.map(({ address, port }) => `tcp ${address} ${port}`),
    ...targets.udp.map(({ address, port }) => `udp ${address} ${port}`),
  ];
  const { circle } = targets;
  return {
    key: `port:reach ${[...ways, ...targets.paths, ...targets.names, ...circle.addresses, ...circle.ports].join(',')}`,
    volatile: true,
    sh: sh`if [ -x /usr/local/bin/k3s ]; then echo installed; exit 0; fi
LC_ALL=C; export LC_ALL
if command -v bash >/dev/null 2>&1 && command -v timeout >/dev/null 2>&1; then bash=yes; else bash=; fi
ended() {
  case $1:$2 in
    0:*) echo "$3" ;;
    *refused*) echo refused ;;
    *[Nn]o\\ route*|*nreachable*|*ermission*|*ermitted*|*rohibited*) echo forbidden ;;
    *) echo silent ;;
  esac
}
# Thrice, for hosts answer only so many stray packets a second.
datagrams='exec 3<>"/dev/udp/$0/$1" || exit 1; for i in 1 2 3; do dd if=/dev/zero bs="$2" count=1 2>&1 >&3 || exit 1; sleep 0.3; done'
try() {
  if [ -n "$bash" ] && [ "$1" = tcp ]; then
    said=$(timeout 2 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$2" "$3" 2>&1); end=$(ended $? "$said" open)
  elif [ -n "$bash" ]; then
    said=$(timeout 2 bash -c "$datagrams" "$2" "$3" 1 2>&1); end=$(ended $? "$said" silent)
  elif [ "$1" = tcp ] && command -v nc >/dev/null 2>&1; then
    # BusyBox' need not know -z: with nothing to send, whoever listens hangs up.
    if nc -h 2>&1 | grep -q -e '-z'; then z=-z; else z=; fi
    said=$(timeout 3 nc $z -w 2 "$2" "$3" 2>&1 </dev/null); end=$(ended $? "$said" open)
  else end=unknown; fi
  echo "$1 $2 $3 $end"
}
serves() {
  if [ -n "$bash" ]; then
    said=$(timeout 2 bash -c 'exec 3<>"/dev/udp/$0/53" || exit 1
for i in 1 2 3; do printf "$1" >&3 || exit 1; if read -r -n 1 -t 0.5 -u 3 f && [ "$f" = f ]; then exit 0; fi; done; exit 9' "$1" ${rootQuestion} 2>&1)
    end=$(ended $? "$said" open)
  elif command -v nslookup >/dev/null 2>&1; then
    case $(timeout 3 nslookup -type=ns . "$1" 2>&1) in
      *refused*) end=refused ;;
      ''|*timed\\ out*|*no\\ servers*|*nreachable*) end=silent ;;
      *) end=open ;;
    esac
  else end=unknown; fi
  echo "dns $1 $end"
}
echoes() {
  if ping -V 2>&1 | grep -q iputils; then ping -M do -n -c 1 -W 1 -s "$1" "$2"; else timeout 2 ping -c 1 -W 1 -s "$1" "$2"; fi >/dev/null 2>&1
}
bounces() { timeout 2 bash -c "$datagrams" "$2" ${quietPort} "$1" 2>&1 | grep -q refused; }
path() {
  set -- "$1" "$(ip route get "$1" 2>/dev/null | sed -n '1s/.* dev \\([^ ]*\\).*/\\1/p')"
  if [ -z "$2" ] || [ "$2" = lo ]; then return; fi
  size=$(cat "/sys/class/net/$2/mtu" 2>/dev/null) || return
  case $1 in *:*) payload=$((size - 48)) ;; *) payload=$((size - 28)) ;; esac
  if command -v ping >/dev/null 2>&1 && echoes 56 "$1"; then by=ping; arrives=echoes
  elif [ -n "$bash" ] && bounces 1 "$1"; then by=datagram; arrives=bounces
  else return; fi
  if $arrives "$payload" "$1"; then end=open
  else
    # Lost by chance, or one stray packet too many to be answered: where the next is not, a small one tells whether anybody answers now.
    sleep 2
    if $arrives "$payload" "$1"; then end=open
    else
      sleep 2
      $arrives 56 "$1" || return
      end=lost
    fi
  fi
  # A router that said how much it takes is remembered by the kernel, which cuts datagrams to that size.
  told=$(ip route get "$1" 2>/dev/null | sed -n 's/.* mtu \\([0-9]*\\).*/\\1/p')
  if [ "\${told:-$size}" -lt "$size" ]; then end=$told; fi
  echo "path $1 $size $end $by"
}
for way in ${ways}; do try $way & done
for address in ${targets.paths}; do path "$address" & done
for name in ${targets.names}; do
  ( if ! command -v getent >/dev/null 2>&1; then echo "name $name unknown"
    elif timeout 2 getent hosts "$name" >/dev/null 2>&1; then echo "name $name open"; else echo "name $name refused"; fi ) &
done
# A stub of the host's own is only as quick as who stands behind it.
for server in $(awk '$1 == "nameserver" && $2 !~ /^127\\./ && $2 != "::1" && ++n <= 3 { print $2 }' ${targets.resolvConf} 2>/dev/null); do serves "$server" & done
mine=" $(ip -o addr show 2>/dev/null | awk '{ sub("/.*", "", $4); printf "%s ", $4 }')"
found= next= first=
for address in ${circle.addresses}; do
  first=\${first:-$address}
  if [ -n "$found" ]; then next=$address; break; fi
  case $mine in *" $address "*) found=yes ;; esac
done
next=\${next:-\${found:+$first}}
for address in ${circle.skip}; do [ "$address" != "$next" ] || next=; done
if [ -n "$next" ]; then for port in ${circle.ports}; do try "\${port% *}" "$next" "\${port#* }" & done; fi
wait`,
    parse: ({ stdout }) => parseReached(stdout),
  };
}

/** The parser of `reachOf`. */
export function parseReached(stdout: string): Reached {
  if (/^installed$/m.test(stdout)) return { isNew: false };
  const ways = new Map<string, Reach>();
  for (const [, way = '', end = ''] of stdout.matchAll(/^((?:tcp|udp|name|dns) .+) (\w+)$/gm))
    ways.set(way, end as Reach);
  const paths = new Map<string, PathFound>();
  // path 10.0.0.1 1500 lost ping
  for (const [, address = '', size = '', end = '', by = ''] of stdout.matchAll(
    /^path (\S+) (\d+) (open|lost|\d+) (ping|datagram)$/gm,
  )) {
    const found = end === 'open' || end === 'lost' ? end : Number(end);
    paths.set(address, { size: Number(size), end: found, by: by as PathFound['by'] });
  }
  return { isNew: true, ways, paths };
}
