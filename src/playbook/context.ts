import { dirname } from 'node:path';
import { type Fault, FleetError, type Place } from '../core/errors.ts';
import type { Condition, Task } from '../engine/play.ts';
import type { Variables } from '../inventory/fleet.ts';
import type { PlaybookFiles } from './files.ts';
import type { StepLibrary } from './step-library.ts';
import type { TagSelection } from './tags.ts';

/** `undefined` for not said, or a template that each host decides. */
export type Flag = boolean | string;

/** What plays, blocks and tasks hand down, the nearest winning. */
export interface Settings {
  readonly become?: Flag;
  readonly becomeUser?: string;
  readonly becomeMethod?: string;
  readonly ignoreErrors?: Flag;
  readonly noLog?: Flag;
  readonly runOnce?: Flag;
  readonly checkMode?: Flag;
  readonly diff?: Flag;
  readonly anyErrorsFatal?: Flag;
  readonly delegateTo?: string;
  readonly delegateFacts?: Flag;
  readonly ignoreUnreachable?: Flag;
  readonly throttle?: number | string;
  readonly timeoutSeconds?: number | string;
  readonly notify?: readonly string[];
}

/** All that a task has from what it stands in. */
export interface Inherited {
  readonly settings: Settings;
  readonly tags: readonly string[];
  readonly when: readonly Condition[];
  /** Of plays' imports, blocks, includes and tasks. */
  readonly vars: Readonly<Record<string, unknown>>;
  /** Parameters of roles, and variables of includes: above what the run registers or sets as a fact. */
  readonly params: Readonly<Record<string, unknown>>;
  /** Of the roles around it, the innermost winning; below `vars`. */
  readonly roleVars: Readonly<Record<string, unknown>>;
  readonly defaults: Readonly<Record<string, unknown>>;
  /** Mappings and templates of such, later ones over earlier ones. */
  readonly environment: readonly (string | Readonly<Record<string, unknown>>)[];
  readonly moduleDefaults: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export const nothingInherited: Inherited = {
  settings: {},
  tags: [],
  when: [],
  vars: {},
  params: {},
  roleVars: {},
  defaults: {},
  environment: [],
  moduleDefaults: {},
};

/** The variables that lie over the play's. */
export function allVars(inherited: Inherited): Readonly<Record<string, unknown>> {
  return { ...inherited.roleVars, ...inherited.vars };
}

/** The role that a task belongs to; a new one each time that a role takes part. */
export interface RoleScope {
  readonly name: string;
  readonly path: string;
}

/** A named handler before duplicates are sorted out. */
export interface HandlerDraft {
  readonly task: Task;
  /** Its own name without the role's. */
  readonly bareName: string;
}

/** What one play gathers while its tasks are compiled. */
export interface PlayState {
  readonly name: string;
  /** The playbook's folder, where Ansible looks last. */
  readonly folder: string;
  readonly handlers: HandlerDraft[];
  readonly roleDefaults: Record<string, unknown>;
  readonly roleVars: Record<string, unknown>;
  /** Roles that ran already with the same parameters. */
  readonly rolesDone: Set<string>;
  /** Names of the roles that the playbook itself brings to the play, in order. */
  readonly roleNames: string[];
  /** Names of those that others depend on. */
  readonly dependencyNames: string[];
  /** Roles whose handlers are known already. */
  readonly roleHandlers: Set<string>;
  readonly notified: { readonly name: string; readonly where: Place | undefined }[];
  /** Handlers may yet come that only the run knows. */
  handlersOpen: boolean;
}

/** What a whole compilation shares. */
export interface Compilation {
  readonly files: PlaybookFiles;
  readonly steps: StepLibrary;
  readonly selection: TagSelection;
  readonly rolesPath: readonly string[];
  readonly errors: FleetError[];
  readonly warn: (warning: Fault) => void;
  /** Counts every task, so that no nesting of files and aliases can fill the memory. */
  readonly budget: { left: number };
}

/** Where in the playbook the compiler stands. */
export interface Context {
  readonly compilation: Compilation;
  readonly play: PlayState;
  /** What can be templated before any host is known: extra vars, play vars, groups. */
  readonly scope: Variables;
  readonly file: string;
  /** The files that led here, the playbook first. */
  readonly chain: readonly string[];
  readonly role?: RoleScope;
  readonly inherited: Inherited;
  /** Compiling handlers: tags do not choose them, names address them. */
  readonly handlers: boolean;
  /** Compiled only so that faults are found before the run: what recurses stops quietly. */
  readonly rehearsal: boolean;
}

/** Deeper includes are a mistake, or a loop that only the run can see. */
export const deepestInclude = 40;
export const mostTasks = 50_000;

/** Notes a fault of the playbook and goes on. */
export function report(context: Context, fault: Omit<Fault, 'blame'>): void {
  context.compilation.errors.push(new FleetError({ ...fault, blame: 'usage' }));
}

/** Runs what may throw a fault of the playbook; notes it, with a place where it has none, and goes on. */
export function attempt<Value>(
  context: Context,
  where: Place | undefined,
  act: () => Value,
): Value | undefined {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof FleetError)) throw error;
    context.compilation.errors.push(where === undefined ? error : error.within({ where }));
    return undefined;
  }
}

/** The folders in which a step's local files lie, nearest first. */
export function searchPathOf(context: Context, subfolder: string): readonly string[] {
  const bases = [
    ...(context.role === undefined ? [] : [context.role.path]),
    dirname(context.file),
    context.play.folder,
  ];
  return [...new Set(bases.flatMap((base) => [`${base}/${subfolder}`, base]))];
}

/** The folders in which a file of tasks is looked for, nearest first. */
export function taskFolders(context: Context): readonly string[] {
  return [
    dirname(context.file),
    ...(context.role === undefined ? [] : [`${context.role.path}/tasks`, context.role.path]),
    context.play.folder,
    `${context.play.folder}/tasks`,
  ];
}
