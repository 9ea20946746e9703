import { clustersOf } from '../inventory/cluster.ts';
import type { Fleet } from '../inventory/fleet.ts';
import { loadFleet } from '../inventory/load-fleet.ts';

type Names = readonly (readonly [name: string, what: string])[];

/** Hosts and groups for completion. Nothing is asked and nothing is said: a broken inventory completes nothing. */
export function inventoryNames(words: readonly string[]): Promise<Names> {
  return fromInventory(words, (fleet) => [
    ...[...fleet.groups.values()].map(({ name, hosts }) => [name, `group of ${hosts.length}`] as const),
    ...[...fleet.hosts.keys()].map((name) => [name, 'host'] as const),
  ]);
}

/** The clusters of the inventory, likewise. */
export function clusterNames(words: readonly string[]): Promise<Names> {
  return fromInventory(words, (fleet) =>
    clustersOf(fleet).map(({ name, nodes }) => [name, `cluster of ${nodes.length}`] as const),
  );
}

async function fromInventory(words: readonly string[], names: (fleet: Fleet) => Names): Promise<Names> {
  const valuesOf = (...flags: readonly string[]): readonly string[] =>
    words.flatMap((word, index) => {
      if (flags.includes(word)) return words[index + 1] ?? [];
      const [flag = '', ...value] = word.split('=');
      return flags.includes(flag) && value.length > 0 ? value.join('=') : [];
    });
  const named = valuesOf('-i', '--inventory');
  const fromEnv = process.env.FLEET_INVENTORY;
  const sources =
    named.length > 0 ? named : [fromEnv === undefined || fromEnv === '' ? 'inventory.yml' : fromEnv];
  try {
    const vaultIds = valuesOf('--vault-id').filter((one) => !one.endsWith('@prompt') && one !== 'prompt');
    return names(
      await loadFleet({ sources, vaultIds, vaultPasswordFiles: valuesOf('--vault-password-file') }),
    );
  } catch {
    return [];
  }
}
