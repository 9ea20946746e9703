import type { Task } from '../engine/play.ts';
import { type Context, report } from './context.ts';
import { meant } from './nearest.ts';
import { hasTemplate } from './template-text.ts';

/** The play's handlers after its roles'; where two have one name, the last answers to it. */
export function handlersOf(context: Context): readonly Task[] {
  const drafts = context.play.handlers;
  const last = new Map(drafts.map((draft, index) => [draft.bareName, index]));
  return drafts.flatMap(({ task, bareName }, index) => {
    const isLast = last.get(bareName) === index;
    if (isLast) {
      const listen = task.name === bareName ? task.listen : [...new Set([bareName, ...task.listen])];
      return [{ ...task, listen }];
    }
    // Its plain name belongs to the later one; what else it answers to stays.
    if (task.name === bareName && task.listen.length === 0) return [];
    return [task.name === bareName ? { ...task, name: `${bareName} (overridden)` } : task];
  });
}

/** Notes every `notify` that nobody would hear, as far as that is known before the run. */
export function checkNotified(context: Context, handlers: readonly Task[]): void {
  const names = new Set(handlers.flatMap((handler) => [handler.name, ...handler.listen]));
  if (context.play.handlersOpen || [...names].some(hasTemplate)) return;
  for (const { name, where } of context.play.notified) {
    if (hasTemplate(name) || names.has(name)) continue;
    report(context, {
      code: 'PLAYBOOK_HANDLER_UNKNOWN',
      message: `no handler is called '${name}', and none listens to it`,
      fix: meant(
        name,
        names,
        names.size === 0 ? "Write it under 'handlers:'." : `There are ${[...names].join(', ')}.`,
      ),
      ...(where === undefined ? {} : { where }),
    });
  }
}
