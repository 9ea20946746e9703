import { FleetError } from '../core/errors.ts';

/** What ssh's own command line or config can say about reaching one host; only what was said is there. */
export interface SshSettings {
  readonly hostName?: string;
  readonly port?: number;
  readonly user?: string;
  readonly identityFiles?: readonly string[];
  readonly identitiesOnly?: boolean;
  readonly identityAgent?: string;
  readonly certificateFiles?: readonly string[];
  readonly proxyJump?: string;
  readonly proxyCommand?: string;
  readonly strictHostKeyChecking?: HostKeyMode;
  readonly userKnownHostsFiles?: readonly string[];
  readonly globalKnownHostsFiles?: readonly string[];
  readonly hostKeyAlias?: string;
  readonly hashKnownHosts?: boolean;
  readonly connectTimeoutMs?: number;
  readonly keepaliveIntervalMs?: number;
  readonly keepaliveCountMax?: number;
  readonly addressFamily?: 'any' | 'inet' | 'inet6';
  readonly preferredAuthentications?: readonly string[];
  readonly configFile?: string;
}

/** `yes`: only known hosts. `accept-new`: an unknown host is added, a changed one refused. `no`: anything, with a warning. */
export type HostKeyMode = 'yes' | 'accept-new' | 'no';

export interface ParsedArgs {
  readonly settings: SshSettings;
  /** Options that fleet does not honour over ssh2, as written; the openssh transport passes everything on. */
  readonly unknown: readonly string[];
}

/**
 * Splits a command line as a POSIX shell would: quotes, backslashes, nothing expanded. Ansible splits its ssh args the same way (shlex).
 * @throws RangeError for a quote that is never closed.
 */
export function splitWords(text: string): readonly string[] {
  const words: string[] = [];
  let word: string | undefined;
  let at = 0;
  while (at < text.length) {
    const character = text[at] as string;
    at += 1;
    if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    word ??= '';
    if (character === "'") {
      const end = text.indexOf("'", at);
      if (end < 0) throw new RangeError(`a ' is never closed`);
      word += text.slice(at, end);
      at = end + 1;
    } else if (character === '"') {
      for (;;) {
        const next = text[at];
        if (next === undefined) throw new RangeError(`a " is never closed`);
        at += 1;
        if (next === '"') break;
        if (next === '\\' && /["\\$`]/.test(text[at] ?? '')) {
          word += text[at];
          at += 1;
        } else word += next;
      }
    } else if (character === '\\') {
      word += text[at] ?? '';
      at += 1;
    } else word += character;
  }
  if (word !== undefined) words.push(word);
  return words;
}

/** Flags of ssh(1) without a value that change nothing for us. */
const IGNORED_FLAGS = new Set('CNTqtTvxXyYaAnfGgKksV46'.split(''));
/** Flags with a value. */
const VALUED_FLAGS = new Set('BbcDEeFIiJLlmOopQRSWw'.split(''));
/** Flags with a value that change nothing that fleet does. */
const IGNORED_VALUED = new Set('EeSOQm'.split(''));

/** Options about multiplexing, forwarding, logging and output that mean nothing to one connection of our own. */
const IGNORED_OPTIONS = new Set(
  `controlmaster controlpath controlpersist compression loglevel sendenv setenv requesttty batchmode forwardagent forwardx11
  forwardx11trusted visualhostkey gssapiauthentication gssapidelegatecredentials gssapikeyexchange gssapitrustdns tcpkeepalive
  numberofpasswordprompts updatehostkeys checkhostip permitlocalcommand localcommand escapechar exitonforwardfailure logverbose
  clearallforwardings tunnel streamlocalbindunlink connectionattempts addkeystoagent verifyhostkeydns ipqos canonicalizehostname
  pubkeyauthentication passwordauthentication kbdinteractiveauthentication challengeresponseauthentication hostbasedauthentication
  nohostauthenticationforlocalhost fingerprinthash ignoreunknown stdinnull forkafterauthentication sessiontype usekeychain
  rekeylimit serveralivecountmax`.split(/\s+/),
);

/** Reads ssh options as `ansible_ssh_common_args` and its sisters hold them. The first mention of an option wins, as in ssh itself. */
export function parseSshArgs(words: readonly string[]): ParsedArgs {
  const options: [string, string][] = [];
  const unknown: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string;
    if (!word.startsWith('-') || word === '-') {
      unknown.push(word);
      continue;
    }
    // Flags may be bundled (-4Cq), and a value may follow at once (-p22) or as the next word.
    for (let index = 1; index < word.length; index++) {
      const flag = word[index] as string;
      if (VALUED_FLAGS.has(flag)) {
        const attached = word.slice(index + 1);
        let value = attached;
        if (attached === '') {
          at += 1;
          value = words[at] ?? '';
        }
        const option = valuedFlag(flag, value);
        if (option !== undefined) options.push(option);
        else if (!IGNORED_VALUED.has(flag)) unknown.push(`-${flag} ${value}`);
        break;
      }
      if (flag === '4') options.push(['addressfamily', 'inet']);
      else if (flag === '6') options.push(['addressfamily', 'inet6']);
      else if (!IGNORED_FLAGS.has(flag)) unknown.push(`-${flag}`);
    }
  }
  const collected = collect(options);
  return { settings: collected.settings, unknown: [...unknown, ...collected.unknown] };
}

function valuedFlag(flag: string, value: string): [string, string] | undefined {
  switch (flag) {
    case 'J':
      return ['proxyjump', value];
    case 'i':
      return ['identityfile', value];
    case 'p':
      return ['port', value];
    case 'l':
      return ['user', value];
    case 'F':
      return ['configfile', value];
    case 'o': {
      const match = /^\s*([A-Za-z0-9]+)(?:\s*=\s*|\s+)([\s\S]*)$/.exec(value);
      if (match === null) return ['', value];
      return [(match[1] ?? '').toLowerCase(), match[2] ?? ''];
    }
    default:
      return undefined;
  }
}

/** Turns `keyword value` pairs, as `ssh -G` prints them and `-o` holds them, into settings. Keywords in lower case; the first one wins. */
export function collect(options: readonly (readonly [string, string])[]): ParsedArgs {
  const settings: { -readonly [K in keyof SshSettings]: SshSettings[K] } = {};
  const unknown: string[] = [];
  const identityFiles: string[] = [];
  const certificateFiles: string[] = [];
  for (const [keyword, value] of options) {
    switch (keyword) {
      case 'hostname':
        settings.hostName ??= value;
        break;
      case 'port':
        settings.port ??= portNumber(value);
        break;
      case 'user':
        settings.user ??= unquote(value);
        break;
      case 'identityfile':
        identityFiles.push(unquote(value));
        break;
      case 'certificatefile':
        certificateFiles.push(unquote(value));
        break;
      case 'identitiesonly':
        settings.identitiesOnly ??= isYes(value);
        break;
      case 'identityagent':
        settings.identityAgent ??= unquote(value);
        break;
      case 'proxyjump':
        if (settings.proxyCommand === undefined) settings.proxyJump ??= value;
        break;
      case 'proxycommand':
        if (settings.proxyJump === undefined) settings.proxyCommand ??= value;
        break;
      case 'stricthostkeychecking':
        settings.strictHostKeyChecking ??= hostKeyMode(value);
        break;
      case 'userknownhostsfile':
        settings.userKnownHostsFiles ??= splitWords(value);
        break;
      case 'globalknownhostsfile':
        settings.globalKnownHostsFiles ??= splitWords(value);
        break;
      case 'hostkeyalias':
        settings.hostKeyAlias ??= value;
        break;
      case 'hashknownhosts':
        settings.hashKnownHosts ??= isYes(value);
        break;
      case 'connecttimeout':
        if (value !== 'none') settings.connectTimeoutMs ??= seconds(value) * 1000;
        break;
      case 'serveraliveinterval':
        settings.keepaliveIntervalMs ??= seconds(value) * 1000;
        break;
      case 'serveralivecountmax':
        settings.keepaliveCountMax ??= Number.parseInt(value, 10);
        break;
      case 'addressfamily':
        if (value === 'inet' || value === 'inet6' || value === 'any') settings.addressFamily ??= value;
        break;
      case 'preferredauthentications':
        settings.preferredAuthentications ??= value.split(',');
        break;
      case 'configfile':
        settings.configFile ??= value;
        break;
      default:
        if (!IGNORED_OPTIONS.has(keyword))
          unknown.push(keyword === '' ? `-o ${value}` : `-o ${keyword}=${value}`);
    }
  }
  if (identityFiles.length > 0) settings.identityFiles = identityFiles;
  if (certificateFiles.length > 0) settings.certificateFiles = certificateFiles;
  return { settings, unknown };
}

/** The mode of host key checking that ssh's word for it means. `ask` is `yes`: nobody is asked in the middle of a run. */
export function hostKeyMode(value: string): HostKeyMode {
  switch (value.toLowerCase()) {
    case 'no':
    case 'off':
    case 'false':
      return 'no';
    case 'accept-new':
      return 'accept-new';
    default:
      return 'yes';
  }
}

/** @throws FleetError `SSH_ARGS_INVALID` for what is no TCP port. */
export function portNumber(value: string | number): number {
  const port = typeof value === 'number' ? value : /^\s*\d+\s*$/.test(value) ? Number(value) : Number.NaN;
  if (Number.isInteger(port) && port >= 1 && port <= 65535) return port;
  throw new FleetError({
    code: 'SSH_ARGS_INVALID',
    message: `${JSON.stringify(value)} is no port`,
    fix: 'Write a number from 1 to 65535.',
    blame: 'usage',
  });
}

/** OpenSSH time formats: `30`, `30s`, `2m`, `1h30m`. */
function seconds(value: string): number {
  const units: Record<string, number> = { '': 1, s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
  let total = 0;
  for (const [, count, unit] of value.toLowerCase().matchAll(/(\d+)([smhdw]?)/g)) {
    total += Number(count) * (units[unit ?? ''] ?? 1);
  }
  return total;
}

function isYes(value: string): boolean {
  return /^(yes|true|1)$/i.test(value);
}

function unquote(value: string): string {
  const match = /^"(.*)"$/.exec(value);
  return match?.[1] ?? value;
}
