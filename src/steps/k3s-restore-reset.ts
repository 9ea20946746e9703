import { posix } from 'node:path';
import { Type } from '@sinclair/typebox';
import { type ShellScript, sh } from '../core/shell.ts';
import { ask, askEach } from '../engine/fact.ts';
import { change, defineStep, type HostView, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type Content, contentOf } from '../facts/file.ts';
import { type InUse, inUse } from '../facts/k3s-in-use.ts';
import { type Installation, installation } from '../facts/k3s-installation.ts';
import { type RestoreState, restoreMarker, restoreState } from '../facts/k3s-restore-state.ts';
import { type ServerData, serverData } from '../facts/k3s-server-data.ts';
import { configOf } from '../k3s/config-text.ts';
import { binaryPath, fleetConfigPath, unitName } from '../k3s/paths.ts';
import { flag, optional, text } from './arguments.ts';
import { k3sNode } from './k3s-node.ts';
import { snapshotFolderOf, usesObjectStore } from './k3s-snapshot-folder.ts';

const args = Type.Object(
  {
    snapshot: text('The name of the snapshot in the snapshot folder.'),
    stored: optional(flag('It is in the object store that the server’s config names.')),
    stamp: text('Which restore this is, `20261121-003000`.'),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly state: RestoreState;
  readonly there: Installation;
  readonly service: InUse;
  readonly servers: ReadonlyMap<string, ServerData | undefined>;
  readonly fleetConfig: Content;
}

const resetDeadlineMs = 900_000;

export const k3sRestoreResetStep = defineStep<typeof args, Seen>({
  name: 'k3s_restore_reset',
  summary:
    'The etcd of this server is what the snapshot holds, and this server its only member; k3s keeps the database from before as server/db/etcd-old-TIME.',
  args,
  examples: ['- k3s_restore_reset: {snapshot: nightly-server-1-1763682000, stamp: 20261121-003000}\n'],
  look(_args, host) {
    const { role, settings, servers } = k3sNode(host);
    return {
      state: ask(restoreState(settings.k3sServerLocation)),
      there: ask(installation(role, settings.systemdDir)),
      service: ask(inUse(role, settings.systemdDir)),
      servers: askEach(servers, serverData(settings.k3sServerLocation)),
      fleetConfig: ask(contentOf(fleetConfigPath)),
    };
  },
  plan(seen, args, host): Plan<Seen> {
    const { role } = k3sNode(host);
    const { pending } = seen.state;
    if (pending?.stamp === args.stamp && pending.phase === 'reset')
      return unchanged('its database is restored');
    if (pending?.stamp !== args.stamp) {
      return refuse('this restore has not begun here', 'Put the step k3s_restore_begin before this one.');
    }
    if (seen.service.state !== 'inactive') {
      return refuse(
        `${unitName(role)} is ${seen.service.state}`,
        'Put the step k3s_restore_stopped before this one.',
      );
    }
    const others = [...seen.servers].filter(
      ([name, data]) => name !== host.name && data?.datastore === 'etcd',
    );
    if (others.length > 0) {
      return refuse(
        `${others.map(([name]) => name).join(', ')} still has the database from before: there would be two clusters`,
        'Put the step k3s_restore_aside before this one.',
      );
    }
    return change(
      `etcd is set back to ${args.snapshot}`,
      [
        {
          kind: 'run',
          what: `set etcd back to the snapshot ${args.snapshot}`,
          survives: true,
          deadlineMs: resetDeadlineMs,
          script: resetScript(seen, args, host),
        },
      ],
      {
        touches: ['k3s:server-data:*', 'k3s:snapshots:*', 'file:*', 'content:*'],
        after: {
          state: { ...seen.state, pending: { ...pending, phase: 'reset' } },
          servers: new Map(
            [...seen.servers].map(([name, data]) => [name, restored(data, name === host.name)]),
          ),
        },
      },
    );
  },
});

function restored(data: ServerData | undefined, isOwn: boolean): ServerData | undefined {
  return isOwn && data !== undefined ? { ...data, datastore: 'etcd' } : data;
}

/**
 * k3s reads its config files here as it does in the service; the environment file has its token. A reset that fails puts
 * the database back as it was: only what k3s moved aside in this very attempt.
 */
function resetScript(
  seen: Seen,
  args: { readonly snapshot: string; readonly stored?: boolean; readonly stamp: string },
  host: HostView,
): ShellScript {
  const node = k3sNode(host);
  const folder = `${node.settings.k3sServerLocation}/server`;
  const marker = restoreMarker(node.settings.k3sServerLocation);
  const config = { ...node.config, ...configOf(seen.fleetConfig.text) };
  const path = args.stored === true ? args.snapshot : posix.join(snapshotFolderOf(node), args.snapshot);
  const words = [
    ...(seen.there.args ?? ['server']),
    // It will be the one that others join; how it once joined itself is not asked for now.
    ...('server' in config ? ['--server='] : []),
    '--cluster-reset',
    `--cluster-reset-restore-path=${path}`,
    ...(args.stored !== true && usesObjectStore(node) ? ['--etcd-s3=false'] : []),
  ];
  return sh`umask 077
if [ -r ${seen.there.envPath} ]; then set -a; . ${seen.there.envPath}; set +a; fi
rm -f ${`${folder}/db/reset-flag`}
log=/run/fleet/k3s-restore.log; mkdir -p /run/fleet
before=$(ls -d ${folder}/db/etcd-old-* 2> /dev/null)
if ${binaryPath} ${words} > "$log" 2>&1; then
  printf '%s\n' ${args.stamp} ${args.snapshot} reset > ${marker}.new && sync && mv ${marker}.new ${marker} && rm -f "$log"
else
  code=$?
  for old in ${folder}/db/etcd-old-*; do
    if [ -d "$old" ] && ! printf '%s\n' "$before" | grep -qxF "$old"; then rm -rf ${folder}/db/etcd; mv "$old" ${folder}/db/etcd; fi
  done
  tail -n 8 "$log" >&2; rm -f "$log"
  echo 'Nothing is lost: restore another snapshot, or go back with: fleet snapshot restore --back' >&2
  exit "$code"
fi`;
}
