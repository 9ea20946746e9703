import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FakeNode, startNodes } from '../fleet/nodes.ts';
import { endedAs, FleetCli, ofKind } from '../up/fleet-cli.ts';
import { type Lab, on } from '../up/lab.ts';

/** Real ufw and firewalld on three servers and an agent: what comes through, nothing twice, and no trace afterwards. */

let lab: Pick<Lab, 'nodes' | 'cli'>;
let hasFirewalls = false;

const play = (state: 'present' | 'absent') => `- hosts: all
  gather_facts: false
  become: true
  steps:
    - name: Firewall
      k3s_firewall:
        state: ${state}
`;

beforeAll(async () => {
  const nodes = await startNodes({ servers: 3, agents: 1, vars: { manage_firewall: true } });
  lab = { nodes, cli: await FleetCli.make(nodes.directory, nodes.inventoryPath) };
  for (const state of ['present', 'absent'] as const)
    await writeFile(path.join(lab.cli.folder, `${state}.yml`), play(state));
  // Masked, for a firewalld that is stopped while it starts leaves its table in the kernel.
  const installed = await Promise.all(
    nodes.nodes.map((node) =>
      nodes.exec(
        node,
        'export DEBIAN_FRONTEND=noninteractive; systemctl mask -q firewalld; { timeout 60 apt-get update -q && timeout 240 apt-get install -y -q --no-install-recommends ufw firewalld nftables; } >/dev/null 2>&1',
      ),
    ),
  );
  hasFirewalls = installed.every(({ code }) => code === 0);
});
afterAll(async () => {
  await lab?.nodes.stop();
});

const run = (state: 'present' | 'absent', ...more: readonly string[]) =>
  lab.cli.run(['play', `${state}.yml`, '--output', 'json', ...more]);

async function settles(state: 'present' | 'absent', hosts: readonly string[]) {
  const first = await run(state);
  expect(first.code, `${first.stdout}${first.stderr}`).toBe(0);
  expect(endedAs(first.events, 'changed').sort()).toEqual(hosts.map((host) => `${host}: Firewall`).sort());
  const second = await run(state);
  expect(second.code, second.stderr).toBe(0);
  expect(endedAs(second.events, 'changed')).toEqual([]);
  return first;
}

/** A port where nobody listens answers with a refusal when the firewall lets the question in. */
async function reaches(from: FakeNode, to: FakeNode, port: number): Promise<boolean> {
  const said = await lab.nodes.exec(
    from,
    `LC_ALL=C timeout 2 bash -c 'exec 3<>/dev/tcp/${to.address}/${port}' 2>&1`,
  );
  return said.code === 0 || /Connection refused/.test(said.stdout + said.stderr);
}

/** The same from this machine, which is no node. */
function strangerReaches(to: FakeNode, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: to.address, port, timeout: 1500 });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code === 'ECONNREFUSED'));
  });
}

async function nobodyComesThroughButTheNodes() {
  const [one, two] = lab.nodes.servers;
  const [agent] = lab.nodes.agents;
  if (one === undefined || two === undefined || agent === undefined) throw new Error('nodes are missing');
  expect({
    etcdAmongServers: await reaches(two, one, 2379),
    etcdPeers: await reaches(one, two, 2380),
    etcdFromAgent: await reaches(agent, one, 2379),
    api: await reaches(agent, one, 6443),
    kubeletOfServer: await reaches(agent, one, 10250),
    kubeletOfAgent: await reaches(one, agent, 10250),
    etcdOfAgent: await reaches(one, agent, 2379),
    apiFromElsewhere: await strangerReaches(one, 6443),
    kubeletFromElsewhere: await strangerReaches(one, 10250),
    anythingElse: await reaches(two, one, 9999),
  }).toEqual({
    etcdAmongServers: true,
    etcdPeers: true,
    etcdFromAgent: false,
    api: true,
    kubeletOfServer: true,
    kubeletOfAgent: true,
    etcdOfAgent: false,
    apiFromElsewhere: true,
    kubeletFromElsewhere: false,
    anythingElse: false,
  });
}

const everyNode = () => lab.nodes.nodes.map(({ name }) => name);
const everywhere = (script: string) => Promise.all(lab.nodes.nodes.map((node) => on(lab, node, script)));

test('no active firewall: nothing to do, and said so', async (context) => {
  if (!hasFirewalls) context.skip('no Debian mirror answers');
  const ended = await run('present');
  expect(ended.code, ended.stderr).toBe(0);
  expect(ofKind(ended.events, 'task-finished').map(({ because }) => because)).toEqual(
    everyNode().map(() => 'no firewall is active (ufw and firewalld: installed, off)'),
  );
});

describe('ufw', () => {
  const rules = "ufw show added | sort; sed -n '/^### RULES ###/,/^### END RULES ###/p' /etc/ufw/user.rules";

  test('lets in the nodes and nobody else; check changes nothing; reset leaves what is not ours', async (context) => {
    if (!hasFirewalls) context.skip('no Debian mirror answers');
    await everywhere(
      "{ ufw allow 22/tcp && ufw allow from 192.0.2.7 to any port 10250 proto tcp comment 'mine' && ufw deny 5353/udp && ufw --force enable; } >/dev/null",
    );
    const before = await everywhere(rules);
    await lab.nodes.writeInventory({ manage_firewall: 'check' });
    const check = await run('present');
    expect(endedAs(check.events, 'changed')).toEqual([]);
    for (const { because } of ofKind(check.events, 'task-finished'))
      expect(because).toMatch(/^warning: ufw would block .*10250\/tcp \(kubelet\) from /);
    expect(await everywhere(rules)).toEqual(before);

    await lab.nodes.writeInventory({
      manage_firewall: true,
      server_config_yaml: 'cluster-cidr: 10.99.0.0/16,fd99::/56\nflannel-backend: wireguard-native\n',
    });
    const plan = await run('present', '--check');
    expect(endedAs(plan.events, 'would-change', 'changed').length).toBe(everyNode().length);
    expect(await everywhere(rules)).toEqual(before);
    await settles('present', everyNode());
    await nobodyComesThroughButTheNodes();
    const added = await on(lab, 'agent-1', 'ufw show added');
    expect(added).toContain("ufw allow from 10.99.0.0/16 comment 'fleet-k3s pods'");
    expect(added).toContain("ufw route allow to fd99::/56 comment 'fleet-k3s pods'");
    expect(added).toContain('51820:51821 proto udp');
    expect(added).not.toContain('2379');

    // Another backend: what it needs no more goes, what it needs comes.
    await lab.nodes.writeInventory({ manage_firewall: true });
    await settles('present', everyNode());
    expect(await on(lab, 'agent-1', 'ufw show added')).not.toMatch(/51820|10\.99/);

    await settles('absent', everyNode());
    expect(await everywhere(rules)).toEqual(before);
    await everywhere('ufw --force reset >/dev/null');
  });
});

describe('firewalld', () => {
  const traces =
    'find /etc/firewalld -name "*fleet*" | sort; firewall-cmd --list-all-zones; firewall-cmd --permanent --list-all-zones; firewall-cmd --get-policies; firewall-cmd --get-ipsets';

  test('lets in the nodes and nobody else, and leaves no trace', async (context) => {
    if (!hasFirewalls) context.skip('no Debian mirror answers');
    await everywhere(
      '{ systemctl unmask -q firewalld && systemctl start firewalld && firewall-cmd --permanent --add-port=8080/tcp && firewall-cmd --reload && firewall-cmd --add-port=9090/tcp; } >/dev/null',
    );
    const before = await everywhere(traces);
    await lab.nodes.writeInventory({ manage_firewall: 'check' });
    const check = await run('present');
    for (const { because } of ofKind(check.events, 'task-finished'))
      expect(because).toMatch(/^warning: firewalld would block .*10250\/tcp \(kubelet\) from /);
    expect(await everywhere(traces)).toEqual(before);

    await lab.nodes.writeInventory({ manage_firewall: true });
    await settles('present', everyNode());
    await nobodyComesThroughButTheNodes();
    expect(
      await on(
        lab,
        'server-1',
        'firewall-cmd --zone=public --list-ports; firewall-cmd --permanent --zone=public --list-ports',
      ),
    ).toBe('8080/tcp 9090/tcp\n8080/tcp');
    expect(await on(lab, 'server-1', 'firewall-cmd --zone=fleet-k3s-pods --list-sources')).toBe(
      '10.42.0.0/16 10.43.0.0/16',
    );

    // Somebody takes an entry out of what is in use: the next run puts it back.
    await on(lab, 'server-1', 'firewall-cmd -q --policy=fleet-k3s-nodes --remove-port=6443/tcp');
    await settles('present', ['server-1']);

    await settles('absent', everyNode());
    expect(await everywhere(traces)).toEqual(before);
  });
});
