import type { LimitFunction } from 'p-limit';
import type { FleetError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { Fleet } from '../inventory/fleet.ts';
import type { CheckArgs } from './decide.ts';
import type { EmitEvent } from './event.ts';
import type { ControlFact } from './fact.ts';
import type { Known } from './fact-store.ts';
import type { HostSession } from './host-session.ts';
import type { Meeting } from './meeting.ts';
import type { Task, TaskBecome } from './play.ts';
import type { Intent } from './waves.ts';

/** What a task leaves for `register`: plain data, `changed` and `failed` among it. */
export type TaskResult = Record<string, unknown>;

/** What one host carries from play to play: what it registered, what failed, how its tasks ended. */
export interface HostState {
  /** What was found out about the host: under the variables of plays, over the inventory's. */
  facts: Readonly<Record<string, unknown>>;
  /** Of `include_vars`: over the variables of plays and tasks. */
  readonly included: Record<string, unknown>;
  /** Registered, or set as a fact: over both. */
  readonly variables: Record<string, unknown>;
  /** Names of results that are not there yet: of changes not yet sent or, in a plan, never to be sent. */
  readonly awaited: Set<string>;
  failed?: FleetError;
  readonly counts: { unchanged: number; changed: number; skipped: number; failed: number; ignored: number };
}

export function newHostState(): HostState {
  return {
    facts: {},
    included: {},
    variables: {},
    awaited: new Set(),
    counts: { unchanged: 0, changed: 0, skipped: 0, failed: 0, ignored: 0 },
  };
}

/** Answers of the control node, each asked once per run. */
export interface ControlFacts {
  ask(facts: readonly ControlFact<unknown>[]): Promise<ReadonlyMap<string, Known>>;
  get(key: string): Known | undefined;
  forget(keys: readonly string[]): void;
}

/** What all hosts of a run share. */
export interface RunContext {
  readonly runId: string;
  readonly mode: 'plan' | 'apply';
  /** What `ansible_check_mode` says: in a preview, which plans, what the run says that it is for. */
  readonly checkMode: boolean;
  readonly fleet: Fleet;
  readonly emit: EmitEvent;
  readonly checkArgs: CheckArgs;
  /** The session with a host as the user that the task wants; names outside the inventory only where Ansible allows them. */
  readonly sessionOf: (host: string, become: TaskBecome | undefined) => HostSession;
  readonly stateOf: (host: string) => HostState;
  /** What has begun of the other hosts: nothing for one that takes no part in the run. */
  readonly knownStates: () => ReadonlyMap<string, HostState>;
  readonly control: ControlFacts;
  readonly signal: AbortSignal;
  /** Takes the lock of a host before the first change to it. @throws FleetError LOCKED */
  readonly beforeChange: (session: HostSession) => Promise<void>;
  readonly onAction: () => void;
  /** Called when a host is back from a reboot by this run: what the run keeps there until the next boot is gone. */
  readonly afterReboot: (host: string) => Promise<void>;
  /** What is at work on hosts right now, `host: task`. */
  readonly running: Set<string>;
  readonly extraVars: Readonly<Record<string, unknown>>;
  /** There in a preview only, where nothing at all is done: told of each task that would act if the host ran now. */
  readonly onIntent?: (intent: Intent) => void;
  /** Opens vault text that a step comes upon on the control node. */
  readonly decrypt?: (ciphertext: string) => Secret;
  /** `--step`: whether this task shall run. */
  readonly confirmTask?: (name: string) => Promise<boolean>;
  /** Asks whether a rollout that pauses goes on; missing where nobody can be asked. */
  readonly confirmPause?: (question: string) => Promise<boolean>;
}

/** What the hosts of one batch share. */
export interface BatchShared {
  /**
   * `run_once`: the first host to arrive does it, the others take its result, `undefined` where a plan has none yet; by how
   * often a host came to the task.
   */
  readonly once: Map<Task, Promise<TaskResult | undefined>[]>;
  readonly throttles: Map<Task, LimitFunction>;
  /** `--step`: what was answered, asked once for all hosts. */
  readonly wanted: Map<Task, Promise<boolean>[]>;
  /** Where hosts wait for each other before a task that reads what another one registered. */
  readonly meeting: Meeting;
  /** `meta: end_play` or `end_batch`: nobody begins another task. */
  ended: false | 'batch' | 'play';
  /** Too many hosts failed, or one did under `any_errors_fatal`: nobody begins another task. */
  fatal: boolean;
  /** Hosts of the batch that failed so far. */
  failures: number;
}
