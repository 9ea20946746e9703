import { truthOf } from './args.ts';
import { type Context, report } from './context.ts';
import { textIn, type Words } from './settings.ts';

/** A question that `vars_prompt` asks. */
export interface PromptQuestion {
  readonly name: string;
  readonly text: string;
  /** What is typed is not shown. */
  readonly isPrivate: boolean;
  readonly byDefault?: string;
  /** Asked twice. */
  readonly confirm: boolean;
}

/** Who answers questions. */
export interface Answering {
  /** What -e says is not asked for. */
  readonly extraVars: Readonly<Record<string, unknown>>;
  readonly answers: Readonly<Record<string, unknown>>;
  /** Takes what is to be asked, each name once. Absent where nobody will be asked. */
  readonly questions?: PromptQuestion[];
}

/** The variables of a play's `vars_prompt`. What nobody can answer is reported. */
export function promptedVars(
  context: Context,
  words: Words,
  { extraVars, answers: given, questions }: Answering,
): Readonly<Record<string, unknown>> {
  const answers: [string, unknown][] = [];
  for (const node of words.get('vars_prompt')?.node.items ?? []) {
    const name = textIn(node, 'name');
    if (name === undefined) {
      report(context, {
        code: 'PLAYBOOK_PROMPT',
        message: "a question of 'vars_prompt' needs the 'name' of its variable",
        fix: "Write '- name: VARIABLE' and 'prompt: …' below it.",
        where: node.place,
      });
      continue;
    }
    if (Object.hasOwn(extraVars, name)) continue;
    const byDefault = textIn(node, 'default');
    if (Object.hasOwn(given, name)) {
      answers.push([name, given[name]]);
    } else if (questions !== undefined) {
      if (!questions.some((question) => question.name === name)) {
        questions.push({
          name,
          text: textIn(node, 'prompt') ?? name,
          isPrivate: truthOf(textIn(node, 'private') ?? 'yes') ?? true,
          confirm: truthOf(textIn(node, 'confirm') ?? 'no') ?? false,
          ...(byDefault === undefined ? {} : { byDefault }),
        });
      }
      answers.push([name, byDefault ?? '']);
    } else if (byDefault !== undefined) answers.push([name, byDefault]);
    else {
      report(context, {
        code: 'PLAYBOOK_PROMPT',
        message: `'${name}' must be asked for, and there is nobody to ask`,
        fix: `Give it with -e ${name}=…, or run on a terminal.`,
        where: node.place,
      });
    }
  }
  return Object.fromEntries(answers);
}
