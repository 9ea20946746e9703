import { expect, test } from 'vitest';
import { ansibleFactsOf, parseHostFacts } from '../../src/facts/host.ts';
import { archOf } from '../../src/k3s/version.ts';

/**
 * Systems that no machine of ours runs: what they answer, put together from their documentation and from public listings of
 * /etc/os-release, uname, /proc/cpuinfo and the device tree. fleet was not run on them.
 */

interface Capture {
  readonly release: string;
  /** `uname -m` and `uname -r`. */
  readonly uname: readonly [string, string];
  readonly init?: string;
  readonly packages?: string;
  /** The count of processors, and what /proc/cpuinfo calls them. */
  readonly cpu?: string;
  readonly model?: string;
  readonly controllers?: string;
  readonly container?: string;
  readonly virtualization?: string;
}

function told(capture: Capture): string {
  const { release, uname, init, packages, cpu, model, controllers, container, virtualization } = capture;
  const sections: Record<string, string> = {
    os: release,
    uname: `${uname.join('\n')}\n#1 SMP\nnode1`,
    init: init ?? 'systemd',
    pkg: packages ?? '',
    cpu: cpu ?? '4',
    product: model ?? '',
    cgroup: `2\n${controllers ?? 'cpuset cpu io memory hugetlb pids rdma misc'}`,
    container: container ?? '',
    virt: virtualization ?? 'none',
    zone: 'UTC\n1700000000',
  };
  return Object.entries(sections)
    .map(([name, text]) => `===${name}\n${text}\n`)
    .join('');
}

const pi4 = 'Raspberry Pi 4 Model B Rev 1.4';
// The firmware of a Pi switches the memory controller off unless cmdline.txt says otherwise.
const withoutMemory = 'cpuset cpu io pids';

const raspberryPiOs12 = {
  uname: ['aarch64', '6.6.31+rpt-rpi-v8'],
  packages: 'apt-get',
  model: pi4,
  controllers: withoutMemory,
} as const;

/** Servers as they are sold: `uname -m`, `uname -r`, what they install packages with, their family, /etc/os-release. */
const servers = `
RHEL 9                                   | x86_64  | 5.14.0-427.el9.x86_64           | dnf    | RedHat | NAME="Red Hat Enterprise Linux"; ID="rhel"; ID_LIKE="fedora"; VERSION_ID="9.4"
AlmaLinux 10                             | x86_64  | 6.12.0-55.el10.x86_64           | dnf    | RedHat | NAME="AlmaLinux"; ID="almalinux"; ID_LIKE="rhel centos fedora"; VERSION_ID="10.0"
CentOS Stream 9                          | aarch64 | 5.14.0-503.el9.aarch64          | dnf    | RedHat | NAME="CentOS Stream"; ID="centos"; ID_LIKE="rhel fedora"; VERSION_ID="9"
Oracle Linux 9                           | x86_64  | 5.15.0-200.131.27.el9uek.x86_64 | dnf    | RedHat | NAME="Oracle Linux Server"; ID="ol"; ID_LIKE="fedora"; VERSION_ID="9.4"
Oracle Linux 10 with Oracle's own kernel | aarch64 | 6.12.0-100.28.2.el10uek.aarch64 | dnf    | RedHat | NAME="Oracle Linux Server"; ID="ol"; ID_LIKE="fedora"; VERSION_ID="10.0"
Fedora                                   | x86_64  | 6.14.0-63.fc42.x86_64           | dnf    | RedHat | NAME="Fedora Linux"; ID=fedora; VERSION_ID=42
Amazon Linux 2                           | x86_64  | 5.10.0-1.amzn2.x86_64           | yum    | RedHat | NAME="Amazon Linux"; ID="amzn"; ID_LIKE="centos rhel fedora"; VERSION_ID="2"
SLES 15                                  | x86_64  | 6.4.0-150600.21-default         | zypper | Suse   | NAME="SLES"; VERSION="15-SP6"; VERSION_ID="15.6"; ID="sles"; ID_LIKE="suse"
Tumbleweed                               | x86_64  | 6.14.8-1-default                | zypper | Suse   | NAME="openSUSE Tumbleweed"; ID="opensuse-tumbleweed"; ID_LIKE="opensuse suse"; VERSION_ID="20250601"
MicroOS                                  | aarch64 | 6.14.8-1-default                | zypper | Suse   | NAME="openSUSE MicroOS"; ID="opensuse-microos"; ID_LIKE="suse opensuse opensuse-tumbleweed microos"; VERSION_ID="20250601"
SLE Micro 5                              | x86_64  | 5.14.21-150500.55.12-default    | zypper | Suse   | NAME="SLE Micro"; VERSION="5.5"; VERSION_ID="5.5"; ID="sle-micro"; ID_LIKE="suse"
SL Micro 6                               | aarch64 | 6.4.0-18-default                | zypper | Suse   | NAME="SL-Micro"; VERSION="6.0"; VERSION_ID="6.0"; ID="sl-micro"; ID_LIKE="suse"
`;

type Case = readonly [name: string, capture: Capture, wanted: Record<string, unknown>];

const serverCases = servers
  .trim()
  .split('\n')
  .map((line): Case => {
    const [name = '', machine = '', kernel = '', packages = '', family, release = ''] = line.split(/ +\| /);
    return [
      name,
      { release: release.replaceAll('; ', '\n'), uname: [machine, kernel], packages },
      { family, manager: packages, arch: machine === 'x86_64' ? 'amd64' : 'arm64' },
    ];
  });

const captures: readonly Case[] = [
  ...serverCases,
  [
    'Raspberry Pi OS 10, 32 bit',
    {
      release:
        'PRETTY_NAME="Raspbian GNU/Linux 10 (buster)"\nNAME="Raspbian GNU/Linux"\nVERSION_ID="10"\nVERSION_CODENAME=buster\nID=raspbian\nID_LIKE=debian',
      uname: ['armv7l', '4.19.50-v7l+'],
      packages: 'apt-get',
      cpu: '4\nARMv7 Processor rev 3 (v7l)',
      model: 'Raspberry Pi 4 Model B Rev 1.2',
      controllers: withoutMemory,
    },
    { family: 'Debian', manager: 'apt', arch: 'arm', pi: 'Raspberry Pi 4 Model B Rev 1.2', memory: false },
  ],
  [
    'Raspberry Pi OS 12, 64 bit',
    {
      release:
        'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=debian',
      ...raspberryPiOs12,
    },
    { family: 'Debian', manager: 'apt', arch: 'arm64', pi: pi4, memory: false },
  ],
  [
    'Raspberry Pi OS 12, 32 bit on a 64-bit kernel',
    {
      release:
        'PRETTY_NAME="Raspbian GNU/Linux 12 (bookworm)"\nNAME="Raspbian GNU/Linux"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=raspbian\nID_LIKE=debian',
      ...raspberryPiOs12,
    },
    { family: 'Debian', manager: 'apt', arch: 'arm64', pi: pi4, memory: false },
  ],
  [
    'a Pi 2 with Debian',
    {
      release: 'NAME="Debian GNU/Linux"\nVERSION_ID="13"\nVERSION_CODENAME=trixie\nID=debian',
      uname: ['armv7l', '6.12.30+deb13-armmp'],
      packages: 'apt-get',
      cpu: '4\nARMv7 Processor rev 5 (v7l)',
      model: 'Raspberry Pi 2 Model B Rev 1.1',
    },
    { family: 'Debian', manager: 'apt', arch: 'arm', pi: 'Raspberry Pi 2 Model B Rev 1.1' },
  ],
  [
    'a Pi 5 with memory cgroups',
    {
      release: 'NAME="Ubuntu"\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian',
      uname: ['aarch64', '6.8.0-1004-raspi'],
      packages: 'apt-get',
      model: 'Raspberry Pi 5 Model B Rev 1.0',
    },
    { family: 'Debian', manager: 'apt', arch: 'arm64', pi: 'Raspberry Pi 5 Model B Rev 1.0' },
  ],
  [
    'a Pi Zero W, for which there is no k3s',
    {
      release: 'NAME="Raspbian GNU/Linux"\nVERSION_ID="11"\nID=raspbian\nID_LIKE=debian',
      uname: ['armv6l', '6.1.21+'],
      packages: 'apt-get',
      cpu: '1\nARMv6-compatible processor rev 7 (v6l)',
      model: 'Raspberry Pi Zero W Rev 1.1',
      controllers: withoutMemory,
    },
    { family: 'Debian', manager: 'apt', arch: undefined, pi: 'Raspberry Pi Zero W Rev 1.1', memory: false },
  ],
  [
    'Arch Linux ARM',
    {
      release:
        'NAME="Arch Linux ARM"\nPRETTY_NAME="Arch Linux ARM"\nID=archarm\nID_LIKE=arch\nBUILD_ID=rolling',
      uname: ['aarch64', '6.12.10-1-rpi'],
      packages: 'pacman',
      model: pi4,
    },
    { family: 'Archlinux', manager: 'pacman', arch: 'arm64', pi: pi4 },
  ],
  [
    'another board',
    {
      release: 'NAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\nPRETTY_NAME="Armbian 24.5 bookworm"',
      uname: ['aarch64', '6.6.36-current-rockchip64'],
      packages: 'apt-get',
      model: 'Radxa ROCK 3A',
    },
    { family: 'Debian', manager: 'apt', arch: 'arm64' },
  ],
  [
    'Debian inside WSL2 without systemd, for which there is no way to start k3s',
    {
      release: 'NAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian',
      uname: ['x86_64', '5.15.167.4-microsoft-standard-WSL2'],
      init: 'other',
      packages: 'apt-get',
    },
    {
      family: 'Debian',
      manager: 'apt',
      arch: 'amd64',
      container: 'wsl',
      init: 'other',
    },
  ],
  [
    'Alpine inside WSL2',
    {
      release: 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.21.3',
      uname: ['x86_64', '5.15.167.4-microsoft-standard-WSL2'],
      init: 'openrc',
      packages: 'apk',
      virtualization: 'wsl',
    },
    {
      family: 'Alpine',
      manager: 'apk',
      arch: 'amd64',
      container: 'wsl',
      init: 'openrc',
    },
  ],
  [
    'Ubuntu inside WSL2',
    {
      release: 'NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"',
      uname: ['x86_64', '5.15.167.4-microsoft-standard-WSL2'],
      packages: 'apt-get',
      virtualization: 'wsl',
    },
    { family: 'Debian', manager: 'apt', arch: 'amd64', container: 'wsl' },
  ],
  [
    'a family that nobody has told us of',
    { release: 'NAME="Solus"\nID="solus"\nVERSION_ID="4.5"', uname: ['x86_64', '6.8.12'], packages: '' },
    { family: 'Solus', manager: undefined, arch: 'amd64' },
  ],
];

test.each(captures)('%s', (_name, capture, wanted) => {
  const facts = parseHostFacts({ stdout: told(capture), stderr: '', code: 0 });
  expect({
    family: ansibleFactsOf(facts).ansible_facts.os_family,
    manager: facts.packageManager,
    arch: archOf(facts.architecture),
    pi: facts.piModel,
    memory: facts.cgroupMemory,
    container: facts.container,
    init: facts.init,
  }).toEqual({ pi: '', memory: true, container: '', init: 'systemd', ...wanted });
});
