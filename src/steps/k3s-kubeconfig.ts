import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { Type } from '@sinclair/typebox';
import { Secret } from '../core/secret.ts';
import { askControl, askEach } from '../engine/fact.ts';
import {
  change,
  defineStep,
  type HostView,
  type Plan,
  refuse,
  unchanged,
  unchangedBut,
} from '../engine/step.ts';
import { serverKubeconfig } from '../facts/k3s-kubeconfig.ts';
import { localSecretText } from '../facts/local-text.ts';
import { authorityOf, describes, entryFromK3s, mergeKubeconfig, withoutCluster } from '../k3s/kubeconfig.ts';
import { choice, optional } from './arguments.ts';
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

const args = Type.Object(
  {
    state: optional(
      choice(
        ['present', 'absent'],
        'Whether the file holds the cluster. `absent` stands before the removal of k3s: the servers tell whether the context is theirs. Default present.',
      ),
    ),
  },
  { additionalProperties: false },
);

export const k3sKubeconfigStep = defineStep<typeof args, Seen>({
  name: 'k3s_kubeconfig',
  summary:
    'The kubeconfig of the control node holds the cluster under the name cluster_context, reached at api_endpoint; everything else in the file stays.',
  args,
  examples: ['- k3s_kubeconfig:\n  run_once: true\n'],
  look(_args, host) {
    const node = k3sNode(host);
    return {
      remote: askEach(node.servers, serverKubeconfig),
      local: askControl(localSecretText(kubeconfigTarget(node))),
    };
  },
  plan(seen, args, host): Plan<Seen> {
    if (args.state === 'absent') return withoutContext(seen, host);
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

/** A context of the same name that is another cluster's stays; so does this cluster's, while one of its servers does. */
function withoutContext(seen: Seen, host: HostView): Plan<Seen> {
  const node = k3sNode(host);
  const { clusterContext } = node.settings;
  const path = kubeconfigTarget(node);
  const local = seen.local?.reveal();
  const kept = local === undefined ? undefined : withoutCluster(local, clusterContext);
  if (local === undefined || kept === undefined) return unchanged(`${path} has no context ${clusterContext}`);
  const staying = node.servers.filter((server) => !isInPlay(host, server));
  if (staying.length > 0) return unchanged(`${staying.join(', ')} keep the cluster`);
  const authorities = [...seen.remote.values()].flatMap((text) =>
    text === undefined ? [] : (authorityOf(text.reveal(), 'default') ?? []),
  );
  if (authorities.length === 0) {
    return unchangedBut('no server can tell whether it is this cluster', {
      code: 'CONTEXT_LEFT',
      message: `${path} still has a context ${clusterContext}, and no server has a kubeconfig any more that tells whether it is this cluster`,
      fix: `If it is: kubectl config delete-context ${clusterContext}`,
    });
  }
  if (!authorities.some((authority) => authority === authorityOf(local, clusterContext)))
    return unchanged(`the context ${clusterContext} in ${path} is another cluster`);
  return change(
    `${path} has the context ${clusterContext}`,
    [{ kind: 'save', path, content: new Secret(kept), mode: '0600', backup: true }],
    {
      diff: [{ subject: path, before: `context ${clusterContext}\n`, after: undefined }],
      after: { local: new Secret(kept) },
    },
  );
}

/** Whether this play is about a host too: `--limit` leaves some out. */
function isInPlay(host: HostView, name: string): boolean {
  const names = host.vars.get('ansible_play_hosts_all');
  return !Array.isArray(names) || names.includes(name);
}
