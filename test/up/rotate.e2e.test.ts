import { copyFile, readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ArgvWatch } from './argv-watch.ts';
import { endedAs } from './fleet-cli.ts';
import { clusterNodes, kubectl, type Lab, on, startLab } from './lab.ts';

/** A token that nobody may know any more, keys, and certificates: changed on every node, and the cluster stays up. */

const oldToken = 'the-old-token-of-this-cluster';
const data = '/var/lib/rancher/k3s';

describe('three servers and an agent', () => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await startLab({
      servers: 3,
      agents: 1,
      vars: { token: oldToken, server_config_yaml: 'secrets-encryption: true\n' },
    });
    await lab.cli.up();
  });

  afterAll(async () => {
    await lab?.stop();
  });

  /** How k3s answers a server that shows this token: what a joining node asks first. */
  const answerTo = (server: string, password: string): Promise<string> =>
    on(
      lab,
      server,
      `printf 'user = "server:%s"' '${password}' |
       curl -sk -o /dev/null -w '%{http_code}' -K - https://127.0.0.1:6443/v1-k3s/server-bootstrap`,
    );

  /** The agent and the three servers, every one of which votes. */
  const expectAllWell = async (): Promise<void> => {
    const nodes = await clusterNodes(lab.cli);
    expect(Object.values(nodes).map(({ ready, voter }) => [ready, voter])).toEqual([
      [true, undefined],
      [true, true],
      [true, true],
      [true, true],
    ]);
  };

  test('certs: all of every node, with the days that are left', async () => {
    const { stdout } = await lab.cli.run(['certs', '--output', 'json'], { expect: 0 });
    const { nodes } = JSON.parse(stdout) as {
      nodes: { host: string; certificates: { days: number }[]; authorities: { days: number }[] }[];
    };
    expect(nodes.map(({ host }) => host)).toEqual(['server-1', 'server-2', 'server-3', 'agent-1']);
    expect(nodes[0]?.certificates[0]?.days).toBeGreaterThan(350);
    expect(nodes[0]?.authorities[0]?.days).toBeGreaterThan(3000);
  });

  test('certs that end soon are warned of', async () => {
    await on(
      lab,
      'server-2',
      `openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=soon -days 20 -out ${data}/server/tls/soon.crt 2> /dev/null`,
    );
    const { stderr } = await lab.cli.run(['certs'], { expect: 0 });
    expect(stderr).toContain('certificates of server-2 end in 19 days');
    await on(lab, 'server-2', `rm ${data}/server/tls/soon.crt`);
  });

  test('rotate certs: other ones on every server, and kubectl goes on working', async () => {
    const certificate = (server: string): Promise<string> =>
      on(lab, server, `sha256sum < ${data}/server/tls/client-admin.crt`);
    const before = await certificate('server-1');
    const kubeconfig = await readFile(lab.cli.kubeconfig, 'utf8');
    await lab.cli.run(['rotate', 'certs', '--yes', '--output', 'json'], { expect: 0 });
    expect(await certificate('server-1')).not.toBe(before);
    expect(await readFile(lab.cli.kubeconfig, 'utf8')).not.toBe(kubeconfig);
    expect(Object.values(await clusterNodes(lab.cli)).every(({ ready }) => ready)).toBe(true);
    await lab.cli.plan({ expect: 0 });
  });

  test('rotate token: one that stands in a node’s own config is refused before a new one is made', async () => {
    await on(
      lab,
      'agent-1',
      `mkdir /etc/rancher/k3s && echo 'token: ${oldToken}' > /etc/rancher/k3s/config.yaml`,
    );
    const refused = await lab.cli.run(['rotate', 'token', '--yes', '--output', 'json'], { expect: 1 });
    await on(lab, 'agent-1', 'rm -r /etc/rancher/k3s');
    expect(refused.stdout).toContain('its token stands in /etc/rancher/k3s/config.yaml');
    expect(endedAs(refused.events, 'changed')).toEqual([]);
    expect(await on(lab, 'server-1', `cat ${data}/server/token`)).toMatch(new RegExp(`:${oldToken}$`));
  });

  test('rotate token: killed in its middle and run again; no token in any command line', async () => {
    const watch = await ArgvWatch.start(lab, lab.nodes.node('server-2'));
    const rotate = ['rotate', 'token', '--yes', '--output', 'json'];
    const running = lab.cli.start(rotate);
    await running.until((event) => event.kind === 'task-started' && event.host === 'server-2');
    running.kill('SIGKILL');
    await running.ended;
    const made = await on(lab, 'server-1', `cat ${data}/server/token`);

    const again = await lab.cli.run(rotate, { expect: 0 });
    const seen = await watch.stop();
    expect(endedAs(again.events, 'changed')).not.toContain('server-1: k3s makes a new token');
    const fresh = made.split(':').at(-1) ?? '';
    expect(fresh).toMatch(/^[0-9a-f]{32}$/);
    expect(await on(lab, 'server-1', `cat ${data}/server/token`)).toBe(made);

    for (const server of ['server-1', 'server-2', 'server-3']) {
      expect([await answerTo(server, fresh), await answerTo(server, oldToken)]).toEqual(['200', '401']);
    }
    expect(await on(lab, 'agent-1', `grep -c ${fresh} /etc/systemd/system/k3s-agent.service.env`)).toBe('1');
    expect(Object.values(await clusterNodes(lab.cli)).every(({ ready }) => ready)).toBe(true);
    expect(seen.filter((line) => line.includes(fresh) || line.includes(oldToken))).toEqual([]);
    expect(seen.length).toBeGreaterThan(3);
    expect(again.stdout + again.stderr + (await lab.cli.journals()).join('')).not.toContain(fresh);

    // The old one stays with the snapshots that need it, for root alone.
    const kept = await on(
      lab,
      'server-1',
      `stat -c '%a %U' ${data}/server/fleet-old-tokens; cat ${data}/server/fleet-old-tokens/*`,
    );
    expect(kept).toMatch(new RegExp(`^700 root\\nK10[0-9a-f]{64}::server:${oldToken}$`));

    // What the inventory says is refused until it says the new one; then nothing is to be done.
    const refused = await lab.cli.run(['up', '--yes']);
    expect(refused.code).toBe(1);
    expect(refused.stdout + refused.stderr).toContain('fleet rotate token');
    const noted = (await readFile(path.join(lab.cli.folder, '.fleet', 'k3s-ansible.token'), 'utf8')).trim();
    expect(noted).toBe(fresh);
    await lab.nodes.writeInventory({ token: noted, server_config_yaml: 'secrets-encryption: true\n' });
    await lab.cli.plan({ expect: 0 });
  });

  test('a snapshot from before the rotation is restored with the token of then', async () => {
    const { stdout } = await lab.cli.run(['snapshot', 'ls', '--output', 'json'], { expect: 0 });
    const { snapshots } = JSON.parse(stdout) as { snapshots: { name: string }[] };
    const name = snapshots.find((one) => one.name.startsWith('before-token-rotation'))?.name ?? '';
    await lab.cli.run(
      ['snapshot', 'restore', name, '--yes', '--confirm', 'k3s-ansible', '--output', 'json'],
      {
        expect: 0,
      },
    );
    expect(await answerTo('server-3', oldToken)).toBe('200');
    await expectAllWell();
  });

  test('rotate encryption-keys: another key, and all servers restarted', async () => {
    const key = async (): Promise<string> =>
      (await on(lab, 'server-1', 'k3s secrets-encrypt status | tail -n 1')).trim();
    const before = await key();
    const done = await lab.cli.run(['rotate', 'encryption-keys', '--yes', '--output', 'json'], { expect: 0 });
    expect(await key()).not.toBe(before);
    expect(endedAs(done.events, 'changed')).toEqual(
      expect.arrayContaining(['server-1', 'server-2', 'server-3'].map((name) => `${name}: k3s starts anew`)),
    );
    expect((await kubectl(lab.cli, 'get', 'nodes')).code).toBe(0);
  });

  test('rotate ca: killed in its middle and run again; who trusted the old authorities trusts the new ones', async () => {
    await lab.nodes.writeInventory({ token: oldToken, server_config_yaml: 'secrets-encryption: true\n' });
    await lab.cli.run(['restart', '--yes', '--limit', 'agent-1'], { expect: 0 });
    const before = path.join(lab.cli.folder, 'before.kubeconfig');
    await copyFile(lab.cli.kubeconfig, before);
    const tokenOf = (server: string): Promise<string> => on(lab, server, `cat ${data}/server/token`);
    const [hash] = (await tokenOf('server-1')).split('::');
    const rotate = ['rotate', 'ca', '--yes', '--output', 'json'];
    const running = lab.cli.start(rotate);
    await running.until((event) => event.kind === 'task-started' && event.host === 'server-2');
    running.kill('SIGKILL');
    await running.ended;
    // Its token names another authority than those of the others: that must not be taken for two clusters to choose from.
    const between = await lab.cli.run(['up', '--yes']);
    expect(between.code).toBe(1);
    expect(between.stdout + between.stderr).toContain('fleet rotate ca');

    const again = await lab.cli.run(rotate, { expect: 0 });
    expect(endedAs(again.events, 'changed')).not.toContain('server-1: They are in the datastore');
    const root = await on(
      lab,
      'server-1',
      `awk '/BEGIN/{n++} n==2' ${data}/server/tls/server-ca.crt | openssl x509 -outform DER | sha256sum | cut -d ' ' -f 1`,
    );
    expect(`K10${root}`).not.toBe(hash);
    for (const server of ['server-1', 'server-2', 'server-3']) {
      expect(await tokenOf(server)).toBe(`K10${root}::server:${oldToken}`);
      expect(await on(lab, server, `ls -d ${data}/server/fleet-ca-rotation 2> /dev/null || echo gone`)).toBe(
        'gone',
      );
    }
    expect(await on(lab, 'agent-1', 'cat /etc/systemd/system/k3s-agent.service.env')).toContain(
      `K10${root}::`,
    );
    await expectAllWell();
    expect(await readFile(lab.cli.kubeconfig, 'utf8')).not.toBe(await readFile(before, 'utf8'));
    expect((await kubectl(lab.cli, '--kubeconfig', before, 'get', 'nodes')).code).toBe(0);
    await lab.cli.plan({ expect: 0 });
  });
});
