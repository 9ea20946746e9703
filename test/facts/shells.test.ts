import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Fact } from '../../src/engine/fact.ts';
import { authorizedKeys, crontab, group, user } from '../../src/facts/account.ts';
import { appArmor } from '../../src/facts/apparmor.ts';
import { cgroupBoot } from '../../src/facts/cgroup-boot.ts';
import { timezone } from '../../src/facts/clock.ts';
import {
  checksumOf,
  contentOf,
  digestOf,
  fetchedFile,
  fileAt,
  foundFiles,
  treeOf,
} from '../../src/facts/file.ts';
import { firewalldZone, nftRules, ufwState } from '../../src/facts/firewall.ts';
import { hostFacts } from '../../src/facts/host.ts';
import { hostName } from '../../src/facts/host-name.ts';
import { identity } from '../../src/facts/identity.ts';
import { iptables } from '../../src/facts/iptables.ts';
import { k3sFirewalld, nodeAddresses, ufwFiltersIpv6 } from '../../src/facts/k3s-firewall.ts';
import { k3sNftables } from '../../src/facts/k3s-nftables.ts';
import { kernelModule } from '../../src/facts/kernel-module.ts';
import { mountsInUse } from '../../src/facts/mount.ts';
import { nodeRoutes } from '../../src/facts/node-routes.ts';
import { debFile, packages } from '../../src/facts/package.ts';
import { connectionsOn, tcpPort } from '../../src/facts/port.ts';
import {
  freeSpace,
  hostProxy,
  listeners,
  otherKubernetes,
  readOnlySystem,
} from '../../src/facts/preflight.ts';
import { type ReachTargets, reachOf } from '../../src/facts/reach.ts';
import { selinuxState } from '../../src/facts/selinux.ts';
import { service } from '../../src/facts/service.ts';
import { sudoPath } from '../../src/facts/sudo-path.ts';
import { swapState } from '../../src/facts/swap.ts';
import { sysctlInUse } from '../../src/facts/sysctl.ts';
import { timeService } from '../../src/facts/time-service.ts';
import { BatchReader } from '../../src/ssh/batch-reader.ts';
import type { Answer } from '../../src/ssh/connection.ts';
import { batchScript, newNonce } from '../../src/ssh/frames.ts';
import { runIn, shells } from '../steps/here.ts';

const folder = mkdtempSync(join(tmpdir(), "fleet facts' $(x)-"));
const at = (name: string) => join(folder, name);

beforeAll(() => {
  writeFileSync(at('plain'), 'one\ntwo');
  writeFileSync(at('binary'), Buffer.from([0, 255, 10, 13, 10]));
  writeFileSync(at('crlf'), 'one\r\ntwo\r\n\r\n');
  writeFileSync(at('empty'), '');
  writeFileSync(at('large'), 'x'.repeat(300_000));
  mkdirSync(at('sub/deep'), { recursive: true });
  writeFileSync(at('sub/deep/file name'), 'three');
  symlinkSync('plain', at('link'));
  symlinkSync('nowhere', at('broken'));
  symlinkSync('sub', at('dir-link'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const nobodyListens = { address: '127.0.0.1', port: 1 };
const nobody: ReachTargets = {
  tcp: [],
  udp: [],
  paths: [],
  names: [],
  resolvConf: at('empty'),
  circle: { addresses: [], skip: [], ports: [] },
};
const names = [
  'plain',
  'binary',
  'crlf',
  'empty',
  'large',
  'sub',
  'link',
  'broken',
  'dir-link',
  'missing',
  'plain/below',
];
const facts: readonly Fact<unknown>[] = [
  ...names.flatMap((name) => [fileAt(at(name)), contentOf(at(name)), digestOf(at(name))]),
  treeOf(folder),
  treeOf(at('missing')),
  checksumOf(at('plain'), 'sha1'),
  checksumOf(at('missing'), 'sha512'),
  fetchedFile(at('binary')),
  fetchedFile(at('sub')),
  fetchedFile(at('missing')),
  foundFiles({ paths: [folder, at('missing')], depth: -1, type: 'file', hidden: false }),
  fileAt('/dev/null'),
  identity,
  hostFacts,
  hostName,
  packages(['bash', 'awk', 'no-such-package', 'libc6:amd64'], undefined, false),
  packages(['bash'], 'apt', true),
  packages([], undefined, false),
  debFile(at('plain')),
  service('ssh'),
  service('no-such-service'),
  sysctlInUse('net.ipv4.ip_forward'),
  sysctlInUse('net.no.such'),
  kernelModule('br_netfilter'),
  kernelModule('nf_conntrack'),
  kernelModule('no-such-module'),
  swapState,
  mountsInUse,
  user('root'),
  user('no-such-user'),
  group('root'),
  group('no-such-group'),
  authorizedKeys('root', undefined),
  authorizedKeys('no-such-user', undefined),
  authorizedKeys('root', at('plain')),
  crontab(undefined),
  crontab('root'),
  tcpPort('127.0.0.1', 1, 1),
  connectionsOn(1),
  selinuxState,
  ufwState,
  firewalldZone(undefined),
  k3sFirewalld,
  nodeAddresses,
  freeSpace('/dev/no/where'),
  ufwFiltersIpv6,
  cgroupBoot,
  appArmor,
  sudoPath,
  nftRules,
  k3sNftables,
  iptables,
  nodeRoutes(['127.0.0.1']),
  timeService,
  otherKubernetes,
  hostProxy,
  listeners,
  readOnlySystem,
  reachOf({ ...nobody, tcp: [nobodyListens] }),
  reachOf({ ...nobody, udp: [nobodyListens] }),
  reachOf({ ...nobody, names: ['localhost'] }),
  reachOf({ ...nobody, paths: ['127.0.0.1'] }),
  timezone('Etc/UTC'),
  timezone('No/Where'),
];

/** What changes between two looks by itself. */
function steady(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (key, inner) => {
      if (
        [
          'memoryFreeKiB',
          'memoryAvailableKiB',
          'uptimeS',
          'clockS',
          'listsAgeS',
          'accessedAtS',
          'swapFreeKiB',
        ].includes(key)
      )
        return 0;
      // dpkg, rpm and getent are there in every shell; SHELL is what the shell itself sets.
      if (key === 'shell') return '';
      return inner instanceof Map ? [...inner] : inner instanceof Set ? [...inner] : inner;
    }) ?? 'null',
  );
}

const available = Object.keys(shells).filter(
  (shell) =>
    spawnSync(shells[shell]?.[0] ?? '', shell === 'busybox' ? ['true'] : ['-c', 'true']).status === 0,
);

describe.each(available)('every fact in %s', (shell) => {
  test.each(facts.map((fact) => [fact.key.replace(folder, 'FOLDER'), fact] as const))('%s', (_key, fact) => {
    const answer = runIn(shell, fact.sh);
    const value = fact.parse(answer);
    expect(answer.stderr, 'a fact says nothing on stderr').toBe('');
    expect(answer.code).toBe(0);
    // BusyBox brings a crontab of its own to a machine that has none; other tests listen and hang up meanwhile.
    if (fact.key.startsWith('cron:') || fact === listeners) return;
    expect(steady(value)).toEqual(steady(fact.parse(runIn('dash', fact.sh))));
  });
});

describe.each(available)('facts asked together in %s', (shell) => {
  const odd = ["it's", 'two  words', 'two', 'new\nline', 'back\\slash', '-n', '*', 'a  /plain', 'é'];
  const paths = [...names, ...odd, 'dir-link/deep/file name', 'sub/deep'].map(at);
  const together = (asked: readonly Fact<unknown>[], path?: string): readonly Answer[] => {
    const nonce = newNonce();
    const answers: Answer[] = [];
    const reader = new BatchReader({
      nonce,
      items: asked.map(() => ({})),
      limitBytes: 1e8,
      onAnswer: (_index, answer) => answers.push(answer as Answer),
      onOverflow: () => expect.unreachable(),
    });
    const items = asked.map(({ sh: script, ofMany }) => ({
      script,
      ...(ofMany === undefined ? {} : { ofMany }),
    }));
    const [program = '', ...options] = shells[shell] ?? [];
    const env = path === undefined ? process.env : { ...process.env, PATH: `${path}:${process.env.PATH}` };
    const done = spawnSync(program, options, { input: batchScript(nonce, items), env, maxBuffer: 1e9 });
    reader.stdout(done.stdout);
    reader.stderr(done.stderr);
    expect(reader.complete).toBe(true);
    return answers;
  };

  beforeAll(() => {
    for (const name of odd) {
      mkdirSync(dirname(at(name)), { recursive: true });
      writeFileSync(at(name), name);
    }
  });

  test.each([
    ['fileAt', paths.map(fileAt)],
    ['contentOf', paths.map(contentOf)],
    ['digestOf', paths.map(digestOf)],
    ['sysctlInUse', ['net.ipv4.ip_forward', 'net.no.such', 'kernel.hostname'].map(sysctlInUse)],
    ['kernelModule', ['br_netfilter', 'no-such-module', 'overlay'].map(kernelModule)],
  ] as [string, Fact<unknown>[]][])('%s answers as it does alone', (_name, asked) => {
    const answers = together(asked);
    for (const [index, fact] of asked.entries()) {
      const [answer, alone] = [answers[index] as Answer, runIn(shell, fact.sh)];
      expect([fact.key, steady(fact.parse(answer)), answer.stderr]).toEqual([
        fact.key,
        steady(fact.parse(alone)),
        '',
      ]);
    }
  });

  test.skipIf(shell === 'busybox')('plain files cost one stat and one sum for all', () => {
    const shims = at('shims');
    mkdirSync(shims, { recursive: true });
    for (const tool of ['stat', 'sha256sum']) {
      const log = `#!/bin/sh\necho ${tool} >>"$0.log"\nPATH=\${PATH#*:}\nexec ${tool} "$@"\n`;
      writeFileSync(join(shims, tool), log, { mode: 0o755 });
    }
    const plain = ['plain', 'crlf', 'empty', 'missing'].map(at);
    together([...plain.map(fileAt), ...plain.map(contentOf)], shims);
    expect(['stat', 'sha256sum'].map((tool) => readFileSync(join(shims, `${tool}.log`), 'utf8'))).toEqual([
      'stat\n',
      'sha256sum\n',
    ]);
    rmSync(shims, { recursive: true });
  });
});

describe('what the facts say of this machine', () => {
  const ask = <Value>(fact: Fact<Value>): Value => fact.parse(runIn('dash', fact.sh));

  test('files', () => {
    expect(ask(fileAt(at('missing')))).toEqual({ self: undefined, followed: undefined });
    expect(ask(fileAt(at('plain'))).self).toMatchObject({ type: 'file', mode: '0644', sizeBytes: 7 });
    expect(ask(fileAt(at('link')))).toMatchObject({
      self: { type: 'link' },
      followed: { type: 'file' },
      linkTarget: 'plain',
      realPath: at('plain'),
    });
    expect(ask(fileAt(at('broken')))).toMatchObject({
      self: { type: 'link' },
      followed: undefined,
      linkTarget: 'nowhere',
    });
    expect(ask(fileAt('/dev/null')).self?.type).toBe('character');
  });

  test('content is faithful, or absent', () => {
    expect(ask(contentOf(at('plain'))).text).toBe('one\ntwo');
    expect(ask(contentOf(at('crlf'))).text).toBe('one\r\ntwo\r\n\r\n');
    expect(ask(contentOf(at('empty'))).text).toBe('');
    expect(ask(contentOf(at('binary')))).toEqual({ sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(ask(contentOf(at('large')))).toEqual({ sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(ask(contentOf(at('sub')))).toEqual({ sha256: undefined });
    expect(ask(digestOf(at('plain')))).toEqual({ sha256: ask(contentOf(at('plain'))).sha256 });
    const fetched = ask(fetchedFile(at('binary')));
    expect(fetched.kind === 'file' && [...fetched.bytes]).toEqual([0, 255, 10, 13, 10]);
  });

  test('trees', () => {
    const tree = ask(treeOf(folder));
    expect(tree?.get('sub/deep/file name')).toMatchObject({
      type: 'file',
      sha256: ask(digestOf(at('sub/deep/file name'))).sha256,
    });
    expect(tree?.get('.')?.type).toBe('directory');
    expect(ask(treeOf(at('missing')))).toBeUndefined();
  });

  test('packages', () => {
    const state = ask(packages(['bash', 'awk', 'no-such-package'], undefined, false));
    expect(state.manager).toBe('apt');
    expect(state.installed.get('bash')).toMatch(/^5\./);
    expect(state.installed.has('awk'), 'mawk provides awk').toBe(true);
    expect(state.installed.has('no-such-package')).toBe(false);
  });

  test('who is reached, and who listens nowhere', () => {
    const tries = { tcp: [nobodyListens], udp: [nobodyListens], names: ['localhost'] };
    // This machine is in the middle of the circle: the last one is asked, the first is not.
    const circle = {
      addresses: ['192.0.2.1', '127.0.0.1', '127.0.0.2'],
      skip: [],
      ports: ['tcp 2', 'udp 3'],
    };
    const reached = ask(reachOf({ ...nobody, ...tries, circle }));
    expect(reached.isNew && Object.fromEntries(reached.ways)).toEqual({
      'tcp 127.0.0.1 1': 'refused',
      'udp 127.0.0.1 1': 'refused',
      'name localhost': 'open',
      'tcp 127.0.0.2 2': 'refused',
      'udp 127.0.0.2 3': 'refused',
    });
    expect(ask(reachOf({ ...nobody, circle: { ...circle, skip: ['127.0.0.2'] } }))).toMatchObject({
      ways: new Map(),
    });
  });

  test('the host', () => {
    const host = ask(hostFacts);
    expect(host.os.id).toBe('debian');
    expect(host.cpus).toBeGreaterThan(0);
    expect(host.memoryTotalKiB).toBeGreaterThan(100_000);
  });
});
