import { afterAll, beforeAll, describe, test } from 'vitest';
import { StepNode } from './on-node.ts';

/** RPM steps with the real dnf and zypper on a node that calls itself Rocky or openSUSE, with a local repository. */

let node: StepNode;
let isReady = false;

beforeAll(async () => {
  node = await StepNode.start();
  isReady = await node.installs('rpm dnf zypper createrepo-c');
  if (!isReady) return;
  const made = await node.run(`set -e
# Debian's rpm keeps its database in HOME; the distributions that it plays here do not.
mkdir -p /etc/rpm /var/lib/rpm && echo '%_dbpath /var/lib/rpm' >/etc/rpm/macros && rpm --initdb
mkdir -p /repo /etc/yum.repos.d /etc/zypp/repos.d && cd /repo
make_rpm() {
  printf 'Name: %s\\nVersion: %s\\nRelease: 1\\nSummary: t\\nLicense: t\\nBuildArch: noarch\\n%%description\\nt\\n%%files\\n' "$1" "$2" >"$1.spec"
  rpmbuild -bb --define '_rpmdir /repo' "$1.spec" >/dev/null 2>&1
}
make_rpm fleet-base 1.0
make_rpm fleet-one 1.0
make_rpm fleet-one 2.0
make_rpm fleet-two 1.5
createrepo_c -q /repo
# zypper takes an empty database for a broken one.
rpm -i /repo/noarch/fleet-base-1.0-1.noarch.rpm
printf '[fleet]\\nname=fleet\\nbaseurl=file:///repo\\nenabled=1\\ngpgcheck=0\\n' >/etc/yum.repos.d/fleet.repo
cp /etc/yum.repos.d/fleet.repo /etc/zypp/repos.d/fleet.repo`);
  if (made.code !== 0) throw new Error(made.stderr);
});
afterAll(async () => {
  await node?.stop();
});

describe.each([
  ['dnf', 'ID="rocky"\\nID_LIKE="rhel centos fedora"'],
  ['zypper', 'ID="opensuse-leap"\\nID_LIKE="suse opensuse"'],
])('%s', (manager, osRelease) => {
  test('installs, upgrades, removes', async (context) => {
    if (!isReady) context.skip();
    await node.run(`rm -f /etc/os-release; printf '${osRelease}\\nVERSION_ID=9\\n' >/etc/os-release`);
    await node.lands('package', { name: ['fleet-one=1.0', 'fleet-two'] });
    await node.lands('package', { name: 'fleet-one', state: 'latest' });
    await node.lands(manager, { name: 'fleet-two', state: 'absent' });
    await node.lands('package', { name: 'fleet-one', state: 'absent' });
  });
});
