/** Local names of a template: what `for`, `set`, `with` and macros bind. */
export class Frame {
  readonly #values = new Map<string, unknown>();

  constructor(readonly outer?: Frame) {}

  find(name: string): { readonly value: unknown } | undefined {
    for (let frame: Frame | undefined = this; frame !== undefined; frame = frame.outer) {
      if (frame.#values.has(name)) return { value: frame.#values.get(name) };
    }
    return undefined;
  }

  set(name: string, value: unknown): void {
    this.#values.set(name, value);
  }
}
