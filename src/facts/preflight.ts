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
