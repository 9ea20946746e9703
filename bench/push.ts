/**
 * A large file to 1, 4 and 8 nodes: fleet, directly and from node to node, beside Ansible's `copy`, scp, rsync and `ssh cat`, all with
 * the same cipher where one can be chosen.
 */
import { randomFillSync } from 'node:crypto';
import { cp, mkdir, open, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { airgapFolder, defaultK3sVersion, k3sArtifacts } from '../test/fleet/k3s-artifacts.ts';
import type { FakeFleet } from '../test/fleet/nodes.ts';
import { digits, median, megabytes, seconds, table, times } from './figures.ts';
import { type Command, type CpuOf, measure, measureQuietly, quietly, type Reading } from './measure.ts';
import { startNodesWithPython } from './nodes-with-python.ts';
import { turned } from './steps-on-one-host.ts';
import { outcomeOf } from './tools.ts';
import { cpuOfNodes, type Workbench } from './workbench.ts';

const target = '/var/lib/rancher/k3s/agent/images';
const cipher = 'aes128-gcm@openssh.com';
/** Fewer nodes hand nothing on to each other. */
const spreadFrom = 3;

/**
 * `ssh cat, safe` does what fleet does after the last byte, too: reads the file again for its sum, brings it to the disk, and renames it
 * into place.
 */
const contenders = [
  'fleet, directly',
  'fleet, node to node',
  'ansible copy',
  'scp',
  'rsync',
  'ssh cat',
  'ssh cat, safe',
] as const;
type Contender = (typeof contenders)[number];

interface PushReading extends Reading {
  /** What all nodes received and no node sent. */
  readonly sentBytes: number;
  /** From the first byte of the file to its last, as fleet's own events tell; without the start, the connecting and the looking. */
  readonly transferMs: number | undefined;
}

interface Pushing {
  readonly counts: readonly number[];
  readonly rounds: number;
  readonly megabytes: number;
}

/** Returns Markdown. */
export async function pushing(workbench: Workbench, options: Pushing): Promise<string> {
  const carried = await folderOf(workbench, options.megabytes);
  const sections: string[] = [];
  for (const count of options.counts) {
    process.stderr.write(`bench: ${options.megabytes} MB to ${count} nodes\n`);
    const nodes = await startNodesWithPython(count, { airgap_dir: carried });
    try {
      sections.push(await toNodes(new PushBench(workbench, nodes, options, carried)));
    } finally {
      await nodes.stop();
    }
  }
  sections.push(await withNothingToSend(workbench, { ...options, count: 4, carried }));
  return `\n### ${options.megabytes} MB to nodes\n${sections.join('')}`;
}

/** What does not compress, as a bundle does not; written piece by piece. */
async function folderOf(workbench: Workbench, size: number): Promise<string> {
  const folder = path.join(workbench.folder, `push-${size}`);
  await mkdir(folder, { recursive: true });
  const file = await open(path.join(folder, 'site.tar'), 'w');
  try {
    for (let written = 0; written < size; written += 1) await file.write(randomFillSync(Buffer.alloc(1e6)));
  } finally {
    await file.close();
  }
  return folder;
}

async function toNodes(bench: PushBench): Promise<string> {
  const { count, sizeBytes } = bench;
  const commands = await bench.commands();
  const cpu = await cpuOfNodes(bench.nodes);
  const running = contenders.filter((each) => each !== 'fleet, node to node' || count >= spreadFrom);
  const ours: Contender = count >= spreadFrom ? 'fleet, node to node' : 'fleet, directly';
  const readings = new Map<Contender, PushReading[]>(running.map((each) => [each, []]));
  for (let round = 0; round < bench.rounds; round += 1) {
    for (const contender of turned(running, round)) {
      process.stderr.write(`bench:   ${contender}\n`);
      const reading = await quietly(() => bench.pushed(contender, commands[contender], { nodes: cpu }), cpu);
      readings.get(contender)?.push(reading);
    }
  }
  const memory = new Map<Contender, number>();
  for (const contender of running.filter((each) => each.startsWith('fleet'))) {
    const { peakPss } = await bench.pushed(contender, commands[contender], {
      nodes: cpu,
      sampleMemory: true,
    });
    memory.set(contender, peakPss ?? Number.NaN);
  }
  const all = (contender: Contender): readonly PushReading[] => readings.get(contender) ?? [];
  const wall = (contender: Contender): number => median(all(contender).map(({ wallMs }) => wallMs));
  const bundles = (contender: Contender): number =>
    median(all(contender).map(({ sentBytes }) => sentBytes)) / sizeBytes;
  const rate = (ms: number): number => sizeBytes / 1000 / ms;
  const rows = running.map((contender) => [
    contender,
    seconds(all(contender).map(({ wallMs }) => wallMs)),
    times(wall(contender) / wall(ours)),
    seconds(all(contender).map(({ cpuMs }) => cpuMs)),
    `${megabytes(bundles(contender) * sizeBytes)} (${times(bundles(contender))})`,
    memory.has(contender) ? megabytes(memory.get(contender)) : '',
    `${digits(100 * Math.max(...all(contender).map(({ foreignShare }) => foreignShare)))} %`,
  ]);
  const head = [
    '',
    'wall',
    `times ${ours}`,
    'control CPU',
    'sent by this machine',
    'peak memory',
    'others on the machine',
  ];
  const transfers = all('fleet, directly').flatMap(({ transferMs }) => transferMs ?? []);
  const targets =
    count === 1
      ? [
          `fleet's transfer itself, without start and look: ${digits(rate(median(transfers)))} MB/s`,
          `of \`ssh cat\`: wall ${digits(wall('ssh cat') / wall(ours))} (transfer alone against its whole run ${digits(wall('ssh cat') / median(transfers))}; target 0.8)`,
          `of \`ssh cat, safe\`: wall ${digits(wall('ssh cat, safe') / wall(ours))}`,
          `of Ansible's copy: ${times(wall('ansible copy') / wall(ours))} as fast (target 3)`,
        ]
      : count >= spreadFrom
        ? [
            `sent by the control node: ${digits(bundles(ours))} bundles (target for 8 nodes 1.3)`,
            `wall against Ansible's copy: ${digits(wall(ours) / wall('ansible copy'))} (target for 8 nodes 0.5)`,
          ]
        : [];
  return [
    `\n${count} node${count === 1 ? '' : 's'}:\n\n${table(head, rows)}`,
    targets.length === 0 ? '' : `\n${targets.map((line) => `- ${line}\n`).join('')}`,
  ].join('');
}

/** `up` with nothing to change, before and after the large file is among what it carries. */
async function withNothingToSend(
  workbench: Workbench,
  options: Pushing & { readonly count: number; readonly carried: string },
): Promise<string> {
  process.stderr.write(`bench: nothing to send to ${options.count} nodes\n`);
  const folder = path.join(workbench.folder, 'push-release');
  await cp(await airgapFolder(await k3sArtifacts(), defaultK3sVersion), folder, { recursive: true });
  const nodes = await startNodesWithPython(options.count, { airgap_dir: folder });
  try {
    const cpu = await cpuOfNodes(nodes);
    await nodes.writeInventory({ kubeconfig: path.join(nodes.directory, 'kubeconfig') });
    const up = await workbench.tools.playbook('fleet', {
      inventory: nodes.inventoryPath,
      playbook: '',
      forks: options.count,
      fleetCommand: ['up', '--yes'],
    });
    const changed = async (sampleMemory: boolean): Promise<Reading> => {
      const reading = await measure(up, { nodes: cpu, sampleMemory });
      outcomeOf('fleet', reading);
      return reading;
    };
    const noOps = async (): Promise<readonly number[]> => {
      const walls: number[] = [];
      for (let round = 0; round < options.rounds; round += 1) {
        const reading = await measureQuietly(up, { nodes: cpu });
        if (outcomeOf('fleet', reading).changed > 0) throw new Error('there was something to change');
        walls.push(reading.wallMs);
      }
      return walls;
    };
    await changed(false);
    const without = await noOps();
    await rename(path.join(options.carried, 'site.tar'), path.join(folder, 'site.tar'));
    const sending = await changed(true);
    const withFile = await noOps();
    return [
      `\n\`fleet up\` on ${options.count} nodes with nothing to change: ${seconds(without)}; with ${options.megabytes} MB more in airgap_dir, sent by an`,
      ` earlier run: ${seconds(withFile)}, ${digits((median(withFile) - median(without)) / 1000)} s more (target below 1 s).`,
      ` The run that sent it: peak memory ${megabytes(sending.peakPss)} (target below 200 MB).\n`,
    ].join('');
  } finally {
    await nodes.stop();
  }
}

class PushBench {
  readonly count: number;
  readonly sizeBytes: number;
  readonly rounds: number;

  constructor(
    private readonly workbench: Workbench,
    readonly nodes: FakeFleet,
    options: Pushing,
    private readonly carried: string,
  ) {
    this.count = nodes.nodes.length;
    this.sizeBytes = options.megabytes * 1e6;
    this.rounds = options.rounds;
  }

  async commands(): Promise<Readonly<Record<Contender, Command>>> {
    const { workbench, nodes, carried, count } = this;
    const { folder, tools } = workbench;
    const inventory = nodes.inventoryPath;
    const file = path.join(carried, 'site.tar');
    const playbook = path.join(folder, 'push-fleet.yml');
    const copy = path.join(folder, 'push-ansible.yml');
    const hosts = 'hosts: all\n  become: true\n  gather_facts: false\n';
    await writeFile(playbook, `- name: Push\n  ${hosts}  steps:\n    - k3s_images:\n`);
    await writeFile(
      copy,
      `- name: Push\n  ${hosts}  tasks:\n    - file: {path: ${target}, state: directory}\n    - copy: {src: ${file}, dest: ${target}/site.tar, mode: "0644"}\n`,
    );
    const fleet = (...more: readonly string[]): Promise<Command> =>
      tools.playbook('fleet', {
        inventory,
        playbook,
        forks: count,
        fleetCommand: ['play', playbook, '-e', `uploads=${count}`, ...more],
        // Its events say when the transfer itself began and ended.
        countsTrips: true,
      });
    const ssh = [
      ...['-F', 'none', '-i', nodes.key, '-o', 'BatchMode=yes', '-o', `Ciphers=${cipher}`],
      ...['-o', `UserKnownHostsFile=${nodes.knownHostsFile}`, '-o', 'IdentitiesOnly=yes'],
    ].join(' ');
    const toAll = (one: (address: string) => string): Command => ({
      argv: [
        'sh',
        '-c',
        `${nodes.nodes.map(({ address }) => `{ ${one(address)}; } & p="$p $!"`).join('\n')}\nfor each in $p; do wait $each || exit 1; done`,
      ],
    });
    const landed = `${target}/site.tar`;
    const safely = `cd ${target} && cat > part && openssl dgst -sha256 part && sync part && mv part site.tar`;
    return {
      'fleet, directly': await fleet('-e', 'airgap_spread=off'),
      'fleet, node to node': await fleet(),
      'ansible copy': await tools.playbook('ansible', { inventory, playbook: copy, forks: count }),
      scp: toAll((address) => `scp -q ${ssh} ${file} root@${address}:${landed}`),
      rsync: toAll((address) => `rsync --whole-file -e 'ssh ${ssh}' ${file} root@${address}:${landed}`),
      'ssh cat': toAll((address) => `ssh ${ssh} root@${address} 'cat > ${landed}' < ${file}`),
      'ssh cat, safe': toAll((address) => `ssh ${ssh} root@${address} '${safely}' < ${file}`),
    };
  }

  /** One push to nodes that have nothing of it yet. @throws where it did not arrive everywhere */
  async pushed(
    contender: Contender,
    command: Command,
    options: { readonly nodes: CpuOf; readonly sampleMemory?: boolean },
  ): Promise<PushReading> {
    await this.#onAll(`rm -rf /var/lib/rancher && mkdir -p ${target}`);
    const before = await this.#traffic();
    const reading = await measure(command, options);
    const sentBytes = (await this.#traffic()) - before;
    const isFleet = contender.startsWith('fleet');
    if (isFleet) outcomeOf('fleet', reading);
    else if (contender === 'ansible copy') outcomeOf('ansible', reading);
    else if (reading.code !== 0) throw new Error(`${contender} failed:\n${reading.stderr}`);
    for (const size of await this.#onAll(`stat -c %s ${target}/site.tar`)) {
      if (Number(size) !== this.sizeBytes) throw new Error(`${contender} left ${size} bytes`);
    }
    return { ...reading, sentBytes, transferMs: isFleet ? transferOf(reading) : undefined };
  }

  async #onAll(script: string): Promise<string[]> {
    return Promise.all(
      this.nodes.nodes.map(async (node) => {
        const { stdout, stderr, code } = await this.nodes.exec(node, script);
        if (code !== 0) throw new Error(`${node.name}: ${stderr}`);
        return stdout.trim();
      }),
    );
  }

  async #traffic(): Promise<number> {
    const counts = await this.#onAll(
      'cd /sys/class/net/eth0/statistics && echo $(($(cat rx_bytes) - $(cat tx_bytes)))',
    );
    return counts.reduce((sum, count) => sum + Number(count), 0);
  }
}

/** Between the first news of the transfer and the last. The first comes after a megabyte, which is not counted. */
function transferOf({ stdout }: Reading): number | undefined {
  const progress = stdout.split('\n').flatMap((line) => {
    if (!line.includes('"task-progress"')) return [];
    const { at, text } = JSON.parse(line) as { readonly at: string; readonly text: string };
    return text.startsWith('sending ') ? [Date.parse(at)] : [];
  });
  const [first, last] = [progress[0], progress.at(-1)];
  return first === undefined || last === undefined || last === first ? undefined : last - first;
}
