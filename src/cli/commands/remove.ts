import { FleetError } from '../../core/errors.ts';
import { type HostName, hostName } from '../../facts/host-name.ts';
import { type K3sNode, k3sNodes } from '../../facts/k3s-nodes.ts';
import type { Cluster } from '../../inventory/cluster.ts';
import type { Host } from '../../inventory/fleet.ts';
import { addressOf, k3sNode, nodeNameOf } from '../../steps/k3s-node.ts';
import { count, nameList, oneLine } from '../../ui/wording.ts';
import { accessTo } from '../access.ts';
import { askHosts, asRoot, type HostAnswers } from '../ask-hosts.ts';
import { clusterRun, toleratedByExisting } from '../cluster-run.ts';
import type { Invocation, RunCommand } from '../command.ts';
import { driveAsking, drivePlan } from '../drive.ts';
import { exit } from '../exit-codes.ts';
import { type OpenedFleet, openFleet, viewOf } from '../open-fleet.ts';

/** Takes hosts out of their cluster, and k3s off them. */
export const remove: RunCommand = async (invocation) => {
  const { console, settings, flags } = invocation;
  if (settings.limit !== undefined) {
    throw usage('LIMIT_MEANINGLESS', 'fleet remove has no use for --limit', 'Name the hosts themselves.');
  }
  const opened = await openFleet(invocation, { needsCluster: true, tolerates: toleratedByExisting });
  const cluster = opened.cluster();
  const named = namedIn(invocation.arguments, opened, cluster);
  const seen = await lookAt(invocation, opened, cluster, named.hosts);
  const removal = removalOf(named, cluster, seen, flags.has('gone'));
  for (const host of removal.silent) {
    const node = seen.nodeNameOf(host);
    console.note(
      `${oneLine(host.name)} does not answer: ${node === undefined ? 'the cluster has no Node of it' : `its Node ${node} is removed`}, and what is installed on it stays there.`,
    );
  }
  const endpoint = removal.leaving.find((host) => isEndpoint(host));
  if (endpoint !== undefined) {
    console.warn({
      code: 'ENDPOINT_LEAVES',
      message: `api_endpoint is ${endpoint.name} itself: kubectl, and nodes that start before the next fleet up, look for the API there`,
      fix: 'Take it out of the inventory, give api_endpoint to another server if it names this one, and run fleet up.',
    });
  }
  const wanted = await clusterRun(
    invocation,
    {
      command: 'remove',
      playbook: 'remove',
      vars: {
        leaving: patternOf(removal.leaving.map(({ name }) => name)),
        staying: removal.staying,
        speaker: patternOf(removal.gone.length === 0 ? [] : removal.staying.slice(0, 1)),
        gone: removal.gone,
      },
    },
    opened,
  );
  if (settings.check) return drivePlan(invocation, wanted);
  const code = await driveAsking(invocation, wanted, 'Remove them?');
  const listed = [...removal.leaving, ...removal.silent].map(({ name }) => oneLine(name));
  if (code === exit.ok && listed.length > 0 && settings.output === 'text') {
    console.note(
      `Now take ${nameList(listed, 12)} out of the inventory and run fleet up: ` +
        `as long as ${listed.length === 1 ? 'it stands' : 'they stand'} there, fleet up puts ${listed.length === 1 ? 'it' : 'them'} back.`,
    );
  }
  return code;
};

/** What the arguments name: hosts of the cluster, and words that are no host. */
interface Named {
  readonly hosts: readonly Host[];
  readonly others: readonly string[];
}

function namedIn(words: readonly string[], { fleet }: OpenedFleet, cluster: Cluster): Named {
  const hosts = new Set<Host>();
  const others: string[] = [];
  for (const word of words) {
    const found = fleet.hosts.has(word) || fleet.groups.has(word) ? fleet.select(word) : [];
    for (const host of found) {
      if (!cluster.nodes.includes(host)) {
        throw usage(
          'NOT_A_K3S_NODE',
          `${host.name} is no node of the cluster ${cluster.name}`,
          'See `fleet inventory --graph`.',
        );
      }
      hosts.add(host);
    }
    if (found.length === 0) others.push(word);
  }
  return { hosts: [...hosts], others };
}

/** What is known before anything is decided. */
interface Seen {
  /** Servers that stay and whose API answers. */
  readonly staying: readonly string[];
  readonly nodes: readonly K3sNode[];
  readonly answers: ReadonlyMap<string, HostAnswers>;
  readonly nodeNameOf: (host: Host) => string | undefined;
}

async function lookAt(
  invocation: Invocation,
  opened: OpenedFleet,
  cluster: Cluster,
  leaving: readonly Host[],
): Promise<Seen> {
  const isServer = (host: Host): boolean => cluster.servers.includes(host);
  const asked = [...new Set([...cluster.servers, ...leaving])];
  const answers = await askHosts(
    await accessTo(opened, invocation),
    new Map(asked.map((host) => [host.name, isServer(host) ? [hostName, k3sNodes] : [hostName]])),
    asRoot,
  );
  const byHost = new Map(answers.map((answer) => [answer.host, answer]));
  const told = cluster.servers
    .filter((host) => !leaving.includes(host))
    .flatMap(({ name }) => {
      const answer = byHost.get(name)?.of(k3sNodes);
      return answer !== undefined && 'nodes' in answer ? [{ name, nodes: answer.nodes }] : [];
    });
  const nodes = told[0]?.nodes ?? [];
  return {
    staying: told.map(({ name }) => name),
    nodes,
    answers: byHost,
    nodeNameOf: (host) => nodeOf(host, opened, nodes, byHost.get(host.name)?.of(hostName)),
  };
}

/** By the name that the host says; one that does not answer, by its address or the name that the inventory gives it. */
function nodeOf(
  host: Host,
  opened: OpenedFleet,
  nodes: readonly K3sNode[],
  told: HostName | undefined,
): string | undefined {
  const view = viewOf(host, opened.fleet);
  const name = nodeNameOf(k3sNode(view), told?.inUse ?? host.name);
  const known = nodes.find((node) => node.name === name);
  if (known !== undefined || told !== undefined) return known?.name;
  return nodes.find((node) => node.addresses.includes(addressOf(view)))?.name;
}

/** What is to be removed, and by whose word. */
export interface Removal {
  /** The servers that stay and answer. */
  readonly staying: readonly string[];
  /** They answer: k3s is taken off them. */
  readonly leaving: readonly Host[];
  /** Of the inventory, and they do not answer. */
  readonly silent: readonly Host[];
  /** Nodes to delete whose machines are not asked. */
  readonly gone: readonly string[];
}

/** @throws FleetError for what is not to be removed, or not so */
function removalOf(named: Named, cluster: Cluster, seen: Seen, saysGone: boolean): Removal {
  if (cluster.servers.every((host) => named.hosts.includes(host))) {
    throw new FleetError({
      code: 'LAST_SERVER',
      message: `without ${nameList(cluster.servers.map(({ name }) => name))} the cluster has no server`,
      fix: 'fleet reset removes a whole cluster.',
    });
  }
  const { staying } = seen;
  if (staying.length === 0) {
    throw new FleetError({
      code: 'NO_SERVER_ANSWERS',
      message: 'no server that stays answers for the cluster, so nothing can be removed from it',
      fix: 'Bring the servers up first: fleet start.',
    });
  }
  const leaving = named.hosts.filter((host) => seen.answers.get(host.name)?.failed === undefined);
  const silent = named.hosts.filter((host) => !leaving.includes(host));
  const gone = named.others.map((word) => strangerNamed(word, seen.nodes, saysGone));
  for (const host of silent) {
    const name = seen.nodeNameOf(host);
    if (name === undefined) continue;
    const node = seen.nodes.find((one) => one.name === name);
    if (node?.ready === true && !saysGone) {
      throw new FleetError({
        code: 'HOST_ALIVE',
        message: `${host.name} cannot be reached (${seen.answers.get(host.name)?.failed?.message}), yet its node ${name} is Ready: k3s runs there, and would stay`,
        fix: 'Make it reachable, so that k3s can be taken off it; or remove its Node alone with --gone.',
        host: host.name,
      });
    }
    gone.push(name);
  }
  return { staying, leaving, silent, gone };
}

function strangerNamed(word: string, nodes: readonly K3sNode[], saysGone: boolean): string {
  const isNode = nodes.some((node) => node.name === word);
  if (isNode && saysGone) return word;
  throw usage(
    'HOST_UNKNOWN',
    isNode
      ? `${word} is a node of the cluster, and no host of the inventory`
      : `${word} is no host of the inventory, and no node of the cluster`,
    isNode
      ? 'Add --gone to remove it from the cluster; what is installed on it stays there.'
      : `The cluster has ${count(nodes.length, 'node')}: ${nameList(
          nodes.map(({ name }) => name),
          12,
        )}.`,
  );
}

/** A pattern of exactly these hosts: an empty one would mean all. */
function patternOf(names: readonly string[]): string {
  return names.length === 0 ? '!all' : names.join(',');
}

function isEndpoint(host: Host): boolean {
  const endpoint = host.vars.get('api_endpoint');
  return typeof endpoint === 'string' && [addressOf(host), host.name].includes(endpoint.trim());
}

function usage(code: string, message: string, fix: string): FleetError {
  return new FleetError({ code, message, fix, blame: 'usage' });
}
