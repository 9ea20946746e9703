import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask, askControl, askEach } from '../engine/fact.ts';
import { change, defineStep, type HostView, type Plan, unchanged, unchangedBut } from '../engine/step.ts';
import { type HostName, hostName } from '../facts/host-name.ts';
import { k3sNodes, nodeNamed } from '../facts/k3s-nodes.ts';
import { wantedRelease } from '../facts/k3s-release.ts';
import { type ServerData, serverData } from '../facts/k3s-server-data.ts';
import { type SnapshotFolder, snapshotFolder } from '../facts/k3s-snapshots.ts';
import { binaryPath, defaultDataFolder } from '../k3s/paths.ts';
import { compareVersions, type K3sVersion, parseVersion } from '../k3s/version.ts';
import { type K3sNodeView, k3sNode, nodeNameOf } from './k3s-node.ts';
import type { NodesByServer } from './k3s-readiness.ts';
import { snapshotFolderOf } from './k3s-snapshot-folder.ts';

interface Seen {
  readonly hostName: HostName;
  readonly wanted: K3sVersion;
  readonly servers: ReadonlyMap<string, ServerData | undefined>;
  readonly nodes: NodesByServer;
  readonly snapshots: ReadonlyMap<string, SnapshotFolder | undefined>;
  readonly copies: SnapshotFolder;
}

/**
 * The way back from an upgrade of a minor version is a snapshot from before it. One for the cluster and the release is
 * enough: the first server whose turn it is takes it, while all still run the old one.
 * @see https://docs.k3s.io/upgrades/manual and https://docs.k3s.io/datastore/backup-restore
 */
export const k3sSavedBeforeStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_saved_before',
  summary:
    'Before another release of k3s runs, and before SQLite becomes etcd, the datastore has been saved: a snapshot of etcd (one for the cluster and release), or a copy of the SQLite files.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_saved_before:\n'],
  alters: ['snapshots', 'copies'],
  look(_args, host) {
    const node = k3sNode(host);
    const { servers, settings, role } = node;
    const isServer = role === 'server';
    const own = isServer ? [host.name] : [];
    return {
      hostName: ask(hostName),
      wanted: askControl(wantedRelease(settings.k3sVersion, settings.channelsUrl, settings.airgapDir)),
      servers: askEach(own, serverData(settings.k3sServerLocation)),
      nodes: askEach(own, k3sNodes),
      snapshots: askEach(isServer ? servers : [], snapshotFolder(snapshotFolderOf(node))),
      copies: ask(snapshotFolder(copiesFolder(node))),
    };
  },
  plan(seen, _args, host): Plan<Seen> {
    const node = k3sNode(host);
    const own = seen.servers.get(host.name);
    if (node.role !== 'server' || own === undefined || own.datastore === 'none')
      return unchanged('it holds no data of a cluster');
    if (!own.running) return unchanged('k3s does not run: its files stay as they are until it does');
    const name = nodeNameOf(node, seen.hostName.inUse);
    const running = parseVersion(nodeNamed(seen.nodes.get(host.name), name)?.version ?? '');
    const upgrades = running !== undefined && compareVersions(running, seen.wanted) !== 0;
    const label = `fleet-before-${seen.wanted.text.replace('+', '-')}`;
    switch (own.datastore) {
      case 'external':
        return upgrades
          ? unchangedBut('its database is not ours to save', {
              code: 'EXTERNAL_DATASTORE',
              message: `the database of the cluster is not saved by fleet before ${seen.wanted.text} runs on it`,
              fix: 'Back it up with its own tools, and keep server/token of any server with it.',
            })
          : unchanged('no other release is coming');
      case 'etcd':
        if (!upgrades) return unchanged('no other release is coming');
        return saveEtcd(seen, node, host, label);
      case 'sqlite': {
        // k3s_membership has refused by now what must not become etcd.
        const migrates = node.servers.length > 1 || node.config['cluster-init'] === true;
        if (!upgrades && !migrates) return unchanged('no other release is coming');
        return copySqlite(seen, node, migrates && !upgrades ? 'fleet-before-etcd' : label);
      }
    }
  },
});

function saveEtcd(seen: Seen, node: K3sNodeView, host: HostView, label: string): Plan<Seen> {
  const has = [...seen.snapshots].find(([, told]) => told?.files.some((file) => isCalled(file.name, label)));
  if (has !== undefined) return unchanged(`a snapshot ${label}-… is on ${has[0]}`);
  const folder = node.settings.k3sServerLocation;
  const where = folder === defaultDataFolder ? [] : ['--data-dir', folder];
  const save: Action = {
    kind: 'run',
    what: `save etcd as ${label}-…`,
    survives: true,
    deadlineMs: 600_000,
    script: sh`${binaryPath} etcd-snapshot save ${where} --name ${label}`,
  };
  const before = seen.snapshots.get(host.name);
  return change(`${seen.wanted.text} is coming, and there is no snapshot from before it`, [save], {
    after: {
      snapshots: new Map([
        ...seen.snapshots,
        [host.name, withFile(before ?? { folder: snapshotFolderOf(node), files: [] }, label)],
      ]),
    },
  });
}

/** What k3s makes of `--name NAME` is NAME-NODE-TIME; its digits must not make v1.34.10 of v1.34.1. */
function isCalled(file: string, label: string): boolean {
  return file === label || file.startsWith(`${label}-`);
}

function withFile({ folder, files }: SnapshotFolder, name: string): SnapshotFolder {
  return { folder, files: [...files, { name, sizeBytes: 0, at: new Date(0) }] };
}

function copiesFolder({ settings }: K3sNodeView): string {
  return `${settings.k3sServerLocation}/server/fleet-copies`;
}

/**
 * SQLite's files belong together only while nobody writes. k3s is held for the moment of the copy rather than stopped:
 * the API hangs for less than a second, and what was written is what a power cut would leave, which SQLite reads. As a
 * job of its own that lets k3s go on however it ends.
 */
function copySqlite(seen: Seen, node: K3sNodeView, label: string): Plan<Seen> {
  if (seen.copies.files.some((file) => file.name === `${label}.tar`))
    return unchanged(`${copiesFolder(node)}/${label}.tar is from before it`);
  const data = node.settings.k3sServerLocation;
  return change(
    label === 'fleet-before-etcd'
      ? 'SQLite becomes etcd, and there is no copy from before it'
      : `${seen.wanted.text} is coming, and there is no copy of SQLite from before it`,
    [
      {
        kind: 'run',
        what: `copy SQLite to ${copiesFolder(node)}/${label}.tar`,
        survives: true,
        deadlineMs: 600_000,
        script: sh`set -e; umask 077
folder=${copiesFolder(node)}; mkdir -p "$folder"; temporary="$folder/.fleet-copy~"
pid=$(systemctl show -p MainPID --value k3s 2> /dev/null || pgrep -o -x 'k3s-server|k3s' || true)
trap 'rm -f "$temporary"; [ "\${pid:-0}" = 0 ] || kill -CONT "$pid" 2> /dev/null' EXIT
trap 'exit 1' HUP INT PIPE TERM
sync
[ "\${pid:-0}" = 0 ] || kill -STOP "$pid"
tar -C ${`${data}/server`} -cf "$temporary" db token || {
code=$?; echo "$(df -Pk "$folder" | awk 'NR == 2 { print $4 }') KiB are free for it" >&2; exit $code; }
[ "\${pid:-0}" = 0 ] || kill -CONT "$pid"
sync "$temporary" 2> /dev/null || sync
mv -f "$temporary" "$folder/"${`${label}.tar`}`,
      },
    ],
    { after: { copies: withFile(seen.copies, `${label}.tar`) } },
  );
}
