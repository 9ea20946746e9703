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
import type { Invocation } from './command.ts';
import { askSecret, canAsk } from './prompt.ts';
import { learnSecrets } from './secrets-of.ts';
import { askedOnce, type Decrypt, vaultOpener } from './vault-text.ts';

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

const defaultInventory = 'inventory.yml';

function askForVault(id: string): Promise<string> {
  return askSecret(`Vault password (${id})`);
}

/**
 * Reads the inventory that the flags name, as it is written. What is doubtful in it is in its `warnings`; of one that cannot
 * be read, `onUnreadable` hears it: it is shown where nothing else is said.
 */
export async function loadInventory(
  { settings, console }: Pick<Invocation, 'settings' | 'console'>,
  playbook?: string,
  ask: AskPassword | undefined = canAsk() ? askForVault : undefined,
  onUnreadable = (warnings: readonly FleetError[]): void => {
    for (const warning of warnings) console.warn(warning.toFault());
  },
): Promise<Fleet> {
  const sources = settings.inventory.length > 0 ? settings.inventory : [defaultInventory];
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
  const ask = canAsk() ? askedOnce(askForVault) : undefined;
  const fleet = await loadInventory(invocation, playbook, ask);
  const decrypt = await vaultOpener(invocation.settings, invocation.console.redactor, ask);
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
