import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import pLimit from 'p-limit';
import SSHConfig from 'ssh-config';
import { FleetError } from '../core/errors.ts';
import { collect, type SshSettings, splitWords } from './ssh-args.ts';

const run = promisify(execFile);

/** `ssh -G` is a process of 6 ms each; more of them at once only fight over the cores. */
const resolving = pLimit(4);

/** Keywords of a system-wide config that change nothing for us: Debian's default file has only these. */
const HARMLESS = new Set([
  'sendenv',
  'setenv',
  'hashknownhosts',
  'gssapiauthentication',
  'gssapidelegatecredentials',
  'forwardx11',
  'forwardx11trusted',
  'xauthlocation',
  'visualhostkey',
  'loglevel',
  'include',
]);

/** A host that no pattern names: what a config says about it, it says about every host that no pattern names. */
const NOBODY = 'fleet-nobody.invalid';

export interface SshConfigOptions {
  /** Another file than ~/.ssh/config and the system's (as `ssh -F`); `none` for no file at all. */
  readonly file?: string;
  /** Where to look for the system's file; for tests. */
  readonly systemFile?: string;
}

/**
 * What ~/.ssh/config says about hosts, by asking `ssh -G` where there is an ssh (Include, Match and all) and by the ssh-config package
 * where there is none. Costs nothing where no config says anything; asks once for all hosts that no `Host` line names.
 */
export class SshConfigFile {
  readonly #file: string | undefined;
  readonly #explicit: boolean;
  readonly #patterns: readonly string[];
  readonly #hasMatch: boolean;
  readonly #silent: boolean;
  readonly #answers = new Map<string, Promise<SshSettings>>();

  constructor(options: SshConfigOptions = {}) {
    this.#explicit = options.file !== undefined && options.file !== 'none';
    const user = join(userInfo().homedir, '.ssh', 'config');
    const sources =
      options.file === 'none'
        ? []
        : options.file !== undefined
          ? [options.file]
          : [user, options.systemFile ?? '/etc/ssh/ssh_config'];
    this.#file =
      options.file === 'none' ? undefined : (options.file ?? (existsSync(user) ? user : undefined));
    const scanned = sources.map((source) => scan(source, 0));
    this.#patterns = scanned.flatMap((found) => found.patterns);
    this.#hasMatch = scanned.some((found) => found.hasMatch);
    this.#silent = scanned.every((found) => found.silent);
  }

  /** @throws FleetError `SSH_CONFIG_INVALID` with ssh's own complaint. */
  async settingsOf(host: string, user: string | undefined, port: number | undefined): Promise<SshSettings> {
    if (this.#silent) return {};
    const special = this.#hasMatch || this.#patterns.some((pattern) => matchesGlob(pattern, host));
    const asked = special ? host : NOBODY;
    const key = special ? `${asked}\0${user ?? ''}\0${port ?? ''}` : NOBODY;
    let answer = this.#answers.get(key);
    if (answer === undefined) {
      answer = resolving(() => this.#ask(asked, special ? user : undefined, special ? port : undefined));
      this.#answers.set(key, answer);
    }
    const settings = await answer;
    if (special || settings.hostName !== NOBODY) return settings;
    const { hostName: _nobody, ...rest } = settings;
    return rest;
  }

  async #ask(host: string, user: string | undefined, port: number | undefined): Promise<SshSettings> {
    const args = [
      '-G',
      ...(this.#explicit && this.#file !== undefined ? ['-F', this.#file] : []),
      ...(user === undefined ? [] : ['-l', user]),
      ...(port === undefined ? [] : ['-p', String(port)]),
      '--',
      host,
    ];
    try {
      const { stdout } = await run('ssh', args, { timeout: 10_000 });
      return readDump(stdout, host);
    } catch (error) {
      const failure = error as { code?: unknown; stderr?: string; message: string };
      if (failure.code === 'ENOENT') return this.#withoutClient(host);
      throw new FleetError(
        {
          code: 'SSH_CONFIG_INVALID',
          message: `ssh cannot read its config for ${host}: ${(failure.stderr || failure.message).trim()}`,
          fix: `Correct it; \`ssh ${args.map((arg) => arg).join(' ')}\` shows what ssh makes of it.`,
          blame: 'usage',
        },
        { cause: error },
      );
    }
  }

  #withoutClient(host: string): SshSettings {
    if (this.#file === undefined || !existsSync(this.#file)) return {};
    const computed = SSHConfig.parse(readFileSync(this.#file, 'utf8')).compute(host, { ignoreCase: true });
    const pairs = Object.entries(computed).flatMap(([keyword, value]) =>
      (Array.isArray(value) ? value : [value]).map((one) => [keyword.toLowerCase(), String(one)] as const),
    );
    const { settings } = collect(pairs);
    return settings.hostName === undefined
      ? settings
      : { ...settings, hostName: settings.hostName.replaceAll('%h', host).replaceAll('%%', '%') };
  }
}

/** `ssh -G` prints every option, also those that nobody set; its defaults must not look like wishes. */
function readDump(dump: string, host: string): SshSettings {
  const pairs = dump
    .split('\n')
    .map((line) => {
      const space = line.indexOf(' ');
      return [line.slice(0, space).toLowerCase(), line.slice(space + 1)] as const;
    })
    .filter(([keyword, value]) => keyword !== '' && !isDefault(keyword, value, host));
  return collect(pairs).settings;
}

function isDefault(keyword: string, value: string, host: string): boolean {
  switch (keyword) {
    case 'hostname':
      return value === host;
    case 'port':
      return value === '22';
    case 'user':
      return value === userInfo().username;
    case 'identityfile':
      return /^~\/\.ssh\/id_(rsa|dsa|ecdsa|ecdsa_sk|ed25519|ed25519_sk|xmss|mldsa\w*)$/.test(value);
    case 'stricthostkeychecking':
      return value === 'ask';
    case 'userknownhostsfile':
      return /(^|\s)~?\S*\/\.ssh\/known_hosts(\s|$)/.test(value) && value.includes('known_hosts2');
    case 'globalknownhostsfile':
      return value.startsWith('/etc/ssh/ssh_known_hosts ');
    case 'addressfamily':
      return value === 'any';
    case 'serveraliveinterval':
      return value === '0';
    case 'serveralivecountmax':
      return value === '3';
    case 'identitiesonly':
    case 'hashknownhosts':
      return value === 'no';
    case 'proxyjump':
    case 'proxycommand':
      return value === 'none' || value === '';
    default:
      return false;
  }
}

interface Scan {
  readonly patterns: readonly string[];
  readonly hasMatch: boolean;
  /** Nothing in it concerns us. */
  readonly silent: boolean;
}

function scan(file: string, depth: number): Scan {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return { patterns: [], hasMatch: false, silent: true };
  }
  const patterns: string[] = [];
  let hasMatch = false;
  let silent = true;
  for (const line of text.split('\n')) {
    const match = /^\s*([A-Za-z0-9]+)(?:\s*=\s*|\s+)(.*?)\s*$/.exec(line);
    if (match === null) continue;
    const keyword = (match[1] as string).toLowerCase();
    const words = safeWords(match[2] as string);
    if (keyword === 'host') patterns.push(...words.filter((word) => word !== '*'));
    else if (keyword === 'match') hasMatch = true;
    else if (!HARMLESS.has(keyword)) silent = false;
    if (keyword === 'include') {
      for (const included of words.flatMap((word) => includedFiles(word, file))) {
        if (depth > 15) continue;
        const found = scan(included, depth + 1);
        patterns.push(...found.patterns);
        hasMatch ||= found.hasMatch;
        silent &&= found.silent;
      }
    }
  }
  return { patterns, hasMatch, silent };
}

function safeWords(text: string): readonly string[] {
  try {
    return splitWords(text);
  } catch {
    return [text];
  }
}

function includedFiles(word: string, from: string): readonly string[] {
  const home = userInfo().homedir;
  const base = from.startsWith('/etc/') ? '/etc/ssh' : join(home, '.ssh');
  const path = word.startsWith('~/') ? join(home, word.slice(2)) : isAbsolute(word) ? word : join(base, word);
  if (!/[*?]/.test(path)) return [path];
  try {
    return readdirSync(dirname(path))
      .filter((name) => matchesGlob(basename(path), name))
      .map((name) => join(dirname(path), name));
  } catch {
    return [];
  }
}

/** ssh's patterns: `*` and `?`; a leading `!` names the host too, if only to leave it out. */
export function matchesGlob(pattern: string, text: string): boolean {
  const plain = pattern.startsWith('!') ? pattern.slice(1) : pattern;
  const source = plain
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 'i').test(text);
}
