import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { rpmTransaction } from '../../src/steps/k3s-airgap-selinux.ts';
import type { CommandResult } from '../fleet/docker.ts';
import { type FakeFleet, startNodes } from '../fleet/nodes.ts';
import { buildPolicyPackages, builtAt } from './policy-packages.ts';

/** Real packages, built on the node, and the real rpm. The kernel's part of SELinux has no place in it. */

const folder = '/run/fleet/airgap-rpms';

let nodes: FakeFleet;
beforeAll(async () => {
  nodes = await startNodes({ servers: 1, agents: 1, family: ['rocky', 'opensuse'] });
  for (const node of nodes.nodes) await buildPolicyPackages(nodes, node);
});
afterAll(() => nodes?.stop());

describe.each([
  ['a Rocky-like', 'server-1'],
  ['an openSUSE-like', 'agent-1'],
])('the policy packages of a folder on %s node', (_what, name) => {
  const on = (script: string): Promise<CommandResult> => nodes.exec(nodes.node(name), script);
  const says = async (script: string): Promise<string> => (await on(script)).stdout.trim();

  beforeEach(async () => {
    await on(`rpm -e k3s-selinux container-selinux selinux-policy; rm -rf ${folder}; mkdir -p ${folder}`);
  });

  const carry = (...packages: readonly string[]): Promise<string> =>
    says(`cp ${packages.map((name) => `${builtAt}/${name}-1.el9.noarch.rpm`).join(' ')} ${folder}/`);
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
      `cd ${builtAt} && rpm -U selinux-policy-38-1.el9.noarch.rpm container-selinux-2.9-1.el9.noarch.rpm`,
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
