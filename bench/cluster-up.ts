/** A first run and a run with nothing to do, on one server and its agents. */
import path from 'node:path';
import { airgapFolder, defaultK3sVersion, k3sArtifacts } from '../test/fleet/k3s-artifacts.ts';
import type { FakeFleet } from '../test/fleet/nodes.ts';
import { type Command, measure, measureQuietly, type Reading, untilQuiet } from './measure.ts';
import { startNodesWithPython } from './nodes-with-python.ts';
import { comparison, turned } from './steps-on-one-host.ts';
import { outcomeOf, type Tool, tools } from './tools.ts';
import { cpuOfNodes, type Workbench } from './workbench.ts';

const site = path.join(import.meta.dirname, 'ansible', 'site.yml');

/** Returns Markdown. */
export async function clusterUp(
  workbench: Workbench,
  options: { readonly count: number; readonly firstRounds: number; readonly noOpRounds: number },
): Promise<string> {
  const { count } = options;
  const airgap = await airgapFolder(await k3sArtifacts(), defaultK3sVersion);
  const bench = new ClusterBench(workbench, count, airgap);
  const first = new Map<Tool, Reading[]>(tools.map((tool) => [tool, []]));
  const firstMemory = new Map<Tool, Reading>();
  for (let round = 0; round < options.firstRounds; round += 1) {
    for (const tool of turned(tools, round)) {
      first.get(tool)?.push(await bench.firstUp(tool, { sampleMemory: false }));
    }
  }
  for (const tool of tools) firstMemory.set(tool, await bench.firstUp(tool, { sampleMemory: true }));
  const noOp = await bench.noOps(options.noOpRounds);
  return [
    `\n### First run on ${count} fresh nodes (1 server, ${count - 1} agents)\n\n`,
    comparison(first, firstMemory),
    `\n### Run with nothing to change on ${count} nodes\n\n`,
    comparison(noOp.readings, noOp.memory),
  ].join('');
}

class ClusterBench {
  constructor(
    private readonly workbench: Workbench,
    private readonly count: number,
    private readonly airgap: string,
  ) {}

  /** On nodes that have just booted; they are gone afterwards. */
  async firstUp(tool: Tool, options: { readonly sampleMemory: boolean }): Promise<Reading> {
    process.stderr.write(`bench: ${tool}, first run on ${this.count} nodes\n`);
    const nodes = await this.#fresh();
    try {
      const cpu = await cpuOfNodes(nodes);
      await untilQuiet(cpu);
      const reading = await measure(await this.#up(tool, nodes, options.sampleMemory), {
        nodes: cpu,
        ...options,
      });
      const outcome = outcomeOf(tool, reading);
      if (outcome.changed < this.count) throw new Error(`${tool} changed ${outcome.changed} things only`);
      await this.#mustBeDone(tool, nodes);
      return reading;
    } finally {
      await nodes.stop();
    }
  }

  /** What one tool has set up, the other must find done: then both do the same. */
  async #mustBeDone(by: Tool, nodes: FakeFleet): Promise<void> {
    const judge: Tool = by === 'fleet' ? 'ansible' : 'fleet';
    // The kubeconfig here is of each tool's own, and fleet alone keeps on every node what runs well there: no more may be left.
    const own = judge === 'fleet' ? this.count + 1 : 1;
    const { changed } = outcomeOf(judge, await measure(await this.#up(judge, nodes)));
    if (changed > own) throw new Error(`${judge} finds ${changed} things to change after ${by}`);
  }

  async noOps(rounds: number): Promise<{
    readonly readings: Map<Tool, Reading[]>;
    readonly memory: Map<Tool, Reading>;
  }> {
    process.stderr.write(`bench: nothing to change on ${this.count} nodes\n`);
    const nodes = await this.#fresh();
    try {
      const cpu = await cpuOfNodes(nodes);
      for (const tool of tools) outcomeOf(tool, await measure(await this.#up(tool, nodes)));
      const readings = new Map<Tool, Reading[]>(tools.map((tool) => [tool, []]));
      const memory = new Map<Tool, Reading>();
      for (let round = 0; round < rounds; round += 1) {
        for (const tool of turned(tools, round)) {
          const reading = await measureQuietly(await this.#up(tool, nodes), { nodes: cpu });
          const { changed } = outcomeOf(tool, reading);
          if (changed > 0)
            throw new Error(`${tool} changed ${changed} things in a run with nothing to change`);
          readings.get(tool)?.push(reading);
        }
      }
      for (const tool of tools) {
        memory.set(
          tool,
          await measure(await this.#up(tool, nodes, true), { nodes: cpu, sampleMemory: true }),
        );
      }
      return { readings, memory };
    } finally {
      await nodes.stop();
    }
  }

  async #fresh(): Promise<FakeFleet> {
    return await startNodesWithPython(this.count, { airgap_dir: this.airgap });
  }

  async #up(tool: Tool, nodes: FakeFleet, countsTrips = false): Promise<Command> {
    const kubeconfig = path.join(nodes.directory, `kubeconfig-${tool}`);
    await nodes.writeInventory({ kubeconfig });
    return await this.workbench.tools.playbook(tool, {
      inventory: nodes.inventoryPath,
      playbook: site,
      forks: this.count,
      fleetCommand: ['up', '--yes'],
      extraVars: { bench_kubeconfig: kubeconfig },
      countsTrips,
    });
  }
}
