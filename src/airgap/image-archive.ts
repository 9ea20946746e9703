import { createReadStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { FleetError } from '../core/errors.ts';
import { readSize } from '../engine/local-file.ts';
import { partOf } from '../engine/web.ts';
import type { K3sArch } from '../k3s/version.ts';
import { type ImageName, imageText } from './image-name.ts';
import { type Descriptor, hexOf, type Manifest, type Repository } from './registry.ts';
import { tarEnd, tarHeader, tarPadding } from './tar.ts';

/** An index within an index within an index is nobody's image. */
const deepestIndex = 3;

/**
 * The manifest of an image for one architecture.
 * @throws FleetError IMAGE_ARCH naming those that it is for
 */
export async function manifestFor(
  image: ImageName,
  repository: Repository,
  found: Manifest,
  arch: K3sArch,
): Promise<Manifest> {
  let manifest = found;
  for (let depth = 0; manifest.content.manifests !== undefined; depth += 1) {
    const all = manifest.content.manifests.filter(({ platform }) => platform?.os !== 'unknown');
    const chosen = bestFor(all, arch);
    if (chosen === undefined || depth === deepestIndex) throw wrongArch(image, arch, all.map(platformText));
    manifest = await repository.manifest(chosen.digest);
  }
  return manifest;
}

/** k3s' arm is ARMv7, which runs what was built for older ones. */
function bestFor(all: readonly Descriptor[], arch: K3sArch): Descriptor | undefined {
  const variants = arch === 'arm' ? ['v7', 'v6', 'v5', ''] : arch === 'arm64' ? ['v8', ''] : ['', 'v1'];
  return all
    .filter(({ platform }) => platform?.os === 'linux' && platform.architecture === arch)
    .map((descriptor) => ({ descriptor, rank: variants.indexOf(descriptor.platform?.variant ?? '') }))
    .filter(({ rank }) => rank >= 0)
    .sort((a, b) => a.rank - b.rank)
    .at(0)?.descriptor;
}

function platformText({ platform }: Descriptor): string {
  return [platform?.os, platform?.architecture, platform?.variant].filter(Boolean).join('/');
}

/** That a single image says itself to be for this architecture. @throws FleetError IMAGE_ARCH */
export function checkConfig(image: ImageName, config: string, arch: K3sArch): void {
  let value: { readonly architecture?: unknown; readonly os?: unknown };
  try {
    value = JSON.parse(config) as typeof value;
  } catch {
    value = {};
  }
  if (value.architecture === arch && value.os === 'linux') return;
  throw wrongArch(image, arch, [`${String(value.os)}/${String(value.architecture)}`]);
}

function wrongArch(image: ImageName, arch: K3sArch, there: readonly string[]): FleetError {
  return new FleetError({
    code: 'IMAGE_ARCH',
    message: `${imageText(image)} is not for linux/${arch}, but for ${[...new Set(there)].join(', ') || 'nothing'}`,
    fix: 'Pull it for its architectures alone (--arch), or name an image that is for all of them.',
  });
}

/**
 * Writes an image as one tar that containerd, k3s, docker and skopeo import: an OCI layout with docker's own list in it. The
 * same image gives the same bytes. Layers stay compressed, as they came.
 * @param blobAt where the blob of a digest lies
 * @see https://github.com/opencontainers/image-spec/blob/main/image-layout.md
 */
export async function writeImageArchive(
  path: string,
  image: ImageName,
  manifest: Manifest,
  blobAt: (digest: string) => string,
): Promise<void> {
  const { config, layers = [] } = manifest.content;
  if (config === undefined) throw new RangeError(`${imageText(image)} is an index`);
  const name = imageText({ ...image, digest: undefined });
  const place = (digest: string): string => `blobs/sha256/${hexOf(digest)}`;
  const index = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [
      {
        mediaType: manifest.mediaType,
        digest: manifest.digest,
        size: manifest.bytes.length,
        // By the first, containerd names the image; by the second, tools of OCI.
        annotations:
          image.tag === undefined
            ? { 'io.containerd.image.name': imageText(image) }
            : { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': image.tag },
      },
    ],
  };
  const forDocker = [
    {
      Config: place(config.digest),
      RepoTags: image.tag === undefined ? null : [name],
      Layers: layers.map(({ digest }) => place(digest)),
    },
  ];
  const part = partOf(path);
  const handle = await open(part, 'w', 0o644);
  try {
    const add = async (entry: string, bytes: Buffer): Promise<void> => {
      await handle.writeFile(tarHeader({ name: entry, sizeBytes: bytes.length }, 0o644, new Date(0)));
      await handle.writeFile(bytes);
      await handle.writeFile(tarPadding(bytes.length));
    };
    await add('oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
    await add('index.json', Buffer.from(JSON.stringify(index)));
    await add('manifest.json', Buffer.from(JSON.stringify(forDocker)));
    await add(place(manifest.digest), manifest.bytes);
    const blobs = new Map([config, ...layers].map((blob) => [blob.digest, blob]));
    for (const { digest, size } of blobs.values()) {
      await handle.writeFile(tarHeader({ name: place(digest), sizeBytes: size }, 0o644, new Date(0)));
      let written = 0;
      for await (const chunk of createReadStream(blobAt(digest), { highWaterMark: readSize })) {
        await handle.writeFile(chunk as Buffer);
        written += (chunk as Buffer).length;
      }
      if (written !== size) throw wrongSize(image, digest, size, written);
      await handle.writeFile(tarPadding(size));
    }
    await handle.writeFile(tarEnd);
    await handle.sync();
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
  await rename(part, path);
}

function wrongSize(image: ImageName, digest: string, said: number, found: number): FleetError {
  return new FleetError({
    code: 'IMAGE_DAMAGED',
    message: `the manifest of ${imageText(image)} says that ${digest} has ${said} bytes; it has ${found}`,
    fix: 'The image was pushed wrongly: push it again.',
  });
}
