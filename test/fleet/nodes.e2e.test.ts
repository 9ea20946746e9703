import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { dockerClient, runCommand } from './docker.ts';
import { snapshotDifferences } from './filesystem-snapshot.ts';
import { airgapFolder, defaultK3sVersion, k3sArtifacts } from './k3s-artifacts.ts';
import { fleetLabel } from './leftovers.ts';
import { type FakeFleet, type FakeNode, startNodes } from './nodes.ts';
import { startReleaseServer } from './release-server.ts';

const megabyte = 1024 * 1024;

/** What of a fleet Docker still knows. */
async function remains(id: string): Promise<{ containers: number; networks: number }> {
  const docker = (await dockerClient()).container.dockerode;
  const filters = { label: [`${fleetLabel}=${id}`] };
  const containers = await docker.listContainers({ all: true, filters });
  const networks = await docker.listNetworks({ filters });
  return { containers: containers.length, networks: networks.length };
}

/** Whether a TCP connection to port 22 of a node comes about within a second. */
async function answers(node: FakeNode): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect({ host: node.address, port: node.port, timeout: 1000 });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.on('data', () => end(true));
    socket.on('timeout', () => end(false));
    socket.on('error', () => end(false));
  });
}

describe('three fake nodes', () => {
  let fleet: FakeFleet;
  let server: FakeNode;

  beforeAll(async () => {
    fleet = await startNodes({ servers: 1, agents: 2, vars: { cluster_context: 'fake' } });
    server = fleet.node('server-1');
  });

  afterAll(async () => {
    await fleet?.stop();
  });

  test('answer to the system ssh client, which checks their host keys', async () => {
    for (const node of fleet.nodes) {
      const { stdout, stderr, code } = await fleet.ssh(node, 'hostname; id -un; sudo -n id -un');
      expect({ stdout, stderr, code }).toEqual({
        stdout: `${node.name}\ndebian\nroot\n`,
        stderr: '',
        code: 0,
      });
      expect((await fleet.ssh(node, 'id -un', 'root')).stdout).toBe('root\n');
    }
  });

  test('have host keys of their own, which nobody can exchange unnoticed', async () => {
    await fleet.exec(server, 'rm /etc/ssh/ssh_host_*; ssh-keygen -A; systemctl restart ssh');
    const { stderr, code } = await fleet.ssh(server, 'true');
    expect(code).toBe(255);
    expect(stderr).toContain('HOST IDENTIFICATION HAS CHANGED');
    await fleet.writeKnownHosts();
    expect((await fleet.ssh(server, 'true')).code).toBe(0);
  });

  test('ask ops for a password before sudo, doas and su', async () => {
    expect((await fleet.ssh(server, 'sudo -n true', 'ops')).code).not.toBe(0);
    expect((await fleet.ssh(server, 'echo ops-password | sudo -S -p "" id -un', 'ops')).stdout).toBe(
      'root\n',
    );
    expect((await fleet.ssh(server, 'doas -n id -un')).stdout).toBe('root\n');
    expect((await fleet.ssh(server, 'echo root-password | su -c "id -un" root', 'ops')).stdout).toBe(
      'root\n',
    );
  });

  test('run systemd to the end of its boot, with nothing failed', async () => {
    for (const node of fleet.nodes) {
      const { stdout } = await fleet.exec(
        node,
        'systemctl is-system-running; systemctl --failed --no-legend --plain',
      );
      expect(stdout).toBe('running\n');
    }
  });

  test('are machines of their own: machine-id, boot id, host name; and know one another by name', async () => {
    const ids = await Promise.all(
      fleet.nodes.map(
        async (node) =>
          (await fleet.exec(node, 'cat /etc/machine-id /proc/sys/kernel/random/boot_id; hostname')).stdout,
      ),
    );
    for (const [line, length] of [32, 36].entries()) {
      const values = ids.map((each) => each.split('\n')[line]);
      expect(new Set(values).size).toBe(fleet.nodes.length);
      for (const value of values) expect(value).toHaveLength(length);
    }
    const found = await fleet.exec(server, 'getent hosts agent-2');
    expect(found.stdout).toContain(fleet.node('agent-2').address);
  });

  test('have no Python, no kubectl and no k3s', async () => {
    const { stdout } = await fleet.exec(
      server,
      'ls /usr/bin /usr/sbin /usr/local/bin | grep -E "^(python|kubectl|k3s)"; /opt/k3s-stand-in/kubectl version --client',
    );
    expect(stdout).toMatch(/^Client Version: /);
  });

  test('cost less than 30 MB each', async () => {
    for (const node of fleet.nodes) {
      const { anonymous, kernel, total } = await fleet.memory(node);
      expect(anonymous).toBeGreaterThan(megabyte);
      expect(kernel).toBeGreaterThan(0);
      expect(total).toBeLessThan(30 * megabyte);
    }
  });

  test('can have files renamed over /etc/hosts, as machines can', async () => {
    const replace = 'cp -p /etc/hosts /etc/hosts.new && mv /etc/hosts.new /etc/hosts';
    expect(await fleet.exec(server, replace)).toEqual({ stdout: '', stderr: '', code: 0 });
  });

  test('load kernel modules that are built in, and no others', async () => {
    expect(await fleet.exec(server, 'modprobe br_netfilter && modprobe overlay')).toMatchObject({ code: 0 });
    expect((await fleet.exec(server, 'modprobe no_such_module')).code).not.toBe(0);
  });

  test('show in a snapshot what changed, and nothing where nothing did', async () => {
    const before = await fleet.snapshotFilesystem(server);
    expect(before.get('/etc/ssh/sshd_config')).toMatchObject({ type: 'f', mode: '644', owner: '0:0' });
    await fleet.ssh(server, 'sudo true');
    await fleet.ssh(server, 'echo ops-password | sudo -S true', 'ops');
    expect(snapshotDifferences(before, await fleet.snapshotFilesystem(server))).toEqual([]);

    await fleet.exec(
      server,
      'echo x >/etc/new; chmod 600 /etc/issue; touch /etc/motd; rm /etc/issue.net; printf A | dd of=/etc/debconf.conf conv=notrunc',
    );
    const changes = snapshotDifferences(before, await fleet.snapshotFilesystem(server));
    expect(changes.map((each) => each.split(' ').slice(0, 2).join(' '))).toEqual([
      '~ /etc',
      '~ /etc/debconf.conf',
      '~ /etc/issue',
      '- /etc/issue.net',
      '~ /etc/motd',
      '+ /etc/new',
    ]);
    expect(changes[1]).toContain('content');
    expect(changes[2]).toContain('mode 644 -> 600');
  });

  test('tell when a unit last started', async () => {
    const first = await fleet.activeEnter(server, 'dbus.service');
    expect(first).toBeGreaterThan(0);
    expect(await fleet.activeEnter(server, 'dbus.service')).toBe(first);
    const ssh = await fleet.activeEnter(server, 'ssh.service');
    await fleet.exec(server, 'systemctl restart ssh');
    expect(await fleet.activeEnter(server, 'ssh.service')).toBeGreaterThan(ssh);
    expect(await fleet.activeEnter(server, 'no-such.service')).toBe(0);
  });

  test('come back from a reboot and from a power cut: same address, same disk, another boot', async () => {
    await fleet.exec(server, 'echo kept >/root/file');
    const first = await fleet.bootId(server);
    await fleet.ssh(server, 'sudo systemctl reboot');
    await fleet.untilReady(server, first);
    const second = await fleet.bootId(server);
    expect(second).not.toBe(first);

    await fleet.kill(server);
    expect(await answers(server)).toBe(false);
    expect(await fleet.bootId(server)).toBeUndefined();
    await fleet.start(server);
    expect(await fleet.bootId(server)).not.toBe(second);
    await fleet.restart(server);
    expect((await fleet.ssh(server, 'sudo cat /root/file')).stdout).toBe('kept\n');
  });

  test('can be frozen, and cut off from the network', async () => {
    const agent = fleet.node('agent-1');
    await fleet.pause(agent);
    expect(await answers(agent)).toBe(false);
    await fleet.unpause(agent);
    expect(await answers(agent)).toBe(true);

    await fleet.disconnect(agent);
    expect(await answers(agent)).toBe(false);
    expect((await fleet.exec(agent, 'cat /sys/class/net/eth0/carrier')).stdout).toBe('0\n');
    await fleet.connect(agent);
    await expect.poll(async () => await answers(agent), { timeout: 10_000 }).toBe(true);
    expect((await fleet.exec(agent, 'ip -4 -o addr show eth0')).stdout).toContain(agent.address);
  });

  test('fetch k3s from a release server on this machine, and find that it runs', async () => {
    const artifacts = await k3sArtifacts();
    await using releases = await startReleaseServer({
      artifacts,
      addresses: [fleet.network.gateway],
      https: true,
    });
    const caFile = await readFile(releases.caFile ?? '', 'utf8');
    const url = `${releases.releasesUrl}/download/${encodeURIComponent(defaultK3sVersion)}`;
    const fetching = `cd /tmp && printf '%s' '${caFile}' >ca && for file in k3s sha256sum-amd64.txt; do
      curl -sSfL --cacert ca -o $file ${url}/$file; done
      sha256sum -c --ignore-missing --quiet sha256sum-amd64.txt && chmod 755 k3s && ./k3s --version; rm -f ca k3s sha*`;
    const { stdout, stderr } = await fleet.exec(server, fetching);
    expect(stderr).toBe('');
    expect(stdout).toMatch(`k3s version ${defaultK3sVersion} (`);
    expect(releases.requests.map((each) => each.from)).toContain(server.address);
    const airgap = await airgapFolder(artifacts, defaultK3sVersion);
    expect(await readdir(airgap)).toEqual(
      expect.arrayContaining(['k3s', 'k3s-install.sh', 'sha256sum-amd64.txt']),
    );
  });

  test('stand in an inventory as k3s-ansible has it', async () => {
    const inventory: unknown = parse(await readFile(fleet.inventoryPath, 'utf8'));
    expect(inventory).toMatchObject({
      k3s_cluster: {
        children: {
          server: { hosts: { 'server-1': { ansible_host: server.address } } },
          agent: { hosts: { 'agent-1': {}, 'agent-2': {} } },
        },
        vars: { ansible_user: 'debian', ansible_ssh_private_key_file: fleet.key, cluster_context: 'fake' },
      },
    });
  });
});

test('stop() leaves no container, no network and no file', async () => {
  const fleet = await startNodes(['one']);
  expect(await remains(fleet.id)).toEqual({ containers: 1, networks: 1 });
  await fleet.pause(fleet.node('one'));
  await fleet.stop();
  expect(await remains(fleet.id)).toEqual({ containers: 0, networks: 0 });
  await expect(readFile(fleet.key)).rejects.toThrow('ENOENT');
  await fleet.stop();
});

test.each(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)(
  'a process ended by %s leaves nothing behind',
  async (signal) => {
    const directory = await mkdtemp(path.join(tmpdir(), 'fleet-test-signal-'));
    const script = `
    import { startNodes } from ${JSON.stringify(path.join(import.meta.dirname, 'nodes.ts'))};
    const fleet = await startNodes({ servers: ['killed'], directory: ${JSON.stringify(directory)} });
    process.stdout.write(fleet.id);
    process.kill(process.pid, '${signal}');
    setInterval(() => undefined, 1000);`;
    const { stdout: id } = await runCommand('npx', ['tsx', '--input-type=module', '-e', script]);
    expect(id).toMatch(/^fleet-test-/);
    // Nobody can clean up after SIGKILL but the next to start a fleet.
    if (signal === 'SIGKILL') {
      expect(await remains(id)).toEqual({ containers: 1, networks: 1 });
      await (await startNodes(['next'])).stop();
    }
    expect(await remains(id)).toEqual({ containers: 0, networks: 0 });
    await rm(directory, { recursive: true, force: true });
  },
);

test('a node that cannot start takes the others and the network with it', async () => {
  const docker = (await dockerClient()).container.dockerode;
  const before = (await docker.listNetworks({ filters: { label: [fleetLabel] } })).length;
  await expect(startNodes(['fine', 'not a host name !'])).rejects.toThrow('not a host name !');
  expect((await docker.listNetworks({ filters: { label: [fleetLabel] } })).length).toBe(before);
});
