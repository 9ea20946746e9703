/** A hundred steps on one host, of which none has anything to change. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { stringify } from 'yaml';
import type { FakeFleet } from '../test/fleet/nodes.ts';
import { type Distance, distanceTo } from './distance.ts';
import { digits, median, megabytes, seconds, table, times } from './figures.ts';
import { type CpuOf, measure, measureQuietly, type Reading } from './measure.ts';
import { startNodesWithPython } from './nodes-with-python.ts';
import { outcomeOf, type Tool, tools } from './tools.ts';
import { cpuOfNodes, type Workbench } from './workbench.ts';

type Task = Readonly<Record<string, unknown>>;

const sysctls = ['accept_redirects', 'send_redirects', 'accept_source_route', 'rp_filter', 'log_martians'];
const interfaces = ['all', 'default', 'lo', 'eth0'];

const hundred = Array.from({ length: 100 }, (_, index) => index);

/** The playbooks: the same file for all three tools. */
const playbooks: Readonly<Record<string, { readonly title: string; readonly tasks: readonly Task[] }>> = {
  commands: {
    title: '100 × `command: /bin/true`',
    tasks: hundred.map((index) => ({ name: `Command ${index}`, command: '/bin/true' })),
  },
  'unchanging-commands': {
    title: '100 × `command: /bin/true`, `changed_when: false`',
    tasks: hundred.map((index) => ({
      name: `Command ${index}`,
      command: '/bin/true',
      changed_when: false,
    })),
  },
  mixed: {
    title: '100 × file, copy, lineinfile, sysctl in turn, all already so',
    tasks: hundred.map((index) => mixedTask(index)),
  },
};

function mixedTask(index: number): Task {
  const turn = Math.floor(index / 4);
  switch (index % 4) {
    case 0:
      return {
        name: `Folder ${turn}`,
        'ansible.builtin.file': { path: `/srv/bench/folder-${turn}`, state: 'directory', mode: '0755' },
      };
    case 1:
      return {
        name: `File ${turn}`,
        'ansible.builtin.copy': {
          dest: `/srv/bench/folder-${turn}/file`,
          content: `content ${turn}\n`,
          mode: '0644',
        },
      };
    case 2:
      return {
        name: `Line ${turn}`,
        'ansible.builtin.lineinfile': {
          path: `/srv/bench/folder-${turn}/lines`,
          line: `key = ${turn}`,
          regexp: '^key =',
          create: true,
          mode: '0644',
        },
      };
    default:
      return {
        name: `Kernel parameter ${turn}`,
        'ansible.posix.sysctl': {
          name: `net.ipv4.conf.${interfaces[turn % 4]}.${sysctls[Math.floor(turn / 4) % 5]}`,
          value: '0',
          sysctl_file: `/etc/sysctl.d/60-bench-${turn}.conf`,
        },
      };
  }
}

/** Compares all playbooks, near and at a distance; returns Markdown. */
export async function stepsOnOneHost(
  workbench: Workbench,
  options: { readonly rounds: number; readonly distances: readonly number[] },
): Promise<string> {
  const nodes = await startNodesWithPython(1);
  try {
    const cpu = await cpuOfNodes(nodes);
    let text = '';
    for (const [name, { title, tasks }] of Object.entries(playbooks)) {
      const playbook = path.join(workbench.folder, `${name}.yml`);
      const play = { name: title, hosts: 'server', become: true, gather_facts: false, tasks };
      await writeFile(playbook, stringify([play]));
      for (const distance of options.distances) {
        text += await compare(workbench, nodes, cpu, {
          title: `${title}, ${distance === 0 ? 'no distance' : `round trip ${distance} ms`}`,
          playbook,
          distance,
          rounds: distance === 0 ? options.rounds : Math.min(options.rounds, 3),
          mustBeUnchanged: name !== 'commands',
        });
      }
    }
    return text;
  } finally {
    await nodes.stop();
  }
}

async function compare(
  workbench: Workbench,
  nodes: FakeFleet,
  cpu: CpuOf,
  what: {
    readonly title: string;
    readonly playbook: string;
    readonly distance: number;
    readonly rounds: number;
    readonly mustBeUnchanged: boolean;
  },
): Promise<string> {
  process.stderr.write(`bench: ${what.title}\n`);
  const away = what.distance === 0 ? undefined : await distantInventory(workbench, nodes, what.distance);
  try {
    const inventory = away?.inventory ?? nodes.inventoryPath;
    const command = async (tool: Tool, countsTrips = false) =>
      await workbench.tools.playbook(tool, { inventory, playbook: what.playbook, forks: 1, countsTrips });
    // Whatever is not yet so is made so, and every tool has once filled its caches.
    for (const tool of tools) outcomeOf(tool, await measure(await command(tool)));
    const readings = new Map<Tool, Reading[]>(tools.map((tool) => [tool, []]));
    for (let round = 0; round < what.rounds; round += 1) {
      for (const tool of turned(tools, round)) {
        const reading = await measureQuietly(await command(tool), { nodes: cpu });
        const { changed } = outcomeOf(tool, reading);
        if (what.mustBeUnchanged && changed > 0) throw new Error(`${tool} changed ${changed} things`);
        readings.get(tool)?.push(reading);
      }
    }
    const memory = new Map<Tool, Reading>();
    for (const tool of tools)
      memory.set(tool, await measure(await command(tool, true), { sampleMemory: true }));
    return `\n### ${what.title}\n\n${comparison(readings, memory)}`;
  } finally {
    await away?.distance.close();
  }
}

/** The node seen through a relay; host keys are checked there too. */
async function distantInventory(
  workbench: Workbench,
  nodes: FakeFleet,
  roundTripMs: number,
): Promise<{ readonly inventory: string; readonly distance: Distance }> {
  const [node] = nodes.nodes;
  if (node === undefined) throw new Error('there is no node');
  const distance = await distanceTo(node.address, node.port, roundTripMs);
  const text = nodes
    .inventoryText({ ansible_port: distance.port })
    .replace(`ansible_host: ${node.address}`, 'ansible_host: 127.0.0.1');
  const { stdout } = await nodes.exec(node, 'cat /etc/ssh/ssh_host_*_key.pub');
  const keys = stdout
    .trim()
    .split('\n')
    .map((line) => `[127.0.0.1]:${distance.port} ${line.split(' ').slice(0, 2).join(' ')}\n`);
  await writeFile(nodes.knownHostsFile, keys.join(''), { flag: 'a' });
  const inventory = path.join(workbench.folder, `distant-${distance.port}.yml`);
  await writeFile(inventory, text);
  return { inventory, distance };
}

/** The same, beginning with another one each round: none always runs first. */
export function turned<Item>(items: readonly Item[], round: number): readonly Item[] {
  const by = round % items.length;
  return [...items.slice(by), ...items.slice(0, by)];
}

/** The table that all comparisons of playbooks share. Memory, and fleet's round trips, are those of a run of its own. */
export function comparison(
  readings: ReadonlyMap<Tool, readonly Reading[]>,
  memory: ReadonlyMap<Tool, Reading>,
): string {
  const walls = (tool: Tool): number[] => (readings.get(tool) ?? []).map(({ wallMs }) => wallMs);
  const ours = median(walls('fleet'));
  const rows = tools.map((tool) => {
    const all = readings.get(tool) ?? [];
    const sampled = memory.get(tool);
    return [
      tool,
      seconds(walls(tool)),
      tool === 'fleet' ? '1' : times(median(walls(tool)) / ours),
      seconds(all.map(({ cpuMs }) => cpuMs)),
      megabytes(sampled?.peakPss),
      megabytes(sampled?.peakRss),
      tool === 'fleet' && sampled !== undefined ? tripsText(outcomeOf(tool, sampled).roundTrips ?? []) : '',
      `${digits(100 * Math.max(...all.map(({ foreignShare }) => foreignShare)))} %`,
    ];
  });
  const head = [
    '',
    'wall',
    'times fleet',
    'control CPU',
    'peak PSS',
    'peak RSS',
    'round trips per host',
    'others on the machine',
  ];
  return table(head, rows);
}

function tripsText(trips: readonly number[]): string {
  if (trips.length === 0) return '';
  const [least, most] = [Math.min(...trips), Math.max(...trips)];
  return least === most ? String(least) : `${median(trips)} (${least}–${most})`;
}
