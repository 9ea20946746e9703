import { readFile } from 'node:fs/promises';
import { FleetError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { ControlFact } from '../engine/fact.ts';

/** A file of the control node that may hold secrets; `undefined` where there is none. */
export function localSecretText(path: string): ControlFact<Secret | undefined> {
  return {
    key: `local-text:${path}`,
    read: async () => {
      try {
        return new Secret(await readFile(path, 'utf8'));
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw new FleetError(
          {
            code: 'FILE_UNREADABLE',
            message: `cannot read ${path}`,
            where: { file: path },
            fix: 'Check its permissions.',
          },
          { cause },
        );
      }
    },
  };
}
