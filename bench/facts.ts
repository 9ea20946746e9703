/** All that is to be known of each host: `fleet facts` beside `ansible -m setup`. Run alone: `tsx bench/facts.ts`. */
import { pathToFileURL } from 'node:url';
import { digits, median, seconds, table, times } from './figures.ts';
import { measureQuietly, type Reading } from './measure.ts';
import { startNodesWithPython } from './nodes-with-python.ts';
import { turned } from './steps-on-one-host.ts';
import { type Tool, tools } from './tools.ts';
import { cpuOfNodes, type Workbench, withWorkbench } from './workbench.ts';

/** Returns Markdown. */
export async function gatheringFacts(
  workbench: Workbench,
  options: { readonly counts: readonly number[]; readonly rounds: number },
): Promise<string> {
  const nodes = await startNodesWithPython(Math.max(...options.counts));
  try {
    const cpu = await cpuOfNodes(nodes);
    const rows: string[][] = [];
    for (const count of options.counts) {
      process.stderr.write(`bench: facts of ${count} hosts\n`);
      const limit = nodes.nodes
        .slice(0, count)
        .map(({ name }) => name)
        .join(',');
      const readings = new Map<Tool, Reading[]>(tools.map((tool) => [tool, []]));
      for (let round = 0; round < options.rounds; round += 1) {
        for (const tool of turned(tools, round)) {
          const command = await workbench.tools.facts(tool, {
            inventory: nodes.inventoryPath,
            limit,
            forks: count,
          });
          const reading = await measureQuietly(command, { nodes: cpu });
          mustHaveTold(tool, reading, count);
          readings.get(tool)?.push(reading);
        }
      }
      const ours = median((readings.get('fleet') ?? []).map(({ wallMs }) => wallMs));
      for (const tool of tools) {
        const all = readings.get(tool) ?? [];
        const walls = all.map(({ wallMs }) => wallMs);
        const disturbed = Math.max(...all.map(({ foreignShare }) => foreignShare));
        rows.push([
          String(count),
          tool,
          seconds(walls),
          `${digits(median(walls) / count)} ms`,
          tool === 'fleet' ? '1' : times(median(walls) / ours),
          seconds(all.map(({ cpuMs }) => cpuMs)),
          `${digits(100 * disturbed)} %`,
        ]);
      }
    }
    const head = ['hosts', '', 'wall', 'per host', 'times fleet', 'control CPU', 'others on the machine'];
    return `\n### Facts of many hosts\n\n${table(head, rows)}`;
  } finally {
    await nodes.stop();
  }
}

/** @throws Error where not every host has told its distribution */
function mustHaveTold(tool: Tool, { stdout, stderr }: Reading, count: number): void {
  const told =
    tool === 'fleet'
      ? Object.values(JSON.parse(stdout) as Record<string, { distribution?: string }>).filter(
          ({ distribution }) => distribution === 'Debian',
        ).length
      : [...stdout.matchAll(/"ansible_distribution": "Debian"/g)].length;
  if (told !== count) throw new Error(`${tool} knows ${told} of ${count} hosts:\n${stdout}${stderr}`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await withWorkbench(async (workbench) => {
    process.stdout.write(await gatheringFacts(workbench, { counts: [1, 10, 50], rounds: 5 }));
  });
}
