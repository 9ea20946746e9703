import { openingAt, sayInstant } from '../inventory/maintenance-window.ts';
import type { HeldWave, Wave } from './cluster-plan.ts';
import { type ClusterView, listed, type NodeView } from './cluster-view.ts';

/**
 * The first wave that disturbs what runs, where it is not the time for that. It is asked before each wave, so that a
 * rollout which outlasts its window ends with the wave that had begun in it.
 */
export function heldWave(view: ClusterView, waves: readonly Wave[]): HeldWave | undefined {
  const { maintenance } = view.policy;
  if (maintenance === undefined || maintenance.windows.length === 0) return undefined;
  const { windows, now } = maintenance;
  const opening = openingAt(windows, now);
  const wave = waves.find((one) => disturbs(view, one));
  if (opening === undefined || wave === undefined || opening.from <= now) return undefined;
  const opens = sayInstant(opening.from, opening.zone);
  return {
    wave,
    because: `outside the maintenance window (${listed(windows.map(({ text }) => text))}) nothing is done that disturbs ${listed(wave.hosts)}: ${wave.because}`,
    fix: `The next window opens ${opens} (${timeUntil(opening.from, now)}): run the same command again then, and it goes on from here; or do it now: --now.`,
  };
}

/** Marks the waves behind which the policy wants a pause: only where others that are disturbed come behind it. */
export function withPauses(view: ClusterView, waves: readonly Wave[]): readonly Wave[] {
  const { pauseAfter = [], canary } = view.policy;
  const isCanary = ({ hosts }: Wave): boolean => hosts.every((host) => canary.includes(host));
  const servers = new Set(view.servers.map(({ host }) => host));
  const ofServers = ({ hosts }: Wave): boolean => hosts.some((host) => servers.has(host));
  return waves.map((wave, index): Wave => {
    const next = disturbs(view, wave) ? waves.slice(index + 1).find((one) => disturbs(view, one)) : undefined;
    if (next === undefined) return wave;
    if (pauseAfter.includes('servers') && ofServers(wave) && !ofServers(next))
      return { ...wave, pause: 'servers' };
    if (pauseAfter.includes('canary') && isCanary(wave) && !isCanary(next))
      return { ...wave, pause: 'canary' };
    return wave;
  });
}

/**
 * Whether somebody may notice: another release always, for it is what windows are for; else where a node that is Ready
 * goes away. Who is away already is repaired at any time, and who is new joins at any time.
 */
function disturbs(view: ClusterView, wave: Wave): boolean {
  switch (wave.kind) {
    case 'upgrade':
    case 'migrate':
      return true;
    case 'restart':
    case 'convert':
      return nodesOf(view, wave).some(({ node }) => node?.ready === true);
    case 'bootstrap':
    case 'join':
    case 'start':
    case 'live':
    case 'uncordon':
      return false;
  }
}

function nodesOf(view: ClusterView, { hosts }: Wave): readonly NodeView[] {
  return [...view.servers, ...view.agents].filter(({ host }) => hosts.includes(host));
}

/** `in 2 d 3 h`, `in 45 min`. */
function timeUntil(then: Date, now: Date): string {
  const minutes = Math.ceil((then.getTime() - now.getTime()) / 60_000);
  const [days, hours] = [Math.floor(minutes / 1440), Math.floor((minutes % 1440) / 60)];
  if (days > 0) return `in ${days} d ${hours} h`;
  return hours > 0 ? `in ${hours} h ${minutes % 60} min` : `in ${minutes} min`;
}
