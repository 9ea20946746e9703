import type { Host, Variables } from '../inventory/fleet.ts';
import { controlFactsOf, firstUnmet, placesOf, prepare } from './decide.ts';
import { withVars } from './entries.ts';
import type { ControlFact, Fact } from './fact.ts';
import type { HostSession } from './host-session.ts';
import { itemsOf, loopScope } from './loop.ts';
import type { DynamicInclude, Entry, Play, Task } from './play.ts';
import type { RunContext } from './run-context.ts';
import { playScope, playVariables, taskScope } from './scope.ts';
import type { WaveSource } from './waves.ts';

/** Everything worth asking before the first task runs. */
export interface Wanted {
  readonly hosts: Map<HostSession, Fact<unknown>[]>;
  readonly control: ControlFact<unknown>[];
}

/**
 * The questions of all tasks of all plays, as far as they can be told from variables alone. A task that needs an earlier
 * result, or whose arguments are wrong, is passed over here: it asks, or fails, when its turn comes.
 */
export function lookAhead(plays: readonly Play[], context: RunContext, waves?: WaveSource): Wanted {
  const hosts = new Map<HostSession, Map<string, Fact<unknown>>>();
  const control = new Map<string, ControlFact<unknown>>();
  const want = (task: Task, host: Host, scope: Variables): void => {
    if (task.delegateTo !== undefined || firstUnmet(task.when, scope) !== undefined) return;
    const { questions } = prepare(task, host, context, scope);
    for (const fact of controlFactsOf(questions)) control.set(fact.key, fact);
    for (const { host: name, fact } of placesOf(
      questions,
      host.name,
      (of) => context.sessionOf(of, task.become).facts,
    )) {
      add(context.sessionOf(name, task.become), fact);
    }
  };
  const add = (session: HostSession, fact: Fact<unknown>): void => {
    const facts = hosts.get(session) ?? new Map();
    hosts.set(session, facts.set(fact.key, fact));
  };
  const walk = (entry: Entry, play: Play, host: Host, base: Variables): void => {
    if (entry.kind === 'block') {
      for (const inner of [...entry.tasks, ...entry.always]) walk(inner, play, host, base);
      return;
    }
    passedOver(() => {
      const scope = taskScope(context, base, play.defaults, host, entry);
      for (const pass of passesOf(entry, scope)) {
        passedOver(() => {
          if (entry.kind === 'task') want(entry, host, pass);
          else if (firstUnmet(entry.when, pass) === undefined) {
            for (const inner of entry.load(pass)) walk(withVars(inner, entry.vars), play, host, pass);
          }
        });
      }
    });
  };
  for (const play of plays) {
    const variables = playVariables(context, play, play.hosts);
    for (const host of play.hosts) {
      passedOver(() => {
        const base = playScope(context, play, host, variables);
        for (const entry of play.tasks) walk(entry, play, host, base);
      });
    }
    if (play.strategy === 'rolling') {
      for (const [host, facts] of waves?.look(play) ?? [])
        for (const fact of facts) add(context.sessionOf(host, { enabled: true }), fact);
    }
  }
  return {
    hosts: new Map([...hosts].map(([session, facts]) => [session, [...facts.values()]])),
    control: [...control.values()],
  };
}

function passedOver(attempt: () => void): void {
  try {
    attempt();
  } catch {
    // Told when the task's turn comes.
  }
}

/** The scopes in which a task or include takes effect: one, or one for each item of its loop. */
function passesOf({ loop }: Task | DynamicInclude, scope: Variables): readonly Variables[] {
  if (loop === undefined) return [scope];
  const items = itemsOf(loop, scope);
  return items.map((_, index) => loopScope(loop, scope, items, index));
}
