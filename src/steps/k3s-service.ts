import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import { type Action, waitUntil } from '../engine/action.ts';
import { ask, askEach } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type HostName, hostName } from '../facts/host-name.ts';
import { type InUse, inUse } from '../facts/k3s-in-use.ts';
import { type K3sNode, k3sNodes } from '../facts/k3s-nodes.ts';
import { type ServerData, serverData } from '../facts/k3s-server-data.ts';
import { lastLogLines, startState } from '../facts/k3s-start.ts';
import { causeOf } from '../k3s/log-causes.ts';
import { unitName } from '../k3s/paths.ts';
import { quorumOf } from '../k3s/quorum.ts';
import { type K3sNodeView, k3sNode, nodeNameOf } from './k3s-node.ts';
import { type NodesByServer, readinessWaits, serverToAsk, withReadyNode } from './k3s-readiness.ts';

interface Seen {
  readonly service: InUse;
  readonly data: ServerData;
  readonly hostName: HostName;
  readonly nodes: NodesByServer;
}

/**
 * A restart is its own promise: the running k3s uses what is on disk. It is never started blocking, for the unit is
 * `Type=notify` without a time-out: an agent that is refused would hang `systemctl start` for ever.
 */
export const k3sServiceStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_service',
  summary:
    'k3s is enabled and runs with the binary, config, arguments and variables that are on disk; after a start its node is Ready and, on a server with etcd, a voter.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_service:\n'],
  alters: ['service', 'data', 'nodes'],
  outcome: ({ nodes, hostName: called }, _args, host) => {
    if (nodes === undefined || called === undefined) return {};
    const node = k3sNode(host);
    return { nodes: withReadyNode(node, nodeNameOf(node, called.inUse), nodes) };
  },
  look(_args, host) {
    const { role, settings, servers } = k3sNode(host);
    return {
      service: ask(inUse(role, settings.systemdDir)),
      data: ask(serverData(settings.k3sServerLocation)),
      hostName: ask(hostName),
      nodes: askEach(servers, k3sNodes),
    };
  },
  plan(seen, _args, host): Plan<Seen> {
    const node = k3sNode(host);
    const { service } = seen;
    const unit = unitName(node.role);
    const name = nodeNameOf(node, seen.hostName.inUse);
    if (service.state === 'absent') {
      return refuse(`the unit ${unit} is not installed`, 'Put the step k3s_install before this one.');
    }
    const stale = service.newerThanStart;
    const runs = service.state === 'active';
    const forgotten = runs && isForgotten(node, host.name, name, seen);
    if (runs && stale.length === 0 && service.enabled && !forgotten)
      return unchanged(`${unit} runs with what is on disk`);
    const actions: Action[] = service.enabled ? [] : [enableAction(unit)];
    const starts = !runs || stale.length > 0 || forgotten;
    if (runs && starts && node.role === 'server') {
      const own = seen.nodes.get(host.name);
      const hindrance = quorumHindrance(name, own !== undefined && 'nodes' in own ? own.nodes : undefined);
      if (hindrance !== undefined) {
        return refuse(hindrance, 'Bring the other servers back first; fleet restarts one server at a time.');
      }
    }
    if (starts)
      actions.push(
        startAction(unit, runs || (hangs(service) && stale.length > 0)),
        startWait(node, service),
        ...readinessWaits(node, host.name, seen.hostName.inUse, seen.nodes),
      );
    const [first, ...rest] = actions;
    if (first === undefined) return unchanged(`${unit} runs`);
    return change(becauseOf(seen.service, unit, forgotten), [first, ...rest], {
      ...(seen.data.datastore === 'none' && node.role === 'server'
        ? { touches: ['k3s:server-data:*', 'k3s:kubeconfig', 'file:*', 'content:*'] }
        : {}),
      after: {
        service: {
          ...service,
          state: 'active',
          enabled: true,
          needsDaemonReload: false,
          newerThanStart: [],
        },
        nodes: withReadyNode(node, name, seen.nodes),
      },
    });
  },
});

/**
 * Whether its Node was deleted under it: a kubelet registers when it starts and at no other time. Of an etcd member k3s takes
 * care itself: it leaves etcd, and its data is set aside.
 */
function isForgotten(node: K3sNodeView, self: string, name: string, { data, nodes }: Seen): boolean {
  if (node.role === 'server' && data.datastore === 'etcd') return false;
  const told = nodes.get(serverToAsk(node, self, nodes));
  if (told === undefined || 'unavailable' in told) return false;
  // What a plan foresees of a cluster whose API is silent is not the list of its nodes.
  const isWhole = told.nodes.some(({ marks }) => marks !== undefined);
  return isWhole && !told.nodes.some((one) => one.name === name);
}

function becauseOf(service: InUse, unit: string, forgotten: boolean): string {
  const reasons = [
    ...(forgotten ? ['its Node was deleted, and a kubelet registers only when it starts'] : []),
    ...(service.enabled ? [] : ['it is not enabled at boot']),
    ...(service.state === 'active' ? [] : [`it is ${service.state}`]),
    ...((service.state === 'active' || hangs(service)) && service.newerThanStart.length > 0
      ? [`${service.newerThanStart.join(', ')} changed after it started`]
      : []),
  ];
  return `${unit}: ${reasons.join('; ')}`;
}

/** On its way up, perhaps for ever: an agent that is refused tries again with the token that it began with, and a start asks nothing more of it. */
function hangs(service: InUse): boolean {
  return service.state === 'activating';
}

function enableAction(unit: string): Action {
  return {
    kind: 'run',
    what: `enable ${unit} at boot`,
    script: sh`if [ -d /run/systemd/system ]; then systemctl daemon-reload && systemctl enable --quiet ${unit}; else rc-update add ${unit} default > /dev/null; fi`,
  };
}

/** Starts or restarts without waiting. A reload first: the unit on disk must be the one that is started. `reset-failed` because a start limit may have been hit. */
export function startAction(unit: string, running: boolean): Action {
  const verb = running ? 'restart' : 'start';
  return {
    kind: 'run',
    what: `${verb} ${unit}`,
    script: sh`if [ -d /run/systemd/system ]; then
  systemctl daemon-reload; systemctl reset-failed ${unit} 2> /dev/null; systemctl ${verb} --no-block ${unit}
  # On a busy host the job waits its turn: whoever looks now would find that nothing was done.
  for turn in 1 2 3 4 5 6 7 8 9 10; do [ "$(systemctl show -p ActiveState --value ${unit})" = inactive ] || break; sleep 0.2 2> /dev/null || sleep 1; done
else rc-service ${unit} ${verb}; fi`,
  };
}

/** Until the service is up, by another process than the one that was there before. */
export function startWait(node: K3sNodeView, before: InUse): Action {
  return waitUntil({
    what: `${unitName(node.role)} to start`,
    fact: startState(node.role),
    holds: (now) => {
      // Right after a restart was asked for, the old process may still be there.
      if (now.state === 'active' && (before.state !== 'active' || now.invocation !== before.invocation))
        return true;
      return `it is ${now.state}${now.lastLog === '' ? '' : `, and says: ${now.lastLog}`}${likely(now.lastLog)}`;
    },
    hopeless: (now, first) => {
      const cause = causeOf(now.lastLog);
      const gaveUp = now.state === 'failed' || now.restarts >= restartsWithoutHope;
      if (cause?.final !== true && !(gaveUp && now.state !== 'active')) return undefined;
      // Until it was tried once more than when the wait began, its log may be that of a start before this one.
      return (now.restarts > 0 && now.invocation !== first.invocation) || gaveUp
        ? `it exits again and again: ${now.lastLog}${likely(now.lastLog)}`
        : undefined;
    },
    deadlineMs: node.settings.k3sStartTimeoutS * 1000,
    evidence: lastLogLines(node.role),
  });
}

/** A server may exit a few times while others join; more often than this it will not come up by itself. */
const restartsWithoutHope = 8;

function likely(line: string): string {
  const cause = causeOf(line);
  return cause === undefined ? '' : ` (likely: ${cause.cause})`;
}

/**
 * Why etcd would lose its quorum if this server stopped now. One or two servers cannot be restarted without that, and
 * where the quorum is lost already a restart takes nothing away.
 */
export function quorumHindrance(
  name: string,
  nodes: readonly K3sNode[] | undefined,
  doing = 'restarting',
): string | undefined {
  if (nodes === undefined) return undefined;
  const members = nodes.filter((node) => node.etcdVoter !== undefined);
  if (members.length < 3) return undefined;
  const others = members.filter((node) => node.name !== name && node.ready && node.etcdVoter === true);
  const quorum = quorumOf(members.length);
  if (others.length >= quorum) return undefined;
  const away = members
    .filter((node) => node.name !== name && !others.includes(node))
    .map((node) => node.name);
  return `${doing} ${name} would leave ${others.length} of ${members.length} etcd members, ${quorum} are needed (not well: ${away.join(', ')})`;
}
