import { Ajv, type Options } from 'ajv';

/**
 * Compiles schemas that fleet itself wrote, fast rather than well: most are used a few times in a run. They are not
 * checked against the schema of schemas, which takes 40 ms, and the code made of them is not optimised, which takes longer than
 * it saves.
 */
export function ownSchemas(options: Options = {}): Ajv {
  return new Ajv({ code: { optimize: false }, validateSchema: false, strict: false, ...options });
}
