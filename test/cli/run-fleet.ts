import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

const root = join(import.meta.dirname, '..', '..');

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A lock of its own: runs on this very machine, in tests side by side, would find each other's. Only root can have one, and only root locks. */
const withOwnLock =
  process.getuid?.() === 0
    ? [
        'unshare',
        '--mount',
        'sh',
        '-c',
        'mkdir -p /run/fleet && mount -t tmpfs none /run/fleet && exec "$@"',
        'sh',
      ]
    : [];

/** Runs the real command line from the sources, without a terminal, in a folder of its own unless one is given. */
export function fleet(
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Ended {
  const { FLEET_DEBUG: _debug, FLEET_INVENTORY: _inventory, ...env } = process.env;
  const [program = process.execPath, ...before] = [
    ...withOwnLock,
    process.execPath,
    '--import',
    join(root, 'node_modules', 'tsx', 'dist', 'loader.mjs'),
    join(root, 'src', 'cli', 'main.ts'),
  ];
  const { status, stdout, stderr } = spawnSync(program, [...before, ...args], {
    cwd: options.cwd ?? emptyFolder(),
    env: { ...env, NO_COLOR: '1', ...options.env },
    encoding: 'utf8',
    input: '',
  });
  return { code: status, out: stdout, err: stderr };
}

/** A folder that is gone when the test is. */
export function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fleet-cli-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
