import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { apiReady } from '../facts/k3s-nodes.ts';
import { type ServerData, serverData } from '../facts/k3s-server-data.ts';
import { binaryPath, defaultDataFolder } from '../k3s/paths.ts';
import { flag, optional, text } from './arguments.ts';
import { k3sNode } from './k3s-node.ts';
import { snapshotFolderOf } from './k3s-snapshot-folder.ts';

const args = Type.Object(
  {
    name: optional(text('What its name begins with; k3s adds the node and the time. Default: `on-demand`.')),
    required: optional(
      flag(
        'Whether a cluster that cannot be saved so (SQLite, an external database, no API) is an error. Default: true.',
      ),
    ),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly data: ServerData;
  readonly api: true | string;
}

/** Why a cluster on this datastore has no snapshots, and what to do instead; `undefined` for etcd. */
export function noSnapshots(
  datastore: ServerData['datastore'],
): { readonly because: string; readonly fix: string } | undefined {
  switch (datastore) {
    case 'etcd':
      return undefined;
    case 'sqlite':
      return {
        because: 'the cluster is on SQLite, of which k3s makes no snapshots',
        fix: 'Stop k3s (fleet stop), copy server/db and server/token out of its data folder, and start it again; or move to etcd with `cluster-init: true` in server_config_yaml.',
      };
    case 'external':
      return {
        because: 'the cluster is on an external database, of which k3s makes no snapshots',
        fix: 'Save it with the tools of that database, and keep server/token of any server with it: what is in the database opens only with that token.',
      };
    case 'none':
      return { because: 'the server has no cluster yet', fix: 'Bring it up first: fleet up.' };
  }
}

export const k3sSnapshotStep = defineStep<typeof args, Seen>({
  name: 'k3s_snapshot',
  summary:
    'A new snapshot of etcd stands in the snapshot folder of the server, and in its object store if it has one.',
  args,
  examples: ['- k3s_snapshot: {name: before-migration}\n'],
  look(_args, host) {
    return { data: ask(serverData(k3sNode(host).settings.k3sServerLocation)), api: ask(apiReady) };
  },
  plan(seen, args, host): Plan<Seen> {
    const node = k3sNode(host);
    const hindrance =
      noSnapshots(seen.data.datastore) ??
      (seen.api === true
        ? undefined
        : { because: `the API of ${host.name} is not ready: ${seen.api}`, fix: 'See fleet status.' });
    if (hindrance !== undefined) {
      return args.required === false
        ? unchanged(`none can be made: ${hindrance.because}`)
        : refuse(hindrance.because, hindrance.fix);
    }
    const folder = node.settings.k3sServerLocation;
    const where = folder === defaultDataFolder ? [] : ['--data-dir', folder];
    const named = args.name === undefined ? [] : ['--name', args.name];
    return change(
      'it is asked to',
      [
        {
          kind: 'run',
          what: `save etcd to ${snapshotFolderOf(node)}${args.name === undefined ? '' : ` as ${args.name}-…`}`,
          survives: true,
          deadlineMs: 600_000,
          script: sh`${binaryPath} etcd-snapshot save ${where} ${named}`,
        },
      ],
      { imperative: true, touches: ['k3s:snapshots:*'] },
    );
  },
});
