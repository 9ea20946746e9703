import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  airgapFolder,
  chartsIn,
  filesFor,
  imagesIn,
  manifestsIn,
  selinuxFilesIn,
} from '../../src/facts/airgap-folder.ts';
import { airgapInspection } from '../../src/facts/airgap-inspection.ts';
import { wantedRelease } from '../../src/facts/k3s-release.ts';
import { machines, program, sha256 } from '../airgap/releases-folder.ts';

let folder: string;
const put = (name: string, content: Buffer | string): void => {
  mkdirSync(join(folder, name, '..'), { recursive: true });
  writeFileSync(join(folder, name), content);
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fleet-airgap-folder-'));
  process.env.FLEET_CACHE = join(folder, '.cache');
});
afterEach(() => {
  delete process.env.FLEET_CACHE;
  rmSync(folder, { recursive: true, force: true });
});

describe('a folder', () => {
  it('is its own files and those of releases and images, and nothing else', async () => {
    for (const name of [
      'k3s',
      '.k3s.part',
      'v1.34.1+k3s1/k3s',
      'v1.34.1+k3s1/.x.part',
      'images/own.tar',
      'old/k3s',
    ])
      put(name, 'x');
    const files = await airgapFolder(folder).read();
    expect(files.map(({ name }) => name)).toEqual(['images/own.tar', 'k3s', 'v1.34.1+k3s1/k3s']);
    expect(filesFor(files, 'v1.34.1+k3s1').map(({ name }) => name)).toEqual([
      'v1.34.1+k3s1/k3s',
      'images/own.tar',
    ]);
    expect(filesFor(files, 'v1.33.4+k3s1').map(({ name }) => name)).toEqual(['images/own.tar', 'k3s']);
  });

  it('has charts, manifests and packages in folders of their own', async () => {
    for (const name of [
      'charts/a-1.tgz',
      'charts/x.txt',
      'manifests/a.yaml',
      'manifests/b.sh',
      'selinux/el9/a.rpm',
      'selinux/el9/deep/b.rpm',
      'selinux/sle/a.rpm',
    ])
      put(name, 'x');
    const files = await airgapFolder(folder).read();
    const names = (found: readonly { name: string }[]): readonly string[] => found.map(({ name }) => name);
    expect(names(chartsIn(files))).toEqual(['charts/a-1.tgz']);
    expect(names(manifestsIn(files))).toEqual(['manifests/a.yaml']);
    expect(names(selinuxFilesIn(files, 'el9'))).toEqual(['selinux/el9/a.rpm']);
    expect(imagesIn(files, 'amd64', 'v1.33.4+k3s1')).toEqual([]);
    expect((await airgapInspection(folder).read()).files.get('charts/a-1.tgz')?.sha256).toBe(sha256('x'));
  });

  it('has images for an architecture where their names say so, and for all where they only sound like one', async () => {
    const names = [
      'alarm.tar',
      'swarm-1.tar',
      'x-amd64.tar',
      'x-arm64.tar',
      'x-arm.tar',
      'y_armhf.tar.gz',
      'z.armv7.tar',
    ];
    for (const name of names) put(`images/${name}`, 'x');
    const files = await airgapFolder(folder).read();
    const of = (arch: 'amd64' | 'arm64' | 'arm'): readonly string[] =>
      imagesIn(files, arch, 'v1.33.4+k3s1').map(({ name }) => name.slice('images/'.length));
    expect(of('amd64')).toEqual(['alarm.tar', 'swarm-1.tar', 'x-amd64.tar']);
    expect(of('arm64')).toEqual(['alarm.tar', 'swarm-1.tar', 'x-arm64.tar']);
    expect(of('arm')).toEqual(['alarm.tar', 'swarm-1.tar', 'x-arm.tar', 'y_armhf.tar.gz', 'z.armv7.tar']);
  });

  it('says what its programs are', async () => {
    // A version across the border of two reads.
    const border = program(machines.amd64, '', 5_000_000);
    border.fill(0, 64);
    border.write('v1.33.4+k3s1', 4 * 1024 * 1024 - 5, 'latin1');
    put('k3s', border);
    put('k3s-arm64', program(machines.arm64, 'v1.33.4+k3s1 and v1.32.1-rc2+k3s10'));
    put('k3s-armhf', '<html>not found</html>');
    const { files } = await airgapInspection(folder).read();
    expect(files.get('k3s')).toMatchObject({ machine: 'amd64', releases: ['v1.33.4+k3s1'] });
    expect(files.get('k3s-arm64')).toMatchObject({
      machine: 'arm64',
      releases: ['v1.32.1-rc2+k3s10', 'v1.33.4+k3s1'],
    });
    expect(files.get('k3s-armhf')?.machine).toBeUndefined();
  });

  it('holds files made by hand against the sums that lie beside them, under both names', async () => {
    const binary = program(machines.amd64, 'v1.33.4+k3s1');
    put('k3s-amd64', binary);
    put('own.tar', 'x');
    put('sha256sum-amd64.txt', `${sha256(binary)}  k3s\n`);
    const { files } = await airgapInspection(folder).read();
    expect(files.get('k3s-amd64')?.published).toEqual({ sha256: sha256(binary), by: 'sha256sum-amd64.txt' });
    expect(files.get('own.tar')?.published).toBeUndefined();
  });

  it('says how large archives become, where they say it', async () => {
    put('a.tar.gz', gzipSync(Buffer.alloc(500_000)));
    put('b.tar', Buffer.alloc(1000));
    // A zstd frame of a single segment with its size in 8 bytes.
    const frame = Buffer.concat([
      Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xe0]),
      Buffer.alloc(8),
      randomBytes(50),
    ]);
    frame.writeBigUInt64LE(123_456n, 5);
    put('c.tar.zst', frame);
    put('d.tar.xz', randomBytes(100));
    const { files } = await airgapInspection(folder).read();
    expect([...files].map(([name, { unpackedBytes }]) => [name, unpackedBytes])).toEqual([
      ['a.tar.gz', 500_000],
      ['b.tar', 1000],
      ['c.tar.zst', 123_456],
      ['d.tar.xz', 300],
    ]);
  });

  it('is read anew where a large file changed, though size and time say otherwise', async () => {
    const [one, two] = [randomBytes(9_000_000), randomBytes(9_000_000)];
    const time = new Date(1_700_000_000_000);
    for (const content of [one, two]) {
      put('a.tar', content);
      utimesSync(join(folder, 'a.tar'), time, time);
      const { files } = await airgapInspection(folder).read();
      expect(files.get('a.tar')?.sha256).toBe(sha256(content));
    }
  });

  it.each([
    ['no JSON', '{', /bundle\.json/],
    ['another form', '{"format": 2}', /bundle\.json/],
  ])('with a list that is %s is refused', async (_what, text, message) => {
    put('bundle.json', text);
    await expect(airgapInspection(folder).read()).rejects.toMatchObject({
      code: 'AIRGAP_BUNDLE',
      message: expect.stringMatching(message),
    });
  });

  it('answers what a channel is without asking anybody outside', async () => {
    const asked = (channel: string) => wantedRelease(channel, 'https://unused.invalid', folder).read();
    await expect(asked('stable')).rejects.toMatchObject({ code: 'CHANNEL_OFFLINE' });
    for (const version of ['v1.33.9+k3s1', 'v1.33.10+k3s1', 'v1.34.1+k3s1', 'v1.35.0-rc1+k3s1'])
      put(`${version}/k3s`, 'x');
    expect((await asked('stable')).text).toBe('v1.34.1+k3s1');
    expect((await asked('v1.33')).text).toBe('v1.33.10+k3s1');
    await expect(asked('v1.32')).rejects.toMatchObject({ code: 'CHANNEL_OFFLINE' });
  });
});
