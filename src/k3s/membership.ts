import type { Secret } from '../core/secret.ts';

/** What is known of one server of the inventory when membership is decided; `undefined` for one that did not answer. */
export interface ServerSeen {
  readonly datastore: 'none' | 'sqlite' | 'etcd' | 'external';
  /** Of the CA that its token names (`caHashOf`). */
  readonly caHash: string | undefined;
  readonly running: boolean;
}

/** How one server comes to be part of the cluster. */
export type Membership =
  /** The only server, on SQLite. */
  | { readonly kind: 'single' }
  /** Starts the cluster's etcd: nobody has data yet, or it alone has SQLite data that k3s migrates. */
  | { readonly kind: 'init'; readonly because: string }
  | { readonly kind: 'join'; readonly through: string; readonly because: string }
  /** It has data of its own: whatever its config says about joining no longer counts. */
  | { readonly kind: 'member' }
  /** The datastore is elsewhere; no server is first. */
  | { readonly kind: 'external' }
  | {
      readonly kind: 'refused';
      readonly code: 'TWO_CLUSTERS' | 'CLUSTER_MAY_BE_AWAY' | 'OWN_DATA';
      readonly because: string;
      readonly fix: string;
    };

/**
 * Bootstrap or join, decided by looking at all servers: any with data IS the cluster, whichever is listed first, so that
 * a wiped first server joins the others instead of forming a second cluster.
 * @param servers names in inventory order, with what was seen of each
 * @param forced begin a cluster although servers that might hold one do not answer
 * @see https://github.com/k3s-io/k3s-ansible/issues/269
 */
export function membershipOf(
  self: string,
  servers: ReadonlyMap<string, ServerSeen | undefined>,
  externalDatastore: boolean,
  forced = false,
): Membership {
  const clusters = clustersAmong(servers);
  if (clusters.size > 1) {
    const shown = [...clusters.values()].map((names) => names.join(' and ')).join('; ');
    return {
      kind: 'refused',
      code: 'TWO_CLUSTERS',
      because: `the servers belong to different clusters: ${shown}`,
      fix: 'Decide which cluster stays; wipe the others (fleet reset --limit HOST), then run fleet up again.',
    };
  }
  if (externalDatastore) return { kind: 'external' };
  const own = servers.get(self);
  if (own?.datastore === 'etcd') return { kind: 'member' };
  if (servers.size === 1) return { kind: 'single' };
  const members = [...servers].filter(([, seen]) => seen?.datastore === 'etcd').map(([name]) => name);
  const through = members.find((name) => servers.get(name)?.running === true) ?? members[0];
  if (through !== undefined) {
    return own?.datastore === 'sqlite'
      ? {
          kind: 'refused',
          code: 'OWN_DATA',
          because: `${self} has a SQLite cluster of its own while ${members.join(', ')} form one on etcd`,
          fix: `Wipe ${self} first if its data may go: fleet reset --limit ${self}`,
        }
      : {
          kind: 'join',
          through,
          because: `${members.join(', ')} ${members.length === 1 ? 'holds' : 'hold'} the cluster`,
        };
  }
  const silent = [...servers].filter(([, seen]) => seen === undefined).map(([name]) => name);
  if (silent.length > 0 && !forced) {
    return {
      kind: 'refused',
      code: 'CLUSTER_MAY_BE_AWAY',
      because: `nobody that answers has a cluster, but ${silent.join(', ')} might: starting one here could make a second`,
      fix: 'Bring these servers back, or take them out of the inventory if they are gone for good.',
    };
  }
  const first = [...servers].find(([, seen]) => seen?.datastore === 'sqlite')?.[0] ?? [...servers.keys()][0];
  if (own?.datastore === 'sqlite' && first !== self) {
    return {
      kind: 'refused',
      code: 'OWN_DATA',
      because: `${first} and ${self} each have a SQLite cluster of their own`,
      fix: `Wipe ${self} first if its data may go: fleet reset --limit ${self}`,
    };
  }
  if (first === self) {
    return {
      kind: 'init',
      because:
        own?.datastore === 'sqlite'
          ? 'its SQLite data becomes the first etcd member'
          : 'no server has a cluster yet',
    };
  }
  return { kind: 'join', through: first ?? self, because: `${first} starts the cluster` };
}

/** Servers by the CA that their tokens name. */
export function clustersAmong(
  servers: ReadonlyMap<string, Pick<ServerSeen, 'caHash'> | undefined>,
): Map<string, string[]> {
  const clusters = new Map<string, string[]>();
  for (const [name, seen] of servers) {
    if (seen?.caHash === undefined) continue;
    clusters.set(seen.caHash, [...(clusters.get(seen.caHash) ?? []), name]);
  }
  return clusters;
}

/** The sha256 of the cluster's CA in a full token (`K10<hash>::server:<password>`); short tokens have none. */
export function caHashOf(token: Secret): string | undefined {
  return /^K10([0-9a-f]{64})::/.exec(token.reveal())?.[1];
}

/** The password of a token in either form: two tokens open the same cluster when these agree. */
export function passwordOf(token: Secret | string): string {
  const text = typeof token === 'string' ? token : token.reveal();
  return /^K10[0-9a-f]{64}::(?:[^:]+:)?(.*)$/s.exec(text)?.[1] ?? text;
}
