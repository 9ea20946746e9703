import { describe, expect, test } from 'vitest';
import type { Plan } from '../../src/engine/step.ts';
import { parseUser, type User } from '../../src/facts/account.ts';
import { type FileStat, type FileState, sha256Of } from '../../src/facts/file.ts';
import type { PackageManager, PackageState } from '../../src/facts/package.ts';
import { parseSelinux } from '../../src/facts/selinux.ts';
import { readArguments } from '../../src/steps/arguments.ts';
import { stepNamed } from '../../src/steps/registry.ts';
import { hostView } from './here.ts';

/** What steps of every playbook decide, from what was seen: no host takes part. */

function decide(name: string, seen: Record<string, unknown>, written: unknown): Plan<never> {
  const step = stepNamed(name);
  if (step === undefined) throw new Error(name);
  return step.plan(seen, readArguments(step, written), hostView()) as Plan<never>;
}

/** Every script of a plan, and the content of what it writes. */
function does(plan: Plan<never>): string {
  if (plan.verdict !== 'change') return `${plan.verdict}: ${plan.because}`;
  return plan.actions
    .map((action) => {
      if (action.kind === 'run') return action.script.text;
      if (action.kind === 'write') return `${action.path}: ${String(action.content)}`;
      return 'path' in action ? `${action.kind} ${action.path}` : action.kind;
    })
    .join('\n');
}

const stat = (more: Partial<FileStat> = {}): FileStat => ({
  type: 'file',
  mode: '0644',
  owner: 'root',
  group: 'root',
  ...more,
});
const found = (more: Partial<FileStat> = {}): FileState => ({ self: stat(more), followed: stat(more) });
const nothing: FileState = { self: undefined, followed: undefined };
const me = { user: 'root', group: 'root', uid: 0, gid: 0 };
const folder = found({ type: 'directory', mode: '0755' });
/** A file with a text, as the questions of a step that lands one see it. */
const holding = (text: string) => ({
  file: found(),
  content: { sha256: sha256Of(text), text },
  parent: folder,
  me,
});

describe('cron', () => {
  const there = '#Ansible: snapshot\n0 3 * * * k3s etcd-snapshot save\n';
  const rows: [string, string | undefined, Record<string, unknown>, string][] = [
    ['is there', there, { minute: 0, hour: 3, job: 'k3s etcd-snapshot save' }, 'unchanged'],
    ['at another hour', there, { minute: 0, hour: 4, job: 'k3s etcd-snapshot save' }, '0 4 * * * k3s'],
    ['with a name for its time', there, { special_time: 'daily', job: 'x' }, '@daily x'],
    ['switched off', there, { minute: 0, hour: 3, job: 'x', disabled: true }, '#0 3 * * * x'],
    ['behind others', 'MAILTO=x\n', { job: 'x' }, 'MAILTO=x\n#Ansible: snapshot\n* * * * * x'],
    ['to go', there, { state: 'absent' }, "printf %s ''"],
    ['gone', 'MAILTO=x\n', { state: 'absent' }, 'unchanged'],
    ['without a command', there, {}, 'refuse: job is missing'],
    ['where there is no cron', undefined, { job: 'x' }, 'refuse: the host has no cron'],
    ['gone where there is no cron', undefined, { state: 'absent' }, 'unchanged'],
  ];
  test.each(rows)('a job %s', (_what, crontab, args, expected) => {
    expect(does(decide('cron', { crontab }, { name: 'snapshot', ...args }))).toContain(expected);
  });

  test('a variable stands before the jobs; a file in /etc/cron.d names the user', () => {
    const env = { name: 'PATH', env: true, job: '/opt/bin' };
    expect(does(decide('cron', { crontab: there }, env))).toContain(`PATH="/opt/bin"\n#Ansible`);
    const file = { name: 'x', job: 'true', cron_file: 'fleet', user: 'ops' };
    expect(does(decide('cron', { ...holding(''), file: nothing }, file))).toBe(
      '/etc/cron.d/fleet: #Ansible: x\n* * * * * ops true\n',
    );
  });
});

describe('mount', () => {
  const line = '/dev/vdb /data ext4 noatime 0 0\n';
  const mounted = [{ source: '/dev/vdb', target: '/data', type: 'ext4', options: ['noatime'] }];
  const seen = (fstab: string, mounts: unknown = [], point: FileState = folder) => ({
    ...holding(fstab),
    mounts,
    point,
  });
  const wanted = { path: '/data', src: '/dev/vdb', fstype: 'ext4', opts: 'noatime' };
  const rows: [string, ReturnType<typeof seen>, Record<string, unknown>, string, string?][] = [
    ['is there', seen(line, mounted), { ...wanted, state: 'mounted' }, 'unchanged'],
    [
      'written with tabs',
      seen('/dev/vdb\t/data\text4\tnoatime\n', mounted),
      { ...wanted, state: 'mounted' },
      'unchanged',
    ],
    ['only in fstab', seen(line), { ...wanted, state: 'mounted' }, 'mount -- /data', '/etc/fstab:'],
    ['nowhere', seen(''), { ...wanted, state: 'mounted' }, `/etc/fstab: ${line}`],
    ['with other options', seen(line, mounted), { ...wanted, opts: 'ro', state: 'mounted' }, 'remount'],
    ['for the next boot', seen(''), { ...wanted, state: 'present' }, '/etc/fstab:', 'mount --'],
    ['not for the next boot', seen(''), { ...wanted, boot: false, state: 'present' }, 'noatime,noauto'],
    ['until the next boot', seen(''), { ...wanted, state: 'ephemeral' }, 'mount -t ext4', '/etc/fstab:'],
    [
      'to be unmounted',
      seen(line, mounted),
      { path: '/data', state: 'unmounted' },
      'umount -- /data',
      '/etc/fstab:',
    ],
    ['to go', seen(line, mounted), { path: '/data', state: 'absent' }, 'rmdir -- /data'],
    [
      'to go from fstab',
      seen(line, mounted),
      { path: '/data', state: 'absent_from_fstab' },
      '/etc/fstab: ',
      'umount',
    ],
    ['gone', seen('', [], nothing), { path: '/data', state: 'absent' }, 'unchanged'],
    ['without a device', seen(''), { path: '/data', state: 'mounted' }, 'refuse: src and fstype'],
    ['to be mounted anew', seen(line), { path: '/data', state: 'remounted' }, 'refuse: /data is not mounted'],
  ];
  test.each(rows)('%s', (_what, before, args, expected, never) => {
    const done = does(decide('mount', before, args));
    expect(done).toContain(expected);
    if (never !== undefined) expect(done).not.toContain(never);
  });
});

describe('authorized_key', () => {
  const key = 'ssh-ed25519 AAAAC3Nz a@b';
  const other = 'ssh-rsa AAAAB3Nz c@d';
  const keys = (text: string, exists = true) => ({
    keys: { home: '/home/ops', group: 'ops', text, exists, mode: '0600', owner: 'ops' },
  });
  const rows: [string, ReturnType<typeof keys>, Record<string, unknown>, string][] = [
    ['is there', keys(`${other}\n${key}\n`), { key }, 'unchanged'],
    ['is there with another comment', keys('ssh-ed25519 AAAAC3Nz x\n'), { key }, `: ${key}\n`],
    ['beside another', keys(`${other}\n`), { key }, `: ${other}\n${key}\n`],
    ['in place of all others', keys(`${other}\n${key}\n`), { key, exclusive: true }, `: ${key}\n`],
    ['to go', keys(`${other}\n${key}\n`), { key, state: 'absent' }, `: ${other}\n`],
    ['with options', keys(''), { key, key_options: 'no-pty' }, `: no-pty ${key}\n`],
    ['where no file is yet', keys('', false), { key }, 'mkdir -m 0700 -- /home/ops/.ssh'],
    ['that is an address', keys(''), { key: 'https://example.org/ops.keys' }, 'refuse: key is an address'],
    ['that is none', keys(''), { key: 'secret' }, 'refuse: secret is no public key'],
  ];
  test.each(rows)('a key %s', (_what, seen, args, expected) => {
    expect(does(decide('authorized_key', seen, { user: 'ops', ...args }))).toContain(expected);
  });
});

describe('selinux', () => {
  const host = (enforce: string, config: string) => ({
    ...holding(config),
    selinux: parseSelinux(`${enforce}\n${config}`),
  });
  const targeted = 'SELINUX=enforcing\nSELINUXTYPE=targeted\n';
  const rows: [string, ReturnType<typeof host>, Record<string, unknown>, string][] = [
    ['enforcing as wanted', host('1', targeted), { state: 'enforcing', policy: 'targeted' }, 'unchanged'],
    ['made permissive', host('1', targeted), { state: 'permissive' }, 'setenforce 0'],
    ['made enforcing', host('0', targeted), { state: 'enforcing' }, 'setenforce 1'],
    ['disabled at the next boot', host('1', targeted), { state: 'disabled' }, 'SELINUX=disabled'],
    ['of another policy', host('1', targeted), { state: 'enforcing', policy: 'mls' }, 'SELINUXTYPE=mls'],
    ['asked about', host('0', targeted), {}, 'unchanged: SELinux is permissive'],
  ];
  test.each(rows)('%s', (_what, seen, args, expected) => {
    expect(does(decide('selinux', seen, args))).toContain(expected);
  });

  test('where there is none it can only stay away', () => {
    const none = { ...host('off', ''), content: { sha256: undefined } };
    expect(decide('selinux', none, { state: 'disabled' }).verdict).toBe('unchanged');
    expect(decide('selinux', none, { state: 'enforcing' }).verdict).toBe('refuse');
  });

  test('that needs a reboot says so', () => {
    expect(decide('selinux', host('off', targeted), { state: 'enforcing' })).toMatchObject({
      verdict: 'unchanged',
      result: { reboot_required: true },
    });
  });
});

describe('host name, time zone, rules of nftables', () => {
  const name = (inUse: string, onDisk: string, hasHostnamectl = true) => ({
    name: { inUse, onDisk, hasHostnamectl },
  });
  test.each([
    ['as wanted', name('n1', 'n1'), 'n1', 'unchanged'],
    ['another', name('n2', 'n2'), 'n1', 'hostnamectl set-hostname n1'],
    ['another only after a reboot', name('n1', 'n2'), 'n1', 'hostnamectl'],
    ['without systemd', name('n2', 'n2', false), 'n1', '/etc/hostname'],
    ['none that can be', name('n2', 'n2'), 'no_name', 'refuse: no_name is no host name'],
  ] as const)('a name %s', (_what, seen, wanted, expected) => {
    expect(does(decide('hostname', seen, wanted))).toContain(expected);
  });

  test.each([
    ['as wanted', { name: 'Etc/UTC', noted: 'Etc/UTC', known: true }, 'unchanged'],
    ['another', { name: 'Europe/Berlin', noted: undefined, known: true }, '/usr/share/zoneinfo/Etc/UTC'],
    ['noted wrongly', { name: 'Etc/UTC', noted: 'Europe/Berlin', known: true }, '/etc/timezone'],
    ['that the host does not know', { name: 'x', noted: 'x', known: false }, 'refuse'],
  ])('a zone %s', (_what, zone, expected) => {
    expect(does(decide('timezone', { zone }, 'Etc/UTC'))).toContain(expected);
  });

  const rules = 'table inet filter {\n}\n';
  test.each([
    ['as wanted and loaded', 'table inet filter {\n}', rules, 'unchanged'],
    ['flushed by hand', '', rules, 'nft -f /etc/nftables.conf'],
    ['that differ', 'table inet filter {\n}', 'flush ruleset\n', 'write /etc/nftables.conf'],
  ])('rules %s', (_what, live, file, expected) => {
    const plan = decide(
      'nftables',
      { ...holding(file), rules: live },
      { content: rules, table: 'inet filter' },
    );
    expect(plan.verdict === 'change' ? `write ${does(plan)}` : does(plan)).toContain(expected);
  });

  test('no rules where there is no nft', () => {
    expect(decide('nftables', { ...holding(''), rules: undefined }, { content: rules }).verdict).toBe(
      'refuse',
    );
  });
});

describe('unarchive', () => {
  const base = { dest: folder, note: { sha256: undefined } };
  const local = { kind: 'file', path: '/play/a.tgz', sha256: 'abc', sizeBytes: 1, mode: '0644' };
  test('of the control node is sent, unpacked and noted; the next time it is known', () => {
    const args = { src: 'a.tgz', dest: '/opt' };
    const plan = decide('unarchive', { ...base, source: local }, args);
    expect(does(plan)).toMatch(/upload .*\.archive\n[\s\S]*tar -x \$z[\s\S]*remove .*\.archive\n[\s\S]*abc/);
    expect(decide('unarchive', { ...base, note: { text: 'abc\n' }, source: local }, args).verdict).toBe(
      'unchanged',
    );
    expect(decide('unarchive', { ...base, note: { text: 'old\n' }, source: local }, args).verdict).toBe(
      'change',
    );
  });

  test('of the host is not sent; of an address it is fetched by the host, once', () => {
    const remote = decide(
      'unarchive',
      { ...base, remote: { sha256: 'abc' } },
      { src: '/a.zip', dest: '/opt', remote_src: true },
    );
    expect(does(remote)).toContain('unzip');
    expect(does(remote)).not.toContain('upload');
    const address = { src: 'https://example.org/a.tgz', dest: '/opt', remote_src: true };
    expect(does(decide('unarchive', base, address))).toMatch(/curl[\s\S]*tar -x/);
    const note = { text: 'https://example.org/a.tgz\n' };
    expect(decide('unarchive', { ...base, note }, address).verdict).toBe('unchanged');
    expect(decide('unarchive', base, { ...address, remote_src: false }).verdict).toBe('refuse');
    expect(
      decide('unarchive', { ...base, creates: found() }, { ...address, creates: '/opt/a' }).verdict,
    ).toBe('unchanged');
    expect(decide('unarchive', { ...base, dest: nothing }, address).verdict).toBe('refuse');
  });

  test('of an address is checked before it is unpacked; without a checksum that is said', () => {
    const address = { src: 'https://example.org/a.tgz?x=1', dest: '/opt', remote_src: true };
    const warningOf = (plan: ReturnType<typeof decide>) =>
      plan.verdict === 'change' ? plan.warning?.code : plan.verdict;
    expect(warningOf(decide('unarchive', base, address))).toBe('DOWNLOAD_UNVERIFIED');

    const sum = { ...address, checksum: 'sha256:ABC1' };
    const checked = decide('unarchive', base, sum);
    expect(warningOf(checked)).toBeUndefined();
    expect(does(checked)).toMatch(/curl[\s\S]*sha256sum[\s\S]*abc1[\s\S]*tar -x/);
    expect(decide('unarchive', { ...base, note: { text: 'sha256:abc1\n' } }, sum).verdict).toBe('unchanged');
    expect(decide('unarchive', { ...base, note: { text: 'sha256:abc0\n' } }, sum).verdict).toBe('change');

    const listed = { ...address, checksum: 'sha256:https://example.org/sums' };
    expect(does(decide('unarchive', { ...base, published: 'abc2' }, listed))).toContain('abc2');
    expect(decide('unarchive', base, listed)).toMatchObject({
      verdict: 'refuse',
      because: 'the list at https://example.org/sums gives no sum for a.tgz',
    });
    expect(decide('unarchive', base, { ...address, checksum: 'abc' }).verdict).toBe('refuse');
    expect(decide('unarchive', base, { src: 'a.tgz', dest: '/opt', checksum: 'sha256:abc' }).verdict).toBe(
      'refuse',
    );
  });
});

describe('fetch and slurp', () => {
  const seen = { source: found({ sizeBytes: 20_000_000 }), digest: { sha256: 'abc' } };
  test.each([
    ['is not here yet', { kind: 'missing', searched: [] }, 'change'],
    ['is here', { kind: 'file', sha256: 'abc' }, 'unchanged'],
    ['differs', { kind: 'file', sha256: 'def' }, 'change'],
    ['would replace a folder', { kind: 'directory' }, 'refuse'],
  ])('a file that %s', (_what, target, verdict) => {
    expect(decide('fetch', { ...seen, target }, { src: '/a', dest: '/x', flat: true }).verdict).toBe(verdict);
  });

  test('a file that is not there, and a folder', () => {
    const target = { kind: 'missing', searched: [] };
    const none = { source: nothing, digest: { sha256: undefined }, target };
    expect(decide('fetch', none, { src: '/a', dest: '/x' }).verdict).toBe('refuse');
    expect(decide('fetch', none, { src: '/a', dest: '/x', fail_on_missing: false }).verdict).toBe(
      'unchanged',
    );
    expect(decide('fetch', { ...none, source: folder }, { src: '/a', dest: '/x' }).verdict).toBe('refuse');
  });

  test('slurp holds 10 MiB and says what to do with more', () => {
    const bytes = Buffer.from('text');
    expect(decide('slurp', { source: { kind: 'file', bytes, sha256: '' } }, { src: '/a' })).toMatchObject({
      result: { content: 'dGV4dA==', encoding: 'base64' },
    });
    expect(decide('slurp', { source: { kind: 'too-large' } }, { src: '/a' })).toMatchObject({
      verdict: 'refuse',
      because: expect.stringContaining('10 MiB'),
      fix: expect.stringContaining('fetch'),
    });
    expect(decide('slurp', { source: { kind: 'missing' } }, { src: '/a' }).verdict).toBe('refuse');
  });
});

describe('find', () => {
  const file = (path: string, ageS: number, sizeBytes: number) => ({
    ...stat({ sizeBytes, modifiedAtS: 1_000_000 - ageS, accessedAtS: 0, changedAtS: 0 }),
    path,
  });
  const seen = {
    found: {
      clockS: 1_000_000,
      files: [file('/l/a.log', 90_000, 10), file('/l/b.gz', 10, 2000), file('/l/.c.log', 10, 10)],
    },
  };
  test.each([
    [{ patterns: '*.log' }, ['/l/a.log']],
    [{ patterns: '*.log', hidden: true }, ['/l/a.log', '/l/.c.log']],
    [{ patterns: '^[ab]', use_regex: true }, ['/l/a.log', '/l/b.gz']],
    [{ excludes: '*.gz' }, ['/l/a.log']],
    [{ age: '1d' }, ['/l/a.log']],
    [{ age: '-1d' }, ['/l/b.gz']],
    [{ size: '1k' }, ['/l/b.gz']],
    [{ size: '-1k' }, ['/l/a.log']],
  ])('%j', (args, paths) => {
    const plan = decide('find', seen, { paths: '/l', ...args });
    const result = (plan as { result?: { files: { path: string }[] } }).result;
    expect(result?.files.map((one) => one.path)).toEqual(paths);
  });
});

describe('file that is touched', () => {
  const seen = { file: found(), me };
  const touch = { path: '/f', state: 'touch' };
  const both = { ...touch, access_time: 'preserve', modification_time: 'preserve' };
  test('has new times, but for those that stay', () => {
    expect(does(decide('file', seen, touch))).toContain('touch  -- /f');
    expect(does(decide('file', seen, { ...touch, access_time: 'preserve' }))).toContain('touch -m -- /f');
    expect(does(decide('file', seen, { ...touch, modification_time: 'preserve' }))).toContain(
      'touch -a -- /f',
    );
  });

  test('with both preserved is made where it is missing, and else only mended', () => {
    expect(decide('file', seen, both).verdict).toBe('unchanged');
    expect(does(decide('file', seen, { ...both, mode: '0600' }))).toContain('chmod 0600');
    expect(does(decide('file', { ...seen, file: nothing }, both))).toBe('/f: ');
  });
});

describe('user', () => {
  const line = 'ops:x:1000:1000:Ops:/home/ops:/bin/bash\nops\nops sudo\nopen\n-\n';
  const known = (aging: string): { user: User | undefined } => ({
    user: parseUser({ stdout: `${line}${aging}`, stderr: '', code: 0 }),
  });
  const key = (exists: boolean) => ({
    key: {
      file: '/home/ops/.ssh/id_ed25519',
      exists,
      publicKey: 'ssh-ed25519 AAAA x',
      fingerprint: '256 SHA256:x',
    },
  });
  const rows: [string, Record<string, unknown>, Record<string, unknown>, string][] = [
    [
      'has passwords that last as wanted',
      known('1:90:'),
      { password_expire_max: 90, password_expire_min: 1 },
      'unchanged',
    ],
    ['has passwords that last too long', known('0:99999:'), { password_expire_max: 90 }, 'chage -M 90 ops'],
    ['ends on a day', known('0:99999:'), { expires: 1_735_689_600 }, 'chage -E 20089 ops'],
    ['ends on that day already', known('0:99999:20089'), { expires: 1_735_689_600.5 }, 'unchanged'],
    ['ends no more', known('0:99999:20089'), { expires: -1 }, 'chage -E -1 ops'],
    ['never ended', known('0:99999:'), { expires: -1 }, 'unchanged'],
    [
      'has a key',
      { ...known(''), ...key(true) },
      { generate_ssh_key: true, ssh_key_type: 'ed25519' },
      'unchanged',
    ],
    [
      'has no key',
      { ...known(''), ...key(false) },
      { generate_ssh_key: true, ssh_key_type: 'ed25519' },
      'ssh-keygen -q -t ed25519',
    ],
    ['is new, with a key', { user: undefined, ...key(false) }, { generate_ssh_key: true }, 'useradd'],
    [
      'is new, with a home of its own kind',
      { user: undefined },
      { skeleton: '/etc/skel2', umask: '0077' },
      '-k /etc/skel2 -K UMASK=0077',
    ],
  ];
  test.each(rows)('that %s', (_what, seen, args, expected) => {
    expect(does(decide('user', seen, { name: 'ops', ...args }))).toContain(expected);
  });

  test('shows the key that is there, and the one that is made; a passphrase is in no argument', () => {
    const args = { name: 'ops', generate_ssh_key: true, ssh_key_passphrase: 'pass phrase' };
    expect(decide('user', { ...known(''), ...key(true) }, args)).toMatchObject({
      result: { ssh_public_key: 'ssh-ed25519 AAAA x', ssh_key_file: '/home/ops/.ssh/id_ed25519' },
    });
    const plan = decide('user', { ...known(''), ...key(false) }, args);
    expect(does(plan)).toContain("printf '%s\\n' 'pass phrase' | su -s /bin/sh ops -c ");
    const said = { stdout: 'ssh_key_file=/f\nssh-rsa AAAA x\n3072 SHA256:x\n', stderr: '', code: 0 };
    expect(plan.verdict === 'change' && plan.result?.([said])).toMatchObject({
      ssh_public_key: 'ssh-rsa AAAA x',
      ssh_fingerprint: '3072 SHA256:x',
    });
  });
});

describe('packages', () => {
  const has = (
    manager: PackageManager,
    installed: Record<string, string> = {},
    more: Record<string, unknown> = {},
  ): { packages: PackageState } => ({
    packages: { manager, installed: new Map(Object.entries(installed)), upgrades: new Map(), listsAgeS: 60 },
    ...more,
  });
  const rows: [string, string, Record<string, unknown>, Record<string, unknown>, string][] = [
    [
      'a held package',
      'apt',
      has('apt'),
      { name: 'x', allow_change_held_packages: true },
      '--allow-change-held-packages',
    ],
    ['nothing to be removed', 'apt', has('apt'), { name: 'x', fail_on_autoremove: true }, '--no-remove'],
    ['kept downloads', 'apt', has('apt', {}, { archives: 3 }), { clean: true }, 'apt-get clean'],
    ['no kept downloads', 'apt', has('apt', {}, { archives: 0 }), { clean: true }, 'unchanged'],
    [
      'all of them',
      'apt',
      has('apt', {}, { pending: ['x [1] (2)'] }),
      { name: '*', state: 'latest' },
      ' upgrade',
    ],
    [
      'what configuration excludes',
      'dnf',
      has('dnf'),
      { name: 'kubelet', disable_excludes: 'kubernetes' },
      '--disableexcludes=kubernetes',
    ],
    [
      'in spite of others',
      'dnf',
      has('dnf'),
      { name: 'x', allowerasing: true, nobest: true },
      '--allowerasing --nobest',
    ],
    ['but not these', 'yum', has('yum'), { name: 'x', exclude: 'a,b' }, '--exclude=a,b'],
    [
      'of servers with any certificate',
      'yum',
      has('yum'),
      { name: 'x', sslverify: false },
      '--setopt=sslverify=0',
    ],
    [
      'only what is installed',
      'dnf',
      has('dnf'),
      { name: 'x', state: 'latest', update_only: true },
      'unchanged',
    ],
    [
      'all of them',
      'dnf',
      has('dnf', {}, { upgrades: { manager: 'dnf', packages: ['x'] } }),
      { name: '*', state: 'latest' },
      'dnf -y -q upgrade',
    ],
    [
      'all of them, newest',
      'dnf',
      has('dnf', {}, { upgrades: { manager: 'dnf', packages: [] } }),
      { name: '*', state: 'latest' },
      'unchanged',
    ],
    ['nothing', 'dnf', has('dnf'), {}, 'refuse: there is nothing to do'],
    ['without recommended ones, as usual', 'zypper', has('zypper'), { name: 'x' }, '--no-recommends'],
    ['older', 'zypper', has('zypper'), { name: 'x', oldpackage: true, force: true }, '--oldpackage --force'],
    [
      'all of them',
      'pacman',
      has('pacman', {}, { upgrades: { manager: 'pacman', packages: ['x'] } }),
      { upgrade: true },
      'pacman -Su',
    ],
    [
      'of another repository',
      'apk',
      has('apk'),
      { name: 'x', repository: 'http://r', no_cache: true },
      '--no-cache --repository http://r',
    ],
    [
      'all of them',
      'package',
      has('apk', {}, { upgrades: { manager: 'apk', packages: ['x'] } }),
      { name: '*', state: 'latest' },
      'apk upgrade',
    ],
  ];
  test.each(rows)('%s, by %s', (_what, step, seen, args, expected) => {
    expect(does(decide(step, seen, args))).toContain(expected);
  });

  test('recommended ones come along by zypper where that is said', () => {
    const plan = decide('zypper', has('zypper'), { name: 'x', disable_recommends: false });
    expect(does(plan)).not.toContain('--no-recommends');
  });
});
