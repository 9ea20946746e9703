import { type ShellScript, sh } from '../core/shell.ts';
import type { FileStat } from '../facts/file.ts';
import { anything, mode, optional, text } from './arguments.ts';

/** The arguments of every step that makes a file. */
export const attributeArguments = {
  mode: optional(mode('Permission bits.')),
  owner: optional(text('Name or number of the owning user.')),
  group: optional(text('Name or number of the owning group.')),
  unsafe_writes: optional(anything('Ignored: a file is replaced whole, or not at all.')),
};

/** What is asked of a file's attributes; what is absent stays as it is. */
export interface WantedAttributes {
  readonly mode?: string | undefined;
  readonly owner?: string | undefined;
  readonly group?: string | undefined;
}

/** What differs from what is wanted, as a person reads it (`mode 0600 → 0644`), and what mends it. */
export interface AttributeChange {
  readonly because: readonly string[];
  readonly scripts: readonly ShellScript[];
  readonly after: FileStat;
}

/** Compares attributes; no differences means an empty `scripts`. Links are changed themselves, never what they point to. */
export function attributeChange(path: string, now: FileStat, wanted: WantedAttributes): AttributeChange {
  const because: string[] = [];
  const scripts: ShellScript[] = [];
  const isLink = now.type === 'link';
  const owner = sameOwner(wanted.owner, now.owner, now.uid) ? undefined : wanted.owner;
  const group = sameOwner(wanted.group, now.group, now.gid) ? undefined : wanted.group;
  if (owner !== undefined) because.push(`owner ${now.owner} → ${owner}`);
  if (group !== undefined) because.push(`group ${now.group} → ${group}`);
  if (owner !== undefined || group !== undefined) {
    const to = `${owner ?? ''}${group === undefined ? '' : `:${group}`}`;
    scripts.push(isLink ? sh`chown -h ${to} ${path}` : sh`chown ${to} ${path}`);
  }
  let after: FileStat = {
    ...now,
    ...(owner === undefined ? {} : { owner }),
    ...(group === undefined ? {} : { group }),
  };
  if (owner !== undefined) after = without(after, 'uid');
  if (group !== undefined) after = without(after, 'gid');
  const mode =
    wanted.mode === undefined || isLink
      ? now.mode
      : resolveMode(wanted.mode, now.mode, now.type === 'directory');
  // chown clears setuid and setgid, so the mode is set again after it.
  if (mode !== now.mode || (scripts.length > 0 && /^[246]/.test(mode))) {
    scripts.push(sh`chmod ${chmodArgument(mode, now)} ${path}`);
  }
  if (mode !== now.mode) because.push(`mode ${now.mode} → ${mode}`);
  return { because, scripts, after: { ...after, mode } };
}

// GNU chmod keeps a directory's setuid and setgid bits when given a mode of four digits, five digits clear them.
function chmodArgument(mode: string, now: FileStat): string {
  return now.type === 'directory' && /^[246]/.test(now.mode) && !/^[246]/.test(mode)
    ? `u-s,g-s,${symbolic(mode)}`
    : mode;
}

function symbolic(mode: string): string {
  const [special = 0, user = 0, group = 0, other = 0] = [...mode].map(Number);
  const letters = (bits: number) => `${bits & 4 ? 'r' : ''}${bits & 2 ? 'w' : ''}${bits & 1 ? 'x' : ''}`;
  return `u=${letters(user)},g=${letters(group)},o=${letters(other)},${special & 1 ? '+t' : '-t'}`;
}

function without<Key extends keyof FileStat>(stat: FileStat, key: Key): FileStat {
  const { [key]: _gone, ...rest } = stat;
  return rest as unknown as FileStat;
}

/** Whether an owner or group is the wanted one, by name or by number. Nothing wanted is always right. */
export function sameOwner(wanted: string | undefined, name: string, id: number | undefined): boolean {
  return wanted === undefined || wanted === name || (/^\d+$/.test(wanted) && Number(wanted) === id);
}

/**
 * The four octal digits that a mode asks for: octal text as it is, symbolic text (`u=rwX,g+r,o-w`) applied to the present
 * bits as chmod does.
 */
export function resolveMode(wanted: string, now: string, isDirectory: boolean): string {
  if (/^[0-7]+$/.test(wanted)) return wanted.slice(-4).padStart(4, '0');
  let bits = Number.parseInt(now, 8);
  for (const clause of wanted.split(',')) {
    const match = /^([ugoa]*)((?:[-+=][rwxXstugo]*)+)$/.exec(clause);
    if (match === null) throw new RangeError(`mode ${wanted} is neither octal nor symbolic`);
    const who = match[1] === '' || match[1]?.includes('a') ? 'ugo' : (match[1] ?? 'ugo');
    for (const operation of match[2]?.matchAll(/([-+=])([rwxXstugo]*)/g) ?? []) {
      bits = applyClause(bits, who, operation[1] ?? '=', operation[2] ?? '', isDirectory);
    }
  }
  return bits.toString(8).padStart(4, '0');
}

const SHIFT = { u: 6, g: 3, o: 0 } as const;
type Class = keyof typeof SHIFT;

function applyClause(
  bits: number,
  who: string,
  operator: string,
  permissions: string,
  isDirectory: boolean,
): number {
  let result = bits;
  for (const letter of who) {
    const cls = letter as Class;
    let wanted = 0;
    let special = 0;
    for (const permission of permissions) {
      if (permission === 'r') wanted |= 4;
      else if (permission === 'w') wanted |= 2;
      else if (permission === 'x' || (permission === 'X' && (isDirectory || (bits & 0o111) !== 0)))
        wanted |= 1;
      else if (permission === 's') special |= cls === 'u' ? 0o4000 : cls === 'g' ? 0o2000 : 0;
      else if (permission === 't') special |= 0o1000;
      else if (permission in SHIFT) wanted |= (bits >> SHIFT[permission as Class]) & 7;
    }
    const shifted = wanted << SHIFT[cls];
    if (operator === '+') result |= shifted | special;
    else if (operator === '-') result &= ~(shifted | special);
    else {
      const clearedSpecial = isDirectory ? 0 : cls === 'u' ? 0o4000 : cls === 'g' ? 0o2000 : 0;
      result = (result & ~((7 << SHIFT[cls]) | clearedSpecial)) | shifted | special;
    }
  }
  return result;
}
