/** One short command of each tool on one, ten, fifty hosts: the tools take turns on the same nodes. */
import type { FakeFleet } from '../test/fleet/nodes.ts';
import { digits, median, seconds, table, times } from './figures.ts';
import { type Command, measureQuietly, type Reading } from './measure.ts';
import { startNodesWithPython } from './nodes-with-python.ts';
import { turned } from './steps-on-one-host.ts';
import { cpuOfNodes } from './workbench.ts';

/** What is compared, and how it is seen that a tool has done it on every host. */
export interface ManyHosts<Tool extends string> {
  /** For the person who waits: `facts`. */
  readonly what: string;
  readonly title: string;
  readonly counts: readonly number[];
  readonly rounds: number;
  /** fleet among them. */
  readonly tools: readonly Tool[];
  readonly command: (
    tool: Tool,
    run: { readonly inventory: string; readonly limit: string; readonly forks: number },
  ) => Promise<Command>;
  /** @throws Error where not every host was reached */
  readonly mustHaveReached: (tool: Tool, reading: Reading, count: number) => void;
}

/** Returns Markdown. */
export async function onManyHosts<Tool extends string>(comparison: ManyHosts<Tool>): Promise<string> {
  const nodes = await startNodesWithPython(Math.max(...comparison.counts));
  try {
    const rows: string[][] = [];
    for (const count of comparison.counts) {
      process.stderr.write(`bench: ${comparison.what} on ${count} hosts\n`);
      rows.push(...rowsOf(count, comparison.tools, await readingsOf(comparison, nodes, count)));
    }
    const head = ['hosts', '', 'wall', 'per host', 'times fleet', 'control CPU', 'others on the machine'];
    return `\n### ${comparison.title}\n\n${table(head, rows)}`;
  } finally {
    await nodes.stop();
  }
}

async function readingsOf<Tool extends string>(
  { tools, rounds, command, mustHaveReached }: ManyHosts<Tool>,
  nodes: FakeFleet,
  count: number,
): Promise<ReadonlyMap<string, readonly Reading[]>> {
  const cpu = await cpuOfNodes(nodes);
  const names = nodes.nodes.slice(0, count).map(({ name }) => name);
  const run = { inventory: nodes.inventoryPath, limit: names.join(','), forks: count };
  const readings = new Map<string, Reading[]>(tools.map((tool) => [tool, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const tool of turned(tools, round)) {
      const reading = await measureQuietly(await command(tool, run), { nodes: cpu });
      mustHaveReached(tool, reading, count);
      readings.get(tool)?.push(reading);
    }
  }
  return readings;
}

function rowsOf(
  count: number,
  tools: readonly string[],
  readings: ReadonlyMap<string, readonly Reading[]>,
): readonly string[][] {
  const wallsOf = (tool: string) => (readings.get(tool) ?? []).map(({ wallMs }) => wallMs);
  const ours = median(wallsOf('fleet'));
  return tools.map((tool) => {
    const all = readings.get(tool) ?? [];
    const wall = median(wallsOf(tool));
    return [
      String(count),
      tool,
      seconds(wallsOf(tool)),
      `${digits(wall / count)} ms`,
      tool === 'fleet' ? '1' : times(wall / ours),
      seconds(all.map(({ cpuMs }) => cpuMs)),
      `${digits(100 * Math.max(...all.map(({ foreignShare }) => foreignShare)))} %`,
    ];
  });
}
