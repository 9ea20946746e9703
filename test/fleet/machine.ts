/**
 * What the tests need of this machine: programs from Debian, installed where they are missing, and locks between processes.
 */
import { spawn } from 'node:child_process';
import { access, constants, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { fleetTestDirectory, runCommand } from './docker.ts';

/** Makes sure that a program is in PATH, installing the Debian package that has it (told on stderr, with the reason). */
export async function provideProgram(program: string, debianPackage: string, why: string): Promise<void> {
  for (const directory of (process.env.PATH ?? '').split(path.delimiter)) {
    const found = await access(path.join(directory, program), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return;
  }
  const script = path.join(fleetTestDirectory, 'install-packages.sh');
  const { code } = await runCommand('sh', [script, why, debianPackage], { show: true });
  if (code !== 0) throw new Error(`${why}: ${program} is missing, and could not be installed`);
}

/**
 * Does something while no other process does the same. The lock is held by a flock(1) that ends with this process, however that
 * ends.
 */
export async function exclusively<Result>(lockFile: string, work: () => Promise<Result>): Promise<Result> {
  await mkdir(path.dirname(lockFile), { recursive: true });
  const holder = spawn('flock', ['-w', '900', lockFile, 'sh', '-c', 'echo locked; cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => {
    holder.on('close', () => resolve());
  });
  try {
    await new Promise<void>((resolve, reject) => {
      holder.stdout.once('data', () => resolve());
      holder.on('error', reject);
      holder.on('close', () => reject(new Error(`another process has held ${lockFile} for 15 minutes`)));
    });
    return await work();
  } finally {
    holder.stdin.end();
    await ended;
  }
}
