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

/** The variables in such a file, whoever wrote it. Later lines win, as in systemd and sh. */
export function parseEnvFile(text: string): Map<string, string> {
  const variables = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line);
    if (match?.[1] !== undefined) variables.set(match[1], parseValue(match[2]?.trim() ?? ''));
  }
  return variables;
}

function parseValue(text: string): string {
  if (text.length > 1 && text.startsWith("'") && text.endsWith("'")) return text.slice(1, -1);
  if (text.length > 1 && text.startsWith('"') && text.endsWith('"')) {
    return text.slice(1, -1).replaceAll(/\\(["\\$`])/g, '$1');
  }
  return text.replaceAll(/\\(.)/g, '$1');
}

/** Splits `NAME=value` as extra_service_envs has it. */
export function splitAssignment(text: string): [name: string, value: string] | undefined {
  const match = /^([A-Za-z_][A-Za-z0-9_]*)=([\s\S]*)$/.exec(text);
  return match?.[1] === undefined ? undefined : [match[1], match[2] ?? ''];
}
