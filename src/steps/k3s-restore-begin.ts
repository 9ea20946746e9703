import { posix } from 'node:path';
import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask, askControl } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type Installation, installation } from '../facts/k3s-installation.ts';
import { type RestoreState, restoreMarker, restoreState } from '../facts/k3s-restore-state.ts';
import { type SnapshotFolder, snapshotFolder } from '../facts/k3s-snapshots.ts';
import { type LocalSnapshot, localSnapshot, noLocalSnapshot } from '../facts/local-snapshot.ts';
import { flag, optional, text } from './arguments.ts';
import { k3sNode } from './k3s-node.ts';
import { snapshotFolderOf } from './k3s-snapshot-folder.ts';

const args = Type.Object(
  {
    snapshot: text('The name of the snapshot in the snapshot folder of the server.'),
    file: optional(text('A file of the control node that is put there under that name first.')),
    stored: optional(flag('It is in the object store that the server’s config names, not in the folder.')),
    stamp: text('Names what is moved aside for this restore, `20261121-003000`.'),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly state: RestoreState;
  readonly there: Installation;
  readonly snapshots: SnapshotFolder;
  readonly local: LocalSnapshot | undefined;
}

export const k3sRestoreBeginStep = defineStep<typeof args, Seen>({
  name: 'k3s_restore_begin',
  summary:
    'The server has the snapshot that is to be restored, and remembers that its restore has begun, until `k3s_restore_end`.',
  args,
  examples: ['- k3s_restore_begin: {snapshot: nightly-server-1-1763682000, stamp: 20261121-003000}\n'],
  look(args, host) {
    const node = k3sNode(host);
    return {
      state: ask(restoreState(node.settings.k3sServerLocation)),
      there: ask(installation(node.role, node.settings.systemdDir)),
      snapshots: ask(snapshotFolder(snapshotFolderOf(node))),
      local: askControl(args.file === undefined ? noLocalSnapshot : localSnapshot(args.file)),
    };
  },
  plan(seen, args, host): Plan<Seen> {
    const { k3sServerLocation } = k3sNode(host).settings;
    const { pending } = seen.state;
    if (seen.there.args === undefined) {
      return refuse('k3s is not installed', 'Install it: fleet up. Then restore.');
    }
    const found = seen.snapshots.files.find(({ name }) => name === args.snapshot);
    const isThere = args.stored === true || isTheSame(found?.sizeBytes, seen.local);
    if (!isThere && args.file === undefined) {
      return refuse(`${args.snapshot} is not in ${seen.snapshots.folder}`, 'See fleet snapshot ls.');
    }
    if (isThere && pending?.stamp === args.stamp && pending.snapshot === args.snapshot) {
      return unchanged(`the restore of ${args.snapshot} has begun`);
    }
    const write: Action = {
      kind: 'write',
      path: restoreMarker(k3sServerLocation),
      content: `${args.stamp}\n${args.snapshot}\nbegun\n`,
      mode: '0600',
      owner: 'root',
      group: 'root',
    };
    const actions: readonly [Action, ...Action[]] =
      isThere || args.file === undefined
        ? [write]
        : [
            {
              kind: 'run',
              what: `make ${seen.snapshots.folder}`,
              script: sh`mkdir -p -m 0700 ${seen.snapshots.folder}`,
            },
            {
              kind: 'upload',
              source: { from: 'file', path: args.file },
              path: posix.join(seen.snapshots.folder, args.snapshot),
              mode: '0600',
              owner: 'root',
              group: 'root',
            },
            write,
          ];
    return change(`${args.snapshot} is to be restored`, actions, {
      after: {
        state: {
          ...seen.state,
          pending: { stamp: args.stamp, snapshot: args.snapshot, phase: 'begun' },
        },
        snapshots: {
          ...seen.snapshots,
          files: [
            ...seen.snapshots.files.filter(({ name }) => name !== args.snapshot),
            {
              name: args.snapshot,
              sizeBytes: seen.local?.sizeBytes ?? found?.sizeBytes ?? 0,
              at: new Date(0),
            },
          ],
        },
      },
    });
  },
});

/** By its size: a snapshot carries a sum of its own, which k3s checks, and its name says when and where it was made. */
function isTheSame(sizeBytes: number | undefined, local: LocalSnapshot | undefined): boolean {
  return sizeBytes !== undefined && (local === undefined || local.sizeBytes === sizeBytes);
}
