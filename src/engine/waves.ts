import type { FleetError } from '../core/errors.ts';
import type { Host } from '../inventory/fleet.ts';
import type { Wait } from './action.ts';
import type { ControlFact, Fact } from './fact.ts';
import type { Play } from './play.ts';

/** A task that would act on a host if the host's turn were now. */
export interface Intent {
  /** Name of its step. */
  readonly step: string;
  /** False for one that only waits or reads. */
  readonly changes: boolean;
}

/** What a host's own tasks would do if they ran now. Nothing was done, and nothing of it is remembered. */
export interface PreviewedHost {
  readonly host: Host;
  /** As far as the tasks got. */
  readonly intents: readonly Intent[];
  /** Why they would fail. */
  readonly error?: FleetError;
  /** The step of the first task that would fail for good; a later one may only say so, in a `rescue`. */
  readonly failsIn?: string;
}

/** Hosts that are worked on at the same time, before anybody else is. */
export interface Wave {
  /** What is done to them, in a word: `join`. */
  readonly kind: string;
  /** Inventory names. */
  readonly hosts: readonly string[];
  readonly because: string;
  /** What must hold before the next wave, for a person. */
  readonly awaits: readonly string[];
  /** What users may notice, for a person. */
  readonly disruption: string;
  /** Behind it the rollout pauses. */
  readonly pause?: WavePause;
}

/** A pause between two waves. */
export interface WavePause {
  /** After whom, for a person: `the servers`. */
  readonly after: string;
  /** Somebody is asked whether it goes on, where somebody is there. */
  readonly asks: boolean;
  /** How long it waits where nobody is asked; where it is `undefined`, the run ends there. */
  readonly durationMs: number | undefined;
}

/** What must hold on a host before the next wave. */
export interface WaveGate {
  /** Has failed when the wait is in vain. */
  readonly host: string;
  readonly wait: Wait;
  /** The host that answers: a server that speaks for the cluster, or itself. */
  readonly askedOn: string;
}

/** What is to be done from here on. Only the first wave is done before it is asked for anew. */
export interface Rollout {
  readonly verdict: 'waves';
  readonly waves: readonly Wave[];
  /** Hosts that nothing is done to, with the reason. */
  readonly leftOut: readonly { readonly host: string; readonly because: string }[];
  /** What is there beside the inventory and is not touched. */
  readonly strangers: readonly string[];
  /** Hosts whose preview failed, and for which that is the end. */
  readonly failed: readonly string[];
  /** A wave that must not begin now, and why: the run ends there, and a plan says so. */
  readonly held?: { readonly wave: Wave; readonly error: FleetError };
}

/** Nothing more may be done to any host. */
export interface Stop {
  readonly verdict: 'stop';
  readonly failed: readonly string[];
  /** Why, where what the hosts say for themselves does not tell it. */
  readonly error?: FleetError;
  /** It is about how hosts are right now, which what is done to them before their turn may mend. */
  readonly mayPass?: boolean;
}

/** What a source of waves decides from. */
export interface Outlook {
  readonly play: Play;
  /** Hosts that may still be worked on. */
  readonly previews: readonly PreviewedHost[];
  /** Hosts that failed since the play began. */
  readonly failed: readonly string[];
  /** What a host answers, asked now where it is not known; `undefined` where it does not answer or the answer makes no sense. */
  ask<Value>(host: string, fact: Fact<Value>): Promise<Value | undefined>;
  control<Value>(fact: ControlFact<Value>): Promise<Value | undefined>;
}

/** Says who is next in a play with `strategy: rolling`: not the order of a list, but the state of what the hosts form. */
export interface WaveSource {
  /** What it will want to know of which hosts, so that it is asked in the same trip as all else. */
  look(play: Play): ReadonlyMap<string, readonly Fact<unknown>[]>;
  next(outlook: Outlook): Promise<Rollout | Stop>;
  /** What is waited for behind a wave. */
  gates(play: Play, wave: Wave): readonly WaveGate[];
}
