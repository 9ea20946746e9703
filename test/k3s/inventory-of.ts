import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { stringify } from 'yaml';
import { reveal } from '../../src/core/secret.ts';
import { describeAction } from '../../src/engine/action-text.ts';
import type { AnyStep, HostView, Plan } from '../../src/engine/step.ts';
import { loadFleet } from '../../src/inventory/load-fleet.ts';

/** The secret that no plan may show. */
export const password = 'hunter2-hunter2';
export const clusterToken = `K10${'a'.repeat(64)}::server:${password}`;

export interface Nodes {
  readonly servers?: readonly string[];
  readonly agents?: readonly string[];
  readonly vars?: Readonly<Record<string, unknown>>;
}

/** Hosts of a real inventory, as steps see them: `s1`, `s2` … at 10.0.0.1, 10.0.0.2 …, agents `a1` … at 10.0.1.1 …. */
export async function nodesOf({
  servers = ['s1'],
  agents = [],
  vars = {},
}: Nodes = {}): Promise<(name: string) => HostView> {
  const folder = mkdtempSync(join(tmpdir(), 'fleet-inventory-'));
  try {
    const path = join(folder, 'inventory.yml');
    const hosts = (names: readonly string[], net: number) =>
      Object.fromEntries(names.map((name, index) => [name, { ansible_host: `10.0.${net}.${index + 1}` }]));
    writeFileSync(
      path,
      stringify({
        k3s_cluster: {
          children: { server: { hosts: hosts(servers, 0) }, agent: { hosts: hosts(agents, 1) } },
          vars: { k3s_version: 'v1.33.4+k3s1', ...vars },
        },
      }),
    );
    const fleet = await loadFleet({ sources: [path] });
    return (name) => {
      const host = fleet.hosts.get(name);
      if (host === undefined) throw new Error(`no host ${name}`);
      return { name, groups: host.groups, vars: host.vars, fleet, searchPath: [] };
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export type AnyPlan = Plan<Record<string, unknown>>;

/** What a step without arguments decides. */
export function decided(
  step: AnyStep,
  seen: Readonly<Record<string, unknown>>,
  host: HostView,
  args: object = {},
): AnyPlan {
  const questions = Object.keys(step.look(args, host)).sort();
  if (questions.join() !== Object.keys(seen).sort().join())
    throw new Error(`the step asks ${questions.join()}, the test answers ${Object.keys(seen).sort().join()}`);
  return step.plan(seen, args, host) as AnyPlan;
}

/** What a person is shown of the actions, in order. */
export function actionsIn(plan: AnyPlan): readonly string[] {
  return plan.verdict === 'change' ? plan.actions.map(describeAction) : [];
}

/** Everything of a plan that a person may come to see. */
export function shownOf(plan: AnyPlan): string {
  if (plan.verdict === 'unchanged') return plan.because;
  if (plan.verdict === 'refuse') return `${plan.because}\n${plan.fix}`;
  return [plan.because, inspect(plan.diff, { depth: 9, maxStringLength: null }), ...actionsIn(plan)].join(
    '\n',
  );
}

/** The file that a plan writes at a path. */
export function writtenBy(plan: AnyPlan, path: string): { readonly text: string; readonly mode: string } {
  const write =
    plan.verdict === 'change'
      ? plan.actions.find((action) => action.kind === 'write' && action.path === path)
      : undefined;
  if (
    write?.kind !== 'write' ||
    write.content instanceof Uint8Array ||
    (typeof write.content === 'object' && 'fact' in write.content)
  )
    throw new Error(`${path} is not written; actions: ${actionsIn(plan).join(', ')}`);
  return { text: reveal(write.content), mode: `${write.mode} ${write.owner}:${write.group}` };
}

/** The scripts that a plan runs. */
export function scriptsIn(plan: AnyPlan): string {
  return plan.verdict === 'change'
    ? plan.actions.map((action) => (action.kind === 'run' ? action.script.text : '')).join('\n')
    : '';
}

/** The plan once its own foresight has come true: what the engine finds when it looks again. */
export function settled(step: AnyStep, seen: Readonly<Record<string, unknown>>, host: HostView): AnyPlan {
  const plan = decided(step, seen, host);
  if (plan.verdict !== 'change') throw new Error(`no change but ${plan.verdict}: ${plan.because}`);
  return decided(step, { ...seen, ...plan.after }, host);
}
