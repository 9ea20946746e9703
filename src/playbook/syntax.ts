import type { Place } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { TemplateError } from '../jinja/error.ts';
import { type UnknownName, unknownNames } from '../jinja/unknown-names.ts';
import { type Context, report } from './context.ts';
import { meant } from './nearest.ts';
import { hasTemplate } from './template-text.ts';

/** Notes a condition that is no Jinja expression, or names a filter or test that does not exist. */
export function checkExpression(context: Context, expression: string, where: Place): void {
  check(context, expression, where, () => unknownNames(expression, 'condition'));
}

/** Notes the templates inside a value that are not Jinja, or name what does not exist. Nothing is evaluated. */
export function checkTemplates(context: Context, value: unknown, where: Place): void {
  if (typeof value === 'string') {
    if (hasTemplate(value)) check(context, value, where, () => unknownNames(value, 'template'));
    return;
  }
  if (typeof value !== 'object' || value === null || value instanceof Secret) return;
  for (const item of Object.values(value)) checkTemplates(context, item, where);
}

function check(context: Context, text: string, where: Place, read: () => readonly UnknownName[]): void {
  const line = text.trim().replace(/\s+/g, ' ');
  const shown = `in '${line.length > 80 ? `${line.slice(0, 77)}…` : line}'`;
  try {
    for (const { kind, name, known } of read()) {
      report(context, {
        code: 'PLAYBOOK_TEMPLATE',
        message: `there is no ${kind} '${name}', ${shown}`,
        fix: meant(
          name,
          known,
          `docs/compatibility.md says which ${kind}s are here, and what instead of others.`,
        ),
        where,
      });
    }
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    report(context, {
      code: 'PLAYBOOK_TEMPLATE',
      message: `${error.message}, ${shown}`,
      fix: 'Correct the Jinja expression; text that is meant as it is goes into quotes, or {% raw %}.',
      where,
    });
  }
}
