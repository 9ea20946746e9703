import type { Place } from '../core/errors.ts';
import type { Block, Entry, Task } from '../engine/play.ts';
import { shown, validateArgs } from './args.ts';
import { attempt, type Context, type Inherited, mostTasks, report, searchPathOf } from './context.ts';
import { locate } from './files.ts';
import { finishTask } from './finish-task.ts';
import { compileDirective } from './includes.ts';
import { blockKeywords, taskKeywords } from './keywords.ts';
import { entryOf, type Located } from './located.ts';
import { metaActions, metaStep } from './meta.ts';
import { meant } from './nearest.ts';
import { inherit, readWords, tagsOf, textOf, type Words } from './settings.ts';
import { findStep } from './step-library.ts';
import { type FoundStep, stepOf } from './step-of.ts';
import { checkTemplates } from './syntax.ts';
import { loopOf } from './task-loop.ts';
import { hasTemplate } from './template-text.ts';

/** Compiles a list of tasks. Faults are noted in the context; what has none is in the answer. */
export function compileEntries(context: Context, node: Located | undefined): readonly Entry[] {
  if (node === undefined || node.value === null) return [];
  if (node.items === undefined) {
    report(context, {
      code: 'PLAYBOOK_TASKS_NOT_A_LIST',
      message: `tasks must be a list, not ${shown(node.value)}`,
      fix:
        node.entries === undefined
          ? "Begin each task with '- '."
          : "Put '- ' before the first key of each task.",
      where: node.place,
    });
    return [];
  }
  return node.items.flatMap((item) => compileEntry(context, item));
}

/** Compiles a file of tasks, found already. */
export function compileFile(context: Context, path: string, namedAt: Place | undefined): readonly Entry[] {
  const node = attempt(context, undefined, () => context.compilation.files.yaml(path, namedAt));
  if (node === undefined) return [];
  if (node.items?.some((item) => entryOf(item, 'hosts') !== undefined) === true) {
    report(context, {
      code: 'PLAYBOOK_NOT_TASKS',
      message: `${path} is a playbook, not a file of tasks`,
      fix: "Name it with 'import_playbook' beside the plays.",
      where: namedAt ?? node.place,
    });
    return [];
  }
  return compileEntries({ ...context, file: path, chain: [...context.chain, path] }, node);
}

function compileEntry(context: Context, node: Located): readonly Entry[] {
  const { budget } = context.compilation;
  budget.left -= 1;
  if (budget.left <= 0) {
    if (budget.left === 0) {
      report(context, {
        code: 'PLAYBOOK_TOO_LARGE',
        message: `the playbook has more than ${mostTasks} tasks once its includes are written out`,
        fix: 'Look for files that include each other many times.',
        where: node.place,
      });
    }
    return [];
  }
  if (node.entries === undefined) {
    report(context, {
      code: 'PLAYBOOK_TASK',
      message: `a task must be a mapping, not ${shown(node.value)}`,
      fix:
        typeof node.value === 'string'
          ? `Write '- ${node.value.split(/[\s:]/, 1)[0] ?? 'step'}: …'.`
          : "Remove the '-' or write a step behind it.",
      where: node.place,
    });
    return [];
  }
  if (['block', 'rescue', 'always'].some((key) => entryOf(node, key) !== undefined))
    return compileBlock(context, node);
  return compileTask(context, node);
}

function compileBlock(context: Context, node: Located): readonly Entry[] {
  const words = readWords(context, node, blockKeywords, 'block');
  if (entryOf(node, 'block') === undefined) {
    report(context, {
      code: 'PLAYBOOK_BLOCK',
      message: "'rescue' and 'always' stand beside 'block', and there is none",
      fix: "Put the tasks that they belong to under 'block:'.",
      where: node.place,
    });
    return [];
  }
  if (context.handlers) {
    report(context, {
      code: 'PLAYBOOK_BLOCK',
      message: 'a block cannot be a handler',
      fix: "Write its tasks as handlers that 'listen' to one name.",
      where: node.place,
    });
    return [];
  }
  const inner: Context = { ...context, inherited: inherit(context, words) };
  const tasks = compileEntries(inner, words.get('block')?.node);
  const rescue = compileEntries(inner, words.get('rescue')?.node);
  const always = compileEntries(inner, words.get('always')?.node);
  if (tasks.length + rescue.length + always.length === 0) return [];
  const name = textOf(words, 'name');
  const block: Block = { kind: 'block', ...(name === undefined ? {} : { name }), tasks, rescue, always };
  return [block];
}

function compileTask(context: Context, node: Located): readonly Entry[] {
  const found = stepOf(withDefaults(context, node), node);
  const words = readWords(context, node, taskKeywords, 'task', () => true);
  const inherited = inherit(context, words);
  const loop = loopOf(context, node, words, found);
  if (found === undefined) return [];
  if (found.directive === 'meta') return compileMeta(context, node, words, inherited, found);
  if (found.directive !== undefined) {
    return compileDirective(context, words, inherited, found, loop, tagsOf(context, words));
  }
  const step = found.step;
  if (step === undefined) return [];
  for (const error of validateArgs(step, found.args, found.placeOf)) context.compilation.errors.push(error);
  checkArgTemplates(context, found);
  if (step.name === 'include_vars') rehearseVars(context, found);
  return finishTask(context, words, inherited, found, step, loop);
}

function checkArgTemplates(context: Context, found: FoundStep): void {
  const { args, placeOf, where } = found;
  const named =
    typeof args === 'object' && args !== null ? Object.entries(args) : [[undefined, args] as const];
  for (const [name, value] of named) checkTemplates(context, value, placeOf(name) ?? where);
}

/** `module_defaults` of a task itself count for its step. */
function withDefaults(context: Context, node: Located): Context {
  const own = entryOf(node, 'module_defaults');
  if (own === undefined) return context;
  const words: Words = new Map([['module_defaults', own]]);
  return { ...context, inherited: inherit(context, words) };
}

function compileMeta(
  context: Context,
  node: Located,
  words: Words,
  inherited: Inherited,
  found: FoundStep,
): readonly Entry[] {
  const asked = String((found.args as Record<string, unknown>)._raw_params ?? '').trim();
  const action = metaActions.find((name) => name === asked);
  if (asked === 'refresh_inventory') {
    report(context, {
      code: 'PLAYBOOK_META',
      message: "'meta: refresh_inventory' is not here: an inventory is read once, before anything is done",
      fix: 'Put what comes after it into a playbook of its own, and run fleet again for that.',
      where: entryOf(node, 'meta')?.node.place ?? found.where,
    });
    return [];
  }
  if (action === undefined) {
    report(context, {
      code: 'PLAYBOOK_META',
      message: asked === '' ? "'meta' says nothing" : `'meta' knows no '${asked}'`,
      fix: meant(asked, metaActions, `Write one of ${metaActions.join(', ')}.`),
      where: entryOf(node, 'meta')?.node.place ?? found.where,
    });
    return [];
  }
  if (action === 'clear_host_errors') {
    context.compilation.warn({
      code: 'PLAYBOOK_KEY_WITHOUT_EFFECT',
      message: "'meta: clear_host_errors' does nothing here: a host that has failed stays out of the run",
      fix: "Use 'ignore_errors', 'ignore_unreachable' or a block with 'rescue' where a host may fail.",
      where: entryOf(node, 'meta')?.node.place ?? found.where,
      blame: 'usage',
    });
  }
  return finishTask(
    context,
    words,
    inherited,
    { ...found, name: action, args: { action } },
    metaStep,
    undefined,
    action,
  );
}

/** A `meta` that the playbook did not write: handlers run between the sections of a play. */
export function implicitFlush(context: Context): Task {
  const [task] = finishTask(
    {
      ...context,
      handlers: false,
      compilation: { ...context.compilation, selection: { only: [], skip: [] } },
    },
    new Map(),
    { ...context.inherited, tags: ['always'], when: [], settings: {} },
    {
      name: 'flush_handlers',
      args: { action: 'flush_handlers' },
      where: { file: context.file },
      placeOf: () => undefined,
      local: false,
    },
    metaStep,
    undefined,
    'flush_handlers',
  ) as readonly Task[];
  const { where: _, ...rest } = task as Task;
  return rest;
}

/** `gather_facts: true`: the step `setup`, before everything else, whatever tags are chosen (but not against `--skip-tags`). */
export function gatheringTask(context: Context): Task | undefined {
  const step = findStep(context.compilation.steps, 'setup');
  if (step === undefined) return undefined;
  const [task] = finishTask(
    { ...context, handlers: false },
    new Map(),
    { ...context.inherited, tags: ['always', ...context.inherited.tags], when: [] },
    { name: 'Gather facts', args: {}, where: { file: context.file }, placeOf: () => undefined, local: false },
    step,
    undefined,
  ) as readonly Task[];
  if (task === undefined) return undefined;
  const { where: _, ...rest } = task;
  return rest;
}

function rehearseVars(context: Context, found: FoundStep): void {
  const { file, dir } = found.args as { file?: unknown; dir?: unknown };
  if (typeof file !== 'string' || dir !== undefined || hasTemplate(file)) return;
  attempt(context, found.placeOf('file'), () => {
    const path = locate(file, searchPathOf(context, 'vars'), found.placeOf('file'));
    context.compilation.files.yaml(path);
  });
}
