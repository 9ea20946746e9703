/**
 * A large file to 1, 4 and 8 nodes: fleet, directly and from node to node, beside Ansible's `copy`, scp and `ssh cat`, all with the
 * same cipher where one can be chosen. Run alone: `tsx bench/push.ts`.
 */
import { randomFillSync } from 'node:crypto';
import { mkdir, open, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { FakeFleet } from '../test/fleet/nodes.ts';
import { digits, median, megabytes, seconds, table, times } from './figures.ts';
import { type Command, measure, measureQuietly, type Reading } from './measure.ts';
import { startNodesWithPython } from './nodes-with-python.ts';
import { turned } from './steps-on-one-host.ts';
import { outcomeOf } from './tools.ts';
import { cpuOfNodes, type Workbench, withWorkbench } from './workbench.ts';

const target = '/var/lib/rancher/k3s/agent/images';
const cipher = 'aes128-gcm@openssh.com';
const contenders = ['fleet, directly', 'fleet', 'ansible copy', 'scp', 'ssh cat'] as const;
type Contender = (typeof contenders)[number];

interface PushReading extends Reading {
  /** What all nodes received and no node sent. */
  readonly sentBytes: number;
}

/** Returns Markdown. */
export async function pushing(
  workbench: Workbench,
  options: { readonly counts: readonly number[]; readonly rounds: number; readonly megabytes: number },
): Promise<string> {
  const carried = await folderOf(workbench, options.megabytes);
  const sections: string[] = [];
  for (const count of options.counts) {
    process.stderr.write(`bench: ${options.megabytes} MB to ${count} nodes\n`);
    const nodes = await startNodesWithPython(count, { airgap_dir: carried });
    try {
      sections.push(await toNodes(workbench, nodes, { ...options, count, carried }));
    } finally {
      await nodes.stop();
    }
  }
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

async function toNodes(
  workbench: Workbench,
  nodes: FakeFleet,
  options: {
    readonly count: number;
    readonly rounds: number;
    readonly megabytes: number;
    readonly carried: string;
  },
): Promise<string> {
  const cpu = await cpuOfNodes(nodes);
  const commands = await commandsFor(workbench, nodes, options.carried);
  const readings = new Map<Contender, PushReading[]>(contenders.map((each) => [each, []]));
  for (let round = 0; round < options.rounds; round += 1) {
    for (const contender of turned(contenders, round)) {
      const command = commands[contender];
      readings
        .get(contender)
        ?.push(await pushed(nodes, contender, options, () => measureQuietly(command, { nodes: cpu })));
    }
  }
  const again = await measureQuietly(commands.fleet, { nodes: cpu });
  const memory = await pushed(nodes, 'fleet', options, () =>
    measure(commands.fleet, { nodes: cpu, sampleMemory: true }),
  );
  const ours = median((readings.get('fleet') ?? []).map(({ wallMs }) => wallMs));
  const rows = contenders.map((contender) => {
    const all = readings.get(contender) ?? [];
    const walls = all.map(({ wallMs }) => wallMs);
    return [
      contender,
      seconds(walls),
      contender === 'fleet' ? '1' : times(median(walls) / ours),
      seconds(all.map(({ cpuMs }) => cpuMs)),
      `${megabytes(median(all.map(({ sentBytes }) => sentBytes)))} (${times(median(all.map(({ sentBytes }) => sentBytes)) / (options.megabytes * 1e6))})`,
      `${digits(100 * Math.max(...all.map(({ foreignShare }) => foreignShare)))} %`,
    ];
  });
  const head = ['', 'wall', 'times fleet', 'control CPU', 'sent by this machine', 'others on the machine'];
  return [
    `\n${options.count} node${options.count === 1 ? '' : 's'}:\n\n${table(head, rows)}`,
    `\nfleet again, with nothing to send: ${seconds([again.wallMs])}; its peak memory while sending: ${megabytes(memory.peakPss)}.\n`,
  ].join('');
}

async function commandsFor(
  workbench: Workbench,
  nodes: FakeFleet,
  carried: string,
): Promise<Readonly<Record<Contender, Command>>> {
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
  const forks = nodes.nodes.length;
  const fleet = (...more: readonly string[]): Promise<Command> =>
    tools.playbook('fleet', {
      inventory,
      playbook,
      forks,
      fleetCommand: ['play', playbook, '-e', `uploads=${forks}`, ...more],
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
  return {
    'fleet, directly': await fleet('-e', 'airgap_spread=off'),
    fleet: await fleet(),
    'ansible copy': await tools.playbook('ansible', { inventory, playbook: copy, forks }),
    scp: toAll((address) => `scp -q ${ssh} ${file} root@${address}:${target}/site.tar`),
    'ssh cat': toAll((address) => `ssh ${ssh} root@${address} 'cat > ${target}/site.tar' < ${file}`),
  };
}

/** One push to nodes that have nothing of it yet. @throws where it did not arrive everywhere */
async function pushed(
  nodes: FakeFleet,
  contender: Contender,
  options: { readonly megabytes: number },
  measured: () => Promise<Reading>,
): Promise<PushReading> {
  const onAll = (script: string): Promise<string[]> =>
    Promise.all(
      nodes.nodes.map(async (node) => {
        const { stdout, stderr, code } = await nodes.exec(node, script);
        if (code !== 0) throw new Error(`${node.name}: ${stderr}`);
        return stdout.trim();
      }),
    );
  const traffic = async (): Promise<number> => {
    const counts = await onAll(
      'cd /sys/class/net/eth0/statistics && echo $(($(cat rx_bytes) - $(cat tx_bytes)))',
    );
    return counts.reduce((sum, count) => sum + Number(count), 0);
  };
  await onAll(`rm -rf /var/lib/rancher && mkdir -p ${target}`);
  const before = await traffic();
  const reading = await measured();
  const sentBytes = (await traffic()) - before;
  if (contender.startsWith('fleet')) outcomeOf('fleet', reading);
  else if (contender === 'ansible copy') outcomeOf('ansible', reading);
  else if (reading.code !== 0) throw new Error(`${contender} failed:\n${reading.stderr}`);
  for (const size of await onAll(`stat -c %s ${target}/site.tar`)) {
    if (Number(size) !== options.megabytes * 1e6) throw new Error(`${contender} left ${size} bytes`);
  }
  return { ...reading, sentBytes };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await withWorkbench(async (workbench) => {
    process.stdout.write(await pushing(workbench, { counts: [1, 4, 8], rounds: 3, megabytes: 250 }));
  });
}
