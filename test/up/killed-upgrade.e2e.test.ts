import pLimit from 'p-limit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StampedEvent } from '../../src/engine/event.ts';
import { ofKind } from './fleet-cli.ts';
import { on, remains } from './lab.ts';
import { momentAt, randomShares, seed } from './random-moments.ts';
import { startUpgradeLab, type UpgradeLab } from './upgrade-lab.ts';

/** fleet dies in the middle of an upgrade, and so does the next run: nothing is torn in two, and the third brings it to its end. */

const releases = ['v1.33.4+k3s1', 'v1.33.5+k3s1'] as const;
/** Two for each upgrade. */
const moments = 20;
const shares = randomShares(moments);
const upgrades = shares
  .slice(0, moments / 2)
  .map((share, index) => [share, shares[index + moments / 2] ?? 1]);
/** Two clusters side by side: more would only wait for each other on a small machine. */
const lanes = 2;

/** Nodes are cordoned on the way, and there are no pods that take their time. */
const vars = {
  drain: 'all',
  extra_server_args: '--disable=coredns,local-storage,metrics-server,servicelb,traefik',
};

describe(`kill -9 while a cluster is upgraded (FLEET_TEST_SEED=${seed})`, () => {
  const labs: UpgradeLab[] = [];
  let timeline: readonly StampedEvent[];
  /** The sum of each release's binary. */
  const sums: Record<string, string> = {};

  beforeAll(async () => {
    const started = Array.from({ length: lanes }, () =>
      startUpgradeLab({ servers: 1, agents: 1, vars }, releases),
    );
    for (const lab of started) labs.push(await lab);
    await Promise.all(labs.map((lab) => lab.cli.up()));
    sums[releases[0]] = await binarySum(labs[0], 'server-1');
    for (const lab of labs) {
      await lab.write({ k3s_version: releases[1] });
      timeline = (await lab.cli.up()).events;
    }
    sums[releases[1]] = await binarySum(labs[0], 'server-1');
    expect(sums[releases[0]], 'which release it is').not.toBe(sums[releases[1]]);
  });

  afterAll(async () => {
    for (const lab of labs) await lab.stop();
  });

  async function binarySum(lab: UpgradeLab | undefined, name: string): Promise<string> {
    if (lab === undefined) throw new Error('there is no such cluster');
    return on(lab, name, 'sha256sum < /usr/local/bin/k3s');
  }

  const free = [...Array(lanes).keys()];
  const limit = pLimit(lanes);

  test.concurrent.each(upgrades.map((killed, index) => [index + 1, killed] as const))(
    'upgrade %i of 10, killed twice: up heals',
    async (_number, killed) =>
      limit(async () => {
        const lane = free.pop() ?? 0;
        const lab = labs[lane];
        if (lab === undefined) throw new Error('there is a cluster in every lane');
        try {
          await killAndHeal(lab, killed);
        } finally {
          free.push(lane);
        }
      }),
  );

  /** From the release that runs to the other one; it is the same minor, so that both ways are open. */
  async function killAndHeal(lab: UpgradeLab, killed: readonly number[]): Promise<void> {
    const old = (await lab.versions())['server-1'];
    const target = releases.find((release) => release !== old) ?? releases[0];
    await lab.write({ k3s_version: target });
    const moments = killed.map((share) => momentAt(timeline, share));
    const where = `to ${target}, killed ${moments.map(({ words }) => words).join(', and then ')}`;
    for (const { reached } of moments) {
      const running = lab.cli.start(['up', '--yes', '--output', 'json']);
      await reached(running);
      running.kill('SIGKILL');
      const { code, events } = await running.ended;
      if (ofKind(events, 'run-finished').length === 0) expect(code, where).toBeNull();
      for (const { name } of lab.nodes.nodes) {
        expect(Object.values(sums), `${name}, ${where}`).toContain(await binarySum(lab, name));
      }
    }
    await lab.cli.up();
    expect(await lab.versions(), where).toEqual({ 'server-1': target, 'agent-1': target });
    expect(await lab.cordoned(), where).toEqual([]);
    for (const node of lab.nodes.nodes) {
      expect(await binarySum(lab, node.name), `${node.name}, ${where}`).toBe(sums[target]);
      expect(await remains(lab, node), `${node.name}, ${where}`).toEqual([]);
      const staged = await on(lab, node, 'ls -A /usr/local/bin | grep staged || true');
      expect(staged, `${node.name}, ${where}`).toBe('');
    }
  }
});
