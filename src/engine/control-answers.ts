import { FleetError } from '../core/errors.ts';
import type { ControlFact } from './fact.ts';
import type { Known } from './fact-store.ts';

/** What the control node answered, each question once per run. */
export class ControlAnswers {
  readonly #known = new Map<string, Known>();
  readonly #asking = new Map<string, Promise<Known>>();

  /** The answers as they are now: another host may have one forgotten in the next moment. */
  async ask(facts: readonly ControlFact<unknown>[]): Promise<ReadonlyMap<string, Known>> {
    const answers = await Promise.all(
      facts.map(async (fact): Promise<[string, Known]> => {
        const known = this.#known.get(fact.key);
        if (known !== undefined) return [fact.key, known];
        const asking = this.#asking.get(fact.key) ?? this.#read(fact);
        this.#asking.set(fact.key, asking);
        return [fact.key, await asking];
      }),
    );
    return new Map(answers);
  }

  async #read(fact: ControlFact<unknown>): Promise<Known> {
    let known: Known;
    try {
      known = { value: await fact.read() };
    } catch (thrown) {
      const error =
        thrown instanceof FleetError
          ? thrown
          : new FleetError(
              { code: 'FACT_UNREADABLE', message: thrown instanceof Error ? thrown.message : String(thrown) },
              { cause: thrown },
            );
      known = { error };
    }
    this.#known.set(fact.key, known);
    this.#asking.delete(fact.key);
    return known;
  }

  get(key: string): Known | undefined {
    return this.#known.get(key);
  }

  forget(keys: readonly string[]): void {
    for (const key of keys) this.#known.delete(key);
  }
}
