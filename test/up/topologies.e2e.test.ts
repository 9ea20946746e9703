import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { type Ended, ofKind } from './fleet-cli.ts';
import { clusterNodes, type Lab, on, serviceStarts, startLab } from './lab.ts';
import { ReadyzWatch } from './readyz-watch.ts';

/** A cluster that grows from one server to three and five and shrinks to three again, by nothing but edits of the inventory. */

let lab: Lab;
let ca: string;

beforeAll(async () => {
  lab = await startLab({ servers: 4, agents: 2 });
});

afterAll(async () => {
  await lab?.stop();
});

interface Groups {
  k3s_cluster: { children: Record<string, { hosts: Record<string, unknown> }> };
}

/** Somebody edits the inventory: these are the servers, in this order, and these the agents. */
async function inventory(servers: readonly string[], agents: readonly string[]): Promise<void> {
  const written = parse(lab.nodes.inventoryText()) as Groups;
  const hosts = Object.assign({}, ...Object.values(written.k3s_cluster.children).map((group) => group.hosts));
  const group = (names: readonly string[]) => ({
    hosts: Object.fromEntries(names.map((name) => [name, hosts[name]])),
  });
  written.k3s_cluster.children = { server: group(servers), agent: group(agents) };
  await writeFile(lab.nodes.inventoryPath, stringify(written, { lineWidth: 0 }));
}

const wavesOf = (ended: Ended): string[] =>
  ofKind(ended.events, 'wave-started').map(({ wave, hosts }) => `${wave} ${hosts.join(' ')}`);

const announced = (ended: Ended): string[] =>
  ofKind(ended.events, 'waves-planned').flatMap(({ waves }) =>
    waves.map(({ wave, hosts }) => `${wave} ${hosts.join(' ')}`),
  );

/** What the plan announced is what `up` does, and leaves nothing to do. */
async function upAsPlanned(): Promise<Ended> {
  const plan = await lab.cli.plan({ expect: 2 });
  const up = await lab.cli.up();
  expect(wavesOf(up)).toEqual(announced(plan));
  await lab.cli.plan({ expect: 0 });
  return up;
}

/** Servers with a vote in etcd, and agents; all of them Ready. */
async function members(): Promise<{ voters: string[]; agents: string[] }> {
  const nodes = Object.entries(await clusterNodes(lab.cli));
  expect(nodes.filter(([, { ready, cordoned }]) => !ready || cordoned)).toEqual([]);
  return {
    voters: nodes.flatMap(([name, { voter }]) => (voter === true ? [name] : [])).sort(),
    agents: nodes.flatMap(([name, { voter }]) => (voter === undefined ? [name] : [])).sort(),
  };
}

const caOf = (node: string): Promise<string> =>
  on(lab, node, 'sha256sum < /var/lib/rancher/k3s/server/tls/server-ca.crt');

test('one server keeps its data in SQLite; both agents join together', async () => {
  await inventory(['server-1'], ['agent-1', 'agent-2']);
  expect(wavesOf(await upAsPlanned())).toEqual(['bootstrap server-1', 'join agent-1 agent-2']);
  await on(lab, 'server-1', 'test -e /var/lib/rancher/k3s/server/db/state.db');
  expect(await members()).toEqual({ voters: [], agents: ['agent-1', 'agent-2', 'server-1'] });
  ca = await caOf('server-1');
});

test('two more servers: its data becomes etcd, then they join one after the other; agents are left alone', async () => {
  const before = await serviceStarts(lab, lab.nodes.node('agent-1'));
  await inventory(['server-1', 'server-2', 'server-3'], ['agent-1', 'agent-2']);
  expect(wavesOf(await upAsPlanned())).toEqual(['migrate server-1', 'join server-2', 'join server-3']);
  expect(await members()).toEqual({
    voters: ['server-1', 'server-2', 'server-3'],
    agents: ['agent-1', 'agent-2'],
  });
  expect(await serviceStarts(lab, lab.nodes.node('agent-1'))).toEqual(before);
});

test('a fourth joins, and an agent that is moved to the servers becomes the fifth; the quorum stays all the time', async () => {
  await inventory(['server-1', 'server-2', 'server-3', 'server-4', 'agent-1'], ['agent-2']);
  const watch = await ReadyzWatch.start(lab.nodes.servers.slice(0, 3), lab.cli.kubeconfig);
  try {
    expect(wavesOf(await upAsPlanned())).toEqual(['join server-4', 'convert agent-1']);
  } finally {
    await watch.stop();
  }
  expect(watch.mostAway).toBeLessThanOrEqual(1);
  expect(await members()).toEqual({
    voters: ['agent-1', 'server-1', 'server-2', 'server-3', 'server-4'],
    agents: ['agent-2'],
  });
});

test('back to three: one is removed, one becomes an agent again; it is the same cluster still', async () => {
  await lab.cli.run(['remove', 'server-4', '--yes'], { expect: 0 });
  await inventory(['server-1', 'server-2', 'server-3'], ['agent-1', 'agent-2']);
  expect(wavesOf(await upAsPlanned())).toEqual(['convert agent-1']);
  expect(await members()).toEqual({
    voters: ['server-1', 'server-2', 'server-3'],
    agents: ['agent-1', 'agent-2'],
  });
  for (const server of ['server-1', 'server-2', 'server-3']) expect(await caOf(server), server).toBe(ca);
});

test('three again to one: one server leaves by command, one by the inventory; the last keeps all data, and its agents', async () => {
  await lab.cli.run(['remove', 'server-3', '--yes'], { expect: 0 });
  await inventory(['server-1'], ['agent-1', 'agent-2']);
  const pruned = await lab.cli.up({ args: ['--prune'] });
  expect(wavesOf(pruned)).toEqual([]);
  expect(await members()).toEqual({ voters: ['server-1'], agents: ['agent-1', 'agent-2'] });
  await lab.cli.plan({ expect: 0 });
  expect(await caOf('server-1')).toBe(ca);
});
