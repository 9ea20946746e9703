import { createHash } from 'node:crypto';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import type { StampedEvent } from '../../src/engine/event.ts';
import { k3sArtifacts } from '../fleet/k3s-artifacts.ts';
import { type ReleaseServer, startReleaseServer } from '../fleet/release-server.ts';
import { type Ended, endedAs, ofKind } from './fleet-cli.ts';
import { clusterNodes, kubectl, on, remains, serviceStarts } from './lab.ts';
import { ObjectWriter } from './object-writer.ts';
import { ReadyzWatch } from './readyz-watch.ts';
import { startUpgradeLab, type UpgradeLab } from './upgrade-lab.ts';

/** Upgrades of a cluster that is in use: what its users notice of one that goes well, and of those that do not. */

const first = 'v1.33.4+k3s1';
const patch = 'v1.33.5+k3s1';
const second = 'v1.34.1+k3s1';
const third = 'v1.35.0+k3s1';

describe('three servers and two agents, in use', () => {
  let lab: UpgradeLab;
  let broken: ReleaseServer;

  beforeAll(async () => {
    lab = await startUpgradeLab({ servers: 3, agents: 2 }, [first, patch, second, third], {
      stable: first,
      latest: third,
      'v1.34': second,
      'v1.35': third,
    });
    const artifacts = await k3sArtifacts([second]);
    const folder = path.join(lab.nodes.directory, 'broken');
    await breakRelease(artifacts.directory, folder);
    broken = await startReleaseServer({
      artifacts: { ...artifacts, directory: folder },
      addresses: [lab.nodes.network.gateway],
    });
    await write({});
    await lab.cli.up();
  });

  afterAll(async () => {
    await broken?.stop();
    await lab?.stop();
  });

  const write = (vars: Readonly<Record<string, unknown>>): Promise<void> =>
    lab.write({ node_ready_timeout: 60, ...vars });

  /** A release as published that tells its version, and ends as soon as it is started: what no checksum finds. */
  async function breakRelease(from: string, to: string): Promise<void> {
    const program = `#!/bin/sh
[ "$1" = --version ] && { echo 'k3s version ${second} (0badf00d)'; exit; }
[ "$1" = kubectl ] && { shift; exec /opt/k3s-stand-in/kubectl "$@"; }
echo 'level=fatal msg="this build cannot start"' >&2; exit 1
`;
    await mkdir(path.join(to, second), { recursive: true });
    await writeFile(path.join(to, second, 'k3s'), program);
    const sum = createHash('sha256').update(program).digest('hex');
    await writeFile(path.join(to, second, 'sha256sum-amd64.txt'), `${sum}  k3s\n`);
    await symlink(path.join(from, second, 'install.sh'), path.join(to, second, 'install.sh'));
  }

  /** The inventory with two hosts in each other's group. */
  async function exchange(server: string, agent: string): Promise<void> {
    const inventory = parse(await readFile(lab.nodes.inventoryPath, 'utf8'));
    const { server: servers, agent: agents } = inventory.k3s_cluster.children;
    const [wasServer, wasAgent] = [servers.hosts[server], agents.hosts[agent]];
    delete servers.hosts[server];
    delete agents.hosts[agent];
    servers.hosts[agent] = wasAgent;
    agents.hosts[server] = wasServer;
    await writeFile(lab.nodes.inventoryPath, stringify(inventory));
  }

  const all = (version: string): Record<string, string> =>
    Object.fromEntries(lab.nodes.nodes.map(({ name }) => [name, version]));
  const failures = (ended: Ended) => ofKind(ended.events, 'host-failed');
  const apply = async (manifest: string): Promise<void> => {
    const file = path.join(lab.nodes.directory, 'manifest.yaml');
    await writeFile(file, manifest);
    const { code, stderr } = await kubectl(lab.cli, 'apply', '-f', file);
    if (code !== 0) throw new Error(stderr);
  };

  test('skipped minor versions are refused with the way', async () => {
    const refused = await lab.cli.run(['upgrade', '--to', third, '--yes'], { expect: 1 });
    expect(refused.stderr + refused.stdout).toMatch(/takes them one at a time: v1\.34, v1\.35\.0\+k3s1/);
    expect(refused.stderr + refused.stdout).toMatch(/--upgrade-path auto/);
    expect(await lab.versions()).toEqual(all(first));
  });

  test('a server that does not come back is put back as it was, and no other is touched', async () => {
    const before = await Promise.all(
      lab.nodes.nodes.map(async (node) => (await serviceStarts(lab, node))['k3s.service']),
    );
    await write({
      k3s_version: second,
      artifact_url: `${broken.releasesUrl}/download`,
      k3s_start_timeout: 12,
    });
    const up = await lab.cli.up({ expect: 1 });
    expect(failures(up).map(({ host }) => host)).toEqual(['server-1']);
    expect(failures(up)[0]?.error).toMatchObject({ code: 'ROLLED_BACK' });
    expect(failures(up)[0]?.error.message).toMatch(/v1\.33\.4\+k3s1 runs here again/);
    expect(failures(up)[0]?.error.message).toMatch(/Put back: .*\/usr\/local\/bin\/k3s/);
    expect(failures(up)[0]?.error.message).toMatch(/this build cannot start/);
    expect(await lab.versions()).toEqual(all(first));
    expect(await lab.cordoned()).toEqual([]);
    const nodes = await clusterNodes(lab.cli);
    expect(nodes['server-1']).toMatchObject({ ready: true, voter: true });
    expect(await on(lab, 'server-1', 'k3s --version | head -n 1')).toContain(first);
    const after = await Promise.all(
      lab.nodes.nodes.map(async (node) => (await serviceStarts(lab, node))['k3s.service']),
    );
    expect(after.slice(1)).toEqual(before.slice(1));
    await write({});
    const tidied = await lab.cli.up();
    // Only what had been brought to the nodes whose turn did not come.
    expect(endedAs(tidied.events, 'changed').map((line) => line.split(': ')[1])).toEqual(
      Array(4).fill('k3s release is here'),
    );
    await lab.cli.plan({ expect: 0 });
  });

  test('a budget that lets no pod go: the pod and the budget are named, and the node takes pods again', async () => {
    await apply(`apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeName: server-1
      containers: [{name: web, image: web}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: keep-web, namespace: default}
spec:
  minAvailable: 1
  selector: {matchLabels: {app: web}}
`);
    await write({ k3s_version: second, drain_timeout: 5 });
    const up = await lab.cli.up({ expect: 1 });
    const [failed] = failures(up);
    expect(failed?.host).toBe('server-1');
    expect(failed?.error.message).toMatch(
      /PodDisruptionBudget default\/keep-web .* holds web-\S+ on server-1/,
    );
    expect(failed?.error.message).toMatch(/server-1 takes pods again/);
    expect(await lab.cordoned()).toEqual([]);
    expect(await lab.versions()).toEqual(all(first));
    await kubectl(lab.cli, 'delete', 'poddisruptionbudget/keep-web', 'deployment/web');
  });

  test('killed between cordon and uncordon: the next up takes the cordon back, but nobody else’s', async () => {
    await kubectl(lab.cli, 'cordon', 'agent-2');
    await write({ k3s_version: patch, drain: 'all' });
    const running = lab.cli.start(['up', '--yes', '--output', 'json', '--limit', 'server-1']);
    await running.until(
      (event) => event.kind === 'task-started' && 'step' in event && event.step === 'k3s_service',
    );
    running.kill('SIGKILL');
    await running.ended;
    // Its own API is on its way up, or down.
    expect(
      await on(lab, 'server-2', "k3s kubectl get node server-1 -o jsonpath='{.spec.unschedulable}'"),
    ).toBe('true');
    await lab.cli.up({ args: ['--limit', 'server-1'] });
    expect(await lab.cordoned()).toEqual(['agent-2']);
    expect(await lab.versions()).toEqual({ ...all(first), 'server-1': patch });
    await kubectl(lab.cli, 'uncordon', 'agent-2');
  });

  test('a full disk on one node: it is named, and no node is touched', async () => {
    const before = await Promise.all(lab.nodes.nodes.map((node) => serviceStarts(lab, node)));
    // What is in /usr/local, on a disk of its own with no room for another release.
    await on(
      lab,
      'agent-2',
      `rm -rf /usr/local/bin/.k3s-staged-by-fleet && mkdir /run/full && mount -t tmpfs -o size=$(( $(du -sk /usr/local | cut -f 1) + 2048 ))k tmpfs /run/full &&
       cp -a /usr/local/. /run/full && mount --bind /run/full /usr/local`,
    );
    await write({ k3s_version: patch });
    const up = await lab.cli.up({ expect: 1 });
    await on(lab, 'agent-2', 'umount -l /usr/local && umount -l /run/full && rmdir /run/full');
    const [failed, ...others] = failures(up);
    expect(others).toEqual([]);
    expect(failed).toMatchObject({ host: 'agent-2', error: { step: 'k3s_stage' } });
    expect(failed?.error.message).toMatch(
      /no room for \/usr\/local\/bin\/.*KiB are needed, \d+ KiB are free/,
    );
    expect(await lab.versions()).toEqual({ ...all(first), 'server-1': patch });
    expect(await lab.cordoned()).toEqual([]);
    expect(await Promise.all(lab.nodes.nodes.map((node) => serviceStarts(lab, node)))).toEqual(before);
    for (const node of lab.nodes.nodes) expect(await remains(lab, node), node.name).toEqual([]);
  });

  test('sshd stops under a server, and an agent loses its power, each in the middle of its turn', async () => {
    await write({ k3s_version: patch, drain: 'all' });
    const running = lab.cli.start(['up', '--yes', '--output', 'json']);
    const isRestarting = (name: string) => (event: StampedEvent) =>
      event.kind === 'task-started' && event.host === name && event.step === 'k3s_service';
    await running.until(isRestarting('server-2'));
    await on(lab, 'server-2', 'systemctl stop ssh && pkill -KILL sshd');
    await running.until(
      ({ kind, ...event }) => kind === 'host-lost' && 'host' in event && event.host === 'server-2',
    );
    await on(lab, 'server-2', 'systemctl start ssh');
    await running.until(isRestarting('agent-1'));
    await lab.nodes.kill(lab.nodes.node('agent-1'));
    const up = await running.ended;
    expect(up.code, up.stderr).toBe(1);
    expect(failures(up).map(({ host }) => host)).toEqual(['agent-1']);
    // The servers had their turn; of two agents one may be away, and it is.
    const servers = Object.fromEntries(lab.nodes.servers.map(({ name }) => [name, patch]));
    expect(await lab.versions()).toMatchObject({ ...servers, 'agent-2': first });

    const refused = await lab.cli.up({ expect: 1, args: ['--timeout', '10'] });
    expect(ofKind(refused.events, 'run-failed')[0]?.error).toMatchObject({
      code: 'UNREACHABLE',
      host: 'agent-1',
      fix: expect.stringContaining('--tolerate-down'),
    });
    const tolerated = await lab.cli.up({ args: ['--tolerate-down', '--timeout', '10'] });
    expect(ofKind(tolerated.events, 'waves-planned')[0]?.leftOut).toEqual([
      { host: 'agent-1', because: 'it does not answer' },
    ]);
    expect(await lab.versions()).toMatchObject({ ...servers, 'agent-2': patch });

    await lab.nodes.start(lab.nodes.node('agent-1'));
    await lab.cli.up();
    expect(await lab.versions()).toEqual(all(patch));
    expect(await lab.cordoned()).toEqual([]);
    for (const node of lab.nodes.nodes) expect(await remains(lab, node), node.name).toEqual([]);
    await lab.cli.plan({ expect: 0 });
  });

  test('two minor versions in one command, with the API there all the time and nothing lost', async () => {
    await write({});
    const watch = await ReadyzWatch.start(lab.nodes.servers, lab.cli.kubeconfig);
    const writer = new ObjectWriter(lab);
    let upgraded: Ended;
    try {
      upgraded = await lab.cli.run(
        ['upgrade', '--to', third, '--upgrade-path', 'auto', '--yes', '--output', 'json'],
        { expect: 0 },
      );
    } finally {
      await writer.stop();
      await watch.stop();
    }
    expect(await lab.versions()).toEqual(all(third));
    expect(await lab.cordoned()).toEqual([]);
    const down = lab.nodes.servers.map(
      ({ name }) => `${name} ${watch.rounds.filter(({ ready }) => !ready.includes(name)).length * 100} ms`,
    );
    console.info(`${watch.rounds.length} rounds; away: ${down.join(', ')}; ${writer.written} objects`);
    // Some endpoint answered in every round: to whoever has all of them, or a balancer, the API was never away.
    expect(watch.rounds.filter(({ ready }) => ready.length === 0)).toEqual([]);
    expect(writer.refused).toEqual([]);
    const { stdout } = await kubectl(lab.cli, 'get', 'configmaps', '-o', 'name');
    expect(stdout.split('\n').filter((line) => line.includes('/written-')).length).toBe(writer.written);
    const changed = endedAs(upgraded.events, 'changed');
    // One for the cluster and release; the upgrade that was taken back has left the other.
    const saved = changed.filter((line) => line.endsWith(': A way back for the data'));
    expect(saved.length).toBe(1);
    const [saver = ''] = saved[0]?.split(': ') ?? [];
    const snapshots = await on(lab, saver, 'ls /var/lib/rancher/k3s/server/db/snapshots');
    expect(snapshots).toMatch(/fleet-before-v1\.35\.0-k3s1-/);
    await write({ k3s_version: third });
    const again = await lab.cli.up();
    expect(endedAs(again.events, 'changed')).toEqual([]);
    for (const node of lab.nodes.nodes) expect(await remains(lab, node), node.name).toEqual([]);
  });

  test('a server and an agent change places: each leaves as what it was and joins as what it shall be', async () => {
    await write({ k3s_version: third });
    await exchange('server-3', 'agent-1');
    const plan = await lab.cli.run(['plan'], { expect: 2 });
    expect(plan.stdout).toMatch(/it is a k3s agent and shall become a server/);
    await lab.cli.up();
    const nodes = await clusterNodes(lab.cli);
    expect(nodes['agent-1']).toMatchObject({ ready: true, voter: true, cordoned: false });
    expect(nodes['server-3']).toMatchObject({ ready: true, voter: undefined, roles: [], cordoned: false });
    await lab.cli.plan({ expect: 0 });
  });
});
