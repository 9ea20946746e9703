import { FleetError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { Findings } from './findings.ts';
import type { InventoryFiles } from './inventory-files.ts';
import { isVaultText, type Vault } from './vault.ts';

/** Reads files that may be encrypted. */
export interface InventoryReader {
  readonly files: InventoryFiles;
  readonly vault: Vault;
  /** A file's text, decrypted if ansible-vault encrypted it as a whole; `undefined` (and a finding) when that fails. */
  readText(path: string, findings: Findings): Promise<{ text: string; encrypted: boolean } | undefined>;
  /** What `sops --decrypt` makes of a file; `undefined` (and a finding) when that fails. */
  decryptSops(path: string, findings: Findings): Promise<string | undefined>;
  /** The value with every text in it turned into a Secret. */
  secretly(value: unknown): unknown;
}

export function inventoryReader(files: InventoryFiles, vault: Vault): InventoryReader {
  return {
    files,
    vault,
    async readText(path, findings) {
      try {
        const text = await files.read(path);
        if (!isVaultText(text)) return { text: text.replace(/^\ufeff/, ''), encrypted: false };
        return { text: vault.decrypt(text, { file: path, line: 1 }).reveal(), encrypted: true };
      } catch (error) {
        if (!(error instanceof FleetError)) throw error;
        findings.errors.push(error);
        return undefined;
      }
    },
    async decryptSops(path, findings) {
      try {
        return await files.run('sops', ['--decrypt', '--output-type', 'yaml', path], 'the decryption');
      } catch (error) {
        if (!(error instanceof FleetError)) throw error;
        findings.error({
          code: 'SOPS_FAILED',
          message: `${path} is encrypted by sops, and it could not be decrypted: ${error.message}`,
          fix: 'Install sops (https://getsops.io) and make its key available, e.g. by SOPS_AGE_KEY_FILE.',
          where: { file: path },
        });
        return undefined;
      }
    },
    secretly,
  };
}

function secretly(value: unknown): unknown {
  if (typeof value === 'string') return new Secret(value);
  if (Array.isArray(value)) return Object.freeze(value.map(secretly));
  if (value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.freeze(
      Object.fromEntries(Object.entries(value).map(([key, item]) => [key, secretly(item)])),
    );
  }
  return value;
}
