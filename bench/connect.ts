/** One small command on many hosts: what connecting costs. Run alone: `tsx bench/connect.ts`. */
import { pathToFileURL } from 'node:url';
import { digits, median, seconds, table, times } from './figures.ts';
import { measureQuietly, type Reading } from './measure.ts';
import { startNodesWithPython } from './nodes-with-python.ts';
import { turned } from './steps-on-one-host.ts';
import { outcomeOf } from './tools.ts';
import { cpuOfNodes, type Workbench, withWorkbench } from './workbench.ts';

const contenders = ['fleet', 'ansible-raw', 'mitogen', 'ansible'] as const;
type Contender = (typeof contenders)[number];

/** Returns Markdown. */
export async function connecting(
  workbench: Workbench,
  options: { readonly counts: readonly number[]; readonly rounds: number },
): Promise<string> {
  const nodes = await startNodesWithPython(Math.max(...options.counts));
  try {
    const cpu = await cpuOfNodes(nodes);
    const rows: string[][] = [];
    for (const count of options.counts) {
      process.stderr.write(`bench: one command on ${count} hosts\n`);
      const limit = nodes.nodes
        .slice(0, count)
        .map(({ name }) => name)
        .join(',');
      const readings = new Map<Contender, Reading[]>(contenders.map((tool) => [tool, []]));
      for (let round = 0; round < options.rounds; round += 1) {
        for (const tool of turned(contenders, round)) {
          const command = await workbench.tools.adhoc(tool, {
            inventory: nodes.inventoryPath,
            command: '/bin/true',
            limit,
            forks: count,
          });
          const reading = await measureQuietly(command, { nodes: cpu });
          mustHaveReached(tool, reading, count);
          readings.get(tool)?.push(reading);
        }
      }
      const ours = median((readings.get('fleet') ?? []).map(({ wallMs }) => wallMs));
      for (const tool of contenders) {
        const all = readings.get(tool) ?? [];
        const walls = all.map(({ wallMs }) => wallMs);
        const disturbed = Math.max(...all.map(({ foreignShare }) => foreignShare));
        rows.push([
          String(count),
          tool,
          seconds(walls),
          tool === 'fleet' ? '1' : times(median(walls) / ours),
          seconds(all.map(({ cpuMs }) => cpuMs)),
          `${digits(100 * disturbed)} %`,
        ]);
      }
    }
    const head = ['hosts', '', 'wall', 'times fleet', 'control CPU', 'others on the machine'];
    return `\n### One command on many hosts\n\n${table(head, rows)}`;
  } finally {
    await nodes.stop();
  }
}

function mustHaveReached(tool: Contender, reading: Reading, count: number): void {
  const reached =
    tool === 'fleet'
      ? outcomeOf('fleet', reading).hosts
      : [...reading.stdout.matchAll(/\| CHANGED \| rc=0/g)].length;
  if (reached !== count) {
    throw new Error(`${tool} reached ${reached} of ${count} hosts:\n${reading.stdout}${reading.stderr}`);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await withWorkbench(async (workbench) => {
    process.stdout.write(await connecting(workbench, { counts: [1, 10, 50], rounds: 5 }));
  });
}
