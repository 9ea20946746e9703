import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ObjectStore, startObjectStore } from '../fleet/object-store.ts';
import { ArgvWatch } from './argv-watch.ts';
import { ofKind } from './fleet-cli.ts';
import { clusterNodes, kubectl, type Lab, on, startLab } from './lab.ts';

/** Snapshots in an object store that checks every signature: saved, listed, fetched, restored when the disk's are gone, deleted. */

const snapshots = '/var/lib/rancher/k3s/server/db/snapshots';

describe('a server and an object store', () => {
  let lab: Lab;
  let store: ObjectStore;
  let saved: string;

  beforeAll(async () => {
    lab = await startLab({ servers: 1, agents: 0, user: 'root', vars: { cluster_context: 'lab' } });
    store = await startObjectStore({ address: lab.nodes.network.gateway });
    await write({});
    await lab.cli.up();
  });

  afterAll(async () => {
    await store?.stop();
    await lab?.stop();
  });

  const write = (more: Readonly<Record<string, unknown>>): Promise<string> =>
    lab.nodes.writeInventory({
      server_config_yaml: {
        'cluster-init': true,
        'etcd-s3': true,
        'etcd-s3-endpoint': store.endpoint,
        'etcd-s3-insecure': true,
        'etcd-s3-region': store.region,
        'etcd-s3-bucket': store.bucket,
        'etcd-s3-folder': 'lab/one',
        'etcd-s3-access-key': store.accessKey,
        'etcd-s3-secret-key': store.secretKey,
        ...more,
      },
    });
  const create = async (object: object): Promise<void> => {
    const file = path.join(lab.nodes.directory, 'object.json');
    await writeFile(file, JSON.stringify(object));
    expect(await kubectl(lab.cli, 'create', '-f', file)).toMatchObject({ code: 0, stderr: '' });
  };
  const listed = async (): Promise<string[]> => {
    const { stdout } = await lab.cli.run(['snapshot', 'ls', '--output', 'json'], { expect: 0 });
    const found = JSON.parse(stdout) as { snapshots: { name: string; on: string; location: string }[] };
    return found.snapshots.map((one) => `${one.on} ${one.location}`).sort();
  };

  test('save and ls: on the disk and in the store, and no key in any argument', async () => {
    const watch = await ArgvWatch.start(lab, lab.nodes.node('server-1'));
    const done = await lab.cli.run(['snapshot', 'save', 'nightly'], { expect: 0 });
    saved = done.stdout.trim().split('\n').at(-1) ?? '';
    expect(done.stderr).toContain(`as s3://backups/lab/one/${saved} in the object store`);
    expect([...store.objects.keys()]).toEqual([`lab/one/${saved}`]);
    expect(await listed()).toEqual([`s3 s3://backups/lab/one/${saved}`, `server-1 ${snapshots}/${saved}`]);
    const seen = await watch.stop();
    expect(JSON.stringify(seen)).not.toContain(store.secretKey);
  });

  test('get: what only the store has comes through a server, whole', async () => {
    await on(lab, 'server-1', `rm ${snapshots}/${saved}`);
    expect(await listed()).toEqual([`s3 s3://backups/lab/one/${saved}`]);
    await lab.cli.run(['snapshot', 'get', saved, '--to', 'backup', '--without-token'], { expect: 0 });
    expect(await readFile(path.join(lab.cli.folder, 'backup', saved))).toEqual(
      store.objects.get(`lab/one/${saved}`)?.content,
    );
  });

  test('restore --s3: the cluster is what it was', async () => {
    await create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'later', namespace: 'default' } });
    const done = await lab.cli.run(
      ['snapshot', 'restore', saved, '--s3', '--yes', '--confirm', 'lab', '--output', 'json'],
      { expect: 0 },
    );
    expect(ofKind(done.events, 'run-finished')[0]?.status).toBe('changed');
    const { stdout } = await kubectl(lab.cli, 'get', 'configmaps', '-o', 'name');
    expect(stdout).not.toContain('later');
    expect((await clusterNodes(lab.cli, 'lab'))['server-1']).toMatchObject({ ready: true, voter: true });
    await lab.cli.plan({ expect: 0 });
  });

  test('settings in a Secret of the cluster: k3s and get read them there; a restore cannot, and is refused', async () => {
    const settings = {
      'etcd-s3-endpoint': store.endpoint,
      'etcd-s3-insecure': 'true',
      'etcd-s3-region': store.region,
      'etcd-s3-bucket': store.bucket,
      'etcd-s3-folder': 'lab/one',
      'etcd-s3-access-key': store.accessKey,
      'etcd-s3-secret-key': store.secretKey,
    };
    const metadata = { name: 'snapshots', namespace: 'kube-system' };
    await create({ apiVersion: 'v1', kind: 'Secret', metadata, stringData: settings });
    await lab.nodes.writeInventory({
      server_config_yaml: { 'cluster-init': true, 'etcd-s3': true, 'etcd-s3-config-secret': 'snapshots' },
    });
    await lab.cli.up();
    const done = await lab.cli.run(['snapshot', 'save', 'by-secret'], { expect: 0 });
    const name = done.stdout.trim().split('\n').at(-1) ?? '';
    expect([...store.objects.keys()]).toContain(`lab/one/${name}`);
    await on(lab, 'server-1', `rm ${snapshots}/${name}`);
    await lab.cli.run(['snapshot', 'get', name, '--to', 'backup', '--without-token'], { expect: 0 });
    expect(await readFile(path.join(lab.cli.folder, 'backup', name))).toEqual(
      store.objects.get(`lab/one/${name}`)?.content,
    );
    const refused = await lab.cli.run(['snapshot', 'restore', name, '--s3', '--yes', '--confirm', 'lab']);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/its settings are in the Secret snapshots of the cluster/);
  });

  test('delete: from the disk and from the store', async () => {
    await lab.cli.run(['snapshot', 'delete', saved, '--yes'], { expect: 0 });
    expect([...store.objects.keys()].filter((key) => key.endsWith(saved))).toEqual([]);
    expect((await listed()).filter((line) => line.endsWith(saved))).toEqual([]);
  });

  test('a wrong key: k3s says what the store said', async () => {
    await write({ 'etcd-s3-secret-key': 'not-this-one' });
    await lab.cli.up();
    const failed = await lab.cli.run(['snapshot', 'save', 'broken'], { expect: 1 });
    expect(failed.stderr + failed.stdout).toContain('SignatureDoesNotMatch');
    expect(store.refused.some((line) => line.startsWith('403 SignatureDoesNotMatch PUT'))).toBe(true);
  });
});
