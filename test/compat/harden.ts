import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { repositoryRoot, runCommand } from '../fleet/docker.ts';
import type { FakeFleet } from '../fleet/nodes.ts';

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

/** Runs the playbook with the Ansible of this machine, with pipelining, as who cares about speed does. */
export async function playWithAnsible(inventory: string, limit: string): Promise<PlayOutcome> {
  const folder = await mkdtemp(path.join(tmpdir(), 'fleet-compat-'));
  try {
    const configuration = path.join(folder, 'ansible.cfg');
    await writeFile(
      configuration,
      [
        '[defaults]',
        'interpreter_python = /usr/bin/python3',
        'retry_files_enabled = false',
        '[ssh_connection]',
        'pipelining = true',
        '',
      ].join('\n'),
    );
    const begun = performance.now();
    const { code, stdout, stderr } = await runCommand(
      'ansible-playbook',
      ['-i', inventory, '--limit', limit, hardenPlaybook],
      { env: { ...process.env, ANSIBLE_CONFIG: configuration, ANSIBLE_NOCOLOR: '1' } },
    );
    const wallMs = performance.now() - begun;
    const recap = /^\S+\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)/m.exec(stdout);
    const changes: string[] = [];
    let task = '';
    for (const line of stdout.split('\n')) {
      task = /^TASK \[(.*)\] \*/.exec(line)?.[1] ?? /^RUNNING HANDLER \[(.*)\] \*/.exec(line)?.[1] ?? task;
      if (line.startsWith('changed:')) changes.push(task);
    }
    return {
      code,
      wallMs,
      changed: Number(recap?.[1] ?? -1),
      failed: Number(recap?.[2] ?? 1) + Number(recap?.[3] ?? 1),
      changes,
      printed: `${stdout.slice(-6000)}\n${stderr.slice(-4000)}`,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Lists of packages, and those to install, as a host that has been up for a day has them: the network is not what is measured. */
export async function fetchPackages(nodes: FakeFleet): Promise<void> {
  const fetch =
    'apt-get update -q >/dev/null 2>&1; apt-get install -y -q --download-only --no-install-recommends cron logrotate ufw openssh-client less >/dev/null 2>&1';
  await Promise.all(nodes.nodes.map((node) => nodes.exec(node, fetch)));
}
