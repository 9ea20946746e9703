import { createHash, randomBytes } from 'node:crypto';
import { appendFile, copyFile, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StampedEvent } from '../../src/engine/event.ts';
import { airgapFolder, k3sArtifacts } from '../fleet/k3s-artifacts.ts';
import { type ReleaseServer, startReleaseServer } from '../fleet/release-server.ts';
import { type Ended, endedAs, ofKind } from '../up/fleet-cli.ts';
import { clusterNodes, type Lab, on, remains, serviceStarts, startLab } from '../up/lab.ts';
import { buildPolicyPackages, enforceSelinux } from './policy-packages.ts';
import { machines, program } from './releases-folder.ts';

/** A folder carries a cluster: what is wrong with it is told before anything is sent, and what broke off is gone on with. */

const old = 'v1.33.4+k3s1';
const next = 'v1.33.5+k3s1';
const images = '/var/lib/rancher/k3s/agent/images';
const ownBytes = 24 * 1024 * 1024;

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

const policy = ['selinux-policy-38', 'container-selinux-2.2', 'k3s-selinux-1.6'].map(
  (name) => `${name}-1.el9.noarch.rpm`,
);

describe('a Debian server, a Rocky and an openSUSE agent, and a folder', () => {
  let lab: Lab;
  let releases: ReleaseServer;
  /** A copy that a test may spoil. */
  let folder: string;
  /** Where the policy's packages are that the Rocky node, which enforces SELinux as far as anybody can see, needs. */
  let packages: string;
  const own = randomBytes(ownBytes);

  beforeAll(async () => {
    const artifacts = await k3sArtifacts([old, next]);
    lab = await startLab({
      servers: 1,
      agents: 2,
      family: ['debian', 'rocky', 'opensuse'],
      vars: { k3s_version: old },
    });
    packages = await buildPolicyPackages(lab.nodes, lab.nodes.node('agent-1'));
    await enforceSelinux(lab.nodes, lab.nodes.node('agent-1'));
    folder = path.join(lab.nodes.directory, 'carried');
    await cp(await airgapFolder(artifacts, old), folder, { recursive: true });
    await writeFile(path.join(folder, 'own.tar'), own);
    for (const name of policy) await copyFile(path.join(packages, name), path.join(folder, name));
    releases = await startReleaseServer({ artifacts, https: true });
  });

  afterAll(async () => {
    await releases?.stop();
    await lab?.stop();
  });

  const write = (vars: Readonly<Record<string, unknown>>): Promise<string> =>
    lab.nodes.writeInventory({ airgap_dir: folder, k3s_version: old, ...vars });

  /** A copy of the folder, spoilt. */
  const spoilt = async (spoil: (at: string) => Promise<void>): Promise<string> => {
    const copy = path.join(lab.nodes.directory, 'spoilt');
    await rm(copy, { recursive: true, force: true });
    await cp(folder, copy, { recursive: true });
    await spoil(copy);
    return copy;
  };

  const untouched = async (): Promise<void> => {
    for (const node of lab.nodes.nodes)
      expect(
        await on(lab, node, 'ls -A /var/lib/rancher /usr/local/bin /etc/rancher 2>/dev/null || true'),
      ).toBe('/usr/local/bin:');
  };

  const isRefused = async (vars: Readonly<Record<string, unknown>>, because: RegExp): Promise<void> => {
    await write(vars);
    const up = await lab.cli.up({ expect: 1 });
    const failed = ofKind(up.events, 'host-failed');
    expect(failed.map(({ error }) => error.message).join('\n')).toMatch(because);
    expect(endedAs(up.events, 'changed')).toEqual([]);
  };

  describe('is refused before anything is changed', () => {
    test.each<[string, (at: string) => Promise<void>, Readonly<Record<string, unknown>>, RegExp]>([
      [
        'without the policy for a node that enforces SELinux',
        (at) => rm(path.join(at, policy[2] ?? '')),
        {},
        /cannot serve agent-1: k3s-selinux-\*\.rpm for Rocky .* is missing, which a node that enforces SELinux needs/,
      ],
      [
        'with a damaged binary',
        (at) => appendFile(path.join(at, 'k3s'), 'x'),
        {},
        /cannot serve server-1: k3s has sha256 \w+, sha256sum-amd64\.txt says/,
      ],
      [
        'for another version',
        async () => {},
        { k3s_version: next },
        /k3s is v1\.33\.4\+k3s1, not v1\.33\.5\+k3s1/,
      ],
      [
        'with a binary for another processor and no install script',
        async (at) => {
          await writeFile(path.join(at, 'k3s'), program(machines.arm64, old));
          for (const name of ['sha256sum-amd64.txt', 'k3s-install.sh', 'install.sh'])
            await rm(path.join(at, name));
        },
        {},
        /k3s is a program for arm64, not for amd64; k3s-install\.sh, the install script, is missing/,
      ],
    ])('%s', async (_what, spoil, vars, because) => {
      await isRefused({ airgap_dir: await spoilt(spoil), ...vars }, because);
      await untouched();
    });

    test('with less room on a node than it needs', async () => {
      await on(lab, 'agent-1', `mkdir -p ${images} && mount -t tmpfs -o size=10m none ${images}`);
      await isRefused(
        {},
        /cannot serve agent-1: .* need \d+ MiB in .*agent\/images, and 10(\.0)? MiB are free/,
      );
      await on(lab, 'agent-1', `umount ${images} && rm -r /var/lib/rancher`);
      await untouched();
    });
  });

  /** When so much of the large file has been sent to a node. */
  const isSent = (host: string, bytes: number) => (event: StampedEvent) =>
    event.kind === 'task-progress' &&
    event.host === host &&
    event.text.endsWith('own.tar') &&
    (event.done ?? 0) > bytes;

  test('a disk that fills up in the middle ends the run before k3s is touched anywhere, and keeps nothing', async () => {
    await write({ upload_rate: '12M', airgap_spread: 'off' });
    await on(lab, 'agent-2', `mkdir -p ${images} && mount -t tmpfs -o size=120m none ${images}`);
    const running = lab.cli.start(['up', '--yes', '--output', 'json']);
    await running.until(isSent('agent-2', ownBytes / 8));
    await on(lab, 'agent-2', `cat /dev/zero > ${images}/filler 2>/dev/null || true`);
    const { code, events } = await running.ended;
    expect(code).toBe(1);
    expect(ofKind(events, 'host-failed').map(({ host, error }) => [host, error.message])).toContainEqual([
      'agent-2',
      expect.stringMatching(/own\.tar could not be written: .*No space left on device/),
    ]);
    expect(await on(lab, 'agent-2', `ls -A ${images}`)).not.toMatch(/own/);
    for (const node of lab.nodes.nodes) {
      expect(await on(lab, node, 'ls -A /usr/local/bin /etc/rancher 2>/dev/null || true')).not.toMatch(/k3s/);
    }
    await on(lab, 'agent-2', `umount ${images}`);
    for (const node of lab.nodes.nodes) await on(lab, node, 'rm -rf /var/lib/rancher');
  });

  test('a push that is cut ten times at random is gone on with at the byte', async () => {
    await write({ upload_rate: '12M', airgap_spread: 'off' });
    const running = lab.cli.start(['up', '--yes', '--output', 'json']);
    // One in each tenth, so that what was sent between three of them is something.
    const cuts = Array.from({ length: 10 }, (_, tenth) => ((tenth + Math.random()) * ownBytes) / 11);
    let reached = 0;
    // On the node itself: a slow machine takes longer to start a program there than a tenth takes to arrive.
    await on(
      lab,
      'agent-1',
      `size=0
for cut in ${cuts.map(Math.round).join(' ')}; do
  [ "$cut" -gt $((size + 1048576)) ] || cut=$((size + 1048576))
  until [ "$size" -ge "$cut" ] || [ -e ${images}/own.tar ]; do
    sleep 0.02; size=$(stat -c %s ${images}/.fleet-own.tar-*.part 2> /dev/null) || size=0
  done
  pkill -KILL -f '^sshd: (debian|root)' || true
done`,
    );
    const done = await running.ended;
    expect(done.code, `cut at ${cuts.join(', ')}: ${done.stderr}`).toBe(0);
    const progress = ofKind(done.events, 'task-progress').filter(
      ({ host, text }) => host === 'agent-1' && text.endsWith('own.tar'),
    );
    // What was sent twice is what was under way when the connection broke.
    for (const { done: at = 0 } of progress) {
      expect(at).toBeGreaterThan(reached - 4 * 1024 * 1024);
      reached = Math.max(reached, at);
    }
    expect(ofKind(done.events, 'host-lost').length).toBeGreaterThanOrEqual(10);
    for (const node of lab.nodes.nodes) {
      expect((await on(lab, node, `sha256sum < ${images}/own.tar`)).split(' ')[0]).toBe(sha256(own));
      expect(await on(lab, node, `ls -A ${images} /usr/local/bin | grep '^\\.' || true`)).toBe('');
      expect(await remains(lab, node)).toEqual([]);
    }
    expect(await clusterNodes(lab.cli)).toMatchObject({
      'agent-1': { ready: true, version: old },
      'agent-2': { ready: true, version: old },
    });
    expect(await on(lab, 'agent-1', 'rpm -q k3s-selinux container-selinux')).toBe(
      'k3s-selinux-1.6-1.el9.noarch\ncontainer-selinux-2.2-1.el9.noarch',
    );
    expect(await on(lab, 'agent-2', 'rpm -q k3s-selinux || true')).toMatch(/not installed/);
  });

  test('up again sends nothing and changes nothing', async () => {
    await write({});
    const before = await on(lab, 'agent-1', `ls -la --time-style=full-iso ${images}`);
    const again = await lab.cli.up();
    expect(endedAs(again.events, 'changed')).toEqual([]);
    expect(await on(lab, 'agent-1', `ls -la --time-style=full-iso ${images}`)).toBe(before);
  });

  test('a change of configuration restarts the server and sends nothing', async () => {
    const [server, agent] = lab.nodes.nodes;
    if (server === undefined || agent === undefined) throw new Error('no nodes');
    const before = await serviceStarts(lab, agent);
    await write({ server_config_yaml: 'node-label: [floor=one]\n' });
    const up = await lab.cli.up();
    expect(endedAs(up.events, 'changed')).not.toEqual([]);
    expect(endedAs(up.events, 'changed').filter((task) => /images|release|agent-1/.test(task))).toEqual([]);
    expect(await serviceStarts(lab, agent)).toEqual(before);
  });

  describe('with a bundle of two releases that was pulled', () => {
    let bundle: string;
    let up: Ended;

    beforeAll(async () => {
      bundle = path.join(lab.nodes.directory, 'bundle');
      await lab.cli.run(
        [
          ...[
            'airgap',
            'pull',
            '--version',
            `${old},${next}`,
            '--out',
            bundle,
            '--ca-file',
            releases.caFile ?? '',
          ],
          ...[
            '--artifact-url',
            `${releases.releasesUrl}/download`,
            '--install-script',
            releases.installScriptUrl,
          ],
        ],
        { expect: 0, inventory: null },
      );
      await mkdir(path.join(bundle, 'images'));
      await cp(path.join(folder, 'own.tar'), path.join(bundle, 'images', 'site.tar'));
      await on(lab, 'agent-1', `echo theirs > ${images}/theirs.tar`);
    });

    test('that was tampered with, nothing is changed', async () => {
      const zst = path.join(bundle, next, 'k3s-airgap-images-amd64.tar.zst');
      const right = await readFile(zst);
      await appendFile(zst, 'x');
      await isRefused(
        { airgap_dir: bundle, k3s_version: next },
        /tar\.zst has sha256 \w+, bundle\.json says/,
      );
      await writeFile(zst, right);
    });

    test('for a version that is not in it, nothing is changed', async () => {
      await isRefused(
        { airgap_dir: bundle, k3s_version: 'v1.33.9+k3s1' },
        /a bundle for .*, and k3s_version is v1\.33\.9/,
      );
    });

    test('an upgrade takes the newer one out of it, and old archives of ours go', async () => {
      await write({ airgap_dir: bundle, k3s_version: 'stable' });
      up = await lab.cli.up();
      expect(await clusterNodes(lab.cli)).toMatchObject({
        'server-1': { ready: true, version: next },
        'agent-1': { ready: true, version: next },
        'agent-2': { ready: true, version: next },
      });
      expect((await on(lab, 'agent-1', `cd ${images} && ls -A`)).split('\n')).toEqual([
        'k3s-airgap-images-amd64.tar.zst',
        'site.tar',
        'theirs.tar',
      ]);
      const sums = await Promise.all(
        [path.join(bundle, next, 'k3s-airgap-images-amd64.tar.zst')].map(async (file) =>
          sha256(await readFile(file)),
        ),
      );
      expect(await on(lab, 'agent-1', `sha256sum ${images}/k3s-*.zst`)).toContain(sums[0]);
      expect(endedAs(up.events, 'failed')).toEqual([]);
    });

    test('and up again has nothing to do', async () => {
      expect(endedAs((await lab.cli.up()).events, 'changed')).toEqual([]);
    });
  });
});
