/**
 * Nothing that a test started may outlive it. A fleet is removed by its `stop()`, by a signal, at the end of the process, and, if the
 * process was killed, by the next one that starts a fleet: containers and networks carry the process that they belong to.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { dockerClient } from './docker.ts';

/** On everything that this folder starts: the name of the fleet. */
export const fleetLabel = 'fleet-test.fleet';
/** The process that a fleet belongs to; not on fleets that are to stay. */
const ownerLabel = 'fleet-test.owner';
/** On the nodes of `npm run nodes`: the folder that describes them. */
export const keptLabel = 'fleet-test.kept-by';

/** The machine and PID namespace whose process numbers we can judge. */
function habitat(): string {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return `${boot}/${readlinkSync('/proc/self/ns/pid')}`;
}

/** When a process started, in ticks since boot: a process number alone may have been given away again. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

/** The labels of what belongs to this process, or to the folder that keeps it. */
export function ownerLabels(fleet: string, keptBy: string | undefined): Record<string, string> {
  return keptBy === undefined
    ? { [fleetLabel]: fleet, [ownerLabel]: `${habitat()} ${process.pid} ${startTime(process.pid)}` }
    : { [fleetLabel]: fleet, [keptLabel]: keptBy };
}

function isOrphan(labels: Record<string, string>): boolean {
  const [where, pid, started] = (labels[ownerLabel] ?? '').split(' ');
  if (where !== habitat() || pid === undefined || started === undefined) return false;
  return startTime(Number(pid)) !== started;
}

/** Removes all containers and networks with this label; returns how many containers there were. */
export async function removeLabelled(label: string, value: string): Promise<number> {
  return await remove({ label: [`${label}=${value}`] }, () => true);
}

/** Removes what processes that are no more have left behind. */
export async function removeOrphans(): Promise<number> {
  return await remove({ label: [ownerLabel] }, isOrphan);
}

async function remove(
  filters: { label: string[] },
  belongs: (labels: Record<string, string>) => boolean,
): Promise<number> {
  const docker = (await dockerClient()).container.dockerode;
  const containers = (await docker.listContainers({ all: true, filters })).filter((each) =>
    belongs(each.Labels),
  );
  await Promise.all(
    containers.map((each) => docker.getContainer(each.Id).remove({ force: true, v: true }).catch(unlessGone)),
  );
  const networks = (await docker.listNetworks({ filters })).filter((each) => belongs(each.Labels ?? {}));
  await Promise.all(networks.map((each) => docker.getNetwork(each.Id).remove().catch(unlessGone)));
  return containers.length;
}

/** Another process may be removing the same thing: that it is gone is all we want. */
function unlessGone(error: unknown): void {
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
  if (status === 404 || status === 409) return;
  throw error;
}

const guarded = new Map<string, () => Promise<void>>();
let watching = false;

/** Sees to it that a fleet is stopped when this process is told to end, or ends. */
export function guard(fleet: string, stop: () => Promise<void>): void {
  guarded.set(fleet, stop);
  if (watching) return;
  watching = true;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      void Promise.allSettled([...guarded.values()].map((each) => each())).then(() =>
        process.kill(process.pid, signal),
      );
    });
  }
  process.on('exit', () => {
    for (const name of guarded.keys()) {
      const filter = ['--filter', `label=${fleetLabel}=${name}`];
      const ids = spawnSync('docker', ['ps', '-aq', ...filter], { encoding: 'utf8' }).stdout ?? '';
      if (ids.trim() !== '') spawnSync('docker', ['rm', '-fv', ...ids.trim().split('\n')]);
      const networks =
        spawnSync('docker', ['network', 'ls', '-q', ...filter], { encoding: 'utf8' }).stdout ?? '';
      if (networks.trim() !== '') spawnSync('docker', ['network', 'rm', ...networks.trim().split('\n')]);
    }
  });
}

/** The fleet is gone: nothing is left to see to. */
export function unguard(fleet: string): void {
  guarded.delete(fleet);
}
