import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { FleetError } from '../core/errors.ts';
import { readNamedFile } from '../core/readable.ts';
import type { Web } from '../engine/web.ts';
import type { BundleFile } from '../facts/airgap-bundle.ts';
import { policyKeyUrl, policyRepository, type SelinuxTarget } from '../k3s/selinux-source.ts';
import { writeWhole } from './bundle-list.ts';
import { type PullPlace, pullFile, settled } from './pull-place.ts';
import { newestOf, packagesOf, type RpmPackage, satisfies } from './rpm-repository.ts';
import { rpmSignature, signingKeys } from './rpm-signature.ts';

/** Whose SELinux packages are wanted, and where they are. */
export interface SelinuxWish {
  readonly targets: readonly SelinuxTarget[];
  /** A mirror of Rancher's repositories, the folder above `centos/9`; `undefined` for Rancher's own. */
  readonly policyUrl: string | undefined;
  /** Repositories of the distribution, by system: the folder above `repodata`. */
  readonly distribution: ReadonlyMap<SelinuxTarget, readonly string[]>;
  /** Addresses or files of public keys, beside Rancher's. */
  readonly keys: readonly string[];
}

const policy = 'k3s-selinux';
/** What the policy stands on. Everything else that these need is on any host that has SELinux on. */
const below = ['container-selinux', 'selinux-policy', 'selinux-policy-targeted'] as const;

/** Fetches k3s' SELinux policy and what it stands on, a folder for each system. @throws FleetErrors */
export async function pullSelinux(
  wish: SelinuxWish,
  web: Web,
  place: PullPlace,
): Promise<readonly BundleFile[]> {
  const files = await settled(
    wish.targets.map(async (target) => {
      const packages = await pullPackages(wish, target, web, place);
      const keys = await pullKeys(wish, target, web, place);
      await checkSigners(target, packages, keys, place);
      return [...packages, ...keys.map(({ file }) => file)];
    }),
  );
  return files.flat();
}

/**
 * What the nodes will not take is no part of a bundle. What is signed by a key that was not given (the distribution's, which its hosts
 * have) is theirs to check.
 */
async function checkSigners(
  target: SelinuxTarget,
  packages: readonly BundleFile[],
  keys: readonly PulledKey[],
  place: PullPlace,
): Promise<void> {
  if (keys.length === 0) return;
  const known = keys.flatMap(({ text }) => signingKeys(text));
  for (const { path } of packages) {
    const name = basename(path);
    const signature = await rpmSignature(join(place.folder, path), known);
    if (signature.verdict === 'none')
      throw unusable(
        target,
        `${name} is not signed, and nodes take none but signed ones where the bundle has a key`,
        'Sign it (rpmsign --addsign), or name a repository that has it signed.',
      );
    if (signature.verdict === 'wrong')
      throw unusable(target, `${name} is not what was signed: ${signature.because}`, 'Check the repository.');
    if (signature.verdict === 'foreign')
      place.onNote(
        `${target}: ${name} is signed by key ${signature.keyId.toUpperCase()}, which is none of those given (--rpm-key): nodes check it by the keys of their distribution`,
      );
    if (signature.verdict === 'unread')
      place.onNote(`${target}: who signed ${name} is for the nodes to check: ${signature.because}`);
  }
}

async function pullPackages(
  wish: SelinuxWish,
  target: SelinuxTarget,
  web: Web,
  place: PullPlace,
): Promise<readonly BundleFile[]> {
  const own = policyRepository(target, wish.policyUrl);
  const repositories = [own, ...(wish.distribution.get(target) ?? [])];
  const names = new Set([policy, ...below]);
  const lists = await settled(
    repositories.map((repository) => place.limit(() => packagesOf(web, repository, names))),
  );
  const newest = newestOf(lists.flat().filter(({ arch }) => arch === 'noarch'));
  if (!newest.has(policy)) {
    throw unusable(target, `${own} has no ${policy}`, 'Check the name of the system, and --selinux-url.');
  }
  checkRelations(target, newest);
  const missing = below.filter((name) => !newest.has(name));
  if (missing.length > 0) {
    place.onNote(
      `${target}: ${missing.join(', ')} not among what was fetched: nodes must have them, or name a repository of the distribution with --rpm-repo ${target}=URL`,
    );
  }
  return settled(
    [...newest.values()].map(async ({ url, sha256 }): Promise<BundleFile> => {
      const path = `selinux/${target}/${fileNameIn(target, url)}`;
      const sizeBytes = await pullFile(place, path, sha256, (at, onBytes) =>
        web.file(url, at, sha256, onBytes),
      );
      return { path, kind: 'rpm', system: target, sizeBytes, sha256, origin: url };
    }),
  );
}

/** What a repository calls a package is no path into this machine. */
function fileNameIn(target: SelinuxTarget, url: string): string {
  const name = decodeURIComponent(new URL(url).pathname.split('/').at(-1) ?? '');
  if (/^\w[\w.+~^-]*\.rpm$/.test(name)) return name;
  throw unusable(target, `${url} is not called like a package`, 'Check the repository.');
}

/** What one of these packages asks of another is what that one is; else the nodes would refuse them all. */
function checkRelations(target: SelinuxTarget, packages: ReadonlyMap<string, RpmPackage>): void {
  for (const each of packages.values()) {
    for (const wanted of each.requires) {
      const answers = [...packages.values()].map((other) => satisfies(other, wanted));
      if (answers.includes(true) || !answers.includes(false)) continue;
      const { version, release } = wanted.version;
      throw unusable(
        target,
        `${each.name} ${each.version}-${each.release} needs ${wanted.name} ${wanted.comparison} ${version}${release === '' ? '' : `-${release}`}, which is in none of its repositories`,
        `Name one that has it: --rpm-repo ${target}=URL.`,
      );
    }
  }
}

/** A key as it is in the bundle, and what it says. */
interface PulledKey {
  readonly file: BundleFile;
  readonly text: string;
}

async function pullKeys(
  wish: SelinuxWish,
  target: SelinuxTarget,
  web: Web,
  place: PullPlace,
): Promise<readonly PulledKey[]> {
  // Whoever has a mirror of the packages says what these are signed with.
  const keys = [...(wish.policyUrl === undefined ? [policyKeyUrl] : []), ...wish.keys];
  if (keys.length === 0)
    place.onNote(`${target}: no key: neither here nor on the nodes is checked who signed these packages`);
  return settled(
    keys.map(async (from, index): Promise<PulledKey> => {
      const text = /^https?:/.test(from)
        ? await place.limit(() => web.text(from))
        : await readNamedFile(from);
      if (!text.includes('-----BEGIN PGP PUBLIC KEY BLOCK-----'))
        throw unusable(
          target,
          `${from} is no public key in the form of OpenPGP`,
          'Give what gpg --export --armor writes.',
        );
      const path = `selinux/${target}/RPM-GPG-KEY-${index + 1}.asc`;
      await mkdir(dirname(join(place.folder, path)), { recursive: true });
      await writeWhole(join(place.folder, path), text);
      const bytes = Buffer.from(text);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const file = {
        path,
        kind: 'rpm-key',
        system: target,
        sizeBytes: bytes.length,
        sha256,
        origin: from,
      } as const;
      return { file, text };
    }),
  );
}

function unusable(target: SelinuxTarget, reason: string, fix: string): FleetError {
  return new FleetError({ code: 'SELINUX_PACKAGES', message: `${target}: ${reason}`, fix });
}
