import { afterAll, beforeAll, expect, test } from 'vitest';
import { checks, type Finding } from '../../src/steps/preflight-finding.ts';
import { type Lab, on, startLab } from '../up/lab.ts';

/**
 * Faults that are really there, on three servers and three agents, and what `fleet check` says of each: nothing less, nothing more. A batch
 * is put in, checked once, and taken out. What containers share with this machine (clock, memory, processor) is told differently by
 * the file, the program or the personality that a host is asked by.
 */

let lab: Lab;
const addressOf = (name: string): string => lab.nodes.node(name).address;

interface Fault {
  readonly on: string;
  readonly put?: string;
  readonly takeAway?: string;
  /** What is found, of which hosts: `error agent-1 port`, with a part of the evidence and of what to do. */
  readonly finds: readonly (readonly [what: string, evidence: string, fix: string])[];
}

/** What a command prints, in the place of a file. */
function shown(path: string, command: string): Pick<Fault, 'put' | 'takeAway'> {
  const at = `/run/faults/${path.replaceAll('/', '_')}`;
  return {
    put: `mkdir -p /run/faults && { ${command}; } >${at} && mount --bind ${at} ${path}`,
    takeAway: `umount ${path}`,
  };
}

/** A rule of a firewall that nobody but the test knows of. */
let rules = 0;
function rule(text: string): Pick<Fault, 'put' | 'takeAway'> {
  rules += 1;
  const table = `inet fault${rules}`;
  return {
    put: `nft 'add table ${table}; add chain ${table} in { type filter hook input priority -10; }; add rule ${table} in ${text}'`,
    takeAway: `nft delete table ${table}`,
  };
}

/** Whoever knocks wakes a program that holds the port on. */
const listener = (port: string): Pick<Fault, 'put' | 'takeAway'> => ({
  put: `systemd-run -q -u taken-${port.replace(/\W/g, '')} systemd-socket-activate ${port} /bin/sleep infinity`,
  takeAway: `systemctl stop taken-${port.replace(/\W/g, '')}`,
});

const smallDisk = (size: string): Pick<Fault, 'put' | 'takeAway'> => ({
  put: `mkdir -p /var/lib/rancher && mount -t tmpfs -o size=${size} none /var/lib/rancher`,
  takeAway: 'umount /var/lib/rancher && rmdir /var/lib/rancher',
});

const program = (name: string, text: string): Pick<Fault, 'put' | 'takeAway'> => ({
  put: `printf '#!/bin/sh\\n%s\\n' '${text}' >/usr/local/sbin/${name} && chmod +x /usr/local/sbin/${name}`,
  takeAway: `rm /usr/local/sbin/${name}`,
});

const memory = (kib: number) =>
  shown('/proc/meminfo', `sed 's/^MemTotal.*/MemTotal: ${kib} kB/' /proc/meminfo`);

/** A second card with the default route, as a clone would have it. */
const clonedCard = (last: number): Pick<Fault, 'put' | 'takeAway'> => ({
  put: `ip link add eth1 type veth peer name far1 && ip link set far1 up && ip link set eth1 address 02:00:00:00:00:07 up &&
    ip addr add 198.51.100.${last}/24 dev eth1 && ip route show default >/run/route && ip route replace default via 198.51.100.1 dev eth1`,
  takeAway: 'ip link del eth1 && ip route add $(cat /run/route)',
});

const clone = shown('/etc/machine-id', 'echo 0123456789abcdef0123456789abcdef');
const personality = '/run/systemd/system/ssh.service.d/fault.conf';

const batches: readonly (readonly [
  string,
  () => { readonly vars?: Record<string, unknown>; readonly faults: readonly Fault[] },
])[] = [
  ['nothing', () => ({ faults: [] })],
  [
    'the hosts themselves',
    () => ({
      faults: [
        {
          on: 'server-2',
          put: 'hostname server-1',
          takeAway: 'hostname server-2',
          finds: [
            ['error server-1 node-name', 'node-name server-1 is also that of server-2', 'hostnamectl'],
            ['error server-2 node-name', 'node-name server-1 is also that of server-1', 'hostnamectl'],
          ],
        },
        {
          on: 'agent-1',
          ...clone,
          finds: [
            ['error agent-1 machine-id', 'is also that of agent-2', 'systemd-machine-id-setup'],
            ['error agent-2 machine-id', 'is also that of agent-1', 'systemd-machine-id-setup'],
          ],
        },
        {
          on: 'agent-2',
          ...clone,
          finds: [],
        },
        {
          on: 'agent-3',
          ...program('date', 'exec /bin/date -d "+3600 seconds" "$@"'),
          finds: [['error agent-3 clock', 's ahead of the others', 'time service']],
        },
        {
          on: 'agent-1',
          ...shown('/proc/cgroups', "sed 's/^\\(memory.*\\)1$/\\10/' /proc/cgroups"),
          finds: [['error agent-1 cgroup-memory', 'no cgroup controller memory', 'cgroup_enable=memory']],
        },
        {
          on: 'agent-2',
          ...memory(300_000),
          finds: [['error agent-2 memory', 'it has 0.3 GiB of memory', '512 MiB']],
        },
        {
          on: 'server-3',
          ...memory(1_200_000),
          finds: [['warning server-3 memory', 'it has 1.1 GiB of memory', '2 GiB']],
        },
        {
          on: 'agent-3',
          ...smallDisk('1g'),
          finds: [['error agent-3 disk', "1.0 GiB are free for k3s' data", 'Make room']],
        },
        {
          on: 'server-2',
          ...smallDisk('5g'),
          finds: [['warning server-2 disk', "5.0 GiB are free for k3s' data", '10 GiB']],
        },
        {
          on: 'server-1',
          put: 'touch /run/reboot-required',
          takeAway: 'rm /run/reboot-required',
          finds: [['warning server-1 reboot', 'it waits for a reboot', 'Reboot it before']],
        },
        {
          on: 'server-1',
          ...listener('-l 6443'),
          finds: [['error server-1 port', 'listens on 6443/tcp, which k3s needs (API)', 'another port']],
        },
        {
          on: 'server-3',
          ...listener('-l 2380'),
          finds: [['error server-3 port', 'listens on 2380/tcp, which k3s needs (etcd)', 'another port']],
        },
        {
          on: 'agent-1',
          ...listener('-d -l 8472'),
          finds: [
            ['error agent-1 port', 'listens on 8472/udp, which k3s needs (flannel vxlan)', 'another port'],
          ],
        },
        {
          on: 'agent-2',
          put: 'mkdir /etc/kubernetes && touch /etc/kubernetes/kubelet.conf',
          takeAway: 'rm -r /etc/kubernetes',
          finds: [['error agent-2 other-kubernetes', 'a Kubernetes of kubeadm is installed', 'Take it away']],
        },
        {
          on: 'agent-3',
          put: 'mkdir -p /var/lib/k0s',
          takeAway: 'rmdir /var/lib/k0s',
          finds: [
            [
              'error agent-3 other-kubernetes',
              'a Kubernetes of k0s is installed',
              'agent-3 out of the inventory',
            ],
          ],
        },
        {
          on: 'agent-1',
          put: `printf '[Service]\\nExecStart=/bin/true\\n' >/etc/systemd/system/k3s-agent.service &&
            echo K3S_URL=https://k3s.old.example:6443 >/etc/systemd/system/k3s-agent.service.env && systemctl daemon-reload`,
          takeAway: 'rm /etc/systemd/system/k3s-agent.service* && systemctl daemon-reload',
          finds: [
            [
              'warning agent-1 other-cluster',
              'its k3s agent follows https://k3s.old.example:6443',
              'fleet reset --limit',
            ],
          ],
        },
        {
          on: 'server-1',
          ...program('iptables', 'echo "iptables v1.8.4 (nf_tables)"'),
          finds: [['warning server-1 iptables', 'its iptables 1.8.4 (nf_tables)', 'prefer-bundled-bin']],
        },
        {
          on: 'agent-2',
          put: `printf 'HTTPS_PROXY=http://me:word@proxy.example.org:3128\\nNO_PROXY=10.42.0.0/16\\n' >>/etc/environment
            echo 'Defaults env_keep += "HTTPS_PROXY NO_PROXY"' >/etc/sudoers.d/proxy`,
          takeAway: ': >/etc/environment; rm /etc/sudoers.d/proxy',
          finds: [
            [
              'error agent-2 proxy',
              'that the host has for all programs, and NO_PROXY lacks 10.43.0.0/16',
              'NO_PROXY=10.42.0.0/16,127.0.0.1,10.43.0.0/16',
            ],
          ],
        },
        {
          on: 'agent-3',
          ...shown('/usr/lib/os-release', 'echo ID=solus; echo NAME=Solus; echo VERSION_ID=4.5'),
          finds: [
            [
              'warning agent-3 system',
              'Solus 4.5 is of no family that fleet knows: it is treated by what it has (apt, systemd)',
              'fleet plan',
            ],
          ],
        },
        {
          on: 'server-2',
          put: 'mount --bind /usr /usr && mount -o remount,ro,bind /usr',
          takeAway: 'umount -l /usr',
          finds: [['warning server-2 read-only-system', 'its /usr is read-only', 'transactional-update']],
        },
        {
          on: 'server-3',
          put: 'mv /.dockerenv /run/dockerenv; mv /run/systemd/container /run/container',
          takeAway: 'mv /run/dockerenv /.dockerenv; mv /run/container /run/systemd/container',
          finds: [['warning server-3 time-sync', 'no time service runs', 'time_sync: true']],
        },
      ],
    }),
  ],
  [
    'the network between them',
    () => ({
      vars: {
        api_endpoint: `{{ 'k3s.nowhere.invalid' if inventory_hostname == 'agent-2' else '${addressOf('server-1')}' }}`,
      },
      faults: [
        {
          on: 'agent-1',
          put: 'ip route show default >/run/route && ip route del default',
          takeAway: 'ip route add $(cat /run/route)',
          finds: [['warning agent-1 default-route', 'it has no default route', 'node_ip and flannel_iface']],
        },
        {
          on: 'agent-2',
          ...shown('/etc/resolv.conf', ':'),
          finds: [
            ['warning agent-2 dns', '/etc/resolv.conf names no name server', 'nameserver'],
            ['error agent-2 name', 'it cannot resolve k3s.nowhere.invalid', 'hosts_entries: true'],
          ],
        },
        {
          on: 'agent-2',
          put: 'ip link set eth0 mtu 9000',
          takeAway: 'ip link set eth0 mtu 1500',
          finds: [['warning agent-2 mtu', 'its MTU is 9000, that of others 1500', 'the same MTU']],
        },
        {
          on: 'server-2',
          ...rule(`ip saddr ${addressOf('agent-3')} meta length > 1400 drop`),
          finds: [
            [
              'error agent-3 path-mtu',
              `packets of 1500 bytes, which its interface sends, are lost on the way to server-2 (${addressOf('server-2')}), small ones arrive (tried by datagram)`,
              'ping -M do -s 1372',
            ],
          ],
        },
        {
          on: 'server-3',
          put: 'ln -s /bin/busybox /usr/local/sbin/ping',
          takeAway: 'rm /usr/local/sbin/ping',
          finds: [['error server-3 path-mtu', 'small ones arrive (tried by ping)', 'fragmentation needed']],
        },
        { on: 'server-1', ...rule(`ip saddr ${addressOf('server-3')} meta length > 1400 drop`), finds: [] },
        {
          // As the kernel remembers what a router has told it.
          on: 'agent-1',
          put: `ip route add ${addressOf('server-3')} dev eth0 mtu 1400`,
          takeAway: `ip route del ${addressOf('server-3')}`,
          finds: [
            [
              'warning agent-1 path-mtu',
              `the way to server-3 (${addressOf('server-3')}) takes packets of 1400 bytes, its interface sends 1500`,
              'the MTU 1400',
            ],
          ],
        },
        {
          on: 'server-1',
          ...rule(`ip saddr ${addressOf('agent-1')} tcp dport 6443 drop`),
          finds: [
            [
              'error agent-1 tcp-port',
              `6443/tcp of server-1 (${addressOf('server-1')}) (API) does not answer`,
              'manage_firewall',
            ],
          ],
        },
        {
          on: 'server-2',
          ...rule(`ip saddr ${addressOf('agent-2')} tcp dport 10250 reject with icmpx type admin-prohibited`),
          finds: [['error agent-2 tcp-port', '10250/tcp of server-2', 'firewalls']],
        },
        {
          on: 'server-3',
          ...rule(`ip saddr ${addressOf('server-2')} tcp dport 2379 drop`),
          finds: [['error server-2 tcp-port', '2379/tcp of server-3', 'manage_firewall']],
        },
        {
          on: 'agent-2',
          ...rule('tcp dport 10250 drop'),
          finds: [['error agent-1 tcp-port', '10250/tcp of agent-2', 'manage_firewall']],
        },
        {
          on: 'server-1',
          ...rule(`ip saddr ${addressOf('agent-3')} udp dport 8472 drop`),
          finds: [['warning agent-3 udp-port', '8472/udp of server-1', 'manage_firewall']],
        },
        {
          on: 'agent-3',
          ...rule('udp dport 8472 drop'),
          finds: [['warning agent-2 udp-port', '8472/udp of agent-3', 'manage_firewall']],
        },
        {
          on: 'server-2',
          ...clonedCard(2),
          finds: [
            [
              'error server-2 mac',
              'mac 02:00:00:00:00:07 is also that of server-3',
              'network card of its own',
            ],
            [
              'error server-3 mac',
              'mac 02:00:00:00:00:07 is also that of server-2',
              'network card of its own',
            ],
          ],
        },
        { on: 'server-3', ...clonedCard(3), finds: [] },
      ],
    }),
  ],
  [
    'the ways to them, and from them to others',
    () => ({
      vars: {
        airgap_dir: null,
        artifact_url: 'http://127.0.0.1:1/releases',
        k3s_install_script: '/nowhere',
        api_endpoint: addressOf('server-2'),
        server_config_yaml: 'flannel-backend: wireguard-native\n',
        extra_service_envs: `{{ ['HTTPS_PROXY=http://proxy.example.org:3128', 'NO_PROXY=10.0.0.0/8'] if inventory_hostname == 'agent-3' else [] }}`,
      },
      faults: [
        {
          on: 'server-3',
          put: 'ip link set eth0 mtu 1280',
          takeAway: 'ip link set eth0 mtu 1500',
          finds: [
            [
              'error server-3 mtu',
              'its MTU is 1280: pods would be left with less than 1280',
              'Raise the MTU',
            ],
            ...['server-1', 'server-2', 'agent-3'].map(
              (name) =>
                [`warning ${name} mtu`, 'its MTU is 1500, that of others 1280', 'the same MTU'] as const,
            ),
          ],
        },
        {
          on: 'agent-1',
          put: 'mv /etc/sudoers.d/fake-node /run/',
          takeAway: 'mv /run/fake-node /etc/sudoers.d/',
          finds: [['error agent-1 access', 'BECOME', 'debian']],
        },
        {
          on: 'agent-2',
          put: 'systemctl stop ssh.socket ssh.service',
          takeAway: 'systemctl start ssh.service',
          finds: [['error agent-2 access', 'nothing listens on that port', '']],
        },
        {
          on: 'server-1',
          finds: [
            [
              'error server-1 outside',
              'does not reach http://127.0.0.1:1/releases: connect ECONNREFUSED',
              'airgap_dir',
            ],
          ],
        },
        {
          on: 'server-2',
          put: 'systemd-run -q -u k3s sleep infinity',
          takeAway: 'systemctl stop k3s',
          finds: [
            [
              'error agent-3 api-endpoint',
              `it cannot reach https://${addressOf('server-2')}:6443, though a server runs`,
              'api_endpoint',
            ],
          ],
        },
        {
          on: 'agent-3',
          finds: [
            [
              'error agent-3 proxy',
              `its k3s goes through a proxy, and NO_PROXY lacks ${addressOf('server-1')}`,
              'NO_PROXY=10.0.0.0/8',
            ],
          ],
        },
        {
          on: 'server-1',
          ...rule(`ip saddr ${addressOf('agent-3')} udp dport 51820 drop`),
          finds: [['warning agent-3 udp-port', '51820/udp of server-1', 'manage_firewall']],
        },
        {
          on: 'server-3',
          ...listener('-d -l 51821'),
          finds: [
            [
              'error server-3 port',
              'listens on 51821/udp, which k3s needs (flannel wireguard-native)',
              'another port',
            ],
          ],
        },
      ],
    }),
  ],
  [
    'nodes that fetch for themselves, and a processor without a k3s',
    () => ({
      vars: {
        airgap_dir: null,
        binary_source: 'node',
        k3s_install_script: '/nowhere',
        artifact_url: `http://${addressOf('server-1')}:8080/releases`,
      },
      faults: [
        // Who installs from a folder asks no name server, so none is tried there.
        {
          on: 'agent-3',
          ...shown(
            '/etc/resolv.conf',
            `echo nameserver ${addressOf('server-1')}; echo nameserver ${addressOf('server-2')}`,
          ),
          finds: [
            [
              'warning agent-3 name-server',
              `${addressOf('server-1')} refuses to be asked`,
              '/etc/resolv.conf',
            ],
            ['warning agent-3 name-server', `${addressOf('server-2')} does not answer`, 'port 53/udp'],
          ],
        },
        { on: 'server-2', ...rule('udp dport 53 drop'), finds: [] },
        {
          on: 'server-1',
          ...rule(`ip saddr ${addressOf('agent-3')} tcp dport 8080 drop`),
          finds: [
            [
              'error agent-3 outside',
              `8080/tcp of ${addressOf('server-1')} (artifact_url, with binary_source: node) does not answer`,
              'binary_source: control',
            ],
          ],
        },
        {
          on: 'agent-2',
          put: `mkdir -p ${personality.slice(0, personality.lastIndexOf('/'))} && printf '[Service]\\nPersonality=x86\\n' >${personality} && systemctl daemon-reload && systemctl restart ssh`,
          takeAway: `rm ${personality} && systemctl daemon-reload && systemctl restart ssh`,
          finds: [['error agent-2 architecture', 'is i686, and there is no k3s for that', 'x86_64']],
        },
      ],
    }),
  ],
];

beforeAll(async () => {
  lab = await startLab({ servers: 3, agents: 3, family: 'ubuntu' });
});
afterAll(async () => {
  await lab?.stop();
});

/** What is done on one node goes one after the other, the last first where it is taken away. */
async function onEach(faults: readonly Fault[], scriptOf: (fault: Fault) => string): Promise<void> {
  const scripts = new Map<string, string[]>();
  for (const fault of faults) scripts.set(fault.on, [...(scripts.get(fault.on) ?? []), scriptOf(fault)]);
  await Promise.all([...scripts].map(([name, all]) => on(lab, name, `set -e\n${all.join('\n')}`)));
}

test.each(batches)('%s', async (_name, batch) => {
  const { faults, vars = {} } = batch();
  await lab.nodes.writeInventory(vars);
  await onEach(faults, ({ put }) => put ?? '');
  const checked = await lab.cli.run(['check', '--output', 'json']);
  await onEach(faults.toReversed(), ({ takeAway }) => takeAway ?? '');
  const { findings } = JSON.parse(checked.stdout) as { findings: Finding[] };
  const nameOf = ({ severity, host, check }: Finding): string => `${severity} ${host} ${check}`;
  const wanted = faults.flatMap(({ finds }) => finds);
  expect(findings.map(nameOf).sort()).toEqual(wanted.map(([what]) => what).sort());
  for (const [what, evidence, fix] of wanted) {
    const found = findings.filter((one) => nameOf(one) === what);
    const [right] = found.filter((one) => one.evidence.includes(evidence));
    expect(right, `${what}: ${found.map((one) => one.evidence).join('; ')}`).toBeDefined();
    expect(right?.fix).toContain(fix);
    expect(right?.docs).toBe(`docs/preflight.md#${right?.check}`);
  }
  expect(checked.code).toBe(wanted.some(([what]) => what.startsWith('error')) ? 1 : 0);
});

test('they are of every kind that containers can have', () => {
  const faults = batches.flatMap(([, batch]) => batch().faults);
  const kinds = faults.flatMap(({ finds }) => finds.map(([what]) => what.split(' ').at(-1)));
  // Containers have the firmware of this machine, and the init of their image.
  expect(checks.filter((check) => !kinds.includes(check))).toEqual(['init', 'product-uuid']);
});
