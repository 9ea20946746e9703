import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask, askEach } from '../engine/fact.ts';
import { change, defineStep, type HostView, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type HostName, hostName } from '../facts/host-name.ts';
import { type InUse, inUse } from '../facts/k3s-in-use.ts';
import { type K3sNode, k3sNodes } from '../facts/k3s-nodes.ts';
import { leavingDropIn, unitName } from '../k3s/paths.ts';
import { quorumOf } from '../k3s/quorum.ts';
import { list, optional, text } from './arguments.ts';
import { k3sNode, nodeNameOf } from './k3s-node.ts';
import {
  answeringServer,
  deleteNode,
  drainBefore,
  mayStopFirst,
  removalHindrance,
  withoutNode,
} from './k3s-node-removal.ts';
import type { NodesByServer } from './k3s-readiness.ts';
import { stopAction } from './k3s-running.ts';

const args = Type.Object(
  {
    node: optional(
      text(
        'A node whose machine is gone, as the cluster calls it; the step then runs on a server that stays. Default: the node that this host is.',
      ),
    ),
    through: optional(
      list('The servers to say it to, where some are known not to answer. Default: all of the cluster.'),
    ),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly hostName: HostName;
  readonly service: InUse;
  readonly nodes: NodesByServer;
}

/**
 * Uninstalling first and deleting later would leave a dead voter that counts against the quorum. k3s is stopped before its
 * Node goes wherever the quorum holds meanwhile: a removed server that is started again would join anew.
 */
export const k3sNodeAbsentStep = defineStep<typeof args, Seen>({
  name: 'k3s_node_absent',
  summary:
    'The cluster has no Node of this host any more, nor its etcd member and node password; refused where the cluster would lose its last server or its quorum.',
  args,
  examples: ['- k3s_node_absent:\n', '- k3s_node_absent: {node: agent-7}\n'],
  look(args, host) {
    const { role, settings, servers } = k3sNode(host);
    return {
      hostName: ask(hostName),
      service: ask(inUse(role, settings.systemdDir)),
      nodes: askEach(args.through ?? servers, k3sNodes),
    };
  },
  plan(seen, args, host): Plan<Seen> {
    const node = k3sNode(host);
    const own = nodeNameOf(node, seen.hostName.inUse);
    const name = args.node ?? own;
    const isOwn = name === own;
    const staying = node.servers.filter((server) => !(isOwn && server === host.name));
    if (staying.length === 0) {
      return refuse(`${name} is the last server of its cluster`, 'fleet reset removes a whole cluster.');
    }
    const answering = answeringServer(seen.nodes, staying);
    if (answering === undefined) {
      return refuse(
        `no server that stays answers, so nobody can remove ${name} from the cluster`,
        'Bring the servers up first: fleet start.',
      );
    }
    if (!answering.nodes.some((known) => known.name === name)) {
      return unchanged(`the cluster knows no ${name}`);
    }
    const hindrance = removalHindrance(name, answering.nodes);
    if (hindrance !== undefined) {
      return refuse(
        hindrance,
        'Bring the other servers back first (fleet status shows them); fleet reset removes a whole cluster.',
      );
    }
    const [deletion, ...rest] = deleteNode(name, answering.server);
    const mayStop = mayStopFirst(name, answering.nodes);
    const quieting = isOwn ? quieted(host, seen.service, mayStop) : [];
    const [first = deletion, ...others] = [...drainBefore(node, name, answering), ...quieting, deletion];
    return change(becauseOf(name, answering.nodes), [first, ...others, ...rest], {
      after: {
        service: mayStop && quieting.length > 0 ? { ...seen.service, state: 'inactive' } : seen.service,
        nodes: withoutNode(seen.nodes, name),
      },
      ...(mayStop ? {} : { touches: ['k3s:traces:*'] }),
    });
  },
});

/** With what it means for the quorum. */
function becauseOf(name: string, nodes: readonly K3sNode[]): string {
  const members = nodes.filter((node) => node.etcdVoter !== undefined);
  const left = members.length - 1;
  if (left === 0 || !members.some((node) => node.name === name)) return `${name} is a node of the cluster`;
  const spare = left - quorumOf(left);
  const staying = left === 1 ? 'one etcd member stays' : `${left} etcd members stay`;
  return `${name} is a node of the cluster; ${staying}, of which ${spare === 0 ? 'none' : spare} may fail`;
}

/** The node's k3s stops; or, where its vote is needed for its own removal, it is kept from starting again once that is done. */
function quieted(host: HostView, service: InUse, mayStop: boolean): readonly Action[] {
  const unit = unitName(k3sNode(host).role);
  if (service.state === 'absent' || service.state === 'inactive') return [];
  if (mayStop) return [stopAction(unit)];
  return [
    {
      kind: 'run',
      what: `keep ${unit} from starting again once it has lost its place`,
      script: sh`if [ -d /run/systemd/system ]; then
  mkdir -p "$(dirname ${leavingDropIn})" && printf '[Service]\nRestart=no\n' > ${leavingDropIn} && systemctl daemon-reload
fi`,
    },
  ];
}
