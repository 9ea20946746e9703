import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { asFleetErrors, FleetError } from '../../src/core/errors.ts';
import { withLimitFiles } from '../../src/inventory/limit-file.ts';
import { loadFleet } from '../../src/inventory/load-fleet.ts';
import { inventoryList } from '../../src/inventory/render.ts';
import type { NastyInventory } from './nasty-inventories.ts';

/** The hosts of a pattern, `null` where it was refused or warned of. */
export interface Selection {
  /** As `hosts` of a play, in that order. */
  readonly play: readonly string[] | null;
  /** What `--limit` leaves of all hosts. */
  readonly limit: readonly string[] | null;
}

/** What a program makes of an inventory: in the form of `ansible-inventory --list`, and hosts by pattern. */
export interface Reading {
  /** `null` where the inventory was refused, or, by Ansible, skipped with a warning. */
  readonly list: unknown;
  readonly patterns: Readonly<Record<string, Selection>>;
  /** What was said about it. */
  readonly said: readonly string[];
}

/** Debian's Ansible belongs to Debian's Python, which need not be the first in PATH. */
const PYTHON = '/usr/bin/python3';

function sourcesOf(inventory: NastyInventory): readonly string[] {
  return inventory.sources ?? Object.keys(inventory.files).slice(0, 1);
}

/** What the Ansible of this machine makes of inventories; `undefined` where there is none. */
export function readByAnsible(inventories: readonly NastyInventory[]): readonly Reading[] | undefined {
  const cases = inventories.map((inventory) => ({ ...inventory, sources: sourcesOf(inventory) }));
  const run = spawnSync(PYTHON, [fileURLToPath(new URL('./ansible-inventory.py', import.meta.url))], {
    input: JSON.stringify(cases),
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (run.status !== 0) return undefined;
  const answers = JSON.parse(run.stdout) as readonly (Reading & { readonly failed: boolean })[];
  return answers.map(({ list, patterns, said, failed }) => ({ list: failed ? null : list, patterns, said }));
}

/** What fleet makes of an inventory. */
export async function readByFleet(inventory: NastyInventory): Promise<Reading> {
  const cwd = realpathSync(mkdtempSync(join(tmpdir(), 'fleet-nasty-')));
  try {
    for (const [path, text] of Object.entries(inventory.files)) {
      mkdirSync(dirname(join(cwd, path)), { recursive: true });
      writeFileSync(join(cwd, path), text);
      if (text.startsWith('#!')) chmodSync(join(cwd, path), 0o755);
    }
    if (inventory.vaultPassword !== undefined)
      writeFileSync(join(cwd, 'vault-password'), inventory.vaultPassword);
    const fleet = await loadFleet({
      cwd,
      env: {},
      sources: sourcesOf(inventory).map((source) => (source.includes(',') ? source : join(cwd, source))),
      extraVars: (inventory.extra ?? []).map((extra) => extra.replace(/^@/, `@${cwd}/`)),
      ...(inventory.playbook === undefined ? {} : { playbookFolder: join(cwd, inventory.playbook) }),
      ...(inventory.vaultPassword === undefined ? {} : { vaultPasswordFiles: [join(cwd, 'vault-password')] }),
    });
    const selected = (pattern: string): readonly string[] | null => {
      try {
        return fleet.select(pattern).map((host) => host.name);
      } catch (error) {
        if (!(error instanceof FleetError)) throw error;
        return null;
      }
    };
    const patterns: Record<string, Selection> = {};
    for (const pattern of inventory.patterns ?? []) {
      const limit = selected(withLimitFiles(pattern, cwd));
      patterns[pattern] = {
        play: selected(pattern),
        limit: limit === null ? null : [...fleet.hosts.keys()].filter((name) => limit.includes(name)),
      };
    }
    return {
      list: JSON.parse(JSON.stringify(inventoryList(fleet))),
      patterns,
      said: fleet.warnings.map((warning) => `${warning.code}: ${warning.message}`.replaceAll(cwd, '')),
    };
  } catch (error) {
    const said = asFleetErrors(error).map((fault) => `${fault.code}: ${fault.message}`.replaceAll(cwd, ''));
    return { list: null, patterns: {}, said };
  } finally {
    rmSync(cwd, { recursive: true });
  }
}
