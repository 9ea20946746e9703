import pLimit from 'p-limit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StampedEvent } from '../../src/engine/event.ts';
import { endedAs, type FleetProcess, ofKind } from './fleet-cli.ts';
import { clusterNodes, type Lab, on, remains, startLab } from './lab.ts';
import { momentAt, randomShares, seed } from './random-moments.ts';

/** However a run is broken off, running again heals it. */

const token = 'unlikely-words-9Jx3';
const moments = 10;

const lab1 = { servers: 1, agents: 1, vars: { token } } as const;

/** What stands on a node of a healthy cluster: every path with its type, mode and owner. k3s' own files are k3s' business. */
async function paths(lab: Lab, name: string): Promise<string[]> {
  const listed = await on(
    lab,
    name,
    `find /etc /usr/local /home /root /opt /boot /var/lib/rancher/k3s/agent/images -printf '%y %m %U:%G %p\\n'`,
  );
  return listed.split('\n').sort();
}

/** Sums of the files that are fleet's alone, where they are there. A half-written one has another than the whole one. */
async function sums(lab: Lab, name: string): Promise<Map<string, string>> {
  const listed = await on(
    lab,
    name,
    `sha256sum /usr/local/bin/k3s /etc/rancher/k3s/config.yaml.d/* /var/lib/rancher/k3s/agent/images/* /home/debian/.bashrc 2> /dev/null; true`,
  );
  return new Map(
    listed.split('\n').flatMap((line) => {
      const [sum, file] = line.split(/ [ *]/);
      return sum && file ? [[file, sum] as const] : [];
    }),
  );
}

/** The files with the token in them that anybody on the node may read. */
async function readableByAll(lab: Lab, name: string): Promise<string> {
  const found = await on(
    lab,
    name,
    `cd / && runuser -u ops -- grep -rslF -D skip -e '${token}' etc run tmp var usr/local home root opt; true`,
  );
  return found;
}

async function expectHealthy(lab: Lab, where: string): Promise<void> {
  const nodes = await clusterNodes(lab.cli);
  expect(Object.keys(nodes).sort(), where).toEqual(['agent-1', 'server-1']);
  for (const node of Object.values(nodes))
    expect(node, where).toMatchObject({ ready: true, cordoned: false });
  for (const node of lab.nodes.nodes) {
    expect(await remains(lab, node), `${node.name}, ${where}`).toEqual([]);
  }
}

describe(`kill -9 (FLEET_TEST_SEED=${seed})`, () => {
  let timeline: readonly StampedEvent[];
  let whole: Map<string, string[]>;

  beforeAll(async () => {
    await using lab = await startLab(lab1);
    timeline = (await lab.cli.up()).events;
    whole = new Map();
    for (const { name } of lab.nodes.nodes) whole.set(name, await paths(lab, name));
  });

  // Two at a time: more would only wait for each other on a small machine.
  const lanes = pLimit(2);

  /** Kills an `up` on new nodes at a moment, and has another one heal what is left. */
  async function expectHealed(
    words: string,
    moment: (running: FleetProcess) => Promise<void>,
  ): Promise<void> {
    await using lab = await startLab(lab1);
    const running = lab.cli.start(['up', '--yes', '--output', 'json']);
    await moment(running);
    running.kill('SIGKILL');
    const killed = await running.ended;
    const where = `killed ${words}`;
    if (ofKind(killed.events, 'run-finished').length === 0) expect(killed.code, where).toBeNull();

    const broken = new Map<string, Map<string, string>>();
    for (const { name } of lab.nodes.nodes) {
      expect(await readableByAll(lab, name), `${name}, ${where}`).toBe('');
      broken.set(name, await sums(lab, name));
    }
    const healed = await lab.cli.up();
    expect(endedAs(healed.events, 'failed', 'skipped'), where).toEqual([]);
    await expectHealthy(lab, where);
    for (const { name } of lab.nodes.nodes) {
      expect(await paths(lab, name), `${name}, ${where}`).toEqual(whole.get(name));
      const mended = await sums(lab, name);
      // .bashrc was there before; everything else was either not there yet, or whole.
      for (const [file, sum] of broken.get(name) ?? []) {
        if (!file.endsWith('.bashrc')) expect(sum, `${file} of ${name}, ${where}`).toBe(mended.get(file));
      }
    }
    const plan = await lab.cli.plan();
    expect({ code: plan.code, left: endedAs(plan.events, 'would-change') }, where).toEqual({
      code: 0,
      left: [],
    });
  }

  test.concurrent.each(randomShares(moments).map((share, index) => [index + 1, share] as const))(
    'at moment %i: running again heals',
    async (_number, share) =>
      lanes(async () => {
        const { words, reached } = momentAt(timeline, share);
        await expectHealed(words, reached);
      }),
  );

  test.concurrent('in the middle of sending the binary: running again heals', async () =>
    lanes(() =>
      expectHealed('in the middle of sending the binary', async (running) => {
        const isSending = (event: StampedEvent): boolean =>
          event.kind === 'task-progress' && event.step === 'k3s_stage' && event.done !== event.total;
        await running.until(isSending);
      }),
    ));
});

describe('Ctrl-C', () => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await startLab(lab1);
  });

  afterAll(async () => {
    await lab?.stop();
  });

  test('in the middle of an installation: it is finished, nothing new begins, and it says where it stopped', async () => {
    const running = lab.cli.start(['up', '--yes']);
    await running.untilSaid(/^server-1: Unit, environment and scripts: /m);
    running.kill('SIGINT');
    const { code, stderr } = await running.ended;
    expect(code, stderr).toBe(130);
    const [, rest = ''] = stderr.split('Stopping: what runs is finished first.');
    expect(rest).toMatch(/server-1: Unit, environment and scripts/);
    expect(rest).toMatch(/^Interrupted; run again to go on from there/m);
    expect(stderr).not.toMatch(/server-1: k3s runs with what is on disk: k3s: /);
    expect(
      await on(lab, 'server-1', 'ls /usr/local/bin/k3s-uninstall.sh && systemctl is-active k3s || true'),
    ).toBe('/usr/local/bin/k3s-uninstall.sh\ninactive');
    expect(await on(lab, 'server-1', 'stat -c %a /etc/systemd/system/k3s.service.env')).toBe('600');
    for (const node of lab.nodes.nodes) expect(await remains(lab, node), node.name).toEqual([]);
  });

  test('while it waits for a node: the run resumes where it was, and ends at once', async () => {
    const running = lab.cli.start(['up', '--yes', '--output', 'json']);
    const isWaiting = (event: StampedEvent): boolean =>
      event.kind === 'task-waiting' && event.host === 'agent-1';
    await running.until(isWaiting);
    running.kill('SIGINT');
    const { code, events, stderr } = await running.ended;
    expect(code, stderr).toBe(130);
    // What the first run had done was found done.
    expect(endedAs(events, 'changed')).toContain('server-1: k3s runs with what is on disk');
    expect(endedAs(events, 'changed')).not.toContain('server-1: k3s binary');
    expect(ofKind(events, 'interrupted')).toMatchObject([
      { running: ['agent-1: k3s runs with what is on disk'] },
    ]);
    expect(events.at(-1)).toMatchObject({ kind: 'run-finished', status: 'interrupted' });
    for (const node of lab.nodes.nodes) expect(await remains(lab, node), node.name).toEqual([]);
  });

  test('the next run brings it to its end', async () => {
    const healed = await lab.cli.up();
    const changed = endedAs(healed.events, 'changed');
    expect(changed.filter((name) => name.startsWith('server-1: k3s'))).toEqual([]);
    await expectHealthy(lab, 'after two interruptions');
    await lab.cli.plan({ expect: 0 });
  });

  test('before anything has begun: 130, and nothing is changed', async () => {
    const running = lab.cli.start(['up', '--yes', '--output', 'json']);
    await running.until(({ kind }) => kind === 'run-started');
    running.kill('SIGINT');
    const { code, events } = await running.ended;
    expect(code).toBe(130);
    expect(endedAs(events, 'changed')).toEqual([]);
  });
});
