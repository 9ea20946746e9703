import type { ClusterPlan } from '../../../src/cluster/cluster-plan.ts';
import { quorumOf } from '../../../src/k3s/quorum.ts';
import { disturbed, type Ending, quiet, run } from './engine.ts';
import { Tape } from './tape.ts';
import { desiredOf, hostsOf, pendingOf, type Wish } from './wish.ts';
import { Broken, type Cluster, minorOf, type Role, releases, World } from './world.ts';

/** What happened in one sequence, for the counts that show what was covered. */
export interface Story {
  readonly endings: string[];
}

const servers = ['s1', 's2', 's3', 's4', 's5', 's6', 's7'] as const;
const agents = ['a1', 'a2', 'a3', 'a4', 'a5'] as const;

/**
 * One sequence: a cluster, or none yet; then a few rounds in each of which something happens, somebody edits the inventory,
 * and fleet runs, while things go wrong. In the end all is quiet, and fleet must bring about what the inventory says, or say
 * why it cannot.
 * @throws Broken where something came about that fleet promises will not
 */
export function play(
  bytes: ArrayLike<number>,
  watch?: (world: World, wish: Wish, plan: ClusterPlan) => void,
): Story {
  const tape = new Tape(bytes);
  const world = new World();
  const wish = beginning(tape, world);
  const endings: string[] = [];
  const seen = watch && ((plan: ClusterPlan) => watch(world, wish, plan));
  const rounds = 1 + tape.below(4);
  const disturbance = disturbed(tape, (now) => happen(tape, now, wish));
  for (let round = 0; round < rounds && !tape.ended; round += 1) {
    if (tape.percent(60)) edit(tape, world, wish);
    if (tape.percent(50)) happen(tape, world, wish);
    if (tape.percent(15)) happen(tape, world, wish);
    wish.policy = policyOf(tape, wish);
    const ending = run(world, wish, disturbance, seen);
    endings.push(told(ending));
    world.pass();
  }
  endings.push(calm(world, wish, seen));
  return { endings };
}

function told(ending: Ending): string {
  return ending.kind === 'refused' ? ending.refusal.code : ending.kind;
}

/** Nothing yet; or a cluster that runs as the inventory says. */
function beginning(tape: Tape, world: World): Wish {
  const kind = tape.below(8);
  const count = [1, 3, 3, 1, 2, 5, 4, 7][tape.below(8)] ?? 1;
  const wish: Wish = {
    servers: servers.slice(0, count),
    agents: agents.slice(0, tape.below(6)),
    release: [1, 0, 2, 3][tape.below(4)] ?? 1,
    config: 0,
    live: 0,
    isExternal: kind === 7 || kind === 6,
    policy: calmPolicy,
  };
  if (kind >= 2 && kind !== 7) found(world, wish);
  return wish;
}

function found(world: World, wish: Wish): void {
  const cluster = world.newCluster();
  if (wish.isExternal) world.database = cluster;
  for (const name of hostsOf(wish)) {
    const role: Role = wish.servers.includes(name) ? 'server' : 'agent';
    const machine = world.machine(name);
    Object.assign(machine, {
      installed: role,
      binary: wish.release,
      ran: wish.release,
      started: true,
      cluster,
      known: true,
    });
    if (role === 'server')
      machine.data = wish.isExternal ? 'external' : wish.servers.length > 1 ? 'etcd' : 'sqlite';
    if (machine.data === 'etcd') cluster.members.set(name, 'voter');
    cluster.nodes.set(name, { role, version: wish.release, cordon: undefined });
  }
}

const calmPolicy: Wish['policy'] = {
  agentBatch: '50%',
  maxUnavailable: '100%',
  tolerateDown: true,
  forceBootstrap: false,
  canary: [],
  limit: undefined,
};

function policyOf(tape: Tape, wish: Wish): Wish['policy'] {
  const hosts = hostsOf(wish);
  return {
    agentBatch: tape.one([1, 2, '25%', '100%']) ?? 1,
    maxUnavailable: tape.one([1, 2, '34%', 0, '100%']) ?? 1,
    tolerateDown: tape.percent(60),
    forceBootstrap: tape.percent(2),
    canary: tape.percent(25) ? [tape.one(hosts) ?? ''] : [],
    limit: tape.percent(15) ? hosts.filter(() => tape.percent(50)) : undefined,
  };
}

/** Somebody edits the inventory. */
function edit(tape: Tape, world: World, wish: Wish): void {
  switch (tape.below(11)) {
    case 0:
      wish.config += 1;
      return;
    case 1:
    case 2:
    case 3: {
      // Mostly the next release, at times any.
      wish.release = tape.percent(25)
        ? tape.below(releases.length)
        : Math.min(wish.release + 1, releases.length - 1);
      return;
    }
    case 4:
      wish.live += 1;
      return;
    case 5: {
      const free = servers.find((name) => !hostsOf(wish).includes(name));
      if (free !== undefined) wish.servers.splice(tape.below(wish.servers.length + 1), 0, free);
      return;
    }
    case 6: {
      const free = agents.find((name) => !hostsOf(wish).includes(name));
      if (free !== undefined) wish.agents.push(free);
      return;
    }
    case 7:
      if (wish.agents.length > 0) wish.agents.splice(tape.below(wish.agents.length), 1);
      return;
    case 8:
      if (wish.servers.length > 1) wish.servers.splice(tape.below(wish.servers.length), 1);
      return;
    case 9: {
      const [moved] = wish.servers.length > 1 ? wish.servers.splice(tape.below(wish.servers.length), 1) : [];
      if (moved !== undefined) wish.agents.push(moved);
      return;
    }
    case 10: {
      const [moved] = wish.agents.length > 0 ? wish.agents.splice(tape.below(wish.agents.length), 1) : [];
      if (moved !== undefined) wish.servers.unshift(moved);
      // Both at once: the two swap.
      const [other] = wish.servers.length > 1 && tape.percent(30) ? wish.servers.splice(1, 1) : [];
      if (other !== undefined) wish.agents.push(other);
      return;
    }
  }
  world.pass();
}

/** Something happens to a machine, or an operator does something. */
function happen(tape: Tape, world: World, wish: Wish): void {
  const machine = world.machine(tape.one(hostsOf(wish)) ?? 's1');
  world.events += 1;
  switch (tape.below(14)) {
    case 0:
      machine.reachable = !machine.reachable;
      return;
    case 1:
    case 2:
      world.powerOff(machine);
      return;
    case 3:
    case 4:
      world.powerOn(machine, tape.below(10));
      return;
    case 5:
      world.wipe(machine);
      return;
    case 6: {
      const node = machine.cluster?.nodes.get(machine.name);
      if (node !== undefined)
        node.cordon = node.cordon === 'operator' ? undefined : (node.cordon ?? 'operator');
      return;
    }
    case 7:
      if (machine.started) world.stop(machine);
      return;
    case 8:
      if (machine.started) world.start(machine, tape.below(10));
      return;
    case 9:
      machine.cut = !machine.cut;
      machine.reachable = !machine.cut;
      return;
    case 10: {
      const { cluster } = machine;
      // etcd does not let itself be taken out of its quorum.
      if (cluster === undefined || world.voters(cluster).length < 3 || !world.serves(cluster)) return;
      if (cluster.members.has(machine.name) && world.canSpare(cluster, machine.name))
        world.deleteNode(cluster, machine.name);
      return;
    }
    case 11:
      // A power cut, of all there is.
      for (const each of world.machines.values()) {
        world.powerOff(each);
        world.powerOn(each, tape.below(4));
      }
      return;
    case 12:
      for (const name of wish.servers) world.stop(world.machine(name));
      return;
    case 13:
      world.pass();
      return;
  }
}

/** Everything answers again and nobody interferes: within two runs all is as the inventory says, or the refusal is right. */
function calm(world: World, wish: Wish, seen?: (plan: ClusterPlan) => void): string {
  for (const machine of world.machines.values()) {
    machine.reachable = true;
    machine.cut = false;
    world.powerOn(machine, 0);
  }
  for (let moment = 0; moment < 12; moment += 1) world.pass();
  wish.policy = calmPolicy;
  let ending = run(world, wish, quiet, seen);
  for (let again = 0; again < 3 && ending.kind !== 'done'; again += 1) {
    if (ending.kind === 'refused') relent(world, wish, ending.refusal.code);
    for (let moment = 0; moment < 12; moment += 1) world.pass();
    ending = run(world, wish, quiet, seen);
  }
  if (ending.kind === 'refused') {
    const { code, because } = ending.refusal;
    if (!isJustified(code, world, wish)) throw new Broken(`refused without need: ${code}: ${because}`);
    return `in the end ${code}`;
  }
  if (ending.kind === 'failed') {
    if (!isStuck(world, wish)) throw new Broken('a quiet run fails again and again');
    return 'in the end stuck';
  }
  whatIsMissing(world, wish);
  return 'in the end done';
}

/** A person who reads the refusal does what it says. */
function relent(world: World, wish: Wish, code: string): void {
  const cluster = holding(world, wish);
  const running = [...world.machines.values()].filter(
    (one) => one.cluster === cluster && one.data !== 'none',
  );
  if (['MINOR_SKIPPED', 'MINOR_DOWNGRADE', 'AGENT_NEWER', 'AGENT_TOO_OLD'].includes(code)) {
    const newest = Math.max(...running.map(({ ran }) => ran ?? 0));
    if (running.length > 0) wish.release = newest;
  }
  if (code === 'API_SILENT') for (const name of wish.servers) world.stop(world.machine(name));
  if ((code === 'QUORUM_AT_RISK' || code === 'MEMBER_NOT_WELL') && cluster !== undefined) {
    for (const name of [...cluster.members.keys()]) {
      const machine = world.machine(name);
      const isGone = machine.data === 'none' || (wish.agents.includes(name) && !world.isAlive(machine));
      if (!isGone || !world.canSpare(cluster, name)) continue;
      world.deleteNode(cluster, name);
      world.uninstall(machine);
    }
  }
  if (code === 'QUORUM_LOST' || code === 'LAST_SERVER' || code === 'AGENT_NEWER') {
    for (const { name, installed } of running) {
      if (installed !== 'server' || !wish.agents.includes(name)) continue;
      wish.agents.splice(wish.agents.indexOf(name), 1);
      wish.servers.push(name);
    }
  }
}

function holding(world: World, wish: Wish): Cluster | undefined {
  for (const name of hostsOf(wish)) {
    const { data, cluster } = world.machine(name);
    if (data !== 'none' && cluster !== undefined) return cluster;
  }
  return undefined;
}

function isJustified(code: string, world: World, wish: Wish): boolean {
  const cluster = holding(world, wish);
  if (cluster === undefined) return code === 'CLUSTER_ELSEWHERE';
  const clusters = new Set(
    hostsOf(wish).flatMap((name) => {
      const { data, cluster: own } = world.machine(name);
      return data === 'none' || own === undefined ? [] : [own];
    }),
  );
  if (code === 'TWO_CLUSTERS' || code === 'OWN_DATA') return clusters.size > 1;
  const voters = world.voters(cluster);
  const back = voters.filter((name) => {
    const machine = world.machine(name);
    const holds = machine.data === 'etcd' && machine.cluster === cluster;
    return holds && (wish.servers.includes(name) || world.isAlive(machine));
  });
  const isLost = voters.length > 0 && back.length < quorumOf(voters.length);
  if (code === 'QUORUM_LOST') return isLost;
  if (code === 'QUORUM_AT_RISK' || code === 'MEMBER_NOT_WELL')
    return isLost || hasDeadStranger(world, wish, cluster);
  const lagging = [...cluster.nodes].some(
    ([name, { role, version }]) =>
      role === 'server' && !wish.servers.includes(name) && version < wish.release,
  );
  // A server that nobody lists stays as old as it is; and one that was off, unlisted, comes back as old as it was.
  if (code === 'AGENT_NEWER') return lagging;
  if (code === 'MINOR_SKIPPED') return lagging || isTornApart(world, cluster);
  if (code === 'AGENT_TOO_OLD')
    return hostsOf(wish).some((name) => minorOf(wish.release) - minorOf(world.machine(name).ran ?? 0) > 3);
  if (code === 'MINOR_DOWNGRADE')
    return hostsOf(wish).some((name) => (world.machine(name).ran ?? 0) > wish.release);
  return false;
}

function isTornApart(world: World, cluster: Cluster): boolean {
  const ran = [...world.machines.values()].flatMap((one) =>
    one.cluster === cluster && one.data !== 'none' ? [minorOf(one.ran ?? 0)] : [],
  );
  return Math.max(...ran) - Math.min(...ran) > 1;
}

function hasDeadStranger(world: World, wish: Wish, cluster: Cluster): boolean {
  return [...cluster.members.keys()].some(
    (name) => !hostsOf(wish).includes(name) && !world.votes(world.machine(name), cluster),
  );
}

/** A run can fail in peace only where etcd waits for a learner that nobody of the inventory is any more, or where the quorum is gone. */
function isStuck(world: World, wish: Wish): boolean {
  const cluster = holding(world, wish);
  if (cluster === undefined) return false;
  return isJustified('QUORUM_LOST', world, wish) || hasDeadStranger(world, wish, cluster);
}

function whatIsMissing(world: World, wish: Wish): void {
  const cluster = holding(world, wish);
  const complaints: string[] = [];
  const desired = desiredOf(wish, world);
  for (const name of hostsOf(wish)) {
    const machine = world.machine(name);
    const pending = pendingOf(wish, world, machine);
    if (pending !== 'nothing') complaints.push(`${name} has ${pending} pending`);
    if (machine.cluster !== cluster) complaints.push(`${name} is in another cluster`);
    if (cluster?.nodes.get(name)?.cordon === 'fleet') complaints.push(`${name} is left cordoned`);
    if (cluster !== undefined && !world.isReady(machine, cluster)) complaints.push(`${name} is not ready`);
    if (desired.datastore === 'etcd' && wish.servers.includes(name) && cluster?.members.get(name) !== 'voter')
      complaints.push(`${name} is no voter`);
    if (wish.agents.includes(name) && cluster?.members.has(name) === true)
      complaints.push(`${name} is still a member`);
  }
  if (complaints.length > 0) throw new Broken(`done, but ${complaints.join(', ')}`);
}
