import { FleetError } from '../core/errors.ts';
import type { ColorChoice } from '../ui/color.ts';

/** The shared flags, checked and typed. */
export interface Settings {
  /** As named on the command line or by FLEET_INVENTORY; empty means the default. */
  readonly inventory: readonly string[];
  readonly extraVars: readonly string[];
  readonly limit: string | undefined;
  readonly cluster: string | undefined;
  readonly vaultIds: readonly string[];
  readonly vaultPasswordFiles: readonly string[];
  readonly askVaultPass: boolean;
  readonly user: string | undefined;
  readonly privateKey: string | undefined;
  readonly askPass: boolean;
  readonly askBecomePass: boolean;
  readonly hostKeyChecking: 'strict' | 'accept-new' | 'off' | undefined;
  readonly forks: number | undefined;
  readonly timeoutMs: number | undefined;
  readonly tags: readonly string[];
  readonly skipTags: readonly string[];
  readonly check: boolean;
  readonly diff: boolean;
  readonly yes: boolean;
  readonly output: 'text' | 'json';
  readonly color: ColorChoice;
  readonly verbose: boolean;
  readonly quiet: boolean;
  readonly debug: boolean;
}

type Env = Readonly<Record<string, string | undefined>>;

/** @throws FleetError (usage) for a value that its flag cannot have. Choices were checked by the parser. */
export function settingsFrom(options: Readonly<Record<string, unknown>>, env: Env): Settings {
  const text = (key: string): string | undefined => {
    const value = options[key];
    return typeof value === 'string' ? value : undefined;
  };
  const list = (key: string): readonly string[] => {
    const value = options[key];
    return Array.isArray(value) ? value.map(String) : [];
  };
  const inventory = list('inventory');
  const vaultPasswordFiles = list('vaultPasswordFile');
  const timeout = positiveNumber('--timeout', text('timeout'));
  return {
    inventory: inventory.length > 0 ? inventory : present(env.FLEET_INVENTORY),
    extraVars: list('extraVars'),
    limit: text('limit'),
    cluster: text('cluster'),
    vaultIds: list('vaultId'),
    vaultPasswordFiles:
      vaultPasswordFiles.length > 0 ? vaultPasswordFiles : present(env.ANSIBLE_VAULT_PASSWORD_FILE),
    askVaultPass: options.askVaultPass === true,
    user: text('user'),
    privateKey: text('privateKey'),
    askPass: options.askPass === true,
    askBecomePass: options.askBecomePass === true,
    hostKeyChecking: text('hostKeyChecking') as Settings['hostKeyChecking'],
    forks: wholeNumber('--forks', text('forks')),
    timeoutMs: timeout === undefined ? undefined : timeout * 1000,
    tags: list('tags').flatMap(splitTags),
    skipTags: list('skipTags').flatMap(splitTags),
    check: options.check === true,
    diff: options.diff === true,
    yes: options.yes === true,
    output: (text('output') ?? 'text') as Settings['output'],
    color: (text('color') ?? 'auto') as ColorChoice,
    verbose: options.verbose === true,
    quiet: options.quiet === true,
    debug: options.debug === true || (env.FLEET_DEBUG !== undefined && !['', '0'].includes(env.FLEET_DEBUG)),
  };
}

function splitTags(text: string): string[] {
  return text
    .split(',')
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '');
}

function present(value: string | undefined): readonly string[] {
  return value === undefined || value === '' ? [] : [value];
}

function wholeNumber(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9][0-9]{0,5}$/.test(text)) return Number(text);
  throw new FleetError({
    code: 'FLAG_VALUE',
    message: `${flag} takes a whole number from 1, not ${JSON.stringify(text)}`,
    fix: `Write for example ${flag} 20.`,
    blame: 'usage',
  });
}

function positiveNumber(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value > 0) return value;
  throw new FleetError({
    code: 'FLAG_VALUE',
    message: `${flag} takes a number of seconds greater than 0, not ${JSON.stringify(text)}`,
    fix: `Write for example ${flag} 30.`,
    blame: 'usage',
  });
}
