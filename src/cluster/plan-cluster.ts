import { agentWaves } from './agent-waves.ts';
import type {
  ClusterPlan,
  ClusterWaves,
  DesiredCluster,
  ObservedCluster,
  Policy,
  RefusedCluster,
  Wave,
} from './cluster-plan.ts';
import { type ClusterView, hasJoined, hostsOf, listed, type NodeView, viewOf } from './cluster-view.ts';
import { whyNotOneCluster } from './identity.ts';
import { isRefused, refused } from './refusal.ts';
import { heldWave, withPauses } from './rollout-time.ts';
import { serverWaves } from './server-waves.ts';
import { whyNotVersions } from './skew.ts';

/**
 * What is to be done to a cluster, in an order that costs no quorum, begins no second cluster and never has a node newer
 * than its servers; or why not, and what to do instead. Pure, and the same for the same arguments: it is asked anew
 * after each wave, with what is seen then, so that only the first wave is ever acted on with what was known before.
 * @throws FleetError K3S_VERSION_FORM or BATCH_SIZE where the inventory or the policy says what is neither
 */
export function planCluster(desired: DesiredCluster, observed: ObservedCluster, policy: Policy): ClusterPlan {
  const view = viewOf(desired, observed, policy);
  const refusal =
    whyNotInventory(view) ??
    whyNotReached(view) ??
    whyNotGoOn(view) ??
    whyNotOneCluster(view) ??
    whyNotVersions(view);
  if (refusal !== undefined) return refusal;
  const servers = serverWaves(view);
  if (isRefused(servers)) return servers;
  const agents = servers.isAllThatIsKnown ? [] : agentWaves(view, servers.apis, workedOnIn(servers.waves));
  if (isRefused(agents)) return agents;
  const restarting = [...servers.waves, ...agents];
  const uncordoning = uncordonWave(view, workedOnIn(restarting));
  const waves = withPauses(view, [
    ...uncordoning,
    ...restarting,
    ...liveWave(view, workedOnIn([...uncordoning, ...restarting])),
  ]);
  const held = heldWave(view, waves);
  return {
    verdict: 'waves',
    waves,
    ...(held === undefined ? {} : { held }),
    leftOut: leftOut(view),
    strangers: view.strangers.map(({ name }) => name),
  };
}

function workedOnIn(waves: readonly Wave[]): ReadonlySet<string> {
  return new Set(waves.flatMap(({ hosts }) => hosts));
}

function all(view: ClusterView): readonly NodeView[] {
  return [...view.servers, ...view.agents];
}

function whyNotInventory(view: ClusterView): RefusedCluster | undefined {
  if (view.servers.length === 0) {
    return refused('NO_SERVER', 'the cluster has no server', 'Put at least one host into the server group.');
  }
  const owners = new Map<string, string>();
  for (const { host, desired } of all(view)) {
    const other = owners.get(desired.nodeName);
    if (other !== undefined) {
      return refused(
        'NODE_NAME_TWICE',
        `${other} and ${host} would both be the node ${desired.nodeName}`,
        'Give each host a host name of its own, or set node-name.',
        host,
      );
    }
    owners.set(desired.nodeName, host);
  }
  return undefined;
}

function whyNotReached(view: ClusterView): RefusedCluster | undefined {
  if (view.policy.tolerateDown) return undefined;
  const away = unreached(view);
  if (away.length === 0) return undefined;
  return refused(
    'UNREACHABLE',
    `${listed(hostsOf(away))} ${away.length === 1 ? 'does' : 'do'} not answer`,
    'Bring them back, or go on without them: --tolerate-down.',
    away[0]?.host,
  );
}

function unreached(view: ClusterView): readonly NodeView[] {
  return all(view).filter(({ seen, inLimit }) => inLimit && seen === undefined);
}

/** A server on which work failed ends the run: what failed there would fail on the next one too. */
function whyNotGoOn(view: ClusterView): RefusedCluster | undefined {
  const failed = view.servers.find(({ host }) => view.policy.failed?.includes(host));
  return (
    failed &&
    refused(
      'SERVER_FAILED',
      `work on ${failed.host} failed in this run, so that no other server is touched`,
      'Look at why it failed, then run again: it goes on with this server.',
      failed.host,
    )
  );
}

/** Cordons that a broken-off run left. A host that has a wave of its own takes its cordon back at the end of that. */
function uncordonWave(view: ClusterView, busy: ReadonlySet<string>): readonly Wave[] {
  const cordoned = all(view).filter(
    ({ node, workable, host }) =>
      workable && node?.cordonedByFleet === true && node.unschedulable && !busy.has(host),
  );
  if (cordoned.length === 0) return [];
  return [
    {
      kind: 'uncordon',
      hosts: hostsOf(cordoned),
      because: 'an earlier run cordoned them and was broken off',
      gates: [{ kind: 'api', servers: hostsOf(view.servers).filter((host) => view.readyApis.has(host)) }],
      disruption: 'none: they take new pods again',
    },
  ];
}

/** At the end, all at once: nothing restarts, and by then there is an API to tell. */
function liveWave(view: ClusterView, busy: ReadonlySet<string>): readonly Wave[] {
  const live = all(view).filter(
    (one) => one.workable && one.seen?.pending === 'live' && !busy.has(one.host) && isThere(view, one),
  );
  if (live.length === 0) return [];
  const ready = live.filter(({ node }) => node?.ready === true);
  return [
    {
      kind: 'live',
      hosts: hostsOf(live),
      because: 'what changes needs no restart',
      gates: ready.length === 0 ? [] : [{ kind: 'ready', hosts: hostsOf(ready) }],
      disruption: 'none',
    },
  ];
}

function isThere(view: ClusterView, one: NodeView): boolean {
  return one.desired.role === 'agent' || hasJoined(view, one);
}

function leftOut(view: ClusterView): ClusterWaves['leftOut'] {
  const failed = all(view).filter(({ host }) => view.policy.failed?.includes(host));
  return [
    ...unreached(view).map(({ host }) => ({ host, because: 'it does not answer' })),
    ...failed.map(({ host }) => ({ host, because: 'work on it failed earlier in this run' })),
  ];
}
