import { type Static, type TOptional, type TSchema, type TUnsafe, Type } from '@sinclair/typebox';
import type { ErrorObject, ValidateFunction } from 'ajv';
import { closest, distance } from 'fastest-levenshtein';
import { FleetError, FleetErrors, type Place } from '../core/errors.ts';
import { ownSchemas } from '../core/own-schemas.ts';
import { Secret } from '../core/secret.ts';
import type { AnyStep } from '../engine/step.ts';

/*
 * The only place where what a playbook says becomes the arguments that a step sees. Steps never coerce: a step that
 * declares a boolean gets one, whether the playbook said `yes`, `"true"` or `1`, as Ansible's users write it.
 */

interface Naming {
  /** Other names that Ansible gives the argument. */
  readonly aliases?: readonly string[];
}

/** How a property that JSON Schema cannot describe is read from what was written. */
type Reading = 'mode' | 'secret' | 'words' | 'octal-list';

interface PropertySchema extends TSchema {
  readonly aliases?: readonly string[];
  readonly reading?: Reading;
}

/** Any text. Numbers and booleans that YAML made of it become text again. */
export function text(description: string, naming: Naming = {}): TUnsafe<string> {
  return Type.Unsafe<string>({ type: 'string', description, ...naming });
}

/** An absolute path on the host. */
export function path(description: string, naming: Naming = {}): TUnsafe<string> {
  return Type.Unsafe<string>({
    type: 'string',
    pattern: '^/',
    description: `${description} An absolute path on the host.`,
    ...naming,
  });
}

/** Text that may be a `Secret`, and then stays one. */
export function secretText(description: string, naming: Naming = {}): TUnsafe<string | Secret> {
  return Type.Unsafe<string | Secret>({ type: 'string', reading: 'secret', description, ...naming });
}

/** True or false, in any of Ansible's spellings. */
export function flag(description: string, naming: Naming = {}): TUnsafe<boolean> {
  return Type.Unsafe<boolean>({ type: 'boolean', description, ...naming });
}

/** A whole number; numeric text is read as one. */
export function whole(
  description: string,
  limits: Naming & { minimum?: number; maximum?: number } = {},
): TUnsafe<number> {
  return Type.Unsafe<number>({ type: 'integer', description, ...limits });
}

/** One of some words. */
export function choice<const Word extends string>(
  words: readonly Word[],
  description: string,
  naming: Naming = {},
): TUnsafe<Word> {
  return Type.Unsafe<Word>({ type: 'string', enum: [...words], description, ...naming });
}

/** A list of texts; one text is split at commas. */
export function list(description: string, naming: Naming = {}): TUnsafe<readonly string[]> {
  return Type.Unsafe<readonly string[]>({
    type: 'array',
    items: { type: 'string' },
    description,
    ...naming,
  });
}

/** Permission bits as text: octal (`'0644'`) or symbolic (`u=rw,g=r,o=r`). */
export function mode(description: string): TUnsafe<string> {
  return Type.Unsafe<string>({
    type: 'string',
    reading: 'mode',
    pattern: '^([0-7]{3,4}|[ugoa]*[-+=][rwxXstugo]*([-+=,][ugoa]*[-+=]?[rwxXstugo]*)*|preserve)$',
    description: `${description} Octal in quotes ('0644') or symbolic (u=rw,g=r,o=r).`,
  });
}

/** Anything: a map, a list, a value. */
export function anything(description: string, naming: Naming = {}): TUnsafe<unknown> {
  return Type.Unsafe<unknown>({ description, ...naming });
}

/** A map from names to values. */
export function dictionary(
  description: string,
  naming: Naming = {},
): TUnsafe<Readonly<Record<string, unknown>>> {
  return Type.Unsafe<Readonly<Record<string, unknown>>>({
    type: 'object',
    additionalProperties: true,
    description,
    ...naming,
  });
}

/** May be left out. */
export function optional<Value>(schema: TUnsafe<Value>): TOptional<TUnsafe<Value>> {
  return Type.Optional(schema) as TOptional<TUnsafe<Value>>;
}

const ajv = ownSchemas({ allErrors: true, verbose: true, logger: false });
const validators = new WeakMap<AnyStep, ValidateFunction>();

interface ObjectSchema {
  readonly properties: Readonly<Record<string, PropertySchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean;
}

/**
 * The arguments of a step from what a playbook says, templated: free form split, aliases renamed, values read as their
 * declared types, everything validated. What is `null`, `undefined` or Ansible's `omit` counts as not given.
 * @throws FleetError or FleetErrors, all faults at once: UNKNOWN_ARGUMENT, INVALID_ARGUMENT, MISSING_ARGUMENT.
 */
export function readArguments<Args>(step: AnyStep, written: unknown, where?: Place): Args {
  return readAll(step, written, where, false) as Args;
}

/**
 * The faults of arguments that still hold templates, for a playbook that is checked before any connection: whatever a
 * template decides is not judged.
 */
export function checkArguments(step: AnyStep, written: unknown, where?: Place): readonly FleetError[] {
  try {
    readAll(step, written, where, true);
    return [];
  } catch (error) {
    if (error instanceof FleetErrors) return error.errors;
    if (error instanceof FleetError) return [error];
    throw error;
  }
}

function readAll(step: AnyStep, written: unknown, where: Place | undefined, untemplated: boolean): unknown {
  const schema = step.args as unknown as ObjectSchema;
  const faults: FleetError[] = [];
  const fault = (code: string, message: string, fix: string) =>
    faults.push(
      new FleetError({
        code,
        message: `${step.name}: ${message}`,
        fix,
        blame: 'usage',
        ...(where === undefined ? {} : { where }),
      }),
    );
  let given: Readonly<Record<string, unknown>>;
  if (written === undefined || written === null) given = {};
  else if (typeof written === 'string' || written instanceof Secret) {
    if (untemplated && typeof written === 'string' && isTemplate(written) && step.freeForm === undefined)
      return {};
    given = readFreeForm(step, written);
  } else if (typeof written === 'object' && !Array.isArray(written)) {
    given = written as Readonly<Record<string, unknown>>;
  } else if (step.freeForm !== undefined) given = { [step.freeForm]: written };
  else {
    fault(
      'INVALID_ARGUMENT',
      `takes a map of arguments, not ${describe(written)}`,
      `Write its arguments as \`name: value\`; see \`fleet doc ${step.name}\`.`,
    );
    given = {};
  }

  const read: Record<string, unknown> = {};
  const templated = new Set<string>();
  const secret = new Set<string>();
  for (const [key, value] of Object.entries(given)) {
    const name = canonicalName(schema, key);
    if (name === undefined) {
      if (schema.additionalProperties === true) {
        read[key] = value;
        continue;
      }
      const near = nearestName(schema, key);
      fault(
        'UNKNOWN_ARGUMENT',
        `has no argument ${key}`,
        near === undefined
          ? `It takes ${Object.keys(schema.properties).join(', ') || 'none'}.`
          : `Write ${near} instead of ${key}.`,
      );
      continue;
    }
    if (value === undefined || value === null || isOmitted(value)) continue;
    if (name in read) {
      fault(
        'INVALID_ARGUMENT',
        `${name} is given twice (${key} is another name for it)`,
        `Keep one of them.`,
      );
      continue;
    }
    if (untemplated && containsTemplate(value)) templated.add(name);
    if (value instanceof Secret) secret.add(name);
    const property = schema.properties[name];
    read[name] = property === undefined ? value : readValue(property, value);
  }

  const validate = validatorOf(step);
  if (!validate(withoutSecrets(read))) {
    for (const error of validate.errors ?? []) {
      const name = error.instancePath.split('/')[1];
      if (name !== undefined && templated.has(name)) continue;
      if (error.keyword === 'required') {
        const missing = (error.params as { missingProperty: string }).missingProperty;
        fault(
          'MISSING_ARGUMENT',
          `needs ${missing}`,
          `Add ${missing}: ${schema.properties[missing]?.description ?? ''}`,
        );
      } else {
        fault(
          'INVALID_ARGUMENT',
          `${name ?? 'its arguments'} ${complaint(error, secret.has(name ?? ''))}`,
          hintOf(schema, name),
        );
      }
    }
  }
  FleetErrors.throwIfAny(faults);
  return read;
}

function validatorOf(step: AnyStep): ValidateFunction {
  const known = validators.get(step);
  if (known !== undefined) return known;
  const validate = ajv.compile(step.args as object);
  validators.set(step, validate);
  return validate;
}

function canonicalName(schema: ObjectSchema, key: string): string | undefined {
  if (Object.hasOwn(schema.properties, key)) return key;
  return Object.entries(schema.properties).find(([, property]) => property.aliases?.includes(key))?.[0];
}

function nearestName(schema: ObjectSchema, key: string): string | undefined {
  const names = Object.entries(schema.properties).flatMap(([name, property]) => [
    name,
    ...(property.aliases ?? []),
  ]);
  if (names.length === 0) return undefined;
  const near = closest(key, names);
  return distance(key, near) <= Math.max(2, Math.floor(key.length / 3)) ? near : undefined;
}

function complaint(error: ErrorObject, isSecret: boolean): string {
  const shown = isSecret ? 'a secret' : describe(error.data);
  const params = error.params as Record<string, unknown>;
  switch (error.keyword) {
    case 'enum':
      return `is ${shown}, but must be one of ${(params.allowedValues as string[]).join(', ')}`;
    case 'type':
      return `is ${shown}, but must be ${String(params.type)}`;
    case 'pattern':
      return params.pattern === '^/'
        ? `is ${shown}, but must be an absolute path`
        : `is ${shown}, which it cannot be`;
    default:
      return `is ${shown}: ${error.message ?? 'not valid'}`;
  }
}

function hintOf(schema: ObjectSchema, name: string | undefined): string {
  const property = name === undefined ? undefined : schema.properties[name];
  return property?.description === undefined ? 'Correct it.' : `${name}: ${property.description}`;
}

function describe(value: unknown): string {
  if (value instanceof Secret) return 'a secret';
  const shown = JSON.stringify(value) ?? String(value);
  return shown.length > 60 ? `${shown.slice(0, 57)}…` : shown;
}

const TRUE = ['yes', 'on', 'true', 'y', 't', '1'];
const FALSE = ['no', 'off', 'false', 'n', 'f', '0'];

function readValue(schema: PropertySchema, value: unknown): unknown {
  if (schema.reading === 'mode') return readMode(value);
  if (value instanceof Secret) {
    if (schema.reading === 'secret' || schema.type === undefined) return value;
    return readValue(schema, value.reveal());
  }
  if (schema.type === 'boolean') {
    const word = String(value).toLowerCase();
    if (TRUE.includes(word)) return true;
    if (FALSE.includes(word)) return false;
    return value;
  }
  if (schema.type === 'string') {
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    // Ansible's content: takes a map and writes it as JSON.
    if (schema.reading === 'secret' && typeof value === 'object') return JSON.stringify(value);
    return value;
  }
  if (schema.type === 'integer' || schema.type === 'number') {
    return typeof value === 'string' && /^\s*-?\d+(\.\d+)?\s*$/.test(value) ? Number(value) : value;
  }
  if (schema.type === 'array') {
    const items =
      typeof value === 'string'
        ? value
            .split(',')
            .map((item) => item.trim())
            .filter((item) => item !== '')
        : Array.isArray(value)
          ? value
          : [value];
    return items.map((item: unknown) => readValue((schema.items ?? {}) as PropertySchema, item));
  }
  return value;
}

const USUAL_MODES: ReadonlySet<string> = new Set(
  (
    '0000 0400 0440 0444 0500 0511 0550 0555 0600 0610 0640 0644 0660 0664 0666 0700 0701 0710 0711 0750 0751 ' +
    '0755 0770 0771 0774 0775 0777 1755 1770 1775 1777 2700 2750 2755 2770 2775 2777 4500 4550 4555 4711 4750 4755 6755'
  ).split(' '),
);

/**
 * Octal text of a mode. An unquoted 0644 reaches us as 420 from a YAML 1.1 reader and as 644 from a YAML 1.2 one; the
 * one reading that is a mode people use is taken, and where neither is, the number is refused by the schema.
 */
function readMode(value: unknown): unknown {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) {
    const asBits = value.toString(8).padStart(4, '0');
    const asDigits = String(value).padStart(4, '0');
    if (USUAL_MODES.has(asDigits) && !USUAL_MODES.has(asBits)) return asDigits;
    if (USUAL_MODES.has(asBits)) return asBits;
    return `${value} (unclear without quotes)`;
  }
  if (typeof value !== 'string') return value;
  const trimmed = value.trim().replace(/^0o/, '0');
  if (/^[0-7]{1,5}$/.test(trimmed)) return trimmed.slice(-4).padStart(4, '0');
  return trimmed;
}

function isOmitted(value: unknown): boolean {
  return typeof value === 'string' && value.startsWith('__omit_place_holder__');
}

function isTemplate(value: string): boolean {
  return value.includes('{{') || value.includes('{%');
}

function containsTemplate(value: unknown): boolean {
  if (typeof value === 'string') return isTemplate(value);
  if (Array.isArray(value)) return value.some(containsTemplate);
  if (value !== null && typeof value === 'object' && !(value instanceof Secret)) {
    return Object.values(value).some(containsTemplate);
  }
  return false;
}

/** For the validator only: a Secret stands as some text. */
function withoutSecrets(value: unknown): unknown {
  if (value instanceof Secret) return 'secret';
  if (value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutSecrets(item)]));
  }
  return value;
}

/**
 * Arguments written as one text: `uptime` for a step with a free form (leading and trailing `creates=…`, `chdir=…` are
 * its other arguments), else `name=k3s state=restarted`, as `fleet run -m service -a '…'` takes them.
 */
export function readFreeForm(step: AnyStep, written: string | Secret): Readonly<Record<string, unknown>> {
  if (written instanceof Secret) return step.freeForm === undefined ? {} : { [step.freeForm]: written };
  if (step.freeForm === undefined) return readPairs(written);
  const schema = step.args as unknown as ObjectSchema;
  // `uptime >/x a=b` is a command with an equals sign; `name=k3s` for any other step is an argument.
  if (step.freeForm !== 'cmd') {
    const first = /^\s*(\w+)=/.exec(written)?.[1];
    const isPairs = first !== undefined && canonicalName(schema, first) !== undefined;
    return isPairs ? readPairs(written) : { [step.freeForm]: written };
  }
  const options = Object.keys(schema.properties).filter((name) => name !== step.freeForm);
  const given: Record<string, unknown> = {};
  let rest = written;
  for (;;) {
    const pair =
      /(?:^|\s)(\w+)=("[^"]*"|'[^']*'|[^\s"']*)\s*$/.exec(rest) ??
      /^\s*(\w+)=("[^"]*"|'[^']*'|[^\s"']*)(?:\s|$)/.exec(rest);
    const name = pair?.[1];
    if (pair === null || name === undefined || !options.includes(name)) break;
    given[name] = unquoted(pair[2] ?? '');
    rest = pair.index === 0 ? rest.slice(pair[0].length) : rest.slice(0, pair.index);
  }
  return rest.trim() === '' && Object.keys(given).length > 0 ? given : { ...given, [step.freeForm]: rest };
}

/** `a=1 b="two words"` as a map. Words without `=` become keys without a value, so that validation names them. */
export function readPairs(written: string): Readonly<Record<string, string>> {
  const pairs: Record<string, string> = {};
  for (const match of written.matchAll(/([\w.-]+)=((?:"[^"]*"|'[^']*'|\{\{.*?\}\}|[^\s"'])*)|(\S+)/g)) {
    if (match[1] !== undefined) pairs[match[1]] = unquoted(match[2] ?? '');
    else if (match[3] !== undefined) pairs[match[3]] = '';
  }
  return pairs;
}

function unquoted(word: string): string {
  const match = /^"([^"]*)"$|^'([^']*)'$/.exec(word);
  return match?.[1] ?? match?.[2] ?? word;
}

/** The arguments a schema describes, once read. */
export type ArgumentsOf<Schema extends TSchema> = Static<Schema>;
