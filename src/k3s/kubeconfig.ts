import { Document, isMap, isSeq, parse, parseDocument, type YAMLMap } from 'yaml';

/** One cluster as a kubeconfig describes it; cluster, context and user bear the same name. */
export interface KubeconfigEntry {
  readonly name: string;
  readonly cluster: Readonly<Record<string, unknown>>;
  readonly user: Readonly<Record<string, unknown>>;
}

/**
 * The one cluster in the file that k3s writes (`/etc/rancher/k3s/k3s.yaml`, where everything is named `default`), renamed
 * and with the address by which the API is reached from outside. `undefined` for a text that is no such file.
 */
export function entryFromK3s(text: string, name: string, server: string): KubeconfigEntry | undefined {
  const config = parsed(text);
  const cluster = config?.clusters?.[0]?.cluster;
  const user = config?.users?.[0]?.user;
  return cluster === undefined || user === undefined
    ? undefined
    : { name, cluster: { ...cluster, server }, user };
}

function parsed(text: string): {
  clusters?: { name?: unknown; cluster?: Record<string, unknown> }[];
  users?: { user?: Record<string, unknown> }[];
} | null {
  try {
    return parse(text);
  } catch {
    return null;
  }
}

/**
 * A kubeconfig with one cluster put in or brought up to date. Everything else in it, comments and order too, stays;
 * the current context is set only where there is none.
 * @throws Error for a text that is no kubeconfig
 */
export function mergeKubeconfig(existing: string | undefined, entry: KubeconfigEntry): string {
  const document =
    existing === undefined || existing.trim() === '' ? emptyKubeconfig() : parseDocument(existing);
  if (document.errors[0] !== undefined) throw new Error(document.errors[0].message);
  if (!isMap(document.contents)) throw new Error('it holds no mapping');
  put(document, 'clusters', entry.name, { cluster: entry.cluster });
  put(document, 'contexts', entry.name, { context: { cluster: entry.name, user: entry.name } });
  put(document, 'users', entry.name, { user: entry.user });
  const current = document.get('current-context');
  if (typeof current !== 'string' || current === '') document.set('current-context', entry.name);
  return document.toString({ lineWidth: 0 });
}

/** Whether a kubeconfig already describes the cluster just so. */
export function describes(existing: string | undefined, entry: KubeconfigEntry): boolean {
  if (existing === undefined) return false;
  try {
    return mergeKubeconfig(existing, entry) === parseDocument(existing).toString({ lineWidth: 0 });
  } catch {
    return false;
  }
}

/** The CA, in base64, of the cluster of that name in a kubeconfig: what tells one cluster from another of its name. */
export function authorityOf(existing: string, name: string): string | undefined {
  const found = parsed(existing)?.clusters?.find((cluster) => cluster.name === name)?.cluster;
  const authority = found?.['certificate-authority-data'];
  return typeof authority === 'string' ? authority : undefined;
}

/** The same file without one cluster, its context and its user; `undefined` when it holds none of them. */
export function withoutCluster(existing: string, name: string): string | undefined {
  const document = parseDocument(existing);
  if (document.errors.length > 0 || !isMap(document.contents)) return undefined;
  let removed = false;
  for (const list of ['clusters', 'contexts', 'users']) {
    const sequence = document.get(list);
    if (!isSeq(sequence)) continue;
    const kept = sequence.items.filter((item) => !(isMap(item) && item.get('name') === name));
    removed ||= kept.length < sequence.items.length;
    sequence.items = kept;
  }
  if (document.get('current-context') === name) document.set('current-context', '');
  return removed ? document.toString({ lineWidth: 0 }) : undefined;
}

function emptyKubeconfig(): Document {
  return new Document({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [],
    contexts: [],
    users: [],
    'current-context': '',
  });
}

/** Sets only what the entry names: a namespace that the user put into the context stays. */
function put(
  document: Document,
  list: string,
  name: string,
  body: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
): void {
  if (!isSeq(document.get(list))) document.set(list, document.createNode([]));
  const sequence = document.get(list);
  if (!isSeq(sequence)) return;
  const found = sequence.items.find((item): item is YAMLMap => isMap(item) && item.get('name') === name);
  if (found === undefined) {
    sequence.flow = false;
    sequence.add(document.createNode({ name, ...body }));
    return;
  }
  for (const [key, wanted] of Object.entries(body)) {
    for (const [field, value] of Object.entries(wanted)) {
      if (!found.has(key)) found.set(key, document.createNode({}));
      if (found.getIn([key, field]) !== value) found.setIn([key, field], value);
    }
  }
}
