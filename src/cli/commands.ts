import { airgapCommand } from './catalogue/airgap.ts';
import { clusterCommands } from './catalogue/cluster.ts';
import { commandsAboutFleet } from './catalogue/fleet-itself.ts';
import { inventoryCommands } from './catalogue/inventory-and-hosts.ts';
import { operationCommands } from './catalogue/operation.ts';
import type { Command } from './command.ts';

/** Every command, in the order of the help. */
export const commands: readonly Command[] = [
  ...inventoryCommands,
  ...clusterCommands,
  ...operationCommands,
  airgapCommand,
  ...commandsAboutFleet,
];

export function findCommand(name: string): Command | undefined {
  return commands.find((command) => command.name === name);
}
