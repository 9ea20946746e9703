import { execFileSync } from 'node:child_process';

/** Makes a named pipe, which Node itself cannot. */
export function mkfifoSync(path: string): void {
  execFileSync('mkfifo', [path]);
}
