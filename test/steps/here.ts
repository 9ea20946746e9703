import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { reveal } from '../../src/core/secret.ts';
import type { ShellScript } from '../../src/core/shell.ts';
import type { Action } from '../../src/engine/action.ts';
import { scriptOf } from '../../src/engine/action-script.ts';
import type { AnyStep, HostView, Plan } from '../../src/engine/step.ts';
import type { Fleet, Variables } from '../../src/inventory/fleet.ts';
import type { Answer } from '../../src/ssh/connection.ts';
import { readArguments } from '../../src/steps/arguments.ts';

/** Runs a step on this very machine, with the engine's own scripts but without its connections: for temporary folders. */

export const shells: Readonly<Record<string, readonly string[]>> = {
  dash: ['dash'],
  bash: ['bash', '--posix'],
  busybox: ['busybox', 'sh'],
};

/** Runs a script as a host would: fed to a shell. BusyBox's shell also prefers BusyBox's own tools. */
export function runIn(shell: string, script: ShellScript): Answer {
  const [program = 'dash', ...options] = shells[shell] ?? [];
  const done = spawnSync(program, [...options, '-c', script.text], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  });
  return { stdout: done.stdout, stderr: done.stderr, code: done.status ?? 255 };
}

/** Variables without templates: what is given is what is got; a tiny `{{ name }}` for the template step. */
export function plainVariables(values: Readonly<Record<string, unknown>> = {}): Variables {
  const variables: Variables = {
    names: () => Object.keys(values).sort(),
    has: (name) => name in values,
    raw: (name) => values[name],
    where: () => undefined,
    get: (name) => values[name],
    levels: (name) => (name in values ? [values[name]] : []),
    with: (more) => plainVariables({ ...values, ...more }),
    template: (value) =>
      typeof value === 'string'
        ? value.replace(/\{\{ *(\w+) *\}\}/g, (_all, name: string) => String(values[name]))
        : value,
    test: (expression) => (typeof expression === 'boolean' ? expression : Boolean(values[expression])),
  };
  return variables;
}

export function hostView(
  values: Readonly<Record<string, unknown>> = {},
  searchPath: readonly string[] = [],
): HostView {
  const fleet: Fleet = {
    sources: [],
    hosts: new Map(),
    groups: new Map(),
    vars: plainVariables(values),
    warnings: [],
    select: () => [],
  };
  return { name: 'node1', groups: ['server'], vars: plainVariables(values), fleet, searchPath };
}

/** The plan of a step for what this machine really answers. */
export async function planHere(
  step: AnyStep,
  written: unknown,
  shell = 'dash',
  view = hostView(),
): Promise<Plan<Record<string, unknown>>> {
  const args = readArguments<unknown>(step, written);
  const seen: Record<string, unknown> = {};
  for (const [name, question] of Object.entries(step.look(args, view))) {
    const { fact } = question as {
      fact: { key: string; sh?: ShellScript; parse?: (a: Answer) => unknown; read?: () => unknown };
    };
    seen[name] = fact.sh === undefined ? await fact.read?.() : fact.parse?.(runIn(shell, fact.sh));
  }
  return step.plan(seen, args, view);
}

/** Performs actions with the engine's own scripts; throws what a failed one said. */
export function performHere(actions: readonly Action[], shell = 'dash'): readonly (Answer | undefined)[] {
  return actions.map((action) => {
    if (action.kind === 'save') {
      mkdirSync(dirname(action.path), { recursive: true });
      writeFileSync(
        action.path,
        action.content instanceof Uint8Array ? action.content : reveal(action.content),
      );
      return undefined;
    }
    if (action.kind === 'collect') {
      mkdirSync(dirname(action.path), { recursive: true });
      copyFileSync(action.source, action.path);
      return undefined;
    }
    if (action.kind === 'pause') return undefined;
    if (action.kind !== 'run' && action.kind !== 'write' && action.kind !== 'remove') {
      throw new Error(`${action.kind} needs the engine`);
    }
    const { survives: _here, ...plain } = { survives: undefined, ...action };
    const answer = runIn(shell, scriptOf(plain as typeof action, {}, 'job'));
    if (answer.code !== 0 && !('anyExit' in action)) {
      throw new Error(`${action.kind} exited ${answer.code}: ${answer.stderr}`);
    }
    return answer;
  });
}

/** Plans, performs and plans again, as the engine does. */
export async function settle(step: AnyStep, written: unknown, shell = 'dash', view = hostView()) {
  const first = await planHere(step, written, shell, view);
  const answers = first.verdict === 'change' ? performHere(first.actions, shell) : [];
  const second = await planHere(step, written, shell, view);
  return { first, answers, second };
}
