import { Type } from '@sinclair/typebox';
import { askControl, askEach } from '../engine/fact.ts';
import { defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type K3sNode, k3sNodes } from '../facts/k3s-nodes.ts';
import { wantedRelease } from '../facts/k3s-release.ts';
import { type K3sVersion, parseVersion, whyNotUpgrade } from '../k3s/version.ts';
import { k3sNode } from './k3s-node.ts';
import type { NodesByServer } from './k3s-readiness.ts';

interface Seen {
  readonly wanted: K3sVersion;
  readonly nodes: NodesByServer;
}

/** How many nodes are named before the rest is counted. */
const namedNodes = 5;

/** An upgrade begins on a cluster that is well: what is broken before it is not told from what it breaks. */
export const k3sUpgradableStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_upgradable',
  summary:
    'Every node is Ready, every etcd member votes, and the release that k3s_version names is at most one minor version ahead of the servers; changes nothing.',
  readsOnly: true,
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_upgradable:\n'],
  look(_args, host) {
    const { settings, servers } = k3sNode(host);
    return {
      wanted: askControl(wantedRelease(settings.k3sVersion, settings.channelsUrl, settings.airgapDir)),
      nodes: askEach(servers, k3sNodes),
    };
  },
  plan(seen): Plan<Seen> {
    const told = [...seen.nodes.values()].find((one) => one !== undefined && 'nodes' in one);
    if (told === undefined || !('nodes' in told)) {
      return refuse(
        'no server answers, so there is nothing to upgrade, or nobody to ask',
        'Bring the cluster up first: fleet up (with the release that it runs).',
        'NOT_UPGRADABLE',
      );
    }
    const { nodes } = told;
    for (const node of nodes.filter((one) => one.controlPlane)) {
      const running = parseVersion(node.version);
      const hindrance = running === undefined ? undefined : whyNotUpgrade(running, seen.wanted);
      if (hindrance !== undefined)
        return refuse(
          `${node.name}: ${hindrance.because}`,
          `${hindrance.fix} Or let fleet do so: fleet upgrade --upgrade-path auto.`,
          'NOT_UPGRADABLE',
        );
    }
    const unwell = nodes.filter((node) => !node.ready || node.etcdVoter === false);
    if (unwell.length > 0) {
      return refuse(
        `not all nodes are well: ${unwell.slice(0, namedNodes).map(whatAils).join('; ')}${unwell.length > namedNodes ? `; and ${unwell.length - namedNodes} more` : ''}`,
        'Mend them first (fleet status shows them), or bring the cluster to the release without this check: set k3s_version and run fleet up.',
        'NOT_UPGRADABLE',
      );
    }
    return unchanged(`${nodes.length} nodes are Ready`);
  },
});

function whatAils(node: K3sNode): string {
  if (!node.ready) return `${node.name} is NotReady`;
  return `the etcd member of ${node.name} does not vote`;
}
