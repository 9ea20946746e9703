import { existsSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startNodesWithPython } from '../../bench/nodes-with-python.ts';
import { type FakeFleet, type FakeNode, startNodes } from '../fleet/nodes.ts';
import { type EndState, endState, endStateDifferences } from './end-state.ts';
import { fetchPackages, type PlayOutcome, playWithAnsible, playWithFleet } from './harden.ts';

/** Where there is an Ansible with its collections (Debian: apt-get install ansible), it does the same on a node beside ours. */
const hasAnsible = ['/usr/bin/ansible-playbook', '/usr/bin/ansible-community'].every((file) =>
  existsSync(file),
);

let nodes: FakeFleet;

beforeAll(async () => {
  nodes = hasAnsible ? await startNodesWithPython(2) : await startNodes({ servers: 1 });
  await fetchPackages(nodes);
});

afterAll(async () => {
  await nodes?.stop();
});

function expectDone(outcome: PlayOutcome): void {
  expect(outcome.code, outcome.printed).toBe(0);
  expect(outcome.failed, outcome.printed).toBe(0);
}

async function inTwoRuns(
  play: (inventory: string, limit: string) => Promise<PlayOutcome>,
  node: FakeNode | undefined,
): Promise<EndState> {
  if (node === undefined) throw new Error('no node');
  const first = await play(nodes.inventoryPath, node.name);
  expectDone(first);
  expect(first.changed).toBeGreaterThan(40);
  const state = await endState(nodes, node);
  const second = await play(nodes.inventoryPath, node.name);
  expectDone(second);
  expect(second.changes).toEqual([]);
  expect(await endState(nodes, node)).toEqual(state);
  return state;
}

test("a playbook of 77 steps hardens a Debian host, the second run changes nothing, and the end state is Ansible's", async () => {
  const [ours, theirs] = await Promise.all([
    inTwoRuns(playWithFleet, nodes.nodes[0]),
    hasAnsible ? inTwoRuns(playWithAnsible, nodes.nodes[1]) : undefined,
  ]);
  for (const line of [
    'path /etc/sudoers.d/admins f 440 root:root ',
    'path /etc/app/secret f 400 app:app ',
    'path /srv/scratch d 1777 root:root ',
    'unit app-tick.timer active enabled',
    'unit cron active enabled',
    'sshd maxauthtries 4',
    'sshd x11forwarding no',
    'group admins:x:2001:alice,bert',
  ]) {
    expect(ours).toContain(line);
  }
  if (theirs === undefined) return;
  expect(ours.length).toBeGreaterThan(1000);
  expect(endStateDifferences(ours, theirs)).toEqual({ onlyLeft: [], onlyRight: [] });
});
