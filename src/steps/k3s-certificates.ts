import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import { ask, askEach } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse } from '../engine/step.ts';
import { type HostName, hostName } from '../facts/host-name.ts';
import { type InUse, inUse } from '../facts/k3s-in-use.ts';
import { k3sNodes } from '../facts/k3s-nodes.ts';
import { binaryPath, defaultDataFolder, unitName } from '../k3s/paths.ts';
import { k3sNode, nodeNameOf } from './k3s-node.ts';
import { type NodesByServer, readinessWaits, withReadyNode } from './k3s-readiness.ts';
import { quorumHindrance, startWait } from './k3s-service.ts';

interface Seen {
  readonly hostName: HostName;
  readonly service: InUse;
  readonly nodes: NodesByServer;
}

/**
 * k3s must not run while its certificates go, and makes new ones when it starts. One script for all of it, which outlives
 * the connection: no node is left stopped by a run that is broken off.
 * @see https://docs.k3s.io/cli/certificate#rotating-client-and-server-certificates
 */
export const k3sCertificatesStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_certificates',
  summary:
    'The node has new certificates and keys, k3s kept the old ones in server/tls-TIME, and its k3s runs with the new ones; Ready and, on a server with etcd, a voter.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_certificates:\n'],
  look(_args, host) {
    const { role, settings, servers } = k3sNode(host);
    return {
      hostName: ask(hostName),
      service: ask(inUse(role, settings.systemdDir)),
      nodes: askEach(servers, k3sNodes),
    };
  },
  plan(seen, _args, host): Plan<Seen> {
    const node = k3sNode(host);
    const unit = unitName(node.role);
    const name = nodeNameOf(node, seen.hostName.inUse);
    if (seen.service.state !== 'active') {
      return refuse(`${unit} is ${seen.service.state}`, 'Bring the cluster up first: fleet start.');
    }
    const told = [...seen.nodes.values()].find((one) => one !== undefined && 'nodes' in one);
    const hindrance =
      node.role === 'server' && told !== undefined && 'nodes' in told
        ? quorumHindrance(name, told.nodes)
        : undefined;
    if (hindrance !== undefined) {
      return refuse(hindrance, 'Bring the other servers back first; fleet restarts one server at a time.');
    }
    const folder = node.settings.k3sServerLocation;
    const where = folder === defaultDataFolder ? [] : ['--data-dir', folder];
    return change(
      'it is asked to',
      [
        {
          kind: 'run',
          what: `stop ${unit}, have k3s put its certificates aside, start ${unit}`,
          survives: true,
          deadlineMs: 300_000,
          script: sh`if [ -d /run/systemd/system ]; then systemctl stop ${unit}; else rc-service ${unit} stop; fi
${binaryPath} certificate rotate ${where}; code=$?
if [ -d /run/systemd/system ]; then systemctl reset-failed ${unit} 2> /dev/null; systemctl start --no-block ${unit}; else rc-service ${unit} start; fi
exit "$code"`,
        },
        startWait(node, seen.service),
        ...readinessWaits(node, host.name, seen.hostName.inUse, seen.nodes),
      ],
      {
        imperative: true,
        touches: ['k3s:certificates:*', 'k3s:first-certificate:*', 'k3s:kubeconfig', 'file:*', 'content:*'],
        after: { nodes: withReadyNode(node, name, seen.nodes) },
      },
    );
  },
});
