import type { Static, TSchema } from '@sinclair/typebox';
import type { Fault } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { Fleet, Host, Variables } from '../inventory/fleet.ts';
import type { Answer } from '../ssh/connection.ts';
import type { Action } from './action.ts';
import type { Questions } from './fact.ts';

/** What a step may know of the host it plans for, without asking it. */
export interface HostView {
  readonly name: string;
  readonly groups: readonly string[];
  readonly vars: Variables;
  readonly fleet: Fleet;
  /** The folders in which a step's local files are looked for, nearest first (the playbook's, then its `files/` or `templates/`). */
  readonly searchPath: readonly string[];
  /** Opens text of ansible-vault that the step came upon on the control node. Absent where no run is. */
  readonly decrypt?: (ciphertext: string) => Secret;
}

/** A host as steps see it, outside of a run. */
export function viewOf({ name, groups, vars }: Host, fleet: Fleet): HostView {
  return { name, groups, vars, fleet, searchPath: [] };
}

/** One before/after pair for a person. Either side is `undefined` where there is nothing. Secrets never enter a diff. */
export interface Diff {
  /** What is compared: a path, `sysctl net.ipv4.ip_forward`. */
  readonly subject: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/**
 * What a step decides for one host. Pure data (but for `result`, a pure function): check mode prints it, the engine
 * performs it, and nothing that is not in it is done.
 */
export type Plan<Seen> = Unchanged | Change<Seen> | Refuse;

export interface Unchanged {
  readonly verdict: 'unchanged';
  readonly because: string;
  /** What `register` keeps beside `changed: false`. */
  readonly result?: Readonly<Record<string, unknown>>;
  /** Something a person should know that stops nothing. */
  readonly warning?: Notice;
}

/** A warning of a step. */
export interface Notice {
  /** `NODE_UNKNOWN`, for programs. */
  readonly code: string;
  readonly message: string;
  readonly fix?: string;
}

export interface Change<Seen> {
  readonly verdict: 'change';
  readonly because: string;
  readonly diff?: readonly Diff[];
  readonly actions: readonly [Action, ...Action[]];
  /**
   * What its own questions will answer once the actions succeeded. In a plan later steps see these values; what it
   * does not name stays as it was seen, unless `touches` names it. Without `after` everything that was asked of the host
   * is "(known after apply)" to later steps.
   */
  readonly after?: Partial<Seen>;
  /**
   * Facts of this host, beside its own questions', that the actions can have changed: keys, or `family:*`.
   * `'everything'` for scripts whose effects nobody knows.
   */
  readonly touches?: readonly string[] | 'everything';
  /** Something a person should know, though it is done. */
  readonly warning?: Notice;
  /** True where the actions only read or wait (`uri`, `pause`): performed, but no change to announce or to count. */
  readonly changesNothing?: true;
  /** True for a step that acts whenever it runs (`command`, `reboot`): it is not looked at again. */
  readonly imperative?: true;
  /** What `register` keeps, from the answers of the actions in order (`undefined` for those that are no script). */
  readonly result?: (answers: readonly (Answer | undefined)[]) => Readonly<Record<string, unknown>>;
}

export interface Refuse {
  readonly verdict: 'refuse';
  readonly because: string;
  readonly fix: string;
  /** What the error is called. Default: `REFUSED`. */
  readonly code?: string;
  /** Where what it tells of happened, when that was in another step. */
  readonly origin?: Pick<Fault, 'step' | 'where'>;
  /** What `register` keeps beside the message. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** One promise about a host. */
export interface Step<Args extends TSchema, Seen> {
  /** As a playbook writes it. */
  readonly name: string;
  /** Other names for it, as Ansible has them (`ansible.builtin.` is understood for all). */
  readonly aliases?: readonly string[];
  /** One sentence: what holds on a host after it. */
  readonly summary: string;
  /** Validation, editor help and the docs page. Every property has a description. */
  readonly args: Args;
  /** The argument that a bare string stands for: `command: uptime`. */
  readonly freeForm?: string;
  /** Complete YAML examples for the docs page; a test parses each. */
  readonly examples: readonly [string, ...string[]];
  /** True for a step that never changes anything: where a plan cannot know its answer yet, there still is no change. */
  readonly readsOnly?: true;
  /**
   * Which answers of its own host its change can alter; all that it asks there where this is absent. Where a plan cannot
   * tell yet what it will do, only these are "(known after apply)" to later steps.
   */
  readonly alters?: readonly (keyof Seen & string)[];
  /**
   * For such a plan: what its questions answer behind it whatever it will have done.
   * @param known the answers that can be told
   */
  outcome?(known: Partial<Seen>, args: Static<Args>, host: HostView): Partial<Seen>;
  look(args: Static<Args>, host: HostView): Questions<Seen>;
  plan(seen: Seen, args: Static<Args>, host: HostView): Plan<Seen>;
}

// biome-ignore lint/suspicious/noExplicitAny: a registry of steps holds many argument and fact types; each is checked where it is defined.
export type AnyStep = Step<any, any>;

/** Gives `look` and `plan` their types from the schema and from each other. */
export function defineStep<Args extends TSchema, Seen>(step: Step<Args, Seen>): Step<Args, Seen> {
  return step;
}

export function unchanged(because: string, result?: Readonly<Record<string, unknown>>): Unchanged {
  return { verdict: 'unchanged', because, ...(result === undefined ? {} : { result }) };
}

/** Unchanged, with something that a person should know. */
export function unchangedBut(because: string, warning: Notice): Unchanged {
  return { verdict: 'unchanged', because, warning };
}

export function refuse(because: string, fix: string, code?: string): Refuse {
  return { verdict: 'refuse', because, fix, ...(code === undefined ? {} : { code }) };
}

export function change<Seen>(
  because: string,
  actions: readonly [Action, ...Action[]],
  more: Omit<Change<Seen>, 'verdict' | 'because' | 'actions'> = {},
): Change<Seen> {
  return { verdict: 'change', because, actions, ...more };
}
