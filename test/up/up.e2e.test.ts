import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { snapshotDifferences } from '../fleet/filesystem-snapshot.ts';
import { defaultK3sVersion } from '../fleet/k3s-artifacts.ts';
import { type Ended, endedAs, ofKind } from './fleet-cli.ts';
import {
  clusterNodes,
  kubectl,
  type Lab,
  officeKubeconfig,
  on,
  remains,
  serviceStarts,
  startLab,
  writeKubeconfig,
} from './lab.ts';

/** From nodes with nothing but SSH to a running cluster, and then nothing more to do. */

/** A running k3s writes to its own folder whenever it likes; two places in there are fleet's. */
const isOurs = (difference: string): boolean =>
  !/ \/var\/lib\/rancher\/k3s\/(?!agent\/images|server\/manifests)/.test(difference);

/** Where fleet or an install script could write. The rest of /usr takes long to read; plan.e2e.test.ts does. */
const roots = ['/etc', '/usr/local', '/usr/lib/systemd', '/var', '/root', '/home', '/boot', '/opt'];

/** What an `up` with nothing to do must leave exactly as it was. */
async function stateOf(lab: Lab) {
  return Promise.all(
    lab.nodes.nodes.map(async (node) => ({
      node: node.name,
      files: await lab.nodes.snapshotFilesystem(node, roots),
      services: await serviceStarts(lab, node),
    })),
  );
}

async function expectNothingMoves(lab: Lab): Promise<Ended> {
  const before = await stateOf(lab);
  const kubeconfig = await stat(lab.cli.kubeconfig);
  const again = await lab.cli.up();
  expect(endedAs(again.events, 'changed', 'failed', 'skipped')).toEqual([]);
  expect(ofKind(again.events, 'run-finished')[0]).toMatchObject({ status: 'unchanged' });
  const after = await stateOf(lab);
  for (const [index, { node, files, services }] of before.entries()) {
    const now = after[index];
    expect(now?.services, node).toEqual(services);
    expect(snapshotDifferences(files, now?.files ?? new Map()).filter(isOurs), node).toEqual([]);
  }
  expect((await stat(lab.cli.kubeconfig)).mtimeMs).toBe(kubeconfig.mtimeMs);
  return again;
}

describe('one server and two agents', () => {
  let lab: Lab;
  let first: Ended;

  beforeAll(async () => {
    lab = await startLab({ servers: 1, agents: 2, vars: { cluster_context: 'lab' } });
    await writeKubeconfig(lab.cli, officeKubeconfig);
    first = await lab.cli.up();
  });

  afterAll(async () => {
    await lab?.stop();
  });

  test('all are Ready, in the eyes of kubectl on this machine', async () => {
    const agent = { ready: true, roles: [], voter: undefined, version: defaultK3sVersion, cordoned: false };
    const nodes = await clusterNodes(lab.cli, 'lab');
    expect(nodes).toMatchObject({
      'server-1': { ready: true, version: defaultK3sVersion, cordoned: false },
      'agent-1': agent,
      'agent-2': agent,
    });
    expect(nodes['server-1']?.roles).toContain('control-plane');
  });

  test('the kubeconfig has the cluster beside what was there', async () => {
    const view = async (...args: string[]) =>
      (await kubectl(lab.cli, 'config', ...args)).stdout.trim().split('\n').sort();
    expect(await view('get-contexts', '-o', 'name')).toEqual(['lab', 'office']);
    expect(await view('get-clusters')).toEqual(['NAME', 'lab', 'office']);
    expect(await view('current-context')).toEqual(['office']);
    const office = `{.contexts[?(@.name=="office")].context}{.clusters[?(@.name=="office")].cluster}{.users[?(@.name=="me")].user}`;
    expect(await view('view', '--raw', '-o', `jsonpath=${office}`)).toEqual([
      '{"cluster":"office","namespace":"team","user":"me"}{"insecure-skip-tls-verify":true,"server":"https://office.invalid:6443"}{"token":"office-token"}',
    ]);
    const server = `{.clusters[?(@.name=="lab")].cluster.server}`;
    expect(await view('view', '-o', `jsonpath=${server}`)).toEqual([
      `https://${lab.nodes.node('server-1').address}:6443`,
    ]);
    expect(await readFile(lab.cli.kubeconfig, 'utf8')).toMatch(/^# mine\n/);
  });

  test('it is for its owner alone, and what it was is kept beside it', async () => {
    expect((await stat(lab.cli.kubeconfig)).mode & 0o777).toBe(0o600);
    const folder = path.dirname(lab.cli.kubeconfig);
    const others = (await readdir(folder)).filter((name) => name !== 'config' && name !== 'cache');
    expect(others).toEqual(['config.bak']);
    const backup = path.join(folder, 'config.bak');
    expect(await readFile(backup, 'utf8')).toBe(officeKubeconfig);
    expect((await stat(backup)).mode & 0o777).toBe(0o600);
  });

  test('the login user of the server has a kubectl there', async () => {
    const server = lab.nodes.node('server-1');
    const { stdout, code } = await lab.nodes.ssh(
      server,
      'KUBECONFIG=~/.kube/config kubectl get nodes -o name',
    );
    expect({ code, nodes: stdout.trim().split('\n').sort() }).toEqual({
      code: 0,
      nodes: ['node/agent-1', 'node/agent-2', 'node/server-1'],
    });
  });

  test('its events tell the run from the first to the last, and nothing else is on stdout', () => {
    expect(first.stdout.trimEnd().split('\n').length).toBe(first.events.length);
    expect(first.events.map(({ sequence }) => sequence)).toEqual(first.events.map((_, index) => index + 1));
    expect(first.events[0]).toMatchObject({ kind: 'run-started', command: 'up', mode: 'apply', hosts: 3 });
    expect(first.events.at(-1)).toMatchObject({ kind: 'run-finished', status: 'changed' });
    expect(endedAs(first.events, 'failed', 'failed-ignored')).toEqual([]);
  });

  test('the journal holds the same events', async () => {
    const journal = (await lab.cli.journals()).at(0) ?? '';
    expect(journal).toBe(first.stdout);
  });

  test('nothing of fleet stays on the nodes but what it was to put there', async () => {
    for (const node of lab.nodes.nodes) {
      expect(await remains(lab, node), node.name).toEqual([]);
      // Nor of the programs that it asks: kubectl would keep a cache there, and renew it every ten minutes.
      expect(await on(lab, node, 'ls -A /root'), node.name).not.toContain('.kube');
    }
  });

  test('plan finds nothing to do and exits 0', async () => {
    const plan = await lab.cli.plan({ expect: 0 });
    expect(endedAs(plan.events, 'would-change', 'failed', 'skipped')).toEqual([]);
  });

  test('up again changes nothing: no task, no service, no file, in three trips to a host at most', async () => {
    const again = await expectNothingMoves(lab);
    const [finished] = ofKind(again.events, 'run-finished');
    const trips = Object.values(finished?.hosts ?? {}).map(({ roundTrips }) => roundTrips);
    expect(Math.max(...trips)).toBeLessThanOrEqual(3);
  });
});

describe('three servers and two agents', () => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await startLab({ servers: 3, agents: 2 });
    await lab.cli.up();
  });

  afterAll(async () => {
    await lab?.stop();
  });

  test('all are Ready, and each server has a vote in etcd', async () => {
    const server = {
      ready: true,
      roles: expect.arrayContaining(['control-plane', 'etcd']),
      voter: true,
      version: defaultK3sVersion,
      cordoned: false,
    };
    const agent = { ready: true, roles: [], voter: undefined, version: defaultK3sVersion, cordoned: false };
    expect(await clusterNodes(lab.cli)).toEqual({
      'server-1': server,
      'server-2': server,
      'server-3': server,
      'agent-1': agent,
      'agent-2': agent,
    });
  });

  test('it is one cluster: every server has the same CA', async () => {
    const sums = await Promise.all(
      lab.nodes.servers.map((node) =>
        on(lab, node, 'sha256sum < /var/lib/rancher/k3s/server/tls/server-ca.crt'),
      ),
    );
    expect(new Set(sums).size).toBe(1);
  });

  test('up again changes nothing, and plan exits 0', async () => {
    await expectNothingMoves(lab);
    await lab.cli.plan({ expect: 0 });
  });

  test('status says the same, and that nothing drifted', async () => {
    const status = await lab.cli.run(['status', '--output', 'json'], { expect: 0 });
    const { nodes } = JSON.parse(status.stdout) as { nodes: Record<string, unknown>[] };
    expect(nodes.map(({ host, role, voter, drift }) => ({ host, role, voter, drift }))).toEqual([
      ...lab.nodes.servers.map(({ name }) => ({ host: name, role: 'server', voter: true, drift: 0 })),
      ...lab.nodes.agents.map(({ name }) => ({ host: name, role: 'agent', voter: undefined, drift: 0 })),
    ]);
  });
});
