import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from '../fleet/docker.ts';
import { snapshotDifferences } from '../fleet/filesystem-snapshot.ts';
import { defaultK3sVersion, k3sArtifacts } from '../fleet/k3s-artifacts.ts';
import type { FakeNode } from '../fleet/nodes.ts';
import { type Ended, endedAs, ofKind } from './fleet-cli.ts';
import { clusterNodes, type Lab, on, serviceStarts, startLab } from './lab.ts';
import { ReadyzWatch } from './readyz-watch.ts';

/** What is changed in the inventory, or by hand on a node, is all that the next `up` touches; a quorum is never lost over it. */

const oldSecret = 'old-s3-key-7Qm2vX';
const newSecret = 'new-s3-key-Rk4n9L';
const config = (pods: number, secret: string): string =>
  `# of our own\nkubelet-arg:\n  - max-pods=${pods}\netcd-s3-secret-key: ${secret}\n`;

/** Between leaving the state `active` and entering it again, in microseconds of the one kernel that all nodes share. */
async function lastRestart(lab: Lab, node: FakeNode): Promise<{ down: number; up: number }> {
  const shown = await on(
    lab,
    node,
    'systemctl show -p ActiveExitTimestampMonotonic,ActiveEnterTimestampMonotonic k3s.service',
  );
  const value = (name: string): number => Number(new RegExp(`^${name}=(\\d+)$`, 'm').exec(shown)?.[1]);
  return { down: value('ActiveExitTimestampMonotonic'), up: value('ActiveEnterTimestampMonotonic') };
}

describe('three servers and an agent', () => {
  let lab: Lab;
  let agent: FakeNode;

  beforeAll(async () => {
    lab = await startLab({ servers: 3, agents: 1, vars: { server_config_yaml: config(110, oldSecret) } });
    agent = lab.nodes.node('agent-1');
    await lab.cli.up();
  });

  afterAll(async () => {
    await lab?.stop();
  });

  describe('another server_config_yaml', () => {
    let plan: Ended;
    let shown: Ended;
    let up: Ended;
    let watch: ReadyzWatch;
    let agentBefore: Awaited<ReturnType<typeof agentState>>;
    const agentState = async () => ({
      services: await serviceStarts(lab, agent),
      files: await lab.nodes.snapshotFilesystem(agent, [
        '/etc',
        '/usr/local',
        '/var/lib/rancher/k3s/agent/images',
      ]),
    });

    beforeAll(async () => {
      await lab.nodes.writeInventory({ server_config_yaml: config(200, newSecret) });
      plan = await lab.cli.plan({ expect: 2 });
      shown = await lab.cli.run(['plan'], { expect: 2 });
      agentBefore = await agentState();
      watch = await ReadyzWatch.start(lab.nodes.servers, lab.cli.kubeconfig);
      try {
        up = await lab.cli.up();
      } finally {
        await watch.stop();
      }
    });

    const concerned = ['server-1', 'server-2', 'server-3'].flatMap((host) => [
      `${host}: Own configuration`,
      `${host}: k3s runs with what is on disk`,
      `${host}: What now runs well is kept`,
    ]);

    test('plan names the servers, and shows the difference', () => {
      expect(endedAs(plan.events, 'would-change')).toEqual(concerned);
      expect(shown.stdout).toMatch(/^ +- +- max-pods=110$/m);
      expect(shown.stdout).toMatch(/^ +\+ +- max-pods=200$/m);
      expect(shown.stdout).toContain('# of our own');
    });

    test('no secret of it is shown, neither the new one nor the one that is on the nodes', async () => {
      const said = [plan, shown, up]
        .map(({ stdout, stderr }) => stdout + stderr)
        .concat(await lab.cli.journals());
      for (const secret of [oldSecret, newSecret])
        expect(said.some((text) => text.includes(secret))).toBe(false);
      expect(shown.stdout).toContain('etcd-s3-secret-key: [secret]');
    });

    test('up changes what was announced', async () => {
      expect(endedAs(up.events, 'changed')).toEqual(concerned);
      for (const server of lab.nodes.servers) {
        expect(await on(lab, server, 'cat /etc/rancher/k3s/config.yaml'), server.name).toBe(
          config(200, newSecret).trimEnd(),
        );
      }
    });

    test('the servers restart one at a time, the next only when the last is a voter again', async () => {
      const restarts = await Promise.all(
        lab.nodes.servers.map(async (node) => ({ node: node.name, ...(await lastRestart(lab, node)) })),
      );
      restarts.sort((a, b) => a.down - b.down);
      for (const [index, { node, down, up: back }] of restarts.entries()) {
        expect(back, node).toBeGreaterThan(down);
        expect(restarts[index + 1]?.down ?? Number.POSITIVE_INFINITY, node).toBeGreaterThan(back);
      }
      const finished = ofKind(up.events, 'task-finished').filter(({ step }) => step === 'k3s_service');
      const begun = ofKind(up.events, 'task-started').filter(({ step }) => step === 'k3s_service');
      for (const [index, { sequence }] of finished.slice(0, 2).entries()) {
        expect(begun[index + 1]?.sequence).toBeGreaterThan(sequence);
      }
      expect(finished[0]?.actions?.join()).toContain('a voter');
    });

    test('the quorum is never lost: two servers run all the time', () => {
      // Whether it looks at the moment when one is away is chance; that they restart at all is asked above.
      expect(watch.mostAway).toBeLessThanOrEqual(1);
    });

    test('the agent is left alone', async () => {
      const now = await agentState();
      expect(now.services).toEqual(agentBefore.services);
      expect(snapshotDifferences(agentBefore.files, now.files)).toEqual([]);
    });
  });

  describe('changed by hand', () => {
    let before: Map<string, Readonly<Record<string, string>>>;
    let up: Ended;
    let watch: ReadyzWatch;

    beforeAll(async () => {
      const artifacts = await k3sArtifacts([defaultK3sVersion, 'v1.33.5+k3s1']);
      before = new Map();
      for (const node of lab.nodes.nodes) before.set(node.name, await serviceStarts(lab, node));
      await on(
        lab,
        'server-2',
        `sed -i "s/^    server/    server '--debug'/" /etc/systemd/system/k3s.service`,
      );
      expect(await on(lab, 'server-2', 'grep -c -- --debug /etc/systemd/system/k3s.service')).toBe('1');
      await on(lab, agent, 'rm /etc/systemd/system/k3s-agent.service.env');
      const other = path.join(artifacts.directory, 'v1.33.5+k3s1', 'k3s');
      const { code, stderr } = await runCommand('sh', [
        '-c',
        'file=$1; shift; exec ssh "$@" < "$file"',
        'sh',
        other,
        ...lab.nodes.sshArguments(lab.nodes.node('server-3'), 'root'),
        'cd /usr/local/bin && cat > k3s.new && chmod 755 k3s.new && mv k3s.new k3s && ./k3s --version',
      ]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      watch = await ReadyzWatch.start(lab.nodes.servers, lab.cli.kubeconfig);
      try {
        up = await lab.cli.up();
      } finally {
        await watch.stop();
      }
    });

    test('up mends just that', async () => {
      expect(endedAs(up.events, 'changed')).toEqual([
        // It is brought there before any node is touched.
        'server-3: k3s release is here',
        'server-2: Unit, environment and scripts',
        'server-2: k3s runs with what is on disk',
        'server-3: k3s binary',
        'server-3: k3s runs with what is on disk',
        // The binary is another file than the one that was kept. All else is again, to the letter, what is kept.
        'server-3: What now runs well is kept',
        'agent-1: Unit, environment and scripts',
        'agent-1: k3s runs with what is on disk',
      ]);
      expect(await on(lab, 'server-2', 'grep -- --debug /etc/systemd/system/k3s.service || true')).toBe('');
      expect(await on(lab, agent, 'stat -c "%a %U" /etc/systemd/system/k3s-agent.service.env')).toBe(
        '600 root',
      );
      expect(await on(lab, 'server-3', '/usr/local/bin/k3s --version | head -n 1')).toContain(
        defaultK3sVersion,
      );
    });

    test('what was not changed is not restarted, and two servers run all the time', async () => {
      expect(await serviceStarts(lab, lab.nodes.node('server-1'))).toEqual(before.get('server-1'));
      expect(watch.mostAway).toBeLessThanOrEqual(1);
    });

    test('what was changed is restarted, and the cluster is whole', async () => {
      for (const [host, unit] of [
        ['server-2', 'k3s.service'],
        ['server-3', 'k3s.service'],
        ['agent-1', 'k3s-agent.service'],
      ] as const) {
        const starts = await serviceStarts(lab, lab.nodes.node(host));
        expect(starts[unit], host).not.toBe(before.get(host)?.[unit]);
      }
      const nodes = await clusterNodes(lab.cli);
      expect(Object.keys(nodes).length).toBe(4);
      for (const [name, node] of Object.entries(nodes)) {
        expect(node, name).toMatchObject({ ready: true, version: defaultK3sVersion, cordoned: false });
      }
    });

    test('then there is nothing left to do', async () => {
      const again = await lab.cli.plan({ expect: 0 });
      expect(endedAs(again.events, 'would-change')).toEqual([]);
    });
  });
});
