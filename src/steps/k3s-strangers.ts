import { Type } from '@sinclair/typebox';
import type { Action } from '../engine/action.ts';
import { askEach } from '../engine/fact.ts';
import {
  change,
  defineStep,
  type HostView,
  type Plan,
  refuse,
  unchanged,
  unchangedBut,
} from '../engine/step.ts';
import { type HostName, hostName } from '../facts/host-name.ts';
import { k3sNodes } from '../facts/k3s-nodes.ts';
import { flag, optional } from './arguments.ts';
import { k3sNode, nodeNameOf } from './k3s-node.ts';
import {
  answeringServer,
  deleteNode,
  drainBefore,
  removalHindrance,
  withoutNode,
} from './k3s-node-removal.ts';
import type { NodesByServer } from './k3s-readiness.ts';

const args = Type.Object(
  {
    prune: optional(
      flag(
        'Whether they are drained and removed, rather than only named. What is installed on them stays there.',
      ),
    ),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly nodes: NodesByServer;
  readonly hostNames: ReadonlyMap<string, HostName | undefined>;
}

/** Runs on one server of the cluster: `run_once`. */
export const k3sStrangersStep = defineStep<typeof args, Seen>({
  name: 'k3s_strangers',
  summary:
    'Nodes of the cluster that no host of the inventory is are named, or removed with their etcd members.',
  args,
  examples: ['- k3s_strangers:\n  run_once: true\n', '- k3s_strangers: {prune: true}\n  run_once: true\n'],
  alters: ['nodes'],
  look(_args, host) {
    const { cluster, servers } = k3sNode(host);
    const isWhole = hostsLeftOut(host).length === 0;
    return {
      nodes: askEach(servers, k3sNodes),
      // With --limit nobody beyond it is connected to.
      hostNames: askEach(isWhole ? cluster.nodes.map(({ name }) => name) : [], hostName),
    };
  },
  plan(seen, args, host): Plan<Seen> {
    const view = k3sNode(host);
    const isPruning = args.prune === true;
    if (hostsLeftOut(host).length > 0) {
      return isPruning
        ? refuse('only a part of the cluster is meant', 'Leave out --limit.')
        : unchanged('only a part of the cluster is meant');
    }
    const answering = answeringServer(seen.nodes, view.servers);
    if (answering === undefined) return unchanged('no server answers yet');
    const silent = view.cluster.nodes.filter(({ name }) => seen.hostNames.get(name) === undefined);
    if (silent.length > 0) {
      const names = silent.map(({ name }) => name).join(', ');
      return isPruning
        ? refuse(
            `${names} did not say which nodes they are`,
            'Bring them back, or remove the nodes by name: fleet remove --gone NODE',
          )
        : unchanged(`${names} did not say which nodes they are`);
    }
    const known = new Set(
      view.cluster.nodes.map((one) =>
        nodeNameOf(k3sNode(asView(host, one.name)), seen.hostNames.get(one.name)?.inUse ?? one.name),
      ),
    );
    const strangers = answering.nodes.map(({ name }) => name).filter((name) => !known.has(name));
    if (strangers.length === 0) return unchanged('every node is a host of the inventory');
    const shown = strangers.join(', ');
    if (!isPruning) {
      return unchangedBut(`${shown} are in the cluster only`, {
        code: 'NODE_NOT_IN_INVENTORY',
        message: `the cluster has ${strangers.length === 1 ? 'a node' : 'nodes'} that no host of the inventory is: ${shown}`,
        fix: 'Add the host to the inventory, or remove the node: fleet up --prune, or fleet remove --gone NODE.',
      });
    }
    return removed(strangers, seen, answering, view);
  },
});

/** Those that are not Ready first: etcd is better off without them. Each must leave a quorum behind. */
function removed(
  strangers: readonly string[],
  seen: Seen,
  answering: NonNullable<ReturnType<typeof answeringServer>>,
  view: Parameters<typeof drainBefore>[0],
): Plan<Seen> {
  const { server } = answering;
  let { nodes } = answering;
  let told = seen.nodes;
  const isReady = (name: string): boolean => nodes.some((node) => node.name === name && node.ready);
  const actions: Action[] = [];
  for (const name of strangers.toSorted((a, b) => Number(isReady(a)) - Number(isReady(b)))) {
    const hindrance = removalHindrance(name, nodes);
    if (hindrance !== undefined) {
      return refuse(hindrance, 'Bring the other servers back first (fleet status shows them).');
    }
    actions.push(...drainBefore(view, name, { server, nodes }), ...deleteNode(name, server));
    nodes = nodes.filter((node) => node.name !== name);
    told = withoutNode(told, name);
  }
  const [first, ...rest] = actions;
  if (first === undefined) return unchanged('every node is a host of the inventory');
  return change(`no host of the inventory is ${strangers.join(', ')}`, [first, ...rest], {
    after: { nodes: told },
  });
}

/** Hosts of the cluster that this play is not about. */
function hostsLeftOut(host: HostView): readonly string[] {
  const inPlay = host.vars.get('ansible_play_hosts_all');
  const names = k3sNode(host).cluster.nodes.map(({ name }) => name);
  return Array.isArray(inPlay) ? names.filter((name) => !inPlay.includes(name)) : [];
}

function asView(host: HostView, name: string): HostView {
  const other = host.fleet.hosts.get(name);
  return other === undefined ? host : { ...host, name, groups: other.groups, vars: other.vars };
}
