import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { FleetError, FleetErrors } from '../core/errors.ts';

export { viewOf } from '../engine/step.ts';

import { type Cluster, clusterOf } from '../inventory/cluster.ts';
import type { Fleet, Host, Variables } from '../inventory/fleet.ts';
import { withLimitFiles } from '../inventory/limit-file.ts';
import { loadFleet } from '../inventory/load-fleet.ts';
import { validateFleet } from '../inventory/validate.ts';
import type { AskPassword } from '../inventory/vault-passwords.ts';
import { unheededAnsibleConfig } from './ansible-config.ts';
import type { Invocation } from './command.ts';
import type { Console } from './console.ts';
import { canAsk } from './prompt.ts';
import { learnSecrets } from './secrets-of.ts';
import { type Decrypt, vaultOpener } from './vault-text.ts';

/** The inventory as a command works with it: read, checked, limited. */
export interface OpenedFleet {
  readonly fleet: Fleet;
  /** Variables that belong to no host. */
  readonly scope: Variables;
  readonly extraVars: Readonly<Record<string, unknown>>;
  readonly decrypt: Decrypt;
  /** The hosts of a pattern (all without one), within `--limit`. @throws FleetError where there are none */
  hostsOf(pattern: string | undefined): readonly Host[];
  /** The cluster that is meant. @throws FleetError where that is not clear */
  cluster(): Cluster;
}

export const defaultInventory = 'inventory.yml';

/** Asks where somebody is there to answer. */
function askForVault(console: Console): AskPassword | undefined {
  if (!canAsk()) return undefined;
  return async (id) => (await console.secretOnce(`Vault password (${id})`)).reveal();
}

/**
 * Reads the inventory that the flags name, as it is written. What is doubtful in it is in its `warnings`; of one that cannot
 * be read, `onUnreadable` hears it: it is shown where nothing else is said.
 */
export async function loadInventory(
  { settings, console }: Pick<Invocation, 'settings' | 'console'>,
  playbook?: string,
  onUnreadable = (warnings: readonly FleetError[]): void => {
    for (const warning of warnings) console.warn(warning.toFault());
  },
): Promise<Fleet> {
  const ask = askForVault(console);
  const sources = settings.inventory.length > 0 ? settings.inventory : [defaultInventory];
  const unheeded = unheededAnsibleConfig(process.env, process.cwd(), {
    inventory: settings.inventory.length > 0 || existsSync(defaultInventory),
  });
  if (unheeded !== undefined) console.warn(unheeded);
  if (settings.inventory.length === 0 && !existsSync(defaultInventory)) {
    throw new FleetError({
      code: 'INVENTORY_MISSING',
      message: `there is no ${defaultInventory} here, and no other inventory was named`,
      fix: 'Name one with -i or FLEET_INVENTORY, or write one with: fleet init',
      blame: 'usage',
    });
  }
  const fleet = await loadFleet({
    sources,
    extraVars: settings.extraVars,
    vaultIds: settings.vaultIds,
    vaultPasswordFiles: settings.vaultPasswordFiles,
    askVaultPassword: settings.askVaultPass,
    onUnreadable,
    ...(playbook === undefined ? {} : { playbookFolder: dirname(playbook) }),
    ...(ask === undefined ? {} : { ask }),
  });
  learnSecrets(fleet, console.redactor);
  return fleet;
}

/**
 * Reads and checks the inventory before any connection; says what is doubtful in it.
 * @throws FleetErrors with all that is wrong
 */
export async function openFleet(
  invocation: Invocation,
  {
    playbook,
    needsCluster,
    tolerates = [],
  }: {
    readonly playbook?: string;
    readonly needsCluster: boolean;
    /** Codes of errors that only warn: what must not be built anew may well be taken down. */
    readonly tolerates?: readonly string[];
  },
): Promise<OpenedFleet> {
  const { settings, console } = invocation;
  const fleet = await loadInventory(invocation, playbook);
  const decrypt = await vaultOpener(settings, console.redactor, askForVault(console));
  const { cluster } = invocation.settings;
  const limit =
    invocation.settings.limit === undefined ? undefined : withLimitFiles(invocation.settings.limit);
  const { errors, warnings } = validateFleet(fleet, {
    needsCluster,
    ...(cluster === undefined ? {} : { cluster }),
  });
  const tolerated = errors.filter(({ code }) => tolerates.includes(code));
  for (const warning of [...warnings, ...tolerated]) invocation.console.warn(warning.toFault());
  FleetErrors.throwIfAny(errors.filter((error) => !tolerated.includes(error)));
  return {
    fleet,
    scope: fleet.vars,
    // Stronger than all else by themselves; by name so that a playbook's questions know that they are answered.
    extraVars: Object.fromEntries(fleet.vars.names().map((name) => [name, fleet.vars.raw(name)])),
    decrypt,
    hostsOf: (pattern) => {
      const chosen = fleet.select(pattern ?? 'all');
      const limited =
        limit === undefined ? chosen : chosen.filter((host) => fleet.select(limit).includes(host));
      if (limited.length > 0) return limited;
      throw new FleetError({
        code: 'NO_HOSTS',
        message: `no host is in ${[pattern, limit].filter((one) => one !== undefined).join(' and in ') || 'the inventory'}`,
        fix: 'See `fleet inventory --graph`.',
        blame: 'usage',
      });
    },
    cluster: () => clusterOf(fleet, cluster),
  };
}
