import type { Cluster } from '../inventory/cluster.ts';
import { settingsOf } from '../inventory/settings.ts';
import { bundledPlaybook } from '../playbook/bundled.ts';
import type { Invocation, OwnFlags } from './command.ts';
import { type OpenedFleet, openFleet } from './open-fleet.ts';
import { type PlaybookRun, playbookRun } from './playbook-run.ts';

/** A run of one of the playbooks that fleet brings, on the one cluster of the inventory or the one that `--cluster` names. */
export interface ClusterRun extends PlaybookRun {
  /** What kubectl calls it too: the one name that differs from cluster to cluster where groups are all named alike. */
  readonly clusterName: string;
}

/** What `up` refuses to build, and what is there all the same: a cluster of two servers can be stopped, or made smaller. */
export const toleratedByExisting: readonly string[] = ['SERVERS_EVEN'];

export async function clusterRun(
  invocation: Invocation,
  what: {
    readonly command: string;
    readonly playbook:
      | 'site'
      | 'reset'
      | 'reboot'
      | 'remove'
      | 'stop'
      | 'start'
      | 'restart'
      | 'repair'
      | 'upgrade'
      | 'restore'
      | 'restore-back'
      | 'rotate-certs'
      | 'rotate-token'
      | 'rotate-ca'
      | 'rotate-encryption-keys';
    /** What the command says to its playbook; `-e` wins over it. */
    readonly vars?: Readonly<Record<string, unknown>>;
  },
  known?: OpenedFleet,
): Promise<ClusterRun> {
  const opened =
    known ??
    (await openFleet(invocation, {
      needsCluster: true,
      ...(what.playbook === 'site' ? {} : { tolerates: toleratedByExisting }),
    }));
  const cluster = opened.cluster();
  const run = await playbookRun(
    invocation,
    {
      command: what.command,
      path: bundledPlaybook(what.playbook),
      isShipped: true,
      // One run at a time per cluster: whoever comes second finds the first server locked.
      lockFirst: cluster.servers.map((host) => host.name),
    },
    within(opened, cluster, what.vars ?? {}),
  );
  const [first] = cluster.servers;
  return { ...run, clusterName: first === undefined ? cluster.name : settingsOf(first).clusterContext };
}

/** What `up`, `upgrade` and `plan` say to site.yml. */
export function siteVars(flags: OwnFlags): Readonly<Record<string, unknown>> {
  return {
    ...(flags.has('prune') ? { prune_nodes: true } : {}),
    ...(flags.has('allowRemovedApis') ? { allow_removed_apis: true } : {}),
  };
}

/** The same inventory, seen as this cluster's: its groups are what the playbooks mean, and no other cluster's host is touched. */
function within(opened: OpenedFleet, cluster: Cluster, vars: Readonly<Record<string, unknown>>): OpenedFleet {
  const { serverGroup, agentGroup, nodes } = cluster;
  return {
    ...opened,
    scope: opened.scope.with({ server_group: serverGroup, agent_group: agentGroup, ...vars }),
    extraVars: { ...vars, ...opened.extraVars },
    hostsOf: (pattern) => opened.hostsOf(pattern).filter((host) => nodes.includes(host)),
  };
}
