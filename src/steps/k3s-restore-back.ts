import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type InUse, inUse } from '../facts/k3s-in-use.ts';
import { asideFolder, type RestoreState, restoreMarker, restoreState } from '../facts/k3s-restore-state.ts';
import { text } from './arguments.ts';
import { k3sNode } from './k3s-node.ts';

const args = Type.Object(
  { stamp: text('Which restore is taken back, `20261121-003000`.') },
  { additionalProperties: false },
);

interface Seen {
  readonly service: InUse;
  readonly state: RestoreState;
}

/** Only of a restore that set nothing back yet: afterwards the way back is the snapshot that was saved before it. */
export const k3sRestoreBackStep = defineStep<typeof args, Seen>({
  name: 'k3s_restore_back',
  summary: 'The server has the database again that was moved aside for a restore that did not come about.',
  args,
  examples: ['- k3s_restore_back: {stamp: 20261121-003000}\n'],
  look(_args, host) {
    const { role, settings } = k3sNode(host);
    return {
      service: ask(inUse(role, settings.systemdDir)),
      state: ask(restoreState(settings.k3sServerLocation)),
    };
  },
  plan(seen, args, host): Plan<Seen> {
    const folder = k3sNode(host).settings.k3sServerLocation;
    const isTarget = seen.state.pending?.stamp === args.stamp;
    const isMoved = seen.state.movedAside.includes(args.stamp);
    if (!isTarget && !isMoved) return unchanged('nothing of it was moved aside');
    if (seen.service.state !== 'inactive') {
      return refuse(`k3s is ${seen.service.state}`, 'Stop the servers first: fleet stop --limit server.');
    }
    const aside = asideFolder(folder, args.stamp);
    return change(
      'the restore did not come about',
      [
        {
          kind: 'run',
          what: 'put the database from before in its place again',
          survives: true,
          script: sh`set -e
if [ -d ${aside} ]; then
  if [ -d ${folder}/server/db/snapshots ]; then mv ${folder}/server/db/snapshots ${aside}/snapshots; fi
  if [ -d ${folder}/server/db ]; then rm -rf ${folder}/server/db; fi
  mv ${aside} ${folder}/server/db
fi
rm -f ${restoreMarker(folder)}; sync`,
        },
      ],
      {
        touches: ['k3s:server-data:*', 'k3s:snapshots:*'],
        after: {
          state: {
            pending: undefined,
            movedAside: seen.state.movedAside.filter((stamp) => stamp !== args.stamp),
            keptFolders: seen.state.keptFolders.filter((kept) => kept !== aside),
          },
        },
      },
    );
  },
});
