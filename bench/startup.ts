/** How long a command takes that does nothing: what starting costs. */
import { spawnSync } from 'node:child_process';
import { digits, median, table } from './figures.ts';
import { untilQuiet } from './measure.ts';
import { turned } from './steps-on-one-host.ts';
import type { Workbench } from './workbench.ts';

/** Returns Markdown. */
export async function startup(workbench: Workbench, options: { readonly rounds: number }): Promise<string> {
  process.stderr.write('bench: starting\n');
  const commands: Readonly<Record<string, readonly [string, ...string[]]>> = {
    'node -e 0': ['node', '-e', '0'],
    'fleet --version': ['node', workbench.packed.entry, '--version'],
    'fleet help': ['node', workbench.packed.entry, 'help'],
    'ansible --version': ['ansible', '--version'],
  };
  const names = Object.keys(commands);
  const walls = new Map<string, number[]>(names.map((name) => [name, []]));
  await untilQuiet();
  for (let round = 0; round < options.rounds; round += 1) {
    for (const name of turned(names, round)) {
      const [program, ...args] = commands[name] ?? ['false'];
      const begun = performance.now();
      const { status } = spawnSync(program, args, { stdio: 'ignore' });
      if (status !== 0) throw new Error(`${name} ended with status ${status}`);
      walls.get(name)?.push(performance.now() - begun);
    }
  }
  const bare = median(walls.get('node -e 0') ?? []);
  const rows = names.map((name) => {
    const all = walls.get(name) ?? [];
    return [
      `\`${name}\``,
      `${digits(median(all))} ms (${digits(Math.min(...all))}–${digits(Math.max(...all))})`,
      `${digits(median(all) - bare)} ms`,
    ];
  });
  return `\n### Starting\n\n${table(['', 'wall', 'above `node -e 0`'], rows)}`;
}
