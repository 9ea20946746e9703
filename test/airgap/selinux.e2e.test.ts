import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type PullListener, pullBundle } from '../../src/airgap/pull.ts';
import type { SelinuxWish } from '../../src/airgap/pull-selinux.ts';
import { verifyFolder } from '../../src/airgap/verify.ts';
import type { WebOptions } from '../../src/engine/web.ts';
import { runCommand } from '../fleet/docker.ts';
import { provideProgram } from '../fleet/machine.ts';
import { type Certificate, makeCertificate } from '../fleet/release-server.ts';
import { type FaultFront, startFaultFront } from './fault-front.ts';
import { type FreshBundle, freshBundle, withoutReleases } from './fresh-bundle.ts';

/** Real packages, signed, in real repositories: rpmbuild, rpmsign and createrepo_c, as Debian has them. */

let place: string;
let certificate: Certificate;
let server: FaultFront;
let bundle: FreshBundle;
let root: string;
let folder: string;
let options: WebOptions;

/** What lies in which repository. */
const recipe = `set -e
build() {
  printf 'Name: %s\\nEpoch: %s\\nVersion: %s\\nRelease: %s\\nSummary: x\\nLicense: x\\nBuildArch: noarch\\n%s\\n%%description\\nx\\n%%files\\n' "$2" "$3" "$4" "$5" "$6" > "$2.spec"
  rpmbuild -bb --define "_rpmdir $PWD/$1" --define "_topdir $PWD/top" "$2.spec" > log 2>&1 || { cat log >&2; exit 1; }
  mv "$1"/noarch/*.rpm "$1/"; rmdir "$1/noarch"
}
mkdir -p k3s/centos/9/noarch k3s/slemicro/noarch appstream micro gpg; chmod 700 gpg
build k3s/centos/9/noarch k3s-selinux 0 1.6 1.el9 'Requires: container-selinux >= 3:2.191.0-1'
build k3s/centos/9/noarch k3s-selinux 0 1.10 1.el9 'Requires: container-selinux >= 3:2.191.0-1, selinux-policy >= 38'
build k3s/slemicro/noarch k3s-selinux 0 1.6 1.slemicro 'Requires: container-selinux'
build appstream container-selinux 3 2.99.0 1.el9 'Requires: selinux-policy >= 38.1'
build appstream container-selinux 3 2.232.1 1.el9 'Requires: selinux-policy >= 38.1'
build appstream selinux-policy 0 38.1.45 3.el9 ''
build appstream selinux-policy-targeted 0 38.1.45 3.el9 'Requires: selinux-policy = 38.1.45-3.el9'
build appstream unrelated 0 1 1.el9 ''
build micro container-selinux 0 2.1 1 ''
build unsigned container-selinux 3 2.233 1.el9 ''
export GNUPGHOME="$PWD/gpg"
gpg --batch --quiet --passphrase '' --quick-gen-key site@example.org rsa2048 sign never
gpg --armor --export > public.key
gpg --batch --quiet --passphrase '' --quick-gen-key other@example.org ed25519 sign never
gpg --armor --export other@example.org > other.key
printf '%%_gpg_name site@example.org\\n%%_gpg_path %s\\n%%__gpg /usr/bin/gpg\\n' "$GNUPGHOME" > macros
find k3s appstream micro -name '*.rpm' | xargs rpmsign --load macros --addsign > /dev/null
createrepo_c -q k3s/centos/9/noarch; createrepo_c -q --general-compress-type=gz k3s/slemicro/noarch
createrepo_c -q --general-compress-type=zstd appstream 2> /dev/null || createrepo_c -q appstream
createrepo_c -q micro; createrepo_c -q unsigned
gpgconf --kill all`;

beforeAll(async () => {
  for (const [program, debianPackage] of [
    ['rpmbuild', 'rpm'],
    ['createrepo_c', 'createrepo-c'],
    ['gpg', 'gpg'],
    ['gpg-agent', 'gpg-agent'],
  ] as const)
    await provideProgram(program, debianPackage, 'packages are pulled from real repositories');
  place = mkdtempSync(join(tmpdir(), 'fleet-rpms-'));
  const made = await runCommand('sh', ['-c', recipe], { cwd: place, env: { ...process.env, HOME: place } });
  if (made.code !== 0) throw new Error(made.stderr);
  certificate = await makeCertificate(place, ['127.0.0.1']);
  options = { caFiles: [certificate.caFile], firstPauseMs: 1 };
  server = await startFaultFront(certificate, { folder: place });
}, 120_000);
afterAll(async () => {
  await server?.stop();
  rmSync(place, { recursive: true, force: true });
});
beforeEach(() => {
  bundle = freshBundle();
  ({ root, folder } = bundle);
});
afterEach(() => server.heal());

const wish = (more: Partial<SelinuxWish> = {}): SelinuxWish => ({
  targets: ['el9'],
  policyUrl: `${server.origin}/k3s`,
  distribution: new Map([['el9', [`${server.origin}/appstream`]]]),
  keys: [`${server.origin}/public.key`],
  ...more,
});
const pull = (more: Partial<SelinuxWish> = {}, listener: PullListener = {}) =>
  pullBundle({ ...withoutReleases(bundle), selinux: wish(more) }, options, listener);

describe('the packages of k3s’ SELinux policy', () => {
  it('are the newest of each in the repositories, for each system, and rpm knows who signed them', async () => {
    const { files } = await pull({
      targets: ['el9', 'slemicro'],
      distribution: new Map([
        ['el9', [`${server.origin}/appstream`]],
        ['slemicro', [`${server.origin}/micro/`]],
      ]),
    });
    expect(
      files.filter(({ system }) => system !== undefined).map(({ path, kind }) => `${kind} ${path}`),
    ).toEqual([
      'rpm-key selinux/el9/RPM-GPG-KEY-1.asc',
      'rpm selinux/el9/container-selinux-2.232.1-1.el9.noarch.rpm',
      'rpm selinux/el9/k3s-selinux-1.10-1.el9.noarch.rpm',
      'rpm selinux/el9/selinux-policy-38.1.45-3.el9.noarch.rpm',
      'rpm selinux/el9/selinux-policy-targeted-38.1.45-3.el9.noarch.rpm',
      'rpm-key selinux/slemicro/RPM-GPG-KEY-1.asc',
      'rpm selinux/slemicro/container-selinux-2.1-1.noarch.rpm',
      'rpm selinux/slemicro/k3s-selinux-1.6-1.slemicro.noarch.rpm',
    ]);
    expect((await verifyFolder(folder)).isRight).toBe(true);
    const ring = join(root, 'ring');
    const el9 = join(folder, 'selinux', 'el9');
    const checked = await runCommand('sh', [
      '-c',
      `mkdir ${ring} && rpmkeys --dbpath ${ring} --import ${el9}/RPM-GPG-KEY-1.asc && rpmkeys --dbpath ${ring} -K ${el9}/*.rpm`,
    ]);
    expect(checked.stdout.match(/signatures OK/g), checked.stdout).toHaveLength(4);
  });

  it('are one set: what a later pull does not bring any more goes, and what somebody slips in is told', async () => {
    await pull();
    await pull({ distribution: new Map() }, {});
    expect(readdirSync(join(folder, 'selinux', 'el9'))).toEqual([
      'RPM-GPG-KEY-1.asc',
      'k3s-selinux-1.10-1.el9.noarch.rpm',
    ]);
    expect((await verifyFolder(folder)).isRight).toBe(true);
    writeFileSync(join(folder, 'selinux', 'el9', 'evil.rpm'), 'x');
    expect((await verifyFolder(folder)).isRight).toBe(false);
  });

  it('that the nodes must have themselves are named', async () => {
    const notes: string[] = [];
    await pull({ distribution: new Map(), keys: [] }, { onNote: (text) => notes.push(text) });
    expect(notes.join('\n')).toMatch(
      /el9: container-selinux, selinux-policy, selinux-policy-targeted not among.*--rpm-repo el9=URL/,
    );
    expect(notes.join('\n')).toMatch(/no key/);
  });

  it('are checked by the keys that were given; those of other signers are left to the nodes, which is said', async () => {
    const notes: string[] = [];
    const onNote = (text: string): void => void notes.push(text);
    await pull({}, { onNote });
    expect(notes.filter((text) => text.includes('signed'))).toEqual([]);
    await pull({ keys: [`${server.origin}/other.key`] }, { onNote });
    expect(notes.filter((text) => /el9: .*\.rpm is signed by key [0-9A-F]{16}, /.test(text))).toHaveLength(4);
  });

  it('are refused where one is not signed and the nodes have a key to ask for', async () => {
    await expect(
      pull({
        distribution: new Map([['el9', [`${server.origin}/appstream`, `${server.origin}/unsigned`]]]),
      }),
    ).rejects.toMatchObject({
      code: 'SELINUX_PACKAGES',
      message: expect.stringMatching(/container-selinux-2\.233-1\.el9\.noarch\.rpm is not signed/),
    });
    expect(existsSync(join(folder, 'bundle.json'))).toBe(false);
  });

  it('are refused where one needs what no repository has', async () => {
    await expect(
      pull({ distribution: new Map([['el9', [`${server.origin}/micro`]]]) }),
    ).rejects.toMatchObject({
      code: 'SELINUX_PACKAGES',
      message: expect.stringMatching(/k3s-selinux 1\.10-1\.el9 needs container-selinux GE 2\.191\.0-1/),
    });
  });

  it.each<[string, RegExp, Parameters<FaultFront['inject']>[0]['fault'], string]>([
    ['metadata with other sums', /repomd\.xml/, { kind: 'damaged' }, 'RPM_METADATA'],
    ['metadata that was damaged', /primary\.xml/, { kind: 'damaged' }, 'RPM_METADATA'],
    ['a package that was damaged', /\.rpm$/, { kind: 'damaged' }, 'DOWNLOAD_DAMAGED'],
    ['no such repository', /appstream/, { kind: 'status', code: 404 }, 'DOWNLOAD_FAILED'],
  ])('are no part of a bundle after %s', async (_what, match, fault, code) => {
    server.inject({ match, fault });
    const failure = await pull().catch((error: { code?: string; errors?: { code: string }[] }) => error);
    const codes =
      'errors' in failure ? failure.errors?.map((each) => each.code) : [(failure as { code: string }).code];
    expect(new Set(codes)).toEqual(new Set([code]));
    expect(existsSync(join(folder, 'bundle.json'))).toBe(false);
  });

  it('are waited for, and gone on with at the byte', async () => {
    server.inject({ match: /repomd/, fault: { kind: 'status', code: 429, retryAfter: 0 }, times: 2 });
    server.inject({ match: /\.rpm$/, fault: { kind: 'cut', afterBytes: 2000 }, times: 3 });
    await pull();
    expect((await verifyFolder(folder)).isRight).toBe(true);
  });
});
