import { Type } from '@sinclair/typebox';
import { lines, type ShellScript, sh } from '../core/shell.ts';
import { change, type Diff, defineStep, type Plan, unchanged } from '../engine/step.ts';
import { type FoundMarks, type K3sNode, marksAnnotation, nodeNamed } from '../facts/k3s-nodes.ts';
import { type NodeMarks, taintIdentity, taintText } from '../k3s/node-marks.ts';
import { kubectlWords } from '../k3s/paths.ts';
import { withNode } from './k3s-drain.ts';
import { type OwnNodeSeen, ownNode, ownNodeQuestions } from './k3s-own-node.ts';

const none: FoundMarks = { labels: {}, taints: [], byFleet: { labels: [], taints: [] } };

/**
 * Through the API, since k3s reads `--node-label` only when a node registers, and may not set `node-role.kubernetes.io/…`
 * by it at all. What fleet has set stands in an annotation: what others set is never taken off.
 */
export const k3sNodeLabelsStep = defineStep<ReturnType<typeof Type.Object>, OwnNodeSeen>({
  name: 'k3s_node_labels',
  summary:
    'The node has the labels and taints of node_labels and node_taints; those that fleet set earlier and nobody wants any more are gone.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_node_labels:\n'],
  alters: ['nodes'],
  look(_args, host) {
    return ownNodeQuestions(host);
  },
  plan(seen, _args, host): Plan<OwnNodeSeen> {
    const { node, name, server, told } = ownNode(host, seen);
    const own = nodeNamed(told, name);
    if (own === undefined) return unchanged(`no server tells of ${name}`);
    const wanted = node.settings.nodeMarks;
    const work = workFor(own.marks ?? none, wanted);
    if (work === undefined) return unchanged(`${name} is marked as it should be`);
    return change(
      `${name} ${becauseOf(work)}`,
      [
        {
          kind: 'run',
          what: `mark ${name}: ${shown(work)}`,
          ...(server === host.name ? {} : { host: server }),
          deadlineMs: 60_000,
          script: scriptFor(name, work),
        },
      ],
      {
        diff: diffOf(name, own.marks ?? none, work),
        after: { nodes: withNode(seen.nodes, marked(own, work)) },
      },
    );
  },
});

/** What is to be done to a node, and what it will be then. */
interface Work {
  readonly labels: Readonly<Record<string, string | null>>;
  /** As `kubectl taint` takes them; a minus behind one takes it off. */
  readonly taints: readonly string[];
  readonly outcome: FoundMarks;
  /** What fleet remembers while taints are on their way: those that it takes off, too. */
  readonly meanwhile: FoundMarks['byFleet'];
}

function workFor(found: FoundMarks, wanted: NodeMarks): Work | undefined {
  const wantedTaints = new Map(wanted.taints.map((taint) => [taintIdentity(taint), taint]));
  const foundTaints = new Map(found.taints.map((taint) => [taintIdentity(taint), taint]));
  const stale = {
    labels: found.byFleet.labels.filter((key) => !(key in wanted.labels) && key in found.labels),
    taints: found.byFleet.taints.filter((taint) => !wantedTaints.has(taint) && foundTaints.has(taint)),
  };
  const missing = {
    labels: Object.entries(wanted.labels).filter(([key, value]) => found.labels[key] !== value),
    taints: wanted.taints.filter((taint) => foundTaints.get(taintIdentity(taint))?.value !== taint.value),
  };
  const byFleet = { labels: Object.keys(wanted.labels).sort(), taints: [...wantedTaints.keys()].sort() };
  const labels = {
    ...Object.fromEntries(stale.labels.map((key) => [key, null])),
    ...Object.fromEntries(missing.labels),
  };
  const taints = [...missing.taints.map(taintText), ...stale.taints.map((taint) => `${taint}-`)];
  const isRemembered = memoryText(byFleet) === memoryText(found.byFleet);
  if (Object.keys(labels).length === 0 && taints.length === 0 && isRemembered) return undefined;
  for (const taint of stale.taints) foundTaints.delete(taint);
  const kept = Object.entries(found.labels).filter(([key]) => !stale.labels.includes(key));
  return {
    labels,
    taints,
    outcome: {
      labels: { ...Object.fromEntries(kept), ...wanted.labels },
      taints: [...new Map([...foundTaints, ...wantedTaints]).values()],
      byFleet,
    },
    meanwhile: { labels: byFleet.labels, taints: [...new Set([...byFleet.taints, ...stale.taints])].sort() },
  };
}

function becauseOf({ labels, taints }: Work): string {
  const change = Object.keys(labels).length + taints.length;
  return change === 0 ? 'has them already, and fleet takes them over' : 'is not marked as the inventory says';
}

function shown({ labels, taints }: Work): string {
  const words = Object.entries(labels).map(([key, value]) =>
    value === null ? `${key}-` : `${key}=${value}`,
  );
  return [...words, ...taints].join(', ') || 'remember what is there';
}

/** What fleet remembers is written with the labels and before the taints: a run that is broken off forgets nothing of its own. */
function scriptFor(name: string, { labels, taints, meanwhile, outcome }: Work): ShellScript {
  const remember = (what: FoundMarks['byFleet'], set: Work['labels']): ShellScript => {
    const text = memoryText(what);
    const patch = {
      metadata: { labels: set, annotations: { [marksAnnotation]: text === '' ? null : text } },
    };
    return sh`${kubectlWords} patch node ${name} --type=merge -p ${JSON.stringify(patch)} > /dev/null`;
  };
  return lines(
    sh`set -e`,
    remember(meanwhile, labels),
    ...(taints.length === 0
      ? []
      : [sh`${kubectlWords} taint node ${name} ${taints} --overwrite > /dev/null`]),
    ...(memoryText(meanwhile) === memoryText(outcome.byFleet) ? [] : [remember(outcome.byFleet, {})]),
  );
}

/** Empty where there is nothing to remember: then the annotation goes too. */
function memoryText({ labels, taints }: FoundMarks['byFleet']): string {
  return labels.length + taints.length === 0 ? '' : JSON.stringify({ labels, taints });
}

function marked(node: K3sNode, { outcome }: Work): K3sNode {
  return { ...node, marks: outcome };
}

/** Only what changes: a node has many labels of its own. */
function diffOf(name: string, before: FoundMarks, { labels, outcome }: Work): readonly Diff[] {
  const labelsOf = (marks: FoundMarks): string[] =>
    Object.keys(labels)
      .sort()
      .flatMap((key) => (key in marks.labels ? [`${key}=${marks.labels[key]}`] : []));
  const taintsOf = (marks: FoundMarks): string[] => marks.taints.map(taintText).sort();
  return [
    compared(`labels of ${name}`, labelsOf(before), labelsOf(outcome)),
    compared(`taints of ${name}`, taintsOf(before), taintsOf(outcome)),
  ].filter(({ before: was, after: is }) => was !== is);
}

function compared(subject: string, before: readonly string[], after: readonly string[]): Diff {
  const textOf = (texts: readonly string[]): string | undefined =>
    texts.length === 0 ? undefined : `${texts.join('\n')}\n`;
  return { subject, before: textOf(before), after: textOf(after) };
}
