import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject, onTestFinished } from 'vitest';

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

const [program = process.execPath, ...before] = [...withOwnLock, process.execPath, inject('fleetCommand')];

function environment(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const { FLEET_DEBUG: _debug, FLEET_INVENTORY: _inventory, ...env } = process.env;
  return { ...env, NO_COLOR: '1', ...more };
}

/** Runs the real command line, as built from the sources (`build-command.ts`), without a terminal, in a folder of its own unless one is given. */
export function fleet(
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Ended {
  const { status, stdout, stderr } = spawnSync(program, [...before, ...args], {
    cwd: options.cwd ?? emptyFolder(),
    env: environment(options.env),
    encoding: 'utf8',
    input: '',
  });
  return { code: status, out: stdout, err: stderr };
}

/** Starts it in the same way, to be watched and interrupted. */
export function startFleet(
  args: readonly string[],
  cwd: string,
): { readonly child: ChildProcessWithoutNullStreams; readonly ended: Promise<Omit<Ended, 'out'>> } {
  const child = spawn(program, [...before, ...args], { cwd, env: environment() });
  child.stdin.end();
  const ended = new Promise<Omit<Ended, 'out'>>((resolve) => {
    let err = '';
    child.stderr.on('data', (chunk: Buffer) => {
      err += chunk.toString();
    });
    child.on('close', (code) => resolve({ code, err }));
  });
  return { child, ended };
}

/** A folder that is gone when the test is. */
export function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fleet-cli-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
