import type { Place } from '../core/errors.ts';
import type { CompiledPlay } from './compile.ts';
import { allEntries } from './start-at.ts';

/** What --list-steps, --list-tags and --list-hosts show of one play. */
export interface PlayListing {
  readonly play: string;
  /** The pattern as written. */
  readonly pattern: string;
  readonly hosts: readonly string[];
  /** Tags of the play itself. */
  readonly tags: readonly string[];
  readonly steps: readonly StepListing[];
  readonly handlers: readonly StepListing[];
  /** All tags of all its steps, sorted. */
  readonly allTags: readonly string[];
}

export interface StepListing {
  readonly name: string;
  /** The step's name; `include` for a file that only the run can name. */
  readonly step: string;
  readonly tags: readonly string[];
  readonly where?: Place;
}

/** Lists plays as compiled: what tags, --start-at and --limit leave out is not in it. Nothing is connected to. */
export function listingOf(plays: readonly CompiledPlay[]): readonly PlayListing[] {
  return plays.map((play) => {
    // What has no place was not written by anybody: the handlers' turn between the sections of a play.
    const entries = allEntries(play.tasks).filter((entry) => entry.where !== undefined);
    const tags = new Set([...play.tags, ...entries.flatMap((entry) => entry.tags)]);
    return {
      play: play.name,
      pattern: play.pattern,
      hosts: play.hosts.map((host) => host.name),
      tags: play.tags,
      steps: entries.map((entry) => listed(entry, entry.kind === 'task' ? entry.step.name : 'include')),
      handlers: play.handlers.map((handler) => listed(handler, handler.step.name)),
      allTags: [...tags].sort(),
    };
  });
}

function listed(
  entry: { readonly name: string; readonly tags: readonly string[]; readonly where?: Place },
  step: string,
): StepListing {
  return {
    name: entry.name,
    step,
    tags: [...entry.tags].sort(),
    ...(entry.where === undefined ? {} : { where: entry.where }),
  };
}
