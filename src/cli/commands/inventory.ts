import { stringify } from 'yaml';
import { FleetError } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';
import { visible } from '../../core/terminal-text.ts';
import type { Host } from '../../inventory/fleet.ts';
import { hostVariables, inventoryGraph, inventoryList } from '../../inventory/render.ts';
import { nearest } from '../../playbook/nearest.ts';
import { safeJson } from '../../ui/json.ts';
import type { Invocation, RunCommand } from '../command.ts';
import { exit } from '../exit-codes.ts';
import { loadInventory } from '../open-fleet.ts';

/** Shows how the inventory is read: as a tree, as Ansible lists it, or one host's variables. */
export const inventory: RunCommand = async (invocation) => {
  const { flags, console, settings } = invocation;
  const fleet = await loadInventory(invocation);
  for (const warning of fleet.warnings) console.warn(warning.toFault());
  const name = flags.text('host');
  const wantsData =
    name !== undefined || flags.has('list') || settings.output === 'json' || flags.has('yaml');
  if (flags.has('graph') || !wantsData) {
    console.result(visible(inventoryGraph(fleet)));
    return exit.ok;
  }
  if (name === undefined) {
    show(invocation, inventoryList(fleet));
    return exit.ok;
  }
  const host = fleet.hosts.get(name);
  if (host === undefined) {
    const near = nearest(name, fleet.hosts.keys());
    throw new FleetError({
      code: 'HOST_UNKNOWN',
      message: `${JSON.stringify(name)} is not in the inventory`,
      fix: near === undefined ? 'See `fleet inventory --graph`.' : `Did you mean ${near}?`,
      blame: 'usage',
    });
  }
  show(invocation, flags.has('resolve') ? resolved(host, flags.has('reveal')) : hostVariables(host));
  return exit.ok;
};

function show({ flags, console }: Invocation, data: object): void {
  const text = flags.has('yaml') ? visible(stringify(data)).trimEnd() : safeJson(data, 2);
  if (flags.has('reveal')) console.revealed(`${text}\n`);
  else console.result(text);
}

/** Every variable with its templates filled in; one that cannot be says why, and hides no other. */
function resolved(host: Host, reveals: boolean): Record<string, unknown> {
  return Object.fromEntries(
    host.vars.names().map((name) => {
      try {
        return [name, plain(host.vars.get(name), reveals)];
      } catch (error) {
        return [name, `(error: ${error instanceof Error ? error.message : String(error)})`];
      }
    }),
  );
}

function plain(value: unknown, reveals: boolean): unknown {
  if (value instanceof Secret) return reveals ? value.reveal() : String(value);
  if (Array.isArray(value)) return value.map((item) => plain(item, reveals));
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item, reveals)]));
  }
  return value;
}
