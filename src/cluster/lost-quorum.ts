import { quorumOf } from '../k3s/quorum.ts';
import type { RefusedCluster } from './cluster-plan.ts';
import {
  type ClusterView,
  hasJoined,
  hostsOf,
  isStopped,
  isToStepDown,
  listed,
  type NodeView,
} from './cluster-view.ts';
import type { Members } from './members.ts';
import { mayPass, refused } from './refusal.ts';

/**
 * The servers to start where no API answers, or why that would not help. What runs is not restarted here, unless it is the
 * only member: two may well be the quorum of three, and an API that is slow to answer must not cost it.
 */
export function whyNotStart(view: ClusterView, members: Members): readonly NodeView[] | RefusedCluster {
  const joined = view.servers.filter((one) => hasJoined(view, one));
  const starters = joined.filter(
    (one) => one.workable && (isStopped(one) || one.seen?.pending !== 'restart' || members.size < 2),
  );
  const outside = joined.filter((one) => isStopped(one) && !one.workable);
  if (outside.length > 0 && !starters.some(isStopped)) {
    return refused(
      'LIMIT_ORDER',
      `no API answers, and ${listed(hostsOf(outside))}, which ${outside.length === 1 ? 'is' : 'are'} stopped, ${outside.length === 1 ? 'is' : 'are'} not among the hosts that this run may work on`,
      'Run again, without --limit, so that the servers are started first.',
      outside[0]?.host,
    );
  }
  return whyNotEnough(view, joined) ?? (starters.length > 0 ? starters : silent(joined));
}

function whyNotEnough(view: ClusterView, joined: readonly NodeView[]): RefusedCluster | undefined {
  if (view.desired.datastore !== 'etcd') return undefined;
  const holders = joined.filter(({ seen }) => seen?.data === 'etcd');
  const steppingDown = view.agents.filter((one) => isToStepDown(one) && one.seen?.data === 'etcd');
  const running = steppingDown.filter((one) => !isStopped(one));
  const known = holders.length + steppingDown.length;
  if (holders.length + running.length < quorumOf(known)) {
    return refused(
      'QUORUM_LOST',
      `etcd has no quorum without ${listed(hostsOf(steppingDown.filter(isStopped)))}, which the inventory makes an agent`,
      'Leave it a server until the cluster runs again, then make an agent of it.',
      steppingDown[0]?.host,
    );
  }
  // What can still be started is started first; only then is it known that it did not suffice.
  if (holders.some(isStopped)) return undefined;
  const missing = view.servers.filter((one) => one.desired.holdsEtcd && one.seen?.data !== 'etcd');
  if (known >= quorumOf(known + missing.length)) return undefined;
  const described = missing.map(
    ({ host, seen }) => `${host} ${seen === undefined ? 'does not answer' : 'has no data'}`,
  );
  const lost = refused(
    'QUORUM_LOST',
    `${listed(hostsOf(holders))} ${holders.length === 1 ? 'runs' : 'run'} without becoming ready, and ${described.join(', ')}: etcd seems to have lost its quorum`,
    'Bring the missing members back with their data, or wait if the servers have only just started. If the data is gone for good: fleet snapshot restore FILE',
  );
  return missing.some(({ seen }) => seen === undefined) ? lost : mayPass(lost);
}

function silent(joined: readonly NodeView[]): RefusedCluster {
  return mayPass(
    refused(
      'API_SILENT',
      `${listed(hostsOf(joined))} run, none of them is ready, and all would have to be restarted at once`,
      'Wait and run again; or look at their logs, stop k3s on them (fleet stop) and run fleet up, which starts them with what the inventory says.',
    ),
  );
}
