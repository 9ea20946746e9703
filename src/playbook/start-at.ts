import type { Block, DynamicInclude, Entry, Play, Task } from '../engine/play.ts';

/** The entries from the first whose name matches on, and whether one did. A block that is entered keeps what follows in it. */
export function fromTask(
  entries: readonly Entry[],
  wanted: string,
): { readonly entries: readonly Entry[]; readonly found: boolean } {
  for (const [index, entry] of entries.entries()) {
    const rest = entries.slice(index + 1);
    if (entry.kind !== 'block') {
      if (matches(entry, wanted)) return { entries: entries.slice(index), found: true };
      continue;
    }
    const inner = fromBlock(entry, wanted);
    if (inner !== undefined) return { entries: [inner, ...rest], found: true };
  }
  return { entries: [], found: false };
}

function fromBlock(block: Block, wanted: string): Block | undefined {
  const tasks = fromTask(block.tasks, wanted);
  if (tasks.found) return { ...block, tasks: tasks.entries };
  const always = fromTask(block.always, wanted);
  // A rescue has nothing to rescue when its block is left out.
  return always.found ? { ...block, tasks: [], rescue: [], always: always.entries } : undefined;
}

/** Names match as in Ansible: whole, as a shell pattern, with or without the role's. */
function matches(entry: Task | DynamicInclude, wanted: string): boolean {
  const bare = entry.name.replace(/^.*? : /, '');
  return [entry.name, bare].some((name) => name === wanted || wildcard(wanted).test(name));
}

function wildcard(pattern: string): RegExp {
  const source = pattern.replace(/[\s\S]/g, (character) =>
    character === '*'
      ? '[\\s\\S]*'
      : character === '?'
        ? '[\\s\\S]'
        : character.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&'),
  );
  return new RegExp(`^${source}$`);
}

/** Every task and include of a play, in order. */
export function allEntries(entries: readonly Entry[]): readonly (Task | DynamicInclude)[] {
  return entries.flatMap((entry) =>
    entry.kind === 'block'
      ? [...allEntries(entry.tasks), ...allEntries(entry.rescue), ...allEntries(entry.always)]
      : [entry],
  );
}

/** Names that `--start-at` could have meant. */
export function taskNames(plays: readonly Play[]): readonly string[] {
  return plays.flatMap((play) => allEntries(play.tasks).map((entry) => entry.name));
}
