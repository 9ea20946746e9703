/** Freezes plain data all the way down and gives it back. */
export function deepFreeze<T>(value: T, depth = 0): T {
  if (value === null || typeof value !== 'object' || depth > 200 || Object.isFrozen(value)) return value;
  if (!Array.isArray(value)) {
    const prototype = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) return value;
  }
  for (const item of Object.values(value)) deepFreeze(item, depth + 1);
  return Object.freeze(value);
}
