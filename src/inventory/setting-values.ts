import { stringify } from 'yaml';
import { Secret } from '../core/secret.ts';
import { usageError } from './findings.ts';
import type { Host } from './fleet.ts';

/** Reads known variables of a host as the types that fleet works with. Every reader throws a FleetError `VARIABLE_TYPE`. */
export class SettingValues {
  constructor(readonly host: Host) {}

  /** The text of a variable, secrets revealed; `undefined` when not set, empty or None. */
  text(name: string): string | undefined {
    const value = this.host.vars.get(name);
    if (value === undefined || value === null) return undefined;
    const plain = value instanceof Secret ? value.reveal() : value;
    if (typeof plain === 'string') return plain === '' ? undefined : plain;
    if (typeof plain === 'number' || typeof plain === 'boolean') return String(plain);
    throw this.#wrong(name, 'text', value);
  }

  secret(name: string): Secret | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : new Secret(text);
  }

  /** Text, or a dict as the YAML it stands for. */
  yaml(name: string): string | undefined {
    const value = this.host.vars.get(name);
    if (value === null || typeof value !== 'object' || value instanceof Secret) return this.text(name);
    return stringify(revealed(value));
  }

  number(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    if (!/^\s*\d+\s*$/.test(text)) throw this.#wrong(name, 'a whole number', text);
    return Number(text);
  }

  flag(name: string): boolean | undefined {
    const text = this.text(name)?.trim().toLowerCase();
    if (text === undefined) return undefined;
    if (['yes', 'true', 'on', '1', 'y', 't'].includes(text)) return true;
    if (['no', 'false', 'off', '0', 'n', 'f'].includes(text)) return false;
    throw this.#wrong(name, 'yes or no', text);
  }

  /** A list of texts; one text counts as a list of one, and several in it are separated by commas. */
  list(name: string): readonly string[] | undefined {
    return this.#texts(name, this.host.vars.get(name));
  }

  /** The lists of every level that sets the variable in one, the weakest first. */
  lists(name: string): readonly string[] {
    return this.host.vars.levels(name).flatMap((value) => this.#texts(name, value) ?? []);
  }

  #texts(name: string, value: unknown): readonly string[] | undefined {
    if (value === undefined || value === null || value === '') return undefined;
    if (!Array.isArray(value)) {
      return this.#itemText(name, value)
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== '');
    }
    return value.map((item: unknown) => this.#itemText(name, item));
  }

  dict(name: string): Readonly<Record<string, string>> | undefined {
    const value = this.host.vars.get(name);
    if (value === undefined || value === null || value === '') return undefined;
    if (typeof value !== 'object' || Array.isArray(value) || value instanceof Secret) {
      throw this.#wrong(name, 'a dict', value);
    }
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.#itemText(name, item)]));
  }

  choice<T extends string>(name: string, choices: readonly T[]): T | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const found = choices.find((choice) => choice === text);
    if (found === undefined) throw this.#wrong(name, `one of ${choices.join(', ')}`, text);
    return found;
  }

  #itemText(name: string, item: unknown): string {
    if (item instanceof Secret) return item.reveal();
    if (item === null) return '';
    if (typeof item === 'object' || item === undefined)
      throw this.#wrong(name, 'made of single values', item);
    return String(item);
  }

  #wrong(name: string, wanted: string, value: unknown): Error {
    const where = this.host.vars.where(name);
    const kind = Array.isArray(value)
      ? 'a list'
      : value !== null && typeof value === 'object'
        ? 'a dict'
        : JSON.stringify(value);
    return usageError({
      code: 'VARIABLE_TYPE',
      message: `"${name}" must be ${wanted}, not ${kind}`,
      fix: `Correct it; \`fleet explain ${name}\` says what it takes.`,
      host: this.host.name,
      ...(where === undefined ? {} : { where }),
    });
  }
}

function revealed(value: unknown): unknown {
  if (value instanceof Secret) return value.reveal();
  if (Array.isArray(value)) return value.map(revealed);
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, revealed(item)]));
  }
  return value;
}
