/** The number that `ansible_group_priority` holds; `undefined` for what is none. */
export function priorityOf(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^\s*[-+]?\d+\s*$/.test(value) ? Number(value) : value;
  if (typeof number === 'boolean') return Number(number);
  return typeof number === 'number' && Number.isFinite(number) ? Math.trunc(number) : undefined;
}
