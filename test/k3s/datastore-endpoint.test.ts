import { describe, expect, it } from 'vitest';
import { datastoreEndpoint } from '../../src/k3s/datastore-endpoint.ts';

/** What k3s' own documentation and kine understand, with passwords that would lead a careless reader astray. */
const secret = 'p@ss/w:rd?';

describe('a datastore endpoint', () => {
  it.each<[string, string, string, readonly (readonly [string, number])[]]>([
    [
      'postgres://k3s:secret@10.0.0.5:5433/k3s?sslmode=disable',
      'postgres',
      'postgres://10.0.0.5:5433/k3s',
      [['10.0.0.5', 5433]],
    ],
    ['postgresql://db.lan/k3s', 'postgres', 'postgresql://db.lan:5432/k3s', [['db.lan', 5432]]],
    [
      'postgres://k3s:p%40ss@one,two:5433/k3s',
      'postgres',
      'postgres://one:5432,two:5433/k3s',
      [
        ['one', 5432],
        ['two', 5433],
      ],
    ],
    [
      'postgres://k3s:secret@[fd00::5]:5432/k3s',
      'postgres',
      'postgres://[fd00::5]:5432/k3s',
      [['fd00::5', 5432]],
    ],
    ['postgres:///k3s?host=/run/postgresql', 'postgres', 'postgres:///k3s', []],
    [
      `mysql://k3s:${secret}@tcp(10.0.0.5:3307)/k3s`,
      'mysql',
      'mysql://tcp(10.0.0.5:3307)/k3s',
      [['10.0.0.5', 3307]],
    ],
    [
      'mysql://k3s:secret@tcp(db.lan)/k3s?tls=skip-verify',
      'mysql',
      'mysql://tcp(db.lan:3306)/k3s',
      [['db.lan', 3306]],
    ],
    [
      'mysql://k3s:secret@unix(/run/mysqld/mysqld.sock)/k3s',
      'mysql',
      'mysql://unix(/run/mysqld/mysqld.sock)/k3s',
      [],
    ],
    [
      'https://10.0.0.1:2379,https://10.0.0.2:2379',
      'etcd',
      'https://10.0.0.1:2379,10.0.0.2:2379',
      [
        ['10.0.0.1', 2379],
        ['10.0.0.2', 2379],
      ],
    ],
    ['http://user:secret@etcd.lan:2379/', 'etcd', 'http://etcd.lan:2379', [['etcd.lan', 2379]]],
    ['nats://nats.lan?bucket=k3s', 'nats', 'nats://nats.lan:4222', [['nats.lan', 4222]]],
    ['/var/lib/k3s.db', 'sqlite', '/var/lib/k3s.db', []],
  ])('%s', (text, kind, shown, targets) => {
    expect(datastoreEndpoint(text)).toMatchObject({ kind, shown });
    expect(datastoreEndpoint(text)?.targets.map(({ address, port }) => [address, port])).toEqual(targets);
    expect(shown).not.toMatch(/secret|p@ss|p%40ss/);
  });

  it.each(['', 'k3s:secret@tcp(db:3306)/k3s', 'redis://db', 'mysql://k3s:secret@tcp(db:3306)'])(
    'is none: %j',
    (text) => {
      expect(datastoreEndpoint(text)).toBeUndefined();
    },
  );
});
