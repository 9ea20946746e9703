import type { MaintenanceWindow } from '../inventory/maintenance-window.ts';
import type { PausePoint } from '../inventory/rollout-pauses.ts';
import type { Role } from '../k3s/paths.ts';

/** Where a cluster keeps its state: one server's SQLite, etcd among the servers, or a database that is not ours. */
export type Datastore = 'sqlite' | 'etcd' | 'external';

/** What the inventory wants of one node. */
export interface DesiredNode {
  /** The inventory's name for the host. */
  readonly host: string;
  /** What Kubernetes calls it. */
  readonly nodeName: string;
  readonly role: Role;
  /** `v1.33.4+k3s1`; `undefined` where no version is asked for (reboot, restart). */
  readonly version: string | undefined;
  /** A server that holds an etcd member when the cluster is on etcd (not one with `disable-etcd`). */
  readonly holdsEtcd: boolean;
}

export interface DesiredCluster {
  /** In inventory order. */
  readonly servers: readonly DesiredNode[];
  readonly agents: readonly DesiredNode[];
  readonly datastore: Datastore;
}

/**
 * What its own steps would do to a host if they ran now: nothing, only what needs no restart, or more. Waiting for a k3s
 * that is on its way up, with what is on disk, is no restart.
 */
export type PendingWork = 'nothing' | 'live' | 'restart';

/** What was seen of one host that answers. */
export interface ObservedHost {
  /** The role that is installed, whatever the inventory says; `undefined` where k3s is not. */
  readonly installedRole: Role | undefined;
  readonly service: 'absent' | 'inactive' | 'activating' | 'active' | 'deactivating' | 'failed';
  /** `v1.33.4+k3s1` as the API or the process tells, not the file on disk. */
  readonly runningVersion: string | undefined;
  /**
   * The release that ran here last, where `runningVersion` is silent because k3s is stopped: that of the unpacked
   * `data/current/bin/k3s`, else of the binary on disk. A stopped server must not come back two minors later either.
   */
  readonly lastVersion?: string | undefined;
  readonly data: 'none' | 'sqlite' | 'etcd' | 'external';
  /** The sha256 of the CA that its token names: two of them among the servers are two clusters. */
  readonly caHash: string | undefined;
  readonly pending: PendingWork;
}

/** A Node object, as a healthy API server has it. */
export interface ObservedNode {
  readonly name: string;
  /** As ready as it can be: where the network comes later (`flannel-backend: none`), a registered node is. */
  readonly ready: boolean;
  /** `undefined` for a node without an etcd member. */
  readonly etcdVoter: boolean | undefined;
  readonly version: string;
  readonly role: Role;
  readonly unschedulable: boolean;
  /** fleet cordoned it and has not taken that back yet. */
  readonly cordonedByFleet: boolean;
}

export interface ObservedCluster {
  /** By inventory name; a host that did not answer is not in it. Every server is asked, whatever the limit; agents outside it need not be. */
  readonly hosts: ReadonlyMap<string, ObservedHost>;
  /** `undefined` where no server's API answers. */
  readonly nodes: readonly ObservedNode[] | undefined;
  /** Servers (inventory names) whose own `/readyz` is ok. */
  readonly readyApis: readonly string[];
}

/** What the person who runs fleet allows and prefers. */
export interface Policy {
  /** Agents worked on at once: a number, or a percentage of all agents such as `25%`. */
  readonly agentBatch: number | string;
  /** Agents that may be not Ready at once, those in work included; a number or a percentage. */
  readonly maxUnavailable: number | string;
  /**
   * Unreachable hosts are left out and reported, rather than refused up front: agents always, servers as long as the
   * quorum can spare them.
   */
  readonly tolerateDown: boolean;
  /** Bootstrap although servers that might hold the cluster do not answer. */
  readonly forceBootstrap: boolean;
  /** Inventory names that go first among those of their role; the rollout ends if one fails. */
  readonly canary: readonly string[];
  /** Only these hosts may be changed (`--limit`); all when `undefined`. */
  readonly limit: readonly string[] | undefined;
  /** Hosts on which work failed earlier in this run: not tried again, and away where agents are counted. */
  readonly failed?: readonly string[] | undefined;
  /** Hosts that this run has worked on: once is enough, whatever has become of them since. */
  readonly done?: readonly string[] | undefined;
  /** When what runs may be disturbed, and what time it is; at any time where it is not given. */
  readonly maintenance?: { readonly windows: readonly MaintenanceWindow[]; readonly now: Date } | undefined;
  /** Where the rollout pauses. */
  readonly pauseAfter?: readonly PausePoint[] | undefined;
}

/** What a wave does to its hosts. */
export type WaveKind =
  /** The first server of a cluster that does not exist yet. */
  | 'bootstrap'
  | 'join'
  /** The only server's SQLite becomes etcd's first member. */
  | 'migrate'
  /**
   * Servers with data that are stopped, or not well yet, started together and awaited: alone none of them becomes ready
   * once the quorum is lost. All of a host's steps run, for a wrong config may be what stopped it.
   */
  | 'start'
  | 'restart'
  | 'upgrade'
  /** An agent becomes a server or a server an agent. */
  | 'convert'
  /** What needs no restart, on all hosts at once. */
  | 'live'
  /** A cordon that a broken-off run left is taken back. */
  | 'uncordon';

/**
 * What must hold before the next wave. Checked by the engine from fresh observation, with a deadline; a gate that does
 * not open ends the run, or, for agents, counts them as failed.
 */
export type Gate =
  | { readonly kind: 'ready'; readonly hosts: readonly string[] }
  | { readonly kind: 'voter'; readonly hosts: readonly string[] }
  | { readonly kind: 'api'; readonly servers: readonly string[] };

/** Hosts that are worked on at the same time, and what is awaited before the next. */
export interface Wave {
  readonly kind: WaveKind;
  /** Inventory names. */
  readonly hosts: readonly string[];
  readonly because: string;
  readonly gates: readonly Gate[];
  /** What users of the cluster may notice, for a person: `server-2's API is away for some seconds`. */
  readonly disruption: string;
  /** The rollout pauses behind it, as the policy says. */
  readonly pause?: PausePoint;
}

export interface ClusterWaves {
  readonly verdict: 'waves';
  readonly waves: readonly Wave[];
  /** The first wave that must not begin at this time, if there is one; those before it may. */
  readonly held?: HeldWave;
  /** Hosts that are left out with the reason: unreachable agents under `tolerateDown`. */
  readonly leftOut: readonly { readonly host: string; readonly because: string }[];
  /** Nodes of the cluster that no inventory host is: named, never touched. */
  readonly strangers: readonly string[];
}

/** A wave that would disturb what runs, outside the hours for that. */
export interface HeldWave {
  readonly wave: Wave;
  readonly because: string;
  readonly fix: string;
}

export interface RefusedCluster {
  readonly verdict: 'refused';
  /** `TWO_CLUSTERS`, `QUORUM_AT_RISK`, `MINOR_SKIPPED` … */
  readonly code: string;
  readonly because: string;
  readonly fix: string;
  /** The inventory's host that it is about, where it is one. */
  readonly host?: string;
  /** It is for the health of hosts that answer, which preparing them may mend: final only once they are prepared. */
  readonly mayPass?: true;
}

/** What is to be done to a cluster, in a safe order; no wave at all where nothing is to be done. */
export type ClusterPlan = ClusterWaves | RefusedCluster;
