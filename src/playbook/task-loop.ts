import type { Loop } from '../engine/play.ts';
import { truthOf } from './args.ts';
import { attempt, type Context, report, searchPathOf } from './context.ts';
import { subfolderOf } from './finish-task.ts';
import { loopForms } from './keywords.ts';
import { entryOf, type Located } from './located.ts';
import { expansionOf } from './loops.ts';
import { meant } from './nearest.ts';
import type { Words } from './settings.ts';
import { type FoundStep, isLoopForm } from './step-of.ts';
import { checkTemplates } from './syntax.ts';
import { hasTemplate } from './template-text.ts';

/** The loop of a task, written as `loop:` or in a `with_…` form. */
export function loopOf(
  context: Context,
  node: Located,
  words: Words,
  found: FoundStep | undefined,
): Loop | undefined {
  const forms = (node.entries ?? []).filter(({ key }) => isLoopForm(key));
  const plain = words.get('loop');
  const [form, another] = forms;
  if (another !== undefined || (form !== undefined && plain !== undefined)) {
    report(context, {
      code: 'PLAYBOOK_LOOP',
      message: 'a task can have only one loop',
      fix: 'Keep one; nest loops with include_tasks.',
      where: (another ?? form)?.keyPlace ?? node.place,
    });
    return undefined;
  }
  const over = plain ?? form;
  if (over !== undefined) checkTemplates(context, over.node.value, over.node.place);
  const control = words.get('loop_control')?.node;
  if (form === undefined && plain === undefined) {
    return undefined;
  }
  const variable = controlText(control, 'loop_var') ?? 'item';
  const indexVariable = controlText(control, 'index_var');
  const label = controlText(control, 'label');
  const pause = controlText(control, 'pause');
  const isExtended = truthOf(controlText(control, 'extended') ?? false) === true;
  const hasAll = truthOf(controlText(control, 'extended_allitems') ?? true) !== false;
  const common = {
    variable,
    ...(indexVariable === undefined ? {} : { indexVariable }),
    ...(label === undefined ? {} : { label }),
    ...(isExtended ? { extended: true as const } : {}),
    ...(isExtended && !hasAll ? { omitsAllItems: true as const } : {}),
    pauseMs: Number(pause ?? 0) * 1000,
  };
  if (plain !== undefined) return { over: plain.node.value, ...common };
  if (form === undefined) return undefined;
  const expand = expansionOf(
    form.key,
    searchPathOf(context, found?.step === undefined ? 'tasks' : subfolderOf(found.step)),
    form.node.place,
  );
  if (expand === undefined) {
    report(context, {
      code: 'PLAYBOOK_LOOP',
      message: `no loop is called '${form.key}'`,
      fix:
        form.key === 'with_lines' || form.key === 'with_pipe'
          ? 'Use a command with register, and loop over its stdout_lines.'
          : meant(
              form.key,
              Object.keys(loopForms),
              "Write 'loop:' with a template, e.g. with query() or a filter.",
            ),
      where: form.keyPlace,
    });
    return undefined;
  }
  const loop: Loop = { over: form.node.value, ...common, expand };
  // What holds no template can be tried at once, unless it depends on files that a step may yet make.
  if (!hasTemplate(form.node.value) && !['with_fileglob', 'with_first_found'].includes(form.key)) {
    attempt(context, form.node.place, () => expand(form.node.value));
  }
  return loop;
}

function controlText(control: Located | undefined, key: string): string | undefined {
  const value = control === undefined ? undefined : entryOf(control, key)?.node.value;
  return value === undefined || value === null ? undefined : String(value);
}
