import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, unchanged } from '../engine/step.ts';
import {
  type SnapshotFolder,
  type StoredSnapshot,
  snapshotFolder,
  storedSnapshots,
} from '../facts/k3s-snapshots.ts';
import { binaryPath, defaultDataFolder } from '../k3s/paths.ts';
import { text } from './arguments.ts';
import { k3sNode } from './k3s-node.ts';
import { commandsUseObjectStore, snapshotFolderOf } from './k3s-snapshot-folder.ts';

const args = Type.Object({ name: text('The whole name of the snapshot.') }, { additionalProperties: false });

interface Seen {
  readonly snapshots: SnapshotFolder;
  readonly stored: readonly StoredSnapshot[];
}

export const k3sSnapshotAbsentStep = defineStep<typeof args, Seen>({
  name: 'k3s_snapshot_absent',
  summary: 'The server has no snapshot of this name, and neither has its object store if it uses one.',
  args,
  examples: ['- k3s_snapshot_absent: {name: on-demand-server-1-1763682000}\n'],
  look(_args, host) {
    return {
      snapshots: ask(snapshotFolder(snapshotFolderOf(k3sNode(host)))),
      stored: ask(storedSnapshots),
    };
  },
  plan(seen, args, host): Plan<Seen> {
    const node = k3sNode(host);
    const isNamed = ({ name }: { readonly name: string }): boolean => name === args.name;
    const stored = commandsUseObjectStore(node) ? seen.stored.find(isNamed) : undefined;
    const isHere = seen.snapshots.files.some(isNamed);
    if (!isHere && stored === undefined) return unchanged('it has none of this name');
    const places = [
      ...(isHere ? [seen.snapshots.folder] : []),
      ...(stored === undefined ? [] : [stored.location]),
    ];
    const folder = node.settings.k3sServerLocation;
    const where = folder === defaultDataFolder ? [] : ['--data-dir', folder];
    return change(
      `${args.name} is in ${places.join(' and ')}`,
      [
        {
          kind: 'run',
          what: `delete the snapshot ${args.name}`,
          script: sh`${binaryPath} etcd-snapshot delete ${where} ${args.name}`,
        },
      ],
      {
        after: {
          snapshots: { ...seen.snapshots, files: seen.snapshots.files.filter((file) => !isNamed(file)) },
          stored: stored === undefined ? seen.stored : seen.stored.filter((file) => !isNamed(file)),
        },
      },
    );
  },
});
