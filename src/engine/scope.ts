import type { Host, Variables } from '../inventory/fleet.ts';
import { HostVarsMap } from '../inventory/host-variables.ts';
import type { Play, Task, TemplatedSettings } from './play.ts';
import type { RunContext } from './run-context.ts';

/**
 * The variables that a task of a host sees, in Ansible's order: role defaults, inventory, play, task, what was
 * registered or set as a fact, parameters of roles and includes, and `-e` above all.
 */
export function taskScope(
  context: RunContext,
  base: Variables,
  host: Host,
  task: Pick<Task, 'vars' | 'defaults' | 'params'>,
): Variables {
  return withDefaults(base, task.defaults)
    .with(task.vars)
    .with({ ...context.stateOf(host.name).variables, ...task.params, ...context.extraVars });
}

/** `hostvars` as a run knows it: the inventory's, and over that what each host registered or found out. */
function hostvarsOf(context: RunContext): HostVarsMap {
  const before = hostvars.get(context);
  if (before !== undefined) return before;
  const { fleet } = context;
  const made = new HostVarsMap([...fleet.hosts.keys()], (name) => {
    const found = context.knownStates().get(name)?.variables;
    const vars = fleet.hosts.get(name)?.vars ?? (found === undefined ? undefined : fleet.vars);
    return found === undefined ? vars : vars?.with(found);
  });
  hostvars.set(context, made);
  return made;
}

const hostvars = new WeakMap<RunContext, HostVarsMap>();

/** Variables with others laid under them. */
function withDefaults(scope: Variables, defaults: Readonly<Record<string, unknown>> = {}): Variables {
  const missing = Object.entries(defaults).filter(([name]) => !scope.has(name));
  return missing.length === 0 ? scope : scope.with(Object.fromEntries(missing));
}

/** A play's variables on a host, with those that tell of the play itself. */
export function playScope(context: RunContext, play: Play, host: Host, batch: readonly Host[]): Variables {
  const names = play.hosts
    .map(({ name }) => name)
    .filter((name) => context.stateOf(name).failed === undefined);
  const scope = host.vars.with({
    ...play.vars,
    hostvars: hostvarsOf(context),
    ansible_check_mode: context.checkMode,
    ansible_play_hosts: names,
    ansible_play_hosts_all: play.hosts.map(({ name }) => name),
    ansible_play_batch: batch.map(({ name }) => name),
    ansible_play_name: play.name,
    play_hosts: names,
  });
  return withDefaults(scope, play.defaults);
}

/** The task with the settings that only a host's variables decide filled in. */
export function settledTask(task: Task, scope: Variables): Task {
  if (task.templated === undefined) return task;
  const { templated } = task;
  const flag = (name: keyof TemplatedSettings, otherwise: boolean): boolean => {
    const written = templated[name];
    return typeof written === 'string' ? scope.test(written, task.where) : otherwise;
  };
  const number = (name: keyof TemplatedSettings): number | undefined => {
    const written = templated[name];
    return typeof written === 'string' ? Number(scope.template(written, task.where)) : undefined;
  };
  const retries = number('retries');
  const delaySeconds = number('delaySeconds');
  const deadlineSeconds = number('deadlineSeconds');
  const throttle = number('throttle');
  const environment = (templated.environment ?? []).map(
    (written) => scope.template(written, task.where) as object,
  );
  return {
    ...task,
    ignoreErrors: flag('ignoreErrors', task.ignoreErrors),
    runOnce: flag('runOnce', task.runOnce),
    noLog: flag('noLog', task.noLog),
    environment: Object.assign({}, ...environment, task.environment),
    ...(templated.become === undefined ? {} : { become: { ...task.become, enabled: flag('become', false) } }),
    ...(templated.checkMode === undefined ? {} : { checkMode: flag('checkMode', true) }),
    ...(templated.diff === undefined ? {} : { diff: flag('diff', true) }),
    ...(templated.anyErrorsFatal === undefined ? {} : { anyErrorsFatal: flag('anyErrorsFatal', false) }),
    ...(deadlineSeconds === undefined ? {} : { deadlineMs: deadlineSeconds * 1000 }),
    ...(throttle === undefined ? {} : { throttle }),
    ...(task.until === undefined
      ? {}
      : {
          until: {
            ...task.until,
            ...(retries === undefined ? {} : { retries }),
            ...(delaySeconds === undefined ? {} : { delayMs: delaySeconds * 1000 }),
          },
        }),
  };
}
