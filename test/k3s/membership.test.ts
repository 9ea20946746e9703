import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import {
  caHashOf,
  type Membership,
  membershipOf,
  passwordOf,
  type ServerSeen,
} from '../../src/k3s/membership.ts';

function seen(datastore: ServerSeen['datastore'], ca?: string, running = true): ServerSeen {
  return { datastore, caHash: ca?.repeat(64), running };
}

const wiped = seen('none', undefined, false);
const member = seen('etcd', 'a');
const stopped = seen('etcd', 'a', false);
const sqlite = seen('sqlite', 'a');
const away = undefined;

/** What each server that answers is told, as `kind` or `join NAME`. */
function decided(
  servers: Readonly<Record<string, ServerSeen | undefined>>,
  external = false,
): Record<string, string> {
  const known = new Map(Object.entries(servers));
  return Object.fromEntries(
    Object.entries(servers)
      .filter(([, server]) => server !== undefined)
      .map(([name]) => [name, shown(membershipOf(name, known, external))]),
  );
}

function shown(membership: Membership): string {
  return membership.kind === 'join' ? `join ${membership.through}` : membership.kind;
}

describe('what becomes of each server', () => {
  it.each<[string, Record<string, ServerSeen | undefined>, Record<string, string>]>([
    ['a single new one', { s1: wiped }, { s1: 'single' }],
    ['a single one on SQLite', { s1: sqlite }, { s1: 'single' }],
    ['a single etcd member', { s1: member }, { s1: 'member' }],
    ['three new ones', { s1: wiped, s2: wiped, s3: wiped }, { s1: 'init', s2: 'join s1', s3: 'join s1' }],
    ['a whole cluster', { s1: member, s2: member, s3: member }, { s1: 'member', s2: 'member', s3: 'member' }],
    [
      'a new one beside a cluster',
      { s1: member, s2: member, s3: wiped },
      { s1: 'member', s2: 'member', s3: 'join s1' },
    ],
    [
      'a wiped first one joins',
      { s1: wiped, s2: member, s3: member },
      { s1: 'join s2', s2: 'member', s3: 'member' },
    ],
    [
      'all but the last wiped',
      { s1: wiped, s2: wiped, s3: member },
      { s1: 'join s3', s2: 'join s3', s3: 'member' },
    ],
    [
      'joining goes through one that runs',
      { s1: stopped, s2: member, s3: wiped },
      { s1: 'member', s2: 'member', s3: 'join s2' },
    ],
    [
      'or through any, when none runs',
      { s1: stopped, s2: stopped, s3: wiped },
      { s1: 'member', s2: 'member', s3: 'join s1' },
    ],
    ['one on SQLite grows', { s1: sqlite, s2: wiped }, { s1: 'init', s2: 'join s1' }],
    ['one on SQLite that is not the first grows', { s1: wiped, s2: sqlite }, { s1: 'join s2', s2: 'init' }],
    ['members away, one new', { s1: away, s2: member, s3: wiped }, { s2: 'member', s3: 'join s2' }],
    ['nobody has data but one is away', { s1: wiped, s2: away, s3: wiped }, { s1: 'refused', s3: 'refused' }],
    ['SQLite, and one is away', { s1: sqlite, s2: away }, { s1: 'refused' }],
    ['SQLite beside etcd', { s1: member, s2: sqlite }, { s1: 'member', s2: 'refused' }],
    ['two on SQLite', { s1: seen('sqlite'), s2: seen('sqlite') }, { s1: 'init', s2: 'refused' }],
    [
      'two clusters',
      { s1: seen('etcd', 'a'), s2: seen('etcd', 'b'), s3: wiped },
      { s1: 'refused', s2: 'refused', s3: 'refused' },
    ],
    [
      'two clusters, one of them on SQLite',
      { s1: seen('sqlite', 'a'), s2: seen('etcd', 'b') },
      { s1: 'refused', s2: 'refused' },
    ],
  ])('%s', (_name, servers, expected) => {
    expect(decided(servers)).toEqual(expected);
  });

  it('an external datastore makes nobody first, whoever is away', () => {
    expect(decided({ s1: wiped, s2: away, s3: seen('external', 'a') }, true)).toEqual({
      s1: 'external',
      s3: 'external',
    });
  });

  it('two clusters refuse even on an external datastore, and name who is in which', () => {
    const servers = new Map([
      ['s1', seen('external', 'a')],
      ['s2', seen('external', 'b')],
      ['s3', seen('external', 'b')],
    ]);
    expect(membershipOf('s1', servers, true)).toMatchObject({
      kind: 'refused',
      because: expect.stringMatching(/s1; s2 and s3/),
      fix: expect.stringContaining('fleet reset --limit'),
    });
  });

  it('who is away is named, and what to do', () => {
    expect(
      membershipOf(
        's1',
        new Map([
          ['s1', wiped],
          ['s2', away],
        ]),
        false,
      ),
    ).toMatchObject({
      because: expect.stringContaining('s2'),
      fix: expect.stringMatching(/Bring .* back/),
    });
  });
});

describe('over any states of the servers', () => {
  const state = fc.oneof(
    { weight: 1, arbitrary: fc.constant(undefined) },
    {
      weight: 5,
      arbitrary: fc.record({
        datastore: fc.constantFrom<ServerSeen['datastore']>('none', 'sqlite', 'etcd', 'external'),
        ca: fc.constantFrom('a', 'a', 'a', 'b', undefined),
        running: fc.boolean(),
      }),
    },
  );
  const states = fc
    .array(state, { minLength: 1, maxLength: 7 })
    .map(
      (list) =>
        new Map(
          list.map((one, index) => [
            `s${index + 1}`,
            one === undefined ? undefined : seen(one.datastore, one.ca, one.running),
          ]),
        ),
    );

  const checked = (
    property: (servers: Map<string, ServerSeen | undefined>, all: Map<string, Membership>) => void,
  ) =>
    fc.assert(
      fc.property(states, (servers) => {
        const answering = [...servers].filter(([, server]) => server !== undefined);
        property(servers, new Map(answering.map(([name]) => [name, membershipOf(name, servers, false)])));
      }),
      { numRuns: 2000 },
    );
  const who = (all: ReadonlyMap<string, Membership>, kind: Membership['kind']) =>
    [...all].filter(([, one]) => one.kind === kind).map(([name]) => name);

  it('never more than one starts a cluster, and none where one has etcd', () =>
    checked((servers, all) => {
      const starting = [...who(all, 'init'), ...who(all, 'single')];
      expect(starting.length).toBeLessThanOrEqual(1);
      if ([...servers.values()].some((server) => server?.datastore === 'etcd')) expect(starting).toEqual([]);
    }));

  it('never one starts a cluster of several while another is away', () =>
    checked((servers, all) => {
      if ([...servers.values()].includes(undefined)) expect(who(all, 'init')).toEqual([]);
    }));

  it('never one starts an empty cluster where another has data of its own', () =>
    checked((servers, all) => {
      for (const name of who(all, 'init')) {
        if ([...servers.values()].some((server) => server?.datastore === 'sqlite'))
          expect(servers.get(name)?.datastore).toBe('sqlite');
      }
    }));

  it('never one with a database of its own joins another, and none joins itself', () =>
    checked((servers, all) => {
      for (const [name, one] of all) {
        if (one.kind !== 'join') continue;
        expect(one.through).not.toBe(name);
        expect(['none', 'external']).toContain(servers.get(name)?.datastore);
      }
    }));

  it('all that join go through one server, which is a member or the one that starts', () =>
    checked((servers, all) => {
      const through = new Set([...all.values()].flatMap((one) => (one.kind === 'join' ? [one.through] : [])));
      expect(through.size).toBeLessThanOrEqual(1);
      for (const name of through)
        expect(servers.get(name)?.datastore === 'etcd' || all.get(name)?.kind === 'init').toBe(true);
    }));

  it('two CAs refuse everybody', () =>
    checked((servers, all) => {
      const authorities = new Set(
        [...servers.values()].flatMap((one) => (one?.caHash === undefined ? [] : [one.caHash])),
      );
      if (authorities.size > 1) expect(who(all, 'refused')).toEqual([...all.keys()]);
    }));

  it('a refusal says what to do', () =>
    checked((_servers, all) => {
      for (const one of all.values()) if (one.kind === 'refused') expect(one.fix.length).toBeGreaterThan(10);
    }));
});

describe('tokens', () => {
  const ca = 'ab'.repeat(32);

  it.each([
    [`K10${ca}::server:secret`, ca, 'secret'],
    [`K10${ca}::node:secret`, ca, 'secret'],
    [`K10${ca}::secret`, ca, 'secret'],
    [`K10${ca}::server:se:cr:et`, ca, 'se:cr:et'],
    ['secret', undefined, 'secret'],
    ['K10abc::server:secret', undefined, 'K10abc::server:secret'],
    ['', undefined, ''],
  ])('%s names CA %s and password %s', (text, hash, password) => {
    expect(caHashOf(new Secret(text))).toBe(hash);
    expect(passwordOf(text)).toBe(password);
    expect(passwordOf(new Secret(text))).toBe(password);
  });
});
