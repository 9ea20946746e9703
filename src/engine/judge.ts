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
  if (task.failedWhen !== undefined) judgement = { ...judgement, failed: holds(task.failedWhen) };
  return judgement;
}

/** Whether `until` asks for another attempt. Without conditions it asks until the task succeeds. */
export function wantsAnother(task: Task, scope: Variables, result: TaskResult, attempt: number): boolean {
  if (task.until === undefined || attempt > task.until.retries) return false;
  if (result.failed === true) return true;
  return firstUnmet(task.until.conditions, withResult(task, scope, result)) !== undefined;
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
