import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { repositoryRoot } from '../fleet/docker.ts';
import type { FakeFleet, FakeNode } from '../fleet/nodes.ts';
import { otherSysFs } from './policy-packages.ts';

/** What every boot does: /usr is read-only, the system is that of the newest snapshot, and SELinux seems to enforce. */
const boot = `#!/bin/sh
set -e
${otherSysFs}
mkdir -p /run/writable && mount --bind /usr/local /run/writable
mount --bind /usr /usr && mount -o remount,ro,bind /usr
mount --bind /run/writable /usr/local
current=$(cat /.snapshots/default); echo "$current" >/run/current-snapshot
for folder in var/lib/rpm usr/share/selinux; do
  mount --bind "/.snapshots/$current/$folder" "/$folder" && mount -o remount,ro,bind "/$folder"
done
`;

const unit = `[Unit]
Before=ssh.service k3s.service k3s-agent.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh /opt/transactional/boot
[Install]
WantedBy=multi-user.target
RequiredBy=ssh.service
`;

/** Makes a node one whose root file system is read-only and comes in snapshots, and reboots it into the first. */
export async function makeTransactional(nodes: FakeFleet, node: FakeNode): Promise<void> {
  const program = await readFile(path.join(repositoryRoot, 'test/airgap/transactional-update.sh'), 'utf8');
  const put = (text: string, at: string, mode: string): string =>
    `echo ${Buffer.from(text).toString('base64')} | base64 -d > ${at} && chmod ${mode} ${at}`;
  const { code, stderr } = await nodes.exec(
    node,
    `set -e; mkdir -p /opt/transactional /.snapshots/1/var/lib /.snapshots/1/usr/share /usr/share/selinux
cp -a /var/lib/rpm /.snapshots/1/var/lib/ && cp -a /usr/share/selinux /.snapshots/1/usr/share/
echo 1 > /.snapshots/default
${put(program, '/usr/sbin/transactional-update', '755')}
${put(boot, '/opt/transactional/boot', '755')}
${put(unit, '/etc/systemd/system/transactional-system.service', '644')}
systemctl enable transactional-system.service`,
  );
  if (code !== 0) throw new Error(`${node.name} cannot be made transactional: ${stderr}`);
  await nodes.restart(node);
}

/** The next boot's system is the first again. */
export async function rollBack(nodes: FakeFleet, node: FakeNode): Promise<void> {
  await nodes.exec(node, 'echo 1 > /.snapshots/default');
  await nodes.restart(node);
}
