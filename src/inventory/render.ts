import { Secret } from '../core/secret.ts';
import { toText } from '../jinja/value.ts';
import { usageError } from './findings.ts';
import type { Fleet, Group, Host } from './fleet.ts';
import { MAGIC_NAMES } from './host-variables.ts';
import { VaultText } from './vault-text.ts';
import { UnsafeText } from './written-value.ts';

/** JSON that stands in for a value in listings: secrets and vaults as Ansible shows them. */
function shown(value: unknown): unknown {
  if (value instanceof VaultText || value instanceof UnsafeText) return value.toJSON();
  if (value instanceof Secret) return value.toJSON();
  if (Array.isArray(value)) return value.map(shown);
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shown(item)]));
  }
  return value;
}

/** A host's variables as written, by name: what `fleet inventory --host H` prints. */
export function hostVariables(host: Host): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    host.vars
      .names()
      .filter((name) => !MAGIC_NAMES.has(name))
      .map((name) => [name, shown(host.vars.raw(name))]),
  );
}

/**
 * The whole inventory in the form of `ansible-inventory --list`: groups with hosts and children, and every host's
 * variables, not templated, below `_meta.hostvars`.
 */
export function inventoryList(fleet: Fleet): Readonly<Record<string, unknown>> {
  const hostvars = [...fleet.hosts.values()].flatMap((host) => {
    const vars = hostVariables(host);
    return Object.keys(vars).length === 0 ? [] : [[host.name, vars] as const];
  });
  const list: [string, unknown][] = [['_meta', { hostvars: Object.fromEntries(sortByName(hostvars)) }]];
  for (const group of reachable(fleet)) {
    const entry: Record<string, unknown> = {};
    if (group.children.length > 0) entry.children = group.children;
    if (group.name !== 'all' && group.ownHosts.length > 0) entry.hosts = group.ownHosts;
    if (Object.keys(entry).length > 0) list.push([group.name, entry]);
  }
  return Object.fromEntries(sortByName(list));
}

function sortByName<T>(entries: readonly (readonly [string, T])[]): readonly (readonly [string, T])[] {
  return entries.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function reachable(fleet: Fleet): readonly Group[] {
  const all = fleet.groups.get('all');
  const seen = new Set<Group>(all === undefined ? [] : [all]);
  for (const group of seen) {
    for (const name of group.children) {
      const child = fleet.groups.get(name);
      if (child !== undefined) seen.add(child);
    }
  }
  return [...seen];
}

export interface GraphOptions {
  /** The group to start at; `all` by default. */
  readonly group?: string;
  /** Whether to show variables below hosts. */
  readonly vars?: boolean;
}

/**
 * The tree of groups in the form of `ansible-inventory --graph`.
 * @throws FleetError for a group that does not exist.
 */
export function inventoryGraph(fleet: Fleet, options: GraphOptions = {}): string {
  const start = fleet.groups.get(options.group ?? 'all');
  if (start === undefined) {
    throw usageError({
      code: 'GROUP_UNKNOWN',
      message: `there is no group "${options.group ?? 'all'}"`,
      fix: `Known groups: ${[...fleet.groups.keys()].join(', ')}`,
    });
  }
  const lines: string[] = [];
  addGraph(lines, fleet, start, 0, options);
  return lines.join('\n');
}

/** Groups that share children are drawn again below each parent, which can multiply without end. */
const MOST_LINES = 500_000;

function addGraph(lines: string[], fleet: Fleet, group: Group, depth: number, options: GraphOptions): void {
  if (lines.length > MOST_LINES) {
    throw usageError({
      code: 'GRAPH_TOO_LARGE',
      message: 'the tree of groups has too many lines to draw',
      fix: 'Draw a part of it: fleet inventory --graph GROUP',
    });
  }
  lines.push(branch(`@${group.name}:`, depth));
  for (const name of group.children) {
    const child = fleet.groups.get(name);
    if (child !== undefined) addGraph(lines, fleet, child, depth + 1, options);
  }
  if (group.name === 'all') return;
  for (const name of group.ownHosts) {
    lines.push(branch(name, depth + 1));
    const host = options.vars === true ? fleet.hosts.get(name) : undefined;
    if (host === undefined) continue;
    for (const [key, value] of Object.entries(hostVariables(host))) {
      lines.push(branch(`{${key} = ${toText(value)}}`, depth + 2));
    }
  }
}

function branch(text: string, depth: number): string {
  return depth === 0 ? text : `${'  |'.repeat(depth)}--${text}`;
}
