import { posix } from 'node:path';
import { FleetError } from '../../src/core/errors.ts';
import type { InventoryFiles } from '../../src/inventory/inventory-files.ts';
import { type LoadOptions, loadFleet } from '../../src/inventory/load-fleet.ts';
import type { LoadedFleet } from '../../src/inventory/loaded-fleet.ts';

/** A program in memory: what it prints for its arguments. */
export type Program = (args: readonly string[]) => string;

/** Files that exist only in a test. Those whose content is a function are executable. */
export function filesInMemory(contents: Readonly<Record<string, string | Program>>): InventoryFiles {
  const paths = Object.keys(contents);
  const isFolder = (path: string): boolean => paths.some((other) => other.startsWith(`${path}/`));
  return {
    kind: async (path) => (path in contents ? 'file' : isFolder(path) ? 'folder' : 'missing'),
    read: async (path) => {
      const content = contents[path];
      if (typeof content === 'string') return content;
      if (content !== undefined) return '#!/bin/sh\n';
      throw new FleetError({ code: 'INVENTORY_UNREADABLE', message: `cannot read ${path}`, blame: 'usage' });
    },
    list: async (folder) =>
      [
        ...new Set(
          paths
            .filter((path) => path.startsWith(`${folder}/`))
            .map((path) => posix.relative(folder, path).split('/')[0] ?? ''),
        ),
      ].sort(),
    isExecutable: async (path) => typeof contents[path] === 'function',
    run: async (program, args) => {
      const content = contents[program];
      if (typeof content === 'function') return content(args);
      throw new FleetError({
        code: 'INVENTORY_PROGRAM_FAILED',
        message: `cannot run ${program}`,
        blame: 'usage',
      });
    },
  };
}

/** Loads `/inv/hosts.yml` (or what `options` say) from files in memory. */
export function load(
  contents: Readonly<Record<string, string | Program>>,
  options: Partial<LoadOptions> = {},
): Promise<LoadedFleet> {
  return loadFleet({
    sources: ['/inv/hosts.yml'],
    cwd: '/inv',
    env: {},
    files: filesInMemory(contents),
    ...options,
  });
}

/** Loads one YAML inventory. */
export function loadYaml(text: string, options: Partial<LoadOptions> = {}): Promise<LoadedFleet> {
  return load({ '/inv/hosts.yml': text }, options);
}

/** Loads one INI inventory. */
export function loadIni(text: string, options: Partial<LoadOptions> = {}): Promise<LoadedFleet> {
  return load({ '/inv/hosts.ini': text }, { sources: ['/inv/hosts.ini'], ...options });
}
