import { type AskedOfMany, alone, type ShellScript } from '../core/shell.ts';
import type { Answer } from '../ssh/connection.ts';

/**
 * A small read-only question to a host and the pure parser of its answer. Two facts of the same key ask the same
 * thing and are asked once per trip. Keys are `family:subject` (`file:/etc/hosts`, `service:k3s`), so that an action
 * can say which it touches.
 */
export interface Fact<Value> {
  readonly key: string;
  /** POSIX sh for dash, bash and BusyBox ash. Changes nothing; reads no stdin; ends quickly. */
  readonly sh: ShellScript;
  /** Set where `sh` is this one alone: what is asked of many things in one trip is asked together. */
  readonly ofMany?: AskedOfMany;
  /**
   * "The tool is absent" and "the answer is empty" are different values, and both are values: throw only for an
   * answer that makes no sense (a FleetError, or any error, which becomes FACT_UNREADABLE with the host and key).
   */
  readonly parse: (answer: Answer) => Value;
  /** True for what changes by itself or by what is done to other hosts (a node's readiness): asked again after any action anywhere. */
  readonly volatile?: true;
}

/** A fact whose question is asked of many things. */
export function ofMany<Value>(fact: Omit<Fact<Value>, 'sh'> & { readonly ofMany: AskedOfMany }): Fact<Value> {
  return { ...fact, sh: alone(fact.ofMany) };
}

/** A read-only question to the control node: a local file, the newest release of a channel. */
export interface ControlFact<Value> {
  readonly key: string;
  readonly read: () => Promise<Value>;
}

/** What a step wants to know: of its own host, of a named other host, of several hosts, or of the control node. */
export type Question<Value> = HostQuestion<Value> | EachQuestion<Value> | ControlQuestion<Value>;

export interface HostQuestion<Value> {
  readonly of: 'host';
  readonly fact: Fact<Value>;
  /** Inventory name; the step's own host when absent. */
  readonly host?: string;
}

export interface EachQuestion<Value> {
  readonly of: 'each';
  readonly fact: Fact<unknown>;
  readonly hosts: readonly string[];
  /** Never called: carries the type of the answer, a map from host name to value, `undefined` where the host did not answer. */
  readonly valueType?: (value: Value) => void;
}

export interface ControlQuestion<Value> {
  readonly of: 'control';
  readonly fact: ControlFact<Value>;
}

export type Questions<Seen> = { readonly [Name in keyof Seen]: Question<Seen[Name]> };

/** Asks the step's own host. */
export function ask<Value>(fact: Fact<Value>): HostQuestion<Value> {
  return { of: 'host', fact };
}

/** Asks one other host of the inventory. Its step fails when that host cannot answer. */
export function askOn<Value>(host: string, fact: Fact<Value>): HostQuestion<Value> {
  return { of: 'host', host, fact };
}

/** Asks several hosts; one that cannot be reached is `undefined` in the answer, and the step must decide what that means. */
export function askEach<Value>(
  hosts: readonly string[],
  fact: Fact<Value>,
): EachQuestion<ReadonlyMap<string, Value | undefined>> {
  return { of: 'each', fact, hosts };
}

export function askControl<Value>(fact: ControlFact<Value>): ControlQuestion<Value> {
  return { of: 'control', fact };
}
