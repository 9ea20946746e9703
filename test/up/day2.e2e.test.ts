import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { type FilesystemSnapshot, snapshotDifferences } from '../fleet/filesystem-snapshot.ts';
import { type Ended, endedAs, ofKind } from './fleet-cli.ts';
import { clusterNodes, type Lab, officeKubeconfig, on, remains, startLab, writeKubeconfig } from './lab.ts';
import { ReadyzWatch } from './readyz-watch.ts';

/** A cluster's life after its first day, in one: marks, restarts, cold starts, broken-off runs, and nodes that leave until none is left. */

let lab: Lab;
const fresh = new Map<string, FilesystemSnapshot>();

beforeAll(async () => {
  lab = await startLab({
    servers: 3,
    agents: 2,
    vars: { cluster_context: 'lab', node_labels: ['site=home'] },
    hostVars: { 'agent-1': { node_labels: ['disk=ssd'], node_taints: ['dedicated=db:NoSchedule'] } },
  });
  for (const node of lab.nodes.nodes) fresh.set(node.name, await lab.nodes.snapshotFilesystem(node));
  await writeKubeconfig(lab.cli, officeKubeconfig);
  await lab.cli.up();
});

afterAll(async () => {
  await lab?.stop();
});

/** The inventory without some of its hosts, as somebody edits it. */
async function inventoryWithout(...names: readonly string[]): Promise<string> {
  const inventory = parse(await readFile(lab.nodes.inventoryPath, 'utf8')) as {
    k3s_cluster: { children: Record<string, { hosts: Record<string, unknown> }> };
  };
  for (const { hosts } of Object.values(inventory.k3s_cluster.children)) {
    for (const name of names) delete hosts[name];
  }
  const path = `${lab.nodes.inventoryPath}.edited.yml`;
  await writeFile(path, stringify(inventory));
  return path;
}

interface Marks {
  readonly metadata: { labels: Record<string, string>; annotations?: Record<string, string> };
  readonly spec: { taints?: { key: string; value?: string; effect: string }[] };
}

async function marksOf(name: string): Promise<{ labels: Record<string, string>; taints: string[] }> {
  const told = JSON.parse(await on(lab, 'server-2', `${kube} get node ${name} -o json`)) as Marks;
  return {
    labels: told.metadata.labels,
    taints: (told.spec.taints ?? []).map(({ key, value, effect }) => `${key}=${value ?? ''}:${effect}`),
  };
}

/** Left to itself kubectl would leave a cache in root's home. */
const kube = 'k3s kubectl --cache-dir=/run/k3s/test';

/** The nodes as a server tells them, by its own kubectl. */
async function nodesBy(server: string): Promise<string[]> {
  return (await on(lab, server, `${kube} get nodes -o name | sed s,node/,, | sort`)).split('\n');
}

async function states(): Promise<Record<string, string>> {
  const units = lab.nodes.nodes.map(async ({ name }) => {
    const unit = name.startsWith('server') ? 'k3s' : 'k3s-agent';
    return [name, await on(lab, name, `systemctl is-active ${unit} || true`)] as const;
  });
  return Object.fromEntries(await Promise.all(units));
}

const warnings = (ended: Ended): string[] => ofKind(ended.events, 'warning').map(({ code }) => code);

/** Only times of folders, and of what other programs keep open, may differ from before the first `up`. */
async function expectNoTrace(name: string): Promise<void> {
  const node = lab.nodes.node(name);
  const left = snapshotDifferences(fresh.get(name) ?? new Map(), await lab.nodes.snapshotFilesystem(node));
  expect(
    left.filter((line) => !/^~ \S+ \(mtime [^,]+\)$/.test(line)),
    name,
  ).toEqual([]);
  expect(await remains(lab, node), name).toEqual([]);
  expect(await on(lab, name, 'pgrep -l "k3s|containerd" || true'), name).toBe('');
}

test('labels and taints: those of groups and of hosts add up, and only what fleet set is taken off', async () => {
  const agent = await marksOf('agent-1');
  expect(agent.labels).toMatchObject({ site: 'home', disk: 'ssd', 'kubernetes.io/os': 'linux' });
  expect(agent.taints).toEqual(['dedicated=db:NoSchedule']);
  expect((await marksOf('agent-2')).labels).toMatchObject({ site: 'home' });
  await lab.cli.plan({ expect: 0 });

  await on(
    lab,
    'server-1',
    `${kube} label node agent-1 mine=yes && ${kube} label node agent-2 site=x --overwrite`,
  );
  await lab.nodes.writeInventory({ node_labels: ['node-role.kubernetes.io/worker=true', 'disk=hdd'] });
  const plan = await lab.cli.run(['plan', '--diff'], { expect: 2 });
  expect(plan.stdout).toContain('node-role.kubernetes.io/worker=true');
  const up = await lab.cli.up();
  expect(new Set(endedAs(up.events, 'changed').map((name) => name.split(': ')[1]))).toEqual(
    new Set(['Labels and taints']),
  );
  const { labels } = await marksOf('agent-1');
  expect(labels).toMatchObject({ 'node-role.kubernetes.io/worker': 'true', disk: 'ssd', mine: 'yes' });
  expect(labels).not.toHaveProperty('site');
  expect((await marksOf('agent-2')).labels).toMatchObject({ disk: 'hdd' });
});

test('restart: every k3s anew, one server at a time with the quorum kept', async () => {
  const pids = (): Promise<string[]> =>
    Promise.all(
      lab.nodes.nodes.map(({ name }) =>
        on(lab, name, `systemctl show -p MainPID --value k3s k3s-agent | sort -u`),
      ),
    );
  const before = await pids();
  const kubeconfig = `${lab.cli.kubeconfig}.lab`;
  const printed = await lab.cli.run(['kubeconfig', '--print'], { expect: 0 });
  await writeFile(kubeconfig, printed.stdout);
  const watch = await ReadyzWatch.start(lab.nodes.servers, kubeconfig);
  try {
    await lab.cli.run(['restart', '--yes'], { expect: 0 });
  } finally {
    await watch.stop();
  }
  for (const [index, pid] of (await pids()).entries()) expect(pid).not.toBe(before[index]);
  expect(watch.mostAway).toBeLessThanOrEqual(1);
});

test('stop and start: all servers come back together; a part of them is not stopped where the quorum needs it', async () => {
  await lab.cli.run(['stop', '--yes'], { expect: 0 });
  expect(new Set(Object.values(await states()))).toEqual(new Set(['inactive']));
  await lab.cli.run(['start'], { expect: 0 });
  expect(new Set(Object.values(await states()))).toEqual(new Set(['active']));
  expect(Object.values(await clusterNodes(lab.cli, 'lab')).every(({ ready }) => ready)).toBe(true);
  const refused = await lab.cli.run(['stop', '--yes', '--limit', 'server-1:server-2'], { expect: 1 });
  expect(refused.stderr).toMatch(/stopping server-1, server-2 would leave 1 of 3 etcd members/);
  expect(new Set(Object.values(await states()))).toEqual(new Set(['active']));
});

test('cold start: up starts all three servers together, for none of them becomes ready alone', async () => {
  for (const { name } of lab.nodes.servers)
    await on(lab, name, 'systemctl kill -s KILL k3s; systemctl stop k3s');
  const up = await lab.cli.up();
  expect(ofKind(up.events, 'wave-started')[0]).toMatchObject({
    wave: 'start',
    hosts: ['server-1', 'server-2', 'server-3'],
  });
  expect(new Set(Object.values(await states()))).toEqual(new Set(['active']));
  await lab.cli.plan({ expect: 0 });
});

test('repair: what a run that died left is gone, and nothing else is touched', async () => {
  await on(
    lab,
    'agent-1',
    `mkdir -p /run/fleet/lock /run/fleet/jobs/1 && echo 'somebody, run 1' > /run/fleet/lock/owner && echo 1 > /run/fleet/lock/beat
     echo 99999999 > /run/fleet/jobs/1/pid; echo 0 > /run/fleet/jobs/1/code
     touch /etc/.fleet-0123456789ab~ /usr/local/bin/.fleet-k3s-0123456789abcdef.part`,
  );
  await on(
    lab,
    'server-1',
    `${kube} annotate node agent-1 fleet.k3s/cordoned-by=fleet && ${kube} cordon agent-1 && ${kube} cordon agent-2`,
  );
  const repair = await lab.cli.run(['repair', '--yes', '--output', 'json'], { expect: 0 });
  expect(endedAs(repair.events, 'changed').sort()).toEqual([
    'agent-1: Nothing is left of broken-off runs',
    'agent-1: The node takes pods',
  ]);
  expect(await remains(lab, lab.nodes.node('agent-1'))).toEqual([]);
  const nodes = await clusterNodes(lab.cli, 'lab');
  expect([nodes['agent-1']?.cordoned, nodes['agent-2']?.cordoned]).toEqual([false, true]);
  await on(lab, 'server-1', `${kube} uncordon agent-2`);
  const again = await lab.cli.run(['repair', '--yes', '--output', 'json'], { expect: 0 });
  expect(endedAs(again.events, 'changed')).toEqual([]);
});

test('a node whose host left the inventory is named by plan, and removed by up --prune', async () => {
  const inventory = await inventoryWithout('agent-2');
  const plan = await lab.cli.run(['plan', '--output', 'json'], { inventory });
  expect(ofKind(plan.events, 'warning')).toMatchObject([
    { code: 'NODE_NOT_IN_INVENTORY', message: expect.stringMatching(/: agent-2$/) },
  ]);
  expect(await nodesBy('server-1')).toContain('agent-2');
  const pruned = await lab.cli.up({ inventory, args: ['--prune'] });
  expect(warnings(pruned)).toEqual([]);
  expect(await nodesBy('server-1')).toEqual(['agent-1', 'server-1', 'server-2', 'server-3']);
});

test('a dead server is removed with its etcd member, once it is known to be dead', async () => {
  const inventory = await inventoryWithout('agent-2');
  const args = ['remove', 'server-3', '--yes', '--timeout', '10'];
  await lab.nodes.kill(lab.nodes.node('server-3'));
  const tooSoon = await lab.cli.run(args, { inventory });
  if (tooSoon.code !== 0) expect(tooSoon.stderr).toMatch(/cannot be reached .* its node server-3 is Ready/s);
  await expect
    .poll(async () => (await clusterNodes(lab.cli, 'lab'))['server-3']?.ready ?? false, {
      timeout: 30_000,
      interval: 500,
    })
    .toBe(false);
  const removed = await lab.cli.run(args, { inventory, expect: 0 });
  expect(removed.stderr).toMatch(/server-3 does not answer/);
  expect(removed.stderr).toMatch(/take server-3 out of the inventory/);
  expect(await nodesBy('server-1')).toEqual(['agent-1', 'server-1', 'server-2']);
});

test('an agent is removed: nothing of it is left, here or there', async () => {
  const inventory = await inventoryWithout('server-3', 'agent-2');
  await lab.cli.run(['remove', 'agent-1', '--yes'], { inventory, expect: 0 });
  expect(await nodesBy('server-1')).toEqual(['server-1', 'server-2']);
  expect(await on(lab, 'server-1', `${kube} -n kube-system get secrets -o name`)).not.toContain('agent-1');
  await expectNoTrace('agent-1');
});

test('the first of two servers is removed, and the other goes on alone', async () => {
  const inventory = await inventoryWithout('server-3', 'agent-2', 'agent-1');
  await lab.cli.run(['remove', 'server-1', '--yes'], { inventory, expect: 0 });
  expect(await nodesBy('server-2')).toEqual(['server-2']);
  expect(await on(lab, 'server-2', `${kube} get --raw /readyz`)).toBe('ok');
  await expectNoTrace('server-1');
  const last = await inventoryWithout('server-3', 'agent-2', 'agent-1', 'server-1');
  const refused = await lab.cli.run(['remove', 'server-2', '--yes'], { inventory: last, expect: 1 });
  expect(refused.stderr).toMatch(/without server-2 the cluster has no server.*fleet reset/s);
  await lab.cli.up({ inventory: last });
  expect(Object.keys(await clusterNodes(lab.cli, 'lab'))).toEqual(['server-2']);
});

test('reset: nothing of the cluster is left on the host, nor in the kubeconfig here', async () => {
  const inventory = await inventoryWithout('server-3', 'agent-2', 'agent-1', 'server-1');
  await on(lab, 'server-2', 'mkdir -p /var/log/pods/somebodys');
  const reset = await lab.cli.run(['reset', '--yes', '--confirm', 'lab', '--output', 'json'], {
    inventory,
    expect: 0,
  });
  expect(ofKind(reset.events, 'warning')).toMatchObject([
    { code: 'LEFT_BEHIND', message: expect.stringContaining('/var/log/pods') },
  ]);
  await expectNoTrace('server-2');
  expect(parse(await readFile(lab.cli.kubeconfig, 'utf8'))).toEqual(parse(officeKubeconfig));
});
