import { UnsafeText } from '../inventory/written-value.ts';

/**
 * A value that is never read as a template, whatever stands in it: what a host answered, and what was templated already.
 * Else a node could write `{{ lookup('file', …) }}` to its output and read the control node's files.
 */
export function asData<Value>(value: Value): Value {
  return wrapped(value) as Value;
}

function wrapped(value: unknown): unknown {
  if (typeof value === 'string') return /\{[{%#]/.test(value) ? new UnsafeText(value) : value;
  if (Array.isArray(value)) {
    const items = value.map(wrapped);
    return items.some((item, index) => item !== value[index]) ? items : value;
  }
  if (value === null || typeof value !== 'object' || Object.getPrototypeOf(value) !== Object.prototype)
    return value;
  const entries = Object.entries(value).map(([key, item]) => [key, wrapped(item)] as const);
  return entries.some(([key, item]) => item !== (value as Record<string, unknown>)[key])
    ? Object.fromEntries(entries)
    : value;
}
