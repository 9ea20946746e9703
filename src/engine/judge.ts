import { FleetError } from '../core/errors.ts';
import type { Variables } from '../inventory/fleet.ts';
import { asData } from './as-data.ts';
import { firstUnmet } from './decide.ts';
import type { Task } from './play.ts';
import type { TaskResult } from './run-context.ts';

/** A result as `changed_when` and `failed_when` see it; both may name the registered variable or the result's own fields. */
export function judged(task: Task, scope: Variables, result: TaskResult): TaskResult {
  let judgement: TaskResult = { failed: false, ...result };
  const holds = (conditions: Task['changedWhen']): boolean =>
    firstUnmet(conditions ?? [], withResult(task, scope.with(asData(judgement)), judgement)) === undefined;
  if (task.changedWhen !== undefined) judgement = { ...judgement, changed: holds(task.changedWhen) };
  if (task.failedWhen !== undefined) {
    const failed = holds(task.failedWhen);
    judgement = { ...judgement, failed, failed_when_result: failed };
  }
  return judgement;
}

/** Whether `until` asks for another attempt. Without conditions it asks until the task succeeds. */
export function wantsAnother(task: Task, scope: Variables, result: TaskResult, attempt: number): boolean {
  if (task.until === undefined || attempt > task.until.retries) return false;
  try {
    return isInVain(task, scope, result);
  } catch (thrown) {
    // What failed may lack what the conditions ask for.
    if (result.failed === true) return true;
    throw thrown;
  }
}

/** Whether `until` is not content with a result. Without conditions it wants success. */
export function isInVain(task: Task, scope: Variables, result: TaskResult): boolean {
  if (task.until === undefined) return false;
  const { conditions } = task.until;
  if (conditions.length === 0) return result.failed === true;
  return firstUnmet(conditions, withResult(task, scope, result)) !== undefined;
}

/** The error of a task that ran as often as it may, and never as `until` wants it. */
export function inVain({ until }: Task, attempts: number): FleetError {
  const wanted = until?.conditions.map(({ expression }) => String(expression)).join(' and ') ?? '';
  return new FleetError({
    code: 'UNTIL_IN_VAIN',
    message: `after ${attempts} attempts this does not hold: ${wanted === '' ? 'success' : wanted}`,
    fix: 'Raise retries or delay, or look at why it does not come to hold.',
  });
}

function withResult(task: Task, scope: Variables, result: TaskResult): Variables {
  return task.register === undefined ? scope : scope.with({ [task.register]: asData(result) });
}

/** The error of a result that `failed_when` takes as a failure. */
export function failedByCondition(result: TaskResult): FleetError {
  const said = [result.stderr, result.stdout, result.msg].find(
    (text) => typeof text === 'string' && text !== '',
  );
  return new FleetError({
    code: 'FAILED_WHEN',
    message: `failed_when holds${said === undefined ? '' : `: ${String(said)}`}`,
    fix: 'See failed_when in the playbook for what it takes as a failure.',
  });
}
