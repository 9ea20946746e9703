import { cp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StampedEvent } from '../../src/engine/event.ts';
import { airgapFolder, defaultK3sVersion, k3sArtifacts } from '../fleet/k3s-artifacts.ts';
import { endedAs, ofKind } from '../up/fleet-cli.ts';
import { clusterNodes, type Lab, on, startLab } from '../up/lab.ts';
import { makeTransactional, rollBack } from './transactional-system.ts';

/**
 * Nodes with a read-only root that enforce SELinux, as far as anybody can see, and lack k3s' policy. The packages and rpm are
 * real; transactional-update is a stand-in (`transactional-update.sh`), for no Debian has it.
 */

const repository = '/opt/fake-node/repositories/rpm';
const packages = ['selinux-policy-38.1.45', 'container-selinux-2.232.1', 'k3s-selinux-1.6'].map(
  (name) => `${name}-1.noarch.rpm`,
);
const names = ['server-1', 'agent-1'];

describe('a server and an agent whose packages come into the next boot', () => {
  let lab: Lab;
  let folder: string;

  beforeAll(async () => {
    lab = await startLab({ servers: 1, agents: 1, family: 'opensuse' });
    folder = path.join(lab.nodes.directory, 'carried');
    await cp(await airgapFolder(await k3sArtifacts(), defaultK3sVersion), folder, { recursive: true });
    for (const name of packages) {
      const bytes = await on(lab, 'server-1', `base64 -w 0 ${repository}/${name}`);
      await writeFile(path.join(folder, name), Buffer.from(bytes, 'base64'));
    }
    await Promise.all(lab.nodes.nodes.map((node) => makeTransactional(lab.nodes, node)));
  });
  afterAll(() => lab?.stop());

  const write = (vars: Readonly<Record<string, unknown>>): Promise<string> =>
    lab.nodes.writeInventory({ airgap_dir: folder, k3s_version: defaultK3sVersion, ...vars });
  const bootsOf = (): Promise<readonly (string | undefined)[]> =>
    Promise.all(names.map((name) => lab.nodes.bootId(lab.nodes.node(name))));
  const packagesOn = (name: string): Promise<string> =>
    on(lab, name, `rpm -qa --qf '%{NAME} %{VERSION}\\n' '*selinux*' tzdata | sort`);
  const saysWhy = (events: readonly StampedEvent[]): string =>
    ofKind(events, 'host-failed')
      .map(({ error }) => error.message)
      .join('\n');
  const all = ['container-selinux 2.232.1', 'k3s-selinux 1.6', 'selinux-policy 38.1.45'];

  test('are refused before anything is sent where nobody has allowed a reboot', async () => {
    await write({});
    const { events } = await lab.cli.up({ expect: 1 });
    expect(saysWhy(events)).toMatch(/cannot serve server-1: its root file system is read-only.*allow_reboot/);
    expect(endedAs(events, 'changed')).toEqual([]);
  });

  test('are not rebooted where the transaction cannot be made, and say what rpm said', async () => {
    const boots = await bootsOf();
    await write({ allow_reboot: true });
    const [, container = ''] = packages;
    await rm(path.join(folder, container));
    const { events } = await lab.cli.up({ expect: 1 });
    expect(saysWhy(events)).toMatch(/container-selinux is needed by k3s-selinux/);
    expect(await bootsOf()).toEqual(boots);
    expect(await on(lab, 'server-1', 'ls -d /var/cache/fleet* /run/fleet/k3s* 2>/dev/null || true')).toBe('');
    const bytes = await on(lab, 'server-1', `base64 -w 0 ${repository}/${container}`);
    await writeFile(path.join(folder, container), Buffer.from(bytes, 'base64'));
  });

  test('get the policy with a reboot before k3s starts, and keep what waited for the next boot already', async () => {
    await on(
      lab,
      'agent-1',
      `cp ${repository}/tzdata-2025b-*.rpm /var/cache/ && transactional-update --no-selfupdate run sh -c 'rpm -U /var/cache/tzdata-2025b-*.rpm' && rm /var/cache/tzdata*`,
    );
    const { events } = await lab.cli.up();
    const changed = endedAs(events, 'changed');
    for (const name of names) {
      expect(changed.filter((task) => /SELinux/.test(task) && task.includes(name))).toHaveLength(1);
      expect(await on(lab, name, 'cat /usr/share/selinux/packages/k3s.pp')).toBe('k3s-selinux');
      expect(await on(lab, name, 'cat /var/log/transactional-update.log')).not.toMatch(/newer version/);
      expect(await on(lab, name, 'ls -d /var/cache/fleet* /run/fleet 2>/dev/null || true')).toBe('');
    }
    expect((await packagesOn('server-1')).split('\n')).toEqual([...all, 'tzdata 2024a']);
    expect((await packagesOn('agent-1')).split('\n')).toEqual([...all, 'tzdata 2025b']);
    const cluster = await clusterNodes(lab.cli);
    expect(names.map((name) => cluster[name]?.ready)).toEqual([true, true]);
    expect(endedAs((await lab.cli.up()).events, 'changed')).toEqual([]);
  });

  test('that run k3s are rebooted one after the other, the server first', async () => {
    await Promise.all(lab.nodes.nodes.map((node) => rollBack(lab.nodes, node)));
    for (const [name, running] of [
      ['agent-1', 'systemctl is-active --quiet k3s-agent'],
      ['server-1', 'k3s kubectl wait node --all --for=condition=Ready --timeout=5s'],
    ] as const)
      await on(lab, name, `timeout 60 sh -c 'until ${running} >/dev/null 2>&1; do sleep 0.2; done'`);
    expect(await packagesOn('server-1')).toBe('tzdata 2024a');
    const boots = await bootsOf();
    const { events } = await lab.cli.up();
    const story = events.flatMap((event) => {
      if (event.kind === 'wave-started') return [`${event.wave} ${event.hosts.join(' ')}`];
      if (event.kind !== 'task-finished') return [];
      if (event.step === 'k3s_policy_boot' && event.status === 'changed') return [`${event.host} rebooted`];
      return [];
    });
    expect(story).toEqual(['restart server-1', 'server-1 rebooted', 'restart agent-1', 'agent-1 rebooted']);
    const after = await bootsOf();
    expect(after.map((boot, index) => boot !== boots[index])).toEqual([true, true]);
    for (const name of names) expect(await packagesOn(name)).toContain('k3s-selinux 1.6');
    expect(endedAs((await lab.cli.up()).events, 'changed')).toEqual([]);
  });
});
