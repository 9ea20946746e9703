import { FleetError, formatPlace, type Place } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { ControlMachine } from '../jinja/control-machine.ts';
import { TemplateError } from '../jinja/error.ts';
import {
  isTemplate,
  type Lookup,
  renderTemplate,
  type TemplateScope,
  testExpression,
} from '../jinja/template.ts';
import { LazyMap, setOwn } from '../jinja/value.ts';
import { deepFreeze } from './deep-freeze.ts';
import { usageError } from './findings.ts';
import type { Variables } from './fleet.ts';
import type { VarLayer } from './vars-files.ts';
import { VaultText } from './vault-text.ts';
import { placeOf, UnsafeText, type WrittenValue } from './written-value.ts';

/** What the variables of all hosts share. */
export interface VariableWorld {
  /** Names that Ansible itself provides for a host, or for none: `hostvars`, `groups`, `inventory_hostname` … */
  magic(host: string | undefined, name: string): unknown;
  readonly lookups: ReadonlyMap<string, Lookup>;
  /** What templates may ask about the control machine's files. */
  readonly control: ControlMachine;
}

/** Names that the inventory cannot set; a run may (`with`), as it knows more. */
export const MAGIC_NAMES: ReadonlySet<string> = new Set([
  'hostvars',
  'groups',
  'group_names',
  'inventory_hostname',
  'inventory_hostname_short',
  'inventory_dir',
  'inventory_file',
  'playbook_dir',
  'vars',
]);

/** One variable being worked out, for naming a chain that bites its own tail. */
interface Working {
  readonly layers: HostVariables;
  readonly name: string;
}

/** Variables are worked out one within the other on this one thread. */
const working: Working[] = [];

/** The variables of one host in one scope. Reading a variable templates it and what it needs, once. */
export class HostVariables implements Variables {
  readonly #cache = new Map<string, { readonly value: unknown } | { readonly error: unknown }>();
  readonly #scope: TemplateScope;
  #names: readonly string[] | undefined;

  constructor(
    readonly world: VariableWorld,
    /** `undefined` for variables of no host. */
    readonly host: string | undefined,
    /** From the weakest to the strongest. */
    readonly layers: readonly VarLayer[],
    /** What `-e` gave: stronger than everything that a play lays over. */
    readonly extra: VarLayer,
    /** What plays, steps and loops laid over, the last the strongest. */
    readonly overlays: readonly VarLayer[] = [],
  ) {
    this.#scope = {
      get: (name) => this.#value(name),
      lookups: world.lookups,
      control: world.control,
    };
  }

  names(): readonly string[] {
    this.#names ??= [
      ...new Set([...this.layers, ...this.overlays, this.extra].flatMap((layer) => [...layer.keys()])),
    ].sort();
    return this.#names;
  }

  has(name: string): boolean {
    return this.#find(name) !== undefined || this.#magic(name) !== undefined;
  }

  raw(name: string): unknown {
    const written = this.#find(name);
    return written === undefined ? this.#magic(name) : written.value;
  }

  where(name: string): Place | undefined {
    const written = this.#find(name);
    return written === undefined ? undefined : placeOf(written);
  }

  /** The winning value with where it was written, for places inside it. */
  written(name: string): WrittenValue | undefined {
    return this.#find(name);
  }

  get(name: string): unknown {
    try {
      return this.#value(name);
    } catch (error) {
      throw this.#named(error, name);
    }
  }

  levels(name: string): readonly unknown[] {
    try {
      return [...this.layers, ...this.overlays, this.extra].flatMap((layer) => {
        const written = layer.get(name);
        return written === undefined ? [] : [deepFreeze(this.#template(written.value, 0))];
      });
    } catch (error) {
      throw this.#named(error, name);
    }
  }

  with(more: Readonly<Record<string, unknown>>, where?: Place): Variables {
    const names = Object.keys(more);
    if (names.length === 0) return this;
    const layer = new Map<string, WrittenValue>();
    for (const name of names) {
      const value = more[name];
      if (value !== undefined) layer.set(name, where === undefined ? { value } : { value, where });
    }
    return new HostVariables(this.world, this.host, this.layers, this.extra, [...this.overlays, layer]);
  }

  template(value: unknown, where?: Place): unknown {
    try {
      const result = this.#template(value, 0);
      return result === undefined && value !== undefined ? undefined : result;
    } catch (error) {
      throw this.#fault(error, { expression: typeof value === 'string' ? value : undefined, where });
    }
  }

  test(expression: string | boolean, where?: Place): boolean {
    if (typeof expression === 'boolean') return expression;
    try {
      const rendered = isTemplate(expression) ? renderTemplate(expression, this.#scope) : expression;
      if (typeof rendered === 'boolean') return rendered;
      const text = rendered instanceof Secret ? rendered.reveal() : rendered;
      if (typeof text !== 'string') return Boolean(text);
      return text.trim() === '' ? true : testExpression(text, this.#scope);
    } catch (error) {
      throw this.#fault(error, { expression, where });
    }
  }

  /** The value as another host's templates see it; an undefined part is a TemplateError, so that `default()` can apply. */
  fromOutside(name: string): unknown {
    return this.has(name) ? this.#value(name) : undefined;
  }

  /** In its own templates a host always has an address, as Ansible's tasks see it; `hostvars` does not pretend so. */
  #implied(name: string): unknown {
    if (name === 'ansible_host')
      return this.#find('ansible_ssh_host') === undefined ? this.host : this.#value('ansible_ssh_host');
    if (name === 'ansible_ssh_host')
      return this.#find('ansible_host') === undefined ? this.host : this.#value('ansible_host');
    return undefined;
  }

  #magic(name: string): unknown {
    if (name === 'vars') return new ScopeMap(this);
    return MAGIC_NAMES.has(name) ? this.world.magic(this.host, name) : undefined;
  }

  #find(name: string): WrittenValue | undefined {
    if (MAGIC_NAMES.has(name)) return this.#overlaid(name);
    return this.extra.get(name) ?? this.#overlaid(name) ?? lastOf(this.layers, name);
  }

  #overlaid(name: string): WrittenValue | undefined {
    return lastOf(this.overlays, name);
  }

  #value(name: string): unknown {
    const known = this.#cache.get(name);
    if (known !== undefined) {
      if ('error' in known) throw known.error;
      return known.value;
    }
    const written = this.#find(name);
    if (written === undefined) return MAGIC_NAMES.has(name) ? this.#magic(name) : this.#implied(name);
    const loop = working.findIndex((one) => one.layers === this && one.name === name);
    if (loop >= 0) throw this.#loopError([...working.slice(loop).map((one) => one.name), name], written);
    working.push({ layers: this, name });
    try {
      const value = deepFreeze(this.#template(written.value, 0));
      this.#cache.set(name, { value });
      return value;
    } catch (error) {
      const fault = error instanceof TemplateError ? insideVariable(error, name, written) : error;
      // A loop looks different from each of its members, and limits depend on what went before.
      const lasting = fault instanceof TemplateError ? fault.kind !== 'limit' : working.length === 1;
      if (lasting) this.#cache.set(name, { error: fault });
      throw fault;
    } finally {
      working.pop();
    }
  }

  #template(value: unknown, depth: number): unknown {
    if (typeof value === 'string') return isTemplate(value) ? renderTemplate(value, this.#scope) : value;
    if (value === null || typeof value !== 'object') return value;
    if (value instanceof VaultText) return value.decrypt();
    if (value instanceof UnsafeText) return value.text;
    if (value instanceof LazyMap) return value;
    if (value instanceof Secret) {
      return isTemplate(value.reveal()) ? asSecret(renderTemplate(value.reveal(), this.#scope)) : value;
    }
    if (depth > 100) throw new TemplateError('limit', 'the value is nested too deeply');
    if (Array.isArray(value)) {
      return value.map((item) => this.#template(item, depth + 1)).filter((item) => item !== undefined);
    }
    const prototype = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) return value;
    const result: Record<string, unknown> = {};
    for (const [key, item] of Object.entries(value)) {
      const templated = this.#template(item, depth + 1);
      if (templated !== undefined) setOwn(result, key, templated);
    }
    return result;
  }

  #loopError(chain: readonly string[], written: WrittenValue): FleetError {
    const where = placeOf(written);
    return usageError({
      code: 'TEMPLATE_LOOP',
      message: `variables need each other in a loop: ${chain.join(' → ')}`,
      fix: 'Give one of them a value that does not need the others.',
      ...(this.host === undefined ? {} : { host: this.host }),
      ...(where === undefined ? {} : { where }),
    });
  }

  #named(error: unknown, name: string): unknown {
    const written = this.#find(name);
    return this.#fault(error, {
      variable: name,
      expression: typeof written?.value === 'string' ? written.value : undefined,
      where: written === undefined ? undefined : placeOf(written),
    });
  }

  #fault(
    error: unknown,
    about: { variable?: string; expression?: string | undefined; where?: Place | undefined },
  ): unknown {
    if (error instanceof FleetError) {
      return error.host === undefined && this.host !== undefined ? error.within({ host: this.host }) : error;
    }
    if (!(error instanceof TemplateError)) return error;
    const inner = error instanceof VariableError ? error : undefined;
    const where = inner?.where ?? about.where;
    const variable = inner?.variable ?? about.variable;
    const expression = inner?.expression ?? about.expression;
    const subject = variable === undefined ? '' : `variable "${variable}"`;
    const through =
      inner !== undefined && about.variable !== undefined && about.variable !== inner.variable
        ? ` (needed by "${about.variable}"${about.where === undefined ? '' : ` at ${formatPlace(about.where)}`})`
        : '';
    const shown = expression === undefined ? '' : ` in ${shorten(expression)}`;
    return usageError({
      code: CODES[error.kind],
      message: `${subject}${subject === '' ? '' : `${through}: `}${inner?.reason ?? error.message}${shown}`,
      fix: FIXES[error.kind],
      ...(this.host === undefined ? {} : { host: this.host }),
      ...(where === undefined ? {} : { where }),
    });
  }
}

/** A template's error that knows in which variable it happened. */
class VariableError extends TemplateError {
  constructor(
    kind: TemplateError['kind'],
    readonly reason: string,
    readonly variable: string,
    readonly expression: string | undefined,
    readonly where: Place | undefined,
    offset: number | undefined,
  ) {
    super(kind, `variable "${variable}": ${reason}`, offset);
  }
}

function insideVariable(error: TemplateError, name: string, written: WrittenValue): VariableError {
  if (error instanceof VariableError) return error;
  const expression = typeof written.value === 'string' ? written.value : undefined;
  return new VariableError(error.kind, error.message, name, expression, placeOf(written), error.offset);
}

const CODES = {
  undefined: 'TEMPLATE_UNDEFINED',
  syntax: 'TEMPLATE_SYNTAX',
  failed: 'TEMPLATE_FAILED',
  limit: 'TEMPLATE_LIMIT',
} as const;

const FIXES = {
  undefined: 'Define it, correct the name, or write "| default(…)" after it.',
  syntax: 'Correct the template.',
  failed: 'Correct the template or the value it is given.',
  limit: 'Make the template smaller.',
} as const;

function shorten(expression: string): string {
  const line = expression.replace(/\s+/g, ' ').trim();
  return line.length > 200 ? `${line.slice(0, 197)}...` : line;
}

function lastOf(layers: readonly VarLayer[], name: string): WrittenValue | undefined {
  for (let index = layers.length - 1; index >= 0; index -= 1) {
    const written = layers[index]?.get(name);
    if (written !== undefined) return written;
  }
  return undefined;
}

function asSecret(value: unknown): unknown {
  return typeof value === 'string' ? new Secret(value) : value;
}

/** `vars` and each value of `hostvars`: the variables of a scope as a dict that works its values out when asked. */
export class ScopeMap extends LazyMap {
  constructor(readonly variables: HostVariables) {
    super();
  }

  keys(): readonly string[] {
    const magic = [...MAGIC_NAMES].filter(
      (name) => name !== 'hostvars' && name !== 'vars' && name !== 'groups',
    );
    return [...this.variables.names(), ...magic.filter((name) => this.variables.has(name))];
  }

  has(key: string): boolean {
    return this.variables.has(key);
  }

  get(key: string): unknown {
    return this.variables.fromOutside(key);
  }
}

/** `hostvars`: every host's variables, of hosts as the caller knows them (a run's own know registered results too). */
export class HostVarsMap extends LazyMap {
  constructor(
    readonly names: readonly string[],
    readonly find: (name: string) => Variables | undefined,
  ) {
    super();
  }

  keys(): readonly string[] {
    return this.names;
  }

  has(key: string): boolean {
    return this.find(key) !== undefined;
  }

  get(key: string): unknown {
    const variables = this.find(key);
    return variables instanceof HostVariables ? new ScopeMap(variables) : undefined;
  }
}
