import { pathToFileURL } from 'node:url';

/**
 * What a module of the user exports. In a file of its own: code that imports what is not fleet's cannot come out of the
 * code cache (src/cli/code-cache.ts), and this is all there is of it.
 */
export async function exportsOf(file: string): Promise<unknown> {
  return import(pathToFileURL(file).href);
}
