import { quorumOf } from '../../../src/k3s/quorum.ts';

/** Releases in order; a machine names one by its place here. Each is the minor that `minors` says. */
export const releases = [
  'v1.31.5+k3s1',
  'v1.32.3+k3s1',
  'v1.32.3+k3s2',
  'v1.33.4+k3s1',
  'v1.34.1+k3s1',
  'v1.35.0+k3s1',
] as const;
export const minors = [31, 32, 32, 33, 34, 35] as const;

export function minorOf(release: number): number {
  return minors[release] ?? 0;
}

export type Role = 'server' | 'agent';

/** A machine as it is, whoever knows of it. Its node name is its name. */
export interface Machine {
  readonly name: string;
  /** Powered. */
  on: boolean;
  /** Answers SSH; one that does not may well go on serving. */
  reachable: boolean;
  /** Cut off from the other machines too: its vote does not count, nobody reaches its API. */
  cut: boolean;
  installed: Role | undefined;
  /** The binary on disk. */
  binary: number | undefined;
  /** The release that runs, or ran last. */
  ran: number | undefined;
  /** The service was started and not stopped; k3s restarts itself for ever. */
  started: boolean;
  /** Moments until it answers, and until its member votes again: Ready comes first. */
  answersIn: number;
  votesIn: number;
  /** Moments until the API says so: `EtcdIsVoter` is brought up to date now and then. */
  toldIn: number;
  data: 'none' | 'sqlite' | 'etcd' | 'external';
  /** The cluster that its data, or its token, is of. */
  cluster: Cluster | undefined;
  /** `/etc/rancher/node/password` is the one that the cluster knows. */
  known: boolean;
  config: number;
  runsConfig: number;
  live: number;
  /** How often it was set up anew. */
  lives: number;
  /** It died since it was last looked at, and the API goes on calling it Ready. */
  justDied: boolean;
}

export interface KubeNode {
  role: Role;
  version: number;
  cordon: 'fleet' | 'operator' | undefined;
}

/** One CA: etcd's members with it, and the nodes that it knows. */
export interface Cluster {
  readonly ca: string;
  readonly members: Map<string, 'voter' | 'learner'>;
  readonly nodes: Map<string, KubeNode>;
}

export class Broken extends Error {}

/** Every machine there is, and what k3s makes of them. */
export class World {
  readonly machines = new Map<string, Machine>();
  /** The database of an external datastore holds its cluster whatever happens to the machines. */
  database: Cluster | undefined;
  /** How much has happened that fleet did not do. */
  events = 0;
  #clusters = 0;

  machine(name: string): Machine {
    let machine = this.machines.get(name);
    if (machine === undefined) {
      machine = {
        name,
        on: true,
        reachable: true,
        cut: false,
        installed: undefined,
        binary: undefined,
        ran: undefined,
        started: false,
        answersIn: 0,
        votesIn: 0,
        toldIn: 0,
        data: 'none',
        cluster: undefined,
        known: false,
        config: 0,
        runsConfig: 0,
        live: 0,
        lives: 0,
        justDied: false,
      };
      this.machines.set(name, machine);
    }
    return machine;
  }

  newCluster(): Cluster {
    this.#clusters += 1;
    return { ca: String(this.#clusters).padStart(64, 'c'), members: new Map(), nodes: new Map() };
  }

  isAlive(machine: Machine): boolean {
    return machine.on && machine.started;
  }

  /** Whether its vote counts now. */
  votes(machine: Machine | undefined, cluster: Cluster): boolean {
    return (
      machine !== undefined &&
      this.isAlive(machine) &&
      !machine.cut &&
      machine.votesIn === 0 &&
      machine.data === 'etcd' &&
      machine.cluster === cluster &&
      cluster.members.get(machine.name) === 'voter'
    );
  }

  /** Whether its node's `EtcdIsVoter` is true. */
  isToldToVote(machine: Machine, cluster: Cluster): boolean {
    return machine.toldIn === 0 && this.votes(machine, cluster);
  }

  voters(cluster: Cluster): string[] {
    return [...cluster.members].filter(([, kind]) => kind === 'voter').map(([name]) => name);
  }

  hasQuorum(cluster: Cluster): boolean {
    const voters = this.voters(cluster);
    let voting = 0;
    for (const name of voters) if (this.votes(this.machines.get(name), cluster)) voting += 1;
    return voting >= quorumOf(voters.length);
  }

  /** Whether there is a quorum among the others once it is no member. */
  canSpare(cluster: Cluster, name: string): boolean {
    const others = this.voters(cluster).filter((other) => other !== name);
    const voting = others.filter((other) => this.votes(this.machines.get(other), cluster));
    return this.hasQuorum(cluster) && voting.length >= quorumOf(others.length);
  }

  /** Whether its own `/readyz` is ok. */
  answers(machine: Machine): boolean {
    const { cluster, data } = machine;
    if (machine.installed !== 'server' || !this.isAlive(machine) || machine.cut || machine.answersIn > 0)
      return false;
    if (cluster === undefined || data === 'none') return false;
    // Its API asks its own member, which answers only as a voter among a quorum.
    if (data === 'etcd') return this.votes(machine, cluster) && this.hasQuorum(cluster);
    return true;
  }

  /** A server whose API a run can ask. */
  apiOf(cluster: Cluster | undefined, names?: ReadonlySet<string>): Machine | undefined {
    if (cluster === undefined) return undefined;
    for (const machine of this.machines.values()) {
      if (machine.cluster !== cluster || !machine.reachable || !this.answers(machine)) continue;
      if (names === undefined || names.has(machine.name)) return machine;
    }
    return undefined;
  }

  /** Whether any server of it answers its nodes, wherever it stands. */
  serves(cluster: Cluster): boolean {
    for (const machine of this.machines.values()) {
      if (machine.cluster === cluster && this.answers(machine)) return true;
    }
    return false;
  }

  isReady(machine: Machine, cluster: Cluster): boolean {
    if (!this.isAlive(machine) || machine.cut || machine.answersIn > 0 || machine.cluster !== cluster)
      return false;
    // A kubelet is content with any server's API: Ready comes before the own member votes.
    return cluster.nodes.has(machine.name) && this.serves(cluster);
  }

  /** Time passes: what starts gets on, a learner that keeps up is made a voter, who waits to join tries again. */
  pass(): void {
    for (const machine of this.machines.values()) {
      if (!this.isAlive(machine)) continue;
      if (machine.answersIn > 0) machine.answersIn -= 1;
      else if (machine.votesIn > 0) machine.votesIn -= 1;
      else if (machine.toldIn > 0) machine.toldIn -= 1;
      const { cluster } = machine;
      if (cluster === undefined) continue;
      if (machine.data === 'etcd' && !cluster.members.has(machine.name) && this.hasQuorum(cluster)) {
        // A member that was removed stops and drops its data.
        this.forget(machine);
        continue;
      }
      // Kinder than k3s: a node that was deleted under its kubelet comes back only with the next restart.
      if (machine.data === 'none' || !cluster.nodes.has(machine.name)) this.tryToJoin(machine);
      const isLearner = cluster.members.get(machine.name) === 'learner';
      if (isLearner && machine.data === 'etcd' && machine.votesIn === 0 && this.hasQuorum(cluster))
        cluster.members.set(machine.name, 'voter');
    }
  }

  forget(machine: Machine): void {
    machine.started = false;
    machine.data = 'none';
    machine.cluster = undefined;
    machine.known = false;
  }

  /** What k3s does with a token and a server's address and no data: register, as a learner where there is etcd. */
  tryToJoin(machine: Machine): void {
    const { cluster, installed } = machine;
    if (cluster === undefined || installed === undefined || machine.cut || !this.serves(cluster)) return;
    if (cluster.nodes.has(machine.name) && !machine.known) return;
    if (installed === 'server' && machine.data === 'none' && cluster.members.size > 0) {
      if ([...cluster.members.values()].includes('learner')) return;
      cluster.members.set(machine.name, 'learner');
      machine.data = 'etcd';
      machine.votesIn = 1;
    } else if (installed === 'server' && machine.data === 'none') {
      machine.data = 'external';
    }
    machine.known = true;
    this.register(machine, cluster);
  }

  register(machine: Machine, cluster: Cluster): void {
    const before = cluster.nodes.get(machine.name);
    cluster.nodes.set(machine.name, {
      role: machine.installed ?? 'agent',
      version: machine.ran ?? 0,
      cordon: before?.cordon,
    });
  }

  /** The service comes up with what is on disk. */
  start(machine: Machine, slow: number): void {
    machine.started = true;
    machine.ran = machine.binary;
    machine.runsConfig = machine.config;
    machine.answersIn = slow;
    machine.votesIn = 1;
    machine.toldIn = 1;
    const { cluster } = machine;
    if (cluster === undefined) return;
    if (machine.data === 'none' && !(machine.installed === 'agent' && cluster.nodes.has(machine.name)))
      this.tryToJoin(machine);
    else if (cluster.nodes.has(machine.name) && machine.known) this.register(machine, cluster);
  }

  stop(machine: Machine): void {
    machine.justDied = true;
    machine.started = false;
  }

  /** `kubectl delete node`: the etcd member goes with it. */
  deleteNode(cluster: Cluster, name: string): void {
    cluster.nodes.delete(name);
    cluster.members.delete(name);
    const machine = this.machines.get(name);
    if (
      machine !== undefined &&
      machine.data === 'etcd' &&
      machine.cluster === cluster &&
      this.isAlive(machine)
    )
      this.forget(machine);
  }

  /** Set up anew by somebody: nothing of k3s is left. */
  wipe(machine: Machine): void {
    this.uninstall(machine);
    machine.lives += 1;
    machine.on = true;
  }

  uninstall(machine: Machine): void {
    this.forget(machine);
    machine.installed = undefined;
    machine.binary = undefined;
    machine.ran = undefined;
    machine.config = 0;
    machine.live = 0;
  }

  powerOff(machine: Machine): void {
    if (machine.on) machine.justDied = true;
    machine.on = false;
  }

  /** k3s is enabled at boot, unless it was stopped by hand. */
  powerOn(machine: Machine, slow: number): void {
    if (machine.on) return;
    machine.on = true;
    if (machine.started) this.start(machine, slow);
  }
}
