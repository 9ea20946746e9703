import { sh } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';
import type { Answer } from '../ssh/connection.ts';
import { detectPackageManager, type PackageManager, packageManagers } from './package.ts';

export interface HostAddress {
  readonly interface: string;
  readonly family: 'ipv4' | 'ipv6';
  readonly address: string;
  readonly prefixLength: number;
  readonly scope: string;
}

export interface DefaultRoute {
  readonly interface: string;
  readonly gateway: string | undefined;
  /** The address that packets over this route leave with. */
  readonly address: string | undefined;
}

/** What a host is: everything that `gather_facts` shows, from one probe. */
export interface HostFacts {
  readonly os: {
    /** `debian`, `rocky`, `alpine`: ID of os-release. */
    readonly id: string;
    /** Families it counts itself to, nearest first: `rhel centos fedora`. */
    readonly like: readonly string[];
    readonly version: string;
    /** Of Debian also the point release, `12.11`, as Ansible tells it; else the version. */
    readonly fullVersion: string;
    readonly codename: string;
    readonly name: string;
    readonly prettyName: string;
  };
  /** `uname -m`: x86_64, aarch64, armv7l. */
  readonly architecture: string;
  readonly kernel: string;
  readonly kernelVersion: string;
  readonly hostname: string;
  /** From /etc/hosts only, so that no question waits for a name server; the host name where it says nothing. */
  readonly fqdn: string;
  readonly init: 'systemd' | 'openrc' | 'other';
  readonly packageManager: PackageManager | undefined;
  readonly memoryTotalKiB: number;
  readonly memoryFreeKiB: number;
  readonly memoryAvailableKiB: number;
  readonly swapTotalKiB: number;
  readonly swapFreeKiB: number;
  readonly cpus: number;
  readonly cpuModel: string;
  readonly bootId: string;
  readonly uptimeS: number;
  readonly machineId: string;
  /** Empty where firmware gives none or only root may read it and we are not. */
  readonly productUuid: string;
  readonly productName: string;
  readonly virtualization: string;
  readonly addresses: readonly HostAddress[];
  readonly defaultIpv4: DefaultRoute | undefined;
  readonly defaultIpv6: DefaultRoute | undefined;
  readonly macs: ReadonlyMap<string, string>;
  /** How much one packet may hold, by interface. */
  readonly mtus: ReadonlyMap<string, number>;
  readonly nameServers: readonly string[];
  /** cgroup controllers that the kernel offers; k3s needs `memory` and `cpuset`. */
  readonly cgroupControllers: readonly string[];
  readonly cgroupVersion: 1 | 2;
  /** Kubelets need it; the firmware of Raspberry Pis switches it off. */
  readonly cgroupMemory: boolean;
  /** `Raspberry Pi 4 Model B Rev 1.4`; empty for all other machines. */
  readonly piModel: string;
  /** `docker`, `lxc`, `wsl` …; empty on a machine of its own, virtual or not. */
  readonly container: string;
  /** Firewalls that filter now. */
  readonly firewalls: readonly ('ufw' | 'firewalld' | 'nftables')[];
  /** What was installed is used only after a reboot: the system says so, or the running kernel's modules are gone. */
  readonly rebootPending: boolean;
  readonly selinux: 'disabled' | 'permissive' | 'enforcing';
  readonly appArmor: boolean;
  readonly appArmorParser: boolean;
  readonly user: {
    readonly name: string;
    readonly uid: number;
    readonly gid: number;
    readonly home: string;
    readonly shell: string;
    /** Where its shell looks for programs. */
    readonly path: string;
    /** Who called sudo, where somebody did. */
    readonly sudoUser: string;
  };
  readonly timezone: string;
  /** How far the host's clock is ahead of UTC: `+0200`. */
  readonly timezoneOffset: string;
  /** Seconds since the epoch by the host's own clock. */
  readonly clockS: number;
  readonly kernelCommandLine: string;
}

/**
 * Source: os-release, uname, /proc, /sys, `ip`, `id`. One script for all, and few programs: a look at a host that needs nothing is made
 * of starting them, so what the shell can read by itself it reads. Volatile parts (clock, free memory) are of the moment of asking.
 */
export const hostFacts: Fact<HostFacts> = {
  key: 'host:facts',
  sh: sh`section() { printf '\\n===%s\\n' "$1"; }
# A file of one line, whether it ends with its end or not.
line() { a=; [ -r "$1" ] && { read -r a || [ -n "$a" ]; } <"$1" && echo "$a"; } 2>/dev/null
section os; f=/etc/os-release; [ -r "$f" ] || f=/usr/lib/os-release
if [ -r "$f" ]; then while IFS= read -r a || [ -n "$a" ]; do printf '%s\\n' "$a"; done <"$f"; fi
section uname; uname -m
for f in osrelease version hostname; do line /proc/sys/kernel/$f; done
section hosts; if [ -r /etc/hosts ]; then cat /etc/hosts; fi
section init; if [ -d /run/systemd/system ]; then echo systemd; elif [ -x /sbin/openrc-run ] || command -v rc-service >/dev/null 2>&1; then echo openrc; else echo other; fi
section pkg; ( ${detectPackageManager}
echo "$m" )
section mem; while read -r k a b; do case $k in Mem*|Swap*) echo "$k $a $b" ;; esac; [ "$k" != SwapFree: ] || break; done </proc/meminfo 2>/dev/null
section cpu; awk '/^processor/ { n++ } !m && /^(model name|Model)/ { sub(/^[^:]*: */, ""); m = $0 } END { print n + 0; print m }' /proc/cpuinfo 2>/dev/null
section boot; for f in sys/kernel/random/boot_id uptime; do line /proc/$f; done
section machine; line /etc/machine-id
section uuid; line /sys/class/dmi/id/product_uuid
section product; line /sys/class/dmi/id/product_name || if [ -r /proc/device-tree/model ]; then tr -d '\\0' </proc/device-tree/model; fi
section virt; line /run/systemd/container || if command -v systemd-detect-virt >/dev/null 2>&1; then systemd-detect-virt; fi
section addresses; ip -o addr show 2>/dev/null
section route4; ip -4 route get 1.1.1.1 2>/dev/null || ip -4 route show default 2>/dev/null
# Scope 00 is global: who has no such address has no way out.
section route6; while read -r a b a scope a; do if [ "$scope" = 00 ]; then ip -6 route get 2606:4700:4700::1111 2>/dev/null || ip -6 route show default 2>/dev/null; break; fi; done </proc/net/if_inet6 2>/dev/null
section macs; for i in /sys/class/net/*; do if [ -r "$i/address" ]; then read -r a <"$i/address"; echo "$i $a"; fi; done 2>/dev/null
section mtu; for i in /sys/class/net/*; do if [ -r "$i/mtu" ]; then read -r a <"$i/mtu"; echo "$i $a"; fi; done 2>/dev/null
section dns; if [ -r /etc/resolv.conf ]; then while read -r a b || [ -n "$a" ]; do case $a in nameserver) echo "$a $b" ;; esac; done </etc/resolv.conf; fi
section cgroup; if [ -r /sys/fs/cgroup/cgroup.controllers ]; then echo 2; line /sys/fs/cgroup/cgroup.controllers; else echo 1; while read -r a b b k; do [ "$k" != 1 ] || echo "$a"; done </proc/cgroups; fi 2>/dev/null
section lsm; line /sys/fs/selinux/enforce || echo off; line /sys/module/apparmor/parameters/enabled || echo N; if [ -x /sbin/apparmor_parser ] || [ -x /usr/sbin/apparmor_parser ] || [ -x /usr/bin/apparmor_parser ]; then echo parser; fi
section container; if [ -r /run/systemd/container ]; then line /run/systemd/container; elif [ -e /.dockerenv ]; then echo docker; else { tr '\\0' '\\n' </proc/1/environ | sed -n 's/^container=//p'; } 2>/dev/null; fi
section firewalls; if grep -q '^ENABLED=yes' /etc/ufw/ufw.conf 2>/dev/null; then echo ufw; fi
if [ -d /run/systemd/system ]; then for u in firewalld nftables; do if [ -e "/usr/lib/systemd/system/$u.service" ] || [ -e "/lib/systemd/system/$u.service" ]; then if systemctl is-active -q "$u" 2>/dev/null; then echo "$u"; fi; fi; done
elif command -v rc-service >/dev/null 2>&1; then for u in firewalld nftables; do if [ -e "/etc/init.d/$u" ] && rc-service "$u" status >/dev/null 2>&1; then echo "$u"; fi; done; fi
section reboot; if [ -e /run/reboot-required ] || [ -e /run/reboot-needed ]; then echo asked; fi
for d in /lib/modules/*/kernel; do if [ -d "$d" ] && [ ! -d "/lib/modules/$(uname -r)" ]; then echo kernel; break; fi; done
section user; i=$(id); u=\${i#uid=}; g=\${i#*gid=}; u=\${u%%[!0-9]*}; g=\${g%%[!0-9]*}
n=\${i%%)*}; n=\${n#uid="$u"}; case $n in '('*) n=\${n#?} ;; *) n=$u ;; esac; echo "$n"; echo "$u"; echo "$g"; echo "$HOME"; echo "$SHELL"
section env; echo "path $PATH"; echo "sudo \${SUDO_USER-}"
section zone; date +%Z%n%s%n%z
section cmdline; line /proc/cmdline
true`,
  parse: parseHostFacts,
};

/** The parser of `hostFacts`: sections headed by `===name`. */
export function parseHostFacts(answer: Answer): HostFacts {
  const sections = new Map<string, string>();
  for (const part of answer.stdout.split(/^===/m).slice(1)) {
    const end = part.indexOf('\n');
    sections.set(part.slice(0, end), part.slice(end + 1).trim());
  }
  if (!sections.has('os') || !sections.has('uname')) {
    throw new Error(
      `the probe of the host answered ${JSON.stringify(answer.stdout.slice(0, 80))} ${answer.stderr.trim()}`,
    );
  }
  const read = (name: string) => sections.get(name) ?? '';
  const rows = (name: string) =>
    read(name)
      .split('\n')
      .filter((line) => line !== '');
  const os = parseOsRelease(read('os'));
  const [architecture = '', kernel = '', kernelVersion = '', nodeName = ''] = rows('uname');
  const memory = (key: string) => Number(new RegExp(`^${key}: *(\\d+)`, 'm').exec(read('mem'))?.[1] ?? 0);
  const [cpus = '1', cpuModel = ''] = rows('cpu');
  const [bootId = '', uptime = '0'] = rows('boot');
  const addresses = rows('addresses').flatMap(parseAddress);
  const [cgroupVersion = '1', ...controllers] = rows('cgroup');
  const [enforce = 'off', appArmor = 'N', parser = ''] = rows('lsm');
  const [userName = '', uid = '0', gid = '0', home = '', shell = ''] = rows('user');
  const environment = new Map(rows('env').map((line) => [line.split(' ', 1)[0], line.replace(/^\S* /, '')]));
  const [timezone = '', clock = '0', timezoneOffset = '+0000'] = rows('zone');
  const init = read('init');
  const controllerNames = controllers.flatMap((line) => line.split(' '));
  const isWsl = /microsoft|wsl/i.test(`${kernel} ${read('virt')}`);
  const pkg = read('pkg') === 'apt-get' ? 'apt' : read('pkg');
  return {
    os: {
      id: os.get('ID') ?? 'linux',
      like: (os.get('ID_LIKE') ?? '').split(' ').filter((word) => word !== ''),
      version: os.get('VERSION_ID') ?? '',
      fullVersion:
        (os.get('ID') === 'debian' ? /^\d+\.\d+$/.exec(read('debian'))?.[0] : undefined) ??
        os.get('VERSION_ID') ??
        '',
      codename: os.get('VERSION_CODENAME') ?? '',
      name: os.get('NAME') ?? 'Linux',
      prettyName: os.get('PRETTY_NAME') ?? '',
    },
    architecture,
    kernel,
    kernelVersion,
    hostname: nodeName,
    fqdn: fqdnOf(nodeName, read('hosts')),
    init: init === 'systemd' || init === 'openrc' ? init : 'other',
    packageManager: packageManagers.find((name) => name === pkg),
    memoryTotalKiB: memory('MemTotal'),
    memoryFreeKiB: memory('MemFree'),
    memoryAvailableKiB: memory('MemAvailable'),
    swapTotalKiB: memory('SwapTotal'),
    swapFreeKiB: memory('SwapFree'),
    cpus: Math.max(1, Number(cpus) || 1),
    cpuModel,
    bootId,
    uptimeS: Math.floor(Number(uptime.split(' ')[0])),
    machineId: read('machine'),
    productUuid: read('uuid').toLowerCase(),
    productName: read('product'),
    virtualization: read('virt') || 'none',
    addresses,
    defaultIpv4: parseRoute(rows('route4')),
    defaultIpv6: parseRoute(rows('route6')),
    macs: new Map(
      rows('macs').map((line) => {
        const [path = '', mac = ''] = line.split(' ');
        return [path.slice('/sys/class/net/'.length), mac];
      }),
    ),
    mtus: new Map(
      rows('mtu').map((line) => {
        const [path = '', mtu = '0'] = line.split(' ');
        return [path.slice('/sys/class/net/'.length), Number(mtu)];
      }),
    ),
    nameServers: rows('dns').map((line) => line.split(/\s+/)[1] ?? ''),
    cgroupControllers: controllerNames,
    cgroupMemory: controllerNames.includes('memory'),
    piModel: read('product').startsWith('Raspberry Pi') ? read('product') : '',
    container: isWsl ? 'wsl' : (rows('container')[0] ?? ''),
    firewalls: (['ufw', 'firewalld', 'nftables'] as const).filter((name) => rows('firewalls').includes(name)),
    // A container runs a kernel that is not its own.
    rebootPending:
      rows('reboot').includes('asked') || (rows('reboot').length > 0 && rows('container').length === 0),
    cgroupVersion: cgroupVersion === '2' ? 2 : 1,
    selinux: enforce === '1' ? 'enforcing' : enforce === '0' ? 'permissive' : 'disabled',
    appArmor: appArmor === 'Y',
    appArmorParser: parser === 'parser',
    user: {
      name: userName,
      uid: Number(uid),
      gid: Number(gid),
      home,
      shell,
      path: environment.get('path') ?? '',
      sudoUser: environment.get('sudo') ?? '',
    },
    timezone,
    timezoneOffset,
    clockS: Number(clock),
    kernelCommandLine: read('cmdline'),
  };
}

/** `NAME="value"` lines; values may be quoted either way, with backslashes before `"$\``. */
export function parseOsRelease(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^([A-Z_0-9]+)=(.*)$/.exec(line.trim());
    if (match?.[1] === undefined || match[2] === undefined) continue;
    const quoted = /^(["'])(.*)\1$/.exec(match[2]);
    values.set(match[1], (quoted?.[2] ?? match[2]).replace(/\\(.)/g, '$1'));
  }
  return values;
}

// 2: eth0    inet 10.0.0.5/24 brd 10.0.0.255 scope global eth0\       valid_lft forever preferred_lft forever
function parseAddress(line: string): HostAddress[] {
  const match = /^\d+:\s+(\S+)\s+(inet6?)\s+([0-9a-fA-F.:]+)(?:\/(\d+))?.*?\bscope (\S+)/.exec(line);
  if (match === null) return [];
  const family = match[2] === 'inet6' ? 'ipv6' : 'ipv4';
  return [
    {
      interface: match[1] ?? '',
      family,
      address: match[3] ?? '',
      prefixLength: Number(match[4] ?? (family === 'ipv4' ? 32 : 128)),
      scope: match[5] ?? '',
    },
  ];
}

// default via 10.0.0.1 dev eth0 proto dhcp src 10.0.0.5 metric 100
// 1.1.1.1 via 10.0.0.1 dev eth0 src 10.0.0.5 uid 0
function parseRoute(rows: readonly string[]): DefaultRoute | undefined {
  const route = rows.find((line) => line.startsWith('default'));
  const taken = rows.find((line) => / src /.test(line) && !line.startsWith('default'));
  const line = taken ?? route;
  if (line === undefined || /unreachable|prohibit/.test(line)) return undefined;
  const word = (key: string, text: string | undefined) =>
    new RegExp(`\\b${key} (\\S+)`).exec(text ?? '')?.[1];
  const device = word('dev', line);
  if (device === undefined) return undefined;
  return {
    interface: device,
    gateway: word('via', line) ?? word('via', route),
    address: word('src', line) ?? word('src', route),
  };
}

function fqdnOf(hostname: string, hosts: string): string {
  if (hostname.includes('.')) return hostname;
  for (const line of hosts.split('\n')) {
    const [, canonical = '', ...aliases] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (canonical.includes('.') && (aliases.includes(hostname) || canonical.startsWith(`${hostname}.`)))
      return canonical;
  }
  return hostname;
}

const DISTRIBUTIONS: Readonly<Record<string, readonly [string, string]>> = {
  debian: ['Debian', 'Debian'],
  raspbian: ['Debian', 'Debian'],
  ubuntu: ['Ubuntu', 'Debian'],
  linuxmint: ['Linux Mint', 'Debian'],
  rhel: ['RedHat', 'RedHat'],
  centos: ['CentOS', 'RedHat'],
  rocky: ['Rocky', 'RedHat'],
  almalinux: ['AlmaLinux', 'RedHat'],
  ol: ['OracleLinux', 'RedHat'],
  amzn: ['Amazon', 'RedHat'],
  fedora: ['Fedora', 'RedHat'],
  sles: ['SLES', 'Suse'],
  'opensuse-leap': ['openSUSE Leap', 'Suse'],
  'opensuse-tumbleweed': ['openSUSE Tumbleweed', 'Suse'],
  'sle-micro': ['SLE Micro', 'Suse'],
  'sl-micro': ['SL-Micro', 'Suse'],
  suse: ['SUSE', 'Suse'],
  opensuse: ['openSUSE', 'Suse'],
  'opensuse-microos': ['openSUSE MicroOS', 'Suse'],
  arch: ['Archlinux', 'Archlinux'],
  archarm: ['Archlinux', 'Archlinux'],
  alpine: ['Alpine', 'Alpine'],
  flatcar: ['Flatcar', 'Flatcar'],
  gentoo: ['Gentoo', 'Gentoo'],
};

/** Ansible's name for the family, `RedHat`, by what the system is or says it is like; `undefined` for one that nobody has told us of. */
export function familyOf({ os }: Pick<HostFacts, 'os'>): string | undefined {
  return [os.id, ...os.like].map((name) => DISTRIBUTIONS[name]?.[1]).find((family) => family !== undefined);
}

/** Ansible's names for what a host is: the variables that `gather_facts` sets, with and without `ansible_` (in `ansible_facts`). */
export function ansibleFactsOf(facts: HostFacts): {
  /** The keys of `ansible_facts`: `distribution`, `default_ipv4` … */
  readonly ansible_facts: Readonly<Record<string, unknown>>;
  /** The same as top-level variables: `ansible_distribution` … */
  readonly variables: Readonly<Record<string, unknown>>;
} {
  const known = DISTRIBUTIONS[facts.os.id];
  const family = familyOf(facts);
  const debianLike = family === 'Debian';
  const packageManager = facts.packageManager ?? 'unknown';
  const megabytes = (kib: number) => Math.floor(kib / 1024);
  const inFacts: Record<string, unknown> = {
    distribution: known?.[0] ?? facts.os.name,
    distribution_version: facts.os.fullVersion,
    distribution_major_version: facts.os.fullVersion.split('.')[0] ?? '',
    ...(facts.os.fullVersion.includes('.')
      ? { distribution_minor_version: facts.os.fullVersion.split('.')[1] }
      : {}),
    distribution_release: facts.os.codename,
    os_family: family ?? facts.os.name,
    architecture: facts.architecture,
    machine: facts.architecture,
    userspace_architecture: facts.architecture,
    userspace_bits: /64|s390x/.test(facts.architecture) ? '64' : '32',
    kernel: facts.kernel,
    kernel_version: facts.kernelVersion,
    system: 'Linux',
    hostname: facts.hostname.split('.')[0] ?? facts.hostname,
    nodename: facts.hostname,
    fqdn: facts.fqdn,
    domain: facts.fqdn.includes('.') ? facts.fqdn.slice(facts.fqdn.indexOf('.') + 1) : '',
    service_mgr: facts.init === 'other' ? 'unknown' : facts.init,
    pkg_mgr: packageManager === 'yum' ? 'yum' : packageManager,
    memtotal_mb: megabytes(facts.memoryTotalKiB),
    memfree_mb: megabytes(facts.memoryFreeKiB),
    swaptotal_mb: megabytes(facts.swapTotalKiB),
    swapfree_mb: megabytes(facts.swapFreeKiB),
    memory_mb: {
      real: {
        total: megabytes(facts.memoryTotalKiB),
        free: megabytes(facts.memoryFreeKiB),
        used: megabytes(facts.memoryTotalKiB - facts.memoryFreeKiB),
      },
      swap: { total: megabytes(facts.swapTotalKiB), free: megabytes(facts.swapFreeKiB) },
    },
    processor: [facts.cpuModel],
    processor_vcpus: facts.cpus,
    processor_count: 1,
    processor_cores: facts.cpus,
    processor_nproc: facts.cpus,
    uptime_seconds: facts.uptimeS,
    boot_id: facts.bootId,
    machine_id: facts.machineId,
    product_uuid: facts.productUuid,
    product_name: facts.productName,
    virtualization_type: facts.virtualization,
    virtualization_role: facts.virtualization === 'none' ? 'host' : 'guest',
    default_ipv4: routeFacts(facts, facts.defaultIpv4, 'ipv4'),
    default_ipv6: routeFacts(facts, facts.defaultIpv6, 'ipv6'),
    all_ipv4_addresses: facts.addresses
      .filter((one) => one.family === 'ipv4' && !one.address.startsWith('127.'))
      .map((one) => one.address),
    all_ipv6_addresses: facts.addresses
      .filter((one) => one.family === 'ipv6' && one.address !== '::1')
      .map((one) => one.address),
    interfaces: [...new Set([...facts.macs.keys(), ...facts.addresses.map((one) => one.interface)])],
    dns: { nameservers: facts.nameServers },
    selinux:
      facts.selinux === 'disabled'
        ? { status: 'disabled' }
        : { status: 'enabled', mode: facts.selinux, config_mode: facts.selinux },
    apparmor: { status: facts.appArmor ? 'enabled' : 'disabled' },
    user_id: facts.user.name,
    user_uid: facts.user.uid,
    user_gid: facts.user.gid,
    user_dir: facts.user.home,
    user_shell: facts.user.shell,
    real_user_id: facts.user.uid,
    real_group_id: facts.user.gid,
    effective_user_id: facts.user.uid,
    effective_group_id: facts.user.gid,
    env: {
      HOME: facts.user.home,
      SHELL: facts.user.shell,
      USER: facts.user.name,
      PATH: facts.user.path,
      ...(facts.user.sudoUser === '' ? {} : { SUDO_USER: facts.user.sudoUser }),
    },
    // Programs of facts.d are not run.
    local: {},
    date_time: dateFacts(facts),
    lsb: debianLike
      ? {
          id: known?.[0] ?? facts.os.name,
          codename: facts.os.codename,
          release: facts.os.version,
          description: facts.os.prettyName,
          major_release: facts.os.version.split('.')[0] ?? '',
        }
      : {},
    cmdline: commandLineFacts(facts.kernelCommandLine),
    gather_subset: ['all'],
    module_setup: true,
  };
  for (const name of inFacts.interfaces as readonly string[])
    inFacts[variableName(name)] = interfaceFacts(facts, name);
  return {
    ansible_facts: inFacts,
    variables: Object.fromEntries(Object.entries(inFacts).map(([name, value]) => [`ansible_${name}`, value])),
  };
}

function variableName(name: string): string {
  return name.replace(/[^A-Za-z0-9_]/g, '_');
}

function routeFacts(
  facts: HostFacts,
  route: DefaultRoute | undefined,
  family: 'ipv4' | 'ipv6',
): Record<string, unknown> {
  if (route === undefined) return {};
  const address =
    facts.addresses.find((one) => one.family === family && one.address === route.address) ??
    facts.addresses.find(
      (one) => one.family === family && one.interface === route.interface && one.scope === 'global',
    );
  return {
    interface: route.interface,
    alias: route.interface,
    gateway: route.gateway ?? '',
    address: route.address ?? address?.address ?? '',
    prefix: address === undefined ? '' : String(address.prefixLength),
    ...(family === 'ipv4' && address !== undefined
      ? {
          netmask: netmask(address.prefixLength),
          network: network(address.address, address.prefixLength),
          broadcast: broadcast(address.address, address.prefixLength),
        }
      : {}),
    ...(family === 'ipv6' && address !== undefined ? { scope: address.scope } : {}),
    macaddress: facts.macs.get(route.interface) ?? '',
    ...mtuFacts(facts, route.interface),
    type: 'ether',
  };
}

function interfaceFacts(facts: HostFacts, name: string): Record<string, unknown> {
  const own = facts.addresses.filter((one) => one.interface === name);
  const v4 = own.find((one) => one.family === 'ipv4');
  return {
    device: name,
    active: own.length > 0,
    macaddress: facts.macs.get(name) ?? '',
    ...mtuFacts(facts, name),
    ...(v4 === undefined
      ? {}
      : {
          ipv4: {
            address: v4.address,
            prefix: String(v4.prefixLength),
            netmask: netmask(v4.prefixLength),
            network: network(v4.address, v4.prefixLength),
            broadcast: broadcast(v4.address, v4.prefixLength),
          },
        }),
    ipv6: own
      .filter((one) => one.family === 'ipv6')
      .map((one) => ({ address: one.address, prefix: String(one.prefixLength), scope: one.scope })),
  };
}

function netmask(prefixLength: number): string {
  const bits = prefixLength === 0 ? 0 : (0xffffffff << (32 - prefixLength)) >>> 0;
  return dotted(bits);
}

function network(address: string, prefixLength: number): string {
  const mask = prefixLength === 0 ? 0 : (0xffffffff << (32 - prefixLength)) >>> 0;
  return dotted((bitsOf(address) & mask) >>> 0);
}

/** The last address of a network; empty, as Ansible has it, for the one host of a /32 and for the loopback. */
function broadcast(address: string, prefixLength: number): string {
  if (prefixLength === 32 || address.startsWith('127.')) return '';
  return dotted((bitsOf(address) | (0xffffffff >>> prefixLength)) >>> 0);
}

function bitsOf(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

function mtuFacts(facts: HostFacts, name: string): { readonly mtu?: number } {
  const mtu = facts.mtus.get(name);
  return mtu === undefined ? {} : { mtu };
}

function dotted(bits: number): string {
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.');
}

/** The clock of the host as its own people read it, but for what begins with `iso8601`: that is UTC. */
function dateFacts(facts: HostFacts): Record<string, unknown> {
  const iso = new Date(facts.clockS * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
  const [, sign = '+', hours = '0', minutes = '0'] = /^([+-])(\d\d)(\d\d)$/.exec(facts.timezoneOffset) ?? [];
  const aheadS = (Number(hours) * 60 + Number(minutes)) * (sign === '-' ? -60 : 60);
  const local = new Date((facts.clockS + aheadS) * 1000);
  const text = local.toISOString();
  return {
    epoch: String(facts.clockS),
    epoch_int: String(facts.clockS),
    iso8601: iso,
    iso8601_micro: iso.replace('Z', '.000000Z'),
    iso8601_basic: `${text.slice(0, 19).replace(/[-:]/g, '')}000000`,
    iso8601_basic_short: text.slice(0, 19).replace(/[-:]/g, ''),
    date: text.slice(0, 10),
    time: text.slice(11, 19),
    year: text.slice(0, 4),
    month: text.slice(5, 7),
    day: text.slice(8, 10),
    hour: text.slice(11, 13),
    minute: text.slice(14, 16),
    second: text.slice(17, 19),
    weekday: weekdays[local.getUTCDay()],
    weekday_number: String(local.getUTCDay()),
    tz: facts.timezone,
    tz_offset: facts.timezoneOffset,
  };
}

const weekdays = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

function commandLineFacts(line: string): Record<string, unknown> {
  return Object.fromEntries(
    line
      .split(/\s+/)
      .filter((word) => word !== '')
      .map((word) => {
        const equals = word.indexOf('=');
        return equals < 0 ? [word, true] : [word.slice(0, equals), word.slice(equals + 1)];
      }),
  );
}
