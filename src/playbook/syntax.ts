import type { Place } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { TemplateError } from '../jinja/error.ts';
import { parseExpression, parseTemplate } from '../jinja/parser.ts';
import { type Context, report } from './context.ts';
import { hasTemplate } from './template-text.ts';

/** Notes a condition that is no Jinja expression. */
export function checkExpression(context: Context, expression: string, where: Place): void {
  check(context, expression, where, () => parseExpression(expression));
}

/** Notes the templates inside a value that are not Jinja. Nothing is evaluated. */
export function checkTemplates(context: Context, value: unknown, where: Place): void {
  if (typeof value === 'string') {
    if (hasTemplate(value)) check(context, value, where, () => parseTemplate(value));
    return;
  }
  if (typeof value !== 'object' || value === null || value instanceof Secret) return;
  for (const item of Object.values(value)) checkTemplates(context, item, where);
}

function check(context: Context, text: string, where: Place, parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    const line = text.trim().replace(/\s+/g, ' ');
    report(context, {
      code: 'PLAYBOOK_TEMPLATE',
      message: `${error.message}, in '${line.length > 80 ? `${line.slice(0, 77)}…` : line}'`,
      fix: 'Correct the Jinja expression; text that is meant as it is goes into quotes, or {% raw %}.',
      where,
    });
  }
}
