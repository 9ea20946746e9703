import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

/** A restore that has begun on this server and is not over. */
export interface PendingRestore {
  /** `20261121-003000`: names what was moved aside for it. */
  readonly stamp: string;
  readonly snapshot: string;
  /** `reset`: this server's etcd holds the snapshot. */
  readonly phase: 'begun' | 'reset';
}

/** What restores have left on a server. */
export interface RestoreState {
  readonly pending: PendingRestore | undefined;
  /** Stamps of restores for which this server's database was moved aside, whole. */
  readonly movedAside: readonly string[];
  /** Folders with databases from before a restore, moved there by fleet or by k3s itself. */
  readonly keptFolders: readonly string[];
}

/** Where a server remembers that a restore is not over. */
export function restoreMarker(dataFolder: string): string {
  return `${dataFolder}/server/fleet-restore`;
}

/** Where a server's database from before a restore is kept. */
export function asideFolder(dataFolder: string, stamp: string): string {
  return `${dataFolder}/server/db-before-restore-${stamp}`;
}

/** What the next database is put together in; while it is there the move is not over. */
export function nextDatabase(dataFolder: string): string {
  return `${dataFolder}/server/db.fleet-next`;
}

export function restoreState(dataFolder: string): Fact<RestoreState> {
  return {
    key: `k3s:restore:${dataFolder}`,
    sh: sh`if [ -e ${restoreMarker(dataFolder)} ]; then sed 's/^/marker /' ${restoreMarker(dataFolder)}; fi
for folder in ${dataFolder}/server/db-before-restore-* ${dataFolder}/server/db/etcd-old-*; do
  if [ -d "$folder" ]; then echo "kept $folder"; fi
done
if [ -d ${nextDatabase(dataFolder)} ]; then echo unfinished; fi
true`,
    parse: ({ stdout }) => {
      const rows = stdout.split('\n');
      const [stamp, snapshot, phase] = rows.flatMap((row) => /^marker (.*)$/.exec(row)?.[1] ?? []);
      const keptFolders = rows.flatMap((row) => /^kept (.*)$/.exec(row)?.[1] ?? []);
      return {
        pending:
          stamp === undefined || snapshot === undefined
            ? undefined
            : { stamp, snapshot, phase: phase === 'reset' ? 'reset' : 'begun' },
        movedAside: rows.includes('unfinished')
          ? []
          : keptFolders.flatMap((folder) => /\/db-before-restore-([\d-]+)$/.exec(folder)?.[1] ?? []),
        keptFolders,
      };
    },
  };
}
