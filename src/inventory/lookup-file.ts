import { readFileSync, statSync } from 'node:fs';
import { TemplateError } from '../jinja/error.ts';
import { isVaultText, type Vault } from './vault.ts';

const LARGEST = 16 * 1024 * 1024;

/** The text of a file that a template asked for by `lookup('file', …)`; decrypted if ansible-vault encrypted it. @throws TemplateError */
export function readLookupFile(path: string, vault: Vault): { text: string; encrypted: boolean } {
  let text: string;
  try {
    const found = statSync(path);
    if (!found.isFile()) throw new TemplateError('failed', `lookup('file'): ${path} is not a file`);
    if (found.size > LARGEST)
      throw new TemplateError('failed', `lookup('file'): ${path} is larger than 16 MiB`);
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof TemplateError) throw error;
    throw new TemplateError('failed', `lookup('file') cannot read ${path}`);
  }
  if (!isVaultText(text)) return { text, encrypted: false };
  return { text: vault.decrypt(text, { file: path, line: 1 }).reveal(), encrypted: true };
}
