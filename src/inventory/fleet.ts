import type { FleetError, Place } from '../core/errors.ts';

/**
 * The variables of one host in one scope, with Ansible's precedence already applied.
 * Values are templated lazily: a variable that nobody reads may be wrong without stopping anybody.
 */
export interface Variables {
  /** All names, sorted. */
  names(): readonly string[];
  has(name: string): boolean;
  /** The value as written, before templating. */
  raw(name: string): unknown;
  /** Where the winning value was written, if it came from a file. */
  where(name: string): Place | undefined;
  /**
   * The templated value; `undefined` when there is no such variable. Values from a vault are `Secret`s.
   * @throws FleetError naming the variable, host, place and expression.
   */
  get(name: string): unknown;
  /**
   * The templated values of a variable at every level that sets it (group, host, play, `-e` …), the weakest first: for the
   * few lists that add up.
   * @throws FleetError as `get` does
   */
  levels(name: string): readonly unknown[];
  /** These variables with others laid over them (play vars, registered results, loop items); templates in them see the whole scope. */
  with(more: Readonly<Record<string, unknown>>, where?: Place): Variables;
  /** Templates any value deeply, as Ansible does with a step's arguments: native types where a string is one expression. */
  template(value: unknown, where?: Place): unknown;
  /** Whether a bare Jinja expression (`when`, `until`, `changed_when`) holds. */
  test(expression: string | boolean, where?: Place): boolean;
}

export interface Host {
  readonly name: string;
  /** The groups it is in, parents included, sorted, without `all`. */
  readonly groups: readonly string[];
  readonly vars: Variables;
  readonly where?: Place;
}

export interface Group {
  readonly name: string;
  /** Names of the hosts in it, children's included, in inventory order. */
  readonly hosts: readonly string[];
  /** Names of the hosts that the group itself lists. */
  readonly ownHosts: readonly string[];
  readonly children: readonly string[];
  readonly parents: readonly string[];
  /** The groups below which its own hosts are written out; more than one is mostly a mistake. */
  readonly writtenBelow: readonly string[];
  readonly where?: Place;
}

/** A whole inventory: read, merged and frozen. Nothing in it changes during a run. */
export interface Fleet {
  /** The files, folders or host lists it was read from, as the user named them. */
  readonly sources: readonly string[];
  /** In inventory order. */
  readonly hosts: ReadonlyMap<string, Host>;
  readonly groups: ReadonlyMap<string, Group>;
  /** Variables that belong to no host: those given by `-e`, and `groups`, `hostvars`, `playbook_dir`. */
  readonly vars: Variables;
  /** What is doubtful but no error, such as a key that Ansible would silently ignore. */
  readonly warnings: readonly FleetError[];
  /**
   * The hosts that an Ansible pattern names (`server:agent`, `all:!db`, `&eu`, `node[0:2]`, `web*`, `~re`), in inventory order.
   * @throws FleetError when a name in it is neither host nor group.
   */
  select(pattern: string): readonly Host[];
}
