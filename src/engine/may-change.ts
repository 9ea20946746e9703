import type { Entry, Play } from './play.ts';

/** Whether anything in a play could change a host: whatever an include will bring, and any step that does not only read. */
export function mayChange({ tasks, handlers }: Pick<Play, 'tasks' | 'handlers'>): boolean {
  return [...tasks, ...handlers].some(entryMayChange);
}

function entryMayChange(entry: Entry): boolean {
  switch (entry.kind) {
    case 'task':
      return entry.meta === undefined && entry.step.readsOnly !== true;
    case 'block':
      return [...entry.tasks, ...entry.rescue, ...entry.always].some(entryMayChange);
    case 'include':
      return true;
  }
}
