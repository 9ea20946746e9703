import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

/** Space left where a folder is or will be; `undefined` where `df` says nothing. */
export type FreeSpaceKiB = number | undefined;

/** Free space of the file system that holds a folder, or its nearest parent that exists. Source: `df -Pk`. */
export function freeSpace(folder: string): Fact<FreeSpaceKiB> {
  return {
    key: `mount:free ${folder}`,
    sh: sh`p=${folder}; while [ ! -d "$p" ]; do p=\${p%/*}; [ -n "$p" ] || p=/; done; df -Pk "$p" 2>/dev/null; true`,
    // /dev/vda1   41152832 5120000  34123456  14% /
    parse: ({ stdout }) => {
      const free = /^\S+\s+\d+\s+\d+\s+(\d+)\s+\d+%/m.exec(stdout)?.[1];
      return free === undefined ? undefined : Number(free);
    },
  };
}

/** A TCP port that somebody listens on, and who, where the host can tell. */
export interface Listener {
  readonly port: number;
  readonly program: string;
}

/** Everybody who listens on TCP. Source: /proc/net/tcp and tcp6; the programs' names from `ss` where it is there. */
export const listeners: Fact<readonly Listener[]> = {
  key: 'port:listeners',
  volatile: true,
  sh: sh`cat /proc/net/tcp /proc/net/tcp6 2>/dev/null; echo =
if command -v ss >/dev/null 2>&1; then ss -Hltnp 2>/dev/null; fi; true`,
  parse: ({ stdout }) => parseListeners(stdout),
};

/** The parser of `listeners`. */
export function parseListeners(stdout: string): readonly Listener[] {
  const [table = '', told = ''] = stdout.split(/^=$/m);
  const programs = new Map<number, string>();
  // LISTEN 0 4096 *:6443 *:* users:(("nginx",pid=1,fd=3))
  for (const match of told.matchAll(/^LISTEN\s+\d+\s+\d+\s+\S*:(\d+)\s+\S+(?:\s+users:\(\("([^"]+)")?/gm))
    if (match[2] !== undefined) programs.set(Number(match[1]), match[2]);
  //   0: 00000000:192B 00000000:0000 0A …
  const ports = [...table.matchAll(/^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} 0A /gm)].map(
    ([, hex = '']) => Number.parseInt(hex, 16),
  );
  return [...new Set(ports)]
    .sort((one, other) => one - other)
    .map((port) => ({ port, program: programs.get(port) ?? '' }));
}

/** Kubernetes of somebody else's making, and the cluster that k3s follows here. */
export interface OtherKubernetes {
  /** `kubeadm`, `rke2`, `k0s`, `microk8s`. */
  readonly found: readonly string[];
  /** K3S_URL of an agent that is installed. */
  readonly follows: string | undefined;
}

/** Source: the folders that the others keep their state in; the environment file of the k3s agent. */
export const otherKubernetes: Fact<OtherKubernetes> = {
  key: 'k3s:others',
  sh: sh`[ ! -e /etc/kubernetes/kubelet.conf ] || echo 'found kubeadm'
[ ! -d /var/lib/rancher/rke2 ] || echo 'found rke2'
[ ! -d /var/lib/k0s ] || echo 'found k0s'
[ ! -d /var/snap/microk8s/current ] || echo 'found microk8s'
cat /etc/systemd/system/k3s-agent.service.env /etc/rancher/k3s/k3s-agent.env 2>/dev/null | sed -n 's/^K3S_URL=/follows /p'; true`,
  parse: ({ stdout }) => ({
    found: [...stdout.matchAll(/^found (\S+)$/gm)].map(([, name = '']) => name),
    follows: /^follows ["']?(\S+?)["']?$/m.exec(stdout)?.[1],
  }),
};

/** What a host tries to reach before k3s is on it. */
export interface ReachTargets {
  readonly tcp: readonly { readonly address: string; readonly port: number }[];
  readonly udp: readonly { readonly address: string; readonly port: number }[];
  /** Names that must resolve. */
  readonly names: readonly string[];
}

/**
 * How a question to a port ended: `refused` says that nothing filters on the way, though nobody listens; `silent` that it, or the
 * answer, was thrown away (for UDP: or that somebody listens); `forbidden` that a firewall said so.
 */
export type Reach = 'open' | 'refused' | 'silent' | 'forbidden' | 'unknown';

/** By `tcp 10.0.0.1 6443` and, for names, `name k3s.example.org` (`refused` for one that does not resolve). */
export type Reached =
  | { readonly isNew: false }
  | { readonly isNew: true; readonly ways: ReadonlyMap<string, Reach> };

/**
 * Whether a new host reaches the others. One that has k3s proves it every second, so it tries nothing. All tries at once,
 * two seconds at most. Source: bash's /dev/tcp and /dev/udp, else nc; getent.
 */
export function reachOf(targets: ReachTargets): Fact<Reached> {
  const ways = [
    ...targets.tcp.map(({ address, port }) => `tcp ${address} ${port}`),
    ...targets.udp.map(({ address, port }) => `udp ${address} ${port}`),
  ];
  return {
    key: `port:reach ${ways.join(',')} ${targets.names.join(',')}`,
    volatile: true,
    sh: sh`if [ -x /usr/local/bin/k3s ]; then echo installed; exit 0; fi
LC_ALL=C; export LC_ALL
try() {
  if command -v bash >/dev/null 2>&1 && command -v timeout >/dev/null 2>&1; then
    said=$(timeout 2 bash -c 'exec 3<>"/dev/$0/$1/$2" || exit 1; [ "$0" = udp ] || exit 0; printf . >&3; sleep 0.3; printf . >&3' "$1" "$2" "$3" 2>&1)
  elif [ "$1" = tcp ] && command -v nc >/dev/null 2>&1; then
    # BusyBox' need not know -z: with nothing to send, whoever listens hangs up.
    if nc -h 2>&1 | grep -q -e '-z'; then z=-z; else z=; fi
    said=$(timeout 3 nc $z -w 2 "$2" "$3" 2>&1 </dev/null)
  else echo "$1 $2 $3 unknown"; return; fi
  code=$?
  case $code:$said in
    0:*) if [ "$1" = udp ]; then echo "$1 $2 $3 silent"; else echo "$1 $2 $3 open"; fi ;;
    *refused*) echo "$1 $2 $3 refused" ;;
    *[Nn]o\\ route*|*nreachable*|*ermission*|*rohibited*) echo "$1 $2 $3 forbidden" ;;
    *) echo "$1 $2 $3 silent" ;;
  esac
}
for way in ${ways}; do try $way & done
for name in ${targets.names}; do
  ( if ! command -v getent >/dev/null 2>&1; then echo "name $name unknown"
    elif timeout 2 getent hosts "$name" >/dev/null 2>&1; then echo "name $name open"; else echo "name $name refused"; fi ) &
done
wait`,
    parse: ({ stdout }) => parseReached(stdout),
  };
}

/** The parser of `reachOf`. */
export function parseReached(stdout: string): Reached {
  if (/^installed$/m.test(stdout)) return { isNew: false };
  const ways = new Map<string, Reach>();
  for (const [, way = '', end = ''] of stdout.matchAll(/^((?:tcp|udp|name) .+) (\w+)$/gm))
    ways.set(way, end as Reach);
  return { isNew: true, ways };
}
