import { expect, test } from 'vitest';
import { parse } from 'yaml';
import type { Iptables } from '../../src/facts/iptables.ts';
import type { NodeRoutes } from '../../src/facts/node-routes.ts';
import { k3sMembershipStep } from '../../src/steps/k3s-membership.ts';
import { type AnyPlan, decided, nodesOf, writtenBy } from '../k3s/inventory-of.ts';

/** What a node is told of its address, its iptables and its swap, in fleet's own part of the configuration. */

const path = '/etc/rancher/k3s/config.yaml.d/90-fleet.yaml';
const folder = { type: 'directory', mode: '0755', owner: 'root', group: 'root' };
const isFile = { type: 'file', mode: '0600', owner: 'root', group: 'root' };
const eth0 = { interface: 'eth0', address: '203.0.113.7' };
const eth1 = { interface: 'eth1', address: '10.0.1.1' };
const usual: NodeRoutes = {
  candidates: [eth0],
  usual: eth0,
  asUsual: [],
  hasDefault: true,
  toOthers: [eth0],
};
const apart: NodeRoutes = {
  candidates: [eth0, eth1],
  usual: eth0,
  asUsual: [],
  hasDefault: true,
  toOthers: [eth1],
};
const unclear: NodeRoutes = {
  candidates: [eth0, eth1],
  usual: eth0,
  asUsual: [],
  hasDefault: true,
  toOthers: [eth0, eth1],
};

async function told(
  routes: NodeRoutes,
  vars: Record<string, unknown> = {},
  more: { state?: string; onDisk?: string; iptables?: Iptables } = {},
): Promise<AnyPlan> {
  const { onDisk, state = 'absent' } = more;
  const file = onDisk === undefined ? undefined : isFile;
  return decided(
    k3sMembershipStep,
    {
      file: { self: file, followed: file },
      content: onDisk === undefined ? { sha256: undefined } : { sha256: 'x', text: onDisk },
      parent: { self: folder, followed: folder },
      me: { user: 'root', group: 'root', uid: 0, home: '/root' },
      inUse: { state, enabled: true, needsDaemonReload: false, invocation: '', newerThanStart: [] },
      selinux: { inUse: 'disabled', onDisk: undefined, policy: '' },
      servers: new Map(),
      iptables: more.iptables,
      routes,
    },
    (await nodesOf({ servers: ['s1'], agents: ['a1'], vars }))('a1'),
  );
}

const configOf = (plan: AnyPlan) => parse(writtenBy(plan, path).text);

test('nothing where k3s finds the right address by itself', async () => {
  expect(await told(usual)).toMatchObject({ verdict: 'unchanged' });
});

test('the address that reaches the others, with its interface', async () => {
  expect(configOf(await told(apart))).toEqual({ 'node-ip': '10.0.1.1', 'flannel-iface': 'eth1' });
});

test('two ways are a question', async () => {
  expect(await told(unclear)).toMatchObject({
    verdict: 'refuse',
    because:
      'it reaches the other nodes as 203.0.113.7 (eth0) and 10.0.1.1 (eth1): which of them is its address?',
  });
});

test('what the user has said counts', async () => {
  expect(configOf(await told(unclear, { node_ip: '10.0.1.1', flannel_iface: 'eth1' }))).toEqual({
    'node-ip': '10.0.1.1',
    'flannel-iface': 'eth1',
  });
  expect((await told(unclear, { extra_agent_args: '--node-ip=10.0.1.1' })).verdict).toBe('unchanged');
  expect((await told(unclear, { agent_config_yaml: 'node-ip: 10.0.1.1\n' })).verdict).toBe('unchanged');
});

test('a node that is there keeps what it has', async () => {
  expect((await told(apart, {}, { state: 'active' })).verdict).toBe('unchanged');
  const kept = await told(
    unclear,
    {},
    { state: 'active', onDisk: 'node-ip: 10.0.1.1\nflannel-iface: eth1\nselinux: true\n' },
  );
  expect(configOf(kept)).toEqual({ 'node-ip': '10.0.1.1', 'flannel-iface': 'eth1' });
});

test('an iptables that repeats rules is passed over', async () => {
  const iptables = { version: '1.8.2', flavour: 'nf_tables' } as const;
  expect(configOf(await told(usual, {}, { iptables }))).toEqual({ 'prefer-bundled-bin': true });
  expect((await told(usual, { extra_agent_args: '--prefer-bundled-bin' }, { iptables })).verdict).toBe(
    'unchanged',
  );
});

test('pods may swap, beside the kubelet arguments of the user', async () => {
  const file = 'config=/etc/rancher/k3s/fleet-kubelet.yaml';
  expect(configOf(await told(usual, { swap: 'limited' }))).toEqual({ 'kubelet-arg': [file] });
  expect(configOf(await told(usual, { swap: 'limited', agent_config_yaml: 'kubelet-arg: [v=2]\n' }))).toEqual(
    {
      'kubelet-arg+': [file],
    },
  );
});
