import type { ClusterPlan, Gate, RefusedCluster, Wave } from '../../../src/cluster/cluster-plan.ts';
import { planCluster } from '../../../src/cluster/plan-cluster.ts';
import { membershipOf } from '../../../src/k3s/membership.ts';
import type { Tape } from './tape.ts';
import { clusterOf, desiredOf, hostsOf, isUp, observe, pendingOf, roleOf, type Wish } from './wish.ts';
import { Broken, type Cluster, type Machine, minorOf, releases, type World } from './world.ts';

/** How a run ended: nothing was left to do, it was refused, or something failed on the way. */
export type Ending =
  | { readonly kind: 'done' }
  | { readonly kind: 'refused'; readonly refusal: RefusedCluster }
  | { readonly kind: 'failed' };

/** What may go wrong, or be done by others, while fleet works. */
export interface Disturbance {
  /** Called after each single thing that fleet did; `true` kills fleet there and then. */
  meanwhile(world: World, wish: Wish): boolean;
  /** Moments that a start takes. */
  slowness(): number;
}

/** A wait has a deadline: so many moments. */
const patience = 8;

/**
 * One run of fleet as the engine does it: look, plan, take the hosts of the first wave through all their steps at the same
 * time, wait for its gates, look again. A host is worked on once; a server that fails ends the run, an agent is left.
 */
export function run(
  world: World,
  wish: Wish,
  disturbance: Disturbance,
  seen?: (plan: ClusterPlan) => void,
): Ending {
  const done = new Set<string>();
  const failed: string[] = [];
  for (let waves = 0; ; waves += 1) {
    if (waves > 3 * hostsOf(wish).length + 4) throw new Broken(`${waves} waves and still more to do`);
    const plan = planCluster(desiredOf(wish, world), observe(wish, world), {
      ...wish.policy,
      failed,
      done: [...done],
    });
    seen?.(plan);
    const canWorkOn = (name: string): boolean =>
      isReached(world, name) && isInLimit(wish, name) && !done.has(name) && !failed.includes(name);
    if (plan.verdict === 'refused') {
      mustBeHindered(world, wish, plan, canWorkOn);
      return { kind: 'refused', refusal: plan };
    }
    const [wave] = plan.waves;
    mustUncordonFirst(world, wish, plan.waves, canWorkOn);
    if (wave === undefined) return { kind: failed.length > 0 ? 'failed' : 'done' };
    if (wave.hosts.some((name) => done.has(name))) throw new Broken(`works on ${wave.hosts.join()} again`);
    for (const name of wave.hosts) done.add(name);
    const outcome = work(world, wish, wave, disturbance);
    if (outcome === 'killed') return { kind: 'failed' };
    for (const name of outcome) failed.push(name);
    for (const name of await_(world, wish, wave.gates)) if (!failed.includes(name)) failed.push(name);
    if (failed.some((name) => wish.servers.includes(name))) return { kind: 'failed' };
  }
}

/**
 * What is only on its way is waited for: a member that is not well is a reason only where this run cannot see to it, or where it
 * runs and its own restart is pending, for nobody knows whether it will be well before that.
 */
function mustBeHindered(
  world: World,
  wish: Wish,
  { code, because }: RefusedCluster,
  canWorkOn: (name: string) => boolean,
): void {
  if (code !== 'QUORUM_AT_RISK' && code !== 'MEMBER_NOT_WELL') return;
  const cluster = clusterOf(wish, world);
  if (cluster === undefined) throw new Broken(`${code} without a cluster`);
  const isHindrance = (name: string): boolean => {
    const machine = world.machine(name);
    const isSeenTo = !world.isAlive(machine) || pendingOf(wish, world, machine) !== 'restart';
    if (wish.servers.includes(name) && canWorkOn(name) && isSeenTo) return false;
    const isAsked = wish.servers.includes(name) || wish.agents.includes(name);
    return (isAsked && !isReached(world, name)) || !world.isToldToVote(machine, cluster);
  };
  if (![...cluster.members.keys()].some(isHindrance))
    throw new Broken(`refused what only needed waiting: ${code}: ${because}`);
}

/** Whatever else a run does may fail: what an earlier one left cordoned takes pods again before, or with its own work. */
function mustUncordonFirst(
  world: World,
  wish: Wish,
  waves: readonly Wave[],
  canWorkOn: (name: string) => boolean,
): void {
  const [first] = waves;
  if (first === undefined || first.kind === 'uncordon') return;
  const cluster = clusterOf(wish, world);
  if (cluster === undefined || !isSeen(world, wish, cluster)) return;
  const busy = new Set(waves.flatMap(({ kind, hosts }) => (kind === 'live' ? [] : hosts)));
  for (const name of hostsOf(wish)) {
    const isLeft = cluster.nodes.get(name)?.cordon === 'fleet' && canWorkOn(name) && !busy.has(name);
    if (isLeft) throw new Broken(`${name} stays cordoned while ${first.hosts.join()} is worked on`);
  }
}

/** The hosts of a wave go through their steps side by side: that is the worst that their independence can bring. */
function work(world: World, wish: Wish, wave: Wave, disturbance: Disturbance): readonly string[] | 'killed' {
  const failed: string[] = [];
  const turn: Turn = { world, wish, kind: wave.kind, disturbance, events: world.events };
  let under = wave.hosts.map((name) => {
    const machine = world.machine(name);
    return { name, lives: machine.lives, steps: steps(turn, machine) };
  });
  while (under.length > 0) {
    const going: typeof under = [];
    for (const one of under) {
      const machine = world.machine(one.name);
      if (!machine.on || !machine.reachable || machine.lives !== one.lives) {
        failed.push(one.name);
        continue;
      }
      const next = one.steps.next();
      if (next.done !== true) going.push(one);
      else if (next.value === 'failed') failed.push(one.name);
      if (disturbance.meanwhile(world, wish)) return 'killed';
    }
    under = going;
  }
  return failed;
}

/** The hosts of which a gate does not come to hold. */
function await_(world: World, wish: Wish, gates: readonly Gate[]): string[] {
  let missing = unmet(world, wish, gates);
  for (let moment = 0; moment < patience && missing.length > 0; moment += 1) {
    world.pass();
    missing = unmet(world, wish, gates);
  }
  return missing;
}

function unmet(world: World, wish: Wish, gates: readonly Gate[]): string[] {
  return gates.flatMap((gate) => {
    if (gate.kind === 'api')
      return gate.servers.filter((name) => !isReached(world, name) || !world.answers(world.machine(name)));
    return gate.hosts.filter((name) => {
      const machine = world.machine(name);
      const cluster = machine.cluster;
      if (cluster === undefined || !isSeen(world, wish, cluster)) return true;
      return gate.kind === 'ready' ? !world.isReady(machine, cluster) : !world.isToldToVote(machine, cluster);
    });
  });
}

function isInLimit({ policy: { limit } }: Wish, name: string): boolean {
  return limit === undefined || limit.includes(name);
}

function isReached(world: World, name: string): boolean {
  const machine = world.machine(name);
  return machine.on && machine.reachable;
}

function isSeen(world: World, wish: Wish, cluster: Cluster): boolean {
  return world.apiOf(cluster, new Set(wish.servers)) !== undefined;
}

/** What the steps of a wave's hosts go by. */
interface Turn {
  readonly world: World;
  readonly wish: Wish;
  readonly kind: Wave['kind'];
  readonly disturbance: Disturbance;
  /** How much had happened when the wave was planned. */
  readonly events: number;
}

/** All of a host's steps, one thing at a time; between two of them anything can happen. */
function* steps(turn: Turn, machine: Machine): Generator<undefined, 'done' | 'failed'> {
  const { world, wish } = turn;
  if (pendingOf(wish, world, machine) === 'restart') {
    const role = roleOf(wish, machine.name);
    if (role === 'agent' && machine.installed === 'server') yield* leaveServers(turn, machine);
    else if (role === 'server' && machine.installed === 'agent') yield* leaveAgents(world, wish, machine);
    machine.binary = wish.release;
    yield;
    machine.config = wish.config;
    yield;
    if (machine.data === 'none' && role === 'server') {
      const outcome = yield* becomeServer(turn, machine);
      if (outcome === 'failed') return outcome;
    } else if (machine.installed !== role) {
      yield* becomeAgent(turn, machine);
    } else {
      const outcome = yield* restart(turn, machine);
      if (outcome === 'failed') return outcome;
    }
  }
  machine.live = wish.live;
  yield;
  const { cluster } = machine;
  if (cluster === undefined) return 'failed';
  forgetEarlierLife(world, wish, machine, cluster);
  for (let moment = 0; !isUp(world, machine); moment += 1) {
    if (moment === patience) return 'failed';
    world.pass();
    yield;
  }
  const node = cluster.nodes.get(machine.name);
  if (node?.cordon !== 'fleet') return 'done';
  if (!isSeen(world, wish, cluster)) return 'failed';
  node.cordon = undefined;
  return 'done';
}

function* restart(turn: Turn, machine: Machine): Generator<undefined, 'done' | 'failed'> {
  const { world, wish } = turn;
  const { cluster } = machine;
  if (machine.started && machine.ran !== machine.binary && cluster !== undefined) {
    cordon(world, wish, machine, cluster);
    yield;
  }
  if (machine.started) {
    const hadQuorum = cluster !== undefined && world.hasQuorum(cluster);
    const needed = cluster === undefined ? 0 : world.voters(cluster).length;
    const shares = sharesWith(world, machine);
    // What has happened since the plan was made the step itself looks at again; that it need not is the planner's promise.
    if (world.events !== turn.events && needed >= 3 && machine.data === 'etcd' && hadQuorum) return 'failed';
    world.stop(machine);
    if (cluster !== undefined && hadQuorum && needed >= 3 && !world.hasQuorum(cluster))
      throw new Broken(`restarting ${machine.name} took the quorum of ${needed} away`);
    if (shares && cluster !== undefined && !world.serves(cluster))
      throw new Broken(`restarting ${machine.name} took the last API away while there were others`);
    yield;
  }
  if (machine.data === 'sqlite' && wish.servers.length > 1 && cluster !== undefined) {
    machine.data = 'etcd';
    cluster.members.set(machine.name, 'voter');
  }
  if (machine.installed === 'agent') machine.cluster = clusterFor(world, wish) ?? machine.cluster;
  starts(turn, machine);
  yield;
  return 'done';
}

/** Whether other servers with the same external database serve: then nobody need notice. */
function sharesWith(world: World, machine: Machine): boolean {
  if (machine.data !== 'external' || !world.answers(machine)) return false;
  return [...world.machines.values()].some(
    (other) => other !== machine && other.cluster === machine.cluster && world.answers(other),
  );
}

function starts({ world, wish, disturbance }: Turn, machine: Machine): void {
  mustFit(world, wish, machine);
  world.start(machine, disturbance.slowness());
}

/** What Kubernetes forbids between releases. */
function mustFit(world: World, wish: Wish, machine: Machine): void {
  const { cluster, binary = 0, ran } = machine;
  if (cluster === undefined || wish.policy.forceBootstrap) return;
  const isSeenNow = isSeen(world, wish, cluster);
  const servers = [...world.machines.values()].filter(
    (other) =>
      other !== machine &&
      other.cluster === cluster &&
      other.installed === 'server' &&
      isPart(cluster, other) &&
      // Whom nobody asks and no API tells of, nobody can know.
      (isSeenNow || isAsked(world, wish, other.name)),
  );
  if (machine.installed === 'server') {
    const from = machine.data === 'none' || ran === undefined ? minorOf(binary) : minorOf(ran);
    if (minorOf(binary) - from > 1) throw new Broken(`${machine.name} skipped a minor: ${releases[binary]}`);
    if (minorOf(binary) < from) throw new Broken(`${machine.name} went back a minor: ${releases[binary]}`);
    for (const other of servers) {
      if (minorOf(binary) - minorOf(other.ran ?? 0) > 1)
        throw new Broken(`${machine.name} is two minors newer than ${other.name}`);
    }
  } else if (ran !== binary) {
    for (const other of servers) {
      if (binary > (other.ran ?? 0))
        throw new Broken(`the agent ${machine.name} is newer than the server ${other.name}`);
    }
  }
}

function isAsked(world: World, wish: Wish, name: string): boolean {
  if (wish.servers.includes(name) || isReached(world, name)) return hostsOf(wish).includes(name);
  return wish.agents.includes(name) && wish.policy.limit?.includes(name) !== false;
}

function isPart(cluster: Cluster, server: Machine): boolean {
  return server.data === 'etcd'
    ? cluster.members.has(server.name)
    : server.data !== 'none' && cluster.nodes.has(server.name);
}

function cordon(world: World, wish: Wish, machine: Machine, cluster: Cluster): void {
  const node = cluster.nodes.get(machine.name);
  if (node !== undefined && node.cordon === undefined && isSeen(world, wish, cluster)) node.cordon = 'fleet';
}

/** The member goes first, while it still helps to decide that; then the data, then the service. */
function* leaveServers(turn: Turn, machine: Machine): Generator<undefined> {
  const { world, wish } = turn;
  const { cluster } = machine;
  if (cluster !== undefined && machine.data !== 'none') {
    if (!isSeen(world, wish, cluster)) return;
    const hadQuorum = world.hasQuorum(cluster);
    // etcd refuses what would cost its quorum; the planner must not even ask.
    if (
      turn.events !== world.events &&
      cluster.members.has(machine.name) &&
      !world.canSpare(cluster, machine.name)
    )
      return;
    world.deleteNode(cluster, machine.name);
    if (hadQuorum && !world.hasQuorum(cluster))
      throw new Broken(`taking ${machine.name} out took the quorum away`);
    if (!world.serves(cluster)) throw new Broken(`taking ${machine.name} out left no server`);
    yield;
  }
  world.uninstall(machine);
  yield;
}

function* leaveAgents(world: World, wish: Wish, machine: Machine): Generator<undefined> {
  const { cluster } = machine;
  if (cluster !== undefined && isSeen(world, wish, cluster)) {
    cordon(world, wish, machine, cluster);
    yield;
    world.deleteNode(cluster, machine.name);
    yield;
  }
  world.uninstall(machine);
  yield;
}

/** As `k3s_stale_node`: only with a server's API can the earlier life of a machine be forgotten. */
function forgetEarlierLife(world: World, wish: Wish, machine: Machine, cluster: Cluster): void {
  if (machine.known || !cluster.nodes.has(machine.name) || !isSeen(world, wish, cluster)) return;
  const hadQuorum = world.hasQuorum(cluster);
  world.deleteNode(cluster, machine.name);
  if (hadQuorum && !world.hasQuorum(cluster))
    throw new Broken(`forgetting ${machine.name} took the quorum away`);
}

function clusterFor(world: World, wish: Wish): Cluster | undefined {
  for (const name of wish.servers) {
    const machine = world.machine(name);
    if (isReached(world, name) && machine.data !== 'none' && machine.cluster !== undefined)
      return machine.cluster;
  }
  return undefined;
}

function* becomeAgent(turn: Turn, machine: Machine): Generator<undefined> {
  const { world, wish } = turn;
  const cluster = clusterFor(world, wish);
  if (cluster === undefined) return;
  machine.installed = 'agent';
  machine.cluster = cluster;
  forgetEarlierLife(world, wish, machine, cluster);
  yield;
  starts(turn, machine);
  yield;
}

/** The planner says who begins; whoever does not, joins as its own steps decide. */
function* becomeServer(turn: Turn, machine: Machine): Generator<undefined, 'done' | 'failed'> {
  const { world, wish, kind } = turn;
  machine.installed = 'server';
  // Data that is gone binds nobody to the release that wrote it.
  machine.ran = undefined;
  yield;
  if (wish.isExternal) {
    world.database ??= world.newCluster();
    machine.cluster = world.database;
  } else if (kind === 'bootstrap') {
    beginCluster(world, wish, machine);
  } else {
    const membership = membershipOf(
      machine.name,
      serversAsSeen(world, wish),
      false,
      wish.policy.forceBootstrap,
    );
    if (membership.kind !== 'join') return 'failed';
    machine.cluster = world.machine(membership.through).cluster;
  }
  const { cluster } = machine;
  if (cluster === undefined) return 'failed';
  if (!wish.isExternal && kind !== 'bootstrap') {
    forgetEarlierLife(world, wish, machine, cluster);
    const learner = [...cluster.members].find(([name, member]) => {
      const other = world.machine(name);
      return member === 'learner' && world.isAlive(other) && !other.cut && other.cluster === cluster;
    });
    // Whoever lost its data meanwhile joins beside others, and tries again until it is its turn.
    if (learner !== undefined && world.events === turn.events)
      throw new Broken(`${machine.name} joins while ${learner[0]} is a learner`);
  } else if (wish.isExternal) {
    forgetEarlierLife(world, wish, machine, cluster);
    // Without an API there is nobody to ask; the database forgets what nobody answers for.
    if (!world.serves(cluster)) cluster.nodes.delete(machine.name);
    machine.data = 'external';
    machine.known = true;
    cluster.nodes.set(machine.name, { role: 'server', version: machine.binary ?? 0, cordon: undefined });
  }
  starts(turn, machine);
  yield;
  return 'done';
}

function beginCluster(world: World, wish: Wish, machine: Machine): void {
  const holder = hostsOf(wish).find((name) => world.machine(name).data !== 'none');
  if (holder !== undefined && !isExcused(world, wish, holder))
    throw new Broken(`${machine.name} begins a cluster while ${holder} holds one`);
  const cluster = world.newCluster();
  machine.cluster = cluster;
  machine.known = true;
  machine.data = wish.servers.length > 1 ? 'etcd' : 'sqlite';
  if (machine.data === 'etcd') cluster.members.set(machine.name, 'voter');
  cluster.nodes.set(machine.name, { role: 'server', version: machine.binary ?? 0, cordon: undefined });
}

/** Somebody said `--force-bootstrap`; or made an agent of the only server, and ran fleet with a limit that leaves it out, while it was away. */
function isExcused(world: World, wish: Wish, holder: string): boolean {
  if (wish.policy.forceBootstrap) return true;
  return (
    wish.agents.includes(holder) && !isReached(world, holder) && wish.policy.limit?.includes(holder) === false
  );
}

function serversAsSeen(world: World, wish: Wish) {
  return new Map(
    wish.servers.map((name) => {
      const { data, cluster } = world.machine(name);
      const seen = isReached(world, name)
        ? {
            datastore: data,
            caHash: data === 'none' ? undefined : cluster?.ca,
            running: world.answers(world.machine(name)),
          }
        : undefined;
      return [name, seen];
    }),
  );
}

/** Nothing goes wrong, and nobody else acts. */
export const quiet: Disturbance = { meanwhile: () => false, slowness: () => 0 };

/** What the tape says goes wrong. */
export function disturbed(tape: Tape, event: (world: World, wish: Wish) => void): Disturbance {
  return {
    meanwhile(world, wish) {
      if (tape.ended) return false;
      if (tape.percent(6)) event(world, wish);
      return tape.percent(4);
    },
    slowness: () => (tape.percent(12) ? tape.below(12) : 0),
  };
}
