/** One small command on many hosts: what connecting costs. Run alone: `tsx bench/connect.ts`. */
import { pathToFileURL } from 'node:url';
import { onManyHosts } from './many-hosts.ts';
import type { Reading } from './measure.ts';
import { outcomeOf } from './tools.ts';
import { type Workbench, withWorkbench } from './workbench.ts';

const contenders = ['fleet', 'ansible-raw', 'mitogen', 'ansible'] as const;
type Contender = (typeof contenders)[number];

/** Returns Markdown. */
export async function connecting(
  workbench: Workbench,
  options: { readonly counts: readonly number[]; readonly rounds: number },
): Promise<string> {
  return onManyHosts<Contender>({
    ...options,
    what: 'one command',
    title: 'One command on many hosts',
    tools: contenders,
    command: (tool, run) => workbench.tools.adhoc(tool, { ...run, command: '/bin/true' }),
    mustHaveReached,
  });
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
