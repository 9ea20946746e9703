import { FleetError } from '../core/errors.ts';
import type { Fact } from '../engine/fact.ts';
import { type CaRotation, caRotation } from '../facts/k3s-ca-rotation.ts';
import { type Installation, installation } from '../facts/k3s-installation.ts';
import { apiReady } from '../facts/k3s-nodes.ts';
import { type OldToken, oldTokens } from '../facts/k3s-old-tokens.ts';
import { type RestoreState, restoreState } from '../facts/k3s-restore-state.ts';
import { type ServerData, serverData } from '../facts/k3s-server-data.ts';
import {
  type SnapshotFolder,
  type StoredSnapshot,
  snapshotFolder,
  storedSnapshots,
} from '../facts/k3s-snapshots.ts';
import { type TokenRotation, tokenRotation } from '../facts/k3s-token-rotation.ts';
import type { Host } from '../inventory/fleet.ts';
import { type K3sNodeView, k3sNode } from '../steps/k3s-node.ts';
import { noSnapshots } from '../steps/k3s-snapshot.ts';
import { snapshotFolderOf } from '../steps/k3s-snapshot-folder.ts';
import { accessTo } from './access.ts';
import { askHosts, asRoot } from './ask-hosts.ts';
import type { Invocation } from './command.ts';
import { type OpenedFleet, viewOf } from './open-fleet.ts';

/** A server as the commands about snapshots and tokens see it. */
export interface SeenServer {
  readonly host: Host;
  readonly node: K3sNodeView;
  /** Why it could not be asked; then the rest is missing. */
  readonly failed: FleetError | undefined;
  readonly data: ServerData | undefined;
  readonly there: Installation | undefined;
  readonly api: true | string | undefined;
  readonly snapshots: SnapshotFolder | undefined;
  readonly stored: readonly StoredSnapshot[];
  readonly oldTokens: readonly OldToken[];
  readonly restore: RestoreState | undefined;
  readonly rotation: TokenRotation | undefined;
  readonly caRotation: CaRotation | undefined;
}

/** Asks the cluster's servers, all at once, in inventory order. */
export async function seenServers(
  invocation: Invocation,
  opened: OpenedFleet,
): Promise<readonly SeenServer[]> {
  const servers = opened
    .cluster()
    .servers.map((host) => ({ host, node: k3sNode(viewOf(host, opened.fleet)) }));
  const answers = await askHosts(
    await accessTo(opened, invocation),
    new Map(servers.map(({ host, node }) => [host.name, Object.values(questionsTo(node))])),
    asRoot,
  );
  return servers.map(({ host, node }): SeenServer => {
    const answer = answers.find((one) => one.host === host.name);
    const asked = questionsTo(node);
    const of = <Value>(fact: Fact<Value>): Value | undefined => answer?.of(fact);
    return {
      host,
      node,
      failed: answer?.failed,
      data: of(asked.data),
      there: of(asked.there),
      api: of(asked.api),
      snapshots: of(asked.snapshots),
      stored: of(asked.stored) ?? [],
      oldTokens: of(asked.oldTokens) ?? [],
      restore: of(asked.restore),
      rotation: of(asked.rotation),
      caRotation: of(asked.caRotation),
    };
  });
}

function questionsTo(node: K3sNodeView) {
  const { role, settings } = node;
  const folder = settings.k3sServerLocation;
  return {
    data: serverData(folder),
    there: installation(role, settings.systemdDir),
    api: apiReady,
    snapshots: snapshotFolder(snapshotFolderOf(node)),
    stored: storedSnapshots,
    oldTokens: oldTokens(folder),
    restore: restoreState(folder),
    rotation: tokenRotation(folder),
    caRotation: caRotation(folder),
  };
}

/** @throws FleetError NO_SNAPSHOTS where the cluster is on a datastore that k3s makes none of */
export function refuseWithoutEtcd(servers: readonly SeenServer[]): void {
  const known = servers.find(({ data }) => data !== undefined && data.datastore !== 'none')?.data;
  const external = servers.some(({ node }) => node.externalDatastore);
  const hindrance = external
    ? noSnapshots('external')
    : known === undefined
      ? undefined
      : noSnapshots(known.datastore);
  if (hindrance === undefined) return;
  throw new FleetError({ code: 'NO_SNAPSHOTS', message: hindrance.because, fix: hindrance.fix });
}

/** The first server that can speak for the cluster. @throws FleetError NO_CLUSTER or NO_SERVER_ANSWERS */
export function speaker(servers: readonly SeenServer[]): SeenServer {
  const found = servers.find(({ api }) => api === true);
  if (found !== undefined) return found;
  if (servers.every(({ failed, data }) => failed === undefined && data?.datastore === 'none')) {
    throw new FleetError({
      code: 'NO_CLUSTER',
      message: 'no server has a cluster yet',
      fix: 'Bring the servers up first: fleet up.',
    });
  }
  const [first] = servers.flatMap(({ failed, host, api }) =>
    failed === undefined ? [`${host.name}: ${api ?? 'no answer'}`] : [failed.message],
  );
  throw new FleetError({
    code: 'NO_SERVER_ANSWERS',
    message: `no server's API is ready${first === undefined ? '' : ` (${first})`}`,
    fix: 'Bring the servers up first: fleet start. Where the quorum is gone for good: fleet snapshot restore.',
  });
}
