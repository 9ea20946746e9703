import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { localFile } from '../engine/local-file.ts';
import type { BundleFile } from '../facts/airgap-bundle.ts';
import type { K3sArch } from '../k3s/version.ts';
import { checkConfig, manifestFor, writeImageArchive } from './image-archive.ts';
import { type ImageName, imageFileName, imageText } from './image-name.ts';
import { type PullPlace, settled } from './pull-place.ts';
import { hexOf, type Manifest, type Registries, type Repository } from './registry.ts';

/** Below the bundle's folder: the parts of images until the list is written. Read by nobody else, since it begins with a dot. */
export const blobsFolder = '.blobs';

/**
 * Fetches container images, an archive for each image and architecture. Parts that several have in common are fetched once.
 * @throws FleetErrors of all that could not be had
 */
export async function pullImages(
  images: readonly ImageName[],
  architectures: readonly K3sArch[],
  registries: Registries,
  place: PullPlace,
): Promise<readonly BundleFile[]> {
  const blobs = new Blobs(place);
  const files = await settled(
    images.map(async (image) => {
      const { repository, manifest: found } = await place.limit(() => registries.find(image));
      return settled(
        architectures.map(async (arch) => {
          const manifest = await place.limit(() => manifestFor(image, repository, found, arch));
          return pullImage(image, arch, repository, manifest, blobs, place);
        }),
      );
    }),
  );
  return files.flat();
}

async function pullImage(
  image: ImageName,
  arch: K3sArch,
  repository: Repository,
  manifest: Manifest,
  blobs: Blobs,
  place: PullPlace,
): Promise<BundleFile> {
  const path = `images/${imageFileName(image)}-${arch}.tar`;
  const target = join(place.folder, path);
  const listed = place.before.get(path);
  const there = await localFile(target).catch(() => undefined);
  if (there !== undefined && listed?.digest === manifest.digest && listed.sha256 === there.sha256) {
    place.onProgress({ path, doneBytes: there.size, totalBytes: there.size, state: 'there already' });
    return listed;
  }
  const { config, layers = [] } = manifest.content;
  const parts = new Map(
    [...(config === undefined ? [] : [config]), ...layers].map((part) => [part.digest, part]),
  );
  const total = [...parts.values()].reduce((sum, { size }) => sum + size, 0);
  const done = new Map<string, number>();
  await settled(
    [...parts.keys()].map((digest) =>
      blobs.fetch(repository, digest, (bytes) => {
        done.set(digest, bytes);
        const doneBytes = [...done.values()].reduce((sum, each) => sum + each, 0);
        place.onProgress({ path, doneBytes, totalBytes: total, state: 'loading' });
      }),
    ),
  );
  if (config !== undefined) checkConfig(image, await readFile(blobs.at(config.digest), 'utf8'), arch);
  await mkdir(dirname(target), { recursive: true });
  await writeImageArchive(target, image, manifest, (digest) => blobs.at(digest));
  const { size, sha256 } = await localFile(target);
  place.onProgress({ path, doneBytes: size, totalBytes: size, state: 'done' });
  return {
    path,
    kind: 'image',
    arch,
    image: imageText(image),
    digest: manifest.digest,
    sizeBytes: size,
    sha256,
    origin: repository.url,
  };
}

/** Layers and configs, each fetched once, whoever wants it. */
class Blobs {
  readonly #place: PullPlace;
  readonly #fetched = new Map<string, Promise<void>>();

  constructor(place: PullPlace) {
    this.#place = place;
  }

  at(digest: string): string {
    return join(this.#place.folder, blobsFolder, hexOf(digest));
  }

  async fetch(repository: Repository, digest: string, onBytes: (doneBytes: number) => void): Promise<void> {
    const begun = this.#fetched.get(digest);
    if (begun !== undefined) {
      await begun;
      return onBytes((await localFile(this.at(digest))).size);
    }
    const fetched = this.#fetch(repository, digest, onBytes);
    this.#fetched.set(digest, fetched);
    return fetched;
  }

  async #fetch(repository: Repository, digest: string, onBytes: (doneBytes: number) => void): Promise<void> {
    const path = this.at(digest);
    const there = await localFile(path).catch(() => undefined);
    if (there?.sha256 === hexOf(digest)) return onBytes(there.size);
    await mkdir(dirname(path), { recursive: true });
    await this.#place.limit(() => repository.blob(digest, path, onBytes));
  }
}
