import { describe, expect, test } from 'vitest';
import type { Plan } from '../../src/engine/step.ts';
import { parseCgroupBoot } from '../../src/facts/cgroup-boot.ts';
import type { PackageState } from '../../src/facts/package.ts';
import { parseSudoPath } from '../../src/facts/sudo-path.ts';
import type { SwapState } from '../../src/facts/swap.ts';
import { readArguments } from '../../src/steps/arguments.ts';
import { withFlags } from '../../src/steps/k3s-cgroups.ts';
import { stepNamed } from '../../src/steps/registry.ts';
import { hostView } from './here.ts';

/** What prereq.yml asks of hosts, on what many systems answered. */

const said = (stdout: string) => ({ stdout, stderr: '', code: 0 });
const me = { user: 'root', group: 'root', uid: 0, home: '/root' };
const folder = { type: 'directory', mode: '0755', owner: 'root', group: 'root' } as const;
const isFile = { type: 'file', mode: '0644', owner: 'root', group: 'root' } as const;
const parent = { self: folder, followed: folder };
const nothing = { self: undefined, followed: undefined };
const present = { self: isFile, followed: isFile };

function decide(
  name: string,
  seen: Record<string, unknown>,
  written: unknown = {},
): Plan<Record<string, unknown>> {
  const step = stepNamed(name);
  if (step === undefined) throw new Error(name);
  return step.plan(seen, readArguments(step, written), hostView()) as Plan<Record<string, unknown>>;
}

function what(plan: Plan<Record<string, unknown>>): readonly string[] {
  if (plan.verdict !== 'change') return [`${plan.verdict}: ${plan.because}`];
  return plan.actions.map((action) =>
    action.kind === 'run' ? action.what : `${action.kind}${'path' in action ? ` ${action.path}` : ''}`,
  );
}

describe('memory cgroups', () => {
  const pi = (file: string, line: string) => `no\nRaspberry Pi 4 Model B Rev 1.4\n=file ${file}\n${line}\n`;
  const line = 'console=serial0,115200 root=PARTUUID=1-02 rootwait cgroup_disable=memory';
  const wanted =
    'console=serial0,115200 root=PARTUUID=1-02 rootwait cgroup_enable=cpuset cgroup_memory=1 cgroup_enable=memory';

  test('the flags are there once', () => {
    expect(withFlags(line)).toBe(wanted);
    expect(withFlags(wanted)).toBe(wanted);
  });

  test.each([
    ['a server', 'yes\n\n', 'unchanged', undefined],
    [
      'a Pi that has it',
      'yes\nRaspberry Pi 5 Model B Rev 1.0\n=file /boot/firmware/cmdline.txt\nquiet\n',
      'unchanged',
      undefined,
    ],
    [
      'bookworm',
      pi('/boot/firmware/cmdline.txt', line),
      'refuse',
      `one line of /boot/firmware/cmdline.txt and reboot: ${wanted}`,
    ],
    [
      'bullseye',
      pi('/boot/cmdline.txt', line),
      'refuse',
      `one line of /boot/cmdline.txt and reboot: ${wanted}`,
    ],
    ['edited, not rebooted', pi('/boot/cmdline.txt', wanted), 'refuse', 'Reboot the host'],
    ['Arch on a Pi', 'no\nRaspberry Pi 4 Model B\n=uboot /boot/boot.txt\n', 'refuse', 'run mkscr'],
    ['another board', 'no\nRadxa ROCK 3A\n', 'refuse', 'in the settings of its boot loader'],
  ])('%s', (_name, answer, verdict, fix) => {
    const plan = decide('k3s_cgroups', { boot: parseCgroupBoot(said(answer)) });
    expect(plan.verdict, plan.because).toBe(verdict);
    if (fix !== undefined) expect(plan).toHaveProperty('fix', expect.stringContaining(fix));
  });

  test('edited once and rebooted where that is allowed', () => {
    const boot = parseCgroupBoot(said(pi('/boot/firmware/cmdline.txt', line)));
    const plan = decide('k3s_cgroups', { boot }, { allow_reboot: true });
    expect(what(plan)).toEqual(['write /boot/firmware/cmdline.txt', 'reboot']);
    expect(plan).toMatchObject({ diff: [{ before: `${line}\n`, after: `${wanted}\n` }] });
    const edited = parseCgroupBoot(said(pi('/boot/firmware/cmdline.txt', wanted)));
    expect(what(decide('k3s_cgroups', { boot: edited }, { allow_reboot: true }))).toEqual(['reboot']);
  });
});

describe('AppArmor', () => {
  const has = (manager: string | undefined, installed: string[] = []): PackageState => ({
    manager: manager as PackageState['manager'],
    installed: new Map(installed.map((name) => [name, '1'])),
    upgrades: new Map(),
    listsAgeS: 60,
  });
  test.each([
    [
      'off',
      { enabled: false, parser: false },
      has('apt'),
      ['unchanged: AppArmor is off, or not for this host to rule'],
    ],
    [
      'with its parser',
      { enabled: true, parser: true },
      has('apt', ['apparmor']),
      ['unchanged: AppArmor has its parser'],
    ],
    ['Debian 11', { enabled: true, parser: false }, has('apt'), ['install apparmor']],
    ['SLES 15', { enabled: true, parser: false }, has('zypper'), ['install apparmor-parser']],
    [
      'no package for it',
      { enabled: true, parser: false },
      has('dnf'),
      ['refuse: the kernel has AppArmor on, but apparmor_parser is missing'],
    ],
    [
      'installed, gone',
      { enabled: true, parser: false },
      has('apt', ['apparmor']),
      ['refuse: apparmor is installed, but apparmor_parser is missing'],
    ],
  ])('%s', (_name, appArmor, packages, wanted) => {
    expect(what(decide('k3s_apparmor', { appArmor, packages }))).toEqual(wanted);
  });
});

describe("sudo's path", () => {
  const rocky = '@includedir /etc/sudoers.d\nDefaults    secure_path = /sbin:/bin:/usr/sbin:/usr/bin\n';
  const plan = (stdout: string, more: Record<string, unknown> = {}, written: unknown = {}) =>
    decide(
      'k3s_sudo_path',
      { path: parseSudoPath(stdout), file: nothing, content: { sha256: undefined }, parent, me, ...more },
      written,
    );
  const file = { file: present, content: { sha256: 'x', text: '# Written by fleet\n' } };

  test.each([
    ['Rocky', rocky, ['write /etc/sudoers.d/zz-fleet-k3s']],
    [
      'Debian',
      'Defaults\tsecure_path="/usr/local/sbin:/usr/local/bin:/usr/bin"\n@includedir /etc/sudoers.d\n',
      ["unchanged: sudo's path is left as it is"],
    ],
    ['none set', '@includedir /etc/sudoers.d\n', ['unchanged: sudo keeps the PATH of who calls it']],
    [
      'the last one counts',
      `${rocky}Defaults secure_path = /usr/local/bin:/bin\n`,
      ["unchanged: sudo's path is left as it is"],
    ],
    [
      'a folder that is not read',
      'Defaults secure_path = /bin\n',
      ["refuse: sudo's secure_path lacks /usr/local/bin, and /etc/sudoers includes no /etc/sudoers.d"],
    ],
  ])('%s', (_name, stdout, wanted) => expect(what(plan(stdout))).toEqual(wanted));

  test('written whole, checked by visudo, and taken back', () => {
    const change = plan(rocky);
    const [action] = change.verdict === 'change' ? change.actions : [];
    expect(action).toMatchObject({
      mode: '0440',
      content: expect.stringContaining(
        'Defaults secure_path = /sbin:/bin:/usr/sbin:/usr/bin:/usr/local/bin\n',
      ),
    });
    expect(action?.kind === 'write' ? action.validate?.('/tmp/x').text : '').toBe('visudo -cf /tmp/x');
    expect(what(plan(rocky, file, { state: 'absent' }))).toEqual(['remove /etc/sudoers.d/zz-fleet-k3s']);
    expect(plan(rocky, {}, { state: 'absent' }).verdict).toBe('unchanged');
  });
});

describe('swap', () => {
  const fstab = '/dev/sda1 / ext4 defaults 0 1\n/swapfile none swap sw 0 0\n';
  const off = fstab.replace('/swapfile', '# swap is off (fleet): /swapfile');
  const none: SwapState = { inUse: [], inFstab: [], units: [], masked: [] };
  const plan = (swap: Partial<SwapState>, text: string, state: string) =>
    decide(
      'swap',
      {
        swap: { ...none, ...swap },
        file: present,
        content: { sha256: 'x', text },
        parent,
        me,
        swapFile: nothing,
      },
      { state },
    );
  const busy = {
    inUse: [{ path: '/dev/zram0', sizeKiB: 1 }],
    inFstab: ['/swapfile none swap sw 0 0'],
    units: ['dev-zram0.swap', 'zramswap.service'],
  };

  test.each([
    ['nothing there', {}, '', 'off', ['unchanged: no swap is in use and none is configured']],
    [
      'everything at once',
      busy,
      fstab,
      'off',
      ['swapoff -a', 'write /etc/fstab', 'mask dev-zram0.swap zramswap.service'],
    ],
    ['kept', busy, fstab, 'keep', ['unchanged: swap stays as it is: keep']],
    ['limited', busy, fstab, 'limited', ['unchanged: swap stays as it is: limited']],
    [
      'restored',
      { masked: ['dev-zram0.swap'] },
      off,
      'restored',
      [
        'write /etc/fstab',
        'unmask dev-zram0.swap',
        'remove /var/lib/fleet/swap-masked',
        'swapon -a',
        'remove /var/lib/fleet where it is empty',
      ],
    ],
    ['nothing to restore', {}, fstab, 'restored', ['unchanged: fleet has switched no swap off']],
  ] as const)('%s', (_name, swap, text, state, wanted) => {
    expect(what(plan(swap, text, state))).toEqual(wanted);
  });

  test('what off did is exactly taken back', () => {
    const change = plan({ masked: ['dev-zram0.swap'] }, off, 'restored');
    expect(change).toMatchObject({ diff: [{ subject: '/etc/fstab', before: off, after: fstab }] });
  });
});

describe('kernel', () => {
  const site = { file: nothing, content: { sha256: undefined }, parent, me };
  test('a parameter that the kernel does not have is left out where that is asked', () => {
    const args = { name: 'net.bridge.bridge-nf-call-iptables', value: '1', if_present: true };
    expect(decide('sysctl', { inUse: undefined, ...site }, args).verdict).toBe('unchanged');
    expect(decide('sysctl', { inUse: '0', ...site }, args).verdict).toBe('change');
    expect(decide('sysctl', { inUse: undefined, ...site }, { ...args, if_present: false }).verdict).toBe(
      'refuse',
    );
  });

  test('a module is loaded at boot by a file of its own name', () => {
    const args = { name: 'overlay', load_file: '/etc/modules-load.d/fleet-k3s-overlay.conf' };
    expect(what(decide('kernel_module', { module: 'loaded', ...site }, args))).toEqual([
      'write /etc/modules-load.d/fleet-k3s-overlay.conf',
    ]);
    expect(decide('kernel_module', { module: 'built-in', ...site }, args).verdict).toBe('unchanged');
  });
});
