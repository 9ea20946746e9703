import { isIPv6 } from 'node:net';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { FleetError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { Become } from './connection.ts';
import {
  type HostKeyMode,
  hostKeyMode,
  parseSshArgs,
  portNumber,
  type SshSettings,
  splitWords,
} from './ssh-args.ts';
import { SshConfigFile } from './ssh-config-file.ts';

/** What an inventory says about reaching one host: plain values, already templated, under the names they have there. */
export interface ConnectionSettings {
  /** The inventory name. */
  readonly name: string;
  readonly ansible_host?: string;
  readonly ansible_port?: number | string;
  readonly ansible_user?: string;
  /** `ssh` (and what Ansible calls by other names for it: `smart`, `paramiko`), `local`, or `openssh` for the system's ssh. */
  readonly ansible_connection?: string;
  readonly ansible_ssh_private_key_file?: string;
  readonly ansible_private_key_file?: string;
  readonly ansible_ssh_pass?: string | Secret;
  readonly ansible_password?: string | Secret;
  readonly ansible_ssh_password?: string | Secret;
  readonly ansible_become?: boolean;
  readonly ansible_become_method?: string;
  readonly ansible_become_user?: string;
  readonly ansible_become_pass?: string | Secret;
  readonly ansible_become_password?: string | Secret;
  readonly ansible_ssh_args?: string;
  readonly ansible_ssh_common_args?: string;
  readonly ansible_ssh_extra_args?: string;
  readonly ansible_ssh_host_key_checking?: boolean | string;
  readonly ansible_host_key_checking?: boolean | string;
  /** Seconds. */
  readonly ansible_ssh_timeout?: number | string;
  readonly ansible_timeout?: number | string;
  /** `ssh2` (the default) or `openssh`: the system's ssh, for certificates, FIDO keys, GSSAPI and post-quantum-only servers. */
  readonly fleet_ssh_transport?: string;
}

/** Everything needed to reach one host, decided: inventory first, then ssh's config, then the defaults. */
export interface Target {
  /** The inventory name. */
  readonly name: string;
  readonly transport: 'ssh2' | 'openssh' | 'local';
  /** Name or address to connect to; IPv6 without brackets. */
  readonly hostName: string;
  readonly port: number;
  readonly user: string;
  readonly password?: Secret;
  /** Absolute paths, in the order to try. */
  readonly identityFiles: readonly string[];
  /** Whether somebody named those files; default files that do not exist are no error. */
  readonly identitiesNamed: boolean;
  readonly identitiesOnly: boolean;
  /** Path of the agent's socket; `undefined` for none. */
  readonly agentSocket?: string;
  /** Hosts to go through, the first hop first. */
  readonly jumps: readonly Target[];
  /** Already expanded, for `sh -c`. Excludes jumps. */
  readonly proxyCommand?: string;
  readonly hostKeyMode: HostKeyMode;
  /** The name to look up in known_hosts, when not `hostName`. */
  readonly hostKeyAlias?: string;
  readonly hashKnownHosts: boolean;
  readonly userKnownHostsFiles: readonly string[];
  readonly globalKnownHostsFiles: readonly string[];
  /** For everything until logged in, jumps included. */
  readonly connectTimeoutMs: number;
  readonly keepaliveIntervalMs: number;
  readonly keepaliveCountMax: number;
  readonly addressFamily: 'any' | 'inet' | 'inet6';
  /** Who the host's commands run as; `undefined` for the login user. */
  readonly become?: Become;
  /** ssh arguments as the inventory has them, for the openssh transport and for the commands that errors suggest. */
  readonly sshArgs: readonly string[];
  /** What the host is called for ssh and its config: ansible_host, or the inventory name. */
  readonly alias: string;
  /** Settings that fleet does not honour on this transport, for one warning. */
  readonly warnings: readonly string[];
}

export interface ResolveOptions {
  /** ~/.ssh/config, read once per run. */
  readonly sshConfig?: SshConfigFile;
  readonly connectTimeoutMs?: number;
  readonly env?: NodeJS.ProcessEnv;
  /** Where `~` is, the default keys and known_hosts; for tests. */
  readonly home?: string;
}

/** Ansible's default is 10 s for the TCP connection alone; ours holds until the login is done, jumps included. */
const CONNECT_TIMEOUT_MS = 20_000;
const KEEPALIVE_INTERVAL_MS = 15_000;
const KEEPALIVE_COUNT_MAX = 4;
const DEFAULT_KEYS = ['id_ed25519', 'id_ecdsa', 'id_rsa'];

/**
 * Decides how to reach a host. The only I/O is `ssh -G`, and only where an ssh config has something to say.
 * @throws FleetError `SSH_ARGS_INVALID`, `CONNECTION_SETTING_INVALID`, `SSH_CONFIG_INVALID`, naming the host.
 */
export async function resolveTarget(
  settings: ConnectionSettings,
  options: ResolveOptions = {},
): Promise<Target> {
  try {
    return await resolve(settings, options);
  } catch (error) {
    throw error instanceof FleetError ? error.within({ host: settings.name }) : error;
  }
}

async function resolve(settings: ConnectionSettings, options: ResolveOptions): Promise<Target> {
  const args = [settings.ansible_ssh_args, settings.ansible_ssh_common_args, settings.ansible_ssh_extra_args]
    .filter((text) => text !== undefined)
    .flatMap((text) => words(text));
  const parsed = parseSshArgs(args);
  const alias = (settings.ansible_host ?? settings.name).replace(/^\[(.*)\]$/, '$1');
  const keyFile = settings.ansible_ssh_private_key_file ?? settings.ansible_private_key_file;
  // Ansible puts its own variables on ssh's command line behind the user's args, where the first mention wins: so do args here.
  const inventory: SshSettings = withoutUndefined({
    ...parsed.settings,
    port:
      parsed.settings.port ??
      (settings.ansible_port === undefined ? undefined : portNumber(settings.ansible_port)),
    user: settings.ansible_user ?? parsed.settings.user,
    identityFiles: [...(keyFile === undefined ? [] : [keyFile]), ...(parsed.settings.identityFiles ?? [])],
    strictHostKeyChecking: parsed.settings.strictHostKeyChecking ?? checkingOf(settings),
    connectTimeoutMs: parsed.settings.connectTimeoutMs ?? timeoutOf(settings),
  });
  const transport = transportOf(settings);
  const password = secretOf(
    settings.ansible_password ?? settings.ansible_ssh_pass ?? settings.ansible_ssh_password,
  );
  const become = becomeOf(settings);
  const config =
    inventory.configFile === undefined
      ? (options.sshConfig ?? new SshConfigFile())
      : configFile(inventory.configFile, options);
  const target = await complete(settings.name, alias, inventory, transport, config, options, []);
  return {
    ...target,
    ...(password === undefined ? {} : { password }),
    ...(become === undefined ? {} : { become }),
    sshArgs: args,
    warnings: [
      ...parsed.unknown.map(
        (unknown) =>
          `ssh option ${JSON.stringify(unknown)} means nothing to fleet's own SSH; fleet_ssh_transport: openssh would honour it`,
      ),
    ],
  };
}

const configFiles = new Map<string, SshConfigFile>();
function configFile(path: string, options: ResolveOptions): SshConfigFile {
  const file = path === 'none' ? path : expandHome(path, options);
  let config = configFiles.get(file);
  if (config === undefined) {
    config = new SshConfigFile({ file });
    configFiles.set(file, config);
  }
  return config;
}

async function complete(
  name: string,
  alias: string,
  said: SshSettings,
  transport: Target['transport'],
  config: SshConfigFile,
  options: ResolveOptions,
  via: readonly string[],
): Promise<Target> {
  const env = options.env ?? process.env;
  const file = transport === 'local' ? {} : await config.settingsOf(alias, said.user, said.port);
  const merged: SshSettings = { ...file, ...withoutUndefined(said) };
  const hostName = (merged.hostName ?? alias).replace(/^\[(.*)\]$/, '$1');
  const port = merged.port ?? 22;
  const user = merged.user ?? userInfo().username;
  const tokens = { host: hostName, alias, port, user, home: homeOf(options) };
  const named = [...(said.identityFiles ?? []), ...(file.identityFiles ?? [])];
  const identityFiles = (
    named.length > 0 ? named : DEFAULT_KEYS.map((key) => join(homeOf(options), '.ssh', key))
  ).map((path) => expandPath(path, tokens, options));

  // A proxy of one kind in the inventory silences the other kind in the config, as on ssh's command line.
  const proxyJump = said.proxyJump ?? (said.proxyCommand === undefined ? file.proxyJump : undefined);
  const proxyCommand = said.proxyCommand ?? (said.proxyJump === undefined ? file.proxyCommand : undefined);
  const jumps =
    transport === 'openssh' || proxyJump === undefined || proxyJump === 'none'
      ? []
      : await resolveJumps(proxyJump, name, merged, config, options, [...via, alias]);
  const agent = agentSocket(merged.identityAgent, env, tokens, options);
  return {
    name,
    transport,
    hostName,
    port,
    user,
    identityFiles,
    identitiesNamed: named.length > 0,
    identitiesOnly: merged.identitiesOnly ?? false,
    ...(agent === undefined ? {} : { agentSocket: agent }),
    jumps,
    ...(proxyCommand === undefined || proxyCommand === 'none' || proxyJump !== undefined
      ? {}
      : { proxyCommand: expandTokens(proxyCommand, tokens) }),
    hostKeyMode: merged.strictHostKeyChecking ?? 'yes',
    ...(merged.hostKeyAlias === undefined ? {} : { hostKeyAlias: merged.hostKeyAlias }),
    hashKnownHosts: merged.hashKnownHosts ?? false,
    userKnownHostsFiles: (
      merged.userKnownHostsFiles ??
      ['known_hosts', 'known_hosts2'].map((f) => join(homeOf(options), '.ssh', f))
    ).map((path) => expandPath(path, tokens, options)),
    globalKnownHostsFiles: merged.globalKnownHostsFiles ?? [
      '/etc/ssh/ssh_known_hosts',
      '/etc/ssh/ssh_known_hosts2',
    ],
    connectTimeoutMs: merged.connectTimeoutMs || options.connectTimeoutMs || CONNECT_TIMEOUT_MS,
    keepaliveIntervalMs: merged.keepaliveIntervalMs ?? KEEPALIVE_INTERVAL_MS,
    keepaliveCountMax: merged.keepaliveCountMax ?? KEEPALIVE_COUNT_MAX,
    addressFamily: merged.addressFamily ?? 'any',
    sshArgs: [],
    alias,
    warnings: [],
  };
}

/** `[user@]host[:port]` or `ssh://…`, several with commas. Each hop has its own user, port and keys from ssh's config, and none of ours. */
async function resolveJumps(
  text: string,
  name: string,
  origin: SshSettings,
  config: SshConfigFile,
  options: ResolveOptions,
  via: readonly string[],
): Promise<readonly Target[]> {
  const hops: Target[] = [];
  for (const [index, spec] of text.split(',').entries()) {
    const hop = parseHop(spec.trim());
    // Only the first hop may itself be reached through others: the rest is reached through the hop before.
    if (via.includes(hop.host)) {
      if (index === 0)
        throw setting(
          `ProxyJump ${text} leads back to ${hop.host}`,
          'Take the circle out of the ssh config.',
        );
    }
    const target = await complete(
      `${name} (jump host ${hop.host})`,
      hop.host,
      withoutUndefined({
        ...(hop.user === undefined ? {} : { user: hop.user }),
        ...(hop.port === undefined ? {} : { port: hop.port }),
        // A choice about checking and about where keys are known holds for the whole way; identities and proxies do not.
        strictHostKeyChecking: origin.strictHostKeyChecking,
        userKnownHostsFiles: origin.userKnownHostsFiles,
        ...(index > 0 ? { proxyJump: 'none' } : {}),
      }),
      'ssh2',
      config,
      options,
      via,
    );
    hops.push(...target.jumps, { ...target, jumps: [] });
  }
  return hops;
}

function parseHop(spec: string): { host: string; user?: string; port?: number } {
  const match =
    /^(?:ssh:\/\/)?(?:([^@]*)@)?(?:\[([^\]]+)\]|([^:]+|[0-9a-fA-F:]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]*))(?::(\d+))?\/?$/.exec(
      spec,
    );
  const host = match?.[2] ?? match?.[3];
  if (host === undefined)
    throw setting(`${JSON.stringify(spec)} is no jump host`, 'Write it as user@host:port, IPv6 in brackets.');
  return {
    host,
    ...(match?.[1] === undefined ? {} : { user: match[1] }),
    ...(match?.[4] === undefined ? {} : { port: portNumber(match[4]) }),
  };
}

interface Tokens {
  readonly host: string;
  readonly alias: string;
  readonly port: number;
  readonly user: string;
  readonly home: string;
}

/** The %-tokens of ssh_config(5) that make sense to us. */
function expandTokens(text: string, tokens: Tokens): string {
  return text.replace(/%([%hnprdu])/g, (_all, token: string) => {
    switch (token) {
      case 'h':
        return tokens.host;
      case 'n':
        return tokens.alias;
      case 'p':
        return String(tokens.port);
      case 'r':
        return tokens.user;
      case 'd':
        return tokens.home;
      case 'u':
        return userInfo().username;
      default:
        return '%';
    }
  });
}

function expandPath(path: string, tokens: Tokens, options: ResolveOptions): string {
  return expandHome(expandTokens(path, tokens), options);
}

function expandHome(path: string, options: ResolveOptions): string {
  return path === '~' || path.startsWith('~/') ? join(homeOf(options), path.slice(1)) : path;
}

function homeOf(options: ResolveOptions): string {
  return options.home ?? homedir();
}

function agentSocket(
  wanted: string | undefined,
  env: NodeJS.ProcessEnv,
  tokens: Tokens,
  options: ResolveOptions,
): string | undefined {
  if (wanted === 'none') return undefined;
  if (wanted === undefined || wanted === 'SSH_AUTH_SOCK') return env.SSH_AUTH_SOCK || undefined;
  if (wanted.startsWith('$')) return env[wanted.slice(1).replace(/^\{(.*)\}$/, '$1')] || undefined;
  return expandPath(wanted, tokens, options);
}

function transportOf(settings: ConnectionSettings): Target['transport'] {
  const connection = settings.ansible_connection ?? 'ssh';
  const transport = settings.fleet_ssh_transport ?? 'ssh2';
  if (transport !== 'ssh2' && transport !== 'openssh') {
    throw setting(`fleet_ssh_transport is ${JSON.stringify(transport)}`, 'Write ssh2 or openssh.');
  }
  switch (connection.replace(/^ansible\.builtin\./, '')) {
    case 'local':
      return 'local';
    case 'openssh':
      return 'openssh';
    case 'ssh':
    case 'smart':
    case 'paramiko':
    case 'paramiko_ssh':
      return transport;
    default:
      throw setting(`ansible_connection is ${JSON.stringify(connection)}`, 'Write ssh, openssh or local.');
  }
}

/** Who a host's commands run as, by its own variables; `undefined` for the login user. @throws FleetError CONNECTION_SETTING_INVALID */
export function becomeOf(settings: Omit<ConnectionSettings, 'name'>): Become | undefined {
  if (settings.ansible_become !== true) return undefined;
  const method = (settings.ansible_become_method ?? 'sudo').replace(
    /^(ansible\.builtin|community\.general)\./,
    '',
  );
  if (method !== 'sudo' && method !== 'doas' && method !== 'su') {
    throw setting(`ansible_become_method is ${JSON.stringify(method)}`, 'Write sudo, doas or su.');
  }
  const password = secretOf(settings.ansible_become_password ?? settings.ansible_become_pass);
  return {
    method,
    user: settings.ansible_become_user ?? 'root',
    ...(password === undefined ? {} : { password }),
  };
}

function checkingOf(settings: ConnectionSettings): HostKeyMode | undefined {
  const value = settings.ansible_ssh_host_key_checking ?? settings.ansible_host_key_checking;
  if (value === undefined) return undefined;
  return typeof value === 'boolean' ? (value ? 'yes' : 'no') : hostKeyMode(value);
}

function timeoutOf(settings: ConnectionSettings): number | undefined {
  const value = settings.ansible_ssh_timeout ?? settings.ansible_timeout;
  if (value === undefined) return undefined;
  const secondsWanted = Number(value);
  if (Number.isFinite(secondsWanted) && secondsWanted > 0) return secondsWanted * 1000;
  throw setting(`ansible_ssh_timeout is ${JSON.stringify(value)}`, 'Write a number of seconds.');
}

function words(text: string): readonly string[] {
  try {
    return splitWords(text);
  } catch (error) {
    throw new FleetError({
      code: 'SSH_ARGS_INVALID',
      message: `the ssh arguments ${JSON.stringify(text)} cannot be read: ${(error as Error).message}`,
      fix: 'Close the quote.',
      blame: 'usage',
    });
  }
}

function setting(message: string, fix: string): FleetError {
  return new FleetError({ code: 'CONNECTION_SETTING_INVALID', message, fix, blame: 'usage' });
}

function withoutUndefined(settings: { [K in keyof SshSettings]?: SshSettings[K] | undefined }): SshSettings {
  return Object.fromEntries(
    Object.entries(settings).filter(
      ([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0),
    ),
  );
}

/** `host:port` as a person reads it, IPv6 in brackets. */
export function formatAddress(target: Pick<Target, 'hostName' | 'port'>): string {
  return `${isIPv6(target.hostName) ? `[${target.hostName}]` : target.hostName}:${target.port}`;
}

function secretOf(value: string | Secret | undefined): Secret | undefined {
  return typeof value === 'string' ? new Secret(value) : value;
}
