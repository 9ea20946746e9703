import { loadFleet } from '../inventory/load-fleet.ts';

/** Hosts and groups for completion. Nothing is asked and nothing is said: a broken inventory completes nothing. */
export async function inventoryNames(
  words: readonly string[],
): Promise<readonly (readonly [string, string?])[]> {
  const named = words.flatMap((word, index) => {
    if (word === '-i' || word === '--inventory') return words[index + 1] ?? [];
    return word.startsWith('--inventory=') ? word.slice('--inventory='.length) : [];
  });
  const fromEnv = process.env.FLEET_INVENTORY;
  const sources =
    named.length > 0 ? named : [fromEnv === undefined || fromEnv === '' ? 'inventory.yml' : fromEnv];
  try {
    const fleet = await loadFleet({ sources });
    return [
      ...[...fleet.groups.values()].map(({ name, hosts }) => [name, `group of ${hosts.length}`] as const),
      ...[...fleet.hosts.keys()].map((name) => [name, 'host'] as const),
    ];
  } catch {
    return [];
  }
}
