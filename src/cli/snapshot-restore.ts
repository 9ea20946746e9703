import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { FleetError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import { tokenAt } from '../facts/k3s-old-tokens.ts';
import { objectStoreOf } from '../k3s/object-store.ts';
import { nearest } from '../playbook/nearest.ts';
import { k3sSetting, usesObjectStore } from '../steps/k3s-snapshot-folder.ts';
import { nameList, oneLine } from '../ui/wording.ts';
import { clusterRun } from './cluster-run.ts';
import { refuseWithoutEtcd, type SeenServer, seenServers } from './cluster-servers.ts';
import type { Invocation } from './command.ts';
import { confirmCluster } from './confirm-cluster.ts';
import { driveApply, drivePlan } from './drive.ts';
import { type ExitCode, exit } from './exit-codes.ts';
import type { OpenedFleet } from './open-fleet.ts';
import { openToken, tokenSuffix } from './sealed-token.ts';

/** What is restored, and where. */
export interface RestoreWanted {
  readonly target: SeenServer;
  readonly snapshot: string;
  /** A file of the control node. */
  readonly file: string | undefined;
  readonly stored: boolean;
  readonly stamp: string;
  /** Whether an earlier run began it. */
  readonly goesOn: boolean;
}

/** Sets the whole cluster back to a snapshot, or takes a failed restore back. */
export async function restoreSnapshot(
  invocation: Invocation,
  opened: OpenedFleet,
  seen: readonly SeenServer[],
): Promise<ExitCode> {
  const { settings, flags, console } = invocation;
  if (settings.limit !== undefined) {
    throw usage(
      'LIMIT_MEANINGLESS',
      'a restore is about the whole cluster',
      'Leave out --limit; name machines that are gone for good with --gone.',
    );
  }
  const gone = flags.list('gone');
  const servers = presentServers(opened, seen, gone);
  refuseWithoutEtcd(servers);
  const remaining = withoutHosts(opened, gone);
  if (flags.has('back')) return goBack(invocation, remaining, servers);
  const wanted = wantedRestore(invocation.arguments[1], flags.has('s3'), servers, new Date());
  if (wanted.stored) refuseWithoutObjectStore(wanted.target);
  const token = await tokenFor(invocation, wanted);
  if (token !== undefined) console.redactor.add(token);
  const restore = await clusterRun(
    invocation,
    {
      command: 'snapshot',
      playbook: 'restore',
      vars: {
        restore_target: wanted.target.host.name,
        restore_snapshot: wanted.snapshot,
        ...(wanted.file === undefined ? {} : { restore_file: wanted.file }),
        restore_stored: wanted.stored,
        restore_stamp: wanted.stamp,
        restore_goes_on: wanted.goesOn,
        restore_gone: gone,
        ...(token === undefined ? {} : { restore_token: token }),
      },
    },
    remaining,
  );
  const run = { ...restore, mayBeDown: gone };
  if (settings.check) return drivePlan(invocation, run);
  await confirmCluster(
    invocation,
    run.clusterName,
    'fleet snapshot restore sets a whole cluster back',
    `This stops the servers and sets the cluster back to ${oneLine(wanted.snapshot)} on ${wanted.target.host.name}: what changed since then is undone. The databases of now are kept.`,
  );
  const code = await driveApply(invocation, run);
  if (code === exit.ok && settings.output === 'text') await tellKept(invocation, opened, gone);
  return code;
}

/** The servers that take part. @throws FleetError for one that does not answer and was not said to be gone */
function presentServers(
  opened: OpenedFleet,
  seen: readonly SeenServer[],
  gone: readonly string[],
): readonly SeenServer[] {
  const names = opened.cluster().nodes.map(({ name }) => name);
  const unknown = gone.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw usage('HOST_UNKNOWN', `${unknown} is no host of the cluster`, 'See fleet inventory --graph.');
  }
  const servers = seen.filter(({ host }) => !gone.includes(host.name));
  const silent = servers.filter(({ failed }) => failed !== undefined);
  if (silent.length > 0) {
    throw new FleetError({
      code: 'SERVERS_SILENT',
      message: `${nameList(silent.map(({ host }) => host.name))} cannot be asked (${silent[0]?.failed?.message}): a server that still runs would go on with the old database beside the restored one`,
      fix: `Bring the machines back; or, if they are off and gone for good: ${silent.map(({ host }) => `--gone ${host.name}`).join(' ')}`,
    });
  }
  const answering = gone.find((name) =>
    seen.some(({ host, failed }) => host.name === name && failed === undefined),
  );
  if (answering !== undefined) {
    throw usage(
      'HOST_ALIVE',
      `${answering} answers, so it is not gone`,
      `Leave out --gone ${answering}: it takes part in the restore.`,
    );
  }
  if (servers.length === 0)
    throw usage(
      'NO_SERVER',
      'no server is left to restore on',
      'Put a new machine into the server group and run fleet up.',
    );
  return servers;
}

/** The inventory without machines that are gone. */
function withoutHosts(opened: OpenedFleet, gone: readonly string[]): OpenedFleet {
  if (gone.length === 0) return opened;
  const stays = ({ name }: { readonly name: string }): boolean => !gone.includes(name);
  return {
    ...opened,
    hostsOf: (pattern) => opened.hostsOf(pattern).filter(stays),
    cluster: () => {
      const cluster = opened.cluster();
      return {
        ...cluster,
        servers: cluster.servers.filter(stays),
        agents: cluster.agents.filter(stays),
        nodes: cluster.nodes.filter(stays),
      };
    },
  };
}

/**
 * Which snapshot, on which server. A restore of the same one that was broken off goes on, where it began and under its
 * old stamp.
 * @throws FleetError SNAPSHOT_UNKNOWN
 */
export function wantedRestore(
  given: string | undefined,
  stored: boolean,
  servers: readonly SeenServer[],
  now: Date,
): RestoreWanted {
  if (given === undefined) {
    throw usage(
      'MISSING_ARGUMENT',
      'which snapshot is to be restored?',
      'Name it, or a file: fleet snapshot ls shows those on the servers.',
    );
  }
  const file = !stored && existsSync(given) ? resolve(given) : undefined;
  const snapshot = file === undefined ? given : basename(file);
  const candidates =
    file === undefined && !stored
      ? servers.filter(({ snapshots }) => snapshots?.files.some(({ name }) => name === snapshot) === true)
      : servers.filter(({ there }) => there?.args !== undefined);
  const begun = servers.find(({ restore }) => restore?.pending?.snapshot === snapshot);
  const target = begun ?? candidates[0];
  if (target === undefined) {
    const names = servers.flatMap(({ snapshots }) => snapshots?.files.map(({ name }) => name) ?? []);
    const near = nearest(snapshot, names);
    throw usage(
      'SNAPSHOT_UNKNOWN',
      file === undefined
        ? `${JSON.stringify(given)} is no file here, and no server has a snapshot of that name`
        : 'no server has k3s installed to restore it on',
      file === undefined
        ? near === undefined
          ? 'See fleet snapshot ls.'
          : `Did you mean ${near}? See fleet snapshot ls.`
        : 'Install it: fleet up.',
    );
  }
  const stamp = begun?.restore?.pending?.stamp ?? stampOf(now);
  return { target, snapshot, file, stored, stamp, goesOn: begun !== undefined };
}

/** While a restore runs no API is there to tell a Secret. @throws FleetError OBJECT_STORE_UNKNOWN */
function refuseWithoutObjectStore({ node, host }: SeenServer): void {
  const store = usesObjectStore(node)
    ? objectStoreOf((name) => k3sSetting(node, name))
    : { because: 'etcd-s3 is not set' };
  if (!('because' in store)) return;
  throw usage(
    'OBJECT_STORE_UNKNOWN',
    `${host.name} cannot restore from an object store: ${store.because}`,
    'Put etcd-s3: true, etcd-s3-endpoint, etcd-s3-bucket and the keys into server_config_yaml for the restore and run fleet up; or fetch the snapshot with the tools of the object store and restore the file.',
  );
}

/** `20261121-003000`, in UTC. */
function stampOf(now: Date): string {
  return now.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
}

/** The token that opens the snapshot, where it is not the one that the cluster has. */
async function tokenFor(invocation: Invocation, wanted: RestoreWanted): Promise<Secret | undefined> {
  const named = invocation.flags.text('token');
  if (named !== undefined) return openToken(named, invocation);
  if (wanted.file !== undefined) {
    const beside = `${wanted.file}${tokenSuffix}`;
    return existsSync(beside) ? openToken(beside, invocation) : undefined;
  }
  const { snapshots, stored } = wanted.target;
  const file = (wanted.stored ? stored : snapshots?.files)?.find(({ name }) => name === wanted.snapshot);
  return file === undefined ? undefined : tokenAt(wanted.target.oldTokens, file.at);
}

/** Takes a restore back that failed before anything was set back. */
async function goBack(
  invocation: Invocation,
  opened: OpenedFleet,
  servers: readonly SeenServer[],
): Promise<ExitCode> {
  const pending = servers.flatMap(({ restore }) => restore?.pending ?? [])[0];
  if (pending === undefined || pending.phase === 'reset') {
    throw new FleetError({
      code: 'NOTHING_TO_TAKE_BACK',
      message:
        pending === undefined
          ? 'no restore was broken off'
          : `${pending.snapshot} is restored already, and only the other servers are missing`,
      fix:
        pending === undefined
          ? 'To go back behind a restore that is over, restore the snapshot before-restore-… (fleet snapshot ls).'
          : `Finish it first: fleet snapshot restore ${pending.snapshot}`,
    });
  }
  const run = await clusterRun(
    invocation,
    { command: 'snapshot', playbook: 'restore-back', vars: { restore_stamp: pending.stamp } },
    opened,
  );
  if (invocation.settings.check) return drivePlan(invocation, run);
  await confirmCluster(
    invocation,
    run.clusterName,
    'fleet snapshot restore --back starts the cluster as it was',
    `This puts the databases back that were moved aside for ${oneLine(pending.snapshot)}.`,
  );
  return driveApply(invocation, run);
}

async function tellKept(invocation: Invocation, opened: OpenedFleet, gone: readonly string[]): Promise<void> {
  const { console } = invocation;
  const servers = (await seenServers(invocation, opened)).filter(({ failed }) => failed === undefined);
  const kept = servers.flatMap(({ host, restore }) =>
    (restore?.keptFolders ?? []).map((folder) => `  ${host.name}: ${folder}`),
  );
  const before = servers
    .flatMap(({ snapshots }) => snapshots?.files ?? [])
    .findLast(({ name }) => name.startsWith('before-restore-'));
  if (kept.length > 0)
    console.note(`The databases from before are kept until you delete them:\n${kept.join('\n')}`);
  if (before !== undefined) console.note(`To go back: fleet snapshot restore ${before.name}`);
  if (gone.length > 0) {
    console.note(
      `Take ${nameList(gone, 12)} out of the inventory, or put new machines in their place; then run fleet up.`,
    );
  }
}

function usage(code: string, message: string, fix: string): FleetError {
  return new FleetError({ code, message, fix, blame: 'usage' });
}
