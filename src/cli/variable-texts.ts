import { allVariables } from '../inventory/variables.ts';

/** Every variable that fleet reads, with the first sentence of what it is for. */
export function variableTexts(): readonly { readonly name: string; readonly summary: string }[] {
  return allVariables().map(({ name, description }) => ({
    name,
    summary: description.split(/(?<=\.)\s/)[0] ?? description,
  }));
}
