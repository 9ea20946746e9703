/**
 * Fake nodes for tests and for people: containers that run systemd and sshd and nothing else, on a network of their own, with the
 * inventory, key and known_hosts file that reach them.
 *
 *     const fleet = await startNodes({ servers: 1, agents: 2 });
 *     try { … fleet.inventoryPath … } finally { await fleet.stop(); }
 */
import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pLimit from 'p-limit';
import { stringify } from 'yaml';
import { type CommandResult, dockerClient, runCommand } from './docker.ts';
import { type FilesystemSnapshot, parseSnapshot, snapshotScript } from './filesystem-snapshot.ts';
import { type NodeFamily, type NodeUser, nodeImage, nodePasswords } from './image.ts';
import { defaultK3sVersion } from './k3s-artifacts.ts';
import { fleetLabel, guard, ownerLabels, removeLabelled, removeOrphans, unguard } from './leftovers.ts';
import { provideProgram } from './machine.ts';
import {
  execIn,
  makeRoomFor,
  NodeContainer,
  runOnHostNetwork,
  untilBooted,
  workingFreedom,
} from './node-container.ts';

/** One machine. */
export interface FakeNode {
  /** Its name in the inventory and its host name. */
  readonly name: string;
  /** A `database` is in no group of the inventory: PostgreSQL, MariaDB and etcd are installed on it, and stopped. */
  readonly role: 'server' | 'agent' | 'database';
  readonly family: NodeFamily;
  /** Its address on the fleet's network; reachable from this machine, and kept over restarts. */
  readonly address: string;
  readonly port: 22;
  readonly containerId: string;
}

/** What a test asks for. */
export interface NodesWanted {
  /** How many servers (server-1 …), or their names. */
  readonly servers?: number | readonly string[];
  /** How many agents (agent-1 …), or their names. */
  readonly agents?: number | readonly string[];
  /** Machines beside the cluster with databases (database-1 …). */
  readonly databases?: number | readonly string[];
  /** What all nodes are made of; `debian` unless told. Of a list the nodes take the families in turn, servers first. */
  readonly family?: NodeFamily | readonly NodeFamily[];
  /** Whom the inventory logs in as; `debian` unless told. */
  readonly user?: NodeUser;
  /** Variables of the group k3s_cluster, over the defaults. A null takes a default away. */
  readonly vars?: Readonly<Record<string, unknown>>;
  /** Variables of single hosts. */
  readonly hostVars?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Types of host keys (default ed25519 and ecdsa; an RSA key costs a quarter of a second of CPU per node). */
  readonly hostKeyTypes?: readonly ('ed25519' | 'ecdsa' | 'rsa')[];
  /** machine-ids by node, for clones; every other node has one of its own. */
  readonly machineIds?: Readonly<Record<string, string>>;
  /** Where inventory, key and known_hosts go; a temporary folder, deleted by `stop()`, unless told. */
  readonly directory?: string;
  /** Keeps the nodes after this process has ended, in the name of a folder (`npm run nodes`). */
  readonly keptBy?: string;
}

/** How much memory a node holds of its own, in bytes. */
export interface NodeMemory {
  /** Anonymous memory of its processes, and what lies in its tmpfs mounts. */
  readonly anonymous: number;
  /** What the kernel keeps for it: stacks, page tables, slab, sockets. */
  readonly kernel: number;
  /** Their sum. Page cache is left out: it is the files of the image, shared by all nodes, and given back on demand. */
  readonly total: number;
}

const startsAtOnce = 8;

/**
 * Starts nodes and waits until each answers on port 22. Given names, the first is the server and the others are agents.
 * On failure everything that was started is removed again.
 */
export async function startNodes(wanted: NodesWanted | readonly string[]): Promise<FakeFleet> {
  const settings: NodesWanted = isNames(wanted)
    ? { servers: wanted.slice(0, 1), agents: wanted.slice(1) }
    : wanted;
  const families = typeof settings.family === 'string' ? [settings.family] : (settings.family ?? ['debian']);
  const names = [
    ...namesOf(settings.servers ?? 1, 'server').map((name) => ({ name, role: 'server' as const })),
    ...namesOf(settings.agents ?? 0, 'agent').map((name) => ({ name, role: 'agent' as const })),
  ].map((each, index) => ({ ...each, family: families[index % families.length] ?? 'debian' }));
  const databases = namesOf(settings.databases ?? 0, 'database');
  const machines = [
    ...names.map((each) => ({ ...each, image: each.family })),
    ...databases.map((name) => ({
      name,
      role: 'database' as const,
      family: 'debian' as const,
      image: 'databases' as const,
    })),
  ];
  const images = new Map<(typeof machines)[number]['image'], string>();
  for (const { image: kind } of machines) if (!images.has(kind)) images.set(kind, await nodeImage(kind));
  await removeOrphans();
  // What an engine allows does not depend on what runs in it: one image is tried for all.
  const image = await nodeImage();
  const freedom = await workingFreedom(image);
  await makeRoomFor(machines.length, image, freedom);
  const id = `fleet-test-${randomBytes(4).toString('hex')}`;
  const directory = settings.directory ?? (await mkdtemp(path.join(tmpdir(), `${id}-`)));
  await mkdir(directory, { recursive: true });
  await chmod(directory, 0o700);
  const labels = ownerLabels(id, settings.keptBy);
  const removeAll = async (): Promise<void> => {
    await removeLabelled(fleetLabel, id);
    if (settings.directory === undefined) await rm(directory, { recursive: true, force: true });
    unguard(id);
  };
  guard(id, removeAll);
  try {
    const key = path.join(directory, 'id_ed25519');
    await provideProgram('ssh-keygen', 'openssh-client', 'the fake nodes need a key to log in with');
    await rm(key, { force: true });
    const made = await runCommand('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', id, '-f', key]);
    if (made.code !== 0) throw new Error(`ssh-keygen made no key: ${made.stderr}`);
    const authorizedKeys = await readFile(`${key}.pub`, 'utf8');
    const network = await createNetwork(id, labels);
    const limit = pLimit(startsAtOnce);
    const started = await Promise.allSettled(
      machines.map(({ name, role, family, image: kind }, index) =>
        limit(async (): Promise<FakeNode> => {
          const address = addressIn(network.subnet, index + 2);
          const container = await new NodeContainer({
            image: images.get(kind) ?? image,
            freedom,
            containerName: `${id}-${name}`,
            hostName: name,
            labels: {
              ...labels,
              'fleet-test.node': name,
              'fleet-test.role': role,
              'fleet-test.family': family,
            },
            machineId: settings.machineIds?.[name] ?? createHash('md5').update(`${id} ${name}`).digest('hex'),
            authorizedKeys,
            hostKeyTypes: settings.hostKeyTypes ?? ['ed25519', 'ecdsa'],
            network: { name: id, address },
          }).start();
          return { name, role, family, address, port: 22, containerId: container.getId() };
        }),
      ),
    );
    const nodes = started.map((each, index) => {
      if (each.status === 'fulfilled') return each.value;
      const why = each.reason instanceof Error ? each.reason.message : String(each.reason);
      throw new Error(`the fake node ${machines[index]?.name} did not start: ${why}`);
    });
    const fleet = new FakeFleet({ id, directory, key, network, nodes, settings, removeAll });
    await fleet.writeKnownHosts();
    await fleet.writeInventory();
    if (settings.keptBy !== undefined) unguard(id);
    return fleet;
  } catch (error) {
    await removeAll();
    throw error;
  }
}

function isNames(wanted: NodesWanted | readonly string[]): wanted is readonly string[] {
  return Array.isArray(wanted);
}

function namesOf(wanted: number | readonly string[], role: string): readonly string[] {
  return typeof wanted === 'number'
    ? Array.from({ length: wanted }, (_, index) => `${role}-${index + 1}`)
    : wanted;
}

/** The network of a fleet. */
export interface FakeNetwork {
  readonly name: string;
  readonly subnet: string;
  /** This machine's address on it: what nodes reach local servers at. */
  readonly gateway: string;
}

/**
 * A bridge whose containers may have fixed addresses. Docker allows these only where the caller names the subnet, and only Docker
 * knows which is free: so let it choose one, and ask for the same again. Another process may be quicker: then once more.
 */
async function createNetwork(name: string, labels: Record<string, string>): Promise<FakeNetwork> {
  const docker = (await dockerClient()).container.dockerode;
  for (let attempt = 1; ; attempt += 1) {
    const chosen = await docker.createNetwork({ Name: name, Driver: 'bridge', Labels: labels });
    const found = await chosen.inspect();
    await chosen.remove();
    const subnet = found.IPAM?.Config?.map((each) => each.Subnet).find((each) => each?.includes('.'));
    if (subnet === undefined) throw new Error('Docker made a network without an IPv4 subnet');
    const gateway = addressIn(subnet, 1);
    try {
      await docker.createNetwork({
        Name: name,
        Driver: 'bridge',
        Labels: labels,
        IPAM: { Driver: 'default', Config: [{ Subnet: subnet, Gateway: gateway }] },
      });
      return { name, subnet, gateway };
    } catch (error) {
      if (attempt === 20) throw error;
    }
  }
}

/** The nth address of an IPv4 subnet. */
function addressIn(subnet: string, nth: number): string {
  const [base = ''] = subnet.split('/');
  const number = base.split('.').reduce((sum, part) => sum * 256 + Number(part), 0) + nth;
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');
}

/** The nodes that `startNodes` started, and what a test does to them from outside. */
export class FakeFleet implements AsyncDisposable {
  /** Names its containers and its network. */
  readonly id: string;
  readonly nodes: readonly FakeNode[];
  readonly network: FakeNetwork;
  /** Path of the private key (ed25519) that root, debian and ops of every node accept. */
  readonly key: string;
  /** Path of a known_hosts file with the nodes' own host keys. */
  readonly knownHostsFile: string;
  /** Path of an inventory as k3s-ansible writes it. */
  readonly inventoryPath: string;
  /** Where these files are. */
  readonly directory: string;
  readonly #settings: NodesWanted;
  readonly #removeAll: () => Promise<void>;

  /** Not for tests: see `startNodes`. */
  constructor(parts: {
    id: string;
    directory: string;
    key: string;
    network: FakeNetwork;
    nodes: readonly FakeNode[];
    settings: NodesWanted;
    removeAll: () => Promise<void>;
  }) {
    this.id = parts.id;
    this.nodes = parts.nodes;
    this.network = parts.network;
    this.directory = parts.directory;
    this.key = parts.key;
    this.knownHostsFile = path.join(parts.directory, 'known_hosts');
    this.inventoryPath = path.join(parts.directory, 'inventory.yml');
    this.#settings = parts.settings;
    this.#removeAll = parts.removeAll;
  }

  /** The servers, in the order of the inventory. */
  get servers(): readonly FakeNode[] {
    return this.nodes.filter((each) => each.role === 'server');
  }

  /** The agents, in the order of the inventory. */
  get agents(): readonly FakeNode[] {
    return this.nodes.filter((each) => each.role === 'agent');
  }

  /** The node of this name. */
  node(name: string): FakeNode {
    const found = this.nodes.find((each) => each.name === name);
    if (found === undefined) throw new Error(`no fake node is called ${name}`);
    return found;
  }

  /** Writes the inventory again, with other variables over the first ones; returns its path. */
  async writeInventory(vars: Readonly<Record<string, unknown>> = {}): Promise<string> {
    await writeFile(this.inventoryPath, this.inventoryText(vars));
    return this.inventoryPath;
  }

  /** The text of the inventory, with variables over those given at the start; a null takes one away. */
  inventoryText(vars: Readonly<Record<string, unknown>> = {}): string {
    const user = this.#settings.user ?? 'debian';
    const group = (nodes: readonly FakeNode[]) => ({
      hosts: Object.fromEntries(
        nodes.map((node) => [
          node.name,
          { ansible_host: node.address, ...this.#settings.hostVars?.[node.name] },
        ]),
      ),
    });
    const all: Record<string, unknown> = {
      ansible_port: 22,
      ansible_user: user,
      ...(user === 'ops' ? { ansible_become_password: nodePasswords.ops } : {}),
      ansible_ssh_private_key_file: this.key,
      ansible_ssh_common_args: `-o UserKnownHostsFile=${this.knownHostsFile} -o StrictHostKeyChecking=yes`,
      k3s_version: defaultK3sVersion,
      token: 'changeme!',
      api_endpoint: "{{ hostvars[groups['server'][0]]['ansible_host'] | default(groups['server'][0]) }}",
      ...this.#settings.vars,
      ...vars,
    };
    const kept = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null));
    const children = {
      server: group(this.servers),
      ...(this.agents.length > 0 ? { agent: group(this.agents) } : {}),
    };
    return `---\n${stringify({ k3s_cluster: { children, vars: kept } }, { lineWidth: 0 })}`;
  }

  /** Writes known_hosts again from the host keys that the nodes have now. */
  async writeKnownHosts(): Promise<void> {
    const lines = await Promise.all(
      this.nodes.map(async (node) => {
        const { stdout } = await this.exec(node, 'cat /etc/ssh/ssh_host_*_key.pub');
        return stdout
          .trim()
          .split('\n')
          .map((line) => `${node.address} ${line.split(' ').slice(0, 2).join(' ')}\n`)
          .join('');
      }),
    );
    await writeFile(this.knownHostsFile, lines.join(''));
  }

  /** Runs `sh -c` on a node as root, through Docker: what a test asserts does not depend on SSH. */
  async exec(node: FakeNode, script: string): Promise<CommandResult> {
    return await execIn(node.containerId, script);
  }

  /** The arguments with which the system's ssh, scp or sftp reaches a node: strict about host keys, no questions asked. */
  sshArguments(node: FakeNode, user: NodeUser = 'debian'): string[] {
    return [
      ...[
        '-F',
        'none',
        '-i',
        this.key,
        '-o',
        'IdentitiesOnly=yes',
        '-o',
        'IdentityAgent=none',
        '-o',
        'BatchMode=yes',
      ],
      ...['-o', `UserKnownHostsFile=${this.knownHostsFile}`, '-o', 'GlobalKnownHostsFile=/dev/null'],
      ...['-o', 'StrictHostKeyChecking=yes', '-o', 'ConnectTimeout=10', '-p', String(node.port)],
      `${user}@${node.address}`,
    ];
  }

  /** Runs a command on a node with the system's ssh client. */
  async ssh(node: FakeNode, command: string, user: NodeUser = 'debian'): Promise<CommandResult> {
    return await runCommand('ssh', [...this.sshArguments(node, user), command]);
  }

  /** Cuts the power: SIGKILL for every process. The node stays down until `start` or `restart`. */
  async kill(node: FakeNode): Promise<void> {
    await (await this.#container(node)).kill();
  }

  /** Switches a node on again, and waits until it answers on port 22. */
  async start(node: FakeNode): Promise<void> {
    await (await this.#container(node)).start();
    await untilBooted(node.containerId, node.address);
  }

  /** Cuts the power and switches it on again at once; waits until the node answers on port 22. */
  async restart(node: FakeNode): Promise<void> {
    await (await this.#container(node)).restart({ t: 0 });
    await untilBooted(node.containerId, node.address);
  }

  /** Names the boot that a node is in: another one after a reboot. Undefined while the node is down. */
  async bootId(node: FakeNode): Promise<string | undefined> {
    const answer = await this.exec(node, 'cat /proc/sys/kernel/random/boot_id').catch(() => undefined);
    return answer?.code === 0 && answer.stdout !== '' ? answer.stdout.trim() : undefined;
  }

  /** Waits until a node has booted and answers on port 22; with the id of a boot, until it has done so in another one. */
  async untilReady(node: FakeNode, afterBoot?: string): Promise<void> {
    const end = Date.now() + 60_000;
    for (let boot = afterBoot; afterBoot !== undefined && (boot === undefined || boot === afterBoot); ) {
      if (Date.now() > end) throw new Error(`${node.name} has not rebooted within 60 s`);
      await new Promise((resolve) => setTimeout(resolve, 50));
      boot = await this.bootId(node);
    }
    await untilBooted(node.containerId, node.address);
  }

  /** Freezes every process of a node: its addresses still take packets, and nobody answers. */
  async pause(node: FakeNode): Promise<void> {
    await (await this.#container(node)).pause();
  }

  /** Lets a paused node go on. */
  async unpause(node: FakeNode): Promise<void> {
    await (await this.#container(node)).unpause();
  }

  /** Pulls the network cable. The node keeps its interface and address; open connections hang, and nothing tells their other ends. */
  async disconnect(node: FakeNode): Promise<void> {
    await this.#cable(node, 'down');
  }

  /** Plugs the cable in again. (A node that was restarted meanwhile has a new cable, which is plugged in.) */
  async connect(node: FakeNode): Promise<void> {
    await this.#cable(node, 'up');
  }

  /** What lies on the disk of a node, to be compared with `snapshotDifferences`. */
  async snapshotFilesystem(node: FakeNode, roots?: readonly string[]): Promise<FilesystemSnapshot> {
    const { stdout, stderr, code } = await this.exec(node, snapshotScript(roots));
    if (code !== 0) throw new Error(`the snapshot of ${node.name} failed: ${stderr}`);
    return parseSnapshot(stdout);
  }

  /**
   * When a unit last became active, on a clock of the kernel that never goes back; 0 if it never did. Two equal answers mean that
   * it was not restarted in between. Under OpenRC: when what its supervisor runs was started.
   */
  async activeEnter(node: FakeNode, unit: string): Promise<number> {
    const { stdout } = await this.exec(
      node,
      `if [ -x /sbin/openrc-run ]; then
        pid=$(cat '/run/${unit.replace(/\.service$/, '')}.pid' 2>/dev/null) || { echo 0; exit 0; }
        sed 's/.*) //' "/proc/$pid/stat" | cut -d ' ' -f 20
      else systemctl show -p ActiveEnterTimestampMonotonic --value -- '${unit}'; fi`,
    );
    return Number(stdout.trim());
  }

  /** How much memory a node holds, from its cgroup (v1 or v2). */
  async memory(node: FakeNode): Promise<NodeMemory> {
    const { stdout } = await this.exec(
      node,
      `cd /sys/fs/cgroup; if [ -f memory.stat ]; then cat memory.stat
       else cat memory/memory.stat; echo "kmem $(cat memory/memory.kmem.usage_in_bytes)"; fi`,
    );
    const counts = new Map(
      stdout.split('\n').map((line) => [line.split(' ')[0], Number(line.split(' ')[1])]),
    );
    const count = (name: string): number => counts.get(name) ?? 0;
    const old = counts.has('total_rss');
    const anonymous = old ? count('total_rss') + count('total_shmem') : count('anon') + count('shmem');
    const parts =
      count('kernel_stack') + count('pagetables') + count('slab') + count('sock') + count('percpu');
    const kernel = old ? count('kmem') : counts.has('kernel') ? count('kernel') : parts;
    return { anonymous, kernel, total: anonymous + kernel };
  }

  /** Removes the nodes, their network, and the files that reached them. Safe to call twice. */
  async stop(): Promise<void> {
    await this.#removeAll();
  }

  /** For `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /**
   * The cable is the far end of the container's veth pair. `docker network disconnect` would take the whole interface away and bring
   * it back under another name. That end is in the host's network namespace, so a container there, with ip(8), switches it.
   */
  async #cable(node: FakeNode, state: 'up' | 'down'): Promise<void> {
    const { stdout } = await this.exec(node, 'cat /sys/class/net/eth0/iflink');
    const farEnd = Number(stdout.trim());
    if (!(farEnd > 0)) throw new Error(`${node.name} has no interface eth0`);
    await runOnHostNetwork(
      await nodeImage(),
      `ip link set dev "$(ip -o link show | sed -n 's/^${farEnd}: \\([^@:]*\\).*/\\1/p')" ${state}`,
    );
  }

  async #container(node: FakeNode) {
    return (await dockerClient()).container.getById(node.containerId);
  }
}
