import { afterAll, beforeAll, expect, test } from 'vitest';
import { StepNode } from './on-node.ts';

/** Preparation with the real tools of a node: a change, nothing left to change, and everything taken back. */

let node: StepNode;

beforeAll(async () => {
  node = await StepNode.start();
});
afterAll(async () => {
  await node?.stop();
});

test('swap of fstab and of a service goes, and comes back', async () => {
  const unit =
    '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n';
  await node.run(`printf '/swapfile none swap sw 0 0\\n' >>/etc/fstab
printf '${unit.replaceAll('\n', '\\n')}' >/lib/systemd/system/zramswap.service; systemctl enable -q --now zramswap`);
  const look = 'cat /etc/fstab; systemctl is-enabled zramswap; ls -d /var/lib/fleet 2>/dev/null';
  const before = await node.says(look);
  expect(await node.plan('swap', { state: 'keep' })).toMatchObject({ verdict: 'unchanged' });
  await node.lands('swap', { state: 'off' });
  expect(
    await node.says('systemctl is-enabled zramswap; grep -c "^# swap is off (fleet): /swapfile" /etc/fstab'),
  ).toBe('masked\n1');
  await node.lands('swap', { state: 'restored' });
  expect(await node.says(look)).toBe(before);
});

test("sudo's path, as the RHEL family has it", async () => {
  expect(await node.plan('k3s_sudo_path', {})).toMatchObject({ verdict: 'unchanged' });
  await node.run("sed -i 's#:/usr/local/bin##; s#/usr/local/bin:##' /etc/sudoers");
  expect(await node.says("su -s /bin/sh -c 'sudo -n printenv PATH' debian")).not.toContain('/usr/local/bin');
  await node.lands('k3s_sudo_path', {});
  expect(await node.says("su -s /bin/sh -c 'sudo -n printenv PATH' debian")).toContain('/usr/local/bin');
  expect(await node.says('visudo -c >/dev/null 2>&1; echo $?; stat -c %a /etc/sudoers.d/zz-fleet-k3s')).toBe(
    '0\n440',
  );
  await node.lands('k3s_sudo_path', { state: 'absent' });
  expect(await node.says('ls /etc/sudoers.d/zz-fleet-k3s 2>/dev/null')).toBe('');
});

test('what this kernel has is not asked for again', async () => {
  for (const name of ['overlay', 'br_netfilter', 'nf_conntrack'])
    expect((await node.plan('kernel_module', { name })).verdict).not.toBe('refuse');
  expect(await node.plan('k3s_cgroups', {})).toMatchObject({ verdict: 'unchanged' });
  expect(await node.plan('k3s_apparmor', {})).toMatchObject({ verdict: 'unchanged' });
  expect(await node.plan('sysctl', { name: 'net.no.such', value: 1, if_present: true })).toMatchObject({
    verdict: 'unchanged',
  });
  expect(
    await node.plan('service', { name: 'nm-cloud-setup.timer', state: 'stopped', enabled: false }),
  ).toMatchObject({ verdict: 'unchanged' });
});
