import type { StepLibrary } from '../playbook/step-library.ts';
import { userSteps, withUserSteps } from '../playbook/user-steps.ts';
import { allSteps, stepNamed } from '../steps/registry.ts';
import { stepKit } from '../steps/step-kit.ts';

/**
 * The steps that fleet has, and those in `steps/*.mjs` of a project's folder: the current one by default.
 * @throws FleetErrors with file and line for step files that cannot be used
 */
export async function stepsHere(folder = process.cwd()): Promise<StepLibrary> {
  return withUserSteps({ allSteps, stepNamed }, await userSteps(folder, stepKit));
}
