import { isMap, parse, parseDocument } from 'yaml';

/** Values of config.yaml that are secrets, by key. @see https://docs.k3s.io/cli/server */
const secretKeys = new Set([
  'token',
  'agent-token',
  'datastore-endpoint',
  'etcd-s3-access-key',
  'etcd-s3-secret-key',
  'vpn-auth',
]);

/** A config as a person may see it in a diff: the values of secret keys replaced. Text that is no YAML mapping is hidden whole. */
export function withoutSecrets(text: string): string {
  const document = parseDocument(text);
  if (document.errors.length > 0 || (document.contents !== null && !isMap(document.contents)))
    return '(hidden: no YAML mapping)\n';
  if (document.contents === null) return text;
  const ranges = document.contents.items.flatMap((pair) => {
    const key = String(pair.key).replace(/\+$/, '');
    const value = pair.value as { range?: [number, number, number] } | null;
    return secretKeys.has(key) && value?.range !== undefined ? [value.range] : [];
  });
  return ranges
    .sort(([a], [b]) => b - a)
    .reduce(
      (shown, [start, end]) =>
        `${shown.slice(0, start)}[secret]${shown.slice(end).startsWith('\n') || shown.slice(end) === '' ? '' : '\n'}${shown.slice(end)}`,
      text,
    );
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
