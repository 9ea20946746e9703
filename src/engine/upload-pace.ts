import pLimit, { type LimitFunction } from 'p-limit';
import type { UploadPace } from './action.ts';

const places = new Map<number, LimitFunction>();
const buckets = new Map<number, Bucket>();

/** Runs work when fewer uploads than allowed are under way in this process. */
export function whenItsTurn<Result>(
  pace: UploadPace | undefined,
  work: () => Promise<Result>,
): Promise<Result> {
  if (pace === undefined) return work();
  const limit = places.get(pace.atOnce) ?? pLimit(pace.atOnce);
  places.set(pace.atOnce, limit);
  return limit(work);
}

/** Resolves when so many more bytes may be sent. */
export async function untilAllowed(bytes: number, pace: UploadPace | undefined): Promise<void> {
  if (pace?.bytesPerSecond === undefined) return;
  const bucket = buckets.get(pace.bytesPerSecond) ?? new Bucket(pace.bytesPerSecond);
  buckets.set(pace.bytesPerSecond, bucket);
  await bucket.take(bytes);
}

/** Hands out a line's bytes in the order in which they are asked for. */
class Bucket {
  readonly #bytesPerMs: number;
  /** When all that was handed out so far will have been sent. */
  #freeAt = 0;

  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1000;
  }

  async take(bytes: number): Promise<void> {
    const now = performance.now();
    const begin = Math.max(now, this.#freeAt);
    this.#freeAt = begin + bytes / this.#bytesPerMs;
    if (begin > now) await new Promise((resolve) => setTimeout(resolve, begin - now));
  }
}
