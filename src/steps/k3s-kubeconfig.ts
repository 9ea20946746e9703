import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { Type } from '@sinclair/typebox';
import { Secret } from '../core/secret.ts';
import { askControl, askEach } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { serverKubeconfig } from '../facts/k3s-kubeconfig.ts';
import { localSecretText } from '../facts/local-text.ts';
import { describes, entryFromK3s, mergeKubeconfig } from '../k3s/kubeconfig.ts';
import { endpointUrl, type K3sNodeView, k3sNode } from './k3s-node.ts';

interface Seen {
  readonly remote: ReadonlyMap<string, Secret | undefined>;
  readonly local: Secret | undefined;
}

/** Where the kubeconfig is merged into: the setting `kubeconfig`, else ~/.kube/config. */
export function kubeconfigTarget(node: Pick<K3sNodeView, 'settings'>): string {
  const { kubeconfig } = node.settings;
  if (kubeconfig === undefined) return join(homedir(), '.kube', 'config');
  return kubeconfig.startsWith('~/') ? join(homedir(), kubeconfig.slice(2)) : resolve(kubeconfig);
}

export const k3sKubeconfigStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_kubeconfig',
  summary:
    'The kubeconfig of the control node holds the cluster under the name cluster_context, reached at api_endpoint; everything else in the file stays.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_kubeconfig:\n  run_once: true\n'],
  look(_args, host) {
    const node = k3sNode(host);
    return {
      remote: askEach(node.servers, serverKubeconfig),
      local: askControl(localSecretText(kubeconfigTarget(node))),
    };
  },
  plan(seen, _args, host): Plan<Seen> {
    const node = k3sNode(host);
    const { clusterContext } = node.settings;
    const path = kubeconfigTarget(node);
    const remote = [...seen.remote.values()].find((text) => text !== undefined);
    if (remote === undefined) {
      return refuse('no server has a kubeconfig yet', 'Bring the servers up first: fleet up.');
    }
    const entry = entryFromK3s(remote.reveal(), clusterContext, endpointUrl(node));
    if (entry === undefined) {
      return refuse(
        'the kubeconfig of the server holds no cluster',
        'Look at /etc/rancher/k3s/k3s.yaml on the servers.',
      );
    }
    const local = seen.local?.reveal();
    if (describes(local, entry)) return unchanged(`${path} has the context ${clusterContext}`);
    try {
      return change(
        local === undefined
          ? `${path} does not exist`
          : `${path} has no such context ${clusterContext}, or another one`,
        [
          {
            kind: 'save',
            path,
            content: new Secret(mergeKubeconfig(local, entry)),
            mode: '0600',
            backup: true,
          },
        ],
        {
          diff: [
            {
              subject: path,
              before: undefined,
              after: `context ${clusterContext} at ${endpointUrl(node)}\n`,
            },
          ],
        },
      );
    } catch (thrown) {
      const reason = thrown instanceof Error ? thrown.message : String(thrown);
      return refuse(
        `${path} is no kubeconfig: ${reason}`,
        `Mend or move the file, or set kubeconfig to another path.`,
      );
    }
  },
});
