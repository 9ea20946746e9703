import { compareVersions, type K3sVersion, parseVersion, whyNotUpgrade } from '../k3s/version.ts';
import type { RefusedCluster } from './cluster-plan.ts';
import { type ClusterView, isToStepDown, type NodeView } from './cluster-view.ts';
import { refused } from './refusal.ts';

/** A server as it is now: of the inventory, on its way to agent, or nobody's. */
interface Running {
  readonly name: string;
  readonly version: K3sVersion;
}

/** How many minors a kubelet may be older. @see https://kubernetes.io/releases/version-skew-policy/ */
const kubeletLag = 3;

/** Why the releases that are asked for must not meet those that run, or `undefined`. */
export function whyNotVersions(view: ClusterView): RefusedCluster | undefined {
  return whyNotServers(view) ?? whyNotAgents(view);
}

function whyNotServers(view: ClusterView): RefusedCluster | undefined {
  const running = runningServers(view);
  for (const server of view.servers) {
    const { target, workable } = server;
    if (!workable || target === undefined) continue;
    const own = running.find(({ name }) => name === server.host)?.version;
    if (own !== undefined && compareVersions(own, target) === 0) continue;
    const unknown = own !== undefined && target.minor > own.minor ? ofUnknownVersion(view) : undefined;
    if (unknown !== undefined) {
      return refused(
        'VERSION_UNKNOWN',
        `no API answers and ${unknown.host} does not either, so that nobody knows whether ${target.text} is too new for it`,
        'Start the cluster with the release that it runs, or bring that server back; then upgrade.',
        unknown.host,
      );
    }
    const hindrance = own && whyNotUpgrade(own, target);
    if (hindrance) return refused(codeOf(own, target), hindrance.because, hindrance.fix, server.host);
    for (const other of running) {
      if (other.name === server.host) continue;
      const gap = whyNotBeside(other, server, target, own === undefined);
      if (gap !== undefined) return gap;
    }
  }
  return undefined;
}

/** Who may be a server of the cluster, with whatever release: an agent that does not answer may have been one until now. */
function ofUnknownVersion({ nodes, servers, agents }: ClusterView): NodeView | undefined {
  if (nodes !== undefined) return undefined;
  return [...servers, ...agents.filter(({ inLimit }) => inLimit)].find(({ seen }) => seen === undefined);
}

/** Two API servers may be one minor apart, and who joins must not be older than what wrote the data. */
function whyNotBeside(
  other: Running,
  server: NodeView,
  target: K3sVersion,
  joins: boolean,
): RefusedCluster | undefined {
  const hindrance = whyNotUpgrade(other.version, target);
  if (hindrance === undefined) return undefined;
  const isBack = target.minor <= other.version.minor;
  if (isBack && !joins) return undefined;
  return refused(
    isBack ? 'MINOR_DOWNGRADE' : 'MINOR_SKIPPED',
    isBack
      ? `${other.name} runs ${other.version.text}, and ${server.host} would join it with the older ${target.text}`
      : `${server.host} would run ${target.text} while ${other.name} runs ${other.version.text}: servers may be one minor apart`,
    isBack
      ? `Give ${server.host} the version of the others.`
      : `Bring ${other.name} to v${target.major}.${target.minor - 1} first, or take it out of the cluster.`,
    server.host,
  );
}

function codeOf(from: K3sVersion, to: K3sVersion): string {
  return from.major === to.major && to.minor > from.minor ? 'MINOR_SKIPPED' : 'MINOR_DOWNGRADE';
}

function whyNotAgents(view: ClusterView): RefusedCluster | undefined {
  const lowest = lowestOf(serversAfter(view));
  const highest = highestRaised(view);
  for (const agent of view.agents) {
    const because = whyNotNewer(agent, lowest, view) ?? whyNotBack(agent) ?? whyNotLeftBehind(agent, highest);
    if (because !== undefined) return because;
  }
  return undefined;
}

/** The kubelet of a node that steps down runs beside the API servers that step down after it, and these are older still. */
function whyNotNewer(
  agent: NodeView,
  lowest: Running | undefined,
  view: ClusterView,
): RefusedCluster | undefined {
  const { target, version } = agent;
  const starts = changesVersion(agent) || (agent.workable && agent.seen?.installedRole !== 'agent');
  if (!starts || target === undefined) return undefined;
  // They step down oldest first.
  const isLater = (other: Running) => version === undefined || compareVersions(other.version, version) >= 0;
  const others = isToStepDown(agent)
    ? steppingDown(view).filter((other) => other.name !== agent.host && isLater(other))
    : [];
  const oldest = lowestOf([...(lowest === undefined ? [] : [lowest]), ...others]);
  if (oldest === undefined || compareVersions(target, oldest.version) <= 0) return undefined;
  return refused(
    'AGENT_NEWER',
    `${agent.host} would run ${target.text} while the server ${oldest.name} runs ${oldest.version.text}: an agent is never newer than a server`,
    `Bring ${oldest.name} to ${target.text} first or in the same run, while it is a server; or take it out of the cluster.`,
    agent.host,
  );
}

function whyNotBack(agent: NodeView): RefusedCluster | undefined {
  const { target, version } = agent;
  if (!changesVersion(agent) || isToStepDown(agent) || target === undefined || version === undefined)
    return undefined;
  if (agent.node === undefined || target.minor >= version.minor) return undefined;
  return refused(
    'MINOR_DOWNGRADE',
    `${version.text} runs on ${agent.host}, and a node cannot go back to ${target.text}`,
    `Keep the minor version, or reset ${agent.host} and let it join anew.`,
    agent.host,
  );
}

function whyNotLeftBehind(agent: NodeView, highest: Running | undefined): RefusedCluster | undefined {
  const { version } = agent;
  const isHere = agent.seen !== undefined && agent.node !== undefined && !isToStepDown(agent);
  if (!isHere || version === undefined || highest === undefined) return undefined;
  if (highest.version.minor - version.minor <= kubeletLag) return undefined;
  return refused(
    'AGENT_TOO_OLD',
    `${agent.host} runs ${version.text}, more than ${kubeletLag} minors behind the ${highest.version.text} that ${highest.name} is to run`,
    `Bring ${agent.host} to the version that the servers run now, then upgrade them.`,
    agent.host,
  );
}

function changesVersion({ workable, target, version }: NodeView): boolean {
  return (
    workable && target !== undefined && (version === undefined || compareVersions(version, target) !== 0)
  );
}

/** The oldest of the servers that run now: an agent must not be newer, whenever it starts. */
export function lowestServerNow(view: ClusterView, except: NodeView): K3sVersion | undefined {
  return lowestOf(runningServers(view).filter(({ name }) => name !== except.host))?.version;
}

/** The servers once their part of the plan is done, before any agent is touched. */
function serversAfter(view: ClusterView): readonly Running[] {
  const gone = new Set(
    view.agents.filter((one) => isToStepDown(one) && one.workable).map(({ host }) => host),
  );
  const targets = view.servers.flatMap(({ host, target, workable }) =>
    workable && target !== undefined ? [{ name: host, version: target }] : [],
  );
  const changed = new Set(targets.map(({ name }) => name));
  return [...targets, ...runningServers(view).filter(({ name }) => !changed.has(name) && !gone.has(name))];
}

function steppingDown(view: ClusterView): readonly Running[] {
  const hosts = new Set(view.agents.filter(isToStepDown).map(({ host }) => host));
  return runningServers(view).filter(({ name }) => hosts.has(name));
}

/** The newest minor that a server is to be raised to; `undefined` where all keep theirs. */
function highestRaised(view: ClusterView): Running | undefined {
  const raised = view.servers.flatMap(({ host, workable, target, version }) =>
    workable && target && version && target.minor > version.minor ? [{ name: host, version: target }] : [],
  );
  return raised.sort((a, b) => compareVersions(b.version, a.version))[0];
}

function lowestOf(servers: readonly Running[]): Running | undefined {
  return [...servers].sort((a, b) => compareVersions(a.version, b.version))[0];
}

function runningServers(view: ClusterView): readonly Running[] {
  const own = [...view.servers, ...view.agents].filter(isServerNow);
  const strangers = view.strangers.filter(({ role }) => role === 'server');
  return [
    ...own.flatMap(({ host, version }) => (version === undefined ? [] : [{ name: host, version }])),
    ...strangers.flatMap(({ name, version }) => {
      const parsed = parseVersion(version);
      return parsed === undefined ? [] : [{ name, version: parsed }];
    }),
  ];
}

/** Of one that does not answer, the cluster's own list tells: it may come back as old as it was. */
function isServerNow(one: NodeView): boolean {
  const { seen, node } = one;
  if (seen === undefined) return node?.role === 'server';
  return seen.data !== 'none' || isToStepDown(one);
}
