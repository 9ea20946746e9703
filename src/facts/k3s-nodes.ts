import { raw } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import { binaryPath, kubectlWords } from '../k3s/paths.ts';

/** A Node object, reduced to what is decided from. */
export interface K3sNode {
  readonly name: string;
  readonly ready: boolean;
  /** Why it is not ready, in the kubelet's words. */
  readonly readyMessage: string;
  /** `undefined` on nodes without an etcd member. Ready says nothing of it: a restarted member is Ready before it votes. */
  readonly etcdVoter: boolean | undefined;
  /** The version that runs, `v1.33.4+k3s1`. */
  readonly version: string;
  readonly unschedulable: boolean;
  readonly controlPlane: boolean;
  readonly addresses: readonly string[];
}

/** The cluster's nodes as one server's API tells them, or why it does not. */
export type K3sNodes = { readonly nodes: readonly K3sNode[] } | { readonly unavailable: string };

const fields = [
  '{.metadata.name}',
  '{.status.conditions[?(@.type=="Ready")].status}',
  '{.status.conditions[?(@.type=="EtcdIsVoter")].status}',
  '{.status.nodeInfo.kubeletVersion}',
  '{.spec.unschedulable}',
  '{.metadata.labels.node-role\\.kubernetes\\.io/control-plane}',
  '{.status.addresses[*].address}',
  '{.status.conditions[?(@.type=="Ready")].message}',
];

/** Asked of a server. Only these fields: a Node lists every image it holds, and a thousand of them are 50 MB. */
export const k3sNodes: Fact<K3sNodes> = {
  key: 'k3s:nodes',
  sh: raw(
    `if [ -x ${binaryPath} ]; then ${kubectlWords.join(' ')} get nodes --request-timeout=10s -o jsonpath='{range .items[*]}${fields.join('{"\\t"}')}{"\\n"}{end}'; else echo 'k3s is not installed' >&2; exit 1; fi`,
  ),
  parse: ({ stdout, stderr, code }) => {
    if (code !== 0) return { unavailable: stderr.trim().split('\n').at(-1) ?? `exit status ${code}` };
    return {
      nodes: stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => {
          const [
            name = '',
            ready,
            voter,
            version = '',
            unschedulable,
            controlPlane,
            addresses = '',
            ...message
          ] = line.split('\t');
          return {
            name,
            ready: ready === 'True',
            readyMessage: message.join(' '),
            etcdVoter: voter === '' || voter === undefined ? undefined : voter === 'True',
            version,
            unschedulable: unschedulable === 'true',
            controlPlane: controlPlane === 'true',
            addresses: addresses.split(' ').filter((address) => address !== ''),
          };
        }),
    };
  },
  volatile: true,
};

/** Whether this server's API is ready, and if not what it says. Without a client certificate k3s answers 401, so kubectl asks. */
export const apiReady: Fact<true | string> = {
  key: 'k3s:readyz',
  sh: raw(`${kubectlWords.join(' ')} get --raw /readyz --request-timeout=10s`),
  parse: ({ stdout, stderr, code }) =>
    code === 0 && stdout.trim() === 'ok' ? true : stderr.trim() || stdout.trim() || `exit status ${code}`,
  volatile: true,
};
