import { TemplateError } from './error.ts';

const STEPS_BETWEEN_CLOCKS = 256;

/** How much one template, with everything it pulls in, may do. Runs out with a `limit` error. */
export class Budget {
  #steps = 0;
  #until: number;

  constructor(
    milliseconds: number,
    readonly mostSteps = 20_000_000,
  ) {
    this.#until = performance.now() + milliseconds;
  }

  spend(steps: number, at?: number): void {
    const before = this.#steps;
    this.#steps += steps;
    if (this.#steps > this.mostSteps) throw new TemplateError('limit', 'the template does too much work', at);
    if (
      Math.trunc(before / STEPS_BETWEEN_CLOCKS) !== Math.trunc(this.#steps / STEPS_BETWEEN_CLOCKS) &&
      performance.now() > this.#until
    ) {
      throw new TemplateError('limit', 'the template takes too long', at);
    }
  }

  /** Does work that is slow on purpose, as the hash of a password is: it costs steps, and no time. */
  outsideTheClock<T>(steps: number, work: () => T): T {
    this.spend(steps);
    const before = performance.now();
    const result = work();
    this.#until += performance.now() - before;
    return result;
  }
}
