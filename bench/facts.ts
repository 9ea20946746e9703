/** All that is to be known of each host: `fleet facts` beside `ansible -m setup`. Run alone: `tsx bench/facts.ts`. */
import { pathToFileURL } from 'node:url';
import { onManyHosts } from './many-hosts.ts';
import type { Reading } from './measure.ts';
import { type Tool, tools } from './tools.ts';
import { type Workbench, withWorkbench } from './workbench.ts';

/** Returns Markdown. */
export async function gatheringFacts(
  workbench: Workbench,
  options: { readonly counts: readonly number[]; readonly rounds: number },
): Promise<string> {
  return onManyHosts<Tool>({
    ...options,
    what: 'facts',
    title: 'Facts of many hosts',
    tools,
    command: (tool, run) => workbench.tools.facts(tool, run),
    mustHaveReached: mustHaveTold,
  });
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
