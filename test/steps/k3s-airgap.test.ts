import { describe, expect, it } from 'vitest';
import type { AirgapBundle } from '../../src/facts/airgap-bundle.ts';
import type { AirgapFile } from '../../src/facts/airgap-folder.ts';
import type { InspectedFile } from '../../src/facts/airgap-inspection.ts';
import type { ImageArchive } from '../../src/facts/k3s-images.ts';
import { mustParseVersion, parseVersion } from '../../src/k3s/version.ts';
import { k3sAirgapStep } from '../../src/steps/k3s-airgap.ts';
import { k3sAirgapSelinuxStep } from '../../src/steps/k3s-airgap-selinux.ts';
import { k3sImagesStep } from '../../src/steps/k3s-images.ts';
import { k3sPolicyBootStep } from '../../src/steps/k3s-policy-boot.ts';
import { actionsIn, decided, nodesOf, scriptsIn, settled } from '../k3s/inventory-of.ts';

const release = 'v1.33.4+k3s1';
const file = (name: string, sizeBytes = 1): AirgapFile => ({ name, path: `/srv/airgap/${name}`, sizeBytes });
const sumOf = (name: string): string => `sum of ${name}`;

/** A folder in which every file is what its name says, but for what `more` says of it. */
function inspected(
  folder: readonly AirgapFile[],
  more: Readonly<Record<string, Partial<InspectedFile>>> = {},
  bundle?: AirgapBundle,
) {
  const files = folder.map(({ name }): [string, InspectedFile] => {
    const base = name.slice(name.lastIndexOf('/') + 1);
    const machine = ({ k3s: 'amd64', 'k3s-arm64': 'arm64', 'k3s-armhf': 'arm' } as const)[base];
    const program = machine === undefined ? {} : { machine, releases: [release] };
    return [name, { sha256: sumOf(name), ...program, ...more[name] }];
  });
  return { bundle, files: new Map(files) };
}

describe('the images of an airgap folder', () => {
  const nodes = { vars: { airgap_dir: '/srv/airgap' } };
  const folder = [
    'images/site.tar.zst',
    'k3s',
    'k3s-airgap-images-amd64.tar.gz',
    'k3s-airgap-images-amd64.tar.zst',
    'k3s-airgap-images-arm.tar.zst',
    'k3s-airgap-images-arm64.tar.zst',
    'notes.txt',
    'own.tar.gz',
    'v1.34.1+k3s1/k3s-airgap-images-amd64.tar.zst',
    'v1.34.1+k3s1/new.tar',
  ].map((name) => file(name));
  const there = (...names: string[]) =>
    new Map(
      names.map((name) => [
        name.replace('images/', ''),
        { sizeBytes: 1, sha256: sumOf(name), ours: true as const },
      ]),
    );
  const seen = (archives: ReadonlyMap<string, unknown>, machine = 'x86_64', wanted = release) => ({
    installed: { machine, version: undefined },
    wanted: mustParseVersion(wanted),
    folder,
    inspection: inspected(folder),
    archives,
  });
  const amd64 = ['k3s-airgap-images-amd64.tar.zst', 'own.tar.gz', 'images/site.tar.zst'];

  it('stay where they are right, and are none without the folder', async () => {
    expect(decided(k3sImagesStep, seen(there(...amd64)), (await nodesOf(nodes))('s1')).verdict).toBe(
      'unchanged',
    );
    const none = { ...seen(there()), folder: [], inspection: inspected([]) };
    expect(decided(k3sImagesStep, none, (await nodesOf())('s1')).verdict).toBe('unchanged');
  });

  it.each<[string, string, string[], string[]]>([
    ['each archive once, in its smallest form', 'x86_64', [], amd64],
    ['what is missing', 'x86_64', ['own.tar.gz', 'images/site.tar.zst'], ['k3s-airgap-images-amd64.tar.zst']],
    [
      'those of the machine',
      'aarch64',
      [],
      ['k3s-airgap-images-arm64.tar.zst', 'own.tar.gz', 'images/site.tar.zst'],
    ],
    [
      'those of a smaller machine',
      'armv7l',
      [],
      ['k3s-airgap-images-arm.tar.zst', 'own.tar.gz', 'images/site.tar.zst'],
    ],
  ])('are sent: %s', async (_name, machine, names, sent) => {
    const host = (await nodesOf(nodes))('s1');
    const plan = decided(k3sImagesStep, seen(there(...names), machine), host);
    expect(actionsIn(plan).slice(1, -1).sort()).toEqual(
      sent.map((name) => `send /var/lib/rancher/k3s/agent/images/${name.replace('images/', '')}`).sort(),
    );
    expect(settled(k3sImagesStep, seen(there(...names), machine), host).verdict).toBe('unchanged');
  });

  it('are those of the release that is wanted, where the folder has several', async () => {
    const plan = decided(
      k3sImagesStep,
      seen(there(...amd64), 'x86_64', 'v1.34.1+k3s1'),
      (await nodesOf(nodes))('s1'),
    );
    const sources =
      plan.verdict === 'change'
        ? plan.actions.flatMap((action) =>
            action.kind === 'upload' && action.source.from === 'file' ? [action.source.path] : [],
          )
        : [];
    expect(sources.sort()).toEqual([
      '/srv/airgap/v1.34.1+k3s1/k3s-airgap-images-amd64.tar.zst',
      '/srv/airgap/v1.34.1+k3s1/new.tar',
    ]);
  });

  it.each([
    ['unless that is off', {}, true],
    ['not where it is off, which YAML reads as false', { airgap_spread: false }, false],
    ['not where it is off', { airgap_spread: 'off' }, false],
    ['where it is auto', { airgap_spread: 'auto' }, true],
  ])('are handed on from node to node: %s', async (_when, vars, isSpread) => {
    const host = (await nodesOf({ vars: { ...nodes.vars, ...vars } }))('s1');
    const plan = decided(k3sImagesStep, seen(there()), host);
    const uploads = plan.verdict === 'change' ? plan.actions.filter(({ kind }) => kind === 'upload') : [];
    expect(uploads.map((upload) => 'spread' in upload)).toEqual(amd64.map(() => isSpread));
  });

  it('that fleet put there and the folder has no more go, and nobody else does', async () => {
    const archives = new Map<string, ImageArchive>([
      ...there(...amd64, 'gone.tar'),
      ['theirs.tar', { sizeBytes: 1, sha256: 'other' }],
    ]);
    const plan = decided(k3sImagesStep, seen(archives), (await nodesOf(nodes))('s1'));
    expect(actionsIn(plan)).toEqual([
      'make /var/lib/rancher/k3s/agent/images',
      'remove /var/lib/rancher/k3s/agent/images/gone.tar',
      `remember which archives are fleet's`,
    ]);
    expect(scriptsIn(plan)).not.toMatch(/theirs|gone/);
  });

  it('are sent again where one differs', async () => {
    const damaged = new Map<string, ImageArchive>([
      ...there(...amd64),
      ['k3s-airgap-images-amd64.tar.zst', { sizeBytes: 1, sha256: 'other' }],
    ]);
    expect(actionsIn(decided(k3sImagesStep, seen(damaged), (await nodesOf(nodes))('s1')))).toHaveLength(3);
  });
});

const rocky = { id: 'rocky', like: ['rhel', 'centos', 'fedora'], version: '9.4', prettyName: 'Rocky 9.4' };

describe('an airgap folder, before anything is sent', () => {
  const names = ['k3s', 'k3s-airgap-images-amd64.tar.zst', 'k3s-install.sh'];
  const bundle: AirgapBundle = {
    format: 1,
    madeAt: '2026-01-01T00:00:00.000Z',
    origin: 'https://example.org',
    versions: [release],
    architectures: ['amd64'],
    files: [],
  };

  interface Case {
    readonly names?: readonly string[];
    readonly more?: Readonly<Record<string, Partial<InspectedFile>>>;
    readonly bundle?: AirgapBundle;
    readonly machine?: string;
    readonly version?: string;
    readonly wanted?: string;
    readonly archives?: ReadonlyMap<string, unknown>;
    readonly freeKiB?: number;
    readonly selinux?: unknown;
    readonly vars?: Readonly<Record<string, unknown>>;
    readonly bytes?: number;
  }

  async function checked(given: Case) {
    const folder = (given.names ?? names).map((name) => file(name, given.bytes));
    const seen = {
      installed: {
        machine: given.machine ?? 'x86_64',
        version: given.version === undefined ? undefined : parseVersion(given.version),
      },
      wanted: mustParseVersion(given.wanted ?? release),
      folder,
      inspection: inspected(folder, given.more, given.bundle),
      archives: given.archives ?? new Map(),
      freeForImages: given.freeKiB,
      freeForBinary: given.freeKiB,
      selinux: given.selinux ?? { mode: 'disabled', installed: [] },
      facts: { os: rocky },
    };
    const host = (await nodesOf({ vars: { airgap_dir: '/srv/airgap', ...given.vars } }))('s1');
    return decided(k3sAirgapStep, seen, host);
  }

  it.each<[string, Case]>([
    ['has all', {}],
    ['of a bundle', { bundle }],
    [
      'for arm64',
      { machine: 'aarch64', names: ['k3s-arm64', 'k3s-airgap-images-arm64.tar.zst', 'k3s-install.sh'] },
    ],
    [
      'for armv7',
      { machine: 'armv7l', names: ['k3s-armhf', 'k3s-airgap-images-arm.tar.zst', 'k3s-install.sh'] },
    ],
    ['without images of its own, where nodes have a registry', { names: ['k3s', 'k3s-install.sh'] }],
    [
      'with a foreign architecture only, where the site has a registry',
      {
        names: ['k3s', 'k3s-install.sh', 'k3s-airgap-images-arm64.tar.zst'],
        vars: { registries_config_yaml: 'mirrors: {}' },
      },
    ],
    [
      'without binary and script, where the node has the release',
      { names: [names[1] ?? ''], version: release },
    ],
    [
      'without script, where the inventory names one',
      { names: names.slice(0, 2), vars: { k3s_install_script: '/x' } },
    ],
    ['whose binary names no release', { more: { k3s: { releases: [] } } }],
    [
      'with the policy, for a node that enforces',
      {
        names: [...names, 'k3s-selinux-1.6-1.el9.noarch.rpm'],
        selinux: { mode: 'enforcing', installed: [] },
      },
    ],
    [
      'for a node that enforces and has the policy',
      { selinux: { mode: 'enforcing', installed: ['k3s-selinux'] } },
    ],
    [
      'for a node that is nearly full and has the archives',
      {
        version: release,
        bytes: 1e9,
        freeKiB: 10,
        archives: new Map([
          ['k3s-airgap-images-amd64.tar.zst', { sha256: sumOf('k3s-airgap-images-amd64.tar.zst') }],
        ]),
      },
    ],
  ])('%s will do', async (_name, given) => {
    expect(await checked(given)).toMatchObject({ verdict: 'unchanged' });
  });

  it.each<[string, Case, RegExp]>([
    ['lacks the binary', { names: names.slice(1) }, /: k3s, the binary for amd64, is missing$/],
    [
      'lacks that of another architecture',
      { machine: 'aarch64' },
      /k3s-arm64, the binary for arm64, is missing; k3s-airgap-images-arm64.*missing$/,
    ],
    [
      'has those of arm64 for an armv7',
      { machine: 'armv7l', names: ['k3s-arm64', 'k3s-airgap-images-arm64.tar.zst', 'k3s-install.sh'] },
      /k3s-armhf, the binary for arm, is missing; k3s-airgap-images-arm\.tar\.zst, the images for arm, is missing$/,
    ],
    [
      'lacks the images',
      { names: ['k3s', 'k3s-install.sh', 'k3s-airgap-images-arm64.tar.zst'] },
      /k3s-airgap-images-amd64\.tar\.zst, the images for amd64, is missing/,
    ],
    [
      'lacks the install script',
      { names: names.slice(0, 2) },
      /k3s-install\.sh, the install script, is missing/,
    ],
    [
      'lacks the policy',
      { selinux: { mode: 'enforcing', installed: ['container-selinux'] } },
      /k3s-selinux-\*\.rpm for Rocky 9\.4 is missing/,
    ],
    [
      'has the policy of another system',
      {
        names: [...names, 'k3s-selinux-1.6-1.el8.noarch.rpm'],
        selinux: { mode: 'enforcing', installed: [] },
      },
      /k3s-selinux-\*\.rpm for Rocky 9\.4 is missing/,
    ],
    [
      'has the policy, for a node whose packages take a reboot',
      {
        names: [...names, 'k3s-selinux-1.6-1.el9.noarch.rpm'],
        selinux: { mode: 'enforcing', installed: [], isTransactional: true },
      },
      /its root file system is read-only, and k3s' SELinux policy takes a reboot, which allow_reboot does not allow$/,
    ],
    [
      'is a bundle for another version',
      { bundle, wanted: 'v1.34.1+k3s1' },
      /a bundle for v1\.33\.4\+k3s1, and k3s_version is v1\.34\.1\+k3s1/,
    ],
    [
      'has another version under the name',
      { more: { k3s: { releases: ['v1.32.1+k3s1'] } } },
      /k3s is v1\.32\.1\+k3s1, not v1\.33\.4\+k3s1/,
    ],
    [
      'has a program for another processor',
      { more: { k3s: { machine: 'arm64' } } },
      /k3s is a program for arm64, not for amd64/,
    ],
    [
      'has an error page under the name',
      { names: [...names.slice(1), 'k3s-amd64'], more: { 'k3s-amd64': {} } },
      /k3s-amd64 is no program/,
    ],
    [
      'was tampered with',
      { more: { 'k3s-airgap-images-amd64.tar.zst': { published: { sha256: 'abc', by: 'bundle.json' } } } },
      /k3s-airgap-images-amd64\.tar\.zst has sha256 sum of .*, bundle\.json says abc/,
    ],
    [
      'had something slipped in',
      { bundle, names: [...names, `${release}/evil.tar`] },
      /evil\.tar is not in the list/,
    ],
    [
      'had a package slipped in for a node with SELinux',
      {
        bundle,
        names: [...names, 'selinux/el9/k3s-selinux-9-1.el9.noarch.rpm'],
        selinux: { mode: 'enforcing', installed: [] },
      },
      /selinux\/el9\/k3s-selinux-9.*rpm is not in the list/,
    ],
    [
      'had a chart exchanged',
      {
        names: [...names, 'charts/a-1.tgz'],
        more: { 'charts/a-1.tgz': { published: { sha256: 'abc', by: 'bundle.json' } } },
      },
      /charts\/a-1\.tgz has sha256 sum of .*, bundle\.json says abc/,
    ],
    [
      'does not fit',
      { bytes: 1e9, freeKiB: 500_000, more: { 'k3s-airgap-images-amd64.tar.zst': { unpackedBytes: 3e9 } } },
      /images in them need 3815 MiB in \/var\/lib\/rancher\/k3s\/agent\/images, and 488 MiB are free; k3s needs 954 MiB/,
    ],
    ['is for no such machine', { machine: 'riscv64' }, /nothing for riscv64/],
  ])('that %s is refused, naming file and node', async (_name, given, because) => {
    const plan = await checked(given);
    expect(plan).toMatchObject({ verdict: 'refuse', because: expect.stringMatching(because) });
    if (given.machine !== 'riscv64')
      expect(plan.because).toMatch(/^airgap_dir \/srv\/airgap cannot serve s1: /);
  });
});

describe('the packages of k3s’ SELinux policy in a folder', () => {
  const names = [
    'RPM-GPG-KEY-rancher',
    'container-selinux-2.229-1.el9.noarch.rpm',
    'k3s-selinux-1.6-1.el8.noarch.rpm',
    'k3s-selinux-1.6-1.el9.noarch.rpm',
    'k3s-selinux-1.6-1.slemicro.noarch.rpm',
    'site-ca.noarch.rpm',
  ];
  const sle = { id: 'sle-micro', like: ['suse'], version: '6.0', prettyName: 'SLE Micro 6.0' };
  const plan = async (
    mode: string,
    os: object,
    files: readonly string[] = names,
    installed: readonly string[] = [],
    more: { policy?: object; paths?: readonly string[]; args?: object } = {},
  ) =>
    decided(
      k3sAirgapSelinuxStep,
      {
        policy: { mode, installed, ...more.policy },
        traces: { paths: more.paths ?? [] },
        facts: { os },
        folder: files.map((name) => file(name)),
      },
      (await nodesOf({ vars: { airgap_dir: '/srv/airgap' } }))('s1'),
      more.args,
    );
  const sent = (shown: readonly string[]): readonly string[] =>
    shown
      .filter((text) => text.startsWith('send '))
      .map((text) => text.replace('send /run/fleet/airgap-rpms/', ''));

  it.each([
    ['rocky', rocky, ['container-selinux-2.229-1.el9.noarch.rpm', 'k3s-selinux-1.6-1.el9.noarch.rpm']],
    ['SLE Micro', sle, ['k3s-selinux-1.6-1.slemicro.noarch.rpm']],
  ])('are those for %s, in one transaction', async (_name, os, packages) => {
    const shown = actionsIn(await plan('enforcing', os));
    expect(sent(shown)).toEqual([...packages, 'site-ca.noarch.rpm', '0.key']);
    expect(shown.at(-1)).toContain('signatures checked');
  });

  it('are those that a bundle has for the system, with its keys', async () => {
    const bundled = [
      'k3s-selinux-1.5-1.el9.noarch.rpm',
      'selinux/el9/RPM-GPG-KEY-1.asc',
      'selinux/el9/container-selinux-2.232.1-1.noarch.rpm',
      'selinux/el9/k3s-selinux-1.6-1.el9.noarch.rpm',
      'selinux/slemicro/RPM-GPG-KEY-1.asc',
      'selinux/slemicro/k3s-selinux-1.6-1.slemicro.noarch.rpm',
    ];
    const base = (names: readonly string[]): readonly string[] =>
      names.map((name) => name.split('/').at(-1) ?? '');
    expect(sent(actionsIn(await plan('enforcing', rocky, bundled)))).toEqual([
      ...base(bundled.slice(2, 4)),
      '0.key',
    ]);
    expect(sent(actionsIn(await plan('enforcing', sle, bundled)))).toEqual([
      ...base(bundled.slice(5)),
      '0.key',
    ]);
  });

  it('say when nobody can check their signatures', async () => {
    expect(actionsIn(await plan('enforcing', rocky, names.slice(1))).at(-1)).toContain(
      'signatures not checked',
    );
  });

  it.each([
    ['where SELinux is off', 'disabled', rocky, names, [], 'unchanged'],
    ['where the policy is there', 'enforcing', rocky, names, ['k3s-selinux'], 'unchanged'],
    ['where none is for the system and nothing is enforced', 'permissive', rocky, [], [], 'unchanged'],
    ['where none is for the system', 'enforcing', { ...rocky, version: '10.0' }, names, [], 'refuse'],
  ])('are not installed %s', async (_name, mode, os, files, installed, verdict) => {
    expect((await plan(mode, os, files, installed)).verdict).toBe(verdict);
  });

  describe('where the root file system is read-only', () => {
    const onSle = (policy: object, paths: readonly string[], args: object, mode = 'enforcing') =>
      plan(mode, sle, names, [], { policy: { isTransactional: true, ...policy }, paths, args });
    const allowed = { allow_reboot: true };
    const k3s = ['/usr/local/bin/k3s'];
    const brought = [
      'make /var/cache/fleet-airgap-rpms',
      ...['k3s-selinux-1.6-1.slemicro.noarch.rpm', 'site-ca.noarch.rpm', '0.key'].map(
        (name) => `send /var/cache/fleet-airgap-rpms/${name}`,
      ),
      'install k3s-selinux-1.6-1.slemicro.noarch.rpm, site-ca.noarch.rpm (signatures checked)',
    ];

    it.each<[string, object, readonly string[], readonly string[]]>([
      ['a new host gets them and is rebooted', {}, [], [...brought, 'reboot']],
      ['a host that runs k3s gets them', {}, k3s, brought],
      ['a new host that has them waiting is rebooted', { isInNextBoot: true }, [], ['reboot']],
    ])('%s', async (_name, policy, paths, expected) => {
      expect(actionsIn(await onSle(policy, paths, allowed))).toEqual(expected);
    });

    it('a host that runs k3s and has them waiting is left to its turn', async () => {
      expect(await onSle({ isInNextBoot: true }, k3s, allowed)).toMatchObject({
        verdict: 'unchanged',
        because: expect.stringMatching(/at its turn/),
      });
    });

    it.each(['enforcing', 'permissive'])('nothing is rebooted unasked: %s', async (mode) => {
      expect((await onSle({}, [], {}, mode)).verdict).toBe(mode === 'enforcing' ? 'refuse' : 'unchanged');
      expect((await onSle({ isInNextBoot: true }, [], {}, mode)).verdict).toBe(
        mode === 'enforcing' ? 'refuse' : 'unchanged',
      );
    });

    it.each<[string, object, object, string]>([
      ['nothing waits', {}, allowed, 'unchanged'],
      ['the policy waits', { isInNextBoot: true }, allowed, 'change'],
      ['the policy waits, and no reboot is allowed', { isInNextBoot: true }, {}, 'refuse'],
    ])('at its turn: %s', async (_name, policy, args, verdict) => {
      const decision = decided(
        k3sPolicyBootStep,
        { policy: { mode: 'enforcing', installed: [], isTransactional: true, ...policy } },
        (await nodesOf())('s1'),
        args,
      );
      expect(decision.verdict).toBe(verdict);
      if (verdict === 'change') expect(actionsIn(decision)).toEqual(['reboot']);
    });
  });
});
