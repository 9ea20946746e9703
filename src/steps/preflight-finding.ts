import type { HostFacts } from '../facts/host.ts';
import type { Iptables } from '../facts/iptables.ts';
import type { InUse } from '../facts/k3s-in-use.ts';
import type { PortState } from '../facts/port.ts';
import type { FreeSpaceKiB, HostProxy, Listener, OtherKubernetes } from '../facts/preflight.ts';
import type { Reached } from '../facts/reach.ts';
import type { TimeService } from '../facts/time-service.ts';
import type { Role } from '../k3s/paths.ts';
import type { ResolvedOpening } from './k3s-firewall-needs.ts';

/** Everything that is looked for; docs/preflight.md has a section for each. */
export const checks = [
  ...[
    'access',
    'system',
    'architecture',
    'init',
    'read-only-system',
    'node-name',
    'machine-id',
    'product-uuid',
    'mac',
  ],
  ...['clock', 'time-sync', 'cgroup-memory', 'memory', 'disk', 'reboot', 'iptables', 'port'],
  ...['other-kubernetes', 'other-cluster', 'default-route', 'dns', 'name-server', 'name', 'proxy', 'mtu'],
  ...['path-mtu', 'api-endpoint', 'tcp-port', 'udp-port', 'outside'],
] as const;

export type Check = (typeof checks)[number];

/** A reason why k3s would not start, would hang or would misbehave later. */
export interface Finding {
  /** `error` stops; `warning` is worth knowing. */
  readonly severity: 'error' | 'warning';
  readonly check: Check;
  readonly host: string;
  readonly evidence: string;
  readonly fix: string;
  /** Where it stands why that matters, and what else to try: `docs/preflight.md#mtu`. */
  readonly docs: string;
}

/** A finding as a judge makes it. */
export type Found = Omit<Finding, 'docs'>;

/** The finding with the place of its explanation. */
export function explained(found: Found): Finding {
  return { ...found, docs: `docs/preflight.md#${found.check}` };
}

/** What one host answered, and what the inventory wants of it. */
export interface PreflightHost {
  readonly host: string;
  readonly role: Role;
  /** What k3s will call the node. */
  readonly nodeName: string;
  readonly facts: HostFacts;
  readonly service: InUse | undefined;
  readonly freeKiB: FreeSpaceKiB;
  readonly listeners: readonly Listener[];
  readonly openings: readonly ResolvedOpening[];
  /** Where it finds the API, and whether it answers: of agents, and of servers that have to join. */
  readonly api:
    | {
        readonly url: string;
        readonly state: PortState;
        /** The server of this cluster whose own address it is. */
        readonly server?: string | undefined;
      }
    | undefined;
  /** How long connecting and asking took: the clock was read somewhere within. */
  readonly askedMs: number;
  readonly others: OtherKubernetes | undefined;
  readonly time: TimeService | undefined;
  readonly iptables: Iptables;
  /** What the user's own configuration says of k3s' own iptables. */
  readonly prefersBundled: boolean | undefined;
  readonly proxy: HostProxy | undefined;
  readonly isReadOnly: boolean | undefined;
  /** What a host that has no k3s yet could reach. */
  readonly reached: Reached | undefined;
  /** Whose address a way of `reached` leads to, and what for: by `tcp 10.0.0.1 6443`, and `path 10.0.0.1`. */
  readonly ways: ReadonlyMap<string, Way>;
  /** The nodes' addresses, and the pods' and services' networks: what a proxy must be kept out of. */
  readonly unproxied: readonly string[];
  /** `NAME=value` of the k3s service, as the inventory has them. */
  readonly environment: readonly string[];
  /** The hosts of the URLs at which this cluster is found. */
  readonly endpoints: readonly string[];
  /** fleet will open the ports itself. */
  readonly opensPorts: boolean;
}

/** Where a try leads to. */
export interface Way {
  readonly what: string;
  /** The inventory name of the host there; `undefined` for one outside. */
  readonly host: string | undefined;
}

/** Its k3s runs: what runs proves that it can. */
export function runs(host: PreflightHost | undefined): boolean {
  return host?.service?.state === 'active';
}

/** k3s was never there, or is away: what is found counts for its first start. */
export function isFresh({ service }: PreflightHost): boolean {
  return service === undefined || service.state === 'absent';
}
