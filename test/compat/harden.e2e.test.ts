import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeFleet, startNodes } from '../fleet/nodes.ts';
import { endState } from './end-state.ts';
import { playWithFleet } from './harden.ts';

let nodes: FakeFleet;

beforeAll(async () => {
  nodes = await startNodes({ servers: 1 });
});

afterAll(async () => {
  await nodes?.stop();
});

test('a playbook of 77 steps hardens a Debian host, and the second run changes nothing', async () => {
  const [node] = nodes.nodes;
  if (node === undefined) throw new Error('no node');
  const first = await playWithFleet(nodes.inventoryPath, node.name);
  expect(first.code, first.printed).toBe(0);
  expect(first.changed).toBeGreaterThan(50);
  const state = await endState(nodes, node);
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
    expect(state).toContain(line);
  }
  const second = await playWithFleet(nodes.inventoryPath, node.name);
  expect(second.code, second.printed).toBe(0);
  expect(second.changes).toEqual([]);
  expect(await endState(nodes, node)).toEqual(state);
});
