import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseHostFacts } from '../../src/facts/host.ts';
import { systemUpgrades } from '../../src/facts/system-upgrades.ts';
import { k3sSelinuxStep } from '../../src/steps/k3s-selinux.ts';
import { k3sTimeSyncStep } from '../../src/steps/k3s-time-sync.ts';
import { systemUpgradeStep } from '../../src/steps/system-upgrade.ts';
import { nodesOf } from '../k3s/inventory-of.ts';
import { StepNode } from './on-node.ts';

/** Packages with the real dnf, zypper and pacman, each on a node of its family with a small repository of its own. */

const families = ['rocky', 'opensuse', 'arch', 'alpine'] as const;
const nodes = new Map<string, StepNode>();

beforeAll(async () => {
  for (const family of families) nodes.set(family, await StepNode.start(family));
});
afterAll(async () => {
  await Promise.all([...nodes.values()].map((node) => node.stop()));
});

function on(family: string): StepNode {
  const node = nodes.get(family);
  if (node === undefined) throw new Error(family);
  return node;
}

/** Options that playbooks give in real life, as the package managers know them. */
const commonOptions = {
  dnf: {
    ...{ exclude: 'kernel*', disable_excludes: 'all', allowerasing: true, nobest: true, skip_broken: true },
    ...{ sslverify: false, releasever: '9', disable_plugin: 'none', install_weak_deps: false },
  },
  zypper: {
    ...{ disable_recommends: false, disable_gpg_check: true, oldpackage: true, force_resolution: true },
    ...{ allow_vendor_change: true, replacefiles: true },
  },
  pacman: { extra_args: '--noprogressbar' },
} as const;

const factsOf = async (node: StepNode) =>
  parseHostFacts({
    stdout: `===os\n${await node.says('cat /etc/os-release')}\n===uname\nx86_64\n`,
    stderr: '',
    code: 0,
  });

describe.each([
  ['rocky', 'dnf'],
  ['opensuse', 'zypper'],
  ['arch', 'pacman'],
] as const)('%s', (family, manager) => {
  test('installs and removes', async () => {
    const node = on(family);
    await node.lands('package', { name: ['chrony'] });
    await node.lands(manager, { name: 'chrony', state: 'absent' });
    await node.lands(manager, { name: 'chrony', ...commonOptions[manager] });
    await node.lands(manager, { name: 'chrony', state: 'absent' });
  });

  test('upgrades everything, and then nothing more', async () => {
    const node = on(family);
    const upgrades = async () => systemUpgrades.parse(await node.run(systemUpgrades.sh.text));
    const before = await upgrades();
    expect(before).toEqual({ manager, packages: ['tzdata'] });
    const host = (await nodesOf({ servers: ['s1'] }))('s1');
    const traces = { serverUninstaller: false, agentUninstaller: false, paths: [], folders: [] };
    const plan = systemUpgradeStep.plan({ upgrades: before, traces }, {}, host);
    expect(plan).toMatchObject({ verdict: 'change', actions: [{ kind: 'run' }, { kind: 'reboot' }] });
    if (plan.verdict === 'change') await node.perform(plan.actions.slice(0, 1));
    expect((await upgrades()).packages).toEqual([]);
  });
});

test('a version that is named, and the newest', async () => {
  await on('rocky').run('dnf -y -q remove tzdata');
  await on('rocky').lands('package', { name: ['tzdata=2024a'] });
  await on('rocky').lands('dnf', { name: '*', state: 'latest' });
  expect(await on('rocky').says('rpm -q tzdata')).toBe('tzdata-2025b-1.noarch');
});

test.each([
  ['rocky', 'dnf'],
  ['opensuse', 'zypper'],
] as const)(
  "SELinux' policy comes to %s with what it needs, and the repository goes again",
  async (family, manager) => {
    const node = on(family);
    // No kernel here has SELinux: what it would say is put in its place.
    const policy = { mode: 'enforcing' as const, installed: [] };
    const packages = {
      manager,
      installed: new Map<string, string>(),
      upgrades: new Map<string, string>(),
      listsAgeS: undefined,
    };
    const repositories = 'ls /etc/yum.repos.d /etc/zypp/repos.d 2>/dev/null; true';
    const before = await node.says(repositories);
    // The node's own repository must not be what it comes from.
    await node.run('cp -r /opt/fake-node/repositories/rpm /tmp/mirror');
    const plan = k3sSelinuxStep.plan(
      { policy, facts: await factsOf(node), packages },
      { repo_url: 'file:///tmp/mirror', repo_key: 'none' },
      (await nodesOf({ servers: ['s1'] }))('s1'),
    );
    expect(plan.verdict).toBe('change');
    if (plan.verdict === 'change') await node.perform(plan.actions);
    expect(await node.says("rpm -qa --qf '%{NAME}\\n' '*selinux*' | sort")).toBe(
      'container-selinux\nk3s-selinux\nselinux-policy',
    );
    expect(await node.says(repositories)).toBe(before);
  },
);

test("services run by OpenRC, under Alpine's init", async () => {
  const node = on('alpine');
  await node.lands('copy', {
    dest: '/etc/init.d/nap',
    mode: '0755',
    content:
      '#!/sbin/openrc-run\ncommand=/bin/sleep\ncommand_args=100000\ncommand_background=true\npidfile=/run/nap.pid\n',
  });
  const state =
    'rc-service nap status 2>&1 | grep -o "started\\|stopped"; rc-update show default | grep -c nap';
  await node.lands('openrc', { name: 'nap', state: 'started', enabled: true });
  expect(await node.says(state)).toBe('started\n1');
  expect(await node.plan('service', { name: 'nap', state: 'restarted' })).toMatchObject({ imperative: true });
  await node.lands('service', { name: 'nap', state: 'stopped', enabled: false });
  expect(await node.says(state)).toBe('stopped\n0');
});

test('a time service is installed and started', async () => {
  const node = on('opensuse');
  // What chronyd would be, on machines that own their clock.
  await node.run(
    "printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/bin/true\\n[Install]\\nWantedBy=multi-user.target\\n' >/lib/systemd/system/chronyd.service",
  );
  const plan = k3sTimeSyncStep.plan(
    {
      time: { active: [], installed: [], guest: false },
      packages: { manager: 'zypper', installed: new Map(), upgrades: new Map(), listsAgeS: undefined },
    },
    {},
    (await nodesOf({ servers: ['s1'] }))('s1'),
  );
  if (plan.verdict === 'change') await node.perform(plan.actions);
  expect(await node.says('rpm -q chrony; systemctl is-active chronyd; systemctl is-enabled chronyd')).toBe(
    'chrony-4.5-1.noarch\nactive\nenabled',
  );
});
