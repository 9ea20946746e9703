import { lstatSync, readdirSync, realpathSync, type Stats, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { ControlMachine, PathState } from '../jinja/control-machine.ts';
import { globMatcher } from './host-selection.ts';

/** A pattern that matches more is a slip of the keyboard. */
const MOST_MATCHES = 100_000;

/** This machine, for the tests and filters of templates that ask about its files. */
export function thisMachine(environment: NodeJS.ProcessEnv, cwd: string): ControlMachine {
  return {
    home: environment.HOME ?? homedir(),
    cwd,
    environment,
    stateOf,
    realPath,
    matching: (pattern) => matching(pattern),
  };
}

function stateOf(path: string): PathState {
  const own = statOf(() => lstatSync(path));
  const target = statOf(() => statSync(path));
  return {
    kind:
      target === undefined ? 'missing' : target.isFile() ? 'file' : target.isDirectory() ? 'folder' : 'other',
    isLink: own?.isSymbolicLink() === true,
    isMount: own?.isDirectory() === true && isMountPoint(path, own),
    identity: target === undefined ? undefined : `${target.dev}:${target.ino}`,
  };
}

/** Another device than the folder above, or the root itself. */
function isMountPoint(path: string, own: Stats): boolean {
  const above = statOf(() => lstatSync(join(path, '..')));
  return above !== undefined && (above.dev !== own.dev || above.ino === own.ino);
}

function statOf(ask: () => Stats): Stats | undefined {
  try {
    return ask();
  } catch {
    return undefined;
  }
}

/** As Python's: what exists of the path is resolved, the rest is kept. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const above = dirname(path);
    return above === path ? path : join(realPath(above), path.slice(above.length).replace(/^\/+/, ''));
  }
}

function matching(pattern: string): readonly string[] {
  let found: readonly string[] = ['/'];
  for (const part of pattern.split('/').filter((name) => name !== '')) {
    if (!/[*?[]/.test(part)) {
      found = found.map((folder) => join(folder, part));
      continue;
    }
    const matches = globMatcher(part);
    found = found
      .flatMap((folder) => entriesOf(folder).map((entry) => [folder, entry] as const))
      .filter(([, entry]) => matches(entry) && (part.startsWith('.') || !entry.startsWith('.')))
      .map(([folder, entry]) => join(folder, entry))
      .slice(0, MOST_MATCHES);
  }
  return found.filter((path) => stateOf(path).kind !== 'missing').toSorted();
}

function entriesOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
