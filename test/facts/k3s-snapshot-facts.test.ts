import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import type { Fact } from '../../src/engine/fact.ts';
import { nodeCertificates } from '../../src/facts/k3s-certificates.ts';
import { encryptionStatus } from '../../src/facts/k3s-encryption.ts';
import { oldTokens, tokenAt } from '../../src/facts/k3s-old-tokens.ts';
import { restoreMarker, restoreState } from '../../src/facts/k3s-restore-state.ts';
import { serverData } from '../../src/facts/k3s-server-data.ts';
import { snapshotFolder, storedSnapshots } from '../../src/facts/k3s-snapshots.ts';
import { rotationMarker, tokenRotation } from '../../src/facts/k3s-token-rotation.ts';
import { emptyFolder } from '../cli/run-fleet.ts';

const now = new Date('2026-11-21T00:30:00Z');
const answer = (stdout: string) => ({ stdout, stderr: '', code: 0 });

/** The script run by this machine's sh, its answer parsed. */
function asked<Value>(fact: Fact<Value>): Value {
  return fact.parse(answer(execFileSync('sh', ['-c', fact.sh.text], { encoding: 'utf8' })));
}

describe('what servers tell', () => {
  it('snapshots, oldest first, without what is not finished', () => {
    const { files } = snapshotFolder('/x').parse(
      answer('200 5 /x/late name-1\n100 7 /x/early-1\n300 9 /x/half.tmp\n'),
    );
    expect(files).toEqual([
      { name: 'early-1', sizeBytes: 7, at: new Date(100_000) },
      { name: 'late name-1', sizeBytes: 5, at: new Date(200_000) },
    ]);
  });

  it('the token of then: the first that was replaced after that moment', () => {
    const tokens = oldTokens('/x').parse(answer('200 second\n100 first\n'));
    const at = (seconds: number): string | undefined => tokenAt(tokens, new Date(seconds * 1000))?.reveal();
    expect([at(50), at(100), at(150), at(250)]).toEqual(['first', 'first', 'second', undefined]);
    expect(JSON.stringify(tokens)).not.toContain('second');
    expect(tokens[0]?.token).toBeInstanceOf(Secret);
  });

  it('a restore that is not over, and the databases that were kept', () => {
    const state = restoreState('/d').parse(
      answer(
        'marker 20261121-003000\nmarker nightly\nmarker reset\nkept /d/server/db-before-restore-20261121-003000\nkept /d/server/db/etcd-old-1\n',
      ),
    );
    expect(state).toEqual({
      pending: { stamp: '20261121-003000', snapshot: 'nightly', phase: 'reset' },
      movedAside: ['20261121-003000'],
      keptFolders: ['/d/server/db-before-restore-20261121-003000', '/d/server/db/etcd-old-1'],
    });
  });

  it('a move that was broken off is not done', () => {
    const state = restoreState('/d').parse(
      answer('kept /d/server/db-before-restore-20261121-003000\nunfinished\n'),
    );
    expect(state.movedAside).toEqual([]);
  });
});

describe('what stands on a disk', () => {
  const dataFolder = (): string => {
    const folder = emptyFolder();
    mkdirSync(join(folder, 'server', 'db', 'snapshots'), { recursive: true });
    return folder;
  };

  it('snapshots, and no folder', () => {
    const folder = join(dataFolder(), 'server', 'db', 'snapshots');
    writeFileSync(join(folder, "it's one-1"), 'content');
    utimesSync(join(folder, "it's one-1"), now, now);
    mkdirSync(join(folder, 'extracted'));
    expect(asked(snapshotFolder(folder))).toEqual({
      folder,
      files: [{ name: "it's one-1", sizeBytes: 7, at: now }],
    });
    expect(asked(snapshotFolder('/nonexistent'))).toEqual({ folder: '/nonexistent', files: [] });
  });

  it('a restore', () => {
    const folder = dataFolder();
    expect(asked(restoreState(folder))).toEqual({ pending: undefined, movedAside: [], keptFolders: [] });
    mkdirSync(join(folder, 'server', 'db-before-restore-20261121-003000'));
    writeFileSync(restoreMarker(folder), '20261121-003000\nnightly 1\nbegun\n');
    expect(asked(restoreState(folder))).toMatchObject({
      pending: { stamp: '20261121-003000', snapshot: 'nightly 1', phase: 'begun' },
      movedAside: ['20261121-003000'],
    });
  });

  it('a rotation of the token', () => {
    const folder = dataFolder();
    const states = [asked(tokenRotation(folder))];
    writeFileSync(rotationMarker(folder), '/old\n');
    states.push(asked(tokenRotation(folder)));
    writeFileSync(rotationMarker(folder), '/old\nrotated\n');
    states.push(asked(tokenRotation(folder)));
    expect(states).toEqual(['none', 'begun', 'rotated']);
  });

  it('an agent-token of its own, and the link that k3s makes where there is none', () => {
    const folder = dataFolder();
    const server = join(folder, 'server');
    writeFileSync(join(server, 'token'), 'K10aa::server:one\n');
    symlinkSync('token', join(server, 'agent-token'));
    expect(asked(serverData(folder)).agentToken).toBeUndefined();
    const other = dataFolder();
    writeFileSync(join(other, 'server', 'token'), 'K10aa::server:one\n');
    writeFileSync(join(other, 'server', 'agent-token'), 'K10aa::node:two\n');
    expect(asked(serverData(other)).agentToken?.reveal()).toBe('K10aa::node:two');
  });

  it('certificates, the authorities apart', () => {
    const folder = dataFolder();
    const tls = join(folder, 'server', 'tls');
    mkdirSync(join(tls, 'etcd'), { recursive: true });
    const make = (name: string, days: number): void => {
      const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=x', '-days', String(days)];
      execFileSync('openssl', [...args, '-keyout', '/dev/null', '-out', join(tls, name)], {
        stdio: 'ignore',
      });
    };
    make('client-admin.crt', 300);
    make('etcd/server-client.crt', 20);
    make('server-ca.crt', 3650);
    writeFileSync(join(tls, 'broken.crt'), 'half');
    const { renewed, authorities } = asked(nodeCertificates(folder));
    const names = (list: readonly { path: string }[]) => list.map(({ path }) => path.slice(tls.length + 1));
    expect(names(renewed)).toEqual(['etcd/server-client.crt', 'client-admin.crt']);
    expect(names(authorities)).toEqual(['server-ca.crt']);
    expect(existsSync(tls) && readdirSync(tls).length).toBe(4);
  });
});

describe('what k3s tells', () => {
  it('its encryption status, in its own words where it cannot', () => {
    const { parse } = encryptionStatus('/x');
    expect(
      parse(answer('{"stage":"reencrypt_finished","activekey":"k","enable":true,"hashmatch":false}')),
    ).toEqual({
      enabled: true,
      stage: 'reencrypt_finished',
      activeKey: 'k',
      hashesMatch: false,
    });
    // No configuration at all is told by a null.
    expect(parse(answer('{"enable":null,"hashmatch":true}'))).toMatchObject({ enabled: false, stage: '' });
    expect(parse({ stdout: '', stderr: 'level=fatal\nrefused\n', code: 1 })).toEqual({
      unavailable: 'refused',
    });
  });

  it('snapshots in an object store, and not those on disks again', () => {
    const told = 'a\tfile:///x/a\t5\t2026-11-21T00:30:00Z\nb\ts3://bucket/b\t7\t2026-11-21T00:30:00Z\n';
    expect(storedSnapshots.parse(answer(told))).toEqual([
      { name: 'b', location: 's3://bucket/b', sizeBytes: 7, at: now },
    ]);
  });
});
