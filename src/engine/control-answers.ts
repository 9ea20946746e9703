import { FleetError } from '../core/errors.ts';
import type { ControlFact } from './fact.ts';
import type { Known } from './fact-store.ts';

/** What the control node answered, each question once per run. */
export class ControlAnswers {
  readonly #known = new Map<string, Known>();
  readonly #asking = new Map<string, Promise<void>>();

  async ask(facts: readonly ControlFact<unknown>[]): Promise<void> {
    await Promise.all(
      facts.map((fact) => {
        if (this.#known.has(fact.key)) return undefined;
        const asking = this.#asking.get(fact.key) ?? this.#read(fact);
        this.#asking.set(fact.key, asking);
        return asking;
      }),
    );
  }

  async #read(fact: ControlFact<unknown>): Promise<void> {
    try {
      this.#known.set(fact.key, { value: await fact.read() });
    } catch (thrown) {
      const error =
        thrown instanceof FleetError
          ? thrown
          : new FleetError(
              { code: 'FACT_UNREADABLE', message: thrown instanceof Error ? thrown.message : String(thrown) },
              { cause: thrown },
            );
      this.#known.set(fact.key, { error });
    } finally {
      this.#asking.delete(fact.key);
    }
  }

  get(key: string): Known | undefined {
    return this.#known.get(key);
  }

  forget(keys: readonly string[]): void {
    for (const key of keys) this.#known.delete(key);
  }
}
