/** What `--tags` and `--skip-tags` ask for. */
export interface TagSelection {
  /** Empty means `all`. */
  readonly only: readonly string[];
  readonly skip: readonly string[];
}

/**
 * Whether a task with these tags (its own and all that it inherits) runs, exactly as Ansible decides it:
 * `always` runs unless skipped by name, `never` runs only when another of its tags, or `never`, is named,
 * and `tagged`, `untagged` and `all` are words of their own.
 */
export function isSelected(tags: readonly string[], selection: TagSelection): boolean {
  const only = new Set(selection.only.length === 0 ? ['all'] : selection.only);
  const skip = new Set(selection.skip);
  const untagged = tags.length === 0;
  const own = new Set(untagged ? ['untagged'] : tags);
  const meets = (names: ReadonlySet<string>): boolean => [...own].some((tag) => names.has(tag));

  const wanted =
    own.has('always') ||
    (only.has('all') && !own.has('never')) ||
    meets(only) ||
    (only.has('tagged') && !untagged && !own.has('never'));
  if (!wanted) return false;

  if (skip.has('all')) return own.has('always') && !skip.has('always');
  if (meets(skip)) return false;
  return !(skip.has('tagged') && !untagged);
}

/** The tags of `a, b` and of `[a, b]`, as numbers may be written too. */
export function tagList(value: unknown): readonly string[] {
  const parts = Array.isArray(value) ? value.flat() : String(value ?? '').split(',');
  return parts.map((part) => String(part).trim()).filter((part) => part !== '');
}
