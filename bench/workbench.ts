/** What every comparison needs: a folder of its own, the packed fleet, the tools, and nodes that count their CPU time. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { dockerClient } from '../test/fleet/docker.ts';
import type { FakeFleet } from '../test/fleet/nodes.ts';
import { type CpuOf, groupCpuMs, groupOf } from './measure.ts';
import { type PackedFleet, packFleet } from './packed-fleet.ts';
import { provideAnsible, Toolbox } from './tools.ts';

export interface Workbench extends AsyncDisposable {
  /** For inventories, playbooks and journals of this run; deleted at its end. */
  readonly folder: string;
  readonly packed: PackedFleet;
  readonly tools: Toolbox;
}

export async function openWorkbench(): Promise<Workbench> {
  await provideAnsible();
  const folder = await mkdtemp(path.join(tmpdir(), 'fleet-bench-'));
  const packed = await packFleet();
  return {
    folder,
    packed,
    tools: new Toolbox({ fleetEntry: packed.entry, folder }),
    [Symbol.asyncDispose]: async () => {
      await packed[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** CPU time of all nodes together. */
export async function cpuOfNodes(nodes: FakeFleet): Promise<CpuOf> {
  const docker = (await dockerClient()).container.dockerode;
  const groups = await Promise.all(
    nodes.nodes.map(async ({ containerId }) => {
      const { State } = await docker.getContainer(containerId).inspect();
      // systemd makes groups below the container's own, and is in one of them.
      const folder = groupOf(State.Pid);
      const at = folder.indexOf(containerId);
      return at < 0
        ? folder
        : folder.slice(0, folder.indexOf('/', at) < 0 ? undefined : folder.indexOf('/', at));
    }),
  );
  return { cpuMs: () => groups.reduce((sum, folder) => sum + groupCpuMs(folder), 0) };
}
