import type { Place } from '../core/errors.ts';
import type { Host, Variables } from '../inventory/fleet.ts';
import type { AnyStep } from './step.ts';

/** A bare Jinja expression with its place, or a constant. All of a list must hold. */
export interface Condition {
  readonly expression: string | boolean;
  readonly where?: Place;
}

/** One line of a playbook: a step with all that decides whether, as whom, how often and to what end it runs. */
export interface Task {
  readonly kind: 'task';
  /** As written, templates included; the step's name where none is given. */
  readonly name: string;
  readonly step: AnyStep;
  /** The step's arguments as written, not yet templated. */
  readonly args: unknown;
  readonly where?: Place;
  readonly tags: readonly string[];
  readonly when: readonly Condition[];
  readonly vars: Readonly<Record<string, unknown>>;
  readonly register?: string;
  readonly loop?: Loop;
  readonly until?: Until;
  readonly changedWhen?: readonly Condition[];
  readonly failedWhen?: readonly Condition[];
  readonly ignoreErrors: boolean;
  /** A host that cannot be reached goes on with what follows. */
  readonly ignoreUnreachable?: boolean;
  readonly notify: readonly string[];
  /** Names that a handler answers to, beside its own. */
  readonly listen: readonly string[];
  readonly runOnce: boolean;
  /** Another host (templated) to look at and act on, with this host's variables. */
  readonly delegateTo?: string;
  /** Facts that it finds out or sets are those of `delegateTo`. */
  readonly delegateFacts?: boolean;
  /** `undefined` means as the inventory says. */
  readonly become?: TaskBecome;
  readonly environment: Readonly<Record<string, unknown>>;
  readonly noLog: boolean;
  /** `false` runs the step for real even when only planning, as Ansible's `check_mode: false`. */
  readonly checkMode?: boolean;
  readonly deadlineMs?: number;
  readonly searchPath: readonly string[];
  /** Defaults of its role: below everything else, the inventory included. */
  readonly defaults?: Readonly<Record<string, unknown>>;
  /** The run itself is meant, not a step: its `step` does nothing, and `when` and `tags` hold as for any task. */
  readonly meta?: MetaAction;
  /** `false` shows no diff. */
  readonly diff?: boolean;
  /** A failure on one host ends the run for all, as `Play.anyErrorsFatal`. */
  readonly anyErrorsFatal?: boolean;
  /** At most so many hosts work on it at once. */
  readonly throttle?: number;
  /** Settings that only a host's variables decide. */
  readonly templated?: TemplatedSettings;
  /** Parameters of its role and of the includes around it: above what was registered or set as a fact, as in Ansible. */
  readonly params?: Readonly<Record<string, unknown>>;
  /** Which taking part of which role it belongs to: what `meta: end_role` ends. */
  readonly role?: RoleRun;
  /** The task that an include made this one of: what `run_once` and `throttle` of all hosts go by. */
  readonly origin?: Task;
}

/** One taking part of a role in a play; the same role named twice is two. */
export interface RoleRun {
  readonly name: string;
}

/** The variables of a role: its own, and its defaults, which are below everything else. */
export interface RoleVariables {
  readonly vars: Readonly<Record<string, unknown>>;
  readonly defaults: Readonly<Record<string, unknown>>;
}

/** What `meta:` asks of the run. */
export type MetaAction =
  | 'flush_handlers'
  | 'end_play'
  | 'end_host'
  | 'end_batch'
  | 'end_role'
  | 'clear_host_errors'
  | 'clear_facts'
  | 'noop'
  | 'reset_connection';

/**
 * Settings of a task written as templates (`ignore_errors: "{{ ansible_check_mode }}"`). Where one is here, it decides;
 * the constant of the same meaning then holds the careful reading (`noLog: true`, all others off or default).
 */
export interface TemplatedSettings {
  readonly become?: string;
  readonly ignoreErrors?: string;
  readonly ignoreUnreachable?: string;
  readonly delegateFacts?: string;
  readonly runOnce?: string;
  readonly noLog?: string;
  readonly checkMode?: string;
  readonly diff?: string;
  readonly anyErrorsFatal?: string;
  readonly retries?: string;
  readonly delaySeconds?: string;
  readonly deadlineSeconds?: string;
  readonly throttle?: string;
  /** Mappings and templates of such, later ones over earlier ones. */
  readonly environment?: readonly (string | Readonly<Record<string, unknown>>)[];
}

export interface TaskBecome {
  readonly enabled: boolean;
  readonly method?: string;
  readonly user?: string;
  /** Of the play or task, by their names in an inventory: over all else, the inventory included. */
  readonly variables?: {
    readonly ansible_become?: boolean;
    readonly ansible_become_user?: string;
    readonly ansible_become_method?: string;
  };
}

/** `loop:` with its `loop_control`. */
export interface Loop {
  /** As written: a list or a template of one. */
  readonly over: unknown;
  readonly variable: string;
  readonly indexVariable?: string;
  readonly label?: string;
  readonly pauseMs: number;
  /** Makes the items out of the templated `over`, for the `with_…` forms; without it `over` must be a list. May throw a FleetError. */
  readonly expand?: (templated: unknown) => readonly unknown[];
  /** `ansible_loop` is wanted. */
  readonly extended?: true;
  /** `ansible_loop` has no `allitems`, where they would be many. */
  readonly omitsAllItems?: true;
}

export interface Until {
  readonly conditions: readonly Condition[];
  readonly retries: number;
  readonly delayMs: number;
}

/** Tasks with a way out: when one fails, `rescue` runs and the host goes on; `always` runs in any case. */
export interface Block {
  readonly kind: 'block';
  readonly name?: string;
  readonly tasks: readonly Entry[];
  readonly rescue: readonly Entry[];
  readonly always: readonly Entry[];
}

/** A file of steps whose name, or whose loop, only a host's variables decide. */
export interface DynamicInclude {
  readonly kind: 'include';
  readonly name: string;
  readonly where?: Place;
  readonly when: readonly Condition[];
  readonly tags: readonly string[];
  readonly vars: Readonly<Record<string, unknown>>;
  readonly loop?: Loop;
  /** @throws FleetError for a file that is not there or not valid. */
  readonly load: (scope: Variables) => readonly Entry[];
  /** Handlers that come with it (a role's), to be known from then on. Call after `load`, with the same scope. */
  readonly loadHandlers?: (scope: Variables) => readonly Task[];
  /** What every later task of the play knows of it (`public`). Call after `load`, with the same scope. */
  readonly published?: (scope: Variables) => RoleVariables;
  /** Defaults of its role, as `Task.defaults`. */
  readonly defaults?: Readonly<Record<string, unknown>>;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly role?: RoleRun;
}

export type Entry = Task | Block | DynamicInclude;

export interface Play {
  readonly name: string;
  readonly where?: Place;
  /** In the order in which they are worked on. */
  readonly hosts: readonly Host[];
  readonly tasks: readonly Entry[];
  /** Run at the end of each batch, each at most once per host, in the order in which they are written. */
  readonly handlers: readonly Task[];
  readonly vars: Readonly<Record<string, unknown>>;
  /**
   * Variables over `vars` of which only a host's own tell in which files they stand. Files whose names cannot be told
   * before its facts are known are left out until then.
   * @throws FleetError for a file that is not there
   */
  readonly varsFiles?: (scope: Variables, hasFacts: boolean) => Readonly<Record<string, unknown>>;
  /** Sizes of the batches, the last repeated: `[1]`, `[1, '25%']`. Empty: all hosts at once. */
  readonly serial: readonly (number | string)[];
  /** Any failed host ends the whole run once its batch is done. */
  readonly anyErrorsFatal: boolean;
  /** The run ends when more than this share of a batch's hosts failed. */
  readonly maxFailPercentage?: number;
  /** Some of its tasks do not mind a host that cannot be reached. */
  readonly ignoresUnreachable?: true;
  /** Defaults of all its roles: below everything else, the inventory included. */
  readonly defaults?: Readonly<Record<string, unknown>>;
  /** `free`: a host does not wait for the others between tasks. `rolling`: the state of the cluster says who is next. */
  readonly strategy?: 'linear' | 'free' | 'rolling';
  /** Handlers that a host was notified of run even when one of its tasks failed. */
  readonly forceHandlers?: boolean;
}
