import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { snapshotDifferences } from '../fleet/filesystem-snapshot.ts';
import { type Ended, endedAs, ofKind } from './fleet-cli.ts';
import { clusterNodes, on, remains, serviceStarts } from './lab.ts';
import { startUpgradeLab, type UpgradeLab } from './upgrade-lab.ts';

/** Releases come from where they are published, checked against the published sums; another k3s_version is an upgrade. */

const old = 'v1.33.4+k3s1';
const next = 'v1.33.5+k3s1';

describe('one server and an agent, root logged in, releases from a server', () => {
  let lab: UpgradeLab;

  beforeAll(async () => {
    lab = await startUpgradeLab({ servers: 1, agents: 1 }, [old, next], {
      stable: old,
      latest: next,
      'v1.33': next,
    });
  });

  afterAll(async () => {
    await lab?.stop();
  });

  /** How often a file of a release was sent. */
  const sent = (name: string): number =>
    lab.releases.requests.filter(
      (request) => request.path.startsWith('/objects/') && request.path.endsWith(name),
    ).length;

  test('the first up fetches the release once, for both nodes', async () => {
    await lab.cli.up();
    expect(await lab.versions()).toEqual({ 'server-1': old, 'agent-1': old });
    expect(sent(`/${old}/k3s`)).toBe(1);
    expect(lab.releases.requests.filter(({ path: asked }) => asked === '/install.sh').length).toBe(1);
    // By this machine, not by the nodes.
    const from = new Set(lab.releases.requests.map((request) => request.from));
    expect(lab.nodes.nodes.some(({ address }) => from.has(address))).toBe(false);
    await lab.cli.plan({ expect: 0 });
  });

  describe('the published sums are not those of the files', () => {
    test.each([
      ['fetched by this machine', 'control', 'DOWNLOAD_DAMAGED'],
      ['fetched by the nodes', 'node', 'COMMAND_FAILED'],
    ])('%s: refused, and nothing is changed', async (_who, source, code) => {
      const look = async () =>
        Promise.all(
          lab.nodes.nodes.map(async (node) => ({
            services: await serviceStarts(lab, node),
            files: await lab.nodes.snapshotFilesystem(node, ['/etc', '/usr/local', '/root', '/home']),
          })),
        );
      const before = await look();
      lab.releases.inject({ match: /sha256sum/, fault: { kind: 'wrong-sums' } });
      await lab.write({ k3s_version: next, binary_source: source });
      const up = await lab.cli.up({ expect: 1 });
      lab.releases.heal();
      const failed = ofKind(up.events, 'host-failed');
      expect(failed.map(({ host, error }) => [host, error.code]).sort()).toEqual([
        ['agent-1', code],
        ['server-1', code],
      ]);
      for (const { error } of failed) expect(error.message).toMatch(/sha256/);
      expect(endedAs(up.events, 'changed')).toEqual([]);
      const after = await look();
      for (const [index, { services, files }] of before.entries()) {
        expect(after[index]?.services).toEqual(services);
        const moved = snapshotDifferences(files, after[index]?.files ?? new Map());
        // A file came beside the binary and went again.
        expect(
          moved.filter((line) => !/^[~+] \/usr\/local\/bin(\/\.k3s-staged-by-fleet)? \(/.test(line)),
        ).toEqual([]);
      }
      expect(await lab.versions()).toEqual({ 'server-1': old, 'agent-1': old });
      const cache = path.join(lab.cli.home, '.cache', 'fleet', 'sha256');
      expect((await readdir(cache)).length).toBe(1);
    });
  });

  describe('a channel', () => {
    test('is looked up once in a run, and the plan says what it stands for', async () => {
      await lab.write({ k3s_version: 'latest' });
      const asked = lab.releases.requests.filter(({ path: what }) => what.includes('/channels')).length;
      const plan = await lab.cli.run(['plan'], { expect: 2 });
      expect(plan.stdout).toContain(`${old} is installed, ${next} is wanted`);
      expect(lab.releases.requests.filter(({ path: what }) => what.includes('/channels')).length).toBe(
        asked + 1,
      );
    });

    test('that stands for what runs changes nothing', async () => {
      await lab.write({ k3s_version: 'stable' });
      await lab.cli.plan({ expect: 0 });
    });

    test('that nobody publishes is refused by name', async () => {
      await lab.write({ k3s_version: 'v1.29' });
      const up = await lab.cli.up({ expect: 1 });
      expect(ofKind(up.events, 'host-failed')[0]).toMatchObject({ error: { code: 'CHANNEL_UNKNOWN' } });
      expect(ofKind(up.events, 'host-failed')[0]?.error.message).toContain('v1.29');
      expect(endedAs(up.events, 'changed')).toEqual([]);
    });
  });

  test('the disk fills up while the data is saved: the server goes on as it was, and so does the agent', async () => {
    const before = await Promise.all(lab.nodes.nodes.map((node) => serviceStarts(lab, node)));
    // A disk that has room until it is written to.
    const copies = '/var/lib/rancher/k3s/server/fleet-copies';
    await on(lab, 'server-1', `mkdir ${copies} && mount -t tmpfs -o size=4k tmpfs ${copies}`);
    await lab.write({ k3s_version: next });
    const up = await lab.cli.up({ expect: 1 });
    await on(lab, 'server-1', `umount ${copies} && rmdir ${copies}`);
    const failed = ofKind(up.events, 'host-failed');
    expect(failed.map(({ host, error }) => [host, error.step])).toEqual([['server-1', 'k3s_saved_before']]);
    expect(failed[0]?.error.message).toMatch(/failed with exit status[\s\S]*\b0 KiB are free for it/);
    expect(await lab.versions()).toEqual({ 'server-1': old, 'agent-1': old });
    expect(await lab.cordoned()).toEqual([]);
    expect(await Promise.all(lab.nodes.nodes.map((node) => serviceStarts(lab, node)))).toEqual(before);
    for (const node of lab.nodes.nodes) {
      expect(await remains(lab, node), node.name).toEqual([]);
      await on(lab, node, 'rm -r /usr/local/bin/.k3s-staged-by-fleet');
    }
  });

  describe('k3s_version is edited', () => {
    let up: Ended;
    let before: Map<string, Readonly<Record<string, string>>>;

    beforeAll(async () => {
      before = new Map();
      for (const node of lab.nodes.nodes) before.set(node.name, await serviceStarts(lab, node));
      await lab.write({ k3s_version: next });
      up = await lab.cli.up();
    });

    test('the server first, then the agent, each with its new binary and one restart', async () => {
      const changed = endedAs(up.events, 'changed');
      // The release is on both before either is touched.
      expect(changed.slice(0, 2).sort()).toEqual([
        'agent-1: k3s release is here',
        'server-1: k3s release is here',
      ]);
      expect(changed.slice(2)).toEqual([
        'server-1: A way back for the data',
        'server-1: k3s binary',
        'server-1: k3s runs with what is on disk',
        'server-1: What now runs well is kept',
        'agent-1: k3s binary',
        'agent-1: k3s runs with what is on disk',
        'agent-1: What now runs well is kept',
      ]);
      for (const { name } of lab.nodes.nodes) {
        const now = await serviceStarts(lab, lab.nodes.node(name));
        const restarted = Object.keys(now).filter((unit) => now[unit] !== before.get(name)?.[unit]);
        expect(restarted, name).toEqual([name === 'server-1' ? 'k3s.service' : 'k3s-agent.service']);
      }
    });

    test('both nodes run it, and are Ready', async () => {
      const nodes = await clusterNodes(lab.cli);
      expect(nodes).toMatchObject({
        'server-1': { ready: true, cordoned: false, version: next },
        'agent-1': { ready: true, cordoned: false, version: next },
      });
      expect(sent(`/${next}/k3s`)).toBeGreaterThan(0);
      for (const node of lab.nodes.nodes) {
        expect(await on(lab, node, 'k3s --version | head -n 1'), node.name).toContain(next);
      }
    });

    test('and up again has nothing to do', async () => {
      const again = await lab.cli.up();
      expect(endedAs(again.events, 'changed')).toEqual([]);
    });
  });
});
