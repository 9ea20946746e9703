import type { Fact } from '../engine/fact.ts';
import { viewOf } from '../engine/step.ts';
import type { Outlook, PreviewedHost } from '../engine/waves.ts';
import { hostName } from '../facts/host-name.ts';
import { installedBinary } from '../facts/k3s-binary.ts';
import { type InUse, inUse } from '../facts/k3s-in-use.ts';
import { installation } from '../facts/k3s-installation.ts';
import { type K3sNode, type K3sNodes, k3sNodes } from '../facts/k3s-nodes.ts';
import { serverData } from '../facts/k3s-server-data.ts';
import type { Cluster } from '../inventory/cluster.ts';
import type { Fleet, Host } from '../inventory/fleet.ts';
import { caHashOf } from '../k3s/membership.ts';
import { binaryPath, type Role } from '../k3s/paths.ts';
import { type K3sNodeView, k3sNode, nodeNameOf } from '../steps/k3s-node.ts';
import { bringsItsOwnNetwork } from '../steps/k3s-readiness.ts';
import type { ObservedCluster, ObservedHost, ObservedNode, PendingWork } from './cluster-plan.ts';

/** The cluster as it is, and what the hosts call themselves. */
export interface Observation extends ObservedCluster {
  readonly hostNames: ReadonlyMap<string, string>;
}

/** What `observe` asks of a host: nothing that the steps of a k3s node do not ask as well. */
export function questionsFor(host: Host, fleet: Fleet): readonly Fact<unknown>[] {
  const { role, settings } = k3sNode(viewOf(host, fleet));
  const ofBoth = [hostName, inUse(role, settings.systemdDir), installation(role, settings.systemdDir)];
  return role === 'agent' ? ofBoth : [...ofBoth, serverData(settings.k3sServerLocation), k3sNodes];
}

/** Looks at all servers, and at the agents among the hosts that are to be worked on. A host that does not answer is left out. */
export async function observe(cluster: Cluster, fleet: Fleet, outlook: Outlook): Promise<Observation> {
  const inPlay = new Set(outlook.play.hosts.map(({ name }) => name));
  const asked = cluster.nodes.filter((host) => cluster.servers.includes(host) || inPlay.has(host.name));
  const previews = new Map(outlook.previews.map((preview) => [preview.host.name, preview]));
  const nodesBy = new Map(
    await Promise.all(
      cluster.servers.map(async ({ name }) => [name, await outlook.ask(name, k3sNodes)] as const),
    ),
  );
  const told = [...nodesBy].flatMap(([name, seen]) => (isTold(seen) ? [{ name, nodes: seen.nodes }] : []));
  const nodes = told[0]?.nodes;
  const seen = await Promise.all(
    asked.map(async (host) => ({
      host,
      seen: await observeHost(viewOfNode(host, fleet), outlook, previews.get(host.name), nodes),
    })),
  );
  const answering = seen.flatMap(({ host, seen: one }) => (one === undefined ? [] : [{ host, ...one }]));
  const hostNames = new Map(answering.map(({ host, called }) => [host.name, called]));
  return {
    hosts: new Map(answering.map(({ host, observed }) => [host.name, observed])),
    nodes: nodes?.map((node) => nodeOf(node, networkless(cluster, fleet, hostNames))),
    // A list of nodes is read from etcd with its quorum: whoever gives one is ready. Behind a wave /readyz itself is asked.
    readyApis: told.map(({ name }) => name),
    hostNames,
  };
}

interface NodeOf {
  readonly host: Host;
  readonly node: K3sNodeView;
}

function viewOfNode(host: Host, fleet: Fleet): NodeOf {
  return { host, node: k3sNode(viewOf(host, fleet)) };
}

async function observeHost(
  { host, node }: NodeOf,
  outlook: Outlook,
  preview: PreviewedHost | undefined,
  nodes: readonly K3sNode[] | undefined,
): Promise<{ readonly observed: ObservedHost; readonly called: string } | undefined> {
  const { role, settings } = node;
  const [name, there, own] = await Promise.all([
    outlook.ask(host.name, hostName),
    outlook.ask(host.name, installation(role, settings.systemdDir)),
    outlook.ask(host.name, inUse(role, settings.systemdDir)),
  ]);
  if (name === undefined || there === undefined || own === undefined) return undefined;
  const other: Role = role === 'server' ? 'agent' : 'server';
  // An agent that is a server still may hold the cluster.
  const data =
    role === 'server' || there.otherRole
      ? await outlook.ask(host.name, serverData(settings.k3sServerLocation))
      : undefined;
  const service = there.otherRole
    ? ((await outlook.ask(host.name, inUse(other, settings.systemdDir))) ?? own)
    : own;
  const installedRole = there.otherRole ? other : own.state === 'absent' ? undefined : role;
  return {
    called: name.inUse,
    observed: {
      installedRole,
      service: service.state,
      ...(await versionsOf(host.name, nodeNameOf(node, name.inUse), service, outlook, nodes)),
      data: data?.datastore ?? 'none',
      caHash: data?.token === undefined ? undefined : caHashOf(data.token),
      pending: pendingOf(preview, service),
    },
  };
}

/** The API tells what runs. Where none does, a k3s that started after its binary came runs that one. */
async function versionsOf(
  host: string,
  nodeName: string,
  service: InUse,
  outlook: Outlook,
  nodes: readonly K3sNode[] | undefined,
): Promise<Pick<ObservedHost, 'runningVersion' | 'lastVersion'>> {
  if (service.state === 'absent') return { runningVersion: undefined };
  const known = nodes?.find(({ name }) => name === nodeName)?.version;
  if (service.state === 'active' && known !== undefined && known !== '') return { runningVersion: known };
  const onDisk = (await outlook.ask(host, installedBinary))?.version?.text;
  const runs = service.state === 'active' && !service.newerThanStart.includes(binaryPath);
  return { runningVersion: runs ? onDisk : undefined, lastVersion: known ?? onDisk };
}

/** Steps of a k3s node work beside the running k3s, but for those that stop it. Of all others nobody knows. */
function disrupts(step: string): boolean {
  return step === 'k3s_service' || step === 'k3s_policy_boot' || !step.startsWith('k3s_');
}

/** What is left to do on a host. Where its steps cannot say, for now, it is taken for the most. */
function pendingOf(preview: PreviewedHost | undefined, service: InUse): PendingWork {
  if (preview === undefined) return 'nothing';
  if (preview.error !== undefined) return 'restart';
  const changing = preview.intents.filter(({ changes }) => changes);
  // What is on its way up with what is on disk is only waited for.
  const isComing = service.state === 'activating' && service.newerThanStart.length === 0;
  if (changing.some(({ step }) => disrupts(step) && !(isComing && step === 'k3s_service'))) return 'restart';
  return changing.length > 0 ? 'live' : 'nothing';
}

/** Nodes that cannot be Ready before somebody installs their network. */
function networkless(
  cluster: Cluster,
  fleet: Fleet,
  hostNames: ReadonlyMap<string, string>,
): ReadonlySet<string> {
  return new Set(
    cluster.nodes
      .map((host) => viewOfNode(host, fleet))
      .filter(({ node }) => bringsItsOwnNetwork(node))
      .map(({ host, node }) => nodeNameOf(node, hostNames.get(host.name) ?? host.name)),
  );
}

function nodeOf(node: K3sNode, withoutNetwork: ReadonlySet<string>): ObservedNode {
  // A node that is away says that its kubelet stopped posting; one that waits for its network says so.
  const waitsForNetwork = withoutNetwork.has(node.name) && /network/i.test(node.readyMessage);
  return {
    name: node.name,
    ready: node.ready || waitsForNetwork,
    etcdVoter: node.etcdVoter,
    version: node.version,
    role: node.controlPlane || node.etcdVoter !== undefined ? 'server' : 'agent',
    unschedulable: node.unschedulable,
    cordonedByFleet: node.cordonedByFleet,
  };
}

function isTold(seen: K3sNodes | undefined): seen is { readonly nodes: readonly K3sNode[] } {
  return seen !== undefined && 'nodes' in seen;
}
