import type {
  DesiredCluster,
  DesiredNode,
  ObservedCluster,
  ObservedHost,
  ObservedNode,
  PendingWork,
  Policy,
} from '../../../src/cluster/cluster-plan.ts';
import { type Cluster, type Machine, type Role, releases, type World } from './world.ts';

/** The inventory as it is written now, and with what the next run is called. */
export interface Wish {
  readonly servers: string[];
  readonly agents: string[];
  release: number;
  config: number;
  live: number;
  isExternal: boolean;
  policy: Policy;
}

export function desiredOf(wish: Wish, world: World): DesiredCluster {
  const node =
    (role: Role) =>
    (host: string): DesiredNode => ({
      host,
      nodeName: host,
      role,
      version: releases[wish.release],
      holdsEtcd: role === 'server' && !wish.isExternal,
    });
  const hasEtcd = wish.servers.length > 1 || wish.servers.some((name) => world.machine(name).data === 'etcd');
  return {
    servers: wish.servers.map(node('server')),
    agents: wish.agents.map(node('agent')),
    datastore: wish.isExternal ? 'external' : hasEtcd ? 'etcd' : 'sqlite',
  };
}

export function hostsOf(wish: Wish): string[] {
  return [...wish.servers, ...wish.agents];
}

export function roleOf(wish: Wish, name: string): Role {
  return wish.servers.includes(name) ? 'server' : 'agent';
}

/** What the steps of a host would do now. */
export function pendingOf(wish: Wish, world: World, machine: Machine): PendingWork {
  const role = roleOf(wish, machine.name);
  const needsRestart =
    machine.installed !== role ||
    !machine.started ||
    (role === 'server' && machine.data === 'none') ||
    (role === 'server' && machine.data === 'sqlite' && wish.servers.length > 1) ||
    machine.ran !== wish.release ||
    machine.binary !== wish.release ||
    machine.config !== wish.config ||
    machine.runsConfig !== wish.config ||
    (role === 'agent' && machine.cluster !== clusterOf(wish, world));
  if (needsRestart) return 'restart';
  const isCordoned = machine.cluster?.nodes.get(machine.name)?.cordon === 'fleet';
  return machine.live !== wish.live || isCordoned || !isUp(world, machine) ? 'live' : 'nothing';
}

/** Whether systemd calls the service active: it told that it is ready. */
export function isUp(world: World, machine: Machine): boolean {
  if (machine.installed === 'server') return world.answers(machine);
  return machine.cluster !== undefined && world.isReady(machine, machine.cluster);
}

/** The cluster that the servers of the inventory hold. */
export function clusterOf(wish: Wish, world: World): Cluster | undefined {
  for (const name of wish.servers) {
    const machine = world.machine(name);
    if (machine.data !== 'none' && machine.cluster !== undefined) return machine.cluster;
  }
  return wish.isExternal ? world.database : undefined;
}

/** What a run finds out before it plans. The API's word on who is Ready lags behind; a host's own does not. */
export function observe(wish: Wish, world: World): ObservedCluster {
  const hosts = new Map<string, ObservedHost>();
  const readyApis: string[] = [];
  let api: Machine | undefined;
  for (const name of hostsOf(wish)) {
    const machine = world.machine(name);
    if (!machine.on || !machine.reachable) continue;
    hosts.set(name, seenOf(wish, world, machine));
    if (!world.answers(machine)) continue;
    if (wish.servers.includes(name)) readyApis.push(name);
    api ??= machine;
  }
  const nodes = api?.cluster && nodesOf(wish, world, api.cluster);
  for (const machine of world.machines.values()) machine.justDied = false;
  return { hosts, nodes, readyApis };
}

function seenOf(wish: Wish, world: World, machine: Machine): ObservedHost {
  const runs = world.isAlive(machine);
  const version = machine.ran === undefined ? undefined : releases[machine.ran];
  return {
    installedRole: machine.installed,
    service:
      machine.installed === undefined
        ? 'absent'
        : !runs
          ? 'inactive'
          : isUp(world, machine)
            ? 'active'
            : 'activating',
    runningVersion: runs ? version : undefined,
    lastVersion: version,
    data: machine.data,
    caHash: machine.data === 'none' ? undefined : machine.cluster?.ca,
    pending: pendingOf(wish, world, machine),
  };
}

function nodesOf(wish: Wish, world: World, cluster: Cluster): ObservedNode[] {
  const listed = new Set(hostsOf(wish));
  return [...cluster.nodes].map(([name, node]) => {
    const machine = world.machine(name);
    const isBelieved = machine.justDied && listed.has(name);
    const kind = cluster.members.get(name);
    return {
      name,
      ready: isBelieved || world.isReady(machine, cluster),
      etcdVoter:
        kind === undefined
          ? undefined
          : kind === 'voter' && (isBelieved || world.isToldToVote(machine, cluster)),
      version: releases[node.version] ?? '',
      role: node.role,
      unschedulable: node.cordon !== undefined,
      cordonedByFleet: node.cordon === 'fleet',
    };
  });
}
