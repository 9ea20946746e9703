import { Type } from '@sinclair/typebox';
import { type ShellScript, sh } from '../core/shell.ts';
import { ask, askControl, askEach } from '../engine/fact.ts';
import { change, defineStep, type Plan, unchanged } from '../engine/step.ts';
import { type HostName, hostName } from '../facts/host-name.ts';
import { type InUse, inUse } from '../facts/k3s-in-use.ts';
import {
  cordonAnnotation,
  drainAnnotation,
  type K3sNode,
  type K3sNodes,
  k3sNodes,
} from '../facts/k3s-nodes.ts';
import { wantedRelease } from '../facts/k3s-release.ts';
import { kubectlWords, unitName } from '../k3s/paths.ts';
import { compareVersions, type K3sVersion, parseVersion } from '../k3s/version.ts';
import { type K3sNodeView, k3sNode, nodeNameOf } from './k3s-node.ts';
import { type NodesByServer, serverToAsk } from './k3s-readiness.ts';

interface Seen {
  readonly hostName: HostName;
  readonly service: InUse;
  readonly wanted: K3sVersion;
  readonly nodes: NodesByServer;
}

/**
 * Kubernetes asks for a drain before the kubelet's minor version changes; through a restart alone pods run on. The cordon
 * is marked as fleet's own in the same request, so that whichever run comes next takes it back, and nobody else's.
 * @see https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/upgrading-linux-nodes/
 */
export const k3sDrainStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_drain',
  summary:
    'Before k3s is upgraded its node takes no new pods and those it has were evicted, PodDisruptionBudgets respected; as the variable drain says.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_drain:\n'],
  alters: ['nodes'],
  look(_args, host) {
    const { role, servers, settings } = k3sNode(host);
    return {
      hostName: ask(hostName),
      service: ask(inUse(role, settings.systemdDir)),
      wanted: askControl(wantedRelease(settings.k3sVersion, settings.channelsUrl, settings.airgapDir)),
      nodes: askEach(servers, k3sNodes),
    };
  },
  plan(seen, _args, host): Plan<Seen> {
    const node = k3sNode(host);
    const { wanted } = seen;
    const name = nodeNameOf(node, seen.hostName.inUse);
    if (seen.service.state !== 'active') return unchanged(`${unitName(node.role)} does not run`);
    const server = serverToAsk(node, host.name, seen.nodes);
    const told = seen.nodes.get(server);
    const nodes = told !== undefined && 'nodes' in told ? told.nodes : [];
    const own = nodes.find((candidate) => candidate.name === name);
    if (own === undefined) return unchanged(`the cluster knows no ${name}`);
    const kept = whyPodsStay(node, own, nodes, wanted);
    if (kept !== undefined) return unchanged(kept);
    const cordons = !own.unschedulable;
    return change(
      `${own.version} runs, ${wanted.text} is wanted`,
      [
        {
          kind: 'run',
          what: `drain ${name}`,
          ...(server === host.name ? {} : { host: server }),
          deadlineMs: (node.settings.drainTimeoutS + 60) * 1000,
          script: drainScript(node, name, wanted, cordons),
        },
      ],
      {
        after: {
          nodes: withNode(seen.nodes, {
            ...own,
            unschedulable: true,
            cordonedByFleet: cordons || own.cordonedByFleet,
            drainedFor: wanted.text,
          }),
        },
      },
    );
  },
});

/** Why a node is not drained, or no longer; `undefined` where it is to be. */
function whyPodsStay(
  node: K3sNodeView,
  own: K3sNode,
  nodes: readonly K3sNode[],
  wanted: K3sVersion,
): string | undefined {
  const { drain } = node.settings;
  if (drain === 'never') return 'drain is off';
  if ((drain === 'servers' || drain === 'agents') && drain !== `${node.role}s`)
    return `drain: ${drain} leaves ${node.role}s alone`;
  const running = parseVersion(own.version);
  if (running === undefined || compareVersions(running, wanted) === 0) return `${own.version} runs`;
  if (drain === 'minor' && running.major === wanted.major && running.minor === wanted.minor)
    return 'pods run on through the restart for another patch';
  if (own.unschedulable && own.drainedFor === wanted.text) return `it was drained for ${wanted.text}`;
  if (!own.ready) return `${own.name} is not Ready: its kubelet could not let a pod go`;
  if (!nodes.some((other) => other.name !== own.name && other.ready && !other.unschedulable))
    return 'no other node could take its pods';
  return undefined;
}

/** The nodes with one of them as it will be, as every server will tell it. */
export function withNode(nodes: NodesByServer, changed: K3sNode): NodesByServer {
  return new Map(
    [...nodes].map(([server, told]): [string, K3sNodes | undefined] => [
      server,
      told !== undefined && 'nodes' in told
        ? { nodes: told.nodes.map((one) => (one.name === changed.name ? changed : one)) }
        : told,
    ]),
  );
}

/** The cordon and its mark in one request: a run that dies between the two could not tell its own cordon from others'. */
function marks(annotations: Readonly<Record<string, string | null>>, unschedulable?: true | null): string {
  return JSON.stringify({
    metadata: { annotations },
    ...(unschedulable === undefined ? {} : { spec: { unschedulable } }),
  });
}

/** Takes back what a drain marked; the cordon only where it was fleet's. */
export function uncordonScript(name: string, cordonedByFleet: boolean): ShellScript {
  const patch = marks(
    { [cordonAnnotation]: null, [drainAnnotation]: null },
    cordonedByFleet ? null : undefined,
  );
  return sh`${kubectlWords} patch node ${name} --type=merge -p ${patch}`;
}

/** Each budget as `NAMESPACE NAME ALLOWED SELECTOR`, the selector as kubectl's -l takes it. */
const budgets = `{{range .items}}{{.metadata.namespace}} {{.metadata.name}} {{.status.disruptionsAllowed}} \
{{with .spec.selector}}{{range $key, $value := .matchLabels}}{{$key}}={{$value}},{{end}}\
{{range .matchExpressions}}\
{{if eq .operator "In"}}{{.key}} in ({{range $i, $value := .values}}{{if $i}},{{end}}{{$value}}{{end}}),{{end}}\
{{if eq .operator "NotIn"}}{{.key}} notin ({{range $i, $value := .values}}{{if $i}},{{end}}{{$value}}{{end}}),{{end}}\
{{if eq .operator "Exists"}}{{.key}},{{end}}\
{{if eq .operator "DoesNotExist"}}!{{.key}},{{end}}\
{{end}}{{end}}{{"\\n"}}{{end}}`;

/** A drain that cannot end says which budget holds which pod: kubectl names the pod alone. */
export function drainScript(
  { settings }: Pick<K3sNodeView, 'settings'>,
  name: string,
  wanted: Pick<K3sVersion, 'text'>,
  cordons: boolean,
): ShellScript {
  const flags = [
    '--ignore-daemonsets',
    `--timeout=${settings.drainTimeoutS}s`,
    ...(settings.drainDeleteEmptyDir ? ['--delete-emptydir-data'] : []),
    ...(settings.drainForce ? ['--force'] : []),
  ];
  const cordon = marks({ [cordonAnnotation]: 'fleet' }, true);
  return sh`node=${name}
${cordons ? sh`${kubectlWords} patch node "$node" --type=merge -p ${cordon} > /dev/null || exit 1` : sh`:`}
if said=$(${kubectlWords} drain "$node" ${flags} 2>&1); then
  ${kubectlWords} annotate node "$node" --overwrite ${`${drainAnnotation}=${wanted.text}`} > /dev/null
  exit
fi
printf '%s\n' "$said" | grep -iE 'error|cannot' | tail -n 3 >&2
${kubectlWords} get poddisruptionbudgets -A -o go-template=${budgets} 2> /dev/null | while read -r space budget allowed selector; do
  [ "$allowed" = 0 ] || continue
  ${kubectlWords} -n "$space" get pods -l "\${selector%,}" --field-selector "spec.nodeName=$node" -o name 2> /dev/null | while read -r pod; do
    echo "the PodDisruptionBudget $space/$budget lets no pod go now, and holds \${pod#pod/} on $node" >&2
  done
done
${cordons ? sh`if ${uncordonScript(name, true)} > /dev/null 2>&1; then echo "$node takes pods again; nothing else was changed" >&2; else echo "$node stays cordoned: no API took that back; run again" >&2; fi` : sh`echo "$node stays cordoned, as it was before" >&2`}
echo "Let the budget allow one more (another replica), or set drain: false for this host." >&2
exit 1`;
}
