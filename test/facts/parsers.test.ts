import { describe, expect, test } from 'vitest';
import { parseUser } from '../../src/facts/account.ts';
import { sumFor } from '../../src/facts/download.ts';
import { parseContent, parseFileState } from '../../src/facts/file.ts';
import { parseFirewalld, parseUfw } from '../../src/facts/firewall.ts';
import { ansibleFactsOf, parseHostFacts, parseOsRelease } from '../../src/facts/host.ts';
import { parseMounts } from '../../src/facts/mount.ts';
import { parsePackages } from '../../src/facts/package.ts';
import { parseSelinux } from '../../src/facts/selinux.ts';
import { parseService } from '../../src/facts/service.ts';
import { isSwapLine, parseSwap } from '../../src/facts/swap.ts';
import { normalSysctlValue, sysctlPath } from '../../src/facts/sysctl.ts';

const said = (stdout: string, stderr = '', code = 0) => ({ stdout, stderr, code });

describe('files', () => {
  test('stat of a directory with the sticky bit, and an owner without a name', () => {
    expect(
      parseFileState(said('43ff 1234 0 4096 1700000000 1700000001 1700000002 12 2 2049 UNKNOWN root\n')).self,
    ).toMatchObject({
      type: 'directory',
      mode: '1777',
      owner: '1234',
      group: 'root',
      modifiedAtS: 1700000000,
    });
  });

  test('a stat that failed is an error, not a missing file', () => {
    expect(() => parseFileState(said('', "stat: can't stat '/x': Permission denied\n", 1))).toThrow(
      /Permission denied/,
    );
    expect(() => parseContent(said('', 'sha256sum: Permission denied', 1))).toThrow(/Permission denied/);
  });
});

describe('packages', () => {
  const parse = (stdout: string, names: string[]) => parsePackages(said(stdout), names);

  test('dpkg', () => {
    const state = parse(
      'apt-get\n1700003600 1700000000\n' +
        'installed\tbash\t5.2.15-2+b7\tamd64\t\nunknown\tawk\t\t\t\nconfig-files\tnginx\t1.22.1-9\tamd64\thttpd\n' +
        'installed\tmawk\t1.3.4.20200120-3.1\tamd64\tawk\ninstalled\tlibc6\t2.36-9\tamd64\tlibc6-abi (= 1)\n=\n' +
        'N bash\nC 5.2.15-2+b8\nN curl\nC 7.88.1-10\nN libc6\nC (none)\n',
      ['awk', 'bash', 'curl', 'libc6:amd64', 'nginx'],
    );
    expect(state.manager).toBe('apt');
    expect(Object.fromEntries(state.installed)).toEqual({
      awk: '1.3.4.20200120-3.1',
      bash: '5.2.15-2+b7',
      'libc6:amd64': '2.36-9',
    });
    expect(Object.fromEntries(state.upgrades)).toEqual({ bash: '5.2.15-2+b8' });
    expect(state.listsAgeS).toBe(3600);
  });

  test('rpm', () => {
    const state = parse(
      'dnf\n-\ninstalled\tbash\t(none):5.1.8-9.el9\ninstalled\tdbus\t1:1.12.20-8.el9\n=\nN bash\nC 5.1.8-10.el9\n',
      ['bash', 'dbus', 'nope'],
    );
    expect(state).toMatchObject({ manager: 'dnf', listsAgeS: undefined });
    expect(Object.fromEntries(state.installed)).toEqual({ bash: '5.1.8-9.el9', dbus: '1:1.12.20-8.el9' });
  });

  test('apk and pacman', () => {
    expect(parse('apk\n-\ninstalled\tcurl\tcurl-8.5.0-r0\n=\n', ['curl']).installed.get('curl')).toBe(
      '8.5.0-r0',
    );
    expect(
      parse('pacman\n-\ninstalled\tcurl\t8.5.0-1\n=\nN curl\nC 8.6.0-1\n', ['curl']).upgrades.get('curl'),
    ).toBe('8.6.0-1');
  });

  test('no manager is a value, not an error', () => {
    expect(parse('\n-\n=\n', ['curl'])).toMatchObject({ manager: undefined });
  });
});

describe('services', () => {
  test('systemd, running', () => {
    expect(
      parseService(
        said(`systemd
Id=ssh.service
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
NeedDaemonReload=yes
ActiveEnterTimestamp=Fri 2026-11-20 20:56:25 UTC
ExecMainStartTimestamp=Fri 2026-11-20 20:56:25 UTC
ExecMainStartTimestampMonotonic=5283928
MainPID=611
Result=success
NRestarts=0
FragmentPath=/lib/systemd/system/ssh.service
DropInPaths=/etc/systemd/system/ssh.service.d/a.conf /run/systemd/system/ssh.service.d/b.conf
`),
      ),
    ).toEqual({
      manager: 'systemd',
      exists: true,
      active: 'active',
      sub: 'running',
      enablement: 'enabled',
      masked: false,
      needsDaemonReload: true,
      activeSince: 'Fri 2026-11-20 20:56:25 UTC',
      mainStartedAt: 'Fri 2026-11-20 20:56:25 UTC',
      mainStartedMonotonicUs: 5283928,
      mainPid: 611,
      result: 'success',
      restarts: 0,
      unitFiles: [
        '/lib/systemd/system/ssh.service',
        '/etc/systemd/system/ssh.service.d/a.conf',
        '/run/systemd/system/ssh.service.d/b.conf',
      ],
      id: 'ssh.service',
    });
  });

  test.each([
    [
      'systemd\nLoadState=not-found\nActiveState=inactive\nUnitFileState=\n',
      { exists: false, active: 'inactive' },
    ],
    [
      'systemd\nLoadState=masked\nActiveState=inactive\nUnitFileState=masked\n',
      { exists: true, masked: true },
    ],
    [
      'openrc\nLoadState=loaded\nStatus=0  * status: started\nUnitFileState=enabled\n',
      { manager: 'openrc', exists: true, active: 'active', enablement: 'enabled' },
    ],
    [
      'openrc\nLoadState=loaded\nStatus=3  * status: stopped\nUnitFileState=disabled\n',
      { active: 'inactive', enablement: 'disabled' },
    ],
    ['openrc\nLoadState=loaded\nStatus=32  * status: crashed\nUnitFileState=enabled\n', { active: 'failed' }],
    ['openrc\n', { manager: 'openrc', exists: false }],
    ['none\n', { manager: 'none', exists: false, active: 'inactive' }],
  ])('%j', (stdout, state) => {
    expect(parseService(said(stdout))).toMatchObject(state);
  });

  test('a systemctl that failed is an error', () => {
    expect(() => parseService(said('systemd\n', 'Failed to connect to bus', 1))).toThrow(/bus/);
  });
});

test('swap', () => {
  expect(
    parseSwap(
      said(`Filename				Type		Size		Used		Priority
/swapfile                               file		2097148		0		-2
/dev/zram0                              partition	8388604	0		100
=
# /etc/fstab
UUID=1 / ext4 defaults 0 1
/swapfile none swap sw 0 0
#/old none swap sw 0 0
=
Id=dev-zram0.swap
FragmentPath=/run/systemd/generator/dev-zram0.swap
UnitFileState=generated
SourcePath=

Id=swapfile.swap
FragmentPath=/run/systemd/generator/swapfile.swap
UnitFileState=generated
SourcePath=/etc/fstab

Id=dev-by-hand.swap
FragmentPath=
UnitFileState=

Id=zramswap.service
FragmentPath=/lib/systemd/system/zramswap.service
UnitFileState=enabled

Id=dphys-swapfile.service
FragmentPath=/dev/null
UnitFileState=masked

Id=zram-config.service
FragmentPath=
UnitFileState=
=
dphys-swapfile.service
`),
    ),
  ).toEqual({
    inUse: [
      { path: '/swapfile', sizeKiB: 2097148 },
      { path: '/dev/zram0', sizeKiB: 8388604 },
    ],
    inFstab: ['/swapfile none swap sw 0 0'],
    units: ['dev-zram0.swap', 'zramswap.service'],
    masked: ['dphys-swapfile.service'],
  });
  expect(isSwapLine('tmpfs /swap tmpfs defaults 0 0')).toBe(false);
});

test.each([
  ['net.ipv4.ip_forward', '/proc/sys/net/ipv4/ip_forward'],
  ['net/ipv4/conf/eth0.1/rp_filter', '/proc/sys/net/ipv4/conf/eth0.1/rp_filter'],
  ['net.ipv4.conf.eth0/1.rp_filter', '/proc/sys/net/ipv4/conf/eth0.1/rp_filter'],
])('sysctl %s is %s', (name, path) => {
  expect(sysctlPath(name)).toBe(path);
});

test('sysctl values', () => {
  expect(normalSysctlValue('4096\t131072\t6291456\n')).toBe('4096 131072 6291456');
});

test('users', () => {
  expect(
    parseUser(
      said(
        `deploy:x:1001:1001:A B,,,:/home/deploy:/bin/bash\ndeploy\ndeploy sudo docker\nlocked\n${'a'.repeat(64)}  -\n0:99999:20089\n`,
      ),
    ),
  ).toEqual({
    name: 'deploy',
    uid: 1001,
    gid: 1001,
    group: 'deploy',
    comment: 'A B,,,',
    home: '/home/deploy',
    shell: '/bin/bash',
    groups: ['docker', 'sudo'],
    passwordSha256: 'a'.repeat(64),
    locked: true,
    aging: { atLeast: 0, atMost: 99_999, endsOnDay: 20_089 },
  });
  expect(parseUser(said(''))).toBeUndefined();
});

test('mounts', () => {
  expect(parseMounts('/dev/vda1 / ext4 rw,relatime 0 0\n//nas/a\\040b /mnt/a\\040b cifs rw 0 0\n')).toEqual([
    { source: '/dev/vda1', target: '/', type: 'ext4', options: ['rw', 'relatime'] },
    { source: '//nas/a b', target: '/mnt/a b', type: 'cifs', options: ['rw'] },
  ]);
});

test('ufw', () => {
  const state = parseUfw(`=
Status: active
Logging: on (low)
Default: deny (incoming), allow (outgoing), disabled (routed)
=
Added user rules (see 'ufw status' for running firewall):
ufw allow 22/tcp
ufw allow from 10.0.0.0/24 to any port 6443 proto tcp
=
DEFAULT_INPUT_POLICY="DROP"
DEFAULT_OUTPUT_POLICY="ACCEPT"
DEFAULT_FORWARD_POLICY="REJECT"
LOGLEVEL=low
`);
  expect(state).toEqual({
    installed: true,
    active: true,
    defaultIncoming: 'deny',
    defaultOutgoing: 'allow',
    defaultRouted: 'reject',
    logging: 'low',
    added: ['allow 22/tcp', 'allow from 10.0.0.0/24 to any port 6443 proto tcp'],
  });
  expect(parseUfw('').installed).toBe(false);
});

test('firewalld', () => {
  const zone = `public (active)
  target: default
  icmp-block-inversion: no
  interfaces: eth0
  sources: 10.42.0.0/16
  services: dhcpv6-client ssh
  ports: 6443/tcp 8472/udp
  protocols:
  forward: yes
  masquerade: yes
  forward-ports:
  source-ports:
  icmp-blocks:
  rich rules:
\trule family="ipv4" source address="10.0.0.0/8" accept
`;
  const state = parseFirewalld(`=\nrunning\npublic\n=\n${zone}=\n${zone}`);
  expect(state).toMatchObject({ installed: true, running: true, defaultZone: 'public', target: 'default' });
  expect([...state.inUse]).toEqual([
    'interface eth0',
    'source 10.42.0.0/16',
    'service dhcpv6-client',
    'service ssh',
    'port 6443/tcp',
    'port 8472/udp',
    'masquerade',
    'rich rule family="ipv4" source address="10.0.0.0/8" accept',
  ]);
  expect(parseFirewalld('').installed).toBe(false);
});

test('SELinux', () => {
  expect(parseSelinux('1\n# comment\nSELINUX=permissive\nSELINUXTYPE=targeted\n')).toEqual({
    inUse: 'enforcing',
    onDisk: 'permissive',
    policy: 'targeted',
  });
  expect(parseSelinux('off\n')).toEqual({ inUse: 'disabled', onDisk: undefined, policy: '' });
});

test.each([
  [`${'a'.repeat(64)}  k3s\n${'b'.repeat(64)} *./k3s-arm64\n`, 'k3s-arm64', 'b'.repeat(64)],
  [`${'A'.repeat(64)}\n`, 'k3s', 'a'.repeat(64)],
  [`${'a'.repeat(64)}  other\n`, 'k3s', undefined],
  ['<html>not found</html>', 'k3s', undefined],
])('sums %#', (list, name, sum) => {
  expect(sumFor(list, name)).toBe(sum);
});

describe('hosts', () => {
  const probe = `
===os
PRETTY_NAME="Rocky Linux 9.4 (Blue Onyx)"
NAME="Rocky Linux"
VERSION_ID="9.4"
ID="rocky"
ID_LIKE="rhel centos fedora"

===uname
x86_64
5.14.0-427.el9.x86_64
#1 SMP
node1

===hosts
127.0.0.1 localhost
10.0.0.5 node1.example.com node1

===init
systemd

===pkg
dnf

===mem
MemTotal:        4029688 kB
MemFree:          200000 kB
MemAvailable:    3000000 kB
SwapTotal:             0 kB
SwapFree:              0 kB

===cpu
4
Intel(R) Xeon(R)

===boot
7a3f0b1c-0000-0000-0000-000000000000
12345.67 1000.00

===machine
d3adb33f

===uuid
4C4C4544-0000-0000-0000-000000000000

===product
KVM

===virt
kvm

===addresses
1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
2: eth0    inet 10.0.0.5/24 brd 10.0.0.255 scope global dynamic noprefixroute eth0\\       valid_lft 86000sec preferred_lft 86000sec
2: eth0    inet6 fe80::1/64 scope link \\       valid_lft forever preferred_lft forever

===route4
default via 10.0.0.1 dev eth0 proto dhcp src 10.0.0.5 metric 100
1.1.1.1 via 10.0.0.1 dev eth0 src 10.0.0.5 uid 0 \\    cache

===route6

===macs
/sys/class/net/eth0 52:54:00:12:34:56
/sys/class/net/lo 00:00:00:00:00:00

===dns
nameserver 10.0.0.1

===cgroup
2
cpuset cpu io memory pids

===lsm
1

===user
root
0
0
/root
/bin/bash

===zone
UTC
1700000000

===cmdline
BOOT_IMAGE=/vmlinuz ro quiet root=UUID=1
`;

  test('Rocky', () => {
    const host = parseHostFacts(said(probe));
    expect(host).toMatchObject({
      os: { id: 'rocky', like: ['rhel', 'centos', 'fedora'], version: '9.4' },
      architecture: 'x86_64',
      packageManager: 'dnf',
      init: 'systemd',
      fqdn: 'node1.example.com',
      cpus: 4,
      selinux: 'enforcing',
      cgroupVersion: 2,
      cgroupControllers: ['cpuset', 'cpu', 'io', 'memory', 'pids'],
      defaultIpv4: { interface: 'eth0', gateway: '10.0.0.1', address: '10.0.0.5' },
      defaultIpv6: undefined,
      productUuid: '4c4c4544-0000-0000-0000-000000000000',
    });
    const { ansible_facts: facts, variables } = ansibleFactsOf(host);
    expect(facts).toMatchObject({
      distribution: 'Rocky',
      os_family: 'RedHat',
      distribution_major_version: '9',
      memtotal_mb: 3935,
      processor_vcpus: 4,
      service_mgr: 'systemd',
      pkg_mgr: 'dnf',
      hostname: 'node1',
      domain: 'example.com',
      default_ipv4: {
        address: '10.0.0.5',
        netmask: '255.255.255.0',
        network: '10.0.0.0',
        prefix: '24',
        macaddress: '52:54:00:12:34:56',
      },
      all_ipv4_addresses: ['10.0.0.5'],
      eth0: { ipv4: { address: '10.0.0.5' } },
      date_time: { iso8601: '2023-11-14T22:13:20Z' },
      cmdline: { quiet: true, root: 'UUID=1' },
    });
    expect(variables).toHaveProperty('ansible_distribution', 'Rocky');
    expect(variables).toHaveProperty('ansible_default_ipv4.address', '10.0.0.5');
  });

  test('what playbooks ask of Debian: its point release, the local time, its networks, the environment', () => {
    const { ansible_facts: facts } = ansibleFactsOf(
      parseHostFacts(
        said(`===os
ID=debian
VERSION_ID="12"
===debian
12.11
===uname
aarch64
6.1.0
#1
n1
===addresses
2: eth0    inet 10.0.9.5/22 brd 10.0.11.255 scope global eth0
2: eth0    inet6 fd00::5/64 scope global
===route4
default via 10.0.8.1 dev eth0 src 10.0.9.5
===route6
default via fd00::1 dev eth0 src fd00::5
===mtu
/sys/class/net/eth0 1400
===user
root
0
0
/root
/bin/sh
===env
path /usr/sbin:/usr/bin
sudo debian
===zone
IST
1700000000
+0530
`),
      ),
    );
    expect(facts).toMatchObject({
      distribution_version: '12.11',
      distribution_major_version: '12',
      distribution_minor_version: '11',
      userspace_bits: '64',
      default_ipv4: { network: '10.0.8.0', broadcast: '10.0.11.255', mtu: 1400 },
      default_ipv6: { address: 'fd00::5', scope: 'global', mtu: 1400 },
      eth0: { mtu: 1400, ipv4: { broadcast: '10.0.11.255' } },
      effective_user_id: 0,
      env: { PATH: '/usr/sbin:/usr/bin', SUDO_USER: 'debian' },
      local: {},
      date_time: {
        epoch: '1700000000',
        iso8601: '2023-11-14T22:13:20Z',
        iso8601_basic_short: '20231115T034320',
        date: '2023-11-15',
        time: '03:43:20',
        hour: '03',
        weekday: 'Wednesday',
        weekday_number: '3',
        tz: 'IST',
        tz_offset: '+0530',
      },
    });
  });

  test.each([
    [
      'a machine',
      '===product\nPowerEdge R640\n===container\n===firewalls\nfirewalld\n===reboot\n===lsm\n1\nN\n',
      {
        piModel: '',
        container: '',
        firewalls: ['firewalld'],
        rebootPending: false,
        appArmor: false,
        appArmorParser: false,
        cgroupMemory: false,
      },
    ],
    [
      'a Pi',
      '===product\nRaspberry Pi 4 Model B Rev 1.4\n===cgroup\n2\ncpuset cpu io pids\n===reboot\nasked\n',
      { piModel: 'Raspberry Pi 4 Model B Rev 1.4', cgroupMemory: false, rebootPending: true },
    ],
    [
      'Debian 11',
      '===lsm\noff\nY\n===cgroup\n1\ncpuset\nmemory\n===firewalls\nufw\nnftables\n===reboot\nkernel\n',
      {
        appArmor: true,
        appArmorParser: false,
        cgroupMemory: true,
        firewalls: ['ufw', 'nftables'],
        rebootPending: true,
      },
    ],
    [
      'a container',
      '===container\nlxc\n===lsm\noff\nY\nparser\n===reboot\nkernel\n',
      { container: 'lxc', rebootPending: false, appArmorParser: true },
    ],
    ['WSL', '===virt\nwsl\n===container\n', { container: 'wsl' }],
  ])('%s', (_name, sections, wanted) => {
    expect(
      parseHostFacts(said(`===os\nID=debian\n===uname\nx86_64\n6.1.0\n#1\nn1\n${sections}`)),
    ).toMatchObject(wanted);
  });

  test('an answer that is none', () => {
    expect(() => parseHostFacts(said('', 'permission denied', 1))).toThrow(/permission denied/);
  });

  test('os-release quoting', () => {
    expect(
      Object.fromEntries(
        parseOsRelease(`ID=alpine\nNAME='Alpine "x"'\nPRETTY_NAME="a \\"b\\" \\$c"\n# no\n`),
      ),
    ).toEqual({
      ID: 'alpine',
      NAME: 'Alpine "x"',
      PRETTY_NAME: 'a "b" $c',
    });
  });
});
