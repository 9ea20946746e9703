import { createHash } from 'node:crypto';
import { createGunzip } from 'node:zlib';
import { Decompress } from 'fzstd';
import { SaxesParser } from 'saxes';
import { FleetError } from '../core/errors.ts';
import type { Web } from '../engine/web.ts';
import { compareRpmVersions, type RpmVersion } from './rpm-version.ts';

/** A package, as the metadata of its repository describes it. */
export interface RpmPackage extends RpmVersion {
  readonly name: string;
  readonly arch: string;
  readonly url: string;
  readonly sha256: string;
  readonly provides: readonly RpmRelation[];
  readonly requires: readonly RpmRelation[];
}

/** `container-selinux >= 3:2.191`. */
export interface RpmRelation {
  readonly name: string;
  readonly comparison: 'EQ' | 'GE' | 'GT' | 'LE' | 'LT' | undefined;
  readonly version: RpmVersion;
}

/** Packed; that of a whole distribution has thirty. */
const largestMetadataBytes = 256 * 1024 * 1024;

/**
 * The packages of a repository that have one of these names, its metadata checked against the sums in repomd.xml.
 * @throws FleetError DOWNLOAD_FAILED, RPM_METADATA
 * @see https://rpm-software-management.github.io/createrepo_c/
 */
export async function packagesOf(
  web: Web,
  repository: string,
  names: ReadonlySet<string>,
): Promise<readonly RpmPackage[]> {
  const base = `${repository.replace(/\/+$/, '')}/`;
  const repomdUrl = new URL('repodata/repomd.xml', base).href;
  const primary = primaryIn(await web.text(repomdUrl), repomdUrl);
  const url = new URL(primary.href, base).href;
  const { bytes } = await web.answer(url, { largestBytes: largestMetadataBytes });
  const got = createHash(primary.algorithm).update(bytes).digest('hex');
  if (got !== primary.sum) {
    throw wrong(url, `its ${primary.algorithm} is ${got}, repomd.xml says ${primary.sum}`);
  }
  const reader = new PrimaryReader(base, names);
  try {
    for await (const text of unpacked(bytes, primary.href, url)) reader.write(text);
  } catch (error) {
    if (error instanceof FleetError) throw error;
    throw wrong(url, error instanceof Error ? error.message : String(error));
  }
  return reader.end();
}

/** The newest of each name. */
export function newestOf(packages: readonly RpmPackage[]): ReadonlyMap<string, RpmPackage> {
  const newest = new Map<string, RpmPackage>();
  for (const each of packages) {
    const other = newest.get(each.name);
    if (other === undefined || compareRpmVersions(each, other) > 0) newest.set(each.name, each);
  }
  return newest;
}

/** Whether a package is what another one asks for; `undefined` where it has nothing of that name. */
export function satisfies(found: RpmPackage, wanted: RpmRelation): boolean | undefined {
  const offers = found.provides.filter(({ name }) => name === wanted.name);
  if (offers.length === 0) return undefined;
  const { comparison } = wanted;
  if (comparison === undefined) return true;
  return offers.some((offer) => {
    if (offer.comparison === undefined) return true;
    const order = compareRpmVersions(offer.version, wanted.version);
    if (order === 0) return comparison === 'EQ' || comparison === 'GE' || comparison === 'LE';
    return order > 0
      ? comparison === 'GE' || comparison === 'GT'
      : comparison === 'LE' || comparison === 'LT';
  });
}

function primaryIn(
  text: string,
  url: string,
): { readonly href: string; readonly algorithm: string; readonly sum: string } {
  let isPrimary = false;
  let within = '';
  let algorithm = '';
  let sum = '';
  let href = '';
  const parser = new SaxesParser();
  parser.on('opentag', ({ name, attributes }) => {
    within = name;
    if (name === 'data') isPrimary = attributes.type === 'primary';
    if (!isPrimary) return;
    if (name === 'checksum') algorithm = attributes.type ?? '';
    if (name === 'location') href = attributes.href ?? '';
  });
  parser.on('text', (piece) => {
    if (isPrimary && within === 'checksum') sum += piece.trim();
  });
  parser.on('closetag', () => {
    within = '';
  });
  try {
    parser.write(text).close();
  } catch (error) {
    throw wrong(url, error instanceof Error ? error.message : String(error));
  }
  if (href === '') throw wrong(url, 'it names no list of packages');
  // SHA-1 proves nothing any more.
  if (!/^sha(256|384|512)$/.test(algorithm))
    throw wrong(url, `its sums are ${algorithm || 'missing'}, not sha256`);
  return { href, algorithm, sum: sum.toLowerCase() };
}

async function* unpacked(bytes: Buffer, name: string, url: string): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  for await (const chunk of unpackedBytes(bytes, name, url)) yield decoder.decode(chunk, { stream: true });
  yield decoder.decode();
}

async function* unpackedBytes(bytes: Buffer, name: string, url: string): AsyncGenerator<Uint8Array> {
  const ending = /\.xml(\.\w+)?$/.exec(name)?.[1] ?? '';
  if (ending === '') yield bytes;
  else if (ending === '.gz') {
    const gunzip = createGunzip();
    gunzip.end(bytes);
    yield* gunzip as AsyncIterable<Uint8Array>;
  } else if (ending === '.zst') {
    const out: Uint8Array[] = [];
    const decompress = new Decompress((chunk) => out.push(chunk));
    const piece = 256 * 1024;
    for (let at = 0; at < bytes.length; at += piece) {
      decompress.push(bytes.subarray(at, at + piece), at + piece >= bytes.length);
      yield* out.splice(0);
    }
  } else throw wrong(url, `it is packed as ${ending}, which fleet cannot read`);
}

/** Reads primary.xml as it comes, and keeps what is wanted: that of a distribution has a hundred megabytes. */
class PrimaryReader {
  readonly #parser = new SaxesParser();
  readonly #found: RpmPackage[] = [];
  #text = '';
  #name = '';
  #arch = '';
  #version: RpmVersion = { epoch: 0, version: '', release: '' };
  #sum = '';
  #algorithm = '';
  #href = '';
  #provides: RpmRelation[] = [];
  #requires: RpmRelation[] = [];
  #list: 'provides' | 'requires' | undefined;

  constructor(base: string, names: ReadonlySet<string>) {
    this.#parser.on('opentag', ({ name, attributes }) => this.#open(name, attributes));
    this.#parser.on('text', (piece) => {
      this.#text += piece;
    });
    this.#parser.on('closetag', ({ name }) => this.#close(name, base, names));
  }

  write(text: string): void {
    this.#parser.write(text);
  }

  end(): readonly RpmPackage[] {
    this.#parser.close();
    return this.#found;
  }

  #open(tag: string, attributes: Readonly<Record<string, string>>): void {
    this.#text = '';
    switch (tag) {
      case 'package':
        this.#name = '';
        this.#provides = [];
        this.#requires = [];
        break;
      case 'version':
        this.#version = versionIn(attributes);
        break;
      case 'checksum':
        this.#algorithm = attributes.type ?? '';
        break;
      case 'location':
        this.#href = attributes.href ?? '';
        break;
      case 'rpm:provides':
        this.#list = 'provides';
        break;
      case 'rpm:requires':
        this.#list = 'requires';
        break;
      case 'rpm:entry':
        this.#relation(attributes);
        break;
    }
  }

  #relation(attributes: Readonly<Record<string, string>>): void {
    if (this.#list === undefined) return;
    const flags = attributes.flags ?? '';
    const comparison = (['EQ', 'GE', 'GT', 'LE', 'LT'] as const).find((each) => each === flags);
    const relation = { name: attributes.name ?? '', comparison, version: versionIn(attributes) };
    (this.#list === 'provides' ? this.#provides : this.#requires).push(relation);
  }

  #close(tag: string, base: string, names: ReadonlySet<string>): void {
    const text = this.#text.trim();
    this.#text = '';
    // A package's own name stands before those of its files and relations.
    if (tag === 'name' && this.#name === '') this.#name = text;
    if (tag === 'arch') this.#arch = text;
    if (tag === 'checksum') this.#sum = text.toLowerCase();
    if (tag === 'rpm:provides' || tag === 'rpm:requires') this.#list = undefined;
    if (tag !== 'package' || !names.has(this.#name)) return;
    const url = new URL(this.#href, base).href;
    if (this.#algorithm !== 'sha256' || !/^[0-9a-f]{64}$/.test(this.#sum))
      throw wrong(url, `its repository publishes no sha256 for it, but ${this.#algorithm}`);
    this.#found.push({
      ...this.#version,
      name: this.#name,
      arch: this.#arch,
      url,
      sha256: this.#sum,
      provides: this.#provides,
      requires: this.#requires,
    });
  }
}

function versionIn({ epoch, ver, rel }: Readonly<Record<string, string>>): RpmVersion {
  return { epoch: Number(epoch ?? 0), version: ver ?? '', release: rel ?? '' };
}

function wrong(url: string, reason: string): FleetError {
  return new FleetError({
    code: 'RPM_METADATA',
    message: `${url} cannot be used: ${reason}`,
    fix: 'Nothing of it was used. Check the address, and the mirror or proxy it came through.',
  });
}
