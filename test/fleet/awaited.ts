/** What tests wait for without asking again and again: what a program says, a file that appears, a door that is opened. */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, watch, writeSync } from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { onTestFinished } from 'vitest';

/**
 * Waits until what a program says on one of its streams matches.
 * @throws with what it said, if it ends before, or cannot be started
 */
export function untilSaid(child: ChildProcess, stream: Readable, wanted: RegExp): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    let said = '';
    const listen = (chunk: Buffer): void => {
      said += chunk.toString();
      const found = wanted.exec(said);
      if (found === null) return;
      stream.off('data', listen).resume();
      resolve(found);
    };
    stream.on('data', listen);
    child.once('error', reject);
    child.once('close', (code) =>
      reject(new Error(`${child.spawnfile} ended with ${code} before it said ${wanted}: ${said}`)),
    );
  });
}

/** Waits until a file is in its folder, which is there already. */
export async function untilThere(file: string): Promise<void> {
  const watcher = watch(path.dirname(file));
  try {
    while (!existsSync(file)) await once(watcher, 'change');
  } finally {
    watcher.close();
  }
}

/**
 * Makes a pipe of a name that a shell waits at by `read -r _ < file`, until the test opens it: that lets one through, who waits or who
 * comes later. At the end of the test nobody waits any more.
 */
export function doorAt(file: string): { open(): void } {
  execFileSync('mkfifo', [file]);
  // For reading, too: so that this waits for nobody, and who comes later finds what was written.
  const pipe = openSync(file, 'r+');
  onTestFinished(() => closeSync(pipe));
  return { open: () => void writeSync(pipe, '\n') };
}
