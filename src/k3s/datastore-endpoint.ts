/** Where a cluster's database is. Never holds the name or password of its user. */
export interface DatastoreEndpoint {
  readonly kind: 'postgres' | 'mysql' | 'etcd' | 'nats' | 'sqlite';
  /** For a person: `postgres://10.0.0.5:5432/k3s`. */
  readonly shown: string;
  /** Where it is reached by TCP: one of them is enough. None for a socket or a file of the host itself. */
  readonly targets: readonly { readonly address: string; readonly port: number }[];
}

const kinds: Readonly<Record<string, { readonly kind: DatastoreEndpoint['kind']; readonly port: number }>> = {
  postgres: { kind: 'postgres', port: 5432 },
  postgresql: { kind: 'postgres', port: 5432 },
  mysql: { kind: 'mysql', port: 3306 },
  etcd: { kind: 'etcd', port: 2379 },
  http: { kind: 'etcd', port: 2379 },
  https: { kind: 'etcd', port: 2379 },
  nats: { kind: 'nats', port: 4222 },
};

/**
 * What `datastore-endpoint` names; `undefined` where it has none of the forms that k3s knows.
 * @see https://docs.k3s.io/datastore#datastore-endpoint-format-and-functionality
 */
export function datastoreEndpoint(text: string): DatastoreEndpoint | undefined {
  if (text.startsWith('/')) return { kind: 'sqlite', shown: text, targets: [] };
  const [, scheme = '', rest = ''] = /^([a-z]+):\/\/(.*)$/is.exec(text) ?? [];
  const known = Object.hasOwn(kinds, scheme) ? kinds[scheme] : undefined;
  if (known === undefined) return undefined;
  return known.kind === 'mysql' ? mysql(rest) : urls(known.kind, scheme, known.port, rest);
}

/** `user:password@tcp(host:3306)/database?parameters`: a password may hold all but the last `@` and the last `/`. */
function mysql(rest: string): DatastoreEndpoint | undefined {
  const slash = rest.lastIndexOf('/');
  if (slash < 0) return undefined;
  const way = rest.slice(rest.lastIndexOf('@', slash) + 1, slash);
  const [, protocol = '', address = ''] = /^(\w*)(?:\((.*)\))?$/.exec(way) ?? [];
  const database = rest.slice(slash + 1).split('?')[0];
  if (protocol === 'unix' || way === '')
    return { kind: 'mysql', shown: `mysql://${way}/${database}`, targets: [] };
  const target = targetOf(address, 3306);
  return {
    kind: 'mysql',
    shown: `mysql://${protocol}(${target.shown})/${database}`,
    targets: [target],
  };
}

/** `user:password@host:port,host:port/database?parameters`; of etcd each endpoint after the first has a scheme of its own again. */
function urls(
  kind: DatastoreEndpoint['kind'],
  scheme: string,
  port: number,
  rest: string,
): DatastoreEndpoint {
  const [beforeQuery = ''] = rest.split('?');
  const parts = beforeQuery.split(',').map((part) => part.trim().replace(/^[a-z]+:\/\//i, ''));
  const database =
    parts
      .at(-1)
      ?.replace(/^[^/]*/, '')
      .replace(/\/$/, '') ?? '';
  const targets = parts
    .map((part) => part.slice(part.lastIndexOf('@') + 1).split('/')[0] ?? '')
    .filter((part) => part !== '')
    .map((part) => targetOf(part, port));
  return {
    kind,
    shown: `${scheme}://${targets.map(({ shown }) => shown).join(',')}${kind === 'etcd' ? '' : database}`,
    targets,
  };
}

/** `host`, `host:port`, `[::1]:port`, `:port` for the host itself. */
function targetOf(
  text: string,
  usualPort: number,
): DatastoreEndpoint['targets'][number] & { readonly shown: string } {
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(text) ?? [];
  const address = bracketed ?? plain ?? text;
  const target = { address: address === '' ? '127.0.0.1' : address, port: Number(port ?? usualPort) };
  return { ...target, shown: `${bracketed === undefined ? address : `[${address}]`}:${target.port}` };
}
