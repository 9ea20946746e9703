import { createHash, randomBytes } from 'node:crypto';
import { appendFile, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { airgapFolder, k3sArtifacts } from '../fleet/k3s-artifacts.ts';
import { type ReleaseServer, startReleaseServer } from '../fleet/release-server.ts';
import { type Ended, endedAs, ofKind } from '../up/fleet-cli.ts';
import { clusterNodes, type Lab, on, remains, serviceStarts, startLab } from '../up/lab.ts';
import { machines, program } from './releases-folder.ts';

/** A folder carries a cluster: what is wrong with it is told before anything is sent, and what broke off is gone on with. */

const old = 'v1.33.4+k3s1';
const next = 'v1.33.5+k3s1';
const images = '/var/lib/rancher/k3s/agent/images';
const ownBytes = 24 * 1024 * 1024;

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

describe('one server and an agent, and a folder', () => {
  let lab: Lab;
  let releases: ReleaseServer;
  /** A copy that a test may spoil. */
  let folder: string;
  const own = randomBytes(ownBytes);

  beforeAll(async () => {
    const artifacts = await k3sArtifacts([old, next]);
    lab = await startLab({ servers: 1, agents: 1, vars: { k3s_version: old } });
    folder = path.join(lab.nodes.directory, 'carried');
    await cp(await airgapFolder(artifacts, old), folder, { recursive: true });
    await writeFile(path.join(folder, 'own.tar'), own);
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

  test('a push that is cut ten times over is gone on with at the byte', async () => {
    await write({ upload_rate: '12M' });
    const running = lab.cli.start(['up', '--yes', '--output', 'json']);
    let cuts = 0;
    let reached = 0;
    const cutAt = async (bytes: number): Promise<void> => {
      await running.until(
        (event) =>
          event.kind === 'task-progress' &&
          event.host === 'agent-1' &&
          event.text.endsWith('own.tar') &&
          (event.done ?? 0) > bytes,
      );
      await on(lab, 'agent-1', `pkill -KILL -f '^sshd: (debian|root)' || true`);
      cuts += 1;
    };
    for (let cut = 1; cut <= 10; cut += 1) await cutAt((cut * ownBytes) / 12);
    const done = await running.ended;
    expect(done.code, done.stderr).toBe(0);
    expect(cuts).toBe(10);
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
    expect(await clusterNodes(lab.cli)).toMatchObject({ 'agent-1': { ready: true, version: old } });
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
