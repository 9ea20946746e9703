import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FilesystemSnapshot, snapshotDifferences } from '../fleet/filesystem-snapshot.ts';
import { type Ended, type EventOf, ofKind, taskName } from './fleet-cli.ts';
import { type Lab, on, startLab } from './lab.ts';

/** The plan is the run: it changes nothing, and `up` then does what it announced. */

/** What of a machine is not in its files: what runs, what the kernel was told, what is mounted. */
const livingState = `systemctl list-units --all --plain --no-legend --type=service,socket,mount,timer | awk '{ print $1, $3, $4 }' | grep -v '^user'
sysctl -a 2> /dev/null | grep -E '^(net|vm\\.swappiness|fs\\.inotify)' | grep -vE 'stat|random|netdev_rss_key|conntrack_(count|buckets)|\\.tcp_fastopen_key|neigh\\.'
ls -A /run /tmp | grep -v '^motd.dynamic$'`;

type Finished = EventOf<'task-finished'>;

const changes = (ended: Ended, status: Finished['status']): ReadonlyMap<string, Finished> =>
  new Map(
    ofKind(ended.events, 'task-finished')
      .filter((event) => event.status === status)
      .map((event) => [taskName(event), event]),
  );

describe('three servers and an agent, never touched before', () => {
  let lab: Lab;
  let plan: Ended;
  let up: Ended;
  let before: { files: FilesystemSnapshot; living: string }[];
  let after: typeof before;

  const look = async () =>
    Promise.all(
      lab.nodes.nodes.map(async (node) => ({
        files: await lab.nodes.snapshotFilesystem(node),
        living: await on(lab, node, livingState),
      })),
    );

  beforeAll(async () => {
    lab = await startLab({ servers: 3, agents: 1 });
    before = await look();
    plan = await lab.cli.plan();
    after = await look();
    up = await lab.cli.up();
  });

  afterAll(async () => {
    await lab?.stop();
  });

  test('plan exits with 2: there is something to change', () => {
    expect({ code: plan.code, stderr: plan.stderr }).toEqual({ code: 2, stderr: '' });
    expect(ofKind(plan.events, 'run-started')[0]).toMatchObject({ command: 'plan', mode: 'plan' });
    expect(plan.events.at(-1)).toMatchObject({ kind: 'run-finished', status: 'would-change' });
  });

  test('it has changed no file of any node, and nothing else there', () => {
    for (const [index, { name }] of lab.nodes.nodes.entries()) {
      const was = before[index];
      const is = after[index];
      expect(was?.files.size, name).toBeGreaterThan(1000);
      expect(snapshotDifferences(was?.files ?? new Map(), is?.files ?? new Map()), name).toEqual([]);
      expect(is?.living, name).toBe(was?.living);
    }
  });

  test('here it has left nothing either: no journal, no kubeconfig', async () => {
    // What `up` left afterwards is its own: one journal, and that of an `up`.
    const journals = await lab.cli.journals();
    expect(journals.map((text) => JSON.parse(text.split('\n')[0] ?? '').command)).toEqual(['up']);
    expect(await readdir(lab.cli.folder)).toEqual(['.fleet']);
  });

  test('up does all that was announced, and nothing that was not', () => {
    const announced = changes(plan, 'would-change');
    const done = changes(up, 'changed');
    expect([...done.keys()].filter((name) => !announced.has(name))).toEqual([]);
    expect([...announced.keys()].filter((name) => !done.has(name))).toEqual([]);
  });

  test('by the very actions that were announced, with the very differences', () => {
    const done = changes(up, 'changed');
    const foreseen = [...changes(plan, 'would-change')].filter(([, event]) => event.knownAfterApply !== true);
    const said = ({ actions, diff }: Pick<Finished, 'actions' | 'diff'>) => ({ actions, diff });
    expect(foreseen.length).toBeGreaterThan(10);
    expect(Object.fromEntries(foreseen.map(([name, event]) => [name, said(event)]))).toEqual(
      Object.fromEntries(foreseen.map(([name]) => [name, said(done.get(name) ?? {})])),
    );
  });

  test('a plan says of a task that it depends on an earlier change only where it does', () => {
    const unknown = [...changes(plan, 'would-change').values()].filter((event) => event.knownAfterApply);
    // The token and the kubeconfig do not exist before the first server runs; nor can anybody be asked for its nodes.
    const steps = new Set([
      'k3s_membership',
      'k3s_install',
      'k3s_service',
      // What is kept is what that start runs with.
      'k3s_keep',
      'k3s_user_kubectl',
      'k3s_kubeconfig',
    ]);
    expect(unknown.filter(({ step }) => !steps.has(step)).map(taskName)).toEqual([]);
    const first = unknown.filter(({ host }) => host === 'server-1').map(({ step }) => step);
    expect(first.sort()).toEqual(['k3s_kubeconfig', 'k3s_user_kubectl']);
  });
});
