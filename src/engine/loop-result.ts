import type { Variables } from '../inventory/fleet.ts';
import { itemsOf } from './loop.ts';
import type { Loop } from './play.ts';
import type { TaskResult } from './run-context.ts';

/** What `register` keeps of a loop over nothing. */
export const emptyLoop = {
  changed: false,
  skipped: true,
  skipped_reason: 'No items in the list',
  results: [],
};

/** What it keeps of a task whose condition does not hold. */
export const notMet = { changed: false, skipped: true, skip_reason: 'Conditional result was False' };

/** What `register` keeps of a loop. */
export function loopResult(items: readonly TaskResult[]): TaskResult {
  const results = items.filter((result) => result !== undefined);
  const isSkipped = results.length > 0 && results.every((result) => result.skipped === true);
  const failed = results.some((result) => result.failed === true);
  return {
    changed: results.some((result) => result.changed === true),
    failed,
    ...(isSkipped ? { skipped: true } : {}),
    msg: isSkipped ? 'All items skipped' : failed ? 'One or more items failed' : 'All items completed',
    results,
  };
}

/** What `register` keeps of one item: later tasks read from it which item it was. */
export function itemResult(loop: Loop, index: number, item: unknown, result: TaskResult): TaskResult {
  const { variable, indexVariable } = loop;
  return {
    ...result,
    [variable]: item,
    ansible_loop_var: variable,
    ...(indexVariable === undefined ? {} : { [indexVariable]: index, ansible_index_var: indexVariable }),
  };
}

/** What `register` keeps of a loop whose condition does not hold: its items, unless only the condition keeps them from being an error. */
export function skippedLoop(loop: Loop, scope: Variables): TaskResult {
  try {
    const items = itemsOf(loop, scope);
    if (items.length > 0)
      return loopResult(items.map((item, index) => itemResult(loop, index, item, notMet)));
  } catch {
    // Nothing of it is wanted.
  }
  return notMet;
}
