import type { Play } from '../engine/play.ts';
import { shown, truthOf } from './args.ts';
import { type Context, report } from './context.ts';
import { meant } from './nearest.ts';
import { flagOf, templateNow, textOf, type Words } from './settings.ts';
import { hasTemplate } from './template-text.ts';

/** `free` for what lets hosts run ahead; other plugins of Ansible differ from `linear` in nothing that counts here. */
export function strategyOf(context: Context, words: Words): NonNullable<Play['strategy']> {
  const strategy = textOf(words, 'strategy') ?? 'linear';
  if (
    !hasTemplate(strategy) &&
    !/^(?:ansible\.builtin\.)?(?:linear|free|rolling|host_pinned|mitogen_\w+)$/.test(strategy)
  ) {
    report(context, {
      code: 'PLAYBOOK_VALUE',
      message: `no strategy is called '${strategy}'`,
      fix: meant(strategy, ['linear', 'free', 'rolling'], "Write 'linear', 'free' or 'rolling'."),
      where: words.get('strategy')?.node.place ?? { file: context.file },
    });
  }
  if (strategy === 'rolling') return 'rolling';
  return /free|host_pinned/.test(strategy) ? 'free' : 'linear';
}

/** A truth value of the play itself, its template decided now. */
export function playFlag(context: Context, words: Words, key: string): boolean | undefined {
  const flag = flagOf(words, key);
  if (flag === undefined || typeof flag === 'boolean') return flag;
  const place = words.get(key)?.node.place ?? { file: context.file };
  return truthOf(templateNow(context, flag, place));
}

/** How many hosts go through the play at a time, batch by batch: numbers and percentages. */
export function serialOf(context: Context, words: Words): readonly (number | string)[] {
  const entry = words.get('serial');
  if (entry === undefined) return [];
  const value = templateNow(context, entry.node.value, entry.node.place);
  if (value === undefined) return [];
  return [value].flat(2).flatMap((size: unknown): (number | string)[] => {
    const text = String(size).trim();
    if (/^\d+$/.test(text)) return [Number(text)];
    if (/^\d+(?:\.\d+)?%$/.test(text)) return [text];
    report(context, {
      code: 'PLAYBOOK_SERIAL',
      message: `'serial' is a number of hosts or a percentage, not ${shown(size)}`,
      fix: 'Write e.g. 1, "25%" or [1, "25%"].',
      where: entry.node.place,
    });
    return [];
  });
}

/** The share of a batch, in percent, that may fail before the run ends. */
export function maxFailPercentageOf(context: Context, words: Words): number | undefined {
  const entry = words.get('max_fail_percentage');
  if (entry === undefined) return undefined;
  const value = templateNow(context, entry.node.value, entry.node.place);
  if (value === undefined) return undefined;
  const number = Number(String(value).trim().replace(/%$/, ''));
  if (number >= 0 && number <= 100) return number;
  report(context, {
    code: 'PLAYBOOK_VALUE',
    message: `'max_fail_percentage' is a number from 0 to 100, not ${shown(value)}`,
    fix: 'Write e.g. 30.',
    where: entry.node.place,
  });
  return undefined;
}
