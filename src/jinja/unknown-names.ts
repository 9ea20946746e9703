import { parseExpression, parseTemplate } from './parser.ts';
import { templateVocabulary } from './template.ts';

/** A filter or test that a template names and that does not exist. */
export interface UnknownName {
  readonly kind: 'filter' | 'test';
  readonly name: string;
  /** The names that there are. */
  readonly known: readonly string[];
}

/** The filters and tests of a template (or of a condition, which takes no braces) that do not exist. @throws TemplateError for what is not Jinja */
export function unknownNames(text: string, form: 'template' | 'condition'): readonly UnknownName[] {
  const found: UnknownName[] = [];
  collect(form === 'template' ? parseTemplate(text) : parseExpression(text), found);
  return found;
}

const vocabulary = templateVocabulary();
const known = { filter: new Set(vocabulary.filters), test: new Set(vocabulary.tests) };

/** Every part of a syntax tree is plain data, so what is below a node need not be known by its kind. */
function collect(node: unknown, found: UnknownName[]): void {
  if (typeof node !== 'object' || node === null) return;
  const { kind, name } = node as { readonly kind?: unknown; readonly name?: unknown };
  if ((kind === 'filter' || kind === 'test') && typeof name === 'string') {
    if (!known[kind].has(name)) found.push({ kind, name, known: [...known[kind]] });
  }
  // What a template holds as data is no part of its syntax.
  for (const [key, part] of Object.entries(node))
    if (key !== 'value' || kind !== 'literal') collect(part, found);
}
