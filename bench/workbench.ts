/** What every comparison needs: a folder of its own, the packed fleet, the tools, and nodes that count their CPU time. */
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { dockerClient, repositoryRoot } from '../test/fleet/docker.ts';
import { exclusively } from '../test/fleet/machine.ts';
import type { FakeFleet } from '../test/fleet/nodes.ts';
import { type CpuOf, groupCpuMs, groupOf, removeLeftGroups } from './measure.ts';
import { type PackedFleet, packFleet } from './packed-fleet.ts';
import { provideAnsible, Toolbox } from './tools.ts';

export interface Workbench {
  /** For inventories, playbooks and journals of this run; deleted at its end. */
  readonly folder: string;
  readonly packed: PackedFleet;
  readonly tools: Toolbox;
}

/** One at a time: two would measure each other. What a run that was killed left behind is removed first. */
export async function withWorkbench(work: (workbench: Workbench) => Promise<void>): Promise<void> {
  await provideAnsible();
  const folder = path.join(repositoryRoot, '.cache', 'bench');
  await exclusively(`${folder}.lock`, async () => {
    removeLeftGroups();
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    try {
      const packed = await packFleet(folder);
      await work({ folder, packed, tools: new Toolbox({ fleetEntry: packed.entry, folder }) });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
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
