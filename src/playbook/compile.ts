import { dirname, resolve } from 'node:path';
import { type Fault, FleetError, FleetErrors, type Place } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { Play, TemplatedSettings } from '../engine/play.ts';
import type { Fleet, Variables } from '../inventory/fleet.ts';
import { shown } from './args.ts';
import {
  attempt,
  type Compilation,
  type Context,
  deepestInclude,
  type Inherited,
  mostTasks,
  nothingInherited,
  type PlayState,
  report,
} from './context.ts';
import { locate, PlaybookFiles } from './files.ts';
import { checkNotified, handlersOf } from './handlers.ts';
import { importKeywords, playKeywords } from './keywords.ts';
import { entryOf, type Located } from './located.ts';
import { meant } from './nearest.ts';
import { hostsOf, patternOf } from './play-hosts.ts';
import { maxFailPercentageOf, playFlag, serialOf, strategyOf } from './play-settings.ts';
import { compileRoles, roleNamesOf } from './roles.ts';
import {
  conditionsOf,
  inherit,
  readWords,
  templateNow,
  textOf,
  varsOf,
  type Words,
  wordValue,
} from './settings.ts';
import { allEntries, fromTask, taskNames } from './start-at.ts';
import { type StepLibrary, withPlaybookSteps } from './step-library.ts';
import { isSelected } from './tags.ts';
import { compileEntries, gatheringTask, implicitFlush } from './tasks.ts';
import { VarsFiles } from './vars-files.ts';
import { type PromptQuestion, promptedVars } from './vars-prompt.ts';

/** Which Ansible a playbook may take fleet for: many ask before they begin. */
const likeAnsible = { string: '2.14.18', full: '2.14.18', major: 2, minor: 14, revision: 18 };

export interface CompileOptions {
  readonly fleet: Fleet;
  /** What names of hosts, files, roles and tags are templated with. Default: the fleet's variables that belong to no host. */
  readonly scope?: Variables;
  readonly steps: StepLibrary;
  readonly extraVars?: Readonly<Record<string, unknown>>;
  readonly tags?: readonly string[];
  readonly skipTags?: readonly string[];
  /** Name (or shell pattern) of the first task to run. */
  readonly startAt?: string;
  /** A further host pattern; plays keep the hosts that are in both. */
  readonly limit?: string;
  /** What playbooks may read of the command line: `ansible_limit`, `ansible_diff_mode` … */
  readonly commandLine?: Readonly<Record<string, unknown>>;
  /** Further folders in which roles are looked for. */
  readonly rolesPath?: readonly string[];
  /** Asks a person. Absent where nobody can be asked: a question without an answer in -e is then an error. */
  readonly prompt?: (question: PromptQuestion) => Promise<string | Secret>;
  /** Opens vault text. */
  readonly decrypt?: (ciphertext: string, where: Place) => unknown;
  readonly onWarning?: (warning: Fault) => void;
  /** For `order: shuffle`; from 0 to 1. */
  readonly random?: () => number;
}

/** A play, with what only lists and logs want to know. */
export interface CompiledPlay extends Play {
  /** The hosts as written. */
  readonly pattern: string;
  readonly tags: readonly string[];
  /** Who logs in on hosts whose variables name nobody. */
  readonly remoteUser?: string;
}

/**
 * Turns a playbook into plays. All that can be known to be wrong before any connection is found, all at once.
 *
 * @throws FleetError or FleetErrors with PLAYBOOK_… codes and places
 */
export async function compilePlaybook(path: string, given: CompileOptions): Promise<readonly CompiledPlay[]> {
  const options = { ...given, onWarning: eachOnce(given.onWarning) };
  const answers: Record<string, unknown> = {};
  if (options.prompt !== undefined) {
    // Faults first: nobody should type a password for a playbook that cannot run.
    const rehearsed = new Compiler(options, {}, true);
    rehearsed.compile(path);
    for (const question of rehearsed.questions) answers[question.name] = await options.prompt(question);
    if (rehearsed.questions.length === 0) return rehearsed.plays;
  }
  const compiler = new Compiler(options, answers, false);
  compiler.compile(path);
  return compiler.plays;
}

/** Compiles without asking anybody: a `vars_prompt` that -e does not answer and that has no default is an error. */
export function compilePlaybookSync(
  path: string,
  options: Omit<CompileOptions, 'prompt'>,
): readonly CompiledPlay[] {
  const compiler = new Compiler(options, {}, false);
  compiler.compile(path);
  return compiler.plays;
}

class Compiler {
  readonly questions: PromptQuestion[] = [];
  plays: readonly CompiledPlay[] = [];
  readonly #compilation: Compilation;
  readonly #scope: Variables;

  constructor(
    private readonly options: CompileOptions,
    private readonly answers: Readonly<Record<string, unknown>>,
    private readonly willAsk: boolean,
  ) {
    const yamlOptions = { decrypt: options.decrypt };
    this.#compilation = {
      files: new PlaybookFiles(yamlOptions),
      steps: withPlaybookSteps(options.steps, yamlOptions),
      selection: { only: options.tags ?? [], skip: options.skipTags ?? [] },
      rolesPath: options.rolesPath ?? [],
      errors: [],
      warn: options.onWarning ?? (() => {}),
      budget: { left: mostTasks },
    };
    this.#scope = (options.scope ?? options.fleet.vars).with(options.extraVars ?? {});
  }

  compile(path: string): void {
    const file = resolve(path);
    const plays = this.#playbook(file, { file }, [], nothingInherited);
    FleetErrors.throwIfAny(inOrder(this.#compilation.errors));
    this.plays = this.options.startAt === undefined ? plays : startingAt(plays, this.options.startAt);
  }

  #context(file: string, chain: readonly string[], inherited: Inherited, name: string): Context {
    const play: PlayState = {
      name,
      folder: dirname(file),
      handlers: [],
      roleDefaults: {},
      roleVars: {},
      rolesDone: new Set(),
      roleNames: [],
      dependencyNames: [],
      roleHandlers: new Set(),
      notified: [],
      handlersOpen: false,
    };
    return {
      compilation: this.#compilation,
      play,
      scope: this.#scope,
      file,
      chain,
      inherited,
      handlers: false,
      rehearsal: false,
    };
  }

  #playbook(
    file: string,
    namedAt: Place,
    above: readonly string[],
    inherited: Inherited,
  ): readonly CompiledPlay[] {
    const chain = [...above, file];
    const context = this.#context(file, chain, inherited, file);
    const node = attempt(context, undefined, () =>
      this.#compilation.files.yaml(file, namedAt.line === undefined ? undefined : namedAt),
    );
    if (node === undefined) return [];
    if (node.items === undefined) {
      report(context, {
        code: 'PLAYBOOK_NOT_A_LIST',
        message:
          node.value === null
            ? 'the playbook is empty'
            : `a playbook must be a list of plays, not ${shown(node.value)}`,
        fix: "Begin each play with '- hosts: …'.",
        where: node.place,
      });
      return [];
    }
    if (node.items.length === 0) {
      report(context, {
        code: 'PLAYBOOK_NOT_A_LIST',
        message: 'the playbook is empty',
        fix: "Begin each play with '- hosts: …'.",
        where: node.place,
      });
    }
    return node.items.flatMap((item) => this.#item(context, item));
  }

  #item(context: Context, node: Located): readonly CompiledPlay[] {
    if (node.entries === undefined) {
      report(context, {
        code: 'PLAYBOOK_PLAY',
        message: `a play must be a mapping, not ${shown(node.value)}`,
        fix: "Write '- hosts: PATTERN' and its tasks below.",
        where: node.place,
      });
      return [];
    }
    const imported = (['import_playbook', 'ansible.builtin.import_playbook', 'include'] as const)
      .map((key) => entryOf(node, key))
      .find((entry) => entry !== undefined);
    if (imported !== undefined) return this.#import(context, node, imported.key, imported.node);
    if (entryOf(node, 'hosts') === undefined) {
      const close = node.entries.find(({ key }) => meant(key, ['hosts'], '') !== '');
      report(context, {
        code: 'PLAYBOOK_HOSTS_MISSING',
        message:
          close === undefined
            ? "this play has no 'hosts'"
            : `this play has '${close.key}' where 'hosts' should be`,
        fix: looksLikeTask(node)
          ? "This looks like a task: put it under 'tasks:' of a play."
          : "Add 'hosts:' with a group or a pattern.",
        where: close?.keyPlace ?? node.place,
      });
      return [];
    }
    const play = this.#play(context, node);
    return play === undefined ? [] : [play];
  }

  #import(context: Context, node: Located, key: string, target: Located): readonly CompiledPlay[] {
    const words = readWords(context, node, importKeywords, 'playbook import', (other) => other === key);
    if (typeof target.value !== 'string' || target.value.trim() === '') {
      report(context, {
        code: 'PLAYBOOK_VALUE',
        message: `'${key}' must be a file name, not ${shown(target.value)}`,
        fix: 'Name one playbook; write one import per playbook.',
        where: target.place,
      });
      return [];
    }
    const inherited = {
      ...inherit(context, words),
      when: [...context.inherited.when, ...(conditionsOf(context, words, 'when') ?? [])],
    };
    const name = templateNow({ ...context, inherited }, target.value.trim(), target.place);
    if (name === undefined) return [];
    const file = attempt(context, target.place, () =>
      locate(String(name), [dirname(context.file)], target.place),
    );
    if (file === undefined) return [];
    if (context.chain.includes(file) || context.chain.length >= deepestInclude) {
      report(context, {
        code: 'PLAYBOOK_INCLUDE_LOOP',
        message: `playbooks import each other without end: ${[...context.chain.slice(Math.max(0, context.chain.indexOf(file))), file].join(' → ')}`,
        fix: 'Break the circle.',
        where: target.place,
      });
      return [];
    }
    return this.#playbook(file, target.place, context.chain, inherited);
  }

  #play(outer: Context, node: Located): CompiledPlay | undefined {
    const words = readWords(outer, node, playKeywords, 'play');
    const folder = dirname(outer.file);
    const asked = promptedVars(outer, words, {
      extraVars: this.options.extraVars ?? {},
      answers: this.answers,
      ...(this.willAsk ? { questions: this.questions } : {}),
    });
    const own = {
      playbook_dir: folder,
      ansible_version: likeAnsible,
      ansible_run_tags: this.options.tags?.length ? this.options.tags : ['all'],
      ansible_skip_tags: this.options.skipTags ?? [],
      ...this.options.commandLine,
      ...varsOf(outer, words),
      ...outer.inherited.vars,
      ...asked,
    };
    const scoped = this.#scope.with(own).with(this.options.extraVars ?? {});
    const files = VarsFiles.of({ ...outer, scope: scoped }, words.get('vars_files')?.node);
    const vars = { ...own, ...files.fixed };
    const scope = this.#scope.with({ ...vars, ...files.guessed }).with(this.options.extraVars ?? {});
    const at: Context = { ...outer, scope };
    const pattern = patternOf(at, words);
    const hosts =
      pattern === undefined ? [] : hostsOf(at, pattern, words, { ...this.options, scope: this.#scope });
    files.check(hosts.map((host) => host.vars.with(vars)));
    const name = textOf(words, 'name') ?? pattern ?? '';
    const said = inherit(at, words);
    // The play's own variables lie under those of its roles, so they are handed over apart.
    const context: Context = {
      ...this.#context(outer.file, outer.chain, { ...said, vars: {} }, name),
      scope,
    };
    const sections = this.#sections(context, words);
    const handlers = handlersOf(context);
    checkNotified(context, handlers);
    const gathers =
      (playFlag(at, words, 'gather_facts') ?? true) &&
      isSelected(['always', ...said.tags], this.#compilation.selection);
    const gathering = gathers ? gatheringTask(context) : undefined;
    const strategy = strategyOf(context, words);
    const maxFailPercentage = maxFailPercentageOf(at, words);
    const remoteUser = templateNow(
      at,
      wordValue(words, 'remote_user') ?? '',
      words.get('remote_user')?.node.place ?? node.place,
    );
    return {
      name,
      where: node.place,
      pattern: pattern ?? '',
      tags: said.tags,
      hosts,
      tasks: gathering === undefined ? sections : [gathering, ...sections],
      handlers,
      vars: { ...vars, ...context.play.roleVars, ...roleNamesOf(context) },
      ...files.late(context.play.roleVars),
      serial: serialOf(at, words),
      anyErrorsFatal: said.settings.anyErrorsFatal === true,
      ...(maxFailPercentage === undefined ? {} : { maxFailPercentage }),
      ...(forgives(said.settings) ||
      allEntries(sections).some((entry) => entry.kind === 'task' && forgives(entry))
        ? { ignoresUnreachable: true as const }
        : {}),
      ...(Object.keys(context.play.roleDefaults).length === 0 ? {} : { defaults: context.play.roleDefaults }),
      strategy,
      ...(remoteUser === undefined || remoteUser === null || remoteUser === ''
        ? {}
        : { remoteUser: String(remoteUser) }),
      ...(playFlag(at, words, 'force_handlers') === true ? { forceHandlers: true as const } : {}),
    };
  }

  #sections(context: Context, words: Words): Play['tasks'] {
    const pre = compileEntries(context, words.get('pre_tasks')?.node);
    const roles = compileRoles(context, words.get('roles')?.node);
    if (words.has('tasks') && words.has('steps')) {
      report(context, {
        code: 'PLAYBOOK_VALUE',
        message: "a play has 'tasks' or 'steps', not both: they mean the same",
        fix: 'Put all under one of them.',
        where: words.get('steps')?.keyPlace ?? { file: context.file },
      });
    }
    const main = compileEntries(context, (words.get('tasks') ?? words.get('steps'))?.node);
    const post = compileEntries(context, words.get('post_tasks')?.node);
    compileEntries({ ...context, handlers: true }, words.get('handlers')?.node);
    const middle = [...roles, ...main];
    return [
      ...pre,
      ...(pre.length > 0 && middle.length + post.length > 0 ? [implicitFlush(context)] : []),
      ...middle,
      ...(middle.length > 0 && post.length > 0 ? [implicitFlush(context)] : []),
      ...post,
    ];
  }
}

function startingAt(plays: readonly CompiledPlay[], wanted: string): readonly CompiledPlay[] {
  for (const [index, play] of plays.entries()) {
    const { entries, found } = fromTask(play.tasks, wanted);
    if (found) return [{ ...play, tasks: entries }, ...plays.slice(index + 1)];
  }
  const names = taskNames(plays);
  throw new FleetError({
    code: 'PLAYBOOK_START_AT_UNKNOWN',
    message: `no task is called '${wanted}'`,
    fix: meant(wanted, names, '--list-steps shows all names.'),
    blame: 'usage',
  });
}

function looksLikeTask(node: Located): boolean {
  return !(node.entries ?? []).some(({ key }) =>
    ['tasks', 'steps', 'roles', 'gather_facts', 'pre_tasks'].includes(key),
  );
}

/** The playbook may be compiled twice; a person is warned once. */
function eachOnce(warn: CompileOptions['onWarning']): (warning: Fault) => void {
  const told = new Set<string>();
  return (warning) => {
    const id = JSON.stringify([warning.code, warning.message, warning.where]);
    if (told.has(id)) return;
    told.add(id);
    warn?.(warning);
  };
}

/** Each fault once, as a person reads the files: what several includes of one file found alike is one fault. */
function inOrder(errors: readonly FleetError[]): readonly FleetError[] {
  const seen = new Set<string>();
  return errors.filter((error) => {
    const id = JSON.stringify([error.code, error.message, error.where]);
    return !seen.has(id) && seen.add(id) !== undefined;
  });
}

/** Whether a host that cannot be reached may go on, perhaps. */
function forgives({
  ignoreUnreachable,
  templated,
}: {
  readonly ignoreUnreachable?: boolean | string;
  readonly templated?: TemplatedSettings;
}): boolean {
  return (
    templated?.ignoreUnreachable !== undefined ||
    (ignoreUnreachable !== undefined && ignoreUnreachable !== false)
  );
}
