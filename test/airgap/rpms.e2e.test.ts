import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { rpmTransaction } from '../../src/steps/k3s-airgap-selinux.ts';
import type { CommandResult } from '../fleet/docker.ts';
import { type FakeFleet, startNodes } from '../fleet/nodes.ts';

/** Real packages, built on the node, and the real rpm. The kernel's part of SELinux has no place in it. */

const folder = '/run/fleet/airgap-rpms';

describe('the policy packages of a folder on a Rocky-like node', () => {
  let nodes: FakeFleet;
  const on = async (script: string): Promise<CommandResult> => {
    const [node] = nodes.nodes;
    if (node === undefined) throw new Error('no node');
    return nodes.exec(node, script);
  };
  const says = async (script: string): Promise<string> => (await on(script)).stdout.trim();

  beforeAll(async () => {
    nodes = await startNodes({ servers: 1, family: 'rocky' });
    const { code, stderr } = await on(`set -e; mkdir -p /tmp/built; cd /tmp/built
build() {
  printf 'Name: %s\\nVersion: %s\\nRelease: 1.el9\\nSummary: x\\nLicense: x\\nBuildArch: noarch\\n%s\\n%%description\\nx\\n%%files\\n' "$1" "$2" "$3" > "$1.spec"
  rpmbuild -bb --define '_rpmdir /tmp/built' --define '_topdir /tmp/built/top' "$1.spec" > log 2>&1 || { cat log >&2; exit 1; }
}
build selinux-policy 38 ''
build container-selinux 2.2 'Requires: selinux-policy >= 38'
build container-selinux 2.9 'Requires: selinux-policy >= 38'
build k3s-selinux 1.6 'Requires: container-selinux >= 2.2'`);
    expect(stderr).toBe('');
    expect(code).toBe(0);
  });
  afterAll(() => nodes?.stop());

  beforeEach(async () => {
    await on(`rpm -e k3s-selinux container-selinux selinux-policy; rm -rf ${folder}; mkdir -p ${folder}`);
  });

  const carry = (...packages: readonly string[]): Promise<string> =>
    says(`cp ${packages.map((name) => `/tmp/built/noarch/${name}-1.el9.noarch.rpm`).join(' ')} ${folder}/`);
  const transaction = (): Promise<CommandResult> => on(rpmTransaction(folder).text);
  const installed = (): Promise<string> =>
    says(
      `rpm -q --qf '%{NAME}-%{VERSION}\\n' selinux-policy container-selinux k3s-selinux | grep -v 'not installed' | xargs`,
    );

  test('are installed together, whatever their order', async () => {
    await carry('k3s-selinux-1.6', 'container-selinux-2.2', 'selinux-policy-38');
    const { code, stderr } = await transaction();
    expect(code, stderr).toBe(0);
    expect(await installed()).toBe('selinux-policy-38 container-selinux-2.2 k3s-selinux-1.6');
    expect(await says(`ls -d ${folder} 2>&1 || true`)).toMatch(/No such file/);
  });

  test('leave a newer one that is there', async () => {
    await on(
      'cd /tmp/built/noarch && rpm -U selinux-policy-38-1.el9.noarch.rpm container-selinux-2.9-1.el9.noarch.rpm',
    );
    await carry('k3s-selinux-1.6', 'container-selinux-2.2', 'selinux-policy-38');
    const { code, stderr } = await transaction();
    expect(code, stderr).toBe(0);
    expect(await installed()).toBe('selinux-policy-38 container-selinux-2.9 k3s-selinux-1.6');
  });

  test('are refused whole where one that they need is missing', async () => {
    await carry('k3s-selinux-1.6', 'selinux-policy-38');
    const { code, stderr } = await transaction();
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/container-selinux >= 2\.2 is needed by k3s-selinux/);
    expect(await installed()).toBe('');
  });

  test('are refused where there is a key and they are not signed by it', async () => {
    await carry('k3s-selinux-1.6', 'container-selinux-2.2', 'selinux-policy-38');
    await on(
      `cd /tmp && export GNUPGHOME=/tmp/gpg && mkdir -pm 700 gpg && gpg --batch --passphrase '' --quick-gen-key site@example.org && gpg --export -a > ${folder}/0.key`,
    );
    if ((await says(`[ -s ${folder}/0.key ] && echo made`)) !== 'made')
      await on(`echo none > ${folder}/0.key`);
    const { code } = await transaction();
    expect(code).not.toBe(0);
    expect(await installed()).toBe('');
  });
});
