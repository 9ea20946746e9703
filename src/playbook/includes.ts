import { type FleetError, FleetErrors, type Place } from '../core/errors.ts';
import type { Condition, DynamicInclude, Entry, Loop, RoleVariables, Task } from '../engine/play.ts';
import type { Variables } from '../inventory/fleet.ts';
import { shown, truthOf } from './args.ts';
import {
  allVars,
  attempt,
  type Context,
  deepestInclude,
  type HandlerDraft,
  type Inherited,
  mostTasks,
  report,
  taskFolders,
} from './context.ts';
import { locate } from './files.ts';
import { blockKeywords } from './keywords.ts';
import type { Located } from './located.ts';
import { meant } from './nearest.ts';
import { compileRole, roleHandlersOf } from './roles.ts';
import {
  conditionsOf,
  inherit,
  namesOf,
  readWords,
  templateNow,
  textOf,
  varsOf,
  type Words,
} from './settings.ts';
import type { FoundStep } from './step-of.ts';
import { isSelected } from './tags.ts';
import { compileFile } from './tasks.ts';
import { hasTemplate } from './template-text.ts';

/** `include_tasks` and its kin. */
export function compileDirective(
  context: Context,
  words: Words,
  inherited: Inherited,
  found: FoundStep,
  loop: Loop | undefined,
  ownTags: readonly string[],
): readonly Entry[] {
  // `args:` beside it may be a template of a mapping, which no include can wait for.
  const args = typeof found.args === 'object' ? (found.args as Record<string, unknown>) : {};
  const isRole = found.directive === 'include_role' || found.directive === 'import_role';
  const isStatic =
    found.directive === 'import' || found.directive === 'import_tasks' || found.directive === 'import_role';
  const known = isRole
    ? [
        'name',
        'role',
        'tasks_from',
        'vars_from',
        'defaults_from',
        'handlers_from',
        'apply',
        'public',
        'allow_duplicates',
        'rolespec_validate',
      ]
    : ['file', 'apply', '_raw_params'];
  // Old playbooks write variables behind the file name: `include: web.yml port=80`.
  const inlineVars: [string, unknown][] = [];
  for (const [key, value] of Object.entries(args)) {
    if (known.includes(key)) continue;
    if (!isRole && '_raw_params' in args) inlineVars.push([key, value]);
    else {
      report(context, {
        code: 'UNKNOWN_ARGUMENT',
        message: `'${found.name}' has no argument '${key}'`,
        fix: meant(
          key,
          known.filter((name) => name !== '_raw_params'),
          "Variables go under 'vars:' beside it.",
        ),
        where: found.placeOf(key) ?? found.where,
      });
    }
  }
  const named = isRole ? (args.name ?? args.role ?? args._raw_params) : (args.file ?? args._raw_params);
  if (typeof named !== 'string' || named.trim() === '') {
    report(context, {
      code: 'MISSING_ARGUMENT',
      message: `'${found.name}' names no ${isRole ? 'role' : 'file'}`,
      fix: isRole ? "Add 'name:' with the role's name." : "Write the file's name behind it.",
      where: found.where,
    });
    return [];
  }
  const name = named.trim();
  const where = found.placeOf(isRole ? 'name' : 'file') ?? found.where;
  const vars = { ...inherited.vars, ...Object.fromEntries(inlineVars) };

  if (isStatic) {
    if (loop !== undefined) {
      report(context, {
        code: 'PLAYBOOK_LOOP',
        message: `'${found.name}' cannot loop: it is read before the run begins`,
        fix: `Use '${isRole ? 'include_role' : 'include_tasks'}'.`,
        where: found.where,
      });
      return [];
    }
    const inner: Context = { ...context, inherited: { ...inherited, vars } };
    const fixed = templateNow(inner, name, where);
    if (fixed === undefined) return [];
    return isRole
      ? roleEntries(inner, String(fixed), args, found.where, varsOf(context, words))
      : staticFile(inner, String(fixed), where);
  }
  const inline = Object.fromEntries(inlineVars);
  return dynamic(
    context,
    words,
    { ...inherited, vars },
    found,
    loop,
    name,
    args,
    isRole,
    where,
    ownTags,
    inline,
  );
}

function staticFile(context: Context, name: string, where: Place): readonly Entry[] {
  const path = attempt(context, where, () => locate(name, taskFolders(context), where));
  if (path === undefined) return [];
  if (context.chain.includes(path)) {
    report(context, {
      code: 'PLAYBOOK_INCLUDE_LOOP',
      message: `files import each other without end: ${[...context.chain.slice(context.chain.indexOf(path)), path].join(' → ')}`,
      fix: "Break the circle, or use 'include_tasks' with a 'when'.",
      where,
    });
    return [];
  }
  if (isTooDeep(context, path, where)) return [];
  return compileFile(context, path, where);
}

function isTooDeep(context: Context, path: string, where: Place | undefined): boolean {
  if (context.chain.length < deepestInclude) return false;
  report(context, {
    code: 'PLAYBOOK_INCLUDE_TOO_DEEP',
    message: `includes are nested more than ${deepestInclude} deep: … → ${[...context.chain.slice(-3), path].join(' → ')}`,
    fix: "Make sure that an include that comes back to itself has a 'when' that ends it.",
    ...(where === undefined ? {} : { where }),
  });
  return true;
}

function roleEntries(
  context: Context,
  name: string,
  args: Readonly<Record<string, unknown>>,
  where: Place,
  vars: Readonly<Record<string, unknown>>,
): readonly Entry[] {
  return compileRole(context, {
    name,
    where,
    tasksFrom: fromOf(args.tasks_from),
    varsFrom: fromOf(args.vars_from),
    defaultsFrom: fromOf(args.defaults_from),
    handlersFrom: fromOf(args.handlers_from),
    isPublic: true,
    isDynamic: false,
    once: false,
    vars,
  });
}

function fromOf(value: unknown): string {
  return value === undefined || value === null ? 'main' : String(value);
}

function dynamic(
  context: Context,
  words: Words,
  inherited: Inherited,
  found: FoundStep,
  loop: Loop | undefined,
  name: string,
  args: Readonly<Record<string, unknown>>,
  isRole: boolean,
  where: Place,
  ownTags: readonly string[],
  inlineVars: Readonly<Record<string, unknown>>,
): readonly Entry[] {
  const { compilation } = context;
  const isPublic = truthOf(args.public) === true;
  const above = context.inherited;
  const applied = appliedBy(context, args, found);
  // As in Ansible: the include's own tags, conditions and settings are for itself; its variables are for what it brings.
  const forChildren: Inherited = {
    ...applied,
    vars: { ...inherited.vars, ...applied.vars },
    params: { ...inherited.params, ...varsOf(context, words), ...inlineVars },
    when: [...above.when, ...applied.when.slice(above.when.length)],
  };
  const inner: Context = { ...context, inherited: forChildren };
  const loadAt = (at: Context, target: string): readonly Entry[] => {
    if (isRole) {
      return compileRole(at, {
        name: target,
        where: found.where,
        tasksFrom: String(at.scope.template(fromOf(args.tasks_from))),
        varsFrom: String(at.scope.template(fromOf(args.vars_from))),
        defaultsFrom: String(at.scope.template(fromOf(args.defaults_from))),
        handlersFrom: String(at.scope.template(fromOf(args.handlers_from))),
        isPublic,
        isDynamic: true,
        once: false,
        vars: {},
      });
    }
    const path = attempt(at, where, () => locate(target, taskFolders(at), where));
    if (path === undefined || isTooDeep(at, path, where)) return [];
    // Under handlers, a file that comes back to itself can only be read without end.
    if ((at.rehearsal || at.handlers) && at.chain.includes(path)) return [];
    return compileFile(at, path, where);
  };

  if (context.handlers) return includedHandlers(context, words, inner, loadAt, name, found, where);

  const isSelectedHere = isSelected(inherited.tags, compilation.selection);
  if (!hasTemplate(name) && isSelectedHere) rehearse(inner, (at) => loadAt(at, name));
  if (isRole) {
    if (hasTemplate(name) || hasTemplate(args.handlers_from)) context.play.handlersOpen = true;
    else roleHandlersOf({ ...inner }, name, fromOf(args.handlers_from), found.where);
  } else if (hasTemplate(name)) context.play.handlersOpen = true;
  if (!isSelectedHere) return [];

  const loaded = new Map<string, Loaded>();
  const load = (scope: Variables): Loaded => {
    const target = String(scope.template(name, where)).trim();
    const key = isRole
      ? `${target}\n${JSON.stringify(scope.template([args.tasks_from, args.vars_from]) ?? null)}`
      : target;
    const known = loaded.get(key);
    if (known !== undefined) return known;
    const errors: FleetError[] = [];
    const play = {
      ...context.play,
      handlers: [],
      roleDefaults: {},
      roleVars: {},
      roleHandlers: new Set(context.play.roleHandlers),
      rolesDone: new Set<string>(),
      roleNames: [],
      dependencyNames: [],
      notified: [],
    };
    const at: Context = {
      ...inner,
      scope,
      play,
      rehearsal: false,
      compilation: { ...compilation, errors, budget: { left: mostTasks } },
    };
    const entries = loadAt(at, target);
    FleetErrors.throwIfAny(errors);
    const made = {
      entries,
      handlers: play.handlers.map(({ task }: HandlerDraft) => task),
      published: { vars: play.roleVars, defaults: play.roleDefaults },
    };
    loaded.set(key, made);
    return made;
  };
  const ownName = textOf(words, 'name') ?? `${found.name} ${name}`;
  const include: DynamicInclude = {
    kind: 'include',
    name: context.role === undefined ? ownName : `${context.role.name} : ${ownName}`,
    where: found.where,
    when: inherited.when,
    tags: [...new Set([...above.tags, ...ownTags])],
    vars: allVars(inherited),
    ...(loop === undefined ? {} : { loop }),
    load: (scope) => load(scope).entries,
    ...(isPublic ? { published: (scope: Variables) => load(scope).published } : {}),
    ...(isRole && hasTemplate(name) ? { loadHandlers: (scope: Variables) => load(scope).handlers } : {}),
    ...(Object.keys(inherited.defaults).length === 0 ? {} : { defaults: inherited.defaults }),
    ...(Object.keys(inherited.params).length === 0 ? {} : { params: inherited.params }),
    ...(context.role === undefined ? {} : { role: context.role }),
  };
  return [include];
}

/** What an include brings. */
interface Loaded {
  readonly entries: readonly Entry[];
  readonly handlers: readonly Task[];
  readonly published: RoleVariables;
}

/** What `apply:` lays on every task that an include brings. */
function appliedBy(context: Context, args: Readonly<Record<string, unknown>>, found: FoundStep): Inherited {
  const apply = args.apply;
  if (apply === undefined || apply === null) return context.inherited;
  if (typeof apply !== 'object' || Array.isArray(apply)) {
    report(context, {
      code: 'PLAYBOOK_VALUE',
      message: `'apply' must be a mapping of task keywords, not ${shown(apply)}`,
      fix: "Write e.g. 'apply: {tags: [web]}'.",
      where: found.placeOf('apply') ?? found.where,
    });
    return context.inherited;
  }
  const place = found.placeOf('apply') ?? found.where;
  const node = locatedFrom(apply, place);
  const { block: _, rescue: __, always: ___, ...keywords } = blockKeywords;
  return inherit(context, readWords(context, node, keywords, 'block'));
}

/** Plain data as if it all stood at one place. */
function locatedFrom(value: unknown, place: Place): Located {
  if (Array.isArray(value)) return { value, place, items: value.map((item) => locatedFrom(item, place)) };
  if (typeof value !== 'object' || value === null) return { value, place };
  return {
    value,
    place,
    entries: Object.entries(value).map(([key, item]) => ({
      key,
      keyPlace: place,
      node: locatedFrom(item, place),
    })),
  };
}

/** Compiles what will be loaded later, only to find its faults now. */
function rehearse(context: Context, load: (at: Context) => readonly Entry[]): void {
  const play = {
    ...context.play,
    handlers: [],
    roleHandlers: new Set<string>(),
    rolesDone: new Set(context.play.rolesDone),
    roleNames: [],
    dependencyNames: [],
    roleDefaults: {},
    roleVars: {},
  };
  load({ ...context, rehearsal: true, play });
}

/** A handler that is an include: the file's tasks all answer to its name. */
function includedHandlers(
  context: Context,
  words: Words,
  inner: Context,
  loadAt: (at: Context, name: string) => readonly Entry[],
  name: string,
  found: FoundStep,
  where: Place,
): readonly Entry[] {
  if (hasTemplate(name)) {
    report(context, {
      code: 'PLAYBOOK_HANDLER_INCLUDE',
      message: 'a handler cannot include a file that only the run can name',
      fix: "Name the file, and let 'when' of its tasks choose.",
      where,
    });
    return [];
  }
  const answersTo = [textOf(words, 'name') ?? found.name, ...namesOf(words, 'listen')];
  const own = (conditionsOf(context, words, 'when') ?? []) as readonly Condition[];
  const before = context.play.handlers.length;
  loadAt({ ...inner, inherited: { ...inner.inherited, when: [...inner.inherited.when, ...own] } }, name);
  for (let index = before; index < context.play.handlers.length; index += 1) {
    const draft = context.play.handlers[index];
    if (draft === undefined) continue;
    context.play.handlers[index] = {
      ...draft,
      task: { ...draft.task, listen: [...new Set([...draft.task.listen, ...answersTo])] },
    };
  }
  return [];
}
