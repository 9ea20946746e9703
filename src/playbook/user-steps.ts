import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { FleetError, FleetErrors, type Place } from '../core/errors.ts';
import type { AnyStep } from '../engine/step.ts';
import type { StepLibrary } from './step-library.ts';
import { directives } from './step-of.ts';

/**
 * The steps in `steps/*.mjs` beside a playbook: each file exports `steps`, a function that is handed the kit and gives a list.
 * @throws FleetErrors with file and line for files that cannot be read and steps that are none
 */
export async function userSteps<Kit>(playbookFolder: string, kit: Kit): Promise<readonly UserStep[]> {
  const folder = join(playbookFolder, 'steps');
  const found: UserStep[] = [];
  const errors: FleetError[] = [];
  for (const file of filesIn(folder)) {
    try {
      found.push(...(await stepsOf(file, kit)));
    } catch (error) {
      if (error instanceof FleetErrors) errors.push(...error.errors);
      else if (error instanceof FleetError) errors.push(error);
      else errors.push(notLoaded(file, error));
    }
  }
  FleetErrors.throwIfAny(errors);
  return found;
}

/** A step and where it was written. */
export interface UserStep {
  readonly step: AnyStep;
  readonly where: Place;
}

/** The library with a user's own steps. @throws FleetErrors where a name is taken */
export function withUserSteps(library: StepLibrary, own: readonly UserStep[]): StepLibrary {
  if (own.length === 0) return library;
  const byName = new Map<string, AnyStep>();
  const errors: FleetError[] = [];
  for (const { step, where } of own) {
    for (const name of [step.name, ...(step.aliases ?? [])]) {
      const isTaken = byName.has(name) || library.stepNamed(name) !== undefined;
      if (isTaken || (directives as readonly string[]).includes(name))
        errors.push(wrong(where, `a step is called ${name} already`, 'Give yours another name.'));
      byName.set(name, step);
    }
  }
  FleetErrors.throwIfAny(errors);
  return {
    stepNamed: (name) => byName.get(name) ?? library.stepNamed(name),
    allSteps: [...library.allSteps, ...own.map(({ step }) => step)],
  };
}

function filesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.mjs') && !name.endsWith('.test.mjs'))
      .sort()
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}

async function stepsOf<Kit>(file: string, kit: Kit): Promise<readonly UserStep[]> {
  const { exportsOf } = await import('./module-file.ts');
  const module = (await exportsOf(file)) as { readonly steps?: unknown };
  const text = readFileSync(file, 'utf8');
  if (typeof module.steps !== 'function') {
    throw wrong(
      placeOf(file, text, /export\b.*\bsteps\b/),
      "it exports no function 'steps'",
      'Write: export const steps = ({ defineStep }) => [defineStep({ … })];',
    );
  }
  const made = (module.steps as (kit: Kit) => unknown)(kit);
  if (!Array.isArray(made)) {
    throw wrong(placeOf(file, text, /\bsteps\b/), "'steps' gives no list", 'Return a list of steps.');
  }
  const errors: FleetError[] = [];
  const found = made.map((step: unknown) => {
    const name = nameOf(step);
    const where = placeOf(
      file,
      text,
      name === undefined ? /\bdefineStep\b/ : new RegExp(`name:\\s*['"\`]${name}['"\`]`),
    );
    for (const [message, fix] of faultsOf(step)) {
      errors.push(wrong(where, `${name === undefined ? 'a step' : `step ${name}`} ${message}`, fix));
    }
    return { step: step as AnyStep, where };
  });
  FleetErrors.throwIfAny(errors);
  return found;
}

function nameOf(step: unknown): string | undefined {
  const name = (step as { readonly name?: unknown } | null)?.name;
  return typeof name === 'string' && /^[a-z][a-z0-9_]*$/.test(name) ? name : undefined;
}

/** What keeps a value from being a step, each with what to do. */
function faultsOf(value: unknown): readonly (readonly [string, string])[] {
  if (typeof value !== 'object' || value === null)
    return [['is no object', 'Make it with defineStep({ … }).']];
  const step = value as Readonly<Record<string, unknown>>;
  const faults: [string, string][] = [];
  if (nameOf(step) === undefined)
    faults.push(['has no name', "Add name: 'lower_case_words', as a playbook writes it."]);
  if (typeof step.summary !== 'string' || step.summary === '')
    faults.push(['has no summary', 'Add summary: one sentence that says what holds after it.']);
  for (const key of ['look', 'plan'] as const)
    if (typeof step[key] !== 'function') faults.push([`has no function ${key}`, `Add ${key}(…) { … }.`]);
  const args = step.args as { readonly type?: unknown; readonly properties?: object } | undefined;
  if (args?.type !== 'object' || typeof args.properties !== 'object') {
    faults.push(['has no schema of its arguments', "Add args: args({ path: path('Where.') })."]);
  } else {
    for (const [name, schema] of Object.entries(args.properties)) {
      if (typeof (schema as { readonly description?: unknown }).description !== 'string')
        faults.push([`does not describe its argument ${name}`, `Give ${name} a description.`]);
    }
    if (step.freeForm !== undefined && !Object.hasOwn(args.properties, String(step.freeForm)))
      faults.push([
        `has no argument ${String(step.freeForm)} for its free form`,
        'Name one of its arguments.',
      ]);
  }
  if (!Array.isArray(step.examples) || step.examples.length === 0)
    faults.push(['has no example', 'Add examples: ["- NAME: {…}"].']);
  return faults;
}

function placeOf(file: string, text: string, pattern: RegExp): Place {
  const at = text.search(pattern);
  const before = text.slice(0, Math.max(at, 0));
  return {
    file,
    line: before.split('\n').length,
    column: before.length - (before.lastIndexOf('\n') + 1) + 1,
  };
}

/** What the file itself threw, at the line of it that did. */
function notLoaded(file: string, error: unknown): FleetError {
  const { message, stack = '' } = error instanceof Error ? error : new Error(String(error));
  const inFile = stack
    .split('\n')
    .find((line) => line.includes(file) || line.includes(pathToFileURL(file).href));
  const [, line, column] = /:(\d+)(?::(\d+))?\)?$/.exec(inFile ?? '') ?? [];
  return wrong(
    {
      file,
      ...(line === undefined ? {} : { line: Number(line) }),
      ...(line === undefined ? {} : { column: Number(column ?? 1) }),
    },
    `the file cannot be loaded: ${message}`,
    'Correct it; docs/steps-of-your-own.md has an example.',
  );
}

function wrong(where: Place, message: string, fix: string): FleetError {
  return new FleetError({ code: 'STEP_FILE', message, fix, where, blame: 'usage' });
}
