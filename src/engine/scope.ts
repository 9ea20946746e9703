import type { Host, Variables } from '../inventory/fleet.ts';
import { HostVarsMap } from '../inventory/host-variables.ts';
import type { Play, Task, TemplatedSettings } from './play.ts';
import type { RunContext } from './run-context.ts';

/**
 * The variables that a task of a host sees, in Ansible's order: role defaults, inventory, facts, play, task, included
 * variables, what was registered or set as a fact, parameters of roles and includes, and `-e` above all.
 */
export function taskScope(
  context: RunContext,
  base: Variables,
  defaults: Play['defaults'],
  host: Host,
  task: Pick<Task, 'vars' | 'defaults' | 'params'>,
): Variables {
  const { included, variables } = context.stateOf(host.name);
  // Those of its own role before those of others.
  return withDefaults(base, { ...defaults, ...task.defaults })
    .with(task.vars)
    .with({ ...included, ...variables, ...task.params, ...context.extraVars });
}

/** `hostvars` as a run knows it: the inventory's, and over that what each host registered or found out. */
function hostvarsOf(context: RunContext): HostVarsMap {
  const before = hostvars.get(context);
  if (before !== undefined) return before;
  const { fleet } = context;
  const made = new HostVarsMap([...fleet.hosts.keys()], (name) => {
    const found = context.knownStates().get(name);
    const vars = fleet.hosts.get(name)?.vars ?? (found === undefined ? undefined : fleet.vars);
    return found === undefined
      ? vars
      : vars?.with({ ansible_facts: {}, ...found.facts, ...found.included, ...found.variables });
  });
  hostvars.set(context, made);
  return made;
}

const hostvars = new WeakMap<RunContext, HostVarsMap>();

/** Variables with others laid under them. */
function withDefaults(scope: Variables, defaults: Readonly<Record<string, unknown>>): Variables {
  const missing = Object.entries(defaults).filter(([name]) => !scope.has(name));
  return missing.length === 0 ? scope : scope.with(Object.fromEntries(missing));
}

/** A play's variables, with those that tell of the play itself. */
export function playVariables(
  context: RunContext,
  play: Play,
  batch: readonly Host[],
): Readonly<Record<string, unknown>> {
  const [names, batchNames] = [play.hosts, batch].map((hosts) =>
    hosts.map(({ name }) => name).filter((name) => context.stateOf(name).failed === undefined),
  );
  return {
    ...play.vars,
    hostvars: hostvarsOf(context),
    ansible_check_mode: context.checkMode,
    ansible_play_hosts: names,
    ansible_play_hosts_all: play.hosts.map(({ name }) => name),
    ansible_play_batch: batchNames,
    ansible_play_name: play.name,
    // As in Ansible the hosts of the batch, whatever its name says.
    play_hosts: batchNames,
  };
}

/** A play's variables on a host, over what has been found out about that host so far. */
export function playScope(
  context: RunContext,
  play: Play,
  host: Host,
  variables: Readonly<Record<string, unknown>>,
): Variables {
  const { facts } = context.stateOf(host.name);
  const scope = host.vars.with({ ansible_facts: {}, ...facts }).with(variables);
  return play.varsFiles === undefined
    ? scope
    : scope.with(play.varsFiles(scope, Object.keys(facts).length > 0));
}

/** A task with what variables over the inventory's say of becoming another user: `vars: {ansible_become_user: …}`. */
export function becoming(task: Task, scope: Variables, host: Host): Task {
  const said = (name: string): unknown =>
    scope.has(name) && scope.raw(name) !== host.vars.raw(name) ? scope.get(name) : undefined;
  const [enabled, user, method] = ['ansible_become', 'ansible_become_user', 'ansible_become_method'].map(
    said,
  );
  if (enabled === undefined && user === undefined && method === undefined) return task;
  const variables = {
    ...(enabled === undefined ? {} : { ansible_become: scope.test(String(enabled), task.where) }),
    ...(user === undefined ? {} : { ansible_become_user: String(user) }),
    ...(method === undefined ? {} : { ansible_become_method: String(method) }),
  };
  return { ...task, become: { enabled: false, ...task.become, variables } };
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
  const environment = (templated.environment ?? []).map((written) =>
    typeof written === 'string' ? (scope.template(written, task.where) as object) : written,
  );
  return {
    ...task,
    ignoreErrors: flag('ignoreErrors', task.ignoreErrors),
    runOnce: flag('runOnce', task.runOnce),
    noLog: flag('noLog', task.noLog),
    environment: Object.assign({}, ...environment, task.environment),
    ...(templated.become === undefined ? {} : { become: { ...task.become, enabled: flag('become', false) } }),
    ...(templated.ignoreUnreachable === undefined
      ? {}
      : { ignoreUnreachable: flag('ignoreUnreachable', false) }),
    ...(templated.delegateFacts === undefined ? {} : { delegateFacts: flag('delegateFacts', false) }),
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
