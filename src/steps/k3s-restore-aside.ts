import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type InUse, inUse } from '../facts/k3s-in-use.ts';
import { asideFolder, nextDatabase, type RestoreState, restoreState } from '../facts/k3s-restore-state.ts';
import { type ServerData, serverData } from '../facts/k3s-server-data.ts';
import { unitName } from '../k3s/paths.ts';
import { text } from './arguments.ts';
import { k3sNode } from './k3s-node.ts';

const args = Type.Object(
  { stamp: text('Names where it goes: `server/db-before-restore-STAMP`.') },
  { additionalProperties: false },
);

interface Seen {
  readonly service: InUse;
  readonly state: RestoreState;
  readonly data: ServerData;
}

/**
 * The other servers' databases must be gone before they may join the restored one. They are moved, never removed, and
 * before the restore itself: were they still in place after it, servers that boot in between would form the old cluster
 * anew beside it. The snapshots stay where they are.
 * @see https://docs.k3s.io/cli/etcd-snapshot#restoring-snapshots
 */
export const k3sRestoreAsideStep = defineStep<typeof args, Seen>({
  name: 'k3s_restore_aside',
  summary:
    'The database of a server that shall join a restored one is moved to server/db-before-restore-STAMP; its snapshots stay.',
  args,
  examples: ['- k3s_restore_aside: {stamp: 20261121-003000}\n'],
  look(_args, host) {
    const { role, settings } = k3sNode(host);
    return {
      service: ask(inUse(role, settings.systemdDir)),
      state: ask(restoreState(settings.k3sServerLocation)),
      data: ask(serverData(settings.k3sServerLocation)),
    };
  },
  plan(seen, args, host): Plan<Seen> {
    const { role, settings } = k3sNode(host);
    const folder = settings.k3sServerLocation;
    if (seen.state.movedAside.includes(args.stamp)) return unchanged('its database was moved aside');
    if (seen.data.datastore === 'none') return unchanged('it has no database');
    if (seen.service.state !== 'inactive' && seen.service.state !== 'absent') {
      return refuse(
        `${unitName(role)} is ${seen.service.state}`,
        'Put the step k3s_restore_stopped before this one.',
      );
    }
    const aside = asideFolder(folder, args.stamp);
    const next = nextDatabase(folder);
    return change(
      `its database is not the restored one; kept as ${aside}`,
      [
        {
          kind: 'run',
          what: `move ${folder}/server/db to ${aside}`,
          survives: true,
          // Each move is one rename; broken off anywhere, the same script goes on.
          script: sh`set -e; umask 077
if [ ! -d ${aside} ]; then
  mkdir -p ${next}
  if [ -d ${folder}/server/db/snapshots ]; then mv ${folder}/server/db/snapshots ${next}/snapshots; fi
  sync; mv ${folder}/server/db ${aside}
fi
if [ -d ${next} ]; then
  if [ -d ${folder}/server/db ]; then mv ${next}/snapshots ${folder}/server/db/ && rmdir ${next}; else mv ${next} ${folder}/server/db; fi
fi
sync`,
        },
      ],
      {
        touches: ['k3s:snapshots:*'],
        after: {
          state: {
            ...seen.state,
            movedAside: [...seen.state.movedAside, args.stamp],
            keptFolders: [...seen.state.keptFolders, aside],
          },
          data: { ...seen.data, datastore: 'none' },
        },
      },
    );
  },
});
