/**
 * Environment files beside the k3s units (`k3s.service.env`): read by systemd on systemd hosts and sourced by sh on
 * OpenRC, so only what both understand the same way is written.
 * @see https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html#EnvironmentFile=
 */

/** The file for these variables, sorted by name so that the same settings always give the same bytes. */
export function renderEnvFile(variables: ReadonlyMap<string, string>): string {
  return [...variables]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${renderValue(value)}\n`)
    .join('');
}

function renderValue(value: string): string {
  if (/^[A-Za-z0-9_/:.,@%+=-]*$/.test(value)) return value;
  return `"${value.replaceAll(/["\\$`]/g, '\\$&')}"`;
}

/**
 * The variables in such a file, whoever wrote it. Later lines win, as in systemd and sh. The install script quotes as
 * `sh -c export` does, so one value may consist of several quoted parts, and a quoted one of several lines.
 */
export function parseEnvFile(text: string): Map<string, string> {
  const variables = new Map<string, string>();
  const assignment = /[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=[ \t]*/y;
  for (let index = 0; index < text.length; ) {
    assignment.lastIndex = index;
    const match = assignment.exec(text);
    if (match?.[1] === undefined) {
      const end = text.indexOf('\n', index);
      index = end < 0 ? text.length : end + 1;
      continue;
    }
    const { value, end } = valueFrom(text, assignment.lastIndex);
    variables.set(match[1], value);
    index = end + 1;
  }
  return variables;
}

/** The value that begins there, and the end of its line. Blanks that no quote holds end with the line. */
function valueFrom(text: string, start: number): { readonly value: string; readonly end: number } {
  let value = '';
  let kept = 0;
  let quote = '';
  let index = start;
  for (; index < text.length; index += 1) {
    const character = text.charAt(index);
    const next = text.charAt(index + 1);
    if (quote === '' && character === '\n') break;
    if (character === quote) quote = '';
    else if (quote === '' && (character === "'" || character === '"')) quote = character;
    else if (
      character === '\\' &&
      next !== '' &&
      (quote === '' || (quote === '"' && /["\\$`\n]/.test(next)))
    ) {
      index += 1;
      value += next === '\n' ? '' : next;
    } else {
      value += character;
      if (quote === '' && /\s/.test(character)) continue;
    }
    kept = value.length;
  }
  return { value: value.slice(0, kept), end: index };
}

/** Splits `NAME=value` as extra_service_envs has it. */
export function splitAssignment(text: string): [name: string, value: string] | undefined {
  const match = /^([A-Za-z_][A-Za-z0-9_]*)=([\s\S]*)$/.exec(text);
  return match?.[1] === undefined ? undefined : [match[1], match[2] ?? ''];
}
