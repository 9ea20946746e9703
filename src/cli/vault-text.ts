import { FleetErrors, type Place } from '../core/errors.ts';
import type { Redactor, Secret } from '../core/secret.ts';
import { Findings } from '../inventory/findings.ts';
import { realFiles } from '../inventory/inventory-files.ts';
import { Vault } from '../inventory/vault.ts';
import { type AskPassword, vaultPasswords } from '../inventory/vault-passwords.ts';
import type { Settings } from './settings.ts';

/** Opens vault text outside of the inventory: in playbooks, variables files, and files that are copied. */
export type Decrypt = (ciphertext: string, where?: Place) => Secret;

/**
 * @param ask asks for the password of a vault id; what was asked for the inventory must not be asked again
 * @throws FleetErrors for password files that are not there
 */
export async function vaultOpener(
  settings: Settings,
  redactor: Redactor,
  ask: AskPassword | undefined,
): Promise<Decrypt> {
  const findings = new Findings();
  const passwords = await vaultPasswords({
    ids: settings.vaultIds,
    files: settings.vaultPasswordFiles,
    askAlways: settings.askVaultPass,
    ...(ask === undefined ? {} : { ask }),
    env: process.env,
    inputs: realFiles,
    findings,
  });
  FleetErrors.throwIfAny(findings.errors);
  const vault = new Vault(passwords);
  return (ciphertext, where) => {
    const opened = vault.decrypt(ciphertext, where);
    redactor.add(opened);
    return opened;
  };
}
