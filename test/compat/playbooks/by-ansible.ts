import { spawnSync } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { outOf, writeCase } from './case-folder.ts';
import { type Ended, type Outcome, shownValue, tasksByHost } from './outcome.ts';
import { type PlaybookCase, pathOf } from './playbook-case.ts';

/** Debian's Ansible belongs to Debian's Python, which need not be the first in PATH. */
const PYTHON = '/usr/bin/python3';

interface TaskTold {
  readonly kind: 'task';
  readonly host: string;
  readonly task: string;
  readonly action: string;
  readonly status: string;
  readonly item: string | number | null;
  readonly loop: boolean;
  readonly msg: unknown;
}

interface StatsTold {
  readonly kind: 'stats';
  readonly hosts: Readonly<
    Record<string, { readonly failures: number; readonly unreachable: number; readonly rescued: number }>
  >;
}

interface Answer {
  readonly code: number;
  readonly events: readonly (TaskTold | StatsTold | { readonly kind: 'play' })[];
}

/** Whether this machine has an Ansible to ask. */
export const hasAnsible = spawnSync(PYTHON, ['-c', 'import ansible']).status === 0;

/** What the Ansible of this machine makes of playbooks. */
export function playByAnsible(cases: readonly PlaybookCase[]): readonly Outcome[] {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'ansible-plays-')));
  try {
    const folders = cases.map((one, index) => writeCase(join(folder, String(index)), one));
    const run = spawnSync(PYTHON, [fileURLToPath(new URL('./ansible-runs.py', import.meta.url))], {
      input: JSON.stringify(cases.map((one, index) => ({ folder: folders[index], args: argumentsOf(one) }))),
      encoding: 'utf8',
      maxBuffer: 256 * 1024 * 1024,
    });
    if (run.status !== 0) throw new Error(`Ansible was not asked: ${run.stderr}`);
    const answers = JSON.parse(run.stdout) as readonly Answer[];
    return answers.map((answer, index) => outcomeOf(answer, folders[index] ?? ''));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function argumentsOf(one: PlaybookCase): readonly string[] {
  return [
    ...['-i', 'inventory', '-e', '{"out": "{{ inventory_dir }}/out"}'],
    ...(one.extra ?? []).flatMap((extra) => ['-e', extra]),
    ...(one.tags === undefined ? [] : ['--tags', one.tags.join(',')]),
    ...(one.skipTags === undefined ? [] : ['--skip-tags', one.skipTags.join(',')]),
    ...(one.startAt === undefined ? [] : ['--start-at-task', one.startAt]),
    ...(one.limit === undefined ? [] : ['--limit', one.limit]),
    ...(one.check === undefined ? [] : ['--check']),
    pathOf(one),
  ];
}

function outcomeOf({ code, events }: Answer, folder: string): Outcome {
  const bare = (text: string): string => text.replaceAll(folder, 'FOLDER');
  const stats = events.find((event) => event.kind === 'stats');
  const hosts = Object.entries(stats?.hosts ?? {}).sort();
  const tasks = events.filter((event) => event.kind === 'task');
  return {
    refused: code !== 0 && stats === undefined,
    failed: hosts.flatMap(([host, { failures }]) => (failures > 0 ? [host] : [])),
    unreachable: hosts.flatMap(([host, { unreachable }]) => (unreachable > 0 ? [host] : [])),
    rescued: Object.fromEntries(
      hosts.flatMap(([host, { rescued }]) => (rescued > 0 ? [[host, rescued]] : [])),
    ),
    tasks: tasksByHost(
      tasks.flatMap((task, index): Ended[] => {
        if (/^(?:(?:include|import)_(?:tasks|role)|meta)$/.test(task.action) && task.status !== 'failed')
          return [];
        // The sum of a loop says nothing that its items did not say.
        const hadItems = tasks.some(
          (other, at) =>
            at < index && other.item !== null && other.host === task.host && other.task === task.task,
        );
        if (task.item === null && task.loop && hadItems) return [];
        return [
          {
            host: task.host,
            task: task.task,
            status: task.status,
            ...(task.item === null ? {} : { item: bare(shownValue(task.item)) }),
            ...(task.msg === null ? {} : { message: bare(shownValue(task.msg)) }),
          },
        ];
      }),
    ),
    files: outOf(folder),
  };
}
