import { createHash } from 'node:crypto';
import { FleetError } from '../core/errors.ts';
import { Web, type WebOptions } from '../engine/web.ts';
import { dockerCredentials } from './docker-credentials.ts';
import { type ImageName, imageText } from './image-name.ts';
import {
  caFileIn,
  credentialsIn,
  type Endpoint,
  endpointsOf,
  type RegistriesFile,
} from './registries-file.ts';
import { RegistryAccess } from './registry-access.ts';

/** What a manifest or an index says of something else: a blob, or a manifest of one platform. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: {
    readonly architecture: string;
    readonly os: string;
    readonly variant?: string;
  };
}

/** A manifest to the byte: its digest is that of these bytes. */
export interface Manifest {
  readonly bytes: Buffer;
  readonly mediaType: string;
  readonly digest: string;
  /** As it was read out of the bytes; an index has `manifests`, an image `config` and `layers`. */
  readonly content: ManifestContent;
}

export interface ManifestContent {
  readonly mediaType?: string;
  readonly manifests?: readonly Descriptor[];
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
}

const manifestTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];

/**
 * Container registries, read by the distribution API, each through its mirrors and with what is known of who asks.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md
 */
export class Registries {
  readonly #file: RegistriesFile;
  readonly #options: WebOptions;
  readonly #webs = new Map<string, Web>();

  constructor(file: RegistriesFile, options: WebOptions) {
    this.#file = file;
    this.#options = options;
  }

  /**
   * The repository of an image at the first of its places that has the image.
   * @throws FleetError IMAGE_NOT_FOUND with what each place answered; IMAGE_DAMAGED
   */
  async find(image: ImageName): Promise<{ readonly repository: Repository; readonly manifest: Manifest }> {
    const answers: string[] = [];
    for (const endpoint of endpointsOf(this.#file, image)) {
      const repository = await this.#repository(endpoint, image);
      try {
        return { repository, manifest: await repository.manifest(image.digest ?? image.tag ?? 'latest') };
      } catch (error) {
        if (!(error instanceof FleetError) || error.code !== 'DOWNLOAD_FAILED') throw error;
        answers.push(error.message);
      }
    }
    throw new FleetError({
      code: 'IMAGE_NOT_FOUND',
      message: `${imageText(image)} could not be had: ${answers.join('; ')}`,
      fix: 'Check the name, log in with docker login where the image is not for everybody, and name mirrors with --registries.',
    });
  }

  async #repository(endpoint: Endpoint, image: ImageName): Promise<Repository> {
    const credentials =
      credentialsIn(this.#file, endpoint.host) ??
      (await dockerCredentials(endpoint.isMirror ? endpoint.host : image.registry));
    const web = this.#web(endpoint.host);
    return new Repository(
      web,
      endpoint,
      image.registry,
      new RegistryAccess(web, endpoint.repository, credentials),
    );
  }

  #web(host: string): Web {
    const own = caFileIn(this.#file, host);
    const known = this.#webs.get(own ?? '');
    if (known !== undefined) return known;
    const caFiles = [...(this.#options.caFiles ?? []), ...(own === undefined ? [] : [own])];
    const web = new Web({ ...this.#options, caFiles });
    this.#webs.set(own ?? '', web);
    return web;
  }
}

/** One repository at one place. */
export class Repository {
  readonly #web: Web;
  readonly #endpoint: Endpoint;
  readonly #registry: string;
  readonly #access: RegistryAccess;

  constructor(web: Web, endpoint: Endpoint, registry: string, access: RegistryAccess) {
    this.#web = web;
    this.#endpoint = endpoint;
    this.#registry = registry;
    this.#access = access;
  }

  /** Where its things are: for a person, and for the list of a bundle. */
  get url(): string {
    return `${this.#endpoint.url}/${this.#endpoint.repository}`;
  }

  /** @param reference a tag, or a digest @throws FleetError DOWNLOAD_FAILED, IMAGE_DAMAGED, IMAGE_FORM */
  async manifest(reference: string): Promise<Manifest> {
    const url = this.#address('manifests', reference);
    const { bytes, mediaType } = await this.#web.answer(url, {
      accept: manifestTypes.join(', '),
      access: this.#access,
    });
    const digest = digestOf(bytes);
    if (reference.startsWith('sha256:') && digest !== reference) {
      throw new FleetError({
        code: 'IMAGE_DAMAGED',
        message: `${url} has the digest ${digest}`,
        fix: 'Nothing of it was used. Check the mirror or proxy it came through.',
      });
    }
    const content = manifestIn(bytes, url);
    return { bytes, digest, mediaType: content.mediaType ?? mediaType, content };
  }

  /** Fetches a blob into a file; what is there already of it is gone on with. @throws FleetError DOWNLOAD_FAILED, DOWNLOAD_DAMAGED */
  async blob(
    digest: string,
    path: string,
    onProgress: (doneBytes: number, totalBytes: number | undefined) => void,
  ): Promise<void> {
    await this.#web.file(this.#address('blobs', digest), path, hexOf(digest), onProgress, this.#access);
  }

  #address(what: 'manifests' | 'blobs', reference: string): string {
    // As containerd tells a mirror which registry it stands for.
    const asked = this.#endpoint.isMirror ? `?ns=${encodeURIComponent(this.#registry)}` : '';
    return `${this.url}/${what}/${reference}${asked}`;
  }
}

/** The hexadecimal part of a digest. @throws FleetError IMAGE_FORM for any but sha256 */
export function hexOf(digest: string): string {
  const [, hex] = /^sha256:([0-9a-f]{64})$/.exec(digest) ?? [];
  if (hex !== undefined) return hex;
  throw new FleetError({
    code: 'IMAGE_FORM',
    message: `${JSON.stringify(digest)} is no sha256 digest`,
    fix: 'Fetch the image with another tool (skopeo copy), into the folder images/.',
  });
}

export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function manifestIn(bytes: Buffer, url: string): ManifestContent {
  try {
    const content = JSON.parse(bytes.toString('utf8')) as ManifestContent;
    const isIndex = Array.isArray(content.manifests);
    if (isIndex || (content.config !== undefined && Array.isArray(content.layers))) return content;
  } catch {
    // Told below: what came is no manifest that is understood here.
  }
  throw new FleetError({
    code: 'IMAGE_FORM',
    message: `${url} is no manifest of an image in the forms of OCI or Docker 2.2`,
    fix: 'Push the image again with a tool of this decade, or check the address of the mirror.',
  });
}
