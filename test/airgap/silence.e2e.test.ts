import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type Lab, on, startLab } from '../up/lab.ts';

/**
 * With airgap_dir nothing leaves: neither this process nor anything that it runs on a node speaks to anybody but the
 * hosts of the inventory. Nodes and control process have one network; its gateway and resolver is a namespace that
 * counts every packet it is sent and answers none.
 */

const isRoot = process.getuid?.() === 0;
const prefix = 'fleet-silence-';

function run(program: string, ...args: readonly string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Namespaces of test processes that were killed. */
function sweep(): void {
  for (const line of run('ip', 'netns', 'list').split('\n')) {
    const [name = ''] = line.split(' ');
    const [, pid] = /^fleet-silence-(\d+)-/.exec(name) ?? [];
    if (pid === undefined) continue;
    try {
      if (Number(pid) !== process.pid) process.kill(Number(pid), 0);
    } catch {
      remove(name);
    }
  }
}

function remove(namespace: string): void {
  run('ip', 'netns', 'del', namespace);
  rmSync(`/etc/netns/${namespace}`, { recursive: true, force: true });
}

describe.skipIf(!isRoot)('one server and two agents, with nothing around them', () => {
  const control = `${prefix}${process.pid}-control`;
  const recorder = `${prefix}${process.pid}-recorder`;
  const made: string[] = [];
  let lab: Lab;

  beforeAll(async () => {
    sweep();
    lab = await startLab({ servers: 1, agents: 2 });
    const { gateway, subnet } = lab.nodes.network;
    const [, bits = '16'] = subnet.split('/');
    const addressAt = (last: number): string => gateway.replace(/\d+$/, String(last));
    const bridge = run('ip', '-o', '-4', 'addr', 'show')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .find(([, , , address]) => address === `${gateway}/${bits}`)?.[1];
    if (bridge === undefined) throw new Error(`no interface has ${gateway}/${bits}`);
    for (const [index, [namespace, last]] of (
      [
        [control, 250],
        [recorder, 251],
      ] as const
    ).entries()) {
      const link = `fs${index}-${process.pid}`;
      run('ip', 'netns', 'add', namespace);
      made.push(namespace);
      run('ip', 'link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
      run('ip', 'link', 'set', link, 'master', bridge, 'up');
      run('ip', '-n', namespace, 'addr', 'add', `${addressAt(last)}/${bits}`, 'dev', 'eth0');
      for (const device of ['lo', 'eth0']) run('ip', '-n', namespace, 'link', 'set', device, 'up');
    }
    const nobody = addressAt(251);
    run('ip', '-n', control, 'route', 'add', 'default', 'via', nobody);
    mkdirSync(`/etc/netns/${control}`, { recursive: true });
    writeFileSync(
      `/etc/netns/${control}/resolv.conf`,
      `nameserver ${nobody}\noptions timeout:1 attempts:1\n`,
    );
    for (const node of lab.nodes.nodes) {
      await on(
        lab,
        node,
        `ip route replace default via ${nobody}; printf 'nameserver ${nobody}\\noptions timeout:1 attempts:1\\n' > /etc/resolv.conf`,
      );
    }
    // Whoever looks for its neighbour's hardware address broadcasts; what is meant for this one is counted.
    const count = [
      'iptables',
      '-t',
      'raw',
      '-A',
      'PREROUTING',
      '-i',
      'eth0',
      '-m',
      'pkttype',
      '--pkt-type',
      'unicast',
    ];
    run('ip', 'netns', 'exec', recorder, ...count);
  });

  afterAll(async () => {
    for (const namespace of made) remove(namespace);
    await lab?.stop();
  });

  const recorded = (): number => {
    const listed = run('ip', 'netns', 'exec', recorder, 'iptables', '-t', 'raw', '-nvxL', 'PREROUTING');
    return Number(/^\s*(\d+)\s+\d+\s.*PKTTYPE/m.exec(listed)?.[1] ?? Number.NaN);
  };

  /** A command in the control process' namespace. */
  const inControl = (...argv: readonly string[]): Promise<{ code: number | null; said: string }> =>
    new Promise((resolve, reject) => {
      const child = spawn('ip', ['netns', 'exec', control, ...argv], {
        cwd: lab.cli.folder,
        env: { PATH: process.env.PATH, HOME: lab.cli.home, NO_COLOR: '1' },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let said = '';
      child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
      child.on('error', reject);
      child.on('close', (code) => resolve({ code, said }));
    });

  const fleet = (...args: readonly string[]) =>
    inControl(process.execPath, inject('fleetCommand'), ...args, '--inventory', lab.cli.inventory);

  test('up, and up again, send nobody else a packet', async () => {
    const before = recorded();
    expect(before).toBeGreaterThanOrEqual(0);
    const first = await fleet('up', '--yes');
    expect(first.code, first.said).toBe(0);
    const second = await fleet('up', '--yes');
    expect(second.said).toMatch(/Nothing to change/);
    expect(recorded()).toBe(before);
  });

  test('and the recorder does hear who tries, from the control process and from a node', async () => {
    const before = recorded();
    await inControl('getent', 'hosts', 'get.k3s.io');
    const afterControl = recorded();
    expect(afterControl).toBeGreaterThan(before);
    await on(lab, 'agent-1', 'getent hosts update.k3s.io; true');
    const afterName = recorded();
    expect(afterName).toBeGreaterThan(afterControl);
    await on(lab, 'agent-1', 'curl -s --connect-timeout 1 http://192.0.2.1/; true');
    expect(recorded()).toBeGreaterThan(afterName);
  });
});
