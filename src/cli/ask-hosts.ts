import { FleetError } from '../core/errors.ts';
import type { Fact } from '../engine/fact.ts';
import type { TaskBecome } from '../engine/play.ts';
import { type OpenConnection, Sessions } from '../engine/sessions.ts';

/** What one host answered; `failed` where it could not be asked at all. */
export class HostAnswers {
  readonly host: string;
  readonly failed: FleetError | undefined;
  /** Connecting and asking together. */
  readonly durationMs: number;
  readonly #known: ReadonlyMap<string, { readonly value: unknown } | { readonly error: FleetError }>;

  constructor(
    host: string,
    known: ReadonlyMap<string, { readonly value: unknown } | { readonly error: FleetError }>,
    durationMs: number,
    failed?: FleetError,
  ) {
    this.host = host;
    this.failed = failed;
    this.durationMs = durationMs;
    this.#known = known;
  }

  /** A fact's value; `undefined` where it was not asked, or its answer makes no sense. */
  of<Value>(fact: Fact<Value>): Value | undefined {
    const known = this.#known.get(fact.key);
    return known !== undefined && 'value' in known ? (known.value as Value) : undefined;
  }

  /** Why a fact has no value. */
  errorOf(fact: Fact<unknown>): FleetError | undefined {
    const known = this.#known.get(fact.key);
    return known !== undefined && 'error' in known ? known.error : undefined;
  }
}

/** What only root may read is asked with this. */
export const asRoot: TaskBecome = { enabled: true };

/** Asks each host its questions in one trip, all hosts at once, and hangs up. Changes nothing. */
export async function askHosts(
  open: OpenConnection,
  questions: ReadonlyMap<string, readonly Fact<unknown>[]>,
  become?: TaskBecome,
): Promise<readonly HostAnswers[]> {
  const sessions = new Sessions(open, { count: 0 }, () => {});
  try {
    return await Promise.all(
      [...questions].map(async ([host, facts]) => {
        const startedAt = Date.now();
        try {
          const session = sessions.of(host, become);
          await session.connect();
          await session.ask(facts);
          const known = facts.flatMap(({ key }) => {
            const answer = session.facts.get(key);
            return answer === undefined ? [] : [[key, answer] as const];
          });
          return new HostAnswers(host, new Map(known), Date.now() - startedAt);
        } catch (thrown) {
          return new HostAnswers(host, new Map(), Date.now() - startedAt, unreachable(host, thrown));
        }
      }),
    );
  } finally {
    await sessions.close();
  }
}

function unreachable(host: string, thrown: unknown): FleetError {
  if (thrown instanceof FleetError) return thrown.within({ host });
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new FleetError({ code: 'HOST_UNREACHABLE', message, host }, { cause: thrown });
}
