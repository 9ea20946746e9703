import { raw } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import type { NodeMarks, Taint } from '../k3s/node-marks.ts';
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
  /** fleet cordoned it, in this run or one that was broken off, and owes it an uncordon; nobody else's cordon says so. */
  readonly cordonedByFleet: boolean;
  /** The release that it was drained for; `undefined` once it takes pods again. */
  readonly drainedFor: string | undefined;
  readonly controlPlane: boolean;
  readonly addresses: readonly string[];
  /** Absent where a plan only foresees the node. */
  readonly marks?: FoundMarks;
}

/** What a node is marked with, and which of it fleet remembers to have set. */
export interface FoundMarks extends NodeMarks {
  /** Keys of labels, and `key:Effect` of taints. */
  readonly byFleet: { readonly labels: readonly string[]; readonly taints: readonly string[] };
}

/** The cluster's nodes as one server's API tells them, or why it does not. */
export type K3sNodes = { readonly nodes: readonly K3sNode[] } | { readonly unavailable: string };

/** The node of that name, where the server told of its nodes and has it. */
export function nodeNamed(told: K3sNodes | undefined, name: string): K3sNode | undefined {
  return told !== undefined && 'nodes' in told ? told.nodes.find((node) => node.name === name) : undefined;
}

/** On a node that fleet cordoned. It names no run: whichever comes next finds it and uncordons. */
export const cordonAnnotation = 'fleet.k3s/cordoned-by';
/** On a node whose pods were evicted: for which release. */
export const drainAnnotation = 'fleet.k3s/drained-for';

/** Which labels and taints of a node are fleet's to take off again: `{"labels":["disk"],"taints":["dedicated:NoSchedule"]}`. */
export const marksAnnotation = 'fleet.k3s/marks';

const fields = [
  '{.metadata.name}',
  '{.status.conditions[?(@.type=="Ready")].status}',
  '{.status.conditions[?(@.type=="EtcdIsVoter")].status}',
  '{.status.nodeInfo.kubeletVersion}',
  '{.spec.unschedulable}',
  '{.metadata.labels.node-role\\.kubernetes\\.io/control-plane}',
  '{.status.addresses[*].address}',
  annotation(cordonAnnotation),
  annotation(drainAnnotation),
  '{.metadata.labels}',
  '{.spec.taints}',
  annotation(marksAnnotation),
  '{.status.conditions[?(@.type=="Ready")].message}',
];

function annotation(name: string): string {
  return `{.metadata.annotations.${name.replaceAll('.', '\\.')}}`;
}

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
            cordonedBy = '',
            drainedFor = '',
            labels = '',
            taints = '',
            byFleet = '',
            ...message
          ] = line.split('\t');
          return {
            name,
            ready: ready === 'True',
            readyMessage: message.join(' '),
            etcdVoter: voter === '' || voter === undefined ? undefined : voter === 'True',
            version,
            unschedulable: unschedulable === 'true',
            cordonedByFleet: cordonedBy !== '',
            drainedFor: drainedFor === '' ? undefined : drainedFor,
            controlPlane: controlPlane === 'true',
            addresses: addresses.split(' ').filter((address) => address !== ''),
            marks: {
              labels: record(jsonOf(labels)),
              taints: [jsonOf(taints)].flat().flatMap((taint) => taintOf(record(taint))),
              byFleet: rememberedIn(byFleet),
            },
          };
        }),
    };
  },
  volatile: true,
};

/** kubectl prints a map or a list of objects as JSON; nothing, and whatever else an odd kubectl prints, as nothing. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function record(value: unknown): Readonly<Record<string, string>> {
  if (value === null || typeof value !== 'object') return {};
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, String(entry)]));
}

function taintOf({ key, value = '', effect = '' }: Readonly<Record<string, string>>): readonly Taint[] {
  return key === undefined ? [] : [{ key, value, effect }];
}

function rememberedIn(text: string): FoundMarks['byFleet'] {
  const { labels, taints } = { labels: [], taints: [], ...(jsonOf(text) as object | undefined) };
  return { labels: [labels].flat().map(String), taints: [taints].flat().map(String) };
}

/** Whether this server's API is ready, and if not what it says. Without a client certificate k3s answers 401, so kubectl asks. */
export const apiReady: Fact<true | string> = {
  key: 'k3s:readyz',
  sh: raw(`${kubectlWords.join(' ')} get --raw /readyz --request-timeout=10s`),
  parse: ({ stdout, stderr, code }) =>
    code === 0 && stdout.trim() === 'ok' ? true : stderr.trim() || stdout.trim() || `exit status ${code}`,
  volatile: true,
};
