import path from 'node:path';
import { repositoryRoot, runCommand } from '../fleet/docker.ts';

/** The playbook that Ansible and fleet run. */
export const hardenPlaybook = path.join(import.meta.dirname, 'harden.yml');

/** How a run of it ended. */
export interface PlayOutcome {
  readonly code: number;
  readonly changed: number;
  readonly failed: number;
  readonly wallMs: number;
  /** Names of the steps that changed something. */
  readonly changes: readonly string[];
  readonly printed: string;
}

/** Runs the playbook with fleet, from the sources. */
export async function playWithFleet(inventory: string, limit: string): Promise<PlayOutcome> {
  const begun = performance.now();
  const { code, stdout, stderr } = await runCommand(process.execPath, [
    '--import',
    path.join(repositoryRoot, 'node_modules/tsx/dist/loader.mjs'),
    path.join(repositoryRoot, 'src/cli/main.ts'),
    ...['play', hardenPlaybook, '-i', inventory, '--limit', limit, '--output', 'json'],
  ]);
  const wallMs = performance.now() - begun;
  const events = stdout
    .trim()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
  const finished = events.find(({ kind }) => kind === 'run-finished')?.hosts as
    | Readonly<Record<string, { readonly changed: number; readonly failed: number }>>
    | undefined;
  const hosts = Object.values(finished ?? {});
  return {
    code,
    wallMs,
    changed: hosts.reduce((sum, host) => sum + host.changed, 0),
    failed: hosts.reduce((sum, host) => sum + host.failed, 0),
    changes: events
      .filter(({ kind, status }) => kind === 'task-finished' && status === 'changed')
      .map(({ task, item }) => `${String(task)}${item === undefined ? '' : ` (${String(item)})`}`),
    printed: `${stdout.slice(-6000)}\n${stderr.slice(-4000)}`,
  };
}
