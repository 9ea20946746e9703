import type { Entry } from './play.ts';

/** Entries with variables laid under their own: what an include gives to everything in its file. */
export function withVars(entry: Entry, vars: Readonly<Record<string, unknown>>): Entry {
  if (entry.kind === 'task')
    return { ...entry, vars: { ...vars, ...entry.vars }, origin: entry.origin ?? entry };
  if (entry.kind === 'include') return { ...entry, vars: { ...vars, ...entry.vars } };
  const inner = (entries: readonly Entry[]): Entry[] => entries.map((item) => withVars(item, vars));
  return { ...entry, tasks: inner(entry.tasks), rescue: inner(entry.rescue), always: inner(entry.always) };
}
