import { Secret } from '../core/secret.ts';

/** Whether a value holds a Jinja template anywhere in it, so that only a host's variables can say what it is. */
export function hasTemplate(value: unknown): boolean {
  if (typeof value === 'string') return /\{\{|\{%|\{#/.test(value);
  if (Array.isArray(value)) return value.some(hasTemplate);
  if (value !== null && typeof value === 'object' && !(value instanceof Secret)) {
    return Object.entries(value).some(([key, item]) => hasTemplate(key) || hasTemplate(item));
  }
  return false;
}

/** The expression inside a string that is one `{{ … }}` and nothing else. */
export function soleExpression(text: string): string | undefined {
  const match = /^\s*\{\{-?([\s\S]*?)-?\}\}\s*$/.exec(text);
  const inner = match?.[1];
  return inner === undefined || /\{\{|\}\}/.test(inner) ? undefined : inner.trim();
}
