import { posix } from 'node:path';
import { FleetError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { type ShellScript, sh } from '../core/shell.ts';
import { type S3Secret, s3Secret } from '../facts/k3s-s3-secret.ts';
import type { StoredSnapshot } from '../facts/k3s-snapshots.ts';
import { type ObjectStore, objectStoreOf, presignedUrl, settingsSecretOf } from '../k3s/object-store.ts';
import { k3sSetting } from '../steps/k3s-snapshot-folder.ts';
import { accessTo } from './access.ts';
import { askHosts, asRoot } from './ask-hosts.ts';
import type { SeenServer } from './cluster-servers.ts';
import type { Invocation } from './command.ts';
import { holders } from './commands/snapshot.ts';
import type { OpenedFleet } from './open-fleet.ts';

/** What a snapshot is read from, on a server. */
export interface SnapshotSource {
  /** For a person. */
  readonly what: string;
  /** Writes it to its output. */
  readonly read: ShellScript;
  /** Tells its sha256, where that can be told without it. */
  readonly sum: ShellScript | undefined;
  /** How many bytes it has; 0 where that is not known. */
  readonly sizeBytes: number;
}

/** How long the address of an object is good for: it is used at once. */
const presignedS = 600;

/**
 * A server's disk before the object store: what is there needs no other machine.
 * @throws FleetError SNAPSHOT_UNKNOWN or OBJECT_STORE_UNKNOWN
 */
export async function sourceOf(
  invocation: Invocation,
  opened: OpenedFleet,
  servers: readonly SeenServer[],
  name: string,
): Promise<{ readonly holder: SeenServer; readonly at: Date; readonly from: SnapshotSource }> {
  const keeper = servers.find((server) => server.stored.some((one) => one.name === name));
  const isOnDisk = servers.some(({ snapshots }) => snapshots?.files.some((file) => file.name === name));
  const stored = keeper?.stored.find((one) => one.name === name);
  if (keeper !== undefined && stored !== undefined && !isOnDisk) {
    const store = await storeOf(invocation, opened, keeper, stored);
    return { holder: keeper, at: stored.at, from: storedSource(store, stored) };
  }
  const [holder] = holders(servers, name);
  const file = holder?.snapshots?.files.find((one) => one.name === name);
  if (holder?.snapshots === undefined || file === undefined)
    throw new RangeError(`${name} has a holder and none`);
  const path = posix.join(holder.snapshots.folder, name);
  const from = {
    what: path,
    read: sh`cat -- ${path}`,
    sum: sh`sha256sum -- ${path}`,
    sizeBytes: file.sizeBytes,
  };
  return { holder, at: file.at, from };
}

/** As the inventory has it, or the Secret that it names. @throws FleetError OBJECT_STORE_UNKNOWN */
async function storeOf(
  invocation: Invocation,
  opened: OpenedFleet,
  { host, node }: SeenServer,
  { location }: StoredSnapshot,
): Promise<ObjectStore> {
  const inInventory = (name: string): string | undefined => k3sSetting(node, name);
  const secret = settingsSecretOf(inInventory);
  let settings = inInventory;
  if (secret !== undefined) {
    const fact = s3Secret(secret);
    const [answer] = await askHosts(
      await accessTo(opened, invocation),
      new Map([[host.name, [fact]]]),
      asRoot,
    );
    const found: S3Secret = answer?.of(fact) ?? new Map();
    settings = (name) => found.get(name)?.reveal();
  }
  const store = objectStoreOf(settings);
  const isFile =
    !('because' in store) && (store.endpointCa === undefined || store.endpointCa.startsWith('/'));
  if ('because' in store || !isFile) {
    throw new FleetError({
      code: 'OBJECT_STORE_UNKNOWN',
      message: `${location} is in the object store alone, and fleet cannot fetch it: ${'because' in store ? store.because : 'etcd-s3-endpoint-ca is no file on the server'}`,
      fix: 'Fetch it with the tools of the object store.',
    });
  }
  invocation.console.redactor.add(new Secret(store.secretKey));
  return store;
}

/**
 * A server fetches it, by an address that is good for minutes: it reaches the object store, for it has written there, and
 * no key leaves this machine. The address stands in no argument.
 */
function storedSource(store: ObjectStore, { name, location, sizeBytes }: StoredSnapshot): SnapshotSource {
  const url = presignedUrl(store, name, new Date(), presignedS);
  const options = [
    `url = "${url}"`,
    ...(store.endpointCa === undefined ? [] : [`cacert = "${store.endpointCa}"`]),
    ...(store.proxy === undefined ? [] : [`proxy = "${store.proxy}"`]),
    ...(store.skipVerify ? ['insecure'] : []),
  ].join('\n');
  const trust = [
    ...(store.endpointCa === undefined ? [] : [`--ca-certificate=${store.endpointCa}`]),
    ...(store.skipVerify ? ['--no-check-certificate'] : []),
  ];
  return {
    what: location,
    sizeBytes,
    sum: undefined,
    read: sh`if command -v curl > /dev/null; then printf '%s\n' ${options} | curl -sSf -K -
elif command -v wget > /dev/null; then printf '%s\n' ${url} | wget -q ${trust} -i - -O -
else echo 'neither curl nor wget is there' >&2; exit 1; fi`,
  };
}
