import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FleetError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { Save } from './action.ts';

/** Writes a file on the control node: temporary file beside it with its final mode, flushed, renamed. Folders are made 0700. */
export async function saveFile(save: Save): Promise<void> {
  const content = save.content instanceof Secret ? save.content.reveal() : save.content;
  const temporary = `${save.path}.fleet-${randomBytes(6).toString('hex')}~`;
  try {
    await mkdir(dirname(save.path), { recursive: true, mode: 0o700 });
    if (save.backup === true) await backUp(save.path);
    const file = await open(temporary, 'wx', Number.parseInt(save.mode, 8));
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, save.path);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw new FleetError(
      {
        code: 'FILE_UNWRITABLE',
        message: `cannot write ${save.path}: ${cause instanceof Error ? cause.message : String(cause)}`,
        where: { file: save.path },
        fix: 'Check that the folder may be written to and has space.',
      },
      { cause },
    );
  }
}

async function backUp(path: string): Promise<void> {
  await copyFile(path, `${path}.bak`).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}
