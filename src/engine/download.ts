import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FleetError } from '../core/errors.ts';
import { cacheFolder } from './cache-folder.ts';
import { localFile } from './local-file.ts';
import { partOf, Web } from './web.ts';

const web = new Web({
  attempts: 5,
  firstPauseMs: 250,
  fileMode: 0o600,
  fix: 'Check the address, the network and HTTPS_PROXY; or set artifact_url to a mirror, or airgap_dir to a folder.',
});

/**
 * Fetches a small text (a list of sums, a channel, an install script). Proxies as HTTPS_PROXY and NO_PROXY say.
 * @throws FleetError DOWNLOAD_FAILED, DOWNLOAD_TOO_LARGE
 */
export async function fetchText(url: string): Promise<string> {
  return web.text(url);
}

/**
 * The path of a file in the cache that has this sha256, fetched if it is not there yet.
 * @throws FleetError DOWNLOAD_FAILED, or DOWNLOAD_DAMAGED when what came has another sum; nothing unverified stays
 */
export async function fetchVerified(
  url: string,
  sha256: string,
  onProgress: (doneBytes: number, totalBytes: number | undefined) => void = () => {},
): Promise<string> {
  const path = join(cacheFolder(), 'sha256', sha256);
  // All hosts of a wave may want the same file at once: whoever comes second waits for the first one's.
  const begun = fetching.get(path);
  if (begun !== undefined) return begun;
  const fetched = fetchInto(path, url, sha256, onProgress).finally(() => fetching.delete(path));
  fetching.set(path, fetched);
  return fetched;
}

const fetching = new Map<string, Promise<string>>();

async function fetchInto(
  path: string,
  url: string,
  sha256: string,
  onProgress: (doneBytes: number, totalBytes: number | undefined) => void,
): Promise<string> {
  if (existsSync(path) && (await localFile(path)).sha256 === sha256) return path;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  // Another process may want the same file: each writes one of its own, and the last rename counts.
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await web.file(url, temporary, sha256, onProgress);
    await rename(temporary, path);
  } finally {
    await rm(partOf(temporary), { force: true });
  }
  return path;
}

/**
 * The sha256 that a list of sums (`sha256sum-amd64.txt`: `<hex>  <name>` a line) gives for a file.
 * @throws FleetError SUM_MISSING
 */
export function sumIn(list: string, name: string, url: string): string {
  for (const line of list.split('\n')) {
    const match = /^([0-9a-f]{64})\s+\*?(\S+)$/.exec(line.trim());
    if (match?.[1] !== undefined && match[2] === name) return match[1];
  }
  throw new FleetError({
    code: 'SUM_MISSING',
    message: `${url} holds no sha256 for ${name}`,
    fix: 'Check that the version was published for this architecture.',
  });
}
