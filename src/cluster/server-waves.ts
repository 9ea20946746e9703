import { compareVersions } from '../k3s/version.ts';
import type { Gate, RefusedCluster, Wave, WaveKind } from './cluster-plan.ts';
import {
  type ClusterView,
  hasJoined,
  hostsOf,
  isStopped,
  isToMigrate,
  isToStepDown,
  isWell,
  listed,
  type NodeView,
} from './cluster-view.ts';
import { membershipIn } from './identity.ts';
import { whyNotStart } from './lost-quorum.ts';
import { type Members, membersOf, whyNotRemove, whyNotStop } from './members.ts';
import { isRefused, refused } from './refusal.ts';
import { lowestServerNow } from './skew.ts';

/** The servers' waves, and what the cluster is foreseen to be after them. */
export interface ServerWaves {
  readonly waves: readonly Wave[];
  /** Servers whose API is foreseen to answer: who joins needs one. */
  readonly apis: readonly string[];
  /** What comes after them is decided once an API tells what the cluster is. */
  readonly isAllThatIsKnown: boolean;
}

/** What the servers are foreseen to be after the waves so far: each wave's gate sees to it that this comes true. */
class Course {
  readonly waves: Wave[] = [];
  readonly apis: Set<string>;
  #members: Map<string, boolean>;
  readonly #view: ClusterView;

  constructor(view: ClusterView) {
    this.#view = view;
    this.#members = new Map(membersOf(view));
    this.apis = new Set(hostsOf(view.servers.filter((server) => isWell(view, server))));
  }

  get members(): Members {
    return this.#members;
  }

  /** Hosts are worked on together; afterwards they, and who else is awaited, are servers that are well. */
  up(
    kind: WaveKind,
    servers: readonly NodeView[],
    because: string,
    disruption: string,
    awaited: readonly NodeView[] = servers,
  ): void {
    const votes =
      this.#view.desired.datastore === 'etcd' ? awaited.filter((one) => one.desired.holdsEtcd) : [];
    for (const one of awaited) this.apis.add(one.host);
    for (const { desired } of votes) this.#members.set(desired.nodeName, true);
    const gates: Gate[] = [{ kind: 'ready', hosts: hostsOf(awaited) }];
    if (votes.length > 0) gates.push({ kind: 'voter', hosts: hostsOf(votes) });
    gates.push({ kind: 'api', servers: this.#inOrder() });
    this.waves.push({ kind, hosts: hostsOf(servers), because, gates, disruption });
  }

  /** A member that runs votes again once its quorum is back. */
  votesAgain({ desired }: NodeView): void {
    this.#members.set(desired.nodeName, true);
  }

  /** A server becomes an agent; its member is gone afterwards. */
  down(server: NodeView, because: string, disruption: string): void {
    this.#members.delete(server.desired.nodeName);
    const gates: Gate[] = [
      { kind: 'ready', hosts: [server.host] },
      { kind: 'api', servers: this.#inOrder() },
    ];
    this.waves.push({ kind: 'convert', hosts: [server.host], because, gates, disruption });
  }

  #inOrder(): string[] {
    return hostsOf(this.#view.servers).filter((host) => this.apis.has(host));
  }
}

/**
 * The servers' part: what is stopped is started, who is missing joins, then each that needs it is restarted, one at a
 * time, and only while the others hold the quorum.
 */
export function serverWaves(view: ClusterView): ServerWaves | RefusedCluster {
  const course = new Course(view);
  const first = begin(view, course);
  if (first !== undefined) return first;
  const begun = course.waves.length;
  const refusal =
    stepDown(view, course, 'early') ??
    touch(view, course, (one) => isOnItsWayIn(view, one)) ??
    join(view, course) ??
    touch(view, course, () => true) ??
    promote(view, course) ??
    stepDown(view, course, 'late');
  const outcome = { waves: course.waves, apis: [...course.apis], isAllThatIsKnown: false };
  if (refusal === undefined) return outcome;
  // A quorum that was lost is brought back first, and what was foreseen of what comes then may be wrong.
  const isStart = view.nodes === undefined && course.waves[0]?.kind === 'start';
  return isStart ? { ...outcome, waves: course.waves.slice(0, begun), isAllThatIsKnown: true } : refusal;
}

/** Until an API answers nothing else can be done: the cluster is begun, or what is stopped of it is started. */
function begin(view: ClusterView, course: Course): RefusedCluster | undefined {
  const holders = view.servers.filter(({ seen }) => (seen?.data ?? 'none') !== 'none');
  if (holders.length === 0) return bootstrap(view, course);
  const migrating = view.servers.find((server) => isToMigrate(view, server));
  if (migrating !== undefined) return migrate(view, course, migrating);
  if (view.nodes === undefined) {
    const starters = whyNotStart(view, course.members);
    if (isRefused(starters)) return starters;
    course.up(
      'start',
      starters,
      `no API answers: ${starters.length === 1 ? `${starters[0]?.host} is` : `${listed(hostsOf(starters))} are`} started${starters.length === 1 ? '' : ' together'} and awaited`,
      'none: the API is away already',
      view.servers.filter((one) => starters.includes(one) || (hasJoined(view, one) && !isStopped(one))),
    );
    for (const one of view.agents) {
      if (one.seen?.data === 'etcd' && !isStopped(one)) course.votesAgain(one);
    }
    return undefined;
  }
  const idle = view.servers.filter((one) => one.workable && hasJoined(view, one) && !isWell(view, one));
  const starters = idle.filter((one) => isStopped(one) || one.seen?.pending !== 'restart');
  if (starters.length === 0) return undefined;
  const stopped = starters.filter(isStopped);
  course.up(
    'start',
    starters,
    stopped.length === 0
      ? `${listed(hostsOf(starters))} ${starters.length === 1 ? 'is' : 'are'} not well yet: awaited before another server is touched`
      : `k3s is stopped on ${listed(hostsOf(stopped))}`,
    'none: the other servers serve meanwhile',
  );
  return undefined;
}

function bootstrap(view: ClusterView, course: Course): RefusedCluster | undefined {
  const isShared = view.desired.datastore === 'external';
  const first = isShared
    ? (view.servers.find(({ workable }) => workable) ?? view.servers[0])
    : view.servers.find((server) => {
        const { kind } = membershipIn(view, server);
        return kind === 'init' || kind === 'single';
      });
  if (first === undefined) return undefined;
  if (!first.workable) {
    return outOfLimit(
      `no cluster is there yet, and ${first.host}, which would begin it, is not among the hosts of this run`,
      first,
    );
  }
  if (view.desired.datastore === 'etcd' && !first.desired.holdsEtcd) {
    return refused(
      'NO_ETCD_SERVER',
      `${first.host} would begin the cluster, and has disable-etcd`,
      'List a server that holds etcd first.',
      first.host,
    );
  }
  course.up(
    'bootstrap',
    [first],
    isShared
      ? `no server has started yet; ${first.host} sets the database up alone`
      : 'no server has a cluster yet',
    'none: nothing runs yet',
  );
  return undefined;
}

function migrate(view: ClusterView, course: Course, server: NodeView): RefusedCluster | undefined {
  if (!server.workable) {
    const grows = view.servers.some((one) => one.workable && one !== server);
    return grows
      ? outOfLimit(
          `${server.host} keeps the cluster in SQLite, which must become etcd before another server joins`,
          server,
        )
      : undefined;
  }
  course.up(
    'migrate',
    [server],
    `its SQLite data becomes etcd's first member`,
    `the API is away while ${server.host} restarts`,
  );
  return undefined;
}

/** Etcd takes one learner at a time; where the data is elsewhere, one at a time keeps the waves alike. */
function join(view: ClusterView, course: Course): RefusedCluster | undefined {
  const joiners = view.servers.filter(
    (one) =>
      one.workable &&
      !hasJoined(view, one) &&
      one.seen?.installedRole !== 'agent' &&
      !course.apis.has(one.host),
  );
  // A wiped server's dead member goes as it joins: that makes the quorum safer for whatever comes next.
  const isReplaced = (one: NodeView): boolean => course.members.get(one.desired.nodeName) === false;
  const ordered = inTurn(view, joiners, (one) => (isReplaced(one) ? 0 : 1));
  for (const one of ordered) {
    const hindrance = whyNotJoin(view, course, one);
    if (hindrance !== undefined) return hindrance;
    course.up(
      'join',
      [one],
      isReplaced(one)
        ? `${one.host} was set up anew: it joins again, and its old member goes`
        : `${one.host} is new`,
      'none',
    );
  }
  return undefined;
}

function whyNotJoin(view: ClusterView, course: Course, joiner: NodeView): RefusedCluster | undefined {
  if (course.apis.size === 0) return noApi(joiner);
  if (!joiner.desired.holdsEtcd) return undefined;
  const doubtful = view.nodes?.find(
    ({ name, etcdVoter }) =>
      etcdVoter === false &&
      name !== joiner.desired.nodeName &&
      course.members.get(name) === false &&
      !view.servers.some((one) => one.desired.nodeName === name && one.workable),
  );
  if (doubtful === undefined) return undefined;
  return refused(
    'MEMBER_NOT_WELL',
    `the etcd member of ${doubtful.name} does not vote, and etcd takes no other while one is on its way in`,
    `Bring ${doubtful.name} back, or take it out of the cluster if it is gone for good: fleet remove ${doubtful.name}`,
    joiner.host,
  );
}

/** Restarts and upgrades: whoever is not well first, since that costs nothing; then what an earlier run began. */
function touch(
  view: ClusterView,
  course: Course,
  isMeant: (one: NodeView) => boolean,
): RefusedCluster | undefined {
  const done = new Set(course.waves.flatMap(({ hosts }) => hosts));
  const pending = view.servers.filter(
    (one) =>
      one.workable &&
      one.seen?.pending === 'restart' &&
      hasJoined(view, one) &&
      !done.has(one.host) &&
      isMeant(one),
  );
  const ordered = inTurn(view, pending, (one) => (isWell(view, one) ? (isBegun(one) ? 1 : 2) : 0));
  for (const one of ordered) {
    const hindrance = whyNotStop(course.members, one.desired.nodeName);
    if (hindrance !== undefined) return quorumAtRisk(one, hindrance);
    const { kind, because } = reasonOf(one);
    course.up(kind, [one], because, disruptionOf(view, course, one));
  }
  return undefined;
}

/** A member that may be a learner still: etcd takes no other before it votes. */
function isOnItsWayIn(view: ClusterView, one: NodeView): boolean {
  return one.seen?.data === 'etcd' && one.node?.etcdVoter !== true && !isWell(view, one);
}

function isBegun({ node, seen, target }: NodeView): boolean {
  return node?.cordonedByFleet === true || (target !== undefined && seen?.lastVersion === target.text);
}

/** Why a node that is there is worked on. */
export function reasonOf(one: NodeView): { kind: 'upgrade' | 'restart'; because: string } {
  const { version, target } = one;
  if (version !== undefined && target !== undefined && compareVersions(version, target) !== 0) {
    return { kind: 'upgrade', because: `${version.text} → ${target.text}` };
  }
  return { kind: 'restart', because: 'what it runs with changes' };
}

function disruptionOf(view: ClusterView, course: Course, one: NodeView): string {
  const others = [...course.apis].filter((host) => host !== one.host);
  const isNeeded = course.members.size === 2 && course.members.has(one.desired.nodeName);
  if (isNeeded) return `the API is away for some seconds: with two etcd members each is needed`;
  if (others.length === 0 || view.servers.length === 1)
    return 'the API is away for some seconds; pods run on';
  return `the API of ${one.host} is away for some seconds; ${listed(others)} ${others.length === 1 ? 'serves' : 'serve'}`;
}

/** Agents that become servers: before others step down, so that the quorum grows before it shrinks. */
function promote(view: ClusterView, course: Course): RefusedCluster | undefined {
  const agents = view.servers.filter(
    (one) => one.workable && one.seen?.installedRole === 'agent' && !course.apis.has(one.host),
  );
  for (const one of inTurn(view, agents, () => 0)) {
    const hindrance = whyNotJoin(view, course, one);
    if (hindrance !== undefined) return hindrance;
    course.up(
      'convert',
      [one],
      `${one.host} is an agent and becomes a server`,
      `the pods of ${one.host} move away`,
    );
  }
  return undefined;
}

/**
 * Servers that become agents. One that is dead goes early, for that makes the quorum safer, unless the release that it is
 * to run is too new for the servers as they are now.
 */
function stepDown(view: ClusterView, course: Course, when: 'early' | 'late'): RefusedCluster | undefined {
  const done = new Set(course.waves.flatMap(({ hosts }) => hosts));
  const servers = view.agents.filter(
    (one) => one.workable && !done.has(one.host) && (isToStepDown(one) || isDeadMember(course, one)),
  );
  const turn = servers.filter(
    (one) => when === 'late' || (isDeadMember(course, one) && isOldEnough(view, one)),
  );
  for (const one of oldestFirst(turn)) {
    if (course.apis.size === 0) return noApi(one);
    const hindrance = whyNotRemove(course.members, one.desired.nodeName);
    if (hindrance !== undefined) return quorumAtRisk(one, hindrance);
    course.down(
      one,
      `${one.host} is a server and becomes an agent: its etcd member is taken out first`,
      `the pods of ${one.host} move away`,
    );
  }
  return undefined;
}

/** Who has stepped down must not be newer than who is still to do so; a machine that was set up anew runs the newest. */
function oldestFirst(servers: readonly NodeView[]): NodeView[] {
  return [...servers].sort((a, b) => {
    if (a.version === undefined || b.version === undefined)
      return Number(a.version === undefined) - Number(b.version === undefined);
    return compareVersions(a.version, b.version);
  });
}

function isDeadMember(course: Course, one: NodeView): boolean {
  return course.members.get(one.desired.nodeName) === false;
}

function isOldEnough(view: ClusterView, one: NodeView): boolean {
  const lowest = lowestServerNow(view, one);
  return one.target === undefined || lowest === undefined || compareVersions(one.target, lowest) <= 0;
}

function quorumAtRisk(one: NodeView, because: string): RefusedCluster {
  return refused(
    'QUORUM_AT_RISK',
    because,
    'Bring the members that are not well back, or take out those that are gone for good (fleet remove HOST); then run again.',
    one.host,
  );
}

function noApi(one: NodeView): RefusedCluster {
  return outOfLimit(
    `${one.host} needs a server that runs, and none of them is among the hosts of this run`,
    one,
  );
}

function outOfLimit(because: string, one: NodeView): RefusedCluster {
  return refused('LIMIT_ORDER', because, 'Run without --limit, or with that server in it.', one.host);
}

/** By rank, then canaries, then as the inventory lists them. */
export function inTurn(
  view: ClusterView,
  nodes: readonly NodeView[],
  rank: (one: NodeView) => number,
): NodeView[] {
  const canary = new Set(view.policy.canary);
  const place = (one: NodeView): number => rank(one) * 2 + (canary.has(one.host) ? 0 : 1);
  return [...nodes].sort((a, b) => place(a) - place(b));
}
