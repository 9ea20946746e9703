import type { Host } from '../inventory/fleet.ts';
import { newShared } from './batch-run.ts';
import type { Event } from './event.ts';
import { HostRun } from './host-run.ts';
import type { Play } from './play.ts';
import { type HostState, newHostState, type RunContext } from './run-context.ts';
import type { Sessions } from './sessions.ts';
import type { Intent, PreviewedHost } from './waves.ts';

/** A preview with what it would have told, which is what a run of the host would tell as long as it has no intent. */
export interface Preview extends PreviewedHost {
  readonly events: readonly Event[];
  readonly state: HostState;
}

/** Takes one host through a play without doing, telling or remembering anything. */
export async function preview(
  context: RunContext,
  sessions: Sessions,
  play: Play,
  host: Host,
): Promise<Preview> {
  const { confirmTask: _, ...rest } = context;
  const real = context.stateOf(host.name);
  const state: HostState = {
    ...newHostState(),
    facts: real.facts,
    included: { ...real.included },
    variables: { ...real.variables },
    awaited: new Set(real.awaited),
  };
  const events: Event[] = [];
  const intents: Intent[] = [];
  const trial: RunContext = {
    ...rest,
    mode: 'plan',
    emit: (event) => void events.push(event),
    stateOf: (name) => (name === host.name ? state : context.stateOf(name)),
    knownStates: () => new Map([...context.knownStates(), [host.name, state]]),
    onIntent: (intent) => void intents.push(intent),
  };
  await sessions.withoutTrace(() => new HostRun(trial, play, host, [host], newShared([])).run());
  const { failed: error } = state;
  if (error === undefined) return { host, intents, events, state };
  const failing = events.find((event) => event.kind === 'task-finished' && event.status === 'failed');
  const failsIn = failing?.kind === 'task-finished' ? failing.step : undefined;
  return { host, intents, events, state, error, ...(failsIn === undefined ? {} : { failsIn }) };
}

/** Takes a preview for what it would have been: tells it, and the host has gone through the play. */
export function replay(context: RunContext, { host, events, state }: Preview): void {
  const real = context.stateOf(host.name);
  for (const name of Object.keys(real.variables)) if (!(name in state.variables)) delete real.variables[name];
  Object.assign(real.variables, state.variables);
  Object.assign(real.included, state.included);
  real.facts = state.facts;
  for (const name of Object.keys(real.counts) as (keyof HostState['counts'])[])
    real.counts[name] += state.counts[name];
  if (state.failed !== undefined) real.failed = state.failed;
  for (const event of events) context.emit(event);
}
