import { raw, sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import { binaryPath, kubectlWords } from '../k3s/paths.ts';

/** A snapshot of etcd as a file on a server. */
export interface SnapshotFile {
  readonly name: string;
  readonly sizeBytes: number;
  /** When it was written, by the server's clock. */
  readonly at: Date;
}

/** Where a server keeps its snapshots, and those that are there. */
export interface SnapshotFolder {
  readonly folder: string;
  readonly files: readonly SnapshotFile[];
}

/**
 * The snapshots in a server's folder, oldest first. Read from the disk: `k3s etcd-snapshot ls` asks the API, which is
 * gone when snapshots matter most.
 * @see https://docs.k3s.io/cli/etcd-snapshot
 */
export function snapshotFolder(folder: string): Fact<SnapshotFolder> {
  return {
    key: `k3s:snapshots:${folder}`,
    sh: sh`for file in ${folder}/*; do
  if [ -f "$file" ]; then stat -c '%Y %s %n' -- "$file"; fi
done; true`,
    parse: ({ stdout }) => ({
      folder,
      files: stdout
        .split('\n')
        .flatMap((line): SnapshotFile[] => {
          const match = /^(\d+) (\d+) .*\/([^/]+)$/.exec(line);
          if (match?.[3] === undefined || /\.(?:tmp|part|part~)$/.test(match[3])) return [];
          return [{ name: match[3], sizeBytes: Number(match[2]), at: new Date(Number(match[1]) * 1000) }];
        })
        .sort((a, b) => a.at.getTime() - b.at.getTime()),
    }),
    volatile: true,
  };
}

/** A snapshot that k3s has put into an object store. */
export interface StoredSnapshot extends SnapshotFile {
  /** `s3://bucket/folder/name`. */
  readonly location: string;
}

/**
 * Snapshots in an object store, as the cluster remembers them; empty where the API does not answer or the release keeps
 * no such record (before v1.28.4+k3s2).
 * Source: ETCDSnapshotFile objects.
 */
export const storedSnapshots: Fact<readonly StoredSnapshot[]> = {
  key: 'k3s:stored-snapshots',
  sh: raw(
    `if [ -x ${binaryPath} ]; then ${kubectlWords.join(' ')} get etcdsnapshotfiles.k3s.cattle.io --request-timeout=10s -o jsonpath='{range .items[*]}{.spec.snapshotName}{"\\t"}{.spec.location}{"\\t"}{.status.size}{"\\t"}{.status.creationTime}{"\\n"}{end}' 2> /dev/null; fi; true`,
  ),
  parse: ({ stdout }) =>
    stdout.split('\n').flatMap((line): StoredSnapshot[] => {
      const [name = '', location = '', size = '', at = ''] = line.split('\t');
      if (name === '' || !location.startsWith('s3://')) return [];
      return [{ name, location, sizeBytes: Number(size) || 0, at: new Date(at) }];
    }),
  volatile: true,
};
