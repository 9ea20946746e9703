import type { Place } from '../core/errors.ts';
import type { WrittenValue } from './written-value.ts';

/** A host while inventories are being read: later files may add to it. */
export class DraftHost {
  readonly vars = new Map<string, WrittenValue>();
  /** Groups that name it directly. */
  readonly groups = new Set<DraftGroup>();

  constructor(
    readonly name: string,
    /** The source that named it first, for `inventory_file` and `inventory_dir`. */
    readonly source: string,
    readonly where: Place | undefined,
  ) {}
}

/** A group while inventories are being read. */
export class DraftGroup {
  readonly vars = new Map<string, WrittenValue>();
  readonly hosts = new Set<DraftHost>();
  readonly children = new Set<DraftGroup>();
  readonly parents = new Set<DraftGroup>();
  /** Names of the groups below which this one's hosts are written out. */
  readonly writtenBelow = new Set<string>();
  priority = 1;
  depth = 0;

  constructor(
    readonly name: string,
    readonly where: Place | undefined,
  ) {}

  /** Itself and all below it, level by level, each once: the order of Ansible. */
  descendants(): readonly DraftGroup[] {
    const seen = new Set<DraftGroup>([this]);
    for (const group of seen) for (const child of group.children) seen.add(child);
    return [...seen];
  }

  /** All above it, each once. */
  ancestors(): ReadonlySet<DraftGroup> {
    const seen = new Set<DraftGroup>(this.parents);
    for (const group of seen) for (const parent of group.parents) seen.add(parent);
    return seen;
  }

  /** The hosts in it and in the groups below it, in inventory order. */
  allHosts(): readonly DraftHost[] {
    const hosts = new Set<DraftHost>();
    for (const group of this.descendants()) for (const host of group.hosts) hosts.add(host);
    return [...hosts];
  }
}

/** What adding something to a draft may find wrong. */
export type DraftRefusal = 'loop' | 'unknown';

/**
 * The groups and hosts that inventories have named so far, by the rules of Ansible's InventoryData:
 * `all` and `ungrouped` always exist, names are shared between all sources.
 */
export class InventoryDraft {
  readonly groups = new Map<string, DraftGroup>();
  readonly hosts = new Map<string, DraftHost>();
  /** The source being read. */
  source = '';

  constructor() {
    this.addGroup('all');
    this.addGroup('ungrouped');
    this.addChild('all', 'ungrouped');
  }

  addGroup(name: string, where?: Place): DraftGroup {
    const known = this.groups.get(name);
    if (known !== undefined) return known;
    const group = new DraftGroup(name, where);
    this.groups.set(name, group);
    return group;
  }

  addHost(name: string, group: DraftGroup, where?: Place): DraftHost {
    let host = this.hosts.get(name);
    if (host === undefined) {
      host = new DraftHost(name, this.source, where);
      this.hosts.set(name, host);
    }
    group.hosts.add(host);
    host.groups.add(group);
    return host;
  }

  /** Puts a group (or, failing that, a host) of that name below a group. Says why when it cannot. */
  addChild(parentName: string, childName: string): DraftRefusal | undefined {
    const parent = this.groups.get(parentName);
    const child = this.groups.get(childName);
    if (parent === undefined) return 'unknown';
    if (child === undefined) {
      const host = this.hosts.get(childName);
      if (host === undefined) return 'unknown';
      parent.hosts.add(host);
      host.groups.add(parent);
      return undefined;
    }
    if (parent.children.has(child)) return undefined;
    // Everything hangs below `all` in the end, so nothing can be above it.
    if (child === parent || child.name === 'all' || parent.ancestors().has(child)) return 'loop';
    parent.children.add(child);
    child.parents.add(parent);
    return undefined;
  }

  /** What Ansible does once all sources are read: everything hangs below `all`, lone hosts are `ungrouped`. */
  reconcile(): void {
    const all = this.addGroup('all');
    const ungrouped = this.addGroup('ungrouped');
    for (const group of this.groups.values()) {
      if (group !== all && group.parents.size === 0) this.addChild('all', group.name);
    }
    for (const host of this.hosts.values()) {
      const elsewhere = [...host.groups].some((group) => group !== all && group !== ungrouped);
      if (elsewhere) {
        ungrouped.hosts.delete(host);
        host.groups.delete(ungrouped);
      } else {
        ungrouped.hosts.add(host);
        host.groups.add(ungrouped);
      }
    }
    this.#measureDepths(all);
  }

  /** A group's depth is the longest way down to it from `all`. */
  #measureDepths(all: DraftGroup): void {
    const waiting = new Map([...this.groups.values()].map((group) => [group, group.parents.size]));
    const ready = [...this.groups.values()].filter((group) => group.parents.size === 0);
    all.depth = 0;
    for (let group = ready.shift(); group !== undefined; group = ready.shift()) {
      for (const child of group.children) {
        child.depth = Math.max(child.depth, group.depth + 1);
        const left = (waiting.get(child) ?? 0) - 1;
        waiting.set(child, left);
        if (left === 0) ready.push(child);
      }
    }
  }
}
