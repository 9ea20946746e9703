import { spawn } from 'node:child_process';
import { access, constants, lstat, readdir, readFile, stat } from 'node:fs/promises';
import { usageError } from './findings.ts';

/** The files and programs of the control machine, as reading an inventory needs them. The one edge of this room. */
export interface InventoryFiles {
  /** What stands at a path; `missing` for nothing. */
  kind(path: string): Promise<'file' | 'folder' | 'missing'>;
  /** @throws FleetError when it cannot be read or is too large. */
  read(path: string): Promise<string>;
  /** Sorted by name. */
  list(folder: string): Promise<readonly string[]>;
  isExecutable(path: string): Promise<boolean>;
  /** Runs a program and gives what it prints. @throws FleetError when it fails, talks too much or too long. */
  run(program: string, args: readonly string[], purpose: string): Promise<string>;
}

const LARGEST_FILE = 64 * 1024 * 1024;
const LARGEST_ANSWER = 64 * 1024 * 1024;
const PROGRAM_MILLISECONDS = 60_000;

export const realFiles: InventoryFiles = {
  async kind(path) {
    try {
      const found = await stat(path);
      return found.isDirectory() ? 'folder' : 'file';
    } catch {
      // A dangling link is there, and unreadable; what is absent is missing.
      return (await lstat(path).catch(() => undefined)) === undefined ? 'missing' : 'file';
    }
  },
  async read(path) {
    try {
      const found = await stat(path);
      if (found.size > LARGEST_FILE) {
        throw usageError({
          code: 'INVENTORY_TOO_LARGE',
          message: `${path} is larger than 64 MiB`,
          fix: 'Split it.',
          where: { file: path },
        });
      }
      const bytes = await readFile(path);
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    } catch (error) {
      if (error instanceof Error && error.name === 'FleetError') throw error;
      const isBinary = error instanceof TypeError;
      throw usageError({
        code: 'INVENTORY_UNREADABLE',
        message: `cannot read ${path}: ${isBinary ? 'it is not UTF-8 text' : reason(error)}`,
        fix: isBinary
          ? 'Save it as UTF-8 (`file` says what it is now), or name another file.'
          : 'Check the path and its permissions.',
        where: { file: path },
      });
    }
  },
  async list(folder) {
    try {
      return (await readdir(folder)).sort();
    } catch (error) {
      throw usageError({
        code: 'INVENTORY_UNREADABLE',
        message: `cannot list ${folder}: ${reason(error)}`,
        fix: 'Check the path and its permissions.',
        where: { file: folder },
      });
    }
  },
  async isExecutable(path) {
    try {
      await access(path, constants.X_OK);
      return (await stat(path)).isFile();
    } catch {
      return false;
    }
  },
  run: runProgram,
};

function reason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return (
    (
      { ENOENT: 'there is no such file', EACCES: 'permission denied', EISDIR: 'it is a folder' } as Record<
        string,
        string
      >
    )[code] ?? (error instanceof Error ? error.message : String(error))
  );
}

function runProgram(program: string, args: readonly string[], purpose: string): Promise<string> {
  const shown = [program, ...args].join(' ');
  return new Promise((resolve, reject) => {
    const refuse = (message: string, fix: string): void =>
      reject(usageError({ code: 'INVENTORY_PROGRAM_FAILED', message, fix, where: { file: program } }));
    const child = spawn(program, [...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    const output: Buffer[] = [];
    let size = 0;
    let errors = '';
    let stopped: string | undefined;
    const stop = (why: string): void => {
      stopped ??= why;
      child.kill('SIGKILL');
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const timer = setTimeout(
      () => stop(`took longer than ${PROGRAM_MILLISECONDS / 1000} s`),
      PROGRAM_MILLISECONDS,
    );
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > LARGEST_ANSWER) stop('printed more than 64 MiB');
      else output.push(chunk);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      if (errors.length < 4000) errors += chunk.toString('utf8');
    });
    child.on('error', (error) => {
      clearTimeout(timer);
      refuse(
        `cannot run ${purpose} "${shown}": ${reason(error)}`,
        'Check that it exists, is executable and has a "#!" line.',
      );
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (stopped !== undefined)
        refuse(`${purpose} "${shown}" ${stopped}`, `Run "${shown}" by hand to see why.`);
      else if (code !== 0) {
        const last = errors.trim().split('\n').at(-1) ?? '';
        refuse(
          `${purpose} "${shown}" ended with ${code === null ? `signal ${signal}` : `exit code ${code}`}${last === '' ? '' : `: ${last.slice(0, 300)}`}`,
          `Run "${shown}" by hand to see why.`,
        );
      } else resolve(Buffer.concat(output).toString('utf8'));
    });
  });
}
