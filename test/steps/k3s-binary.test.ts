import { describe, expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import type { AirgapFile } from '../../src/facts/airgap-folder.ts';
import { sha256Of } from '../../src/facts/file.ts';
import type { InstalledBinary } from '../../src/facts/k3s-binary.ts';
import type { InUse } from '../../src/facts/k3s-in-use.ts';
import type { ServerData } from '../../src/facts/k3s-server-data.ts';
import { mustParseVersion, parseVersion } from '../../src/k3s/version.ts';
import { k3sBinaryStep } from '../../src/steps/k3s-binary.ts';
import { k3sStageStep } from '../../src/steps/k3s-stage.ts';
import { clusterToken, decided, type Nodes, nodesOf, scriptsIn, settled } from '../k3s/inventory-of.ts';

const running: InUse = {
  state: 'active',
  enabled: true,
  needsDaemonReload: false,
  invocation: '1',
  newerThanStart: [],
};
const none: ServerData = { datastore: 'none', token: undefined, running: false, hostName: 's1' };
const member: ServerData = {
  datastore: 'etcd',
  token: new Secret(clusterToken),
  running: true,
  hostName: 's1',
};
const file = (name: string): AirgapFile => ({ name, path: `/srv/airgap/${name}`, sizeBytes: 1 });

interface Case {
  readonly on?: string;
  readonly nodes?: Nodes;
  readonly version?: string;
  /** What waits beside it. */
  readonly staged?: string;
  readonly machine?: string;
  readonly broken?: string;
  readonly wanted?: string;
  readonly airgap?: readonly AirgapFile[];
  readonly data?: ServerData;
}

async function planned({
  on = 's1',
  nodes = {},
  version,
  staged,
  machine = 'x86_64',
  broken,
  wanted = 'v1.33.4+k3s1',
  airgap = [],
  data = none,
}: Case) {
  const installed: InstalledBinary = {
    machine,
    version: version === undefined ? undefined : parseVersion(version),
    ...(broken === undefined ? {} : { broken }),
  };
  const view = (await nodesOf(nodes))(on);
  const beside = new Map(staged === undefined ? [] : [[stagedFrom, parseVersion(staged)] as const]);
  const needs = { installed, staged: beside, wanted: mustParseVersion(wanted), airgap, data };
  const all = { ...needs, inUse: running };
  return {
    plan: decided(k3sBinaryStep, all, view),
    stage: decided(k3sStageStep, needs, view),
    all,
    needs,
    view,
  };
}

/** The name under which the release waits, from where it is published. */
const stagedFrom = sha256Of('https://github.com/k3s-io/k3s/releases/download/v1.33.4%2Bk3s1/k3s').slice(
  0,
  16,
);
const waiting = `/usr/local/bin/.k3s-staged-by-fleet/${stagedFrom}`;
const release = 'https://github.com/k3s-io/k3s/releases/download/v1.33.4%2Bk3s1';

describe('the binary', () => {
  it('that is wanted stays, whatever else is the matter', async () => {
    expect((await planned({ version: 'v1.33.4+k3s1', machine: 'riscv64' })).plan.verdict).toBe('unchanged');
  });

  it.each<[string, Case, RegExp, string]>([
    ['missing', {}, /not installed/, `${release}/k3s`],
    [
      'older',
      { version: 'v1.33.1+k3s1', data: member },
      /v1\.33\.1\+k3s1 is installed, v1\.33\.4\+k3s1 is wanted/,
      `${release}/k3s`,
    ],
    ['one k3s release older', { version: 'v1.33.4+k3s0' }, /\+k3s0 is installed/, `${release}/k3s`],
    ['a minor older', { version: 'v1.32.9+k3s1', data: member }, /v1\.32\.9/, `${release}/k3s`],
    ['newer in the same minor', { version: 'v1.33.9+k3s1', data: member }, /v1\.33\.9/, `${release}/k3s`],
    [
      'many minors older, on an agent',
      { on: 'a1', nodes: { agents: ['a1'] }, version: 'v1.28.1+k3s1' },
      /v1\.28/,
      `${release}/k3s`,
    ],
    ['many minors older, on a server without data', { version: 'v1.28.1+k3s1' }, /v1\.28/, `${release}/k3s`],
    [
      'for another machine',
      { machine: 'aarch64', broken: 'Exec format error' },
      /does not run \(Exec format error\)/,
      `${release}/k3s-arm64`,
    ],
    ['missing on a Pi', { machine: 'armv7l' }, /not installed/, `${release}/k3s-armhf`],
  ])('%s is replaced', async (_name, given, because, url) => {
    const { plan, all, view } = await planned(given);
    expect(plan).toMatchObject({
      verdict: 'change',
      because: expect.stringMatching(because),
      actions: [
        {
          kind: 'upload',
          path: '/usr/local/bin/k3s',
          mode: '0755',
          owner: 'root',
          source: { from: 'release', url },
        },
      ],
      after: { inUse: { newerThanStart: ['/usr/local/bin/k3s'] } },
    });
    expect(settled(k3sBinaryStep, all, view).verdict).toBe('unchanged');
  });

  it.each<[string, Case, RegExp]>([
    ['skipping a minor', { version: 'v1.31.1+k3s1', data: member }, /skip a minor/],
    ['going back a minor', { version: 'v1.34.1+k3s1', data: member }, /cannot go back/],
    ['a machine without a release', { machine: 'riscv64' }, /no binary for riscv64/],
    [
      'an airgap folder without it',
      { nodes: { vars: { airgap_dir: '/srv/airgap' } }, machine: 'aarch64', airgap: [file('k3s-amd64')] },
      /holds no k3s binary for arm64/,
    ],
  ])('is refused: %s', async (_name, given, because) => {
    const { plan } = await planned(given);
    expect(plan).toMatchObject({
      verdict: 'refuse',
      because: expect.stringMatching(because),
      fix: expect.stringMatching(/.{20}/),
    });
  });

  it.each([
    ['x86_64', ['k3s', 'k3s-arm64'], 'k3s'],
    ['x86_64', ['k3s', 'k3s-amd64'], 'k3s-amd64'],
    ['aarch64', ['k3s', 'k3s-arm64'], 'k3s-arm64'],
    ['armv7l', ['k3s', 'k3s-arm'], 'k3s-arm'],
  ])('out of an airgap folder is the one for %s (%j)', async (machine, names, chosen) => {
    const { plan } = await planned({
      nodes: { vars: { airgap_dir: '/srv/airgap' } },
      machine,
      airgap: names.map(file),
    });
    expect(plan).toMatchObject({ actions: [{ source: { from: 'file', path: `/srv/airgap/${chosen}` } }] });
  });

  it('is verified against the published sums, wherever it is fetched', async () => {
    expect((await planned({})).plan).toMatchObject({
      actions: [{ source: { sums: { url: `${release}/sha256sum-amd64.txt`, name: 'k3s' } } }],
    });
    const onNode = (await planned({ nodes: { vars: { binary_source: 'node' } } })).plan;
    expect(scriptsIn(onNode)).toMatch(
      /sha256sum-amd64\.txt[\s\S]*\[ "\$\{got%% \*\}" = "\$sum" \][\s\S]*mv -f "\$temporary" \/usr\/local\/bin\/k3s/,
    );
  });

  it('comes from a mirror where one is named', async () => {
    const { plan } = await planned({ nodes: { vars: { artifact_url: 'https://mirror.example.org/k3s/' } } });
    expect(plan).toMatchObject({
      actions: [{ source: { url: 'https://mirror.example.org/k3s/v1.33.4%2Bk3s1/k3s' } }],
    });
  });
});

describe('a binary that waits for its turn', () => {
  it('is brought beside what is installed, which stays', async () => {
    const { stage, needs, view } = await planned({ version: 'v1.33.1+k3s1', data: member });
    expect(stage).toMatchObject({
      verdict: 'change',
      actions: [{ kind: 'run' }, { kind: 'upload', path: waiting, mode: '0755' }],
    });
    expect(settled(k3sStageStep, needs, view).verdict).toBe('unchanged');
  });

  it('is put in place by a rename, newer than what runs, and nothing is sent', async () => {
    const { plan, stage } = await planned({ version: 'v1.33.1+k3s1', staged: 'v1.33.4+k3s1', data: member });
    expect(stage.verdict).toBe('unchanged');
    const [moved, ...labelled] = scriptsIn(plan).split('\n');
    expect(moved).toBe(
      `touch ${waiting} && mv -f ${waiting} /usr/local/bin/k3s && rm -rf /usr/local/bin/.k3s-staged-by-fleet || exit 1`,
    );
    // A rename keeps the label that SELinux goes by, and in the place where it waits that is another one.
    expect(labelled.join('\n')).toMatch(/selinux\/enforce .*restorecon \/usr\/local\/bin\/k3s; fi$/);
  });

  it('is removed where the upgrade it came for was taken back', async () => {
    const { stage, needs, view } = await planned({ version: 'v1.33.4+k3s1', staged: 'v1.34.1+k3s1' });
    expect(scriptsIn(stage)).toBe('rm -rf /usr/local/bin/.k3s-staged-by-fleet');
    expect(settled(k3sStageStep, needs, view).verdict).toBe('unchanged');
    expect((await planned({ version: 'v1.33.4+k3s1' })).stage.verdict).toBe('unchanged');
  });

  it('of the same version but from elsewhere is another file, and replaced', async () => {
    const vars = { artifact_url: 'https://mirror.example/k3s' };
    const { stage } = await planned({
      nodes: { vars },
      version: 'v1.33.1+k3s1',
      staged: 'v1.33.4+k3s1',
      data: member,
    });
    expect(stage).toMatchObject({ verdict: 'change', actions: [{ kind: 'run' }, { kind: 'upload' }] });
  });

  it('of another release is replaced', async () => {
    const { plan, stage } = await planned({ version: 'v1.33.1+k3s1', staged: 'v1.33.2+k3s1', data: member });
    expect(stage).toMatchObject({ verdict: 'change', actions: [{ kind: 'run' }, { kind: 'upload' }] });
    expect(plan).toMatchObject({
      verdict: 'change',
      actions: [{ kind: 'upload', path: '/usr/local/bin/k3s' }],
    });
  });

  it('is refused before anything is sent where a minor version would be skipped', async () => {
    const { stage } = await planned({ version: 'v1.31.1+k3s1', data: member });
    expect(stage).toMatchObject({
      verdict: 'refuse',
      because: expect.stringMatching(/skip a minor version/),
    });
  });
});
