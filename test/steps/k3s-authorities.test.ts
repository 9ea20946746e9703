import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import type { ServerAuthorities } from '../../src/facts/k3s-authorities.ts';
import { serverAuthorities } from '../../src/facts/k3s-authorities.ts';
import type { ServerData } from '../../src/facts/k3s-server-data.ts';
import { type OwnAuthorities, ownAuthorities } from '../../src/facts/own-authorities.ts';
import { tokenHashOf } from '../../src/k3s/authorities.ts';
import { k3sAuthoritiesStep } from '../../src/steps/k3s-authorities.ts';
import { k3sCaRotatableStep } from '../../src/steps/k3s-ca-rotatable.ts';
import { k3sCaRotationStep } from '../../src/steps/k3s-ca-rotation.ts';
import {
  type AnyPlan,
  actionsIn,
  nodesOf,
  scriptsIn,
  settled,
  shownOf,
  writtenBy,
} from '../k3s/inventory-of.ts';
import { makeAuthorities } from '../k3s/make-authorities.ts';
import { runIn } from './here.ts';

const folder = mkdtempSync(join(tmpdir(), 'fleet-k3s-authorities-'));
const data = '/var/lib/rancher/k3s';
let one: OwnAuthorities;
let two: OwnAuthorities;
let other: OwnAuthorities;
const none: ServerAuthorities = { openssl: true, authorities: new Map() };

beforeAll(async () => {
  const made = async (name: string, office: string): Promise<OwnAuthorities> => {
    const tls = join(folder, name, 'server', 'tls');
    await makeAuthorities(tls, join(folder, office));
    return ownAuthorities([tls]).read();
  };
  one = await made('one', 'office');
  two = await made('two', 'office');
  other = await made('other', 'elsewhere');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What a server whose data is in such a folder answers. */
function onServer(name: string): ServerAuthorities {
  const fact = serverAuthorities(join(folder, name));
  return { ...fact.parse(runIn('dash', fact.sh)), openssl: true };
}

describe('a cluster begins with the authorities that its inventory names', () => {
  const empty: ServerData = { datastore: 'none', token: undefined, running: false, hostName: 's1' };
  const full: ServerData = { ...empty, datastore: 'etcd', token: new Secret('t'), running: true };
  const vars = { ca_dir: './ca' };
  const seen = (s1: ServerData | undefined, s2: ServerData | undefined, there = none) => ({
    servers: new Map([
      ['s1', s1],
      ['s2', s2],
    ]),
    there,
    own: one,
  });
  const decide = async (what: ReturnType<typeof seen>, on = 's1', more: object = {}) =>
    k3sAuthoritiesStep.plan(
      what,
      {},
      (await nodesOf({ servers: ['s1', 's2'], agents: ['a1'], vars: { ...vars, ...more } }))(on),
    ) as AnyPlan;

  it('on the server that begins it, keys for root alone, and nothing more once they are there', async () => {
    const plan = await decide(seen(empty, empty));
    const key = one.authorities.get('client-ca')?.key.reveal() ?? '';
    expect(writtenBy(plan, `${data}/server/tls/client-ca.key`)).toEqual({
      text: key,
      mode: '0600 root:root',
    });
    expect(shownOf(plan)).not.toContain(key.split('\n')[1]);
    expect(actionsIn(plan).length).toBe(12);
    const host = (await nodesOf({ servers: ['s1', 's2'], vars }))('s1');
    expect(settled(k3sAuthoritiesStep, seen(empty, empty), host).verdict).toBe('unchanged');
  });

  it.each<[string, () => Promise<AnyPlan>, string]>([
    ['not on one that joins', () => decide(seen(empty, empty), 's2'), 'unchanged'],
    ['not on a wiped one that joins again', () => decide(seen(empty, full)), 'unchanged'],
    ['not while one that may hold the cluster is away', () => decide(seen(empty, undefined)), 'unchanged'],
    [
      'on a database elsewhere',
      () => decide(seen(empty, empty), 's1', { use_external_database: true }),
      'change',
    ],
  ])('%s', async (_what, plan, verdict) => {
    expect((await plan()).verdict).toBe(verdict);
  });

  it('a cluster that has others is left as it is, and that is said once', async () => {
    const has = seen(full, full, onServer('two'));
    expect(await decide(has)).toMatchObject({
      verdict: 'unchanged',
      warning: { code: 'CA_DIFFERS', fix: expect.stringContaining(`fleet rotate ca --path ${one.folder}`) },
    });
    expect(await decide(has, 's2')).not.toHaveProperty('warning');
    expect(await decide(seen(full, full, onServer('one')))).not.toHaveProperty('warning');
  });

  it('nothing is asked of anybody without ca_dir, nor of agents', async () => {
    const kinds = async (on: string, more: Readonly<Record<string, unknown>>) => {
      const host = (await nodesOf({ servers: ['s1', 's2'], agents: ['a1'], vars: more }))(on);
      const { servers, ...others } = k3sAuthoritiesStep.look({}, host);
      return [servers, ...Object.values(others)].flatMap((asked) =>
        asked.of === 'host' || (asked.of === 'each' && asked.hosts.length > 0) ? [asked.fact.key] : [],
      );
    };
    expect(await kinds('s1', {})).toEqual([]);
    expect(await kinds('a1', vars)).toEqual([]);
    expect((await kinds('s1', vars)).length).toBe(2);
  });
});

describe('a cluster can be given other authorities', () => {
  const rotatable = async (server: ServerAuthorities, own?: OwnAuthorities, rotation = 'none') =>
    k3sCaRotatableStep.plan({ server, own, rotation } as never, {}, (await nodesOf())('s1')) as AnyPlan;
  /** As k3s makes them, and as they are once fleet has rotated them: the root's key is there. */
  const selfMade = (): ServerAuthorities => ({
    openssl: true,
    authorities: new Map(
      [...one.authorities].map(([name, { root }]) => [name, { text: '', bundle: [root], keys: 1 }]),
    ),
  });

  it('those that k3s made sign new ones on the server, and those that lead to them may be brought', async () => {
    expect((await rotatable(selfMade())).verdict).toBe('unchanged');
    expect((await rotatable(selfMade(), two)).verdict).toBe('unchanged');
    expect(await rotatable({ ...selfMade(), openssl: false })).toMatchObject({
      verdict: 'refuse',
      because: expect.stringContaining('openssl is not installed on s1'),
    });
    expect((await rotatable({ ...selfMade(), openssl: false }, two)).verdict).toBe('unchanged');
  });

  it('those that were brought have no key of their root here: others are brought too', async () => {
    expect(await rotatable(onServer('one'))).toMatchObject({ verdict: 'refuse', code: 'CA_BROUGHT' });
    expect((await rotatable(onServer('one'), two)).verdict).toBe('unchanged');
  });

  it.each<[string, () => OwnAuthorities, string]>([
    ['that are the same', () => one, 'CA_IN_USE'],
    ['below a root that nobody knows', () => other, 'CA_NOT_TRUSTED'],
    [
      'of which one is below another root',
      () => ({ ...two, authorities: new Map([...two.authorities, ...[...other.authorities].slice(-1)]) }),
      'CA_NOT_TRUSTED',
    ],
    [
      'that are a single certificate',
      () => ({
        ...two,
        authorities: new Map(
          [...two.authorities].map(([name, each]) => [name, { ...each, bundle: each.bundle.slice(0, 1) }]),
        ),
      }),
      'CA_NOT_TRUSTED',
    ],
  ])('none %s', async (_what, own, code) => {
    expect(await rotatable(onServer('one'), own())).toMatchObject({ verdict: 'refuse', code });
  });

  it('what has begun goes on', async () => {
    expect((await rotatable(onServer('one'), undefined, 'loaded')).verdict).toBe('unchanged');
  });

  it('they are loaded as they are: the token names their root, and service accounts keep their key', async () => {
    const service = {
      state: 'active',
      enabled: true,
      needsDaemonReload: false,
      invocation: '1',
      newerThanStart: [],
    };
    const rotation = async (state: string) =>
      k3sCaRotationStep.plan(
        { service, rotation: state, own: two } as never,
        {},
        (await nodesOf())('s1'),
      ) as AnyPlan;
    const staged = `${data}/server/fleet-ca-rotation`;
    // Also where an earlier attempt has left other ones.
    for (const state of ['none', 'made']) {
      const plan = await rotation(state);
      const root = two.authorities.get('server-ca')?.root;
      expect(writtenBy(plan, `${staged}/root.sha256`).text).toBe(`${root && tokenHashOf(root)}\n`);
      expect(writtenBy(plan, `${staged}/tls/etcd/peer-ca.crt`).text).toBe(
        readFileSync(join(two.folder, 'etcd/peer-ca.crt'), 'utf8'),
      );
      expect(plan).toMatchObject({
        actions: expect.arrayContaining([{ kind: 'remove', path: staged, recursive: true }]),
      });
      expect(actionsIn(plan).join('\n')).not.toMatch(/\/made\b/);
      expect(scriptsIn(plan)).toContain('certificate rotate-ca');
      expect(scriptsIn(plan)).toContain(`cp ${data}/server/tls/service.key`);
      expect(scriptsIn(plan)).not.toMatch(/--force|genkey|PRIVATE/);
    }
    expect((await rotation('loaded')).verdict).toBe('unchanged');
  });
});
