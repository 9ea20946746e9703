import { readFile } from 'node:fs/promises';
import { FleetError } from './errors.ts';

/**
 * The text of a file that a person named (a key, a list, a script).
 * @param fix what to do where it cannot be read
 * @throws FleetError FILE_UNREADABLE
 */
export async function readNamedFile(
  path: string,
  fix = 'Check that it exists and may be read.',
): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new FleetError(
      { code: 'FILE_UNREADABLE', message: `cannot read ${path}`, where: { file: path }, fix, blame: 'usage' },
      { cause },
    );
  }
}
