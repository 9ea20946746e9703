import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { FakeFleet, FakeNode } from '../fleet/nodes.ts';

/** Packages as k3s' SELinux policy and what it needs have them, with nothing in them: built on a node, for rpm to install for real. */

/** Where they are on the node that they were built on. */
export const builtAt = '/tmp/built/noarch';

/** Builds them on a node that has rpmbuild. @returns a folder here with the packages */
export async function buildPolicyPackages(nodes: FakeFleet, node: FakeNode): Promise<string> {
  const { code, stderr } = await nodes.exec(
    node,
    `set -e; mkdir -p /tmp/built; cd /tmp/built
build() {
  printf 'Name: %s\\nVersion: %s\\nRelease: 1.el9\\nSummary: x\\nLicense: x\\nBuildArch: noarch\\n%s\\n%%description\\nx\\n%%files\\n' "$1" "$2" "$3" > "$1.spec"
  rpmbuild -bb --define '_rpmdir /tmp/built' --define '_topdir /tmp/built/top' "$1.spec" > log 2>&1 || { cat log >&2; exit 1; }
}
build selinux-policy 38 ''
build container-selinux 2.2 'Requires: selinux-policy >= 38'
build container-selinux 2.9 'Requires: selinux-policy >= 38'
build k3s-selinux 1.6 'Requires: container-selinux >= 2.2'`,
  );
  if (code !== 0) throw new Error(`the packages could not be built: ${stderr}`);
  const folder = path.join(nodes.directory, 'policy-packages');
  await mkdir(folder, { recursive: true });
  const { stdout } = await nodes.exec(
    node,
    `cd ${builtAt} && for file in *.rpm; do echo "$file $(base64 -w 0 "$file")"; done`,
  );
  for (const line of stdout.trim().split('\n')) {
    const [name = '', bytes = ''] = line.split(' ');
    await writeFile(path.join(folder, name), Buffer.from(bytes, 'base64'));
  }
  return folder;
}

/** A script after which whoever asks is told that SELinux enforces, until the next boot. */
export const otherSysFs = `mkdir -p /run/other-sys-fs && cd /run/other-sys-fs && mount -t tmpfs none .
cd /run/other-sys-fs && mkdir cgroup selinux && echo 1 > selinux/enforce
mount --rbind /sys/fs/cgroup cgroup && mount --rbind . /sys/fs; cd /`;

/** The kernel has no SELinux; whoever asks it is told that it enforces. Until the node's next boot. */
export async function enforceSelinux(nodes: FakeFleet, node: FakeNode): Promise<void> {
  const { code, stderr } = await nodes.exec(node, `set -e; ${otherSysFs}`);
  if (code !== 0) throw new Error(`SELinux cannot be made believe: ${stderr}`);
}
