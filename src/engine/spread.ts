import { randomBytes } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { PassThrough } from 'node:stream';
import type { Upload } from './action.ts';
import { serveScript } from './file-server-script.ts';
import type { HostSession } from './host-session.ts';
import type { LocalFile } from './local-file.ts';

/** Smaller files are sent before a server has started. */
const spreadFromBytes = 16 * 1024 * 1024;
/** Fewer hosts share no uplink worth sparing. */
const fewestPeers = 3;
/** To so many at the same time one host hands a file on: each round triples those who have it. */
const servedAtOnce = 2;
/** When those who are being sent the file have had no byte for so long, the others wait no more. */
const stalledAfterMs = 15_000;
const untilListeningMs = 10_000;

/** A host that has a file and may hand it on. */
interface Donor {
  readonly session: HostSession;
  readonly address: string;
  readonly path: string;
  readonly sizeBytes: number;
  serving: number;
  isAble: boolean;
}

type Receiver = Pick<Donor, 'session' | 'address' | 'path' | 'sizeBytes'>;

/** Where a host can fetch a file from, for one fetch. */
export interface Offer {
  readonly address: string;
  readonly port: number;
  readonly secret: string;
}

/** Whether the host tried to fetch: `unable` means that it never can, so that nobody tries to serve it again. */
export type Fetched = 'fetched' | 'failed' | 'unable';

/** What one file's way through the hosts needs of an upload. */
export interface Ways {
  /** Sends it from this machine. */
  readonly direct: (onProgress: () => void) => Promise<void>;
  /** Has the host fetch, verify and land it. */
  readonly fetch: (offer: Offer) => Promise<Fetched>;
}

/**
 * One file on its way to many hosts: sent once to the first, then handed on from host to host in a tree. Whoever cannot
 * fetch is sent it directly; where the first can serve nobody, more are, until one can. A host without any tool is never reached by
 * way of another: through a forward of this machine the bytes would leave it all the same, and come to it besides.
 */
class Swarm {
  readonly #donors: Donor[] = [];
  #direct = 0;
  #lastProgress = 0;
  #wake: (() => void)[] = [];

  async bring(of: Receiver, ways: Ways): Promise<void> {
    for (let isAble = true; ; ) {
      const able = this.#donors.filter((donor) => donor.isAble);
      const [free] = able
        .filter(({ serving }) => serving < servedAtOnce)
        .sort((a, b) => a.serving - b.serving);
      if (isAble && free !== undefined) {
        const outcome = await this.#fetchFrom(free, ways);
        if (outcome === 'fetched') return this.#join(of);
        if (outcome !== 'no offer') isAble = false;
        continue;
      }
      if (!isAble || (able.length === 0 && this.#mayBeSentDirectly())) return this.#sendDirectly(of, ways);
      await this.#change();
    }
  }

  /**
   * One is sent the file and the others wait for that one; where those who have it serve nobody, as many are sent it at the same time as
   * they are, until one serves.
   */
  #mayBeSentDirectly(): boolean {
    const isStalled = this.#direct > 0 && performance.now() - this.#lastProgress > stalledAfterMs;
    return this.#direct < Math.max(1, this.#donors.length) || isStalled;
  }

  #join(of: Receiver): void {
    this.#donors.push({ ...of, serving: 0, isAble: true });
    this.#tellAll();
  }

  async #sendDirectly(of: Receiver, ways: Ways): Promise<void> {
    this.#direct += 1;
    this.#lastProgress = performance.now();
    try {
      await ways.direct(() => {
        this.#lastProgress = performance.now();
      });
      // Before those who wait see that nobody is being sent the file any more.
      this.#join(of);
    } finally {
      this.#direct -= 1;
      this.#tellAll();
    }
  }

  async #fetchFrom(donor: Donor, ways: Ways): Promise<Fetched | 'no offer'> {
    donor.serving += 1;
    try {
      const served = await serve(donor);
      if (served === undefined) {
        donor.isAble = false;
        return 'no offer';
      }
      try {
        return await ways.fetch(served.offer);
      } finally {
        await served.stop();
      }
    } finally {
      donor.serving -= 1;
      this.#tellAll();
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, stalledAfterMs);
      this.#wake.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #tellAll(): void {
    const waking = this.#wake;
    this.#wake = [];
    for (const wake of waking) wake();
  }
}

/** By sha256, over the whole run: a server that got a file early serves the agents later. */
const swarms = new Map<string, Swarm>();

/** Whether a file is handed on from host to host. */
export function isSpread(upload: Upload, file: LocalFile): boolean {
  return upload.spread !== undefined && upload.spread.peers >= fewestPeers && file.size >= spreadFromBytes;
}

/** Brings a file to a host from another that has it, or directly. @throws what the direct way throws */
export async function bringSpread(
  session: HostSession,
  upload: Upload,
  file: LocalFile,
  ways: Ways,
): Promise<void> {
  const named = upload.spread?.address ?? '';
  const address = isIP(named)
    ? named
    : await lookup(named).then(
        (found) => found.address,
        () => '',
      );
  // Nobody could reach it, and it may reach nobody: it takes no part.
  if (address === '') return ways.direct(() => {});
  const swarm = swarms.get(file.sha256) ?? new Swarm();
  swarms.set(file.sha256, swarm);
  await swarm.bring({ session, address, path: upload.path, sizeBytes: file.size }, ways);
}

/** For a transfer that still moves; what a crash leaves behind ends by then, if its stdin does not end before. */
function serverLifeS(sizeBytes: number): number {
  return Math.ceil(60 + sizeBytes / 500_000);
}

async function serve(
  donor: Donor,
): Promise<{ readonly offer: Offer; readonly stop: () => Promise<void> } | undefined> {
  const lifeS = serverLifeS(donor.sizeBytes);
  const secret = randomBytes(24).toString('hex');
  const stdin = new PassThrough();
  let said = '';
  let onPort: (port: number | undefined) => void = () => {};
  const listening = new Promise<number | undefined>((resolve) => {
    onPort = resolve;
  });
  const ended = donor.session
    .runBeside(serveScript(donor.address, donor.path, secret, lifeS), {
      stdin,
      deadlineMs: lifeS * 1000,
      onStdout: (chunk) => {
        said += chunk.toString('latin1');
        const port = /^port (\d+)\n/.exec(said)?.[1];
        if (port !== undefined) onPort(Number(port));
      },
    })
    // A server that cannot be had is no error: the file goes another way.
    .then(
      () => onPort(undefined),
      () => onPort(undefined),
    );
  const timer = setTimeout(() => onPort(undefined), untilListeningMs);
  const port = await listening;
  clearTimeout(timer);
  const stop = async (): Promise<void> => {
    stdin.end();
    await ended;
  };
  if (port === undefined) {
    stdin.end();
    return undefined;
  }
  return { offer: { address: donor.address, port, secret }, stop };
}
