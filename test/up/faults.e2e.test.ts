import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { snapshotDifferences } from '../fleet/filesystem-snapshot.ts';
import { defaultK3sVersion } from '../fleet/k3s-artifacts.ts';
import type { FakeNode } from '../fleet/nodes.ts';
import { type Ended, type EventOf, endedAs, ofKind } from './fleet-cli.ts';
import { clusterNodes, type Lab, on, remains, serviceStarts, startLab } from './lab.ts';
import { ReadyzWatch } from './readyz-watch.ts';

/** What goes wrong on the way: what it says, what it leaves alone, and that the next run mends it. */

type Fault = EventOf<'host-failed'>['error'];

/** Without a folder, and with nobody to fetch from: what is refused must be refused before that. */
const nobody = 'http://127.0.0.1:9/nobody';
const online = { airgap_dir: null, artifact_url: nobody, k3s_install_url: nobody };

/** Why hosts left the run, by name. */
const failures = (ended: Ended): Readonly<Record<string, Fault>> =>
  Object.fromEntries(ofKind(ended.events, 'host-failed').map(({ host, error }) => [host, error]));

/** All that a run may have touched on nodes that run k3s. */
async function stateOf(lab: Lab, nodes: readonly FakeNode[]) {
  return Promise.all(
    nodes.map(async (node) => ({
      name: node.name,
      services: await serviceStarts(lab, node),
      files: await lab.nodes.snapshotFilesystem(node, ['/etc', '/usr/local', '/home', '/root']),
    })),
  );
}

async function expectUntouched(lab: Lab, before: Awaited<ReturnType<typeof stateOf>>): Promise<void> {
  const after = await stateOf(
    lab,
    before.map(({ name }) => lab.nodes.node(name)),
  );
  for (const [index, { name, services, files }] of before.entries()) {
    expect(after[index]?.services, name).toEqual(services);
    expect(snapshotDifferences(files, after[index]?.files ?? new Map()), name).toEqual([]);
  }
}

async function clusterCa(lab: Lab, node: FakeNode): Promise<string> {
  return on(lab, node, 'sha256sum < /var/lib/rancher/k3s/server/tls/server-ca.crt');
}

describe('three servers and two agents', () => {
  const token = 'the-token-of-this-cluster';
  let lab: Lab;

  beforeAll(async () => {
    lab = await startLab({ servers: 3, agents: 2, vars: { token } });
  });

  afterAll(async () => {
    await lab?.stop();
  });

  test('a clock that is off: the node and by how much are named, and nothing is changed', async () => {
    const before = await stateOf(lab, lab.nodes.nodes);
    // The nodes share the clock of one kernel, so what tells it here is put forward: `date`, whoever asks it.
    await on(
      lab,
      'agent-1',
      `cp /bin/date /opt/date-as-it-is && printf '#!/bin/sh\nexec /opt/date-as-it-is -d "1 hour" "$@"\n' > /opt/date-ahead &&
       chmod 755 /opt/date-ahead && mount --bind /opt/date-ahead /usr/bin/date`,
    );
    const up = await lab.cli.up({ expect: 1 });
    await on(lab, 'agent-1', 'umount /usr/bin/date && rm /opt/date-ahead /opt/date-as-it-is');
    const { 'agent-1': fault, ...others } = failures(up);
    expect(others).toEqual({});
    expect(fault?.message).toMatch(/its clock is about 3(599|600|601) s ahead of the others/);
    expect(endedAs(up.events, 'changed')).toEqual([]);
    await expectUntouched(lab, before);
  });

  test('an agent that cannot be reached: the others come up, it is named, and the run fails', async () => {
    await lab.nodes.kill(lab.nodes.node('agent-2'));
    const up = await lab.cli.up({ expect: 1, args: ['--timeout', '10'] });
    const { 'agent-2': fault, ...others } = failures(up);
    expect(others).toEqual({});
    expect(fault?.message).toContain(lab.nodes.node('agent-2').address);
    expect(fault?.fix).toBeTruthy();
    const nodes = await clusterNodes(lab.cli);
    expect(Object.keys(nodes).sort()).toEqual(['agent-1', 'server-1', 'server-2', 'server-3']);
    expect(Object.values(nodes).every(({ ready }) => ready)).toBe(true);
    expect(ofKind(up.events, 'run-finished')[0]).toMatchObject({
      status: 'failed',
      hosts: { 'agent-2': { changed: 0 }, 'agent-1': { failed: 0 } },
    });
  });

  test('an agent with a wrong token: named with what its log says and the likely cause, within its deadline', async () => {
    await lab.nodes.start(lab.nodes.node('agent-2'));
    await lab.nodes.writeInventory({
      k3s_start_timeout: 8,
      // As `k3s token create` makes them: only the server could tell that it has no such one.
      extra_service_envs: `{{ ['K3S_TOKEN=abcdef.0123456789abcdef'] if inventory_hostname == 'agent-2' else [] }}`,
    });
    const up = await lab.cli.up({ expect: 1 });
    const { 'agent-2': fault, ...others } = failures(up);
    expect(others).toEqual({});
    expect(fault).toMatchObject({ code: 'WAIT_TIMED_OUT', host: 'agent-2', step: 'k3s_service' });
    expect(fault?.message).toMatch(/waited 8 s for/);
    // The line of the log, its cause, and what to do: all that a person would otherwise go and look for.
    expect(fault?.message).toMatch(/not authorized|Failed to validate connection/);
    expect(fault?.message).toMatch(/likely: .*token/);
    expect(fault?.fix).toMatch(/run the same command again/);
    expect(Object.keys(await clusterNodes(lab.cli))).not.toContain('agent-2');
    expect(endedAs(up.events, 'changed').filter((name) => !name.startsWith('agent-2'))).toEqual([]);
  });

  test('once the inventory is right again it joins', async () => {
    await lab.nodes.writeInventory();
    await lab.cli.up();
    expect((await clusterNodes(lab.cli))['agent-2']).toMatchObject({ ready: true });
    await lab.cli.plan({ expect: 0 });
  });

  test.each([
    [
      'another token than the live one',
      { token: 'quite-another-token' },
      'TOKEN_DIFFERS',
      /token in the inventory is not the one/,
      /fleet rotate token/,
    ],
    [
      'a skipped minor version',
      { k3s_version: 'v1.35.1+k3s1', ...online },
      'REFUSED',
      /would skip a minor version/,
      /v1\.34 release first/,
    ],
    [
      'an older minor version',
      { k3s_version: 'v1.32.9+k3s1', ...online },
      'REFUSED',
      /cannot go back to v1\.32\.9\+k3s1/,
      /Keep the minor version/,
    ],
  ])('%s is refused, and nothing is changed', async (_what, vars, code, because, fix) => {
    const before = await stateOf(lab, lab.nodes.nodes);
    await lab.nodes.writeInventory(vars);
    const plan = await lab.cli.plan({ expect: 1 });
    const up = await lab.cli.up({ expect: 1 });
    await lab.nodes.writeInventory();
    for (const ended of [plan, up]) {
      const fault = failures(ended)['server-1'];
      expect(fault).toMatchObject({ code, host: 'server-1' });
      expect(fault?.message).toMatch(because);
      expect(fault?.fix).toMatch(fix);
      expect(ended.stdout + ended.stderr).not.toMatch(/the-token-of-this-cluster|quite-another-token/);
    }
    expect(endedAs(up.events, 'changed')).toEqual([]);
    await expectUntouched(lab, before);
    await lab.cli.plan({ expect: 0 });
  });

  test('the first server is wiped: it joins the others again, and there is never a second cluster', async () => {
    const [first, ...others] = lab.nodes.servers;
    if (first === undefined || others[0] === undefined) throw new Error('there are three servers');
    const ca = await clusterCa(lab, others[0]);
    await on(
      lab,
      first,
      `systemctl kill -s KILL k3s; systemctl disable --now k3s 2> /dev/null
       rm -rf /var/lib/rancher /etc/rancher /etc/systemd/system/k3s* /usr/local/bin/*; systemctl daemon-reload`,
    );
    const plan = await lab.cli.run(['plan'], { expect: 2 });
    expect(plan.stdout).not.toContain('cluster-init');
    await lab.cli.up();
    for (const node of lab.nodes.servers) expect(await clusterCa(lab, node), node.name).toBe(ca);
    const nodes = await clusterNodes(lab.cli);
    expect(Object.keys(nodes).sort()).toEqual(['agent-1', 'agent-2', 'server-1', 'server-2', 'server-3']);
    for (const [name, { ready, voter }] of Object.entries(nodes)) {
      expect({ ready, voter }, name).toEqual({
        ready: true,
        voter: name.startsWith('server') ? true : undefined,
      });
    }
    await lab.cli.plan({ expect: 0 });
  });

  test('reboot: every node once, servers one at a time with the quorum kept, then the agents', async () => {
    const before = new Map<string, string | undefined>();
    for (const node of lab.nodes.nodes) before.set(node.name, await lab.nodes.bootId(node));
    const watch = await ReadyzWatch.start(lab.nodes.servers, lab.cli.kubeconfig);
    let reboot: Ended;
    try {
      reboot = await lab.cli.run(['reboot', '--yes', '--output', 'json'], { expect: 0 });
    } finally {
      await watch.stop();
    }
    for (const node of lab.nodes.nodes) {
      expect(await lab.nodes.bootId(node), node.name).not.toBe(before.get(node.name));
    }
    const order = ofKind(reboot.events, 'task-finished')
      .filter(({ status, step }) => status === 'changed' && step === 'reboot')
      .map(({ host }) => host);
    expect(order.slice(0, 3)).toEqual(['server-1', 'server-2', 'server-3']);
    expect(order.slice(3).sort()).toEqual(['agent-1', 'agent-2']);
    expect(watch.mostAway).toBeLessThanOrEqual(1);
    const nodes = await clusterNodes(lab.cli);
    expect(Object.values(nodes).map(({ ready, cordoned }) => ready && !cordoned)).toEqual(
      Array(5).fill(true),
    );
    await lab.cli.plan({ expect: 0 });
  });
});

describe('one server and an agent', () => {
  let lab: Lab;
  let fresh: Awaited<ReturnType<typeof lab.nodes.snapshotFilesystem>>[];

  beforeAll(async () => {
    lab = await startLab({ servers: 1, agents: 1, vars: { cluster_context: 'lab' } });
    fresh = await Promise.all(lab.nodes.nodes.map((node) => lab.nodes.snapshotFilesystem(node)));
  });

  afterAll(async () => {
    await lab?.stop();
  });

  test('two runs at once: the second is told who is at work, and touches nothing', async () => {
    const first = lab.cli.start(['up', '--yes', '--output', 'json']);
    const isInstalling = ({ kind, ...event }: (typeof first.events)[number]): boolean =>
      kind === 'task-started' && 'step' in event && event.step === 'k3s_install';
    await first.until(isInstalling);
    // Held where it is, for as long as the second one takes.
    const stopped = `until pkill -STOP -f k3s-instal[l].sh; do :; done`;
    await on(lab, 'server-1', stopped);
    const second = await lab.cli.up({ expect: 1 });
    await on(lab, 'server-1', 'pkill -CONT -f k3s-instal[l].sh');
    const fault = failures(second)['server-1'];
    expect(fault).toMatchObject({ code: 'LOCKED', host: 'server-1' });
    expect(fault?.message).toMatch(new RegExp(`another run is at work.*process ${first.pid}\\b`));
    expect(fault?.fix).toMatch(/Wait until it has ended/);
    expect(endedAs(second.events, 'changed')).toEqual([]);

    const done = await first.ended;
    expect(done.code, done.stderr).toBe(0);
    const nodes = await clusterNodes(lab.cli, 'lab');
    expect(Object.values(nodes).map(({ ready }) => ready)).toEqual([true, true]);
    await lab.cli.plan({ expect: 0 });
  });

  test('reset wants the name of the cluster', async () => {
    for (const args of [
      ['reset', '--yes'],
      ['reset', '--yes', '--confirm', 'another'],
    ]) {
      const { stderr } = await lab.cli.run(args, { expect: 64 });
      expect(stderr).toContain('lab');
    }
    await lab.cli.plan({ expect: 0 });
  });

  /** Folders whose entries came and went, and the login user's .bashrc, which is as it was. */
  const mayStay = /^~ \S+ \(mtime [^,]+\)$/;

  test('reset removes k3s, and leaves the files of the hosts as they were', async () => {
    const reset = await lab.cli.run(['reset', '--yes', '--confirm', 'lab', '--output', 'json'], {
      expect: 0,
    });
    expect(endedAs(reset.events, 'changed')).toEqual(
      expect.arrayContaining(['agent-1: k3s is gone', 'server-1: k3s is gone']),
    );
    for (const [index, node] of lab.nodes.nodes.entries()) {
      const after = await lab.nodes.snapshotFilesystem(node);
      const left = snapshotDifferences(fresh[index] ?? new Map(), after).filter(
        (line) => !mayStay.test(line),
      );
      expect(left, node.name).toEqual([]);
      expect(await remains(lab, node), node.name).toEqual([]);
      expect(
        await on(lab, node, 'pgrep -l "k3s|containerd" || true; ls -d /run/k3s 2> /dev/null || true'),
        node.name,
      ).toBe('');
    }
    const again = await lab.cli.run(['reset', '--yes', '--confirm', 'lab', '--output', 'json'], {
      expect: 0,
    });
    expect(endedAs(again.events, 'changed')).toEqual([]);
  });

  test('and up makes a new cluster of them', async () => {
    await lab.cli.up();
    const nodes = await clusterNodes(lab.cli, 'lab');
    expect(Object.values(nodes).map(({ ready, version }) => ready && version)).toEqual([
      defaultK3sVersion,
      defaultK3sVersion,
    ]);
    await lab.cli.plan({ expect: 0 });
  });
});
