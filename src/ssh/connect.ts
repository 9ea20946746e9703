import pLimit, { type LimitFunction } from 'p-limit';
import type { ParsedKey } from 'ssh2';
import { FleetError } from '../core/errors.ts';
import type { Connection } from './connection.ts';
import { commandAborted } from './faults.ts';
import { KnownHosts } from './known-hosts.ts';
import { LocalConnection } from './local-connection.ts';
import { OpensshConnection } from './openssh-connection.ts';
import { type AskSecret, PrivateKeys } from './private-keys.ts';
import { connectSsh2, JumpHosts, type Notice, type Ssh2Context } from './ssh2-connection.ts';
import type { Target } from './target.ts';

/** More connections opening at once buy only lag in the event loop (measured: 971 ms at 2,000 at once). */
const OPENING_AT_ONCE = 50;

/** Pauses before the attempts after a dropped one; the last repeats. Each is stretched by up to a half, so that hosts do not retry in step. */
const RETRY_PAUSES_MS = [100, 250, 500, 1000];

export interface PoolOptions {
  /** Asks a person for a passphrase; without it, a locked key that no agent holds is an error. */
  readonly askSecret?: AskSecret;
  /** Told of what is no error and must not pass unseen, e.g. an accepted host key. */
  readonly announce?: (notice: Notice) => void;
  /** How many connections may be opening at once. */
  readonly openingAtOnce?: number;
}

export interface ConnectOptions extends PoolOptions {
  readonly signal?: AbortSignal;
}

/** Connects to one host, on its own. Many hosts share keys, known hosts, jump hosts and limits through a `ConnectionPool`. */
export async function connect(target: Target, options: ConnectOptions = {}): Promise<Connection> {
  return new ConnectionPool(options).connect(target, options.signal);
}

/** Opens the connections of a run: at most 50 at once, at most 10 through one jump host, each key read once. */
export class ConnectionPool {
  readonly #context: Ssh2Context;
  readonly #opening: LimitFunction;
  readonly #open = new Set<Connection>();

  constructor(options: PoolOptions = {}) {
    this.#opening = pLimit(options.openingAtOnce ?? OPENING_AT_ONCE);
    this.#context = {
      knownHosts: new KnownHosts(),
      keys: new PrivateKeys(options.askSecret),
      agents: new Map<string, Promise<readonly ParsedKey[] | undefined>>(),
      jumps: new JumpHosts(),
      announce: options.announce ?? (() => {}),
      ...(options.askSecret === undefined ? {} : { askSecret: options.askSecret }),
    };
  }

  /**
   * A connection to the host, logged in. A server that hangs up before login (MaxStartups, a reboot) is tried again within the connect deadline;
   * nothing else is.
   * @throws FleetError naming the host; see docs/errors.md for the codes.
   */
  async connect(target: Target, signal?: AbortSignal): Promise<Connection> {
    for (const message of target.transport === 'ssh2' ? target.warnings : []) {
      this.#context.announce({ code: 'SSH_OPTION_IGNORED', host: target.name, message });
    }
    const open = () => this.#opening(() => this.#attempt(target, signal));
    const connection = await (target.jumps.length === 0
      ? open()
      : this.#context.jumps.limitFor(target.jumps)(open));
    this.#open.add(connection);
    connection.closed.then(() => this.#open.delete(connection));
    return connection;
  }

  /** Closes every connection that is still open. */
  async close(): Promise<void> {
    await Promise.all([...this.#open].map((connection) => connection.close()));
  }

  async #attempt(target: Target, signal: AbortSignal | undefined): Promise<Connection> {
    if (target.transport === 'local') return new LocalConnection(target.name);
    const deadline = Date.now() + target.connectTimeoutMs;
    for (let attempt = 0; ; attempt++) {
      const remaining = Math.max(1, deadline - Date.now());
      const now = { ...target, connectTimeoutMs: attempt === 0 ? target.connectTimeoutMs : remaining };
      try {
        return await (target.transport === 'openssh'
          ? OpensshConnection.open(now, this.#context.announce, signal)
          : connectSsh2(now, this.#context, signal));
      } catch (error) {
        const pause =
          (RETRY_PAUSES_MS[Math.min(attempt, RETRY_PAUSES_MS.length - 1)] ?? 0) * (1 + Math.random() / 2);
        const transient = error instanceof FleetError && error.code === 'CONNECT_DROPPED';
        if (!transient || Date.now() + pause >= deadline) throw error;
        this.#context.announce({ code: 'CONNECT_RETRIED', host: target.name, message: error.message });
        await sleep(pause, target.name, signal);
      }
    }
  }
}

function sleep(ms: number, host: string, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      clearTimeout(timer);
      reject(commandAborted(host));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
  });
}
