import { FleetError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { Findings } from './findings.ts';
import type { InventoryFiles } from './inventory-files.ts';
import type { VaultPassword } from './vault.ts';

/** Asks a person for the password of a vault id. */
export type AskPassword = (id: string) => Promise<string>;

export interface VaultPasswordSources {
  /** `id@source` or just a source. */
  readonly ids: readonly string[];
  readonly files: readonly string[];
  readonly askAlways: boolean;
  readonly ask?: AskPassword;
  readonly env: NodeJS.ProcessEnv;
  readonly inputs: InventoryFiles;
  readonly findings: Findings;
}

/**
 * The vault passwords of a run, as Ansible finds them: `--vault-id`, `--vault-password-file`, `--ask-vault-pass`,
 * ANSIBLE_VAULT_IDENTITY_LIST and ANSIBLE_VAULT_PASSWORD_FILE. A password file that is executable is run.
 */
export async function vaultPasswords(sources: VaultPasswordSources): Promise<readonly VaultPassword[]> {
  const wanted: { id: string; source: string }[] = [];
  const list = (sources.env.ANSIBLE_VAULT_IDENTITY_LIST ?? '')
    .split(',')
    .filter((entry) => entry.trim() !== '');
  for (const entry of [...list, ...sources.ids]) wanted.push(splitId(entry.trim()));
  for (const source of sources.files) wanted.push({ id: 'default', source });
  const fromEnvironment = sources.env.ANSIBLE_VAULT_PASSWORD_FILE;
  if (sources.files.length === 0 && fromEnvironment !== undefined && fromEnvironment !== '') {
    wanted.push({ id: 'default', source: fromEnvironment });
  }
  if (sources.askAlways) wanted.push({ id: 'default', source: 'prompt' });
  const passwords: VaultPassword[] = [];
  for (const { id, source } of wanted) {
    const password = await readPassword(id, source, sources);
    if (password !== undefined) passwords.push({ id, password });
  }
  return passwords;
}

function splitId(entry: string): { id: string; source: string } {
  const at = entry.indexOf('@');
  return at < 0 ? { id: 'default', source: entry } : { id: entry.slice(0, at), source: entry.slice(at + 1) };
}

async function readPassword(
  id: string,
  source: string,
  { ask, inputs, findings }: VaultPasswordSources,
): Promise<Secret | undefined> {
  const refuse = (message: string, fix: string): undefined => {
    findings.error({ code: 'VAULT_PASSWORD_SOURCE', message, fix });
    return undefined;
  };
  try {
    if (source === 'prompt' || source === 'prompt_ask_vault_pass') {
      if (ask === undefined) {
        return refuse(
          `the password of vault id "${id}" must be asked for, and there is no terminal`,
          'Give --vault-password-file FILE.',
        );
      }
      return new Secret(await ask(id));
    }
    if ((await inputs.kind(source)) === 'missing') {
      return refuse(`there is no vault password file ${source}`, 'Correct the path.');
    }
    const client = /-client(?:\.\w+)?$/.test(source);
    const text = (await inputs.isExecutable(source))
      ? await inputs.run(source, client ? ['--vault-id', id] : [], 'the vault password program')
      : await inputs.read(source);
    const password = text.replace(/^\s+|\s+$/g, '');
    if (password === '')
      return refuse(`the vault password file ${source} is empty`, 'Write the password into it.');
    return new Secret(password);
  } catch (error) {
    if (!(error instanceof FleetError)) throw error;
    findings.errors.push(error);
    return undefined;
  }
}
