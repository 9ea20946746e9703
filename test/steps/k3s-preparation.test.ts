import { describe, expect, test } from 'vitest';
import type { Plan } from '../../src/engine/step.ts';
import { type HostFacts, parseHostFacts } from '../../src/facts/host.ts';
import type { KernelModuleState } from '../../src/facts/kernel-module.ts';
import type { PackageState } from '../../src/facts/package.ts';
import { systemUpgrades } from '../../src/facts/system-upgrades.ts';
import { policyRepository, selinuxTarget } from '../../src/k3s/selinux-source.ts';
import { readArguments } from '../../src/steps/arguments.ts';
import { withBlock } from '../../src/steps/k3s-hosts.ts';
import { packageWith } from '../../src/steps/k3s-kernel-packages.ts';
import { kubeletSwapPath } from '../../src/steps/k3s-kubelet-swap.ts';
import { stepNamed } from '../../src/steps/registry.ts';
import { actionsIn, nodesOf, scriptsIn } from '../k3s/inventory-of.ts';

/** Preparation by setting, on systems of many kinds. */

const said = (stdout: string) => ({ stdout, stderr: '', code: 0 });
const system = (os: string, kernel = '6.1.0'): HostFacts =>
  parseHostFacts(said(`===os\n${os}\n===uname\nx86_64\n${kernel}\n#1\nn\n===cgroup\n2\ncpu memory\n`));
const rocky10 = 'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="10.0"\nPRETTY_NAME="Rocky Linux 10.0"';
const oracle = 'ID="ol"\nID_LIKE="fedora"\nVERSION_ID="10.0"';
const ubuntu = 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="23.04"';
const leap = 'ID="opensuse-leap"\nID_LIKE="suse opensuse"\nVERSION_ID="15.6"';

const has = (manager: PackageState['manager'], ...installed: readonly string[]): PackageState => ({
  manager,
  installed: new Map(installed.map((name) => [name, '1'])),
  upgrades: new Map(),
  listsAgeS: 60,
});

async function decide(
  name: string,
  seen: Record<string, unknown>,
  written: unknown = {},
  vars: Record<string, unknown> = {},
): Promise<Plan<Record<string, unknown>>> {
  const step = stepNamed(name);
  if (step === undefined) throw new Error(name);
  const host = (await nodesOf({ servers: ['s1'], agents: ['a1'], vars }))('s1');
  return step.plan(seen, readArguments(step, written), host) as Plan<Record<string, unknown>>;
}

const me = { user: 'root', group: 'root', uid: 0, home: '/root' };
const folder = { type: 'directory', mode: '0755', owner: 'root', group: 'root' } as const;
const isFile = { type: 'file', mode: '0644', owner: 'root', group: 'root' } as const;
const parent = { self: folder, followed: folder };
const noFile = { file: { self: undefined, followed: undefined }, content: { sha256: undefined }, parent, me };
const file = (text: string) => ({
  file: { self: isFile, followed: isFile },
  content: { sha256: 'x', text },
  parent,
  me,
});

describe('packages of kernel modules', () => {
  test.each([
    [
      'RHEL 10',
      rocky10,
      '6.12.0-55.el10.x86_64',
      ['br_netfilter'],
      'kernel-modules-extra-6.12.0-55.el10.x86_64',
    ],
    [
      "Oracle's own kernel",
      oracle,
      '6.12.0-100.el10uek.x86_64',
      ['br_netfilter'],
      'kernel-uek-modules-extra-6.12.0-100.el10uek.x86_64',
    ],
    ['Ubuntu on a Pi', ubuntu, '6.2.0-1004-raspi', ['vxlan'], 'linux-modules-extra-6.2.0-1004-raspi'],
    ['Ubuntu elsewhere', ubuntu, '6.2.0-generic', ['vxlan'], undefined],
    ['nothing missing', rocky10, '6.12.0', [], undefined],
  ])('%s', (_name, os, kernel, missing, wanted) =>
    expect(packageWith(system(os, kernel), missing)).toBe(wanted),
  );

  test('installed for the running kernel only', async () => {
    const seen = (bridge: KernelModuleState, packages: PackageState) => ({
      facts: system(rocky10, '6.12.0'),
      bridge,
      vxlan: 'loaded',
      packages,
    });
    expect(actionsIn(await decide('k3s_kernel_packages', seen('missing', has('dnf'))))).toEqual([
      'install kernel-modules-extra-6.12.0',
    ]);
    expect((await decide('k3s_kernel_packages', seen('available', has('dnf')))).verdict).toBe('unchanged');
  });
});

describe('clock', () => {
  const time = (active: string[], installed: string[], guest = false) => ({ active, installed, guest });
  test.each([
    ['what runs is left alone', time(['ntpd'], ['ntpd']), has('dnf'), 'ntpd runs', []],
    ['a container', time([], [], true), has('apt'), 'its clock is set from outside', []],
    [
      'installed',
      time([], ['chronyd']),
      has('dnf'),
      'chronyd does not run',
      ['start chronyd, now and at boot'],
    ],
    [
      'nothing there',
      time([], []),
      has('dnf'),
      'no time service is installed',
      ['install chrony', 'start chronyd, now and at boot'],
    ],
  ])('%s', async (_name, seen, packages, because, actions) => {
    const plan = await decide('k3s_time_sync', { time: seen, packages });
    expect(plan.because).toBe(because);
    expect(actionsIn(plan)).toEqual(actions);
  });
});

describe("SELinux' policy", () => {
  const policy = (mode: string, installed: string[] = []) => ({ mode, installed });
  const seen = (mode: string, os: string, packages: PackageState, installed: string[] = []) => ({
    policy: policy(mode, installed),
    facts: system(os),
    packages,
  });
  test.each([
    ['off', seen('disabled', rocky10, has('dnf')), 'SELinux is off'],
    ['there', seen('enforcing', rocky10, has('dnf'), ['k3s-selinux']), "k3s' policy is installed"],
  ])('%s', async (_name, answers, because) => {
    expect(await decide('k3s_selinux', answers)).toMatchObject({ verdict: 'unchanged', because });
  });

  test('from a repository that is not left behind', async () => {
    const plan = await decide('k3s_selinux', seen('enforcing', rocky10, has('dnf')));
    expect(scriptsIn(plan)).toBe(`set -e
rpm --import https://rpm.rancher.io/public.key
dnf -y -q --repofrompath fleet-k3s,https://rpm.rancher.io/k3s/stable/common/centos/9/noarch --setopt=fleet-k3s.gpgcheck=1 install k3s-selinux`);
    const own = await decide('k3s_selinux', seen('permissive', leap, has('zypper')), {
      repo_url: 'https://mirror/k3s',
      repo_key: 'none',
    });
    expect(scriptsIn(own)).toContain("trap 'rm -f /etc/zypp/repos.d/fleet-k3s.repo' EXIT");
    expect(scriptsIn(own)).not.toContain('rpm --import');
  });

  test('Debian has no policy of k3s', async () => {
    expect(actionsIn(await decide('k3s_selinux', seen('enforcing', ubuntu, has('apt'))))).toEqual([
      'install policycoreutils',
    ]);
    expect(
      await decide('k3s_selinux', seen('enforcing', ubuntu, has('apt', 'policycoreutils'))),
    ).toMatchObject({ verdict: 'unchanged', warning: { code: 'SELINUX_POLICY_NONE' } });
  });

  test.each([
    [rocky10, 'centos/9'],
    ['ID=centos\nVERSION_ID="8"', 'centos/8'],
    ['ID=fedora\nVERSION_ID=42', 'centos/8'],
    [leap, 'microos'],
    ['ID="sle-micro"\nID_LIKE="suse"\nVERSION_ID="5.5"', 'slemicro'],
  ])('the repository of %j', (os, folderName) => {
    expect(policyRepository(selinuxTarget(system(os).os))).toBe(
      `https://rpm.rancher.io/k3s/stable/common/${folderName}/noarch`,
    );
  });
});

describe('names', () => {
  const hosts = '127.0.0.1 localhost\n127.0.1.1 s1\n';
  test('a block of its own, written once and taken back', () => {
    const rows = ['10.0.0.1 s1\n', '10.0.1.1 a1\n'];
    const once = withBlock(hosts, rows);
    expect(once).toBe(
      `${hosts}# Nodes of the k3s cluster, by fleet: begin\n10.0.0.1 s1\n10.0.1.1 a1\n# Nodes of the k3s cluster, by fleet: end\n`,
    );
    expect(withBlock(once, rows)).toBe(once);
    expect(withBlock(`${once}1.2.3.4 mine\n`, [])).toBe(`${hosts}1.2.3.4 mine\n`);
  });
  test('of the nodes that the inventory gives an address', async () => {
    const plan = await decide('k3s_hosts', file(hosts), {}, { hosts_entries: true });
    expect(plan).toMatchObject({ diff: [{ after: expect.stringContaining('10.0.1.1 a1\n') }] });
    expect((await decide('k3s_hosts', file(hosts))).verdict).toBe('unchanged');
    const block = withBlock(hosts, ['10.0.0.1 s1\n']);
    expect(await decide('k3s_hosts', file(block))).toMatchObject({ diff: [{ after: hosts }] });
  });
  test('a node keeps its name', async () => {
    const name = { inUse: 's1', onDisk: 's1', hasHostnamectl: true };
    const rename = (state: string, wanted: string, vars = {}) =>
      decide('k3s_host_name', { name, service: { state } }, { name: wanted }, vars);
    expect((await rename('absent', 'other')).verdict).toBe('change');
    expect((await rename('active', 's1')).verdict).toBe('unchanged');
    expect(await rename('active', 'other')).toMatchObject({
      because: 'it is the node s1 already; called other it would be another one',
    });
    expect((await rename('active', 'other', { server_config_yaml: 'node-name: s1\n' })).verdict).toBe(
      'change',
    );
  });
});

describe('pods that swap', () => {
  test('by a file of its own, with cgroup v2 only', async () => {
    const limited = { swap: 'limited' };
    const seen = { facts: system(ubuntu), ...noFile };
    expect(actionsIn(await decide('k3s_kubelet_swap', seen, {}, limited))).toEqual([
      `write ${kubeletSwapPath} (0644 root:root)`,
    ]);
    expect((await decide('k3s_kubelet_swap', seen)).verdict).toBe('unchanged');
    expect(actionsIn(await decide('k3s_kubelet_swap', { ...seen, ...file('x') }))).toEqual([
      `remove ${kubeletSwapPath}`,
    ]);
    const old = { ...seen, facts: { ...seen.facts, cgroupVersion: 1 } };
    expect((await decide('k3s_kubelet_swap', old, {}, limited)).verdict).toBe('refuse');
  });
});

describe('newest packages', () => {
  const traces = (paths: string[]) => ({
    serverUninstaller: false,
    agentUninstaller: false,
    paths,
    folders: [],
  });
  const upgrades = systemUpgrades.parse(said('dnf\nkernel\nopenssl\n'));
  test('and a reboot, before k3s is there', async () => {
    expect(actionsIn(await decide('system_upgrade', { upgrades, traces: traces([]) }))).toEqual([
      'upgrade 2 packages',
      'reboot',
    ]);
    const newest = { upgrades: systemUpgrades.parse(said('dnf\n')), traces: traces([]) };
    expect((await decide('system_upgrade', newest)).verdict).toBe('unchanged');
  });
  test('nodes wait for their turn', async () => {
    const seen = { upgrades, traces: traces(['/usr/local/bin/k3s']) };
    expect(await decide('system_upgrade', seen)).toMatchObject({
      verdict: 'unchanged',
      warning: { message: '2 packages could be upgraded (kernel, openssl)' },
    });
    expect((await decide('system_upgrade', seen, { nodes: true })).verdict).toBe('change');
  });
});
