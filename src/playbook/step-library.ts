import type { AnyStep } from '../engine/step.ts';
import { includeVarsStep } from './include-vars.ts';
import type { ReadYamlOptions } from './located.ts';

/** The steps that a playbook may use: the module `src/steps/registry.ts` as a whole is one, a test defines its own. */
export interface StepLibrary {
  readonly stepNamed: (name: string) => AnyStep | undefined;
  /** For suggestions and for the schema. */
  readonly allSteps: readonly AnyStep[];
}

/** A library together with the steps that only a playbook can have. */
export function withPlaybookSteps(library: StepLibrary, options: ReadYamlOptions = {}): StepLibrary {
  if (library.stepNamed('include_vars') !== undefined) return library;
  const includeVars = includeVarsStep(options);
  return {
    stepNamed: (name) => (name === includeVars.name ? includeVars : library.stepNamed(name)),
    allSteps: [...library.allSteps, includeVars],
  };
}

/** Collections whose modules fleet has under their short names. */
const shortened =
  /^(?:ansible\.(?:builtin|legacy|posix|utils)|community\.(?:general|crypto)|kubernetes\.core)\./;

/** `ansible.builtin.copy` is `copy`. */
export function shortStepName(name: string): string {
  return name.replace(shortened, '');
}

/** A step by any name that a playbook may call it. */
export function findStep(library: StepLibrary, name: string): AnyStep | undefined {
  return library.stepNamed(name) ?? library.stepNamed(shortStepName(name));
}
