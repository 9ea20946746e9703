import { FleetError } from '../../core/errors.ts';
import { k3sSnapshotStep } from '../../steps/k3s-snapshot.ts';
import { k3sSnapshotAbsentStep } from '../../steps/k3s-snapshot-absent.ts';
import { commandsUseObjectStore, k3sSetting, usesObjectStore } from '../../steps/k3s-snapshot-folder.ts';
import { safeJson } from '../../ui/json.ts';
import { formatBytes } from '../../ui/wording.ts';
import { refuseWithoutEtcd, type SeenServer, seenServers, speaker } from '../cluster-servers.ts';
import { type Cell, columnText } from '../column-text.ts';
import type { Invocation, RunCommand } from '../command.ts';
import { driveApply, driveAsking, drivePlan } from '../drive.ts';
import { type ExitCode, exit } from '../exit-codes.ts';
import { type OpenedFleet, openFleet } from '../open-fleet.ts';
import { singleStep } from '../single-step.ts';
import { fetchSnapshot } from '../snapshot-fetch.ts';
import { restoreSnapshot } from '../snapshot-restore.ts';

const actions: Readonly<Record<string, RunCommand>> = {
  save,
  ls,
  get,
  delete: remove,
  schedule,
  restore,
};

/** Snapshots of the cluster's etcd. */
export const snapshot: RunCommand = async (invocation) => {
  const [name = ''] = invocation.arguments;
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined;
  if (action !== undefined) return action(invocation);
  throw new FleetError({
    code: 'UNKNOWN_ACTION',
    message: `fleet snapshot cannot ${JSON.stringify(name)}`,
    fix: `It can: ${Object.keys(actions).join(', ')}. See \`fleet help snapshot\`.`,
    blame: 'usage',
  });
};

async function save(invocation: Invocation): Promise<ExitCode> {
  const { arguments: words, settings, console } = invocation;
  const [, name] = words;
  if (name !== undefined && !/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(name)) {
    throw new FleetError({
      code: 'SNAPSHOT_NAME',
      message: `${JSON.stringify(name)} cannot be the name of a snapshot`,
      fix: 'Use letters, digits, dots and dashes.',
      blame: 'usage',
    });
  }
  const opened = await openFleet(invocation, { needsCluster: true });
  const servers = await seenServers(invocation, opened);
  refuseWithoutEtcd(servers);
  const { host } = speaker(servers);
  const wanted = await singleStep(invocation, opened, {
    command: 'snapshot',
    name: 'Save a snapshot',
    step: k3sSnapshotStep,
    args: { ...(name === undefined ? {} : { name }) },
    hosts: [host],
    become: true,
  });
  if (settings.check) return drivePlan(invocation, wanted);
  const code = await driveApply(invocation, wanted);
  if (code !== exit.ok || settings.output === 'json') return code;
  const now = (await seenServers(invocation, opened)).find((server) => server.host === host);
  const newest = now?.snapshots?.files.at(-1);
  if (newest !== undefined) {
    console.result(newest.name);
    const stored = now?.stored.find(({ name: its }) => its === newest.name);
    console.note(
      stored === undefined
        ? `It is on ${host.name} alone. Keep a copy elsewhere: fleet snapshot get ${newest.name}`
        : `It is on ${host.name}, and as ${stored.location} in the object store.`,
    );
    if (now !== undefined && usesObjectStore(now.node) && !commandsUseObjectStore(now.node)) {
      console.warn({
        code: 'NOT_IN_OBJECT_STORE',
        message: `${host.name} has etcd-s3 among its arguments, where k3s finds it only for the snapshots that it makes by itself: this one is not in the object store`,
        fix: 'Move the etcd-s3 settings to server_config_yaml.',
      });
    }
  }
  return code;
}

async function ls(invocation: Invocation): Promise<ExitCode> {
  const { settings, console } = invocation;
  const opened = await openFleet(invocation, { needsCluster: true });
  const servers = await seenServers(invocation, opened);
  refuseWithoutEtcd(servers);
  const onDisk = servers.flatMap(({ host, snapshots }) =>
    (snapshots?.files ?? []).map((file) => ({
      ...file,
      on: host.name,
      location: `${snapshots?.folder}/${file.name}`,
    })),
  );
  const stored = (servers.find((server) => server.stored.length > 0)?.stored ?? []).map((file) => ({
    ...file,
    on: 's3',
  }));
  const all = [...onDisk, ...stored].sort((a, b) => a.at.getTime() - b.at.getTime());
  if (settings.output === 'json') {
    console.result(safeJson({ snapshots: all.map((one) => ({ ...one, at: one.at.toISOString() })) }, 2));
  } else if (all.length === 0) console.note('There is no snapshot yet. Save one: fleet snapshot save');
  else {
    console.result(
      columnText(
        ['NAME', 'ON', 'SIZE', 'SAVED', 'LOCATION'],
        all.map(({ name, on, sizeBytes, at, location }) => [
          name,
          on,
          formatBytes(sizeBytes),
          minute(at),
          location,
        ]),
        console.outPalette,
      ),
    );
  }
  return tellFailed(invocation, servers);
}

async function get(invocation: Invocation): Promise<ExitCode> {
  const opened = await openFleet(invocation, { needsCluster: true });
  const servers = await seenServers(invocation, opened);
  refuseWithoutEtcd(servers);
  return fetchSnapshot(invocation, opened, servers, nameFrom(invocation));
}

async function remove(invocation: Invocation): Promise<ExitCode> {
  const name = nameFrom(invocation);
  const opened = await openFleet(invocation, { needsCluster: true });
  const wanted = await singleStep(invocation, opened, {
    command: 'snapshot',
    name: 'Delete the snapshot',
    step: k3sSnapshotAbsentStep,
    args: { name },
    hosts: deletersOf(await seenServers(invocation, opened), name).map(({ host }) => host),
    become: true,
  });
  return invocation.settings.check
    ? drivePlan(invocation, wanted)
    : driveAsking(invocation, wanted, 'Delete it for good?');
}

async function restore(invocation: Invocation): Promise<ExitCode> {
  const opened: OpenedFleet = await openFleet(invocation, { needsCluster: true });
  return restoreSnapshot(invocation, opened, await seenServers(invocation, opened));
}

/** The settings of k3s that say when it saves by itself; they stand in the inventory, as those of every other flag. */
const scheduleDefaults = {
  'etcd-snapshot-schedule-cron': '0 */12 * * *',
  'etcd-snapshot-retention': '5',
} as const;

/** Flags of a command line are for all to read, in the unit and in /proc. */
const secretSettings = ['etcd-s3-access-key', 'etcd-s3-secret-key', 'etcd-s3-session-token'];

async function schedule(invocation: Invocation): Promise<ExitCode> {
  const { settings, console } = invocation;
  const opened = await openFleet(invocation, { needsCluster: true });
  const servers = await seenServers(invocation, opened);
  refuseWithoutEtcd(servers);
  const rows = servers.map(({ host, node, snapshots }) => {
    const disabled =
      k3sSetting(node, 'etcd-disable-snapshots') === 'true' ||
      node.extraArgs.includes('--etcd-disable-snapshots');
    const prefix = k3sSetting(node, 'etcd-snapshot-name') ?? 'etcd-snapshot';
    const scheduled = snapshots?.files.filter(({ name }) => name.startsWith(`${prefix}-`)) ?? [];
    return {
      host: host.name,
      cron: disabled
        ? undefined
        : (k3sSetting(node, 'etcd-snapshot-schedule-cron') ??
          scheduleDefaults['etcd-snapshot-schedule-cron']),
      keep: Number(
        k3sSetting(node, 'etcd-snapshot-retention') ?? scheduleDefaults['etcd-snapshot-retention'],
      ),
      folder: snapshots?.folder,
      objectStore: usesObjectStore(node)
        ? (k3sSetting(node, 'etcd-s3-bucket') ?? k3sSetting(node, 'etcd-s3-config-secret') ?? 'yes')
        : undefined,
      last: scheduled.at(-1)?.at.toISOString(),
      exposed: secretSettings.filter((name) =>
        node.extraArgs.some((arg) => arg === `--${name}` || arg.startsWith(`--${name}=`)),
      ),
    };
  });
  if (settings.output === 'json') console.result(safeJson({ servers: rows }, 2));
  else {
    console.result(
      columnText(
        ['HOST', 'SCHEDULE', 'KEEPS', 'LAST', 'OBJECT STORE', 'FOLDER'],
        rows.map((row): (string | Cell)[] => [
          row.host,
          row.cron ?? { text: 'switched off', paint: 'yellow' },
          String(row.keep),
          row.last === undefined ? '-' : minute(new Date(row.last)),
          row.objectStore ?? '-',
          row.folder ?? '-',
        ]),
        console.outPalette,
      ),
    );
    console.note(
      'Change it in server_config_yaml (etcd-snapshot-schedule-cron, etcd-snapshot-retention, etcd-s3 …), then run fleet up.',
    );
  }
  for (const { host, exposed } of rows) {
    if (exposed.length === 0) continue;
    console.warn({
      code: 'SECRET_IN_ARGUMENTS',
      message: `${exposed.join(', ')} of ${host} stand in extra_server_args, where everybody on the node can read them`,
      fix: 'Move them to server_config_yaml: fleet writes it to a file that only root can read.',
    });
  }
  return tellFailed(invocation, servers);
}

function nameFrom({ arguments: [, name] }: Invocation): string {
  if (name !== undefined) return name;
  throw new FleetError({
    code: 'MISSING_ARGUMENT',
    message: 'which snapshot is meant?',
    fix: 'Name it: fleet snapshot ls shows them all.',
    blame: 'usage',
  });
}

/** Who deletes a snapshot: the servers that have it on their disk, or, of one that only the object store has, who knows that. */
function deletersOf(servers: readonly SeenServer[], name: string): readonly SeenServer[] {
  const keepers = servers.filter(({ snapshots }) => snapshots?.files.some((file) => file.name === name));
  const witness = servers.find(
    ({ stored, node }) => commandsUseObjectStore(node) && stored.some((file) => file.name === name),
  );
  return keepers.length === 0 && witness !== undefined ? [witness] : holders(servers, name);
}

/** The servers that have a snapshot of this name on their disk. @throws FleetError SNAPSHOT_UNKNOWN */
export function holders(servers: readonly SeenServer[], name: string): readonly SeenServer[] {
  const found = servers.filter(
    ({ snapshots }) => snapshots?.files.some((file) => file.name === name) === true,
  );
  if (found.length > 0) return found;
  throw new FleetError({
    code: 'SNAPSHOT_UNKNOWN',
    message: `no server has a snapshot called ${JSON.stringify(name)}`,
    fix: 'See fleet snapshot ls.',
    blame: 'usage',
  });
}

function tellFailed({ console }: Invocation, servers: readonly SeenServer[]): ExitCode {
  const failed = servers.flatMap((server) => server.failed ?? []);
  if (failed.length > 0) console.errors(failed);
  return failed.length > 0 ? exit.failed : exit.ok;
}

/** `2026-11-21 00:30` in UTC. */
function minute(at: Date): string {
  return `${at.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
