import { describe, expect, test } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import type { Plan } from '../../src/engine/step.ts';
import type { PackageState } from '../../src/facts/package.ts';
import type { ServiceState } from '../../src/facts/service.ts';
import { readArguments } from '../../src/steps/arguments.ts';
import { curlWord } from '../../src/steps/download.ts';
import { matchesVersion } from '../../src/steps/package-change.ts';
import { stepNamed } from '../../src/steps/registry.ts';
import { listedAs } from '../../src/steps/ufw.ts';
import { responseOf } from '../../src/steps/uri.ts';
import { splitWords } from '../../src/steps/words.ts';
import { hostView } from './here.ts';

function decide(
  name: string,
  seen: Record<string, unknown>,
  written: unknown,
  values: Record<string, unknown> = {},
): Plan<never> {
  const step = stepNamed(name);
  if (step === undefined) throw new Error(name);
  return step.plan(seen, readArguments(step, written), hostView(values)) as Plan<never>;
}

function what(plan: Plan<never>): readonly string[] {
  if (plan.verdict !== 'change') return [];
  return plan.actions.map((action) =>
    action.kind === 'run' ? action.what : `${action.kind}${'path' in action ? ` ${action.path}` : ''}`,
  );
}

function scripts(plan: Plan<never>): string {
  if (plan.verdict !== 'change') return '';
  return plan.actions.map((action) => (action.kind === 'run' ? action.script.text : '')).join('\n');
}

describe('packages', () => {
  const has = (
    installed: Record<string, string>,
    more: Partial<PackageState> = {},
  ): { packages: PackageState } => ({
    packages: {
      manager: 'apt',
      installed: new Map(Object.entries(installed)),
      upgrades: new Map(),
      listsAgeS: 60,
      ...more,
    },
  });
  const rows: [string, { packages: PackageState }, Record<string, unknown>, string, string[]][] = [
    ['installed', has({ curl: '7.88' }), { name: 'curl' }, 'unchanged', []],
    [
      'installed in a version that the pattern takes',
      has({ curl: '1:7.88.1-10' }),
      { name: 'curl=7.88*' },
      'unchanged',
      [],
    ],
    ['missing', has({}), { name: 'curl,jq' }, 'change', ['install curl jq']],
    ['only what is missing', has({ curl: '7.88' }), { name: 'curl,jq' }, 'change', ['install jq']],
    ['another version', has({ curl: '7.88' }), { name: 'curl=8.0' }, 'change', ['install curl=8.0']],
    ['newest already', has({ curl: '7.88' }), { name: 'curl', state: 'latest' }, 'unchanged', []],
    [
      'an upgrade',
      has({ curl: '7.88' }, { upgrades: new Map([['curl', '8.0']]) }),
      { name: 'curl', state: 'latest' },
      'change',
      ['install curl'],
    ],
    [
      'an upgrade that nobody asked for',
      has({ curl: '7.88' }, { upgrades: new Map([['curl', '8.0']]) }),
      { name: 'curl' },
      'unchanged',
      [],
    ],
    ['gone already', has({}), { name: 'curl', state: 'absent' }, 'unchanged', []],
    ['to go', has({ curl: '7.88' }), { name: 'curl,jq', state: 'absent' }, 'change', ['remove curl']],
    [
      'old lists, nothing to do',
      has({ curl: '7.88' }, { listsAgeS: 90_000 }),
      { name: 'curl', update_cache: true },
      'unchanged',
      [],
    ],
    [
      'old lists, something to do',
      has({}, { listsAgeS: 90_000 }),
      { name: 'curl', update_cache: true },
      'change',
      ['fetch the lists of packages', 'install curl'],
    ],
    [
      'old lists that may be old',
      has({}, { listsAgeS: 90_000 }),
      { name: 'curl' },
      'change',
      ['install curl'],
    ],
    [
      'no lists at all',
      has({}, { listsAgeS: undefined }),
      { name: 'curl' },
      'change',
      ['fetch the lists of packages', 'install curl'],
    ],
    ['no package manager', has({}, { manager: undefined }), { name: 'curl' }, 'refuse', []],
  ];
  test.each(rows)('%s', (_what, seen, args, verdict, actions) => {
    const plan = decide('package', seen, args);
    expect(plan.verdict, plan.because).toBe(verdict);
    expect(what(plan)).toEqual(actions);
  });

  test.each([
    ['apt', 'apt-get -y'],
    ['dnf', 'dnf -y -q  install curl-8.0'],
    ['yum', 'yum -y -q  install curl-8.0'],
    ['zypper', 'zypper --non-interactive'],
    ['pacman', 'pacman -S --noconfirm --needed  curl'],
    ['apk', 'apk add -q   curl=8.0'],
  ] as const)('%s', (manager, command) => {
    const plan = decide('package', has({}, { manager }), { name: 'curl=8.0' });
    expect(scripts(plan)).toContain(command);
    expect(plan.verdict === 'change' && plan.actions[0]).toMatchObject({ survives: true });
  });

  test('a transaction makes system paths stale, and leaves those of k3s known', () => {
    const plan = decide('package', has({}), { name: 'curl' });
    const touches = plan.verdict === 'change' && Array.isArray(plan.touches) ? plan.touches : [];
    const stale = (key: string) =>
      touches.some((one: string) => (one.endsWith('*') ? key.startsWith(one.slice(0, -1)) : one === key));
    expect(
      ['file:/etc/nginx/nginx.conf', 'content:/etc/resolv.conf', 'service:nginx', 'file:/usr/bin/curl'].map(
        stale,
      ),
    ).toEqual([true, true, true, true]);
    expect(
      [
        'file:/etc/rancher/k3s/config.yaml',
        'file:/var/lib/rancher/k3s',
        'file:/usr/local/bin/k3s',
        'file:/root/.bashrc',
      ].map(stale),
    ).toEqual([false, false, false, false]);
  });

  test('apt: lists alone, for as long as they are said to be good', () => {
    expect(decide('apt', has({}), { update_cache: true }).verdict).toBe('unchanged');
    expect(what(decide('apt', has({}, { listsAgeS: 7200 }), { update_cache: true }))).toEqual([
      'fetch the lists of packages',
    ]);
    expect(
      decide('apt', has({}, { listsAgeS: 7200 }), { update_cache: true, cache_valid_time: 86400 }).verdict,
    ).toBe('unchanged');
    expect(decide('apt', has({}), {}).verdict).toBe('refuse');
  });

  test.each([
    ['1:2.3-4', '2.3', true],
    ['1:2.3-4', '2.3-4', true],
    ['1:2.3-4', '1:2.3-4', true],
    ['2.30', '2.3', false],
    ['2.3.1', '2.3*', true],
    ['2.3+dfsg', '2.3+dfsg', true],
  ])('version %s is %s: %s', (installed, wanted, is) => {
    expect(matchesVersion(installed, wanted)).toBe(is);
  });
});

describe('services', () => {
  const state = (more: Partial<ServiceState> = {}): { service: ServiceState } => ({
    service: {
      manager: 'systemd',
      exists: true,
      active: 'active',
      sub: 'running',
      enablement: 'enabled',
      masked: false,
      needsDaemonReload: false,
      activeSince: '',
      mainStartedAt: '',
      mainStartedMonotonicUs: 0,
      mainPid: 1,
      result: 'success',
      restarts: 0,
      unitFiles: [],
      id: 'x.service',
      ...more,
    },
  });
  const rows: [string, Partial<ServiceState>, Record<string, unknown>, string, string[]][] = [
    ['running and enabled', {}, { state: 'started', enabled: true }, 'unchanged', []],
    ['stopped', { active: 'inactive' }, { state: 'started' }, 'change', ['start x']],
    ['failed', { active: 'failed' }, { state: 'started' }, 'change', ['start x']],
    ['restarting by itself', { active: 'activating' }, { state: 'started' }, 'unchanged', []],
    ['disabled', { enablement: 'disabled' }, { enabled: true }, 'change', ['enable x']],
    ['static cannot be enabled', { enablement: 'static' }, { enabled: true }, 'unchanged', []],
    [
      'both at once',
      { active: 'inactive', enablement: 'disabled' },
      { state: 'started', enabled: true },
      'change',
      ['enable x', 'start x'],
    ],
    ['to stop', {}, { state: 'stopped', enabled: false }, 'change', ['disable x', 'stop x']],
    ['restart', {}, { state: 'restarted' }, 'change', ['restart x']],
    [
      'reload of what does not run starts it',
      { active: 'inactive' },
      { state: 'reloaded' },
      'change',
      ['reload x'],
    ],
    ['missing', { exists: false, active: 'inactive', enablement: '' }, { state: 'started' }, 'refuse', []],
    [
      'missing and to be stopped',
      { exists: false, active: 'inactive', enablement: '' },
      { state: 'stopped', enabled: false },
      'unchanged',
      [],
    ],
    [
      'masked',
      { masked: true, active: 'inactive', enablement: 'masked' },
      { state: 'started' },
      'refuse',
      [],
    ],
    ['no init system', { manager: 'none', exists: false }, { state: 'started' }, 'refuse', []],
    ['neither state nor enabled', {}, {}, 'refuse', []],
  ];
  test.each(rows)('%s', (_what, now, args, verdict, actions) => {
    const plan = decide('service', state(now), { name: 'x', ...args });
    expect(plan.verdict, plan.because).toBe(verdict);
    expect(what(plan)).toEqual(actions);
  });

  test('a restart is not looked at again, a start is foreseen', () => {
    expect(decide('service', state(), { name: 'x', state: 'restarted' })).toMatchObject({ imperative: true });
    expect(decide('service', state({ active: 'inactive' }), { name: 'x', state: 'started' })).toMatchObject({
      after: { service: { active: 'active' } },
    });
  });

  test('daemon_reload only when a unit file changed', () => {
    expect(
      what(decide('systemd', state({ needsDaemonReload: true }), { name: 'x', daemon_reload: true })),
    ).toEqual(['make systemd read its unit files']);
    expect(decide('systemd', state(), { name: 'x', daemon_reload: true, state: 'started' }).verdict).toBe(
      'unchanged',
    );
    expect(decide('systemd', {}, { daemon_reload: true })).toMatchObject({
      verdict: 'change',
      imperative: true,
    });
  });

  test('masking', () => {
    expect(what(decide('systemd', state(), { name: 'x', masked: true }))).toEqual(['mask x']);
    expect(
      what(
        decide('systemd', state({ masked: true, active: 'inactive', enablement: 'masked' }), {
          name: 'x',
          masked: false,
          state: 'started',
        }),
      ),
    ).toEqual(['unmask x', 'start x']);
  });

  test('OpenRC', () => {
    const plan = decide('service', state({ manager: 'openrc', active: 'inactive', enablement: 'disabled' }), {
      name: 'x',
      state: 'started',
      enabled: true,
    });
    expect(scripts(plan)).toBe('rc-update add x default\nrc-service x start');
  });
});

describe('kernel modules', () => {
  const seen = (module: string, onDisk?: string) => ({
    module,
    file:
      onDisk === undefined
        ? { self: undefined, followed: undefined }
        : {
            self: { type: 'file', mode: '0644', owner: 'root', group: 'root' },
            followed: { type: 'file', mode: '0644', owner: 'root', group: 'root' },
          },
    content: { sha256: onDisk },
    parent: { self: undefined, followed: { type: 'directory', mode: '0755', owner: 'root', group: 'root' } },
    me: { user: 'root', group: 'root', uid: 0, home: '/root' },
  });
  test.each([
    [
      'loaded, but not at boot',
      'kernel_module',
      seen('loaded'),
      {},
      ['write /etc/modules-load.d/overlay.conf'],
    ],
    [
      'available',
      'kernel_module',
      seen('available'),
      {},
      ['load overlay', 'write /etc/modules-load.d/overlay.conf'],
    ],
    ['available, modprobe', 'modprobe', seen('available'), {}, ['load overlay']],
    ['built in', 'kernel_module', seen('built-in'), {}, []],
    ['missing', 'kernel_module', seen('missing'), {}, []],
    [
      'to go',
      'kernel_module',
      seen('loaded', 'x'),
      { state: 'absent' },
      ['unload overlay', 'remove /etc/modules-load.d/overlay.conf'],
    ],
  ])('%s', (_what, step, state, args, actions) => {
    expect(what(decide(step, state, { name: 'overlay', ...args }))).toEqual(actions);
  });
});

describe('says and stops', () => {
  test('assert', () => {
    expect(decide('assert', {}, { that: ['good'] }, { good: true }).verdict).toBe('unchanged');
    expect(decide('assert', {}, { that: ['good', 'bad'], fail_msg: 'no' }, { good: true })).toMatchObject({
      verdict: 'refuse',
      because: 'no',
    });
    expect(decide('assert', {}, { that: 'bad' })).toMatchObject({
      verdict: 'refuse',
      because: 'this does not hold: bad',
    });
  });
  test('fail', () =>
    expect(decide('fail', {}, 'not here')).toMatchObject({ verdict: 'refuse', because: 'not here' }));
  test('debug', () => {
    expect(decide('debug', {}, { msg: { a: 1 } })).toMatchObject({
      verdict: 'unchanged',
      result: { msg: { a: 1 } },
    });
    expect(decide('debug', {}, { var: 'x' }, { x: 5 })).toMatchObject({ result: { x: '5' } });
    expect(decide('debug', {}, { msg: new Secret('hunter2') }).because).toBe('[secret]');
  });
  test('set_fact', () => {
    expect(decide('set_fact', {}, { a: 1, b: ['c'], cacheable: true })).toMatchObject({
      verdict: 'unchanged',
      result: { ansible_facts: { a: 1, b: ['c'] } },
    });
    expect(decide('set_fact', {}, { 'a-b': 1 }).verdict).toBe('refuse');
  });
});

describe('waits', () => {
  test.each<[string, Record<string, unknown>, Record<string, unknown>, string, string[]]>([
    ['an open port', { port: 'open' }, { port: 22 }, 'unchanged', []],
    ['a closed port', { port: 'closed' }, { port: 22 }, 'change', ['wait']],
    ['a port that shall close', { port: 'open' }, { port: 22, state: 'stopped' }, 'change', ['wait']],
    ['with a delay', { port: 'open' }, { port: 22, delay: 1 }, 'change', ['pause', 'wait']],
    ['no means to try', { port: 'unknown' }, { port: 22, host: '10.0.0.1' }, 'refuse', []],
    [
      'a file that is there',
      { file: { self: { type: 'file' }, followed: { type: 'file' } } },
      { path: '/a' },
      'unchanged',
      [],
    ],
    [
      'a file that shall go',
      { file: { self: { type: 'file' }, followed: { type: 'file' } } },
      { path: '/a', state: 'absent' },
      'change',
      ['wait'],
    ],
    [
      'a file that matches',
      { content: { text: 'x\nready\n' } },
      { path: '/a', search_regex: '^ready$' },
      'unchanged',
      [],
    ],
    ['a bad pattern', { content: { text: '' } }, { path: '/a', search_regex: '(' }, 'refuse', []],
    ['just time', {}, { timeout: 5 }, 'change', ['pause']],
    ['nothing', {}, {}, 'refuse', []],
  ])('%s', (_what, seen, args, verdict, actions) => {
    const plan = decide('wait_for', seen, args);
    expect(plan.verdict, plan.because).toBe(verdict);
    expect(what(plan).map((one) => one.split(' ')[0])).toEqual(actions);
  });

  test.each([
    ['pause', {}, { seconds: 1 }],
    ['wait_for', { port: 'closed' }, { port: 22 }],
    ['wait_for', {}, { timeout: 1 }],
    ['wait_for_connection', { me: { user: 'root' } }, { delay: 1 }],
  ])('%s makes whoever comes behind it look again', (step, seen, args) => {
    expect(decide(step, seen, args)).toMatchObject({ touches: 'everything', changesNothing: true });
  });

  test('a reboot', () => {
    expect(decide('reboot', {}, { reboot_timeout: 300, post_reboot_delay: 5 })).toMatchObject({
      imperative: true,
      touches: 'everything',
      actions: [
        { kind: 'reboot', deadlineMs: 300_000 },
        { kind: 'pause', durationMs: 5000 },
      ],
    });
  });
});

describe('no secret leaves its place', () => {
  test('a password hash goes over stdin, not on a command line', () => {
    const plan = decide('user', { user: undefined }, { name: 'a', password: new Secret('$6$hash') });
    expect(scripts(plan)).toContain("printf '%s:%s\\n' a '$6$hash' | chpasswd -e");
    expect(scripts(plan)).not.toMatch(/useradd[^\n]*hash/);
    expect(plan.because + what(plan).join()).not.toContain('hash');
  });

  test('a secret command is shown as one', () => {
    const plan = decide('command', {}, { cmd: new Secret('mysql -phunter2') });
    expect(what(plan)).toEqual(['run [secret]']);
    expect(
      JSON.stringify(plan.verdict === 'change' && plan.result?.([{ stdout: '', stderr: '', code: 0 }])),
    ).not.toContain('hunter2');
  });

  test('a password that is no hash is refused', () => {
    expect(decide('user', { user: undefined }, { name: 'a', password: 'with:colon' }).verdict).toBe('refuse');
  });

  test('headers and passwords for curl', () => {
    const plan = decide(
      'get_url',
      { file: { self: undefined, followed: undefined }, me: { user: 'root', group: 'root' } },
      { url: 'https://x/y', dest: '/y', url_username: 'u', url_password: new Secret('hunter2') },
    );
    expect(scripts(plan)).toMatch(/printf '%s\\n' 'user = "u:hunter2"' \| curl [^\n]*-K - /);
    expect(what(plan)).toEqual(['fetch https://x/y to /y']);
    expect(curlWord('a"b\\c\nd')).toBe('"a\\"b\\\\c\\nd"');
  });
});

test.each<[Record<string, string>, string, string]>([
  [{ port: '22', proto: 'tcp' }, 'allow', 'allow 22/tcp'],
  [{ port: '5555' }, 'allow', 'allow 5555'],
  [
    { port: '6443', proto: 'tcp', from_ip: '10.0.0.0/24' },
    'allow',
    'allow from 10.0.0.0/24 to any port 6443 proto tcp',
  ],
  [{ from_ip: '10.42.0.0/16' }, 'allow', 'allow from 10.42.0.0/16'],
  [{ port: '25', direction: 'out' }, 'deny', 'deny out 25'],
  [{ name: 'OpenSSH' }, 'limit', 'limit OpenSSH'],
  [
    { port: '8472', proto: 'udp', interface: 'eth0', direction: 'in' },
    'allow',
    'allow in on eth0 to any port 8472 proto udp',
  ],
])('ufw lists %j as %s', (args, rule, listed) => {
  expect(listedAs(args, rule)).toBe(listed);
});

test('responses', () => {
  expect(
    responseOf(
      'HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\nHTTP/2 200 \r\ncontent-type: application/json\r\nX-A-B: c\r\n\r\n{"a":1}\n200',
    ),
  ).toMatchObject({
    status: 200,
    json: { a: 1 },
    content: '{"a":1}',
    x_a_b: 'c',
  });
  expect(responseOf('')).toMatchObject({ status: -1 });
});

test.each<[string, readonly string[] | undefined]>([
  [`a 'b c' "d \\"e" f\\ g`, ['a', 'b c', 'd "e', 'f g']],
  [`''`, ['']],
  ['  ', []],
  [`'open`, undefined],
  [`"a\\nb"`, ['a\\nb']],
])('words of %s', (line, words) => {
  expect(splitWords(line)).toEqual(words);
});
