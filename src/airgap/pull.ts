import { createHash } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import pLimit from 'p-limit';
import { FleetError } from '../core/errors.ts';
import { readNamedFile } from '../core/readable.ts';
import { sumIn } from '../engine/download.ts';
import { Web, type WebOptions } from '../engine/web.ts';
import type { AirgapBundle, BundleFile } from '../facts/airgap-bundle.ts';
import { bundleOf } from '../facts/airgap-inspection.ts';
import { checkedInstallScript } from '../facts/k3s-install-script.ts';
import { binaryName, type K3sArch, type K3sVersion } from '../k3s/version.ts';
import { listOf, writeList, writeWhole } from './bundle-list.ts';
import { type ChartWish, pullCharts } from './charts.ts';
import type { ImageName } from './image-name.ts';
import { blobsFolder, pullImages } from './pull-images.ts';
import { type PullPlace, type PullProgress, pullFile, refuseTwice, settled } from './pull-place.ts';
import { pullSelinux, type SelinuxWish } from './pull-selinux.ts';
import type { RegistriesFile } from './registries-file.ts';
import { Registries } from './registry.ts';
import { signatureName, signatureNames, signed } from './signature.ts';

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
  /** Container images beside those of k3s, for all of the architectures. */
  readonly images?: readonly ImageName[];
  readonly charts?: readonly ChartWish[];
  /** Mirrors of registries, and who asks them. */
  readonly registries?: RegistriesFile;
  readonly selinux?: SelinuxWish;
  /** Kubernetes manifests, addresses or files of this machine. */
  readonly manifests?: readonly string[];
}

/** What is told while a pull runs. */
export interface PullListener {
  readonly onProgress?: (progress: PullProgress) => void;
  readonly onNote?: (text: string) => void;
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
 * Fetches releases, and what else is wished for, into a folder and writes its list last, so that a folder with a list is whole.
 * Files that are there and right are left; what the list had of other versions stays in it.
 * @throws FleetError, or FleetErrors of all that could not be had; the list is then as it was
 */
export async function pullBundle(
  wish: PullWish,
  options: WebOptions,
  { onProgress = () => {}, onNote = () => {} }: PullListener = {},
): Promise<AirgapBundle> {
  await mkdir(wish.folder, { recursive: true });
  const before = await bundleOf(wish.folder);
  const web = new Web(options);
  const registries = new Registries(wish.registries ?? {}, options);
  const place: PullPlace = {
    folder: wish.folder,
    before: new Map(before?.files.map((file) => [file.path, file])),
    limit: pLimit(wish.atOnce),
    onProgress,
    onNote,
  };
  const { images = [], charts = [], manifests = [], selinux } = wish;
  const fetched = await settled([
    pullReleases(wish, web, place),
    pullImages(images, wish.architectures, registries, place),
    pullCharts(charts, registries, options, place),
    pullManifests(manifests, web, place),
    ...(selinux === undefined ? [] : [pullSelinux(selinux, web, place)]),
  ]);
  const files = fetched.flat();
  const paths = new Set(files.map(({ path }) => path));
  const others = (before?.files ?? []).filter(({ path }) => !paths.has(path));
  // A system's packages are one set: older ones of the same name are none of it.
  const outdated = others.filter(
    ({ system }) => system !== undefined && selinux?.targets.some((target) => target === system) === true,
  );
  const kept = others.filter((file) => !outdated.includes(file));
  const bundle = listOf([...kept, ...files], wish.artifactUrl, new Date());
  // A signature of the list as it was must not outlive it.
  for (const name of signatureNames) await rm(join(wish.folder, name), { force: true });
  const text = await writeList(wish.folder, bundle);
  if (wish.signKeyFile !== undefined) {
    await writeWhole(join(wish.folder, signatureName), await signed(text, wish.signKeyFile));
  }
  for (const { path } of outdated) await rm(join(wish.folder, path), { force: true });
  await rm(join(wish.folder, blobsFolder), { recursive: true, force: true });
  return bundle;
}

async function pullReleases(wish: PullWish, web: Web, place: PullPlace): Promise<readonly BundleFile[]> {
  const script = await pullScript(wish, web);
  const pairs = wish.versions.flatMap(({ text }) => wish.architectures.map((arch) => [text, arch] as const));
  const lists = await settled(
    pairs.map(([version, arch]) => place.limit(() => pullSums(wish, web, version, arch))),
  );
  const planned = lists.flatMap(({ files }) => files);
  const files = await settled(
    planned.map(async ({ url, ...file }): Promise<BundleFile> => {
      const sizeBytes = await pullFile(place, file.path, file.sha256, (target, onBytes) =>
        web.file(url, target, file.sha256, onBytes),
      );
      return { ...file, sizeBytes, origin: url };
    }),
  );
  return [script, ...lists.map(({ list }) => list), ...files];
}

async function pullManifests(
  manifests: readonly string[],
  web: Web,
  place: PullPlace,
): Promise<readonly BundleFile[]> {
  const named = manifests.map((from) => ({ from, path: `manifests/${manifestName(from)}` }));
  refuseTwice(named.map(({ path }) => path));
  return settled(
    named.map(async ({ from, path }) => {
      const text = await place.limit(() => textOf(from, web, 'Give a path or an address.'));
      await mkdir(join(place.folder, 'manifests'), { recursive: true });
      await writeWhole(join(place.folder, path), text);
      return described(path, 'manifest', Buffer.from(text), from);
    }),
  );
}

function manifestName(from: string): string {
  const name = basename(/^https?:/.test(from) ? decodeURIComponent(new URL(from).pathname) : from);
  if (/^[^.].*\.(ya?ml|json)$/.test(name)) return name;
  throw new FleetError({
    code: 'MANIFEST_NAME',
    message: `${from} is not called like a manifest`,
    fix: 'k3s applies files that end in .yaml, .yml or .json.',
    blame: 'usage',
  });
}

async function textOf(from: string, web: Web, fix: string): Promise<string> {
  return /^https?:/.test(from) ? web.text(from) : readNamedFile(from, fix);
}

async function pullScript(wish: PullWish, web: Web): Promise<BundleFile> {
  const { installScript } = wish;
  const text = await textOf(installScript, web, 'Give the path or the address of the k3s install script.');
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

function described(path: string, kind: BundleFile['kind'], bytes: Buffer, origin: string): BundleFile {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { path, kind, sizeBytes: bytes.length, sha256, origin };
}
