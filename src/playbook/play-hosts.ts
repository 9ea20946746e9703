import { FleetError, type Place } from '../core/errors.ts';
import type { Fleet, Host, Variables } from '../inventory/fleet.ts';
import { splitPattern } from '../inventory/host-selection.ts';
import { type Context, report } from './context.ts';
import { templateNow, type Words, wordValue } from './settings.ts';

/** What the hosts of plays are chosen from, and by. */
export interface HostChoice {
  readonly fleet: Fleet;
  /** A further host pattern. */
  readonly limit?: string;
  /** For `order: shuffle`; from 0 to 1. */
  readonly random?: () => number;
  /** What a `localhost` that is in no inventory knows. */
  readonly scope: Variables;
}

/** What a play's `hosts` say, as one pattern; `undefined` where nothing can be made of it, which is reported. */
export function patternOf(context: Context, words: Words): string | undefined {
  const entry = words.get('hosts');
  if (entry === undefined) return undefined;
  const value = templateNow(context, entry.node.value, entry.node.place);
  if (value === undefined) return undefined;
  const parts = [value].flat(2).map((part) => String(part ?? '').trim());
  if (parts.length === 0 || parts.some((part) => part === '')) {
    report(context, {
      code: 'PLAYBOOK_HOSTS_MISSING',
      message: "'hosts' is empty",
      fix: "Write a group or a pattern, or 'all'.",
      where: entry.node.place,
    });
    return undefined;
  }
  return parts.join(',');
}

/** The hosts of a pattern that are within the limit too, in the order that the play wants. */
export function hostsOf(
  context: Context,
  pattern: string,
  words: Words,
  choice: HostChoice,
): readonly Host[] {
  const { fleet, limit } = choice;
  const where = words.get('hosts')?.node.place ?? { file: context.file };
  let hosts = selected(context, pattern, where, choice);
  if (limit !== undefined) {
    const kept = new Set(
      limit.split(/,(?![^[]*\])/).filter((part) => part.trim() !== '').length === 0
        ? []
        : selected(context, limit, undefined, choice).map((host) => host.name),
    );
    hosts = hosts.filter((host) => kept.has(host.name));
  }
  const inventoryOrder = [...fleet.hosts.keys()];
  const order = String(templateNow(context, wordValue(words, 'order') ?? 'inventory', where) ?? 'inventory');
  const byName = (a: Host, b: Host): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  const rank = new Map(inventoryOrder.map((name, index) => [name, index]));
  const byInventory = (a: Host, b: Host): number => (rank.get(a.name) ?? -1) - (rank.get(b.name) ?? -1);
  switch (order) {
    case 'sorted':
      return [...hosts].sort(byName);
    case 'reverse_sorted':
      return [...hosts].sort(byName).reverse();
    case 'reverse_inventory':
      return [...hosts].sort(byInventory).reverse();
    case 'shuffle':
      return shuffled(hosts, choice.random ?? Math.random);
    default:
      return hosts;
  }
}

/** As in Ansible, a name that the inventory lacks is told and passed over: `server:agent` are the servers where there is no agent. `localhost` is always there. */
function selected(
  context: Context,
  pattern: string,
  where: Place | undefined,
  { fleet, scope }: HostChoice,
): readonly Host[] {
  const local = pattern.trim();
  if ((local === 'localhost' || local === '127.0.0.1') && !fleet.hosts.has(local)) {
    const vars = {
      inventory_hostname: local,
      inventory_hostname_short: local,
      ansible_connection: 'local',
    };
    return [{ name: local, groups: [], vars: scope.with(vars) }];
  }
  const parts = splitPattern(pattern);
  const known = parts.filter((part) => isKnown(context, part, where, fleet));
  const isNobody =
    parts.some((part) => part.startsWith('&') && !known.includes(part)) ||
    (parts.some(isChoosing) && !known.some(isChoosing));
  return isNobody ? [] : fleet.select(known.length === parts.length ? pattern : known.join(','));
}

/** Whether a part of a pattern names anything; tells where it does not. */
function isKnown(context: Context, part: string, where: Place | undefined, fleet: Fleet): boolean {
  try {
    fleet.select(part.replace(/^[!&]/, ''));
    return true;
  } catch (error) {
    if (!(error instanceof FleetError)) throw error;
    if (/SYNTAX|INVALID|MALFORMED/.test(error.code)) {
      context.compilation.errors.push(where === undefined ? error : error.within({ where }));
    } else {
      context.compilation.warn({ ...error.toFault(), ...(where === undefined ? {} : { where }) });
    }
    return false;
  }
}

/** Whether a part of a pattern adds hosts, rather than taking some away. */
function isChoosing(part: string): boolean {
  return !/^[!&]/.test(part);
}

function shuffled(hosts: readonly Host[], random: () => number): readonly Host[] {
  const order = [...hosts];
  for (let index = order.length - 1; index > 0; index -= 1) {
    const other = Math.floor(random() * (index + 1));
    const [a, b] = [order[index], order[other]];
    if (a === undefined || b === undefined) continue;
    order[index] = b;
    order[other] = a;
  }
  return order;
}
