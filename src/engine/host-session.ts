import { FleetError } from '../core/errors.ts';
import type { ShellScript } from '../core/shell.ts';
import type { Answer, Become, Connection, Item, RunOptions, Shell } from '../ssh/connection.ts';
import type { Fact } from './fact.ts';
import { type Epoch, FactStore, type Known } from './fact-store.ts';

/** Questions are small; a host that needs longer for a whole trip of them is in trouble. */
const lookDeadlineMs = 120_000;

/** How long, and how often, a lost connection is tried again before the host is given up. */
const reconnectForMs = 60_000;
const reconnectEveryMs = 1_000;

interface Asking {
  readonly fact: Fact<unknown>;
  readonly settle: ((known: Known) => void)[];
}

/**
 * Everything the engine has with one host, as one user: the connection, one open shell, and what is known of it.
 * Questions that come while a trip is under way are gathered, each fact once, and go out together with the next.
 */
export class HostSession {
  readonly facts: FactStore;
  /** Batches sent after connecting. */
  roundTrips = 0;
  #connection: Promise<Connection> | undefined;
  #shell: Promise<Shell> | undefined;
  #waiting = new Map<string, Asking>();
  #asking: Promise<void> | undefined;
  readonly #open: () => Promise<Connection>;
  readonly #become: Become | undefined;
  readonly #onLost: (reason: string) => void;

  constructor(
    readonly host: string,
    options: {
      /** Opens, or shares, the connection. Called again after a loss. */
      readonly open: () => Promise<Connection>;
      readonly become: Become | undefined;
      readonly epoch: Epoch;
      readonly onLost: (reason: string) => void;
    },
  ) {
    this.#open = options.open;
    this.#become = options.become;
    this.#onLost = options.onLost;
    this.facts = new FactStore(options.epoch);
  }

  /**
   * What is known of these facts, by key, asking in one trip what is not. The answers are handed over here because a
   * volatile one may be doubted again, by an action elsewhere, before anybody could look it up. A lost connection is
   * mended once: questions may be repeated.
   */
  async ask(facts: readonly Fact<unknown>[]): Promise<ReadonlyMap<string, Known>> {
    const answers = facts.map(async (fact): Promise<[string, Known]> => {
      const known = this.facts.get(fact.key);
      return [fact.key, known ?? (await new Promise<Known>((settle) => this.#enqueue(fact, settle)))];
    });
    if (this.#waiting.size > 0) this.#asking ??= this.#askWaiting();
    return new Map(await Promise.all(answers));
  }

  #enqueue(fact: Fact<unknown>, settle: (known: Known) => void): void {
    const asking = this.#waiting.get(fact.key);
    if (asking === undefined) this.#waiting.set(fact.key, { fact, settle: [settle] });
    else asking.settle.push(settle);
  }

  async #askWaiting(): Promise<void> {
    // Let everybody who asks in this turn of the event loop get on the same trip.
    await Promise.resolve();
    while (this.#waiting.size > 0) {
      const askings = alikeTogether([...this.#waiting.values()]);
      this.#waiting = new Map();
      const known = await this.#askOnce(askings.map(({ fact }) => fact));
      askings.forEach((asking, index) => {
        const answer = known[index] ?? { error: this.#noAnswer(asking.fact.key) };
        for (const settle of asking.settle) settle(answer);
      });
    }
    // At once, not when the promise settles: whoever asks in between must find nobody at work and begin anew.
    this.#asking = undefined;
  }

  async #askOnce(facts: readonly Fact<unknown>[]): Promise<Known[]> {
    try {
      const answers = await this.#mended(() =>
        this.batch(
          facts.map(({ sh: script, ofMany }) => (ofMany === undefined ? { script } : { script, ofMany })),
          { deadlineMs: lookDeadlineMs },
        ),
      );
      return facts.map((fact, index) => this.learn(fact, answers[index]));
    } catch (thrown) {
      const error = this.#asFleetError(thrown);
      return facts.map((fact) => {
        this.facts.set(fact.key, { error }, true);
        return { error };
      });
    }
  }

  async #mended<Result>(attempt: () => Promise<Result>): Promise<Result> {
    try {
      return await attempt();
    } catch (thrown) {
      if (!isConnectionLost(thrown)) throw thrown;
      await this.reconnect(reconnectForMs);
      return attempt();
    }
  }

  /** Parses an answer and remembers it. */
  learn(fact: Fact<unknown>, answer: Answer | undefined): Known {
    const known = this.#parse(fact, answer);
    this.facts.set(fact.key, known, fact.volatile === true);
    return known;
  }

  #parse(fact: Fact<unknown>, answer: Answer | undefined): Known {
    if (answer === undefined) return { error: this.#noAnswer(fact.key) };
    try {
      return { value: fact.parse(answer) };
    } catch (thrown) {
      if (thrown instanceof FleetError) return { error: thrown.within({ host: this.host }) };
      const reason = thrown instanceof Error ? thrown.message : String(thrown);
      return {
        error: new FleetError({
          code: 'FACT_UNREADABLE',
          message: `the answer to ${fact.key} makes no sense: ${reason}`,
          host: this.host,
          fix: `See what the host answers: fleet facts --limit ${this.host} --output json`,
        }),
      };
    }
  }

  #noAnswer(key: string): FleetError {
    return new FleetError({
      code: 'FACT_UNREADABLE',
      message: `the host gave no answer to ${key}`,
      host: this.host,
    });
  }

  #asFleetError(thrown: unknown): FleetError {
    if (thrown instanceof FleetError) return thrown.within({ host: this.host });
    return new FleetError(
      {
        code: 'INTERNAL',
        message: thrown instanceof Error ? thrown.message : String(thrown),
        host: this.host,
        blame: 'fleet',
      },
      { cause: thrown },
    );
  }

  /** One round trip on the open shell. @throws FleetError as `Shell.batch` does. */
  async batch(
    items: readonly Item[],
    options: { readonly deadlineMs: number; readonly onAnswer?: (index: number, answer: Answer) => void },
  ): Promise<readonly (Answer | undefined)[]> {
    const shell = await this.#openShell();
    this.roundTrips += 1;
    return shell.batch(items, options);
  }

  /** One script on a channel of its own, beside the open shell. */
  async runBeside(script: ShellScript, options: Omit<RunOptions, 'become'>): Promise<Answer> {
    const connection = await this.connect();
    this.roundTrips += 1;
    return connection.run(script, {
      ...options,
      ...(this.#become === undefined ? {} : { become: this.#become }),
    });
  }

  connect(): Promise<Connection> {
    this.#connection ??= this.#watched().catch((error) => {
      this.#connection = undefined;
      throw error;
    });
    return this.#connection;
  }

  async #watched(): Promise<Connection> {
    const connection = await this.#open();
    void connection.closed.then((reason) => {
      this.#connection = undefined;
      this.#shell = undefined;
      if (reason !== undefined) this.#onLost(reason.message);
    });
    return connection;
  }

  #openShell(): Promise<Shell> {
    this.#shell ??= this.connect()
      .then((connection) => connection.openShell(this.#become))
      .catch((error) => {
        this.#shell = undefined;
        throw error;
      });
    return this.#shell;
  }

  /** Tries again until the host answers. @throws the last failure once the time is over. */
  async reconnect(forMs: number): Promise<void> {
    const deadline = Date.now() + forMs;
    for (;;) {
      try {
        await this.#openShell();
        return;
      } catch (error) {
        if (Date.now() + reconnectEveryMs > deadline) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, reconnectEveryMs));
    }
  }

  /** Drops the connection: whatever comes next opens a new one. */
  async disconnect(): Promise<void> {
    const connection = await this.#connection?.catch(() => undefined);
    this.#connection = undefined;
    this.#shell = undefined;
    await connection?.close();
  }
}

export function isConnectionLost(thrown: unknown): boolean {
  return thrown instanceof FleetError && thrown.code === 'CONNECTION_LOST';
}

/** What is asked of many things stands side by side, so that it is asked together. */
function alikeTogether(askings: readonly Asking[]): readonly Asking[] {
  const kinds = new Map<string, Asking[]>();
  for (const asking of askings) {
    const { ofMany, key } = asking.fact;
    const kind = ofMany === undefined ? key : `${ofMany.before?.text}\n${ofMany.each.text}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), asking]);
  }
  return [...kinds.values()].flat();
}
