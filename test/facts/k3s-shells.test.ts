import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Fact } from '../../src/engine/fact.ts';
import { sha256Of } from '../../src/facts/file.ts';
import { fileDigests } from '../../src/facts/file-digests.ts';
import { serverAuthorities } from '../../src/facts/k3s-authorities.ts';
import { installedBinary } from '../../src/facts/k3s-binary.ts';
import { imageArchives } from '../../src/facts/k3s-images.ts';
import { inUse } from '../../src/facts/k3s-in-use.ts';
import { installation } from '../../src/facts/k3s-installation.ts';
import { serverKubeconfig } from '../../src/facts/k3s-kubeconfig.ts';
import { k3sLeftovers } from '../../src/facts/k3s-leftovers.ts';
import { apiReady, k3sNodes } from '../../src/facts/k3s-nodes.ts';
import { serverData } from '../../src/facts/k3s-server-data.ts';
import { lastLogLines, startState } from '../../src/facts/k3s-start.ts';
import { k3sTraces } from '../../src/facts/k3s-traces.ts';
import { userKubectl } from '../../src/facts/k3s-user-kubectl.ts';
import { leftovers } from '../../src/facts/leftovers.ts';
import { runIn, shells } from '../steps/here.ts';

const folder = mkdtempSync(join(tmpdir(), "fleet k3s' $(x)-"));
const at = (...names: string[]) => join(folder, ...names);

beforeAll(() => {
  for (const name of ['etcd', 'sqlite', 'external', 'prepared', 'wiped', 'images', 'units'])
    mkdirSync(at(name));
  mkdirSync(at('etcd/server/db/etcd/member'), { recursive: true });
  writeFileSync(at('etcd/server/token'), `K10${'a'.repeat(64)}::server:pass\n`);
  mkdirSync(at('sqlite/server/db'), { recursive: true });
  writeFileSync(at('sqlite/server/db/state.db'), '');
  writeFileSync(at('sqlite/server/node-token'), 'K10x::server:old\n');
  mkdirSync(at('external/server/tls'), { recursive: true });
  writeFileSync(at('external/server/tls/server-ca.crt'), '');
  writeFileSync(at('external/server/token'), 'K10y::server:there\n');
  // Authorities of its user's own, for the cluster that it is to begin.
  mkdirSync(at('prepared/server/tls'), { recursive: true });
  writeFileSync(at('prepared/server/tls/server-ca.crt'), '');
  writeFileSync(at('images/a b.tar.zst'), 'image');
  writeFileSync(at('images/notes.txt'), 'no image');
  writeFileSync(at('images/-n.yaml'), 'a: 1\n');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const facts: readonly Fact<unknown>[] = [
  installedBinary,
  imageArchives(at('images')),
  imageArchives(at('missing')),
  inUse('server', '/etc/systemd/system'),
  inUse('agent', at('units')),
  installation('server', '/etc/systemd/system'),
  installation('agent', at('units')),
  serverKubeconfig,
  fileDigests(at('images')),
  fileDigests(at('missing')),
  k3sNodes,
  apiReady,
  serverData(at('etcd')),
  serverData(at('sqlite')),
  serverData(at('external')),
  serverAuthorities(at('prepared')),
  serverAuthorities(at('missing')),
  serverData(at('wiped')),
  serverData(at('missing')),
  startState('server'),
  startState('agent'),
  lastLogLines('server'),
  lastLogLines('agent'),
  k3sTraces(at('etcd'), '/etc/systemd/system'),
  k3sLeftovers(at('etcd'), 'root'),
  leftovers(at('etcd'), at('units')),
  userKubectl('root'),
  userKubectl("no-such-'user"),
];
/** They say by their exit status and stderr that the API does not answer. */
const mayFail = new Set(['k3s:nodes', 'k3s:readyz']);

const available = Object.entries(shells).filter(
  ([, [program = '', ...options]]) => spawnSync(program, [...options, '-c', 'true']).status === 0,
);

/** Everything below a folder with its times, to see that a question changes nothing. */
function snapshot(): string {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => `${name} ${statSync(at(name)).mtimeMs} ${statSync(at(name)).mode}`)
    .join('\n');
}

describe.each(available)('every k3s fact in %s', (shell, [program = '', ...options]) => {
  it.each(facts.map((fact) => [fact.key.replaceAll(folder, 'FOLDER'), fact] as const))('%s', (_key, fact) => {
    const checked = spawnSync(program, [...options, '-n'], { input: fact.sh.text, encoding: 'utf8' });
    expect([checked.status, checked.stderr], 'sh -n').toEqual([0, '']);
    const before = snapshot();
    const answer = runIn(shell, fact.sh);
    if (!mayFail.has(fact.key)) expect([answer.code, answer.stderr]).toEqual([0, '']);
    expect(snapshot()).toBe(before);
    // The same in every shell: what dash says is what the parser tests are about.
    expect(shown(fact.parse(answer))).toEqual(shown(fact.parse(runIn('dash', fact.sh))));
  });

  it('leaves the shell that asks as it was', () => {
    for (const fact of facts) {
      const after = spawnSync(
        program,
        [...options, '-c', `( ${fact.sh.text}\n) > /dev/null 2>&1 < /dev/null; printf %s "$PWD $#"`, 'x'],
        {
          cwd: folder,
          encoding: 'utf8',
          stdio: ['ignore', 'pipe', 'pipe'],
        },
      );
      expect(after.stdout).toBe(`${folder} 0`);
    }
  });
});

function shown(value: unknown): unknown {
  // The wording of "not found" is each shell's own.
  const text = JSON.stringify(value, (_key, inner) => (inner instanceof Map ? [...inner] : inner)) ?? 'null';
  return /not found|No such file/.test(text) ? 'not found' : text;
}

describe('what they say of this machine', () => {
  const ask = <Value>(fact: Fact<Value>): Value => fact.parse(runIn('dash', fact.sh));

  it.each([
    ['etcd', 'etcd', `K10${'a'.repeat(64)}::server:pass`],
    ['sqlite', 'sqlite', 'K10x::server:old'],
    ['external', 'external', 'K10y::server:there'],
    ['prepared', 'none', undefined],
    ['wiped', 'none', undefined],
    ['missing', 'none', undefined],
  ])('the data of a server: %s', (name, datastore, token) => {
    const data = ask(serverData(at(name)));
    expect([data.datastore, data.token?.reveal()]).toEqual([datastore, token]);
    expect(data.hostName).toMatch(/^[^A-Z]+$/);
  });

  it('image archives, and nothing else', () => {
    expect(ask(imageArchives(at('images')))).toEqual(
      new Map([['a b.tar.zst', { sizeBytes: 5, sha256: sha256Of('image') }]]),
    );
    expect(ask(imageArchives(at('missing')))).toEqual(new Map());
  });

  it('manifests, whatever they are called', () => {
    expect(ask(fileDigests(at('images'))).get('-n.yaml')).toBe(sha256Of('a: 1\n'));
    expect(ask(fileDigests(at('missing'))).size).toBe(0);
  });

  it('who root is, and that there is no such user', () => {
    expect(ask(userKubectl('root'))).toMatchObject({ group: 'root', home: '/root' });
    expect(ask(userKubectl('no-such-user'))).toBeUndefined();
  });

  it('what k3s left: here only what a test put there', () => {
    expect(ask(k3sTraces(at('etcd'), at('units'))).paths).toContain(at('etcd'));
  });
});
