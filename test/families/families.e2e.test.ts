import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { snapshotDifferences } from '../fleet/filesystem-snapshot.ts';
import type { FakeNode } from '../fleet/nodes.ts';
import { endedAs, ofKind } from '../up/fleet-cli.ts';
import { clusterNodes, type Lab, on, startLab } from '../up/lab.ts';

/**
 * One cluster of all families: a Debian server with an Ubuntu, a Rocky, an openSUSE, an Arch and an Alpine agent, each with its own
 * firewall in force, from detection to a reset that leaves no trace.
 */

let lab: Lab;
const family = {
  debian: 'server-1',
  ubuntu: 'agent-1',
  rocky: 'agent-2',
  opensuse: 'agent-3',
  arch: 'agent-4',
  alpine: 'agent-5',
};

const node = (name: keyof typeof family): FakeNode => lab.nodes.node(family[name]);
const onNode = (name: keyof typeof family, script: string): Promise<string> => on(lab, node(name), script);

/** What a person would compare to see whether anything is left of us. */
const rules = `{ ufw show added; iptables-save -t filter | grep -v '^[:#]'; firewall-cmd --list-all-zones; firewall-cmd --permanent --list-all-zones
  firewall-cmd --get-policies; nft -s list table inet filter; } 2>/dev/null; true`;
const packageList = `{ dpkg-query -W -f '\${Package} \${Version}\\n' || rpm -qa || pacman -Q; } 2>/dev/null | grep -v ^tzdata | sort; true`;
const parameters = 'sysctl -a 2>/dev/null | grep ^net. | sort';
/** Forwarding, with what the kernel itself turns with it, stays until the next boot: others may need it by now. Connections come and go. */
const staysOn =
  /^net\.(?:ipv[46]\..*forwarding|ipv4\.ip_forward|ipv4\..*accept_redirects|bridge\..*call-ip6?tables|netfilter\.nf_conntrack_count) =/;
const isNoise = (difference: string): boolean =>
  // Clocks of files whose content is as it was, and what systemd, dnf and dbus write by themselves.
  / \/etc\/(?:ssl|machine-id|\.updated|\.pwd\.lock)| \/var\/(?:cache|tmp\/systemd-private|lib\/(?:dnf|rpm|zypp|ucf|NetworkManager))|mtime/.test(
    difference,
  );

async function stateOf(each: FakeNode) {
  const files = await lab.nodes.snapshotFilesystem(each, [
    '/etc',
    '/usr/local',
    '/var',
    '/root',
    '/home',
    '/boot',
    '/opt',
  ]);
  return {
    files: new Map([...files].map(([path, facts]) => [path, { ...facts, mtime: '' }])),
    rules: await on(lab, each, rules),
    packages: await on(lab, each, packageList),
    parameters: (await on(lab, each, parameters)).split('\n').filter((line) => !staysOn.test(line)),
  };
}

type State = Awaited<ReturnType<typeof stateOf>>;
const before = new Map<string, State>();

async function statesOfAll(): Promise<readonly (readonly [string, State])[]> {
  return Promise.all(lab.nodes.nodes.map(async (each) => [each.name, await stateOf(each)] as const));
}

beforeAll(async () => {
  lab = await startLab({
    servers: 1,
    agents: 5,
    family: ['debian', 'ubuntu', 'rocky', 'opensuse', 'arch', 'alpine'],
    vars: { manage_firewall: true, hosts_entries: true, time_sync: true },
  });
  await Promise.all(
    lab.nodes.nodes.map((each) =>
      on(lab, each, 'echo 0 >/proc/sys/net/ipv4/ip_forward; ! grep -q fleet /etc/hosts'),
    ),
  );
  await Promise.all([
    onNode(
      'ubuntu',
      `{ ufw allow 22/tcp && ufw --force enable; } >/dev/null
       ip link add eth1 type veth peer name far1 && ip link set far1 up && ip addr add 198.51.100.7/24 dev eth1 && ip link set eth1 up
       ip route replace default via 198.51.100.1 dev eth1`,
    ),
    onNode('rocky', 'systemctl enable -q --now firewalld'),
    onNode('opensuse', 'systemctl start firewalld'),
    onNode('arch', 'systemctl enable -q --now nftables'),
  ]);
  for (const [name, state] of await statesOfAll()) before.set(name, state);
});

afterAll(async () => {
  await lab?.stop();
});

test('each is what it says it is', async () => {
  const { stdout, code, stderr } = await lab.cli.run(['facts', '--output', 'json']);
  expect(code, stderr).toBe(0);
  const facts = JSON.parse(stdout) as Record<string, Record<string, unknown>>;
  const told = Object.fromEntries(
    Object.entries(family).map(([name, host]) => {
      const { distribution, os_family, pkg_mgr, service_mgr } = facts[host] ?? {};
      return [name, [distribution, os_family, pkg_mgr, service_mgr].join(' ')];
    }),
  );
  expect(told).toEqual({
    debian: 'Debian Debian apt systemd',
    ubuntu: 'Ubuntu Debian apt systemd',
    rocky: 'Rocky RedHat dnf systemd',
    opensuse: 'openSUSE Leap Suse zypper systemd',
    arch: 'Archlinux Archlinux pacman systemd',
    alpine: 'Alpine Alpine unknown openrc',
  });
});

describe('what would hang later', () => {
  test('stops the run before anything is changed anywhere', async () => {
    const address = node('debian').address;
    await Promise.all([
      onNode('rocky', 'systemd-run -q -u taken python3 -m http.server 10250'),
      onNode('arch', 'mkdir -p /etc/kubernetes && touch /etc/kubernetes/kubelet.conf'),
      onNode('opensuse', 'ip link set eth0 mtu 1280'),
      onNode('ubuntu', 'cp /etc/resolv.conf /run/resolv.conf.before && : >/etc/resolv.conf'),
      onNode('debian', `iptables -I INPUT -p tcp --dport 6443 -s ${node('alpine').address} -j DROP`),
    ]);
    const ended = await lab.cli.run(['up', '--yes', '--output', 'json']);
    expect(ended.code).not.toBe(0);
    expect(endedAs(ended.events, 'changed')).toEqual([]);
    const failures = Object.fromEntries(
      ofKind(ended.events, 'task-finished').flatMap(({ host, status, error }) =>
        status === 'failed' ? [[host, error?.message]] : [],
      ),
    );
    const taken = ofKind(ended.events, 'host-failed').find(({ host }) => host === family.rocky);
    expect(taken?.error.fix).toMatch(/^Stop python3, .* More: docs\/preflight\.md#port$/);
    expect(failures).toEqual({
      [family.rocky]: expect.stringContaining('python3 listens on 10250/tcp, which k3s needs (kubelet)'),
      [family.arch]: expect.stringContaining('a Kubernetes of kubeadm is installed'),
      [family.opensuse]: expect.stringContaining('its MTU is 1280: pods would be left with less than 1280'),
      [family.alpine]: expect.stringContaining(`6443/tcp of server-1 (${address}) (API) does not answer`),
    });
    expect(ofKind(ended.events, 'warning').map(({ host, message }) => `${host}: ${message}`)).toContainEqual(
      expect.stringMatching(/^agent-1: .*names no name server/),
    );
    await Promise.all([
      onNode('rocky', 'systemctl stop taken'),
      onNode('arch', 'rm -r /etc/kubernetes'),
      onNode('opensuse', 'ip link set eth0 mtu 1500'),
      onNode('ubuntu', 'cat /run/resolv.conf.before >/etc/resolv.conf'),
      onNode('debian', 'iptables -D INPUT 1'),
    ]);
    const check = await lab.cli.run(['check', '--output', 'json']);
    const { findings } = JSON.parse(check.stdout) as { findings: { severity: string; evidence: string }[] };
    expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
  });
});

describe('one cluster of all', () => {
  test('comes up Ready, whatever filters between the nodes', async () => {
    await lab.cli.up();
    const nodes = await clusterNodes(lab.cli);
    expect(Object.values(nodes).map(({ ready }) => ready)).toEqual(Object.keys(family).map(() => true));
    // Its default route leads elsewhere: k3s would have taken the address of that.
    expect(await onNode('ubuntu', 'cat /etc/rancher/k3s/config.yaml.d/90-fleet.yaml')).toContain(
      `node-ip: ${node('ubuntu').address}\nflannel-iface: eth0`,
    );
    expect(await onNode('rocky', "su -s /bin/sh -c 'sudo -n printenv PATH' debian")).toContain(
      '/usr/local/bin',
    );
    expect(await onNode('rocky', 'systemctl is-enabled nm-cloud-setup.timer || true')).toBe('disabled');
    expect(await onNode('arch', 'grep -c fleet-k3s /etc/nftables.conf')).toBe('1');
    expect(await onNode('arch', 'nft list chain inet filter input')).toMatch(
      /tcp dport 10250 accept comment "fleet-k3s /,
    );
  });

  test('each is prepared by its own means', async () => {
    const marks = Object.keys(family).map(async (name) => [
      name,
      await onNode(
        name as keyof typeof family,
        `cat /proc/sys/net/ipv4/ip_forward; grep -c 'net.*=1' /etc/sysctl.d/90-fleet-k3s.conf; grep -c ' agent-[1-5]$' /etc/hosts
         for module in overlay br_netfilter nf_conntrack; do [ -e /etc/modules-load.d/fleet-k3s-$module.conf ] || [ -d /proc/sys/net/bridge ] || echo "$module is missing"; done
         for tool in 'ufw show added' 'firewall-cmd --permanent --list-all-zones' 'nft list table inet filter'; do
           if $tool 2>/dev/null | grep -q fleet-k3s; then echo "$tool"; fi; done`,
      ),
    ]);
    const common = '1\n4\n5';
    expect(Object.fromEntries(await Promise.all(marks))).toEqual({
      debian: common,
      ubuntu: `${common}\nufw show added`,
      rocky: `${common}\nfirewall-cmd --permanent --list-all-zones`,
      opensuse: `${common}\nfirewall-cmd --permanent --list-all-zones`,
      arch: `${common}\nnft list table inet filter`,
      alpine: common,
    });
  });

  test('a second run changes nothing and restarts nothing', async () => {
    const starts = () =>
      Promise.all(
        lab.nodes.nodes.map((each) =>
          lab.nodes.activeEnter(each, each.role === 'server' ? 'k3s.service' : 'k3s-agent.service'),
        ),
      );
    const first = await starts();
    expect(first.every((start) => start > 0)).toBe(true);
    const again = await lab.cli.up();
    expect(endedAs(again.events, 'changed', 'failed', 'skipped')).toEqual([]);
    expect(await starts()).toEqual(first);
  });

  test('OpenRC has the service, its environment and its log as systemd has them', async () => {
    expect(await onNode('alpine', 'rc-service k3s-agent status 2>&1 | tail -n 1')).toContain('started');
    expect(await onNode('alpine', 'rc-update show default')).toMatch(/k3s-agent/);
    expect(await onNode('alpine', 'stat -c %a /etc/rancher/k3s/k3s-agent.env')).toBe('600');
    expect(await onNode('alpine', 'test -s /var/log/k3s-agent.log && echo logged')).toBe('logged');
    // A change of what k3s reads at its start restarts it, there and nowhere else.
    const started = await lab.nodes.activeEnter(node('alpine'), 'k3s-agent.service');
    const other = await lab.nodes.activeEnter(node('arch'), 'k3s-agent.service');
    await lab.nodes.writeInventory({
      agent_config_yaml: "{{ 'kubelet-arg: [v=3]' if inventory_hostname == 'agent-5' else '' }}",
    });
    const changed = await lab.cli.up();
    expect(new Set(endedAs(changed.events, 'changed').map((task) => task.split(':')[0]))).toEqual(
      new Set(['agent-5']),
    );
    expect(await lab.nodes.activeEnter(node('alpine'), 'k3s-agent.service')).not.toBe(started);
    expect(await lab.nodes.activeEnter(node('arch'), 'k3s-agent.service')).toBe(other);
    expect((await clusterNodes(lab.cli))['agent-5']).toMatchObject({ ready: true });
  });

  test('newest packages and a reboot, on a node that is back before anybody else would go', async () => {
    const boot = await lab.nodes.bootId(node('rocky'));
    const upgrade = ['play', 'system-upgrade.yml', '--limit', family.rocky, '--output', 'json'];
    const first = await lab.cli.run(upgrade);
    expect(first.code, first.stderr).toBe(0);
    expect(endedAs(first.events, 'changed')).toEqual([`${family.rocky}: Newest packages, and a reboot`]);
    expect(await lab.nodes.bootId(node('rocky'))).not.toBe(boot);
    expect(await onNode('rocky', 'rpm -q tzdata')).toBe('tzdata-2025b-1.noarch');
    expect((await clusterNodes(lab.cli))[family.rocky]).toMatchObject({ ready: true, cordoned: false });
    expect(endedAs((await lab.cli.run(upgrade)).events, 'changed')).toEqual([]);
  });

  test('a reset leaves no trace', async () => {
    const reset = await lab.cli.run(['reset', '--yes', '--confirm', 'k3s-ansible', '--output', 'json']);
    expect(reset.code, reset.stderr).toBe(0);
    for (const [name, now] of await statesOfAll()) {
      const then = before.get(name);
      if (then === undefined) throw new Error(name);
      const differences = snapshotDifferences(then.files, now.files);
      expect(
        differences.filter((one) => !isNoise(one)),
        name,
      ).toEqual([]);
      expect(now.rules, name).toBe(then.rules);
      expect(now.packages, name).toBe(then.packages);
      expect(now.parameters, name).toEqual(then.parameters);
    }
  });
});
