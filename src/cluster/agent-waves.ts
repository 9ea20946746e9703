import { batchSize } from '../engine/batches.ts';
import type { RefusedCluster, Wave, WaveKind } from './cluster-plan.ts';
import { type ClusterView, hostsOf, isToStepDown, listed, type NodeView } from './cluster-view.ts';
import { mayPass, refused } from './refusal.ts';
import { inTurn, reasonOf } from './server-waves.ts';

/**
 * The agents' part. Those that the cluster does not have yet join together, for nobody misses them. Those that are down
 * come next, for they cannot get worse. The others follow in batches that keep to `maxUnavailable`.
 * @param touched hosts that the servers' part has worked on: who stepped down is an agent by then
 */
export function agentWaves(
  view: ClusterView,
  apis: readonly string[],
  touched: ReadonlySet<string>,
): readonly Wave[] | RefusedCluster {
  const pending = view.agents.filter(
    (one) => one.workable && one.seen?.pending === 'restart' && !touched.has(one.host),
  );
  const [blocked] = pending;
  if (blocked === undefined) return [];
  if (apis.length === 0) {
    return refused(
      'LIMIT_ORDER',
      `${blocked.host} needs a server that runs, and none of them is among the hosts of this run`,
      'Run without --limit, or with the servers in it.',
      blocked.host,
    );
  }
  const fresh = pending.filter(isFresh);
  const down = pending.filter(
    (one) => !isFresh(one) && (one.node?.ready === false || isForgotten(view, one)),
  );
  const ready = pending.filter((one) => !fresh.includes(one) && !down.includes(one));
  const size = ready.length === 0 ? 1 : batchRoom(view, touched);
  if (typeof size !== 'number') return size;
  return [
    ...canariesFirst(view, fresh, fresh.length).map((batch) =>
      waveOf('join', batch, 'new, or set up anew', 'none'),
    ),
    ...canariesFirst(view, down, down.length).map((batch) =>
      waveOf(
        kindOf(batch),
        batch,
        `${batch.every((one) => isForgotten(view, one)) ? 'its Node is gone from the cluster' : 'not Ready'}; ${whyOf(batch)}`,
        'none: they are away already',
      ),
    ),
    ...canariesFirst(view, ready, size).map((batch) =>
      waveOf(
        kindOf(batch),
        batch,
        whyOf(batch),
        `pods of ${listed(hostsOf(batch))} may move; ${batch.length} of ${view.agents.length} agents at a time`,
      ),
    ),
  ];
}

/** Its Node was deleted while its k3s runs on. */
function isForgotten(view: ClusterView, one: NodeView): boolean {
  return view.nodes !== undefined && one.node === undefined;
}

function isFresh({ seen }: NodeView): boolean {
  return seen?.installedRole !== 'agent';
}

/** How many of the agents that are well may be worked on at once; what `tolerateDown` leaves out is accepted as away. */
function batchRoom(view: ClusterView, touched: ReadonlySet<string>): number | RefusedCluster {
  const total = view.agents.length;
  const failed = new Set(view.policy.failed);
  const away = view.agents.filter((one) => {
    if (failed.has(one.host)) return true;
    if (one.node === undefined || isToStepDown(one) || touched.has(one.host)) return false;
    const isRepaired = one.workable && one.seen?.pending === 'restart';
    const isAccepted = one.seen === undefined && one.inLimit && view.policy.tolerateDown;
    return !one.node.ready && !isRepaired && !isAccepted;
  });
  const allowed = atLeastOne(view.policy.maxUnavailable, total);
  const room = allowed - away.length;
  if (room > 0) return Math.min(room, batchSize(view.policy.agentBatch, total));
  const refusal = refused(
    'TOO_MANY_UNAVAILABLE',
    `${listed(hostsOf(away))} ${away.length === 1 ? 'is' : 'are'} not Ready, and max_unavailable allows ${allowed} of ${total} agents to be away`,
    'Bring them back first, or raise max_unavailable.',
    away[0]?.host,
  );
  return away.every(({ seen, host }) => seen !== undefined && !failed.has(host)) ? mayPass(refusal) : refusal;
}

/** Ansible's zero means all; of agents that may be away, it can only mean as few as possible. */
function atLeastOne(limit: number | string, total: number): number {
  return /^0+(\.0+)?%?$/.test(String(limit).trim()) ? 1 : batchSize(limit, total);
}

function canariesFirst(view: ClusterView, agents: readonly NodeView[], size: number): NodeView[][] {
  const canary = new Set(view.policy.canary);
  const ordered = inTurn(view, agents, ({ node }) => (node?.cordonedByFleet === true ? 0 : 1));
  const first = ordered.filter(({ host }) => canary.has(host));
  const rest = ordered.filter(({ host }) => !canary.has(host));
  return [...cut(first, size), ...cut(rest, size)];
}

function cut(agents: readonly NodeView[], size: number): NodeView[][] {
  const batches: NodeView[][] = [];
  for (let start = 0; start < agents.length; start += size) batches.push(agents.slice(start, start + size));
  return batches;
}

function kindOf(batch: readonly NodeView[]): WaveKind {
  return batch.some((one) => reasonOf(one).kind === 'upgrade') ? 'upgrade' : 'restart';
}

function whyOf(batch: readonly NodeView[]): string {
  return [...new Set(batch.map((one) => reasonOf(one).because))].join('; ');
}

function waveOf(kind: WaveKind, batch: readonly NodeView[], because: string, disruption: string): Wave {
  return {
    kind,
    hosts: hostsOf(batch),
    because,
    gates: [{ kind: 'ready', hosts: hostsOf(batch) }],
    disruption,
  };
}
