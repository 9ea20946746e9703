import { dirname, isAbsolute } from 'node:path';
import type { FleetError } from '../core/errors.ts';
import type { ControlMachine } from '../jinja/control-machine.ts';
import type { Lookup } from '../jinja/template.ts';
import type { Fleet, Group, Host, Variables } from './fleet.ts';
import { selectHosts } from './host-selection.ts';
import { HostVariables, HostVarsMap, type VariableWorld } from './host-variables.ts';
import type { DraftGroup, DraftHost, InventoryDraft } from './inventory-draft.ts';
import type { VarLayer } from './vars-files.ts';

/** Variables from group_vars and host_vars folders, one entry for each folder in order of sources. */
export interface VarsFromFiles {
  readonly groups: readonly ReadonlyMap<string, VarLayer>[];
  readonly hosts: readonly ReadonlyMap<string, VarLayer>[];
}

export interface FleetParts {
  readonly sources: readonly string[];
  readonly draft: InventoryDraft;
  readonly besideInventory: VarsFromFiles;
  readonly besidePlaybook: VarsFromFiles;
  readonly extra: VarLayer;
  readonly playbookFolder: string;
  readonly lookups: ReadonlyMap<string, Lookup>;
  /** What templates may ask about the control machine's files. */
  readonly control: ControlMachine;
  readonly warnings: readonly FleetError[];
}

/** A fleet of what was read. The draft must be reconciled and must not change afterwards. */
export function fleetOf(parts: FleetParts): LoadedFleet {
  return new LoadedFleet(parts);
}

export class LoadedFleet implements Fleet {
  readonly sources: readonly string[];
  readonly hosts: ReadonlyMap<string, Host>;
  readonly groups: ReadonlyMap<string, LoadedGroup>;
  readonly vars: Variables;
  readonly warnings: readonly FleetError[];
  readonly #selections = new Map<string, readonly Host[]>();

  constructor(parts: FleetParts) {
    this.sources = parts.sources;
    this.warnings = parts.warnings;
    const { draft } = parts;
    this.groups = new Map([...draft.groups].map(([name, group]) => [name, new LoadedGroup(group)]));
    const world = new FleetWorld(this, parts);
    const all = draft.groups.get('all');
    this.hosts = new Map(
      (all?.allHosts() ?? []).map((host) => [host.name, new LoadedHost(host, parts, world)]),
    );
    this.vars = new HostVariables(world, undefined, [], parts.extra);
    Object.freeze(this);
  }

  select(pattern: string): readonly Host[] {
    const known = this.#selections.get(pattern);
    if (known !== undefined) return known;
    const hosts = Object.freeze(selectHosts(this, pattern));
    this.#selections.set(pattern, hosts);
    return hosts;
  }
}

class LoadedGroup implements Group {
  readonly name: string;
  readonly children: readonly string[];
  readonly parents: readonly string[];
  readonly #draft: DraftGroup;
  #hosts: readonly string[] | undefined;

  constructor(draft: DraftGroup) {
    this.name = draft.name;
    this.#draft = draft;
    this.children = Object.freeze([...draft.children].map((child) => child.name));
    this.parents = Object.freeze([...draft.parents].map((parent) => parent.name));
  }

  get hosts(): readonly string[] {
    this.#hosts ??= Object.freeze(this.#draft.allHosts().map((host) => host.name));
    return this.#hosts;
  }

  get ownHosts(): readonly string[] {
    return [...this.#draft.hosts].map((host) => host.name);
  }

  get writtenBelow(): readonly string[] {
    return [...this.#draft.writtenBelow];
  }

  get priority(): number {
    return this.#draft.priority;
  }

  get where() {
    return this.#draft.where ?? { file: '' };
  }
}

class LoadedHost implements Host {
  readonly name: string;
  readonly #draft: DraftHost;
  readonly #parts: FleetParts;
  readonly #world: FleetWorld;
  #vars: Variables | undefined;
  #groups: readonly string[] | undefined;

  constructor(draft: DraftHost, parts: FleetParts, world: FleetWorld) {
    this.name = draft.name;
    this.#draft = draft;
    this.#parts = parts;
    this.#world = world;
  }

  get where() {
    return this.#draft.where ?? { file: this.#draft.source };
  }

  get groups(): readonly string[] {
    this.#groups ??= Object.freeze(
      this.#world
        .groupsOf(this.#draft)
        .map((group) => group.name)
        .filter((name) => name !== 'all')
        .sort(),
    );
    return this.#groups;
  }

  /** The file or program that named the host first. */
  get source(): string {
    return this.#draft.source;
  }

  get vars(): Variables {
    this.#vars ??= new HostVariables(
      this.#world,
      this.name,
      [
        ...this.#world.groupLayers(this.#draft),
        this.#draft.vars,
        ...layersOf(this.#parts.besideInventory.hosts, [this.name]),
        ...layersOf(this.#parts.besidePlaybook.hosts, [this.name]),
      ].filter((layer) => layer.size > 0),
      this.#parts.extra,
    );
    return this.#vars;
  }
}

function layersOf(folders: readonly ReadonlyMap<string, VarLayer>[], names: readonly string[]): VarLayer[] {
  return folders.flatMap((folder) =>
    names.flatMap((name) => {
      const layer = folder.get(name);
      return layer === undefined ? [] : [layer];
    }),
  );
}

/** What all hosts share, worked out once: magic names, and the layers of each combination of groups. */
class FleetWorld implements VariableWorld {
  readonly lookups: ReadonlyMap<string, Lookup>;
  readonly control: ControlMachine;
  readonly #fleet: LoadedFleet;
  readonly #parts: FleetParts;
  readonly #layers = new Map<string, readonly VarLayer[]>();
  readonly #ancestors = new Map<DraftGroup, ReadonlySet<DraftGroup>>();
  #groups: Readonly<Record<string, readonly string[]>> | undefined;
  #hostvars: HostVarsMap | undefined;

  constructor(fleet: LoadedFleet, parts: FleetParts) {
    this.#fleet = fleet;
    this.#parts = parts;
    this.control = parts.control;
    this.lookups = new Map<string, Lookup>([
      ...parts.lookups,
      [
        'inventory_hostnames',
        (terms) => terms.flatMap((term) => fleet.select(String(term)).map((host) => host.name)),
      ],
    ]);
  }

  /** Every group a host is in, weakest variables first: by depth, then priority, then name. */
  groupsOf(host: DraftHost): readonly DraftGroup[] {
    const groups = new Set<DraftGroup>();
    for (const group of host.groups) {
      groups.add(group);
      let ancestors = this.#ancestors.get(group);
      if (ancestors === undefined) {
        ancestors = group.ancestors();
        this.#ancestors.set(group, ancestors);
      }
      for (const ancestor of ancestors) groups.add(ancestor);
    }
    return [...groups].sort(
      (a, b) => a.depth - b.depth || a.priority - b.priority || (a.name < b.name ? -1 : 1),
    );
  }

  /** Ansible's order: inline vars of `all`, of the groups; then files of `all`, beside inventory and playbook; then of the groups. */
  groupLayers(host: DraftHost): readonly VarLayer[] {
    const key = [...host.groups].map((group) => group.name).join('\n');
    const known = this.#layers.get(key);
    if (known !== undefined) return known;
    const { besideInventory, besidePlaybook, draft } = this.#parts;
    const groups = this.groupsOf(host).filter((group) => group.name !== 'all');
    const names = groups.map((group) => group.name);
    const layers = [
      draft.groups.get('all')?.vars ?? new Map(),
      ...groups.map((group) => group.vars),
      ...layersOf(besideInventory.groups, ['all']),
      ...layersOf(besidePlaybook.groups, ['all']),
      ...layersOf(besideInventory.groups, names),
      ...layersOf(besidePlaybook.groups, names),
    ].filter((layer) => layer.size > 0);
    this.#layers.set(key, layers);
    return layers;
  }

  magic(host: string | undefined, name: string): unknown {
    if (name === 'groups') return this.#groupsDict();
    if (name === 'hostvars') {
      this.#hostvars ??= new HostVarsMap(
        [...this.#fleet.hosts.keys()],
        (key) => this.#fleet.hosts.get(key)?.vars,
      );
      return this.#hostvars;
    }
    if (name === 'playbook_dir') return this.#parts.playbookFolder;
    const found = host === undefined ? undefined : this.#fleet.hosts.get(host);
    if (!(found instanceof LoadedHost)) return undefined;
    switch (name) {
      case 'group_names':
        return found.groups;
      case 'inventory_hostname':
        return found.name;
      case 'inventory_hostname_short':
        return found.name.split('.')[0];
      case 'inventory_file':
        return isHostList(found.source) ? null : found.source;
      case 'inventory_dir':
        return isHostList(found.source) ? null : dirname(found.source);
      default:
        return undefined;
    }
  }

  #groupsDict(): Readonly<Record<string, readonly string[]>> {
    this.#groups ??= Object.freeze(
      Object.fromEntries([...this.#fleet.groups].map(([name, group]) => [name, group.hosts])),
    );
    return this.#groups;
  }
}

/** Whether a source is a list of hosts (`a,b,`); paths are absolute here. */
function isHostList(source: string): boolean {
  return source.includes(',') && !isAbsolute(source);
}
