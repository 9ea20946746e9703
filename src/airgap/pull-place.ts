import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FleetError, FleetErrors } from '../core/errors.ts';
import { localFile } from '../engine/local-file.ts';
import type { BundleFile } from '../facts/airgap-bundle.ts';

/** How far the fetching of one file is. */
export interface PullProgress {
  readonly path: string;
  readonly doneBytes: number;
  /** `undefined` where the server does not say. */
  readonly totalBytes: number | undefined;
  readonly state: 'loading' | 'done' | 'there already';
}

/** Where a pull puts things, what is there, and how it fetches. */
export interface PullPlace {
  readonly folder: string;
  /** What the list said before, by path. */
  readonly before: ReadonlyMap<string, BundleFile>;
  /** Runs one download when there is room for it; never around another one. */
  readonly limit: <Result>(work: () => Promise<Result>) => Promise<Result>;
  readonly onProgress: (progress: PullProgress) => void;
  /** What a person should know of what was fetched. */
  readonly onNote: (text: string) => void;
}

/** Waits for all, then tells of everything that failed. @throws FleetErrors */
export async function settled<Result>(all: readonly Promise<Result>[]): Promise<readonly Result[]> {
  const results = await Promise.allSettled(all);
  const failures = results.flatMap((result) => (result.status === 'rejected' ? errorsIn(result.reason) : []));
  const other = failures.find((failure) => !(failure instanceof FleetError));
  if (other !== undefined) throw other;
  const told = new Map(failures.map((failure) => [(failure as FleetError).message, failure as FleetError]));
  FleetErrors.throwIfAny([...told.values()]);
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}

function errorsIn(reason: unknown): readonly unknown[] {
  return reason instanceof FleetErrors ? reason.errors : [reason];
}

/**
 * Fetches one file whose sum is known, unless it is there and right.
 * @param fetch puts it at a path, verified
 * @returns its size in bytes
 */
export async function pullFile(
  place: PullPlace,
  path: string,
  sha256: string,
  fetch: (target: string, onBytes: OnBytes) => Promise<void>,
): Promise<number> {
  const target = join(place.folder, path);
  const there = await localFile(target).catch(() => undefined);
  if (there?.sha256 === sha256) {
    place.onProgress({ path, doneBytes: there.size, totalBytes: there.size, state: 'there already' });
    return there.size;
  }
  await mkdir(dirname(target), { recursive: true });
  await place.limit(() =>
    fetch(target, (doneBytes, totalBytes) =>
      place.onProgress({ path, doneBytes, totalBytes, state: 'loading' }),
    ),
  );
  const { size } = await localFile(target);
  place.onProgress({ path, doneBytes: size, totalBytes: size, state: 'done' });
  return size;
}

/** No two things may be kept under one name. @throws FleetError BUNDLE_TWICE */
export function refuseTwice(paths: readonly string[]): void {
  const twice = paths.find((path, index) => paths.indexOf(path) !== index);
  if (twice === undefined) return;
  throw new FleetError({
    code: 'BUNDLE_TWICE',
    message: `two things would be ${twice} in the bundle`,
    fix: 'Leave one of them out, or rename it.',
    blame: 'usage',
  });
}

/** How many bytes of how many are there; the second is `undefined` where the server does not say. */
export type OnBytes = (doneBytes: number, totalBytes: number | undefined) => void;
