import { TemplateError } from './error.ts';
import { isNumber, isTrue, numberOf, typeName, Undefined } from './value.ts';

/** The arguments of a filter or test, by place or by name, as Python would bind them. */
export class FilterArguments {
  constructor(
    readonly positional: readonly unknown[],
    readonly named: ReadonlyMap<string, unknown>,
  ) {}

  /** The argument at a place or under a name; `undefined` when it was not given. */
  get(place: number, name: string): unknown {
    const value = place < this.positional.length ? this.positional[place] : this.named.get(name);
    if (value instanceof Undefined) throw value.error();
    return value;
  }

  text(place: number, name: string, fallback?: string): string {
    const value = this.get(place, name);
    if (value === undefined && fallback !== undefined) return fallback;
    if (typeof value === 'string') return value;
    throw new TemplateError(
      'failed',
      `"${name}" must be text, not ${value === undefined ? 'missing' : typeName(value)}`,
    );
  }

  /** Text, or nothing when missing or None. */
  maybeText(place: number, name: string): string | undefined {
    const value = this.get(place, name);
    return value === undefined || value === null ? undefined : this.text(place, name);
  }

  number(place: number, name: string, fallback?: number): number {
    const value = this.get(place, name);
    if ((value === undefined || value === null) && fallback !== undefined) return fallback;
    if (isNumber(value)) return numberOf(value);
    if (typeof value === 'boolean') return Number(value);
    throw new TemplateError(
      'failed',
      `"${name}" must be a number, not ${value === undefined ? 'missing' : typeName(value)}`,
    );
  }

  flag(place: number, name: string, fallback: boolean): boolean {
    const value = this.get(place, name);
    return value === undefined ? fallback : isTrue(value);
  }
}
