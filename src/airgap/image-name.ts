import { createHash } from 'node:crypto';
import { FleetError } from '../core/errors.ts';

/** The full name of a container image. */
export interface ImageName {
  /** The registry, with its port: `docker.io`, `registry.example.org:5000`. */
  readonly registry: string;
  /** `library/busybox`. */
  readonly repository: string;
  readonly tag: string | undefined;
  /** `sha256:…`; it counts where there is a tag too. */
  readonly digest: string | undefined;
}

/** What an image without a registry belongs to, and what its official images stand below. */
const usualRegistry = 'docker.io';
const officialFolder = 'library/';

const form =
  /^(?<path>[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*)(?::(?<tag>\w[\w.-]{0,127}))?(?:@(?<digest>sha256:[0-9a-f]{64}))?$/;

/**
 * The image that a text names, as containerd and docker read it: `busybox` is `docker.io/library/busybox:latest`.
 * @throws FleetError IMAGE_NAME
 * @see https://github.com/distribution/reference
 */
export function parseImageName(text: string): ImageName {
  const slash = text.indexOf('/');
  const first = slash < 0 ? '' : text.slice(0, slash);
  const isRegistry = first === 'localhost' || /[.:]/.test(first) || first.toLowerCase() !== first;
  const registry = isRegistry ? first : usualRegistry;
  const match = form.exec(isRegistry ? text.slice(slash + 1) : text)?.groups;
  if (match?.path === undefined || !/^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d+)?$/.test(registry)) {
    throw new FleetError({
      code: 'IMAGE_NAME',
      message: `${JSON.stringify(text)} names no container image`,
      fix: 'Write for example busybox:1.36, or registry.example.org:5000/shop/web:2.1.',
      blame: 'usage',
    });
  }
  const isOfficial = registry === usualRegistry && !match.path.includes('/');
  return {
    registry,
    repository: isOfficial ? `${officialFolder}${match.path}` : match.path,
    tag: match.tag ?? (match.digest === undefined ? 'latest' : undefined),
    digest: match.digest,
  };
}

/** The whole name, as Kubernetes and containerd know the image. */
export function imageText({ registry, repository, tag, digest }: ImageName): string {
  return `${registry}/${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

/** With what comes behind it, a portable tar has room for it. */
const longestFileName = 88;

/** A file name that no other image has, also on a stick with FAT: `docker.io+library+busybox@1.36`. */
export function imageFileName(image: ImageName): string {
  const { registry, repository, tag, digest } = image;
  const path = `${registry.replace(':', '=')}/${repository}`.replaceAll('/', '+');
  const whole = `${path}@${digest === undefined ? tag : digest.slice('sha256:'.length)}`;
  if (whole.length <= longestFileName) return whole;
  const sum = createHash('sha256').update(imageText(image)).digest('hex').slice(0, 32);
  return `${sum}+${whole.slice(sum.length + 1 - longestFileName)}`;
}

/** The images that a list names: one a line, with `#` comments. */
export function imagesInList(text: string): readonly string[] {
  return text
    .split('\n')
    .map((line) => line.replace(/(^|\s)#.*$/, '').trim())
    .filter((line) => line !== '');
}
