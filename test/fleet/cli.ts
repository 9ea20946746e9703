/**
 * `npm run nodes`: the fake nodes of the tests, for a person to play with.
 *
 *     npm run nodes -- up 3 [--servers 1] [--family rocky,arch] [--user debian|root|ops] [--k3s-version V] [--var NAME=VALUE …]
 *     npm run nodes -- list | down | docker-stop
 */
import { rm, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { dockerClient, findDocker, ownDockerUrl, repositoryRoot, stopOwnDocker } from './docker.ts';
import { isNodeFamily, type NodeFamily, type NodeUser, nodeFamilies, nodePasswords } from './image.ts';
import { airgapFolder, defaultK3sVersion, k3sArtifacts } from './k3s-artifacts.ts';
import { keptLabel, removeLabelled } from './leftovers.ts';
import { untilBooted } from './node-container.ts';
import { startNodes } from './nodes.ts';

const [name = '', ...rest] = process.argv.slice(2);

const ownDirectory = path.join(repositoryRoot, '.fleet-nodes');

/** Names one set of nodes: what describes them lies there, and they carry it in their labels. */
const directory = path.resolve(directoryIn(rest) ?? ownDirectory);
const inventory = path.relative(process.cwd(), path.join(directory, 'inventory.yml'));

const usage = `usage: npm run nodes -- COMMAND

  up N [options]  start N nodes that run systemd and sshd, and write ${inventory} for them
      --servers S       how many of them are servers (default 1; the rest are agents)
      --family NAME     what they are made of: ${nodeFamilies.join(', ')}; of several, in turn (default debian)
      --user NAME       whom the inventory logs in as: debian (default), root, ops
      --k3s-version V   default ${defaultK3sVersion}
      --var NAME=VALUE  another variable for the inventory (VALUE as JSON, else as text); as often as you like
      --no-k3s          do not build the k3s stand-in; the inventory then names no airgap_dir
  list            what is up
  down            remove these nodes (and nothing else)
  --dir DIR       with up, list and down: another set of nodes beside the first (default .fleet-nodes)
  docker-stop     stop the Docker daemon, if it is one that was started here
`;

/** What the commands that we print need to mean this set. */
const again = directory === ownDirectory ? '' : ` --dir ${path.relative(process.cwd(), directory)}`;

/** A mistake of the caller: the message and how to call. */
class UsageError extends Error {}

interface KeptNode {
  readonly id: string;
  readonly name: string;
  readonly role: string;
  readonly state: string;
  readonly address: string;
}

/** The value of `--dir`, which every command takes. */
function directoryIn(args: string[]): string | undefined {
  const at = args.indexOf('--dir');
  // Without a value it stays where it is, for the command to refuse.
  return at < 0 || at + 1 === args.length ? undefined : args.splice(at, 2)[1];
}

/** The nodes of this set, servers first. */
async function keptNodes(): Promise<KeptNode[]> {
  if ((await findDocker()) === undefined) return [];
  const docker = (await dockerClient()).container.dockerode;
  const found = await docker.listContainers({
    all: true,
    filters: { label: [`${keptLabel}=${directory}`] },
  });
  return found
    .map((each) => {
      const [network] = Object.values(each.NetworkSettings.Networks);
      return {
        id: each.Id,
        name: each.Labels['fleet-test.node'] ?? '',
        role: each.Labels['fleet-test.role'] ?? '',
        state: each.State,
        address: network?.IPAMConfig?.IPv4Address ?? network?.IPAddress ?? '',
      };
    })
    .sort((a, b) => b.role.localeCompare(a.role) || a.name.localeCompare(b.name, 'en', { numeric: true }));
}

async function up(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      servers: { type: 'string', default: '1' },
      user: { type: 'string', default: 'debian' },
      'k3s-version': { type: 'string', default: defaultK3sVersion },
      var: { type: 'string', multiple: true, default: [] },
      family: { type: 'string', multiple: true, default: ['debian'] },
      'no-k3s': { type: 'boolean', default: false },
    },
  });
  const total = whole(positionals[0] ?? '3', 'the number of nodes');
  const servers = whole(values.servers, '--servers');
  if (servers > total) throw new UsageError(`${servers} servers are more than ${total} nodes`);
  const user = values.user;
  if (!isUser(user))
    throw new UsageError(`a node has no user ${user}: ${Object.keys(nodePasswords).join(', ')}`);

  const family = values.family.flatMap((words) => words.split(',')).map(asFamily);

  const before = await keptNodes();
  if (before.length > 0) {
    const sameServers = before.filter((each) => each.role === 'server').length === servers;
    if (before.length !== total || !sameServers) {
      throw new Error(`${before.length} other nodes are up: first run \`npm run nodes -- down${again}\``);
    }
    const docker = (await dockerClient()).container;
    for (const node of before.filter((each) => each.state !== 'running')) {
      await docker.getById(node.id).start();
      await untilBooted(node.id, node.address);
    }
    print(`They are up already. Their inventory: ${inventory}\n`);
    await report(await keptNodes());
    return;
  }

  const version = values['k3s-version'];
  const artifacts = values['no-k3s'] ? undefined : await k3sArtifacts([version]);
  const airgap = artifacts && { airgap_dir: await airgapFolder(artifacts, version) };
  const begun = performance.now();
  await forget();
  const fleet = await startNodes({
    servers,
    agents: total - servers,
    user,
    family,
    directory,
    keptBy: directory,
    vars: { k3s_version: version, ...airgap, ...Object.fromEntries(values.var.map(variable)) },
  });
  print(
    `${total} nodes are up after ${((performance.now() - begun) / 1000).toFixed(1)} s. Their inventory: ${inventory}\n`,
  );
  await report(await keptNodes());
  const [first] = fleet.nodes;
  if (first) {
    print(`
Next:
  npm run fleet -- up -i ${inventory}
  ssh ${fleet.sshArguments(first, user).join(' ')}`);
  }
}

/** Deletes what describes the nodes: the folder if it is our own, else only what we put there. */
async function forget(): Promise<void> {
  if (directory === ownDirectory) return await rm(directory, { recursive: true, force: true });
  for (const file of ['inventory.yml', 'known_hosts', 'id_ed25519', 'id_ed25519.pub']) {
    await rm(path.join(directory, file), { force: true });
  }
  // It stays if it holds anything else.
  await rmdir(directory).catch(() => undefined);
}

/** What is running, and how to end it. */
async function report(nodes: readonly KeptNode[]): Promise<void> {
  for (const node of nodes) {
    print(`  ${node.name.padEnd(12)} ${node.role.padEnd(7)} ${node.address.padEnd(15)} ${node.state}`);
  }
  print(`
Left running until you end them:
  these ${nodes.length} containers and their network   npm run nodes -- down${again}`);
  if (process.env.DOCKER_HOST === ownDockerUrl) {
    print('  the Docker daemon that was started for them   npm run nodes -- docker-stop');
  }
}

async function list(): Promise<void> {
  const nodes = await keptNodes();
  if (nodes.length === 0) print('No nodes are up.');
  else await report(nodes);
}

async function down(): Promise<void> {
  const count = (await findDocker()) === undefined ? 0 : await removeLabelled(keptLabel, directory);
  await forget();
  print(
    count === 0 ? 'No nodes were up.' : `${count} nodes and their network are gone, and so is ${inventory}.`,
  );
  if (process.env.DOCKER_HOST === ownDockerUrl) {
    print('Still running: the Docker daemon that was started for them (npm run nodes -- docker-stop).');
  }
}

function whole(text: string, what: string): number {
  if (!/^\d+$/.test(text) || Number(text) < 1)
    throw new UsageError(`${what} is a whole number from 1 on, not ${text}`);
  return Number(text);
}

function asFamily(word: string): NodeFamily {
  if (isNodeFamily(word)) return word;
  throw new UsageError(`there is no family ${word}: ${nodeFamilies.join(', ')}`);
}

function isUser(name: string): name is NodeUser {
  return Object.hasOwn(nodePasswords, name);
}

function variable(text: string): [string, unknown] {
  const at = text.indexOf('=');
  if (at < 1) throw new UsageError(`--var takes NAME=VALUE, not ${text}`);
  const value = text.slice(at + 1);
  try {
    return [text.slice(0, at), JSON.parse(value)];
  } catch {
    return [text.slice(0, at), value];
  }
}

// Whoever reads the first lines only (`| head`) has what they want.
process.stdout.on('error', () => process.exit());

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

const commands: Readonly<Record<string, (args: string[]) => Promise<void>>> = {
  up,
  list,
  down,
  'docker-stop': stopOwnDocker,
};

const command = commands[name];
if (command === undefined) {
  const asked = ['help', '--help', '-h'].includes(name);
  (asked ? process.stdout : process.stderr).write(usage);
  process.exitCode = asked ? 0 : 64;
} else {
  try {
    if (command !== up && rest.length > 0) throw new UsageError(`${name} takes no ${rest.join(' ')}`);
    await command(rest);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const misused = error instanceof UsageError || (error instanceof TypeError && 'code' in error);
    process.stderr.write(misused ? `${message}\n\n${usage}` : `${message}\n`);
    process.exitCode = misused ? 64 : 1;
  }
}
