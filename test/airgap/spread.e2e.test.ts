import { createHash, randomBytes } from 'node:crypto';
import { cp, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { airgapFolder, defaultK3sVersion, k3sArtifacts } from '../fleet/k3s-artifacts.ts';
import { endedAs } from '../up/fleet-cli.ts';
import { type Lab, on, remains, startLab } from '../up/lab.ts';

/** Large files go once to the first node, and from node to node after that; nothing of it stays. */

const images = '/var/lib/rancher/k3s/agent/images';
const ownBytes = 64 * 1024 * 1024;

describe('four nodes', () => {
  let lab: Lab;
  const own = randomBytes(ownBytes);

  beforeAll(async () => {
    lab = await startLab({ servers: 1, agents: 3 });
    const folder = path.join(lab.nodes.directory, 'carried');
    await cp(await airgapFolder(await k3sArtifacts(), defaultK3sVersion), folder, { recursive: true });
    await writeFile(path.join(folder, 'own.tar'), own);
    await lab.nodes.writeInventory({ airgap_dir: folder });
  });
  afterAll(() => lab?.stop());

  /** Bytes that all nodes have sent and received so far. */
  const moved = async (): Promise<{ sent: number; received: number }> => {
    const counts = await Promise.all(
      lab.nodes.nodes.map(async (node) =>
        (
          await on(
            lab,
            node,
            'cat /sys/class/net/eth0/statistics/tx_bytes /sys/class/net/eth0/statistics/rx_bytes',
          )
        )
          .split('\n')
          .map(Number),
      ),
    );
    return {
      sent: counts.reduce((sum, [sent = 0]) => sum + sent, 0),
      received: counts.reduce((sum, [, received = 0]) => sum + received, 0),
    };
  };

  /** Programs that serve, on any node. */
  const servers = async (): Promise<string> => {
    const lists = lab.nodes.nodes.map((node) =>
      on(lab, node, `pgrep -af '[p]erl -e|[p]ython3? -c|[h]ttpd' || true`),
    );
    return (await Promise.all(lists)).join('').trim();
  };

  test('nothing serves on after the control process was killed in the middle', async () => {
    const running = lab.cli.start(['up', '--yes', '--output', 'json']);
    await expect.poll(servers, { timeout: 60_000, interval: 20 }).toMatch(/perl/);
    running.kill('SIGKILL');
    await running.ended;
    await expect.poll(servers, { timeout: 20_000 }).toBe('');
  });

  /** Brings the large file to all nodes anew. @returns what this machine sent for it, in bytes, and how the run ended */
  const broughtAnew = async () => {
    for (const node of lab.nodes.nodes) await on(lab, node, `rm -f ${images}/own.tar`);
    const before = await moved();
    const up = await lab.cli.up();
    const after = await moved();
    for (const node of lab.nodes.nodes) {
      const sum = (await on(lab, node, `sha256sum < ${images}/own.tar`)).split(' ')[0];
      expect(sum, node.name).toBe(createHash('sha256').update(own).digest('hex'));
      expect(await remains(lab, node)).toEqual([]);
      expect(await on(lab, node, `ls -A ${images} | grep '^\\.' || true`)).toBe('');
    }
    expect(await servers()).toBe('');
    expect(endedAs(up.events, 'failed')).toEqual([]);
    // What nodes received and no node sent.
    return after.received - before.received - (after.sent - before.sent);
  };

  test('the next run sends it once, and the nodes hand it on', async () => {
    // And to each node the binary, which is small.
    expect(await broughtAnew()).toBeLessThan(1.3 * ownBytes + 4 * 8e6);
  });

  test('a node that has nothing to serve or fetch with is sent it by this machine, and the others are not', async () => {
    const programs = 'perl python3 busybox curl wget';
    await on(
      lab,
      'agent-1',
      `mkdir /root/hidden; for each in ${programs}; do at=$(command -v $each) && mv "$at" /root/hidden; done; true`,
    );
    const sent = await broughtAnew();
    expect(sent).toBeGreaterThan(1.9 * ownBytes);
    expect(sent).toBeLessThan(2.4 * ownBytes);
    await on(lab, 'agent-1', 'mv /root/hidden/* /usr/bin/');
  });

  test('nodes that cannot reach each other are sent it by this machine', async () => {
    const block =
      'iptables -I INPUT -p tcp --syn ! --dport 22 -j REJECT && iptables -I INPUT -p tcp --dport 6443 -j ACCEPT';
    for (const node of lab.nodes.nodes) {
      await on(lab, node, block);
      await on(lab, node, `rm -f ${images}/own.tar`);
    }
    const up = await lab.cli.up();
    expect(endedAs(up.events, 'failed')).toEqual([]);
    for (const node of lab.nodes.nodes)
      expect(await on(lab, node, `stat -c %s ${images}/own.tar`)).toBe(String(ownBytes));
    expect(await servers()).toBe('');
  });
});
