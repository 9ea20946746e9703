import { readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { armor, Decrypter } from 'age-encryption';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { endedAs } from './fleet-cli.ts';
import { clusterNodes, kubectl, type Lab, on, startLab } from './lab.ts';

/** The way back: snapshots, a restore that is killed in its middle, one that cannot work, and a quorum that is gone for good. */

const passphrase = 'a passphrase of this test';
const confirmed = ['--yes', '--confirm', 'k3s-ansible'];

describe('three servers and an agent', () => {
  let lab: Lab;
  let saved: string;

  beforeAll(async () => {
    lab = await startLab({ servers: 3, agents: 1, vars: { cluster_context: 'k3s-ansible' } });
    await lab.cli.up();
  });

  afterAll(async () => {
    await lab?.stop();
  });

  const notes = async (): Promise<string[]> => {
    const { stdout } = await kubectl(lab.cli, 'get', 'configmaps', '-o', 'name');
    return stdout
      .split('\n')
      .flatMap((line) => /^configmap\/(note-.*)$/.exec(line)?.[1] ?? [])
      .sort();
  };
  const note = async (name: string): Promise<void> => {
    const file = path.join(lab.cli.folder, `${name}.json`);
    const metadata = { name: `note-${name}`, namespace: 'default' };
    await writeFile(file, JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata }));
    expect(await kubectl(lab.cli, 'create', '-f', file)).toMatchObject({ code: 0, stderr: '' });
  };
  const everybodyIsWell = async (): Promise<void> => {
    const nodes = await clusterNodes(lab.cli);
    expect(Object.entries(nodes).map(([name, { ready, voter }]) => `${name} ${ready} ${voter}`)).toEqual([
      'agent-1 true undefined',
      'server-1 true true',
      'server-2 true true',
      'server-3 true true',
    ]);
  };

  test('save, ls and get, with the token that opens it', async () => {
    await note('kept');
    const done = await lab.cli.run(['snapshot', 'save', 'nightly'], { expect: 0 });
    saved = done.stdout.trim().split('\n').at(-1) ?? '';
    expect(saved).toMatch(/^nightly-server-1-\d+$/);

    const listed = await lab.cli.run(['snapshot', 'ls', '--output', 'json'], { expect: 0 });
    const { snapshots } = JSON.parse(listed.stdout) as { snapshots: { name: string; on: string }[] };
    expect(snapshots).toMatchObject([{ name: saved, on: 'server-1' }]);

    const refused = await lab.cli.run(['snapshot', 'get', saved]);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('--passphrase-file');

    await lab.cli.run(['snapshot', 'get', saved, '--to', 'backup'], {
      env: { FLEET_SNAPSHOT_PASSPHRASE: passphrase },
      expect: 0,
    });
    const fetched = path.join(lab.cli.folder, 'backup', saved);
    expect((await stat(fetched)).mode & 0o777).toBe(0o600);
    const there = await on(lab, 'server-1', `sha256sum < /var/lib/rancher/k3s/server/db/snapshots/${saved}`);
    expect(await sha256(fetched)).toBe(there.split(' ')[0]);
    const decrypter = new Decrypter();
    decrypter.addPassphrase(passphrase);
    const sealed = armor.decode(await readFile(`${fetched}.token.age`, 'utf8'));
    expect((await decrypter.decrypt(sealed, 'text')).trim()).toBe(
      await on(lab, 'server-1', 'cat /var/lib/rancher/k3s/server/token'),
    );
  });

  test('a restore that is killed in its middle goes on when it is run again', async () => {
    await note('later');
    const restore = ['snapshot', 'restore', saved, ...confirmed];
    const unsure = await lab.cli.run(['snapshot', 'restore', saved, '--yes', '--confirm', 'another']);
    expect(unsure.stderr).toContain('nothing was changed');

    const running = lab.cli.start([...restore, '--output', 'json']);
    await running.until((event) => event.kind === 'task-started' && /set back|etcd is/.test(event.task));
    running.kill('SIGKILL');
    await running.ended;

    const again = await lab.cli.run([...restore, '--output', 'json'], { expect: 0 });
    // What was moved aside before is not moved again, and nothing is saved of what is half done.
    expect(endedAs(again.events, 'changed')).not.toContain('server-2: Database moved aside');
    expect(await notes()).toEqual(['note-kept']);
    await everybodyIsWell();
    const kept = await on(lab, 'server-2', 'ls -d /var/lib/rancher/k3s/server/db-before-restore-*/etcd');
    expect(kept.split('\n')).toHaveLength(1);
    expect(await on(lab, 'server-1', 'ls /var/lib/rancher/k3s/server')).not.toContain('fleet-restore');

    const up = await lab.cli.up();
    expect(endedAs(up.events, 'changed')).toEqual([]);
  });

  test('back to what was before the restore', async () => {
    const listed = await lab.cli.run(['snapshot', 'ls', '--output', 'json'], { expect: 0 });
    const { snapshots } = JSON.parse(listed.stdout) as { snapshots: { name: string }[] };
    expect(snapshots.map(({ name }) => name.replace(/-server-1-\d+$/, ''))).toEqual([
      'nightly',
      'before-restore',
    ]);
  });

  test('a file that is no snapshot: refused by k3s, and the cluster is put back as it was', async () => {
    const garbage = path.join(lab.cli.folder, 'garbage');
    await writeFile(garbage, 'no snapshot');
    const failed = await lab.cli.run(['snapshot', 'restore', garbage, ...confirmed]);
    expect(failed.code).toBe(1);
    expect(failed.stdout + failed.stderr).toContain('Nothing is lost');
    await lab.cli.run(['snapshot', 'restore', '--back', ...confirmed], { expect: 0 });
    expect(await notes()).toEqual(['note-kept']);
    await everybodyIsWell();
    await lab.cli.plan({ expect: 0 });
  });

  test('the quorum is gone for good: one server is restored, and the dead leave the cluster', async () => {
    await note('lost');
    for (const name of ['server-2', 'server-3']) await lab.nodes.kill(lab.nodes.node(name));
    const file = path.join(lab.cli.folder, 'backup', saved);
    const env = { FLEET_SNAPSHOT_PASSPHRASE: passphrase };
    const restore = ['snapshot', 'restore', file, ...confirmed, '--timeout', '10'];
    const refused = await lab.cli.run(restore, { env });
    expect(refused.stderr).toContain('--gone server-2 --gone server-3');

    await lab.cli.run([...restore, '--gone', 'server-2', '--gone', 'server-3'], { env, expect: 0 });
    expect(await notes()).toEqual(['note-kept']);
    expect(await clusterNodes(lab.cli)).toMatchObject({
      'server-1': { ready: true, voter: true },
      'agent-1': { ready: true },
    });
    expect(Object.keys(await clusterNodes(lab.cli))).toHaveLength(2);
  });
});

async function sha256(file: string): Promise<string> {
  const { createHash } = await import('node:crypto');
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
}
