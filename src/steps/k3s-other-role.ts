import { Type } from '@sinclair/typebox';
import type { Action } from '../engine/action.ts';
import { ask, askEach } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type HostName, hostName } from '../facts/host-name.ts';
import { type InUse, inUse } from '../facts/k3s-in-use.ts';
import { type Installation, installation } from '../facts/k3s-installation.ts';
import { k3sNodes } from '../facts/k3s-nodes.ts';
import { type ServerData, serverData } from '../facts/k3s-server-data.ts';
import { type K3sTraces, k3sTraces } from '../facts/k3s-traces.ts';
import { stagedFolder, unitName } from '../k3s/paths.ts';
import { absentActions } from './k3s-absent.ts';
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

interface Seen {
  readonly there: Installation;
  readonly service: InUse;
  readonly data: ServerData;
  readonly traces: K3sTraces;
  readonly hostName: HostName;
  readonly nodes: NodesByServer;
}

/** A host that was moved to the other group of the inventory leaves the cluster as what it was, before it joins as what it shall be. */
export const k3sOtherRoleStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_other_role',
  summary:
    'The host is no k3s node of the other role: one that was is drained, its Node (and etcd member) removed, and k3s uninstalled; refused where the cluster would lose its last server or its quorum.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_other_role:\n'],
  look(_args, host) {
    const { role, settings, servers } = k3sNode(host);
    return {
      there: ask(installation(role, settings.systemdDir)),
      service: ask(inUse(role === 'server' ? 'agent' : 'server', settings.systemdDir)),
      data: ask(serverData(settings.k3sServerLocation)),
      traces: ask(k3sTraces(settings.k3sServerLocation, settings.systemdDir)),
      hostName: ask(hostName),
      nodes: askEach(
        servers.filter((server) => server !== host.name),
        k3sNodes,
      ),
    };
  },
  plan(seen, _args, host): Plan<Seen> {
    const node = k3sNode(host);
    if (!seen.there.otherRole) return unchanged(`it is no ${node.role === 'server' ? 'agent' : 'server'}`);
    const was = node.role === 'server' ? 'agent' : 'server';
    const name = nodeNameOf(node, seen.hostName.inUse);
    const answering = answeringServer(
      seen.nodes,
      node.servers.filter((server) => server !== host.name),
    );
    if (answering === undefined) {
      return refuse(
        `${host.name} is a k3s ${was} and shall become a ${node.role}, and no other server answers that could take it out of its cluster first`,
        'Bring another server of the inventory up first (fleet status), or put the host back into its old group.',
      );
    }
    const hindrance = was === 'server' ? removalHindrance(name, answering.nodes) : undefined;
    if (hindrance !== undefined) {
      return refuse(
        `${host.name} is a server and shall become an agent, but ${hindrance}`,
        'Bring the other servers back first, or add a server; until then put the host back into its old group.',
      );
    }
    const isKnown = answering.nodes.some((one) => one.name === name);
    const stops = seen.service.state === 'active' && mayStopFirst(name, answering.nodes);
    const leaving: readonly Action[] = isKnown
      ? [
          ...drainBefore(node, name, answering),
          ...(stops ? [stopAction(unitName(was))] : []),
          ...deleteNode(name, answering.server),
        ]
      : [];
    const traces = {
      ...seen.traces,
      // The binary that waits there is not that role's.
      paths: seen.traces.paths.filter((path) => path !== stagedFolder),
    };
    const [first, ...rest] = [...leaving, ...absentActions(traces)];
    if (first === undefined) return unchanged(`nothing is left of the ${was}`);
    return change(`it is a k3s ${was} and shall become a ${node.role}`, [first, ...rest], {
      touches: 'everything',
      after: {
        there: { ...seen.there, otherRole: false },
        service: { ...seen.service, state: 'absent', invocation: '', newerThanStart: [] },
        data: { ...seen.data, datastore: 'none', token: undefined, running: false },
        traces: { serverUninstaller: false, agentUninstaller: false, paths: [], folders: [] },
        nodes: withoutNode(seen.nodes, name),
      },
    });
  },
});
