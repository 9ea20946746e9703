import type { LimitFunction } from 'p-limit';
import type { FleetError } from '../core/errors.ts';
import type { Fleet } from '../inventory/fleet.ts';
import type { CheckArgs } from './decide.ts';
import type { EmitEvent } from './event.ts';
import type { ControlFact } from './fact.ts';
import type { Known } from './fact-store.ts';
import type { HostSession } from './host-session.ts';
import type { Task, TaskBecome } from './play.ts';

/** What a task leaves for `register`: plain data, `changed` and `failed` among it. */
export type TaskResult = Record<string, unknown>;

/** What one host carries from play to play: what it registered, what failed, how its tasks ended. */
export interface HostState {
  readonly variables: Record<string, unknown>;
  failed?: FleetError;
  readonly counts: { unchanged: number; changed: number; skipped: number; failed: number; ignored: number };
}

export function newHostState(): HostState {
  return { variables: {}, counts: { unchanged: 0, changed: 0, skipped: 0, failed: 0, ignored: 0 } };
}

/** Answers of the control node, each asked once per run. */
export interface ControlFacts {
  ask(facts: readonly ControlFact<unknown>[]): Promise<void>;
  get(key: string): Known | undefined;
  forget(keys: readonly string[]): void;
}

/** What all hosts of a run share. */
export interface RunContext {
  readonly runId: string;
  readonly mode: 'plan' | 'apply';
  readonly fleet: Fleet;
  readonly emit: EmitEvent;
  readonly checkArgs: CheckArgs;
  /** The session with a host as the user that the task wants; names outside the inventory only where Ansible allows them. */
  readonly sessionOf: (host: string, become: TaskBecome | undefined) => HostSession;
  readonly stateOf: (host: string) => HostState;
  readonly control: ControlFacts;
  readonly signal: AbortSignal;
  /** Takes the lock of a host before the first change to it. @throws FleetError LOCKED */
  readonly beforeChange: (session: HostSession) => Promise<void>;
  readonly onAction: () => void;
  /** What is at work on hosts right now, `host: task`. */
  readonly running: Set<string>;
  readonly extraVars: Readonly<Record<string, unknown>>;
}

/** What the hosts of one batch share. */
export interface BatchShared {
  /** `run_once`: the first host to arrive does it, the others take its result. */
  readonly once: Map<Task, Promise<TaskResult>>;
  readonly throttles: Map<Task, LimitFunction>;
  /** `meta: end_play` or `end_batch`: nobody begins another task. */
  ended: false | 'batch' | 'play';
  /** A task with `any_errors_fatal` failed. */
  fatal: boolean;
}
