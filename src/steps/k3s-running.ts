import { type Static, Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask, askEach } from '../engine/fact.ts';
import { change, defineStep, type HostView, type Plan, refuse, unchanged } from '../engine/step.ts';
import { touchesOfPath } from '../facts/file.ts';
import { type HostName, hostName } from '../facts/host-name.ts';
import { type InUse, inUse } from '../facts/k3s-in-use.ts';
import { type K3sNode, k3sNodes } from '../facts/k3s-nodes.ts';
import { kubeconfigPath, unitName } from '../k3s/paths.ts';
import { quorumOf } from '../k3s/quorum.ts';
import { choice, flag, optional } from './arguments.ts';
import { type K3sNodeView, k3sNode, nodeNameOf } from './k3s-node.ts';
import { type NodesByServer, readinessWaits, withReadyNode } from './k3s-readiness.ts';
import { quorumHindrance, startAction, startWait } from './k3s-service.ts';

const args = Type.Object(
  {
    state: choice(
      ['started', 'stopped', 'restarted'],
      '`started`: it is on its way up, and not waited for, since a server needs the others for that. `restarted`: anew, and ready again. `stopped`: until it is started or the host boots.',
    ),
    pods: optional(
      flag(
        'With `stopped`: whether the containers of its pods are ended too. They run on without k3s otherwise.',
      ),
    ),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly hostName: HostName;
  /** Of the servers that are to be stopped with this one. */
  readonly others: ReadonlyMap<string, HostName | undefined>;
  readonly service: InUse;
  readonly nodes: NodesByServer;
}

const stopDeadlineMs = 180_000;
const killallPath = '/usr/local/bin/k3s-killall.sh';

/** Ansible's `service` would wait for a start without end where an agent is refused, and knows no quorum. */
export const k3sRunningStep = defineStep<typeof args, Seen>({
  name: 'k3s_running',
  summary:
    'k3s is started, stopped or restarted as a whole; never where the quorum would be lost by it unawares.',
  args,
  examples: ['- k3s_running: {state: stopped}\n', '- k3s_running: {state: restarted}\n'],
  look(args, host) {
    const { role, settings, servers } = k3sNode(host);
    return {
      hostName: ask(hostName),
      others: askEach(args.state === 'stopped' ? stoppedWith(host) : [], hostName),
      service: ask(inUse(role, settings.systemdDir)),
      nodes: askEach(servers, k3sNodes),
    };
  },
  plan(seen, args, host): Plan<Seen> {
    const { role } = k3sNode(host);
    const unit = unitName(role);
    if (seen.service.state === 'absent') {
      return args.state === 'stopped'
        ? unchanged('k3s is not installed')
        : refuse(`the unit ${unit} is not installed`, 'Install it: fleet up.');
    }
    switch (args.state) {
      case 'started':
        return started(seen, unit);
      case 'stopped':
        return stopped(seen, args, host, unit);
      case 'restarted':
        return restarted(seen, host, unit);
    }
  },
});

function started({ service }: Seen, unit: string): Plan<Seen> {
  if (service.state === 'active' || service.state === 'activating') {
    return unchanged(`${unit} is ${service.state}`);
  }
  return change(`${unit} is ${service.state}`, [startAction(unit, false)], {
    after: { service: { ...service, state: 'activating' } },
  });
}

function stopped(
  seen: Seen,
  args: Static<typeof k3sRunningStep.args>,
  host: HostView,
  unit: string,
): Plan<Seen> {
  const { service } = seen;
  if (service.state === 'inactive' || service.state === 'failed')
    return unchanged(`${unit} is ${service.state}`);
  const hindrance = stopHindrance(seen, host);
  if (hindrance !== undefined) {
    return refuse(hindrance, 'Stop all servers (fleet stop without --limit), or fewer of them.');
  }
  return change(
    `${unit} is ${service.state}`,
    [
      stopAction(unit),
      ...(args.pods === true
        ? [
            {
              kind: 'run' as const,
              what: `run ${killallPath}`,
              survives: true as const,
              deadlineMs: stopDeadlineMs,
              script: sh`[ ! -x ${killallPath} ] || ${killallPath}`,
            },
          ]
        : []),
    ],
    { after: { service: { ...service, state: 'inactive' } } },
  );
}

/** Who stops some servers only does not mean to lose the cluster; who stops all of them does. */
function stopHindrance({ nodes, others }: Seen, host: HostView): string | undefined {
  const node = k3sNode(host);
  const stopping = stoppedWith(host);
  if (node.role !== 'server' || stopping.length === node.servers.length) return undefined;
  const members = (answeringNodes(nodes) ?? []).filter(({ etcdVoter }) => etcdVoter !== undefined);
  const names = new Set(
    [...others].map(([server, told]) => nodeNameOf(viewOn(host, server), told?.inUse ?? server)),
  );
  const staying = members.filter(
    ({ name, ready, etcdVoter }) => ready && etcdVoter === true && !names.has(name),
  );
  const quorum = quorumOf(members.length);
  if (members.length === 0 || staying.length >= quorum) return undefined;
  return `stopping ${stopping.join(', ')} would leave ${staying.length} of ${members.length} etcd members, ${quorum} are needed`;
}

/** The servers that this play stops: this one too, where it is one. */
function stoppedWith(host: HostView): readonly string[] {
  const inPlay = host.vars.get('ansible_play_hosts_all');
  const { role, servers } = k3sNode(host);
  return role === 'server' && Array.isArray(inPlay)
    ? servers.filter((server) => inPlay.includes(server))
    : [];
}

function viewOn(host: HostView, name: string): K3sNodeView {
  const other = host.fleet.hosts.get(name);
  return k3sNode(other === undefined ? host : { ...host, name, groups: other.groups, vars: other.vars });
}

function answeringNodes(nodes: NodesByServer): readonly K3sNode[] | undefined {
  for (const told of nodes.values()) if (told !== undefined && 'nodes' in told) return told.nodes;
  return undefined;
}

function restarted(seen: Seen, host: HostView, unit: string): Plan<Seen> {
  const node = k3sNode(host);
  const { service } = seen;
  const runs = service.state !== 'inactive' && service.state !== 'failed';
  const name = nodeNameOf(node, seen.hostName.inUse);
  if (runs && node.role === 'server') {
    const hindrance = quorumHindrance(name, answeringNodes(seen.nodes), 'restarting');
    if (hindrance !== undefined) {
      return refuse(hindrance, 'Bring the other servers back first; fleet restarts one server at a time.');
    }
  }
  return change(
    runs ? 'it is asked to' : `${unit} is ${service.state}`,
    [
      startAction(unit, runs),
      startWait(node, service),
      ...readinessWaits(node, host.name, seen.hostName.inUse, seen.nodes),
    ],
    {
      imperative: true,
      // A server writes it anew when it starts, with other certificates if it has got others.
      touches: node.role === 'server' ? ['k3s:kubeconfig', ...touchesOfPath(kubeconfigPath)] : [],
      after: {
        service: { ...service, state: 'active', newerThanStart: [] },
        nodes: withReadyNode(node, name, seen.nodes),
      },
    },
  );
}

/** Stops and waits for the end: unlike a start, that never takes longer than systemd allows. */
export function stopAction(unit: string): Action {
  return {
    kind: 'run',
    what: `stop ${unit}`,
    deadlineMs: stopDeadlineMs,
    script: sh`if [ -d /run/systemd/system ]; then systemctl stop ${unit}; else rc-service ${unit} stop; fi`,
  };
}
