import { FleetError, type Place } from '../core/errors.ts';
import type { Host, Variables } from '../inventory/fleet.ts';
import type { ControlFact, Fact, Questions } from './fact.ts';
import type { FactStore, Known } from './fact-store.ts';
import type { Condition, Task } from './play.ts';
import type { RunContext } from './run-context.ts';
import type { AnyStep, HostView, Plan } from './step.ts';

/** Coerces and checks a step's templated arguments. @throws FleetError(s) that name the argument. */
export type CheckArgs = (step: AnyStep, args: unknown, where: Place | undefined) => unknown;

/** A task made ready for one host and, in a loop, for one item: it applies, and these are its arguments and questions. */
export interface Prepared {
  readonly task: Task;
  readonly name: string;
  readonly args: unknown;
  readonly view: HostView;
  readonly questions: Questions<Record<string, unknown>>;
  readonly scope: Variables;
  readonly item?: string;
}

/** Whether all conditions hold; if not, the first that does not, as written. */
export function firstUnmet(conditions: readonly Condition[], scope: Variables): string | undefined {
  const unmet = conditions.find(({ expression, where }) => !scope.test(expression, where));
  return unmet === undefined ? undefined : String(unmet.expression);
}

/** Templates and checks the arguments of a task and asks its step what it wants to know. Pure. */
export function prepare(
  task: Task,
  host: Host,
  context: Pick<RunContext, 'fleet' | 'checkArgs' | 'decrypt'>,
  scope: Variables,
  item?: string,
): Prepared {
  const args = context.checkArgs(task.step, scope.template(task.args, task.where), task.where);
  const view: HostView = {
    name: host.name,
    groups: host.groups,
    vars: scope,
    fleet: context.fleet,
    searchPath: task.searchPath,
    ...(context.decrypt === undefined ? {} : { decrypt: context.decrypt }),
  };
  return {
    task,
    name: templatedName(task, scope),
    args,
    view,
    questions: task.step.look(args, view),
    scope,
    ...(item === undefined ? {} : { item }),
  };
}

/** The name with its templates filled in; a name that cannot be is shown as written, for it must not stop the work. */
export function templatedName(task: Task, scope: Variables): string {
  if (!task.name.includes('{')) return task.name;
  try {
    return String(scope.template(task.name, task.where));
  } catch {
    return task.name;
  }
}

/** Where one host-side fact of a question is kept. */
export interface Placed {
  readonly store: FactStore;
  readonly host: string;
  readonly fact: Fact<unknown>;
  /** `each`: a host that does not answer is `undefined`, not an error. */
  readonly optional: boolean;
  readonly question: string;
}

/** Every host-side fact that the questions name, with the store of the host that answers it. */
export function placesOf(
  questions: Questions<Record<string, unknown>>,
  own: string,
  storeOf: (host: string) => FactStore,
): Placed[] {
  return Object.entries(questions).flatMap(([question, asked]): Placed[] => {
    switch (asked.of) {
      case 'control':
        return [];
      case 'host': {
        const host = asked.host ?? own;
        return [{ store: storeOf(host), host, fact: asked.fact, optional: false, question }];
      }
      case 'each':
        return asked.hosts.map((host) => ({
          store: storeOf(host),
          host,
          fact: asked.fact,
          optional: true,
          question,
        }));
    }
  });
}

/** The facts that the control node answers. */
export function controlFactsOf(questions: Questions<Record<string, unknown>>): ControlFact<unknown>[] {
  return Object.values(questions).flatMap((asked) => (asked.of === 'control' ? [asked.fact] : []));
}

/**
 * The answers as the step's `plan` wants them.
 * @throws the FleetError of a fact that could not be read.
 */
export function seenBy(
  questions: Questions<Record<string, unknown>>,
  own: string,
  knownOf: (host: string, key: string) => Known | undefined,
  controlOf: (key: string) => Known | undefined,
): Record<string, unknown> {
  const valueIn = (known: Known | undefined, key: string): unknown => {
    if (known === undefined)
      throw new FleetError({ code: 'INTERNAL', message: `${key} was never asked`, blame: 'fleet' });
    if ('error' in known) throw known.error;
    return known.value;
  };
  return Object.fromEntries(
    Object.entries(questions).map(([name, asked]) => {
      switch (asked.of) {
        case 'control':
          return [name, valueIn(controlOf(asked.fact.key), asked.fact.key)];
        case 'host':
          return [name, valueIn(knownOf(asked.host ?? own, asked.fact.key), asked.fact.key)];
        case 'each':
          return [
            name,
            new Map(
              asked.hosts.map((host) => {
                const known = knownOf(host, asked.fact.key);
                return [host, known !== undefined && 'value' in known ? known.value : undefined];
              }),
            ),
          ];
      }
    }),
  );
}

/** Lets the step decide. A defect in a step is reported as such, with its name. */
export function planFor(prepared: Prepared, seen: Record<string, unknown>): Plan<Record<string, unknown>> {
  return prepared.task.step.plan(seen, prepared.args, prepared.view);
}

/** What a task is written with that is templated for each host, but for its name and whom it is delegated to. */
export function templatesOf(
  task: Pick<Task, 'when' | 'vars'> & Partial<Omit<Task, 'kind'>>,
): readonly unknown[] {
  return [
    task.args,
    task.when,
    task.vars,
    task.loop?.over,
    task.until?.conditions,
    task.changedWhen,
    task.failedWhen,
    task.environment,
  ];
}

/**
 * Whether anything a task is written with names one of these variables, directly or through variables that do.
 * Used for results that are not there yet; erring on the side of "yes" only costs a round trip.
 */
export function mentions(
  task: Pick<Task, 'name' | 'when' | 'vars'> & Partial<Omit<Task, 'kind'>>,
  names: ReadonlySet<string>,
  scope: Variables,
): boolean {
  if (names.size === 0) return false;
  const written = JSON.stringify([task.name, task.delegateTo, ...templatesOf(task)]);
  const tainted = new Set(names);
  const namesTainted = (text: string): boolean => [...tainted].some((name) => wordIn(name, text));
  for (let grew = true; grew; ) {
    grew = false;
    for (const name of scope.names()) {
      if (tainted.has(name)) continue;
      const value = scope.raw(name);
      if (
        typeof value === 'string'
          ? value.includes('{') && namesTainted(value)
          : isTemplated(value, namesTainted)
      ) {
        tainted.add(name);
        grew = true;
      }
    }
  }
  return namesTainted(written);
}

function isTemplated(value: unknown, namesTainted: (text: string) => boolean): boolean {
  if (value === null || typeof value !== 'object') return false;
  const text = JSON.stringify(value) ?? '';
  return text.includes('{{') && namesTainted(text);
}

function wordIn(name: string, text: string): boolean {
  return new RegExp(`(?<![A-Za-z0-9_])${name}(?![A-Za-z0-9_])`).test(text);
}
