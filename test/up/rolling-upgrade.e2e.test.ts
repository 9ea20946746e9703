import { createHash } from 'node:crypto';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { k3sArtifacts } from '../fleet/k3s-artifacts.ts';
import { type ReleaseServer, startReleaseServer } from '../fleet/release-server.ts';
import { type Ended, endedAs, ofKind } from './fleet-cli.ts';
import { clusterNodes, kubectl, type Lab, on, remains, serviceStarts, startLab } from './lab.ts';
import { ReadyzWatch } from './readyz-watch.ts';

/** Upgrades of a cluster that is in use: what its users notice of one that goes well, and of those that do not. */

const first = 'v1.33.4+k3s1';
const patch = 'v1.33.5+k3s1';
const second = 'v1.34.1+k3s1';
const third = 'v1.35.0+k3s1';

/** Writes an object each second, as somebody who works with the cluster. */
class Writer {
  written = 0;
  readonly refused: string[] = [];
  #isOver = false;
  readonly #writing: Promise<void>;

  constructor(private readonly lab: Lab) {
    this.#writing = this.#write();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#writing;
  }

  /** At whichever server takes it, as through a load balancer. */
  async #write(): Promise<void> {
    const file = path.join(this.lab.nodes.directory, 'written.json');
    while (!this.#isOver) {
      const metadata = { name: `written-${this.written}`, namespace: 'default' };
      await writeFile(file, JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata }));
      const said: string[] = [];
      for (const node of this.lab.nodes.servers) {
        const { code, stderr } = await kubectl(
          this.lab.cli,
          ...['--server', `https://${node.address}:6443`, '--request-timeout=5s'],
          ...['create', '--validate=false', '-f', file],
        );
        if (code === 0 || /already exists/.test(stderr)) {
          said.length = 0;
          break;
        }
        said.push(stderr);
      }
      if (said.length > 0) this.refused.push(said.join(''));
      else this.written += 1;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

describe('three servers and two agents, in use', () => {
  let lab: Lab;
  let releases: ReleaseServer;
  let broken: ReleaseServer;

  beforeAll(async () => {
    const artifacts = await k3sArtifacts([first, patch, second, third]);
    lab = await startLab({
      servers: 3,
      agents: 2,
      user: 'root',
      vars: { airgap_dir: null, k3s_version: first },
    });
    releases = await startReleaseServer({
      artifacts,
      addresses: [lab.nodes.network.gateway],
      channels: { stable: first, latest: third, 'v1.34': second, 'v1.35': third },
    });
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
    await releases?.stop();
    await broken?.stop();
    await lab?.stop();
  });

  const write = (vars: Readonly<Record<string, unknown>>): Promise<string> =>
    lab.nodes.writeInventory({
      artifact_url: `${releases.releasesUrl}/download`,
      channels_url: releases.channelsUrl,
      k3s_install_url: releases.installScriptUrl,
      node_ready_timeout: 60,
      ...vars,
    });

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

  const versions = async (): Promise<Record<string, string>> =>
    Object.fromEntries(
      Object.entries(await clusterNodes(lab.cli)).map(([name, { version }]) => [name, version]),
    );
  const all = (version: string): Record<string, string> =>
    Object.fromEntries(lab.nodes.nodes.map(({ name }) => [name, version]));
  const cordoned = async (): Promise<string[]> =>
    Object.entries(await clusterNodes(lab.cli)).flatMap(([name, node]) => (node.cordoned ? [name] : []));
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
    expect(await versions()).toEqual(all(first));
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
    expect(await versions()).toEqual(all(first));
    expect(await cordoned()).toEqual([]);
    const nodes = await clusterNodes(lab.cli);
    expect(nodes['server-1']).toMatchObject({ ready: true, voter: true });
    expect(await on(lab, 'server-1', 'k3s --version | head -n 1')).toContain(first);
    const after = await Promise.all(
      lab.nodes.nodes.map(async (node) => (await serviceStarts(lab, node))['k3s.service']),
    );
    expect(after.slice(1)).toEqual(before.slice(1));
    await write({});
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
    expect(await cordoned()).toEqual([]);
    expect(await versions()).toEqual(all(first));
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
    expect(await cordoned()).toEqual(['agent-2']);
    expect(await versions()).toEqual({ ...all(first), 'server-1': patch });
    await kubectl(lab.cli, 'uncordon', 'agent-2');
  });

  test('two minor versions in one command, with the API there all the time and nothing lost', async () => {
    await write({});
    const watch = await ReadyzWatch.start(lab.nodes.servers, lab.cli.kubeconfig);
    const writer = new Writer(lab);
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
    expect(await versions()).toEqual(all(third));
    expect(await cordoned()).toEqual([]);
    const down = lab.nodes.servers.map(
      ({ name }) => `${name} ${watch.rounds.filter(({ ready }) => !ready.includes(name)).length * 100} ms`,
    );
    console.info(
      `${watch.rounds.length} rounds; away: ${down.join(', ')}; any endpoint ${watch.longestBelow(1)} ms; ${writer.written} objects`,
    );
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
