import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import pLimit from 'p-limit';
import { FleetError, FleetErrors } from '../core/errors.ts';
import { sumIn } from '../engine/download.ts';
import { localFile } from '../engine/local-file.ts';
import type { AirgapBundle, BundleFile } from '../facts/airgap-bundle.ts';
import { bundleOf } from '../facts/airgap-inspection.ts';
import { checkedInstallScript } from '../facts/k3s-install-script.ts';
import { binaryName, type K3sArch, type K3sVersion } from '../k3s/version.ts';
import { listOf, writeList, writeWhole } from './bundle-list.ts';
import { signatureName, signed } from './signature.ts';
import type { Web } from './web.ts';

/** What a bundle shall hold, and where it comes from. */
export interface PullWish {
  readonly folder: string;
  readonly versions: readonly K3sVersion[];
  readonly architectures: readonly K3sArch[];
  /** Has a folder per release. */
  readonly artifactUrl: string;
  /** An address, or a file of this machine. */
  readonly installScript: string;
  /** Downloads at the same time. */
  readonly atOnce: number;
  /** An Ed25519 key in PEM to sign the list with. */
  readonly signKeyFile?: string;
}

/** How far it is. */
export interface PullProgress {
  readonly path: string;
  readonly doneBytes: number;
  /** `undefined` where the server does not say. */
  readonly totalBytes: number | undefined;
  readonly state: 'loading' | 'done' | 'there already';
}

interface Planned {
  readonly path: string;
  readonly kind: BundleFile['kind'];
  readonly version: string;
  readonly arch: K3sArch;
  readonly url: string;
  readonly sha256: string;
}

/** Smallest first; releases have had zst since 2023. */
const imageEndings = ['tar.zst', 'tar.gz', 'tar'] as const;

/**
 * Fetches releases into a folder and writes its list last, so that a folder with a list is whole. Files that are there
 * and right are left; what the list had of other versions stays in it.
 * @throws FleetError, or FleetErrors of all that could not be had; the list is then as it was
 */
export async function pullBundle(
  wish: PullWish,
  web: Web,
  onProgress: (progress: PullProgress) => void,
): Promise<AirgapBundle> {
  await mkdir(wish.folder, { recursive: true });
  const before = await bundleOf(wish.folder);
  const script = await pullScript(wish, web);
  const limit = pLimit(wish.atOnce);
  const pairs = wish.versions.flatMap(({ text }) => wish.architectures.map((arch) => [text, arch] as const));
  const lists = await settled(
    pairs.map(([version, arch]) => limit(() => pullSums(wish, web, version, arch))),
  );
  const planned = lists.flatMap(({ files }) => files);
  const files = await settled(planned.map((file) => limit(() => pullFile(wish, web, file, onProgress))));
  const fetched = [script, ...lists.map(({ list }) => list), ...files];
  const paths = new Set(fetched.map(({ path }) => path));
  const kept = (before?.files ?? []).filter(({ path }) => !paths.has(path));
  const bundle = listOf([...kept, ...fetched], wish.artifactUrl, new Date());
  // A signature of the list as it was must not outlive it.
  await rm(join(wish.folder, signatureName), { force: true });
  const text = await writeList(wish.folder, bundle);
  if (wish.signKeyFile !== undefined) {
    await writeWhole(join(wish.folder, signatureName), await signed(text, wish.signKeyFile));
  }
  return bundle;
}

/** Waits for all, then tells of everything that failed. */
async function settled<Result>(all: readonly Promise<Result>[]): Promise<readonly Result[]> {
  const results = await Promise.allSettled(all);
  const failures = results.flatMap((result) =>
    result.status === 'rejected' ? [result.reason as unknown] : [],
  );
  const other = failures.find((failure) => !(failure instanceof FleetError));
  if (other !== undefined) throw other;
  const told = new Map(failures.map((failure) => [(failure as FleetError).message, failure as FleetError]));
  FleetErrors.throwIfAny([...told.values()]);
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}

async function pullScript(wish: PullWish, web: Web): Promise<BundleFile> {
  const { installScript } = wish;
  const text = /^https?:/.test(installScript)
    ? await web.text(installScript)
    : await readFile(installScript, 'utf8').catch((cause) => {
        throw new FleetError(
          {
            code: 'FILE_UNREADABLE',
            message: `cannot read ${installScript}`,
            fix: 'Give the path or the address of the k3s install script.',
            blame: 'usage',
          },
          { cause },
        );
      });
  checkedInstallScript(text, { from: installScript });
  const path = 'k3s-install.sh';
  await writeFile(join(wish.folder, path), text, { mode: 0o755 });
  return described(path, 'install-script', Buffer.from(text), installScript);
}

async function pullSums(
  wish: PullWish,
  web: Web,
  version: string,
  arch: K3sArch,
): Promise<{ readonly list: BundleFile; readonly files: readonly Planned[] }> {
  const base = `${wish.artifactUrl.replace(/\/+$/, '')}/${encodeURIComponent(version)}`;
  const name = `sha256sum-${arch}.txt`;
  const url = `${base}/${name}`;
  const text = await web.text(url);
  const images = imageEndings
    .map((ending) => `k3s-airgap-images-${arch}.${ending}`)
    .find((candidate) => text.split(/\s+/).includes(candidate));
  const file = (kind: BundleFile['kind'], called: string): Planned => ({
    path: `${version}/${called}`,
    kind,
    version,
    arch,
    url: `${base}/${called}`,
    sha256: sumIn(text, called, url),
  });
  const files = [
    file('binary', binaryName(arch)),
    file('images', images ?? `k3s-airgap-images-${arch}.tar.zst`),
  ];
  await mkdir(join(wish.folder, version), { recursive: true });
  await writeFile(join(wish.folder, version, name), text);
  const list = described(`${version}/${name}`, 'sums', Buffer.from(text), url);
  return { list: { ...list, version, arch }, files };
}

async function pullFile(
  wish: PullWish,
  web: Web,
  file: Planned,
  onProgress: (progress: PullProgress) => void,
): Promise<BundleFile> {
  const { path, kind, version, arch, url, sha256 } = file;
  const target = join(wish.folder, path);
  const there = await localFile(target).catch(() => undefined);
  if (there?.sha256 === sha256) {
    onProgress({ path, doneBytes: there.size, totalBytes: there.size, state: 'there already' });
    return { path, kind, version, arch, sizeBytes: there.size, sha256, origin: url };
  }
  await mkdir(dirname(target), { recursive: true });
  await web.file(url, target, sha256, (doneBytes, totalBytes) =>
    onProgress({ path, doneBytes, totalBytes, state: 'loading' }),
  );
  const { size } = await localFile(target);
  onProgress({ path, doneBytes: size, totalBytes: size, state: 'done' });
  return { path, kind, version, arch, sizeBytes: size, sha256, origin: url };
}

function described(path: string, kind: BundleFile['kind'], bytes: Buffer, origin: string): BundleFile {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { path, kind, sizeBytes: bytes.length, sha256, origin };
}
