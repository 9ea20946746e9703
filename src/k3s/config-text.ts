import { isAlias, isMap, parse, parseDocument } from 'yaml';

/** Keys of config.yaml, and flags, whose values are secrets. @see https://docs.k3s.io/cli/server */
export const secretKeys: ReadonlySet<string> = new Set([
  'token',
  'agent-token',
  'datastore-endpoint',
  'etcd-s3-access-key',
  'etcd-s3-secret-key',
  'etcd-s3-session-token',
  'vpn-auth',
]);

/**
 * A config as a person may see it in a diff: the values of secret keys replaced, also where a comment keeps an old one.
 * Text that is no YAML mapping, or whose secret stands elsewhere (`token: *anchor`), is hidden whole.
 */
export function withoutSecrets(text: string): string {
  const document = parseDocument(text);
  if (document.errors.length > 0 || (document.contents !== null && !isMap(document.contents)))
    return '(hidden: no YAML mapping)\n';
  const pairs = (document.contents?.items ?? []).filter(({ key }) => isSecretKey(String(key)));
  if (pairs.some(({ value }) => isAlias(value))) return '(hidden: a secret stands elsewhere in it)\n';
  const ranges = pairs.flatMap(({ value }) => {
    const { range } = (value ?? {}) as { range?: [number, number, number] };
    return range === undefined ? [] : [range];
  });
  return ranges
    .sort(([a], [b]) => b - a)
    .reduce(
      (shown, [start, end]) =>
        `${shown.slice(0, start)}[secret]${shown.slice(end).startsWith('\n') || shown.slice(end) === '' ? '' : '\n'}${shown.slice(end)}`,
      text,
    )
    .replace(
      /^([ \t]*#[#\s]*["']?([\w-]+)\+?["']?[ \t]*:[ \t]*)\S.*$/gm,
      (line, start: string, key: string) => (isSecretKey(key) ? `${start}[secret]` : line),
    );
}

function isSecretKey(key: string): boolean {
  return secretKeys.has(key.replace(/\+$/, ''));
}

/** The mapping that a config text holds; empty for one that is no mapping (validation has told by then). */
export function configOf(text: string | undefined): Readonly<Record<string, unknown>> {
  if (text === undefined) return {};
  try {
    const value: unknown = parse(text);
    return value !== null && typeof value === 'object' && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : {};
  } catch {
    return {};
  }
}
