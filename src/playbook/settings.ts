import type { Place } from '../core/errors.ts';
import type { Condition } from '../engine/play.ts';
import { truthOf } from './args.ts';
import { allVars, type Context, type Flag, type Inherited, report, type Settings } from './context.ts';
import { keywordFault } from './keyword-check.ts';
import type { Keywords } from './keywords.ts';
import { entryOf, type Located, type LocatedEntry } from './located.ts';
import { meant } from './nearest.ts';
import { checkExpression, checkTemplates } from './syntax.ts';
import { tagList } from './tags.ts';
import { hasTemplate, soleExpression } from './template-text.ts';

/** The keywords of a mapping whose values are well formed; faults are noted, so that what follows need not look again. */
export type Words = ReadonlyMap<string, LocatedEntry>;

/** Checks the entries of a mapping against a table of keywords. `isOther` says which further keys are no concern of it. */
export function readWords(
  context: Context,
  node: Located,
  keywords: Keywords,
  kind: string,
  isOther: (key: string) => boolean = () => false,
): Words {
  const words = new Map<string, LocatedEntry>();
  for (const entry of node.entries ?? []) {
    const keyword = Object.hasOwn(keywords, entry.key) ? keywords[entry.key] : undefined;
    if (keyword === undefined) {
      if (isOther(entry.key)) continue;
      report(context, {
        code: 'PLAYBOOK_KEY_UNKNOWN',
        message: `a ${kind} has no key '${entry.key}'`,
        fix: meant(entry.key, Object.keys(keywords), `docs/compatibility.md says what a ${kind} can have.`),
        where: entry.keyPlace,
      });
      continue;
    }
    const fault = keywordFault(entry.key, keyword, entry.node);
    if (fault !== undefined) {
      report(context, fault);
      continue;
    }
    if (keyword.ignored !== undefined) {
      context.compilation.warn({
        code: 'PLAYBOOK_KEY_WITHOUT_EFFECT',
        message: `'${entry.key}' has no effect in fleet`,
        fix: keyword.ignored,
        where: entry.keyPlace,
        blame: 'usage',
      });
      continue;
    }
    words.set(entry.key, entry);
  }
  return words;
}

/** A value, or `undefined` where the word is not there (or not well formed). */
export function wordValue(words: Words, key: string): unknown {
  return words.get(key)?.node.value;
}

/** A word's text; numbers and truth values become text. */
export function textOf(words: Words, key: string): string | undefined {
  const value = wordValue(words, key);
  return value === undefined || value === null ? undefined : String(value);
}

/** A truth value, or the template of one. */
export function flagOf(words: Words, key: string): Flag | undefined {
  const value = wordValue(words, key);
  if (value === undefined || value === null) return undefined;
  return truthOf(value) ?? String(value);
}

/** A number, or the template of one. */
export function numberOf(words: Words, key: string): number | string | undefined {
  const value = wordValue(words, key);
  if (value === undefined || value === null) return undefined;
  return hasTemplate(value) ? String(value) : Number(value);
}

/** A list of texts from one text or a list of them. */
export function namesOf(words: Words, key: string): readonly string[] {
  const value = wordValue(words, key);
  if (value === undefined || value === null) return [];
  return [value].flat().map(String);
}

/** The conditions of `when` and its kin; one pair of braces around the whole is taken off. */
export function conditionsOf(context: Context, words: Words, key: string): readonly Condition[] | undefined {
  const entry = words.get(key);
  if (entry === undefined) return undefined;
  const nodes = entry.node.items ?? [entry.node];
  return nodes.flatMap((node): Condition[] => {
    const expression = conditionText(context, key, node);
    return expression === undefined ? [] : [{ expression, where: node.place }];
  });
}

function conditionText(context: Context, key: string, node: Located): string | boolean | undefined {
  const { value } = node;
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number') return value !== 0;
  const text = String(value);
  const inside = soleExpression(text);
  if (inside !== undefined) {
    checkExpression(context, inside, node.place);
    return inside;
  }
  if (/\{\{|\{%/.test(text.replace(/'[^']*'|"[^"]*"/g, ''))) {
    report(context, {
      code: 'PLAYBOOK_CONDITION_BRACES',
      message: `'${key}' is an expression already and takes no {{ }}`,
      fix: "Write the names bare: name == 'value'.",
      where: node.place,
    });
    return undefined;
  }
  if (text.trim() === '') return undefined;
  checkExpression(context, text, node.place);
  return text;
}

/** Variables from a mapping, or from a list of mappings as old playbooks have them. Names that no template could use are faults. */
export function varsOf(context: Context, words: Words, key = 'vars'): Readonly<Record<string, unknown>> {
  const entry = words.get(key);
  if (entry === undefined) return {};
  checkTemplates(context, entry.node.value, entry.node.place);
  return variablesIn(context, entry.node);
}

/** The variables that a YAML mapping (or list of mappings) says. */
export function variablesIn(context: Context, node: Located): Readonly<Record<string, unknown>> {
  const pairs = (node.items ?? [node]).flatMap((part) => part.entries ?? []);
  return Object.fromEntries(
    pairs.flatMap(({ key, keyPlace, node: value }) => {
      if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(key)) return [[key, value.value] as const];
      report(context, {
        code: 'PLAYBOOK_VARIABLE_NAME',
        message: `'${key}' cannot be the name of a variable`,
        fix: 'Use letters, digits and underscores, not beginning with a digit.',
        where: keyPlace,
      });
      return [];
    }),
  );
}

/** Tags of a play, block, task or role; templates in them are decided before any host is known. */
export function tagsOf(context: Context, words: Words): readonly string[] {
  const entry = words.get('tags');
  if (entry === undefined) return [];
  const { value, place } = entry.node;
  if (!hasTemplate(value)) return tagList(value);
  return tagList(templateNow(context, value, place) ?? []);
}

/** Templates what must be known before any host is: names of files, hosts, tags. Notes a fault and gives `undefined` where it cannot be. */
export function templateNow(context: Context, value: unknown, where: Place): unknown {
  if (!hasTemplate(value)) return value;
  try {
    return context.scope.with(allVars(context.inherited)).template(value, where);
  } catch (error) {
    report(context, {
      code: 'PLAYBOOK_NOT_KNOWN_YET',
      message: `this must be known before the run begins: ${error instanceof Error ? error.message : String(error)}`,
      fix: 'Use variables of the play or -e; what a host decides needs include_tasks, include_role or include_vars.',
      where,
    });
    return undefined;
  }
}

/** What a play, block or task says, laid over what it inherits. */
export function inherit(context: Context, words: Words): Inherited {
  const above = context.inherited;
  return {
    settings: settingsOf(words, above.settings),
    tags: [...new Set([...above.tags, ...tagsOf(context, words)])],
    when: [...above.when, ...(conditionsOf(context, words, 'when') ?? [])],
    vars: { ...above.vars, ...varsOf(context, words) },
    params: above.params,
    roleVars: above.roleVars,
    defaults: above.defaults,
    environment: [...above.environment, ...environmentOf(words.get('environment')?.node)],
    moduleDefaults: mergeDefaults(above.moduleDefaults, words.get('module_defaults')?.node),
  };
}

function settingsOf(words: Words, above: Settings): Settings {
  const own: Record<keyof Settings, unknown> = {
    become: flagOf(words, 'become'),
    becomeUser: textOf(words, 'become_user'),
    becomeMethod: textOf(words, 'become_method'),
    ignoreErrors: flagOf(words, 'ignore_errors'),
    noLog: flagOf(words, 'no_log'),
    runOnce: flagOf(words, 'run_once'),
    checkMode: flagOf(words, 'check_mode'),
    diff: flagOf(words, 'diff'),
    anyErrorsFatal: flagOf(words, 'any_errors_fatal'),
    delegateTo: textOf(words, 'delegate_to') ?? connectionOf(words),
    delegateFacts: flagOf(words, 'delegate_facts'),
    ignoreUnreachable: flagOf(words, 'ignore_unreachable'),
    throttle: numberOf(words, 'throttle'),
    timeoutSeconds: numberOf(words, 'timeout') ?? numberOf(words, 'async'),
    notify: words.has('notify') ? namesOf(words, 'notify') : undefined,
  };
  const said = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined));
  return { ...above, ...said };
}

/** `connection: local` is a step on the control node with this host's variables. */
function connectionOf(words: Words): string | undefined {
  return textOf(words, 'connection') === 'local' ? 'localhost' : undefined;
}

function environmentOf(node: Located | undefined): Inherited['environment'] {
  const parts = node === undefined ? [] : (node.items ?? [node]);
  return parts.flatMap(({ value, entries }): Inherited['environment'] => {
    if (typeof value === 'string') return [value];
    return entries === undefined
      ? []
      : [Object.fromEntries(entries.map(({ key, node: inner }) => [key, inner.value]))];
  });
}

function mergeDefaults(
  above: Inherited['moduleDefaults'],
  node: Located | undefined,
): Inherited['moduleDefaults'] {
  if (node === undefined) return above;
  const merged = { ...above };
  for (const part of node.items ?? [node]) {
    for (const { key, node: value } of part.entries ?? []) {
      const own = (value.entries === undefined ? {} : value.value) as Readonly<Record<string, unknown>>;
      const name = key.replace(/^ansible\.(?:builtin|legacy)\./, '');
      merged[name] = { ...(Object.hasOwn(merged, name) ? merged[name] : {}), ...own };
    }
  }
  return merged;
}

/** The text of one entry of a mapping that is no keyword table's. */
export function textIn(node: Located, key: string): string | undefined {
  const value = entryOf(node, key)?.node.value;
  return value === undefined || value === null ? undefined : String(value);
}
