import { connect as connectSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import pLimit, { type LimitFunction } from 'p-limit';
import ssh2, { type AnyAuthMethod, type Client, type ParsedKey, type ServerHostKeyAlgorithm } from 'ssh2';
import { FleetError } from '../core/errors.ts';
import type { ShellScript } from '../core/shell.ts';
import { agentIdentities, narrowedAgent } from './agent.ts';
import type { Channel, ChannelOpener } from './channel.ts';
import {
  algorithmsUnsupported,
  authFailed,
  connectTimedOut,
  dropped,
  hostKeyFault,
  jumpRefused,
  proxyCommandFault,
  socketFault,
} from './connect-fault.ts';
import type { Answer, Become, Connection, RunOptions, Shell } from './connection.ts';
import { commandAborted, connectionLost } from './faults.ts';
import { hostKeyAlgorithms, judgeHostKey, type KnownHosts } from './known-hosts.ts';
import type { AskSecret, PrivateKeys } from './private-keys.ts';
import { ProxyCommandStream } from './proxy-command.ts';
import { runScript } from './run-script.ts';
import { openShell } from './shell.ts';
import { openSession } from './ssh2-session.ts';
import { formatAddress, type Target } from './target.ts';

/** Something a person should know that is no error. */
export interface Notice {
  readonly code:
    | 'HOST_KEY_ACCEPTED'
    | 'HOST_KEY_UNCHECKED'
    | 'KEY_SKIPPED'
    | 'SSH_OPTION_IGNORED'
    | 'CONNECT_RETRIED';
  readonly host: string;
  readonly message: string;
}

/** What all connections of a run share. */
export interface Ssh2Context {
  readonly knownHosts: KnownHosts;
  readonly keys: PrivateKeys;
  readonly agents: Map<string, Promise<readonly ParsedKey[] | undefined>>;
  readonly jumps: JumpHosts;
  readonly announce: (notice: Notice) => void;
  readonly askSecret?: AskSecret;
}

/** Half-open logins through one jump host; sshd drops more by default (MaxStartups 10:30:100). */
const OPENING_THROUGH_ONE_JUMP = 10;

/** What ssh2 can do, in our order; `ssh-rsa` (SHA-1) stays for old appliances, last. */
const HOST_KEY_ALGORITHMS = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
  'ssh-rsa',
] as const satisfies readonly ServerHostKeyAlgorithm[];

/** One host over ssh2, in this process. */
export class Ssh2Connection implements Connection, ChannelOpener {
  readonly host: string;
  readonly loginUser: string;
  readonly closed: Promise<Error | undefined>;
  readonly #client: Client;
  #closing = false;
  #lost: Error | undefined;

  constructor(target: Target, client: Client) {
    this.host = target.name;
    this.loginUser = target.user;
    this.#client = client;
    client.on('error', (error: Error) => {
      this.#lost ??= error;
    });
    this.closed = new Promise((resolve) => {
      client.on('close', () => {
        this.#lost ??= new Error('the host closed it');
        resolve(this.#closing ? undefined : connectionLost(this.host, this.#lost));
      });
    });
  }

  run(script: ShellScript, options: RunOptions): Promise<Answer> {
    return runScript(this, script, options);
  }

  async openShell(become: Become | undefined): Promise<Shell> {
    return openShell(this, become);
  }

  async open(command: string, options: { readonly pty?: boolean } = {}): Promise<Channel> {
    if (this.#lost !== undefined || this.#closing) {
      throw connectionLost(this.host, this.#lost ?? new Error('it was closed'));
    }
    const channel = await openSession(this.host, this.#client, command, options);
    // ssh2 ends channels without a status when the socket goes; the socket's own reason is the better one.
    const ended = channel.ended.then((end) =>
      end.lost !== undefined && this.#lost !== undefined ? { lost: this.#lost } : end,
    );
    return { ...channel, ended };
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#client.end();
    await this.closed;
  }
}

/**
 * Connects and logs in. One attempt; the caller retries.
 * @throws FleetError, see connect-fault.ts; only `CONNECT_DROPPED` is worth another attempt.
 */
export async function connectSsh2(
  target: Target,
  context: Ssh2Context,
  signal?: AbortSignal,
): Promise<Ssh2Connection> {
  return new Ssh2Connection(target, await login(target, context, signal));
}

/** The open connections to jump hosts: one per hop and run, however many hosts are behind it; closed when the last of those is. */
export class JumpHosts {
  readonly #hops = new Map<string, { client: Promise<Client>; users: number }>();
  readonly #limits = new Map<string, LimitFunction>();

  /** How many logins may be under way through the last of these hops. */
  limitFor(jumps: readonly Target[]): LimitFunction {
    const key = keyOf(jumps);
    let limit = this.#limits.get(key);
    if (limit === undefined) {
      limit = pLimit(OPENING_THROUGH_ONE_JUMP);
      this.#limits.set(key, limit);
    }
    return limit;
  }

  /** The logged-in client of the last hop; give it back with `release`. */
  async borrow(jumps: readonly Target[], context: Ssh2Context, signal?: AbortSignal): Promise<Client> {
    const key = keyOf(jumps);
    const last = jumps.at(-1);
    if (last === undefined) throw new RangeError('no jump host');
    let hop = this.#hops.get(key);
    if (hop === undefined) {
      const client = login({ ...last, jumps: jumps.slice(0, -1) }, context, signal);
      hop = { client, users: 0 };
      this.#hops.set(key, hop);
      const forget = () => {
        if (this.#hops.get(key) === hop) this.#hops.delete(key);
      };
      client.then((opened) => opened.on('error', () => {}).on('close', forget), forget);
    }
    hop.users += 1;
    try {
      return await hop.client;
    } catch (error) {
      hop.users -= 1;
      throw error;
    }
  }

  release(jumps: readonly Target[], client: Client): void {
    const key = keyOf(jumps);
    const hop = this.#hops.get(key);
    if (hop === undefined) return;
    hop.users -= 1;
    if (hop.users > 0) return;
    this.#hops.delete(key);
    client.end();
  }
}

function keyOf(jumps: readonly Target[]): string {
  return jumps.map((jump) => `${jump.user}@${formatAddress(jump)}`).join(',');
}

async function login(target: Target, context: Ssh2Context, signal: AbortSignal | undefined): Promise<Client> {
  const jumps = target.jumps;
  if (jumps.length === 0) return loginOver(target, context, signal, async () => openSocket(target));
  const jump = jumps.at(-1) as Target;
  // Connecting to the hop is the hop's own deadline: hosts behind it must not pay for it.
  const client = await context.jumps.borrow(jumps, context, signal);
  try {
    const inner = await loginOver(target, context, signal, () => forward(target, jump, client));
    inner.on('close', () => context.jumps.release(jumps, client));
    return inner;
  } catch (error) {
    context.jumps.release(jumps, client);
    throw error;
  }
}

function openSocket(target: Target): Duplex {
  if (target.proxyCommand !== undefined) return new ProxyCommandStream(target.proxyCommand);
  return connectSocket({
    host: target.hostName,
    port: target.port,
    // ssh2 leaves Nagle's algorithm on: 40 ms a round trip (measured: connect 82 -> 39 ms).
    noDelay: true,
    ...(target.addressFamily === 'any' ? {} : { family: target.addressFamily === 'inet' ? 4 : 6 }),
  });
}

function forward(target: Target, jump: Target, client: Client): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    try {
      client.forwardOut('127.0.0.1', 0, target.hostName, target.port, (error, channel) => {
        if (error) reject(jumpRefused(target, jump, error));
        else resolve(channel);
      });
    } catch (error) {
      reject(jumpRefused(target, jump, error as Error));
    }
  });
}

async function loginOver(
  target: Target,
  context: Ssh2Context,
  signal: AbortSignal | undefined,
  open: () => Promise<Duplex>,
): Promise<Client> {
  let stage = 'no connection';
  let give: (fault: FleetError) => void = () => {};
  const broken = new Promise<never>((_resolve, reject) => {
    give = reject;
  });
  broken.catch(() => {});
  const timer = setTimeout(() => give(connectTimedOut(target, stage)), target.connectTimeoutMs);
  const onAbort = () => give(commandAborted(target.name));
  if (signal?.aborted === true) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });

  const client = new ssh2.Client();
  let socket: Duplex | undefined;
  let hostKeyRefusal: FleetError | undefined;
  try {
    const entries = context.knownHosts.entries([
      ...target.userKnownHostsFiles,
      ...target.globalKnownHostsFiles,
    ]);
    const knownAs = target.hostKeyAlias ?? target.hostName;
    const knownPort = target.hostKeyAlias === undefined ? target.port : 22;
    const trust = { passwordAllowed: true };
    const attempts = new AuthAttempts(target, context, trust);
    const opening = open();
    // When the deadline wins, the socket that arrives later has no owner.
    opening.then(
      (late) => {
        socket = late;
      },
      () => {},
    );
    socket = await Promise.race([opening, broken]);
    const sock = socket;
    stage = 'the server said nothing';
    const ready = new Promise<void>((resolve, reject) => {
      client.on('ready', resolve);
      client.on('handshake', () => {
        stage = 'it hung while logging in';
      });
      client.on('error', (error: Error & { level?: string; code?: string }) => {
        if (error.level === 'agent') attempts.agentTrouble(error);
        else reject(hostKeyRefusal ?? faultOf(target, sock, error, attempts));
      });
      client.on('close', () => {
        const fault =
          hostKeyRefusal ?? faultOf(target, sock, new Error('the server closed the connection'), attempts);
        reject(fault);
      });
    });
    ready.catch(() => {});
    sock.on('error', () => {});
    client.connect({
      sock,
      username: target.user,
      readyTimeout: 0,
      keepaliveInterval: target.keepaliveIntervalMs,
      keepaliveCountMax: target.keepaliveCountMax,
      algorithms: {
        serverHostKey: hostKeyAlgorithms(
          entries,
          knownAs,
          knownPort,
          HOST_KEY_ALGORITHMS,
        ) as ServerHostKeyAlgorithm[],
        // aes128-gcm is the fastest by far for uploads (measured: 306 MB/s against 241 with chacha20).
        cipher: {
          prepend: ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'],
          append: [],
          remove: [],
        },
      },
      hostVerifier: (key: Buffer) => {
        hostKeyRefusal = verify(target, context, knownAs, knownPort, key.toString('base64'), trust);
        return hostKeyRefusal === undefined;
      },
      authHandler: (methods, partial, next) => {
        attempts.next(methods as readonly string[] | null, partial).then(
          (attempt) => next(attempt === undefined ? (false as never) : attempt),
          (error: unknown) => {
            give(error instanceof FleetError ? error : authFailed(target, [], [], error as Error));
          },
        );
      },
    });
    await Promise.race([ready, broken]);
    client.removeAllListeners('error');
    client.removeAllListeners('close');
    client.on('error', () => {});
    return client;
  } catch (error) {
    client.removeAllListeners();
    client.on('error', () => {});
    client.destroy();
    socket?.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

function verify(
  target: Target,
  context: Ssh2Context,
  knownAs: string,
  knownPort: number,
  key: string,
  trust: { passwordAllowed: boolean },
): FleetError | undefined {
  // Looked up again, not taken from before: another connection may have accepted the same host meanwhile.
  const entries = context.knownHosts.entries([
    ...target.userKnownHostsFiles,
    ...target.globalKnownHostsFiles,
  ]);
  const verdict = judgeHostKey(entries, knownAs, knownPort, key);
  if (verdict.kind === 'known') return undefined;
  const fault = hostKeyFault(target, verdict, key);
  if (verdict.kind === 'revoked') return fault;
  if (target.hostKeyMode === 'no') {
    // As ssh does: no password for somebody who may be in between.
    if (verdict.kind === 'changed') trust.passwordAllowed = false;
    context.announce({
      code: 'HOST_KEY_UNCHECKED',
      host: target.name,
      message: `host key checking is off: ${fault.message}`,
    });
    return undefined;
  }
  if (target.hostKeyMode !== 'accept-new' || verdict.kind !== 'unknown') return fault;
  const file = target.userKnownHostsFiles[0] ?? '/dev/null';
  try {
    context.knownHosts.accept(file, knownAs, knownPort, key, target.hashKnownHosts);
  } catch (error) {
    return new FleetError(
      {
        code: 'KNOWN_HOSTS_UNWRITABLE',
        host: target.name,
        message: `the new host key of ${target.name} cannot be written to ${file}: ${(error as Error).message}`,
        fix: `Make ${file} writable, or name another UserKnownHostsFile.`,
      },
      { cause: error },
    );
  }
  context.announce({
    code: 'HOST_KEY_ACCEPTED',
    host: target.name,
    message: `a new host key was accepted and written to ${file}: ${fault.message}`,
  });
  return undefined;
}

function faultOf(
  target: Target,
  sock: Duplex,
  error: Error & { level?: string; code?: unknown },
  attempts: AuthAttempts,
): FleetError {
  if (error instanceof FleetError) return error;
  if (error.level === 'client-authentication' || /too many authentication failures/i.test(error.message)) {
    return attempts.fault(error);
  }
  if (/no matching/i.test(error.message)) return algorithmsUnsupported(target, error);
  if (sock instanceof ProxyCommandStream) return proxyCommandFault(target, sock.complaint);
  if (error.level === 'client-socket') return socketFault(target, error as NodeJS.ErrnoException);
  // sshd hangs up without a word after MaxAuthTries in some versions, and after LoginGraceTime.
  if (attempts.begun) return attempts.fault(error);
  return dropped(target, error);
}

interface Attempt {
  readonly label: string;
  readonly method: 'publickey' | 'password' | 'keyboard-interactive';
  readonly make: () => Promise<AnyAuthMethod | undefined> | AnyAuthMethod;
}

/** What to try, in order, and what came of it. Publickey comes first and without ssh2's `none` probe: a round trip less. */
class AuthAttempts {
  readonly #target: Target;
  readonly #context: Ssh2Context;
  readonly #trust: { readonly passwordAllowed: boolean };
  readonly #tried: string[] = [];
  readonly #hints: string[] = [];
  readonly #offered = new Set<string>();
  #queue: Promise<Attempt[]> | undefined;
  #methods: readonly string[] | undefined;
  #keyFault: FleetError | undefined;

  constructor(target: Target, context: Ssh2Context, trust: { readonly passwordAllowed: boolean }) {
    this.#target = target;
    this.#context = context;
    this.#trust = trust;
  }

  get begun(): boolean {
    return this.#tried.length > 0;
  }

  agentTrouble(error: Error): void {
    this.#hints.push(`The agent did not sign: ${error.message}.`);
  }

  fault(cause: Error): FleetError {
    // A key that somebody named and that cannot be used is the whole story when nothing else was there to try.
    if (this.#keyFault !== undefined && this.#tried.length === 0)
      return this.#keyFault.within({ host: this.#target.name });
    const hints = this.#keyFault === undefined ? [] : [`Also: ${this.#keyFault.message}.`];
    if (this.#methods !== undefined) hints.push(`The server takes: ${this.#methods.join(', ')}.`);
    if (!this.#trust.passwordAllowed) hints.push('No password was sent, because the host key has changed.');
    return authFailed(this.#target, this.#tried, [...this.#hints, ...hints], cause);
  }

  async next(methods: readonly string[] | null, _partial: boolean): Promise<AnyAuthMethod | undefined> {
    if (methods !== null) this.#methods = methods;
    this.#queue ??= this.#plan();
    const queue = await this.#queue;
    for (;;) {
      const attempt = queue.shift();
      if (attempt === undefined) {
        if (this.#methods === undefined && this.#tried.length === 0) {
          // Nothing to show; the server may still take us as we are, and at least says what it wants.
          this.#methods = [];
          return { type: 'none', username: this.#target.user };
        }
        return undefined;
      }
      if (methods !== null && !methods.includes(attempt.method)) continue;
      const made = await attempt.make();
      if (made === undefined) continue;
      this.#tried.push(attempt.label);
      return made;
    }
  }

  async #plan(): Promise<Attempt[]> {
    const { identitiesNamed, identitiesOnly, agentSocket, password, user } = this.#target;
    const held = agentSocket === undefined ? undefined : await this.#agentKeys(agentSocket);
    const files = this.#target.identityFiles.map((path) => this.#keyFile(path, held));
    const agent: Attempt[] = [];
    if (agentSocket !== undefined && held !== undefined && held.length > 0 && !identitiesOnly) {
      agent.push({
        label: `the agent (${held.length} ${held.length === 1 ? 'key' : 'keys'})`,
        method: 'publickey',
        make: () => {
          const fresh = held.filter((key) => !this.#offered.has(blobOf(key)));
          for (const key of fresh) this.#offered.add(blobOf(key));
          return fresh.length === 0
            ? Promise.resolve(undefined)
            : { type: 'agent', username: user, agent: narrowedAgent(agentSocket, fresh) };
        },
      });
    }
    const secrets: Attempt[] = [];
    if (password !== undefined) {
      secrets.push(
        {
          label: 'the password',
          method: 'password',
          make: () =>
            this.#trust.passwordAllowed
              ? { type: 'password', username: user, password: password.reveal() }
              : Promise.resolve(undefined),
        },
        {
          label: 'the password (keyboard-interactive)',
          method: 'keyboard-interactive',
          make: () => {
            if (!this.#trust.passwordAllowed) return Promise.resolve(undefined);
            let rounds = 0;
            return {
              type: 'keyboard-interactive',
              username: user,
              prompt: (_name, _instructions, _language, prompts, finish) => {
                rounds += 1;
                // The server repeats its question after a wrong answer; a second answer would be the same.
                finish(
                  rounds > 1 ? [] : prompts.map((prompt) => (prompt.echo === true ? '' : password.reveal())),
                );
              },
            };
          },
        },
      );
    }
    return [...(identitiesNamed ? [...files, ...agent] : [...agent, ...files]), ...secrets];
  }

  #keyFile(path: string, held: readonly ParsedKey[] | undefined): Attempt {
    const { agentSocket, identitiesNamed, user } = this.#target;
    return {
      label: `the key ${path}`,
      method: 'publickey',
      make: async () => {
        let loaded = await this.#context.keys.load(path);
        if (loaded.kind === 'locked') {
          const { publicKey } = loaded;
          const twin =
            publicKey === undefined ? undefined : held?.find((key) => key.getPublicSSH().equals(publicKey));
          if (twin !== undefined && agentSocket !== undefined) {
            if (this.#offered.has(blobOf(twin))) return undefined;
            this.#offered.add(blobOf(twin));
            return { type: 'agent', username: user, agent: narrowedAgent(agentSocket, [twin]) };
          }
          // Nobody is asked for the passphrase of a default key while there is something else that may do.
          loaded = await this.#context.keys.unlock(path);
        }
        if (loaded.kind === 'key') {
          const blob = blobOf(loaded.key);
          if (this.#offered.has(blob)) return undefined;
          this.#offered.add(blob);
          return { type: 'publickey', username: user, key: loaded.key };
        }
        if (loaded.kind === 'missing') {
          if (identitiesNamed) {
            this.#keyFault ??= new FleetError({
              code: 'KEY_UNREADABLE',
              message: `there is no private key at ${path}`,
              fix: 'Correct ansible_ssh_private_key_file (or IdentityFile in the ssh config).',
            });
          }
          return undefined;
        }
        if (identitiesNamed || this.#keyFault === undefined) this.#keyFault ??= loaded.fault;
        return undefined;
      },
    };
  }

  #agentKeys(socket: string): Promise<readonly ParsedKey[] | undefined> {
    const { agents } = this.#context;
    let keys = agents.get(socket);
    if (keys === undefined) {
      keys = agentIdentities(socket);
      agents.set(socket, keys);
    }
    return keys;
  }
}

function blobOf(key: ParsedKey): string {
  return key.getPublicSSH().toString('base64');
}
