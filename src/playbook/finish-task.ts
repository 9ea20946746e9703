import type { Entry, Loop, MetaAction, Task, TaskBecome, TemplatedSettings, Until } from '../engine/play.ts';
import type { AnyStep } from '../engine/step.ts';
import {
  allVars,
  type Context,
  type Flag,
  type HandlerDraft,
  type Inherited,
  report,
  searchPathOf,
} from './context.ts';
import { conditionsOf, namesOf, numberOf, textOf, type Words } from './settings.ts';
import type { FoundStep } from './step-of.ts';
import { isSelected } from './tags.ts';

/** Makes the task out of all that was found. A handler goes to the play; a task that tags leave out is nothing. */
export function finishTask(
  context: Context,
  words: Words,
  inherited: Inherited,
  found: FoundStep,
  step: AnyStep,
  loop: Loop | undefined,
  meta?: MetaAction,
): readonly Entry[] {
  const { settings } = inherited;
  const ownName = textOf(words, 'name');
  const bareName = ownName === undefined || ownName === '' ? found.name : ownName;
  const templated: { -readonly [Key in keyof TemplatedSettings]: TemplatedSettings[Key] } = {};
  const flag = (key: keyof TemplatedSettings & keyof Inherited['settings'], value: Flag | undefined) => {
    if (typeof value !== 'string') return value;
    templated[key] = value;
    return undefined;
  };
  const number = (
    key: 'deadlineSeconds' | 'throttle' | 'retries' | 'delaySeconds',
    value: number | string | undefined,
  ) => {
    if (typeof value !== 'string') return value;
    templated[key] = value;
    return undefined;
  };
  const become = becomeOf(settings, templated);
  const until = untilOf(context, words, number);
  const ignoreErrors = flag('ignoreErrors', settings.ignoreErrors) ?? false;
  const ignoreUnreachable = flag('ignoreUnreachable', settings.ignoreUnreachable);
  const delegateFacts = flag('delegateFacts', settings.delegateFacts);
  const runOnce = flag('runOnce', settings.runOnce) ?? false;
  const noLog = flag('noLog', settings.noLog) ?? templated.noLog !== undefined;
  const checkMode = flag('checkMode', settings.checkMode);
  const diff = flag('diff', settings.diff);
  const anyErrorsFatal = flag('anyErrorsFatal', settings.anyErrorsFatal);
  const seconds = number('deadlineSeconds', settings.timeoutSeconds);
  const throttle = number('throttle', settings.throttle);
  const register = textOf(words, 'register');
  const changedWhen = conditionsOf(context, words, 'changed_when');
  const failedWhen = conditionsOf(context, words, 'failed_when');
  const delegateTo = found.local ? 'localhost' : settings.delegateTo;
  const notify = settings.notify ?? [];
  const isPlain = inherited.environment.every((part) => typeof part !== 'string');
  if (!isPlain) templated.environment = inherited.environment;
  const notifyEntry = words.get('notify');
  for (const name of notify)
    context.play.notified.push({ name, where: notifyEntry?.node.place ?? found.where });

  const task: Task = {
    kind: 'task',
    name: context.role === undefined ? bareName : `${context.role.name} : ${bareName}`,
    step,
    args: found.args,
    where: found.where,
    tags: inherited.tags,
    when: inherited.when,
    vars: allVars(inherited),
    ...(register === undefined ? {} : { register }),
    ...(loop === undefined ? {} : { loop }),
    ...(until === undefined ? {} : { until }),
    ...(changedWhen === undefined ? {} : { changedWhen }),
    ...(failedWhen === undefined ? {} : { failedWhen }),
    ignoreErrors,
    notify,
    listen: namesOf(words, 'listen'),
    runOnce,
    ...(ignoreUnreachable === undefined ? {} : { ignoreUnreachable }),
    ...(delegateTo === undefined ? {} : { delegateTo }),
    ...(delegateFacts === undefined ? {} : { delegateFacts }),
    ...(become === undefined ? {} : { become }),
    environment: isPlain ? Object.assign({}, ...inherited.environment) : {},
    noLog,
    ...(checkMode === undefined ? {} : { checkMode }),
    ...(seconds === undefined || seconds === 0 ? {} : { deadlineMs: seconds * 1000 }),
    searchPath: searchPathOf(context, subfolderOf(step)),
    ...(Object.keys(inherited.defaults).length === 0 ? {} : { defaults: inherited.defaults }),
    ...(meta === undefined ? {} : { meta }),
    ...(diff === undefined ? {} : { diff }),
    ...(anyErrorsFatal === undefined ? {} : { anyErrorsFatal }),
    ...(throttle === undefined || throttle === 0 ? {} : { throttle }),
    ...(Object.keys(templated).length === 0 ? {} : { templated }),
    ...(Object.keys(inherited.params).length === 0 ? {} : { params: inherited.params }),
    // A handler runs although the role that brought it has ended.
    ...(context.role === undefined || context.handlers ? {} : { role: context.role }),
  };
  if (context.handlers) {
    const draft: HandlerDraft = { task, bareName };
    context.play.handlers.push(draft);
    return [task];
  }
  if (words.has('listen')) {
    report(context, {
      code: 'PLAYBOOK_LISTEN',
      message: "only a handler can 'listen'",
      fix: "Move the task under 'handlers:', or remove 'listen'.",
      where: words.get('listen')?.keyPlace ?? found.where,
    });
  }
  return isSelected(inherited.tags, context.compilation.selection) ? [task] : [];
}

/** The folder of a playbook or role in which a step looks for its local files. */
export function subfolderOf(step: AnyStep): string {
  if (step.name === 'template') return 'templates';
  return step.name === 'include_vars' ? 'vars' : 'files';
}

/** `undefined` means as the inventory says. */
function becomeOf(settings: Inherited['settings'], templated: { become?: string }): TaskBecome | undefined {
  const { become, becomeUser, becomeMethod } = settings;
  if (become === undefined) {
    // A user that is named is a user that is wanted; running as another one would be worse than either reading.
    if (becomeUser === undefined) return undefined;
  } else if (typeof become === 'string') templated.become = become;
  return {
    enabled: become === undefined ? true : typeof become === 'boolean' && become,
    ...(becomeMethod === undefined ? {} : { method: becomeMethod }),
    ...(becomeUser === undefined ? {} : { user: becomeUser }),
  };
}

function untilOf(
  context: Context,
  words: Words,
  number: (key: 'retries' | 'delaySeconds', value: number | string | undefined) => number | undefined,
): Until | undefined {
  const conditions = conditionsOf(context, words, 'until');
  if (conditions === undefined && !words.has('retries')) return undefined;
  return {
    conditions: conditions ?? [],
    retries: number('retries', numberOf(words, 'retries')) ?? 3,
    delayMs: (number('delaySeconds', numberOf(words, 'delay')) ?? 5) * 1000,
  };
}
