import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import { linesOf } from './answer-lines.ts';

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

/** A port that somebody listens on, and who, where the host can tell. */
export interface Listener {
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
  readonly program: string;
}

/**
 * Everybody who listens on TCP or waits for UDP; nobody where systemd runs k3s, for what is to be told is whether its ports are free.
 * Source: /proc/net/tcp, tcp6, udp and udp6; the programs' names from `ss` where it is there.
 */
export const listeners: Fact<readonly Listener[]> = {
  key: 'port:listeners',
  volatile: true,
  sh: sh`for unit in k3s k3s-agent; do if [ -L "/run/systemd/units/invocation:$unit.service" ]; then exit 0; fi; done
grep -h ' 0A ' /proc/net/tcp /proc/net/tcp6 2>/dev/null; echo =
grep -h ' 07 ' /proc/net/udp /proc/net/udp6 2>/dev/null; echo =
if command -v ss >/dev/null 2>&1; then ss -Hltunp 2>/dev/null; fi; true`,
  parse: ({ stdout }) => parseListeners(stdout),
};

/** The parser of `listeners`. */
export function parseListeners(stdout: string): readonly Listener[] {
  const [tcp = '', udp = '', told = ''] = stdout.split(/^=$/m);
  const programs = new Map<string, string>();
  // tcp LISTEN 0 4096 *:6443 *:* users:(("nginx",pid=1,fd=3))
  for (const [, protocol, port, program] of told.matchAll(
    /^(tcp|udp)\s+(?:LISTEN|UNCONN)\s+\d+\s+\d+\s+\S*:(\d+)\s+\S+\s+users:\(\("([^"]+)"/gm,
  ))
    programs.set(`${protocol} ${port}`, program ?? '');
  const portsOf = (protocol: 'tcp' | 'udp', table: string, waiting: string): readonly Listener[] => {
    //   0: 00000000:192B 00000000:0000 0A …
    const row = new RegExp(`^\\s*\\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} ${waiting} `, 'gm');
    const ports = [...table.matchAll(row)].map(([, hex = '']) => Number.parseInt(hex, 16));
    return [...new Set(ports)]
      .sort((one, other) => one - other)
      .map((port) => ({ protocol, port, program: programs.get(`${protocol} ${port}`) ?? '' }));
  };
  return [...portsOf('tcp', tcp, '0A'), ...portsOf('udp', udp, '07')];
}

/** A proxy that programs of the host go through, and what they are kept from asking it for. */
export interface HostProxy {
  readonly isSet: boolean;
  readonly spared: readonly string[];
}

/** What the install script copies into k3s' own environment. Its password stays on the host. Source: the environment of root. */
export const hostProxy: Fact<HostProxy> = {
  key: 'host:proxy',
  sh: sh`for list in "\${NO_PROXY-}" "\${no_proxy-}"; do [ -z "$list" ] || echo "spared $list"; done
for proxy in "\${HTTP_PROXY-}" "\${http_proxy-}" "\${HTTPS_PROXY-}" "\${https_proxy-}"; do [ -z "$proxy" ] || echo 'set '; done`,
  parse: ({ stdout }) => ({
    isSet: /^set $/m.test(stdout),
    spared: linesOf(stdout, 'spared')
      .flatMap((line) => line.split(','))
      .map((word) => word.trim())
      .filter((word) => word !== ''),
  }),
};

/** Whether packages can only be installed into the next boot: MicroOS, SLE Micro, Flatcar. Source: `test -w /usr`. */
export const readOnlySystem: Fact<boolean> = {
  key: 'host:read-only-system',
  sh: sh`if [ -w /usr ]; then echo no; else echo yes; fi`,
  parse: ({ stdout }) => stdout.trim() === 'yes',
};

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
for file in /etc/systemd/system/k3s-agent.service.env /etc/rancher/k3s/k3s-agent.env; do
  if [ -r "$file" ]; then sed -n 's/^K3S_URL=/follows /p' "$file"; fi
done; true`,
  parse: ({ stdout }) => ({
    found: [...stdout.matchAll(/^found (\S+)$/gm)].map(([, name = '']) => name),
    follows: /^follows ["']?(\S+?)["']?$/m.exec(stdout)?.[1],
  }),
};
