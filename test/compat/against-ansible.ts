/**
 * harden.yml by Ansible and by fleet on two equal nodes: the same end state, second runs without a change, the times side by
 * side. And language/site.yml, whose assertions hold in both. Run by hand: npx tsx test/compat/against-ansible.ts
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startNodesWithPython } from '../../bench/nodes-with-python.ts';
import { provideAnsible } from '../../bench/tools.ts';
import { runCommand } from '../fleet/docker.ts';
import { endState } from './end-state.ts';
import { hardenPlaybook, type PlayOutcome, playWithFleet } from './harden.ts';

async function playWithAnsible(inventory: string, limit: string, folder: string): Promise<PlayOutcome> {
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
}

async function main(): Promise<number> {
  await provideAnsible();
  const nodes = await startNodesWithPython(2);
  const folder = await mkdtemp(path.join(tmpdir(), 'fleet-compat-'));
  try {
    const [ours, theirs] = [nodes.nodes[0], nodes.nodes[1]];
    if (ours === undefined || theirs === undefined) throw new Error('two nodes are needed');
    // Package lists, as a host that has been up for a day has them; the network is not what is measured.
    for (const node of [ours, theirs])
      await nodes.exec(
        node,
        'apt-get update -q >/dev/null 2>&1; apt-get install -y -q --download-only --no-install-recommends cron logrotate ufw openssh-client less >/dev/null 2>&1',
      );
    const rows: string[][] = [];
    const outcomes: PlayOutcome[] = [];
    for (const round of ['first', 'second', 'third']) {
      for (const [tool, play, node] of [
        ['fleet', () => playWithFleet(nodes.inventoryPath, ours.name), ours],
        ['ansible', () => playWithAnsible(nodes.inventoryPath, theirs.name, folder), theirs],
      ] as const) {
        const outcome = await play();
        outcomes.push(outcome);
        rows.push([
          tool,
          round,
          `${(outcome.wallMs / 1000).toFixed(2)} s`,
          String(outcome.changed),
          String(outcome.failed),
          String(outcome.code),
        ]);
        if (outcome.code !== 0)
          process.stdout.write(`${tool} on ${node.name} ended with ${outcome.code}:\n${outcome.printed}\n`);
        else if (round !== 'first' && outcome.changed > 0)
          process.stdout.write(`${tool}, ${round} run, changed: ${outcome.changes.join('; ')}\n`);
      }
    }
    process.stdout.write(
      `\n| tool | run | wall | changed | failed | exit |\n|---|---|---|---|---|---|\n${rows.map((row) => `| ${row.join(' | ')} |`).join('\n')}\n\n`,
    );
    const [left, right] = [await endState(nodes, ours), await endState(nodes, theirs)];
    const onlyLeft = left.filter((line) => !right.includes(line));
    // Ansible's apt needs python3-apt on the host, and installs it.
    const onlyRight = right.filter(
      (line) =>
        !left.includes(line) && !/^package (?:python3-apt|python-apt-common|distro-info-data) /.test(line),
    );
    process.stdout.write(
      `${left.length} things compared. Only after fleet: ${onlyLeft.length}\n${onlyLeft.join('\n')}\nOnly after Ansible: ${onlyRight.length}\n${onlyRight.join('\n')}\n`,
    );
    for (const file of new Set(
      [...onlyLeft, ...onlyRight].flatMap((line) => /^sum \S+ +(.+)$/.exec(line)?.[1] ?? []),
    )) {
      for (const node of [ours, theirs]) {
        const { stdout } = await nodes.exec(node, `cat -A '${file}' | head -40`);
        process.stdout.write(`--- ${file} on ${node.name}\n${stdout}\n`);
      }
    }
    const isEqual = onlyLeft.length === 0 && onlyRight.length === 0;
    return isEqual &&
      outcomes.every(({ code }) => code === 0) &&
      outcomes.slice(2).every(({ changed }) => changed === 0)
      ? 0
      : 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
    await nodes.stop();
  }
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exitCode = 1;
  },
);
