import { isIP } from 'node:net';
import { Type } from '@sinclair/typebox';
import { defineStep, type Plan, unchanged } from '../engine/step.ts';
import { choice, optional } from './arguments.ts';
import { editFile, editQuestions } from './edited-file.ts';
import { addressOf, k3sNode } from './k3s-node.ts';
import type { LandingSite } from './landed-file.ts';

const args = Type.Object(
  {
    state: optional(
      choice(['present', 'absent'], "present (the default), or absent: fleet's lines are gone."),
    ),
  },
  { additionalProperties: false },
);

const path = '/etc/hosts';
const begin = '# Nodes of the k3s cluster, by fleet: begin\n';
const end = '# Nodes of the k3s cluster, by fleet: end\n';

/** A block of its own, written whole: lines of others are theirs. */
export const k3sHostsStep = defineStep<typeof args, LandingSite>({
  name: 'k3s_hosts',
  summary:
    'With `hosts_entries: true`, /etc/hosts has every node of the cluster that the inventory gives an address.',
  args,
  examples: ['- k3s_hosts:\n', '- k3s_hosts: state=absent\n'],
  look: () => editQuestions({ path }),
  plan(seen, args, host): Plan<LandingSite> {
    const isWanted = args.state !== 'absent' && k3sNode(host).settings.hostsEntries;
    if (!isWanted && !(seen.content.text ?? '').includes(begin))
      return unchanged('fleet has written no line of it');
    return editFile(seen, { path }, true, (text) => withBlock(text, isWanted ? entriesOf(host) : []));
  },
});

function entriesOf(host: Parameters<typeof k3sNode>[0]): readonly string[] {
  return k3sNode(host).cluster.nodes.flatMap((node) => {
    const address = addressOf(node);
    return isIP(address) === 0 || node.name === address ? [] : [`${address} ${node.name}\n`];
  });
}

/** The text with our block where it was, or at its end; without lines, without it. */
export function withBlock(text: string, rows: readonly string[]): string {
  const block = rows.length === 0 ? '' : `${begin}${rows.join('')}${end}`;
  const from = text.indexOf(begin);
  const to = text.indexOf(end, from);
  if (from >= 0 && to >= 0) return `${text.slice(0, from)}${block}${text.slice(to + end.length)}`;
  if (block === '') return text;
  return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${block}`;
}
