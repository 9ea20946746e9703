import { readdirSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import type { Place } from '../core/errors.ts';
import type { Entry } from '../engine/play.ts';
import { shown } from './args.ts';
import { attempt, type Context, deepestInclude, type Inherited, type RoleScope, report } from './context.ts';
import { isFile, isFolder } from './files.ts';
import { variablesOfFile } from './include-vars.ts';
import { blockKeywords, type Keywords } from './keywords.ts';
import { entryOf, type Located } from './located.ts';
import { meant } from './nearest.ts';
import { inherit, readWords, templateNow, textIn, variablesIn, varsOf } from './settings.ts';
import { compileFile } from './tasks.ts';

/** Which role, and which of its files. */
export interface RoleRequest {
  readonly name: string;
  readonly where: Place;
  readonly tasksFrom: string;
  readonly varsFrom: string;
  readonly defaultsFrom: string;
  readonly handlersFrom: string;
  /** Its variables and defaults are known to the whole play. */
  readonly isPublic: boolean;
  /** Asked for by `include_role`, at the run. */
  readonly isDynamic: boolean;
  /** Named under `roles:` or as a dependency: with the same parameters it runs but once. */
  readonly once: boolean;
  /** What is said beside its name: just under the variables of the role itself. */
  readonly vars: Readonly<Record<string, unknown>>;
  /** Its own parameters, as old playbooks write them. What it is inside of makes no other role of it. */
  readonly params?: Readonly<Record<string, unknown>>;
}

/** Compiles the entries of `roles:` of a play, or of the dependencies of a role. */
export function compileRoles(context: Context, node: Located | undefined): readonly Entry[] {
  return (node?.items ?? []).flatMap((item) => compileRoleEntry(context, item));
}

const { block: _block, rescue: _rescue, always: _always, name: _name, ...inheritable } = blockKeywords;
const roleKeywords: Keywords = inheritable;
const roleOptions = new Set([
  'role',
  'name',
  'src',
  'version',
  'scm',
  'tasks_from',
  'vars_from',
  'defaults_from',
  'handlers_from',
]);

function compileRoleEntry(context: Context, node: Located): readonly Entry[] {
  const written =
    node.entries === undefined
      ? node.value
      : (textIn(node, 'role') ?? textIn(node, 'name') ?? textIn(node, 'src'));
  if (typeof written !== 'string' || written === '') {
    report(context, {
      code: 'PLAYBOOK_ROLE',
      message: `a role is named by a word or by 'role:', not ${shown(node.value)}`,
      fix: "Write '- NAME' or '- role: NAME'.",
      where: node.place,
    });
    return [];
  }
  const words = readWords(context, node, roleKeywords, 'role', () => true);
  // Any other key is a parameter of the role, as old playbooks write them.
  const params = (node.entries ?? []).filter(
    ({ key }) => !Object.hasOwn(roleKeywords, key) && !roleOptions.has(key),
  );
  const inherited = inherit(context, words);
  const own = variablesIn(context, {
    value: {},
    place: node.place,
    entries: params,
  });
  const vars = varsOf(context, words);
  const inner: Context = {
    ...context,
    inherited: {
      ...inherited,
      vars: { ...context.inherited.vars, ...own },
      params: { ...inherited.params, ...own },
    },
  };
  const name = templateNow(inner, written, node.place);
  if (name === undefined) return [];
  return compileRole(inner, {
    name: String(name),
    where: node.place,
    tasksFrom: textIn(node, 'tasks_from') ?? 'main',
    varsFrom: textIn(node, 'vars_from') ?? 'main',
    defaultsFrom: textIn(node, 'defaults_from') ?? 'main',
    handlersFrom: textIn(node, 'handlers_from') ?? 'main',
    isPublic: true,
    isDynamic: false,
    once: true,
    vars,
    params: own,
  });
}

/** Compiles a role: what it depends on, then its own tasks; its handlers go to the play. */
export function compileRole(context: Context, request: RoleRequest): readonly Entry[] {
  const role = findRole(context, request);
  if (role === undefined) return [];
  const mainFile = `${role.path}/tasks/${request.tasksFrom}`;
  if (context.chain.length >= deepestInclude) {
    report(context, {
      code: 'PLAYBOOK_INCLUDE_TOO_DEEP',
      message: `roles are nested more than ${deepestInclude} deep: … → ${context.chain.slice(-3).join(' → ')}`,
      fix: "Make sure that an include that comes back to itself has a 'when' that ends it.",
      where: request.where,
    });
    return [];
  }
  const marker = `role ${role.path} ${request.tasksFrom}`;
  if (context.chain.includes(marker)) {
    if (request.isDynamic && context.rehearsal) return [];
    // Only a dynamic include may come back to where it is: its `when` can end it.
    if (!request.isDynamic) {
      report(context, {
        code: 'PLAYBOOK_INCLUDE_LOOP',
        message: `roles depend on each other without end: ${roleChain(context, marker)}`,
        fix: "Break the circle in 'meta/main.yml' or the imports.",
        where: request.where,
      });
      return [];
    }
  }
  const { dependencies, allowDuplicates } = metaOf(context, role);
  if (request.once && !allowDuplicates) {
    const { settings, tags, when } = context.inherited;
    const same = JSON.stringify([
      role.path,
      request.tasksFrom,
      settings,
      tags,
      when.map((c) => c.expression),
      request.vars,
      request.params,
    ]);
    if (context.play.rolesDone.has(same)) return [];
    context.play.rolesDone.add(same);
  }

  if (!request.isDynamic) {
    const { roleNames, dependencyNames } = context.play;
    const names = request.once && context.role !== undefined ? dependencyNames : roleNames;
    if (!names.includes(role.name)) names.push(role.name);
  }

  const chain = [...context.chain, marker];
  const inRole: Context = { ...context, chain };
  const before = compileRoles({ ...inRole, role, file: `${role.path}/meta/main.yml` }, dependencies);
  const inner: Context = {
    ...inRole,
    role,
    file: `${mainFile}.yml`,
    inherited: withRoleVariables(inRole, role, request),
  };
  compileRoleHandlers(inner, role, request.handlersFrom, request.where);
  if (context.handlers) return before;

  const path = partOf(role, 'tasks', request.tasksFrom);
  if (path === undefined) {
    if (request.tasksFrom !== 'main') reportMissingPart(context, role, request);
    return before;
  }
  return [...before, ...compileFile(inner, path, request.where)];
}

/** Makes the handlers of a role that will be included at the run known to the play. */
export function roleHandlersOf(context: Context, name: string, handlersFrom: string, where: Place): void {
  const request = {
    name,
    where,
    tasksFrom: 'main',
    varsFrom: 'main',
    defaultsFrom: 'main',
    handlersFrom,
    isPublic: false,
    isDynamic: true,
    once: false,
    vars: {},
  };
  const role = findRole({ ...context, compilation: { ...context.compilation, errors: [] } }, request);
  if (role === undefined) return;
  compileRoleHandlers(
    {
      ...context,
      role,
      file: `${role.path}/tasks/main.yml`,
      inherited: withRoleVariables(context, role, request),
    },
    role,
    handlersFrom,
    where,
  );
}

function compileRoleHandlers(context: Context, role: RoleScope, from: string, where: Place): void {
  const { roleHandlers } = context.play;
  const key = `${role.path} ${from}`;
  if (roleHandlers.has(key)) return;
  roleHandlers.add(key);
  const path = partOf(role, 'handlers', from);
  if (path === undefined) return;
  const { inherited } = context;
  // Tags and conditions of the role choose its tasks; a handler runs when it was notified.
  compileFile({ ...context, handlers: true, inherited: { ...inherited, when: [], tags: [] } }, path, where);
}

function withRoleVariables(context: Context, role: RoleScope, request: RoleRequest): Inherited {
  const defaults = variablesPart(context, role, 'defaults', request.defaultsFrom);
  const vars = variablesPart(context, role, 'vars', request.varsFrom);
  if (request.isPublic) {
    Object.assign(context.play.roleDefaults, defaults);
    Object.assign(context.play.roleVars, request.vars, vars);
  }
  const { inherited, role: parent } = context;
  const isInside = !request.once && parent !== undefined;
  return {
    ...inherited,
    defaults: { ...inherited.defaults, ...defaults },
    roleVars: {
      ...inherited.roleVars,
      ...request.vars,
      ...vars,
      role_name: role.name,
      role_path: role.path,
      ansible_role_name: role.name,
      ...(isInside
        ? {
            ansible_parent_role_names: [parent.name, ...parents(inherited, 'ansible_parent_role_names')],
            ansible_parent_role_paths: [parent.path, ...parents(inherited, 'ansible_parent_role_paths')],
          }
        : {}),
    },
  };
}

/** What a role within another one knows of those around that one. */
function parents({ roleVars }: Inherited, name: string): readonly unknown[] {
  return [roleVars[name] ?? []].flat();
}

/** The roles of a play, by the names that Ansible has for the lists. Those that the run includes are not among them, as there. */
export function roleNamesOf({ play }: Context): Readonly<Record<string, readonly string[]>> {
  const { roleNames, dependencyNames } = play;
  return {
    ansible_play_role_names: roleNames,
    role_names: roleNames,
    ansible_dependent_role_names: dependencyNames,
    ansible_role_names: [...new Set([...roleNames, ...dependencyNames])],
  };
}

/** The variables of `defaults/` or `vars/`: a file, or a folder `main/` of files read in order. */
function variablesPart(
  context: Context,
  role: RoleScope,
  part: 'defaults' | 'vars',
  from: string,
): Readonly<Record<string, unknown>> {
  const single = partOf(role, part, from);
  const folder = join(role.path, part, from);
  const paths = single !== undefined ? [single] : isFolder(folder) ? yamlFilesIn(folder) : [];
  const read = paths.map((path) =>
    attempt(context, undefined, () => variablesOfFile(path, context.compilation.files)),
  );
  return Object.assign({}, ...read) as Readonly<Record<string, unknown>>;
}

function yamlFilesIn(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((name) => /\.(?:ya?ml|json)$/.test(name))
    .sort()
    .map((name) => join(folder, name))
    .filter(isFile);
}

function partOf(role: RoleScope, part: string, from: string): string | undefined {
  const base = join(role.path, part, from);
  return [`${base}.yml`, `${base}.yaml`, `${base}.json`, base].find(isFile);
}

function reportMissingPart(context: Context, role: RoleScope, request: RoleRequest): void {
  const folder = join(role.path, 'tasks');
  const names = isFolder(folder) ? yamlFilesIn(folder).map((path) => basename(path)) : [];
  report(context, {
    code: 'PLAYBOOK_FILE_MISSING',
    message: `role '${role.name}' has no tasks '${request.tasksFrom}'`,
    fix: meant(request.tasksFrom, names, `It has ${names.join(', ') || 'no tasks at all'}.`),
    where: request.where,
  });
}

function findRole(context: Context, request: RoleRequest): RoleScope | undefined {
  const { name } = request;
  const folders = roleFolders(context);
  const candidates = isAbsolute(name) ? [name] : folders.map((folder) => resolve(folder, name));
  const path = candidates.find(isFolder);
  if (path !== undefined && !/^\s*$/.test(name))
    return { name: isAbsolute(name) ? basename(name) : name, path };
  report(context, {
    code: 'PLAYBOOK_ROLE_MISSING',
    message: `no role '${name}'`,
    fix: meant(name, folders.flatMap(namesIn), `Looked in ${folders.slice(0, 4).join(', ')}.`),
    where: request.where,
  });
  return undefined;
}

function roleFolders(context: Context): readonly string[] {
  const { play, role, compilation } = context;
  return [
    ...new Set([
      join(play.folder, 'roles'),
      ...(role === undefined ? [] : [join(role.path, 'roles'), dirname(role.path)]),
      ...compilation.rolesPath,
      play.folder,
    ]),
  ];
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).slice(0, 1000);
  } catch {
    return [];
  }
}

function metaOf(
  context: Context,
  role: RoleScope,
): { readonly dependencies: Located | undefined; readonly allowDuplicates: boolean } {
  const path = partOf(role, 'meta', 'main');
  const node =
    path === undefined ? undefined : attempt(context, undefined, () => context.compilation.files.yaml(path));
  if (node === undefined) return { dependencies: undefined, allowDuplicates: false };
  const dependencies = entryOf(node, 'dependencies')?.node;
  if (dependencies !== undefined && dependencies.value !== null && dependencies.items === undefined) {
    report(context, {
      code: 'PLAYBOOK_ROLE',
      message: `'dependencies' must be a list of roles, not ${shown(dependencies.value)}`,
      fix: "Write '- NAME' lines.",
      where: dependencies.place,
    });
  }
  return { dependencies, allowDuplicates: entryOf(node, 'allow_duplicates')?.node.value === true };
}

function roleChain(context: Context, marker: string): string {
  const from = context.chain.indexOf(marker);
  return [...context.chain.slice(from), marker]
    .filter((part) => part.startsWith('role '))
    .map((part) => basename(part.split(' ')[1] ?? part))
    .join(' → ');
}
