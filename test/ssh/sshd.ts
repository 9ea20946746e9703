import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { ConnectionSettings } from '../../src/ssh/target.ts';
import { untilSaid } from '../fleet/awaited.ts';

/** Where Debian has it; it wants to be started by its full path. */
const SSHD = '/usr/sbin/sshd';

/** A real OpenSSH server on 127.0.0.1 with keys and config of its own. */
export interface Sshd {
  readonly port: number;
  readonly dir: string;
  /** Path of a private key that lets the current user in. */
  readonly key: string;
  /** A known_hosts file that knows this server. */
  readonly knownHosts: string;
  /** `type base64` of one of its host keys. */
  hostKey(type: string): string;
  /** Lets another public key in; may be a whole authorized_keys line. */
  authorize(publicKeyLine: string): void;
  log(): string;
  /** Settings of an inventory host that is this server. */
  settings(more?: Partial<ConnectionSettings>): ConnectionSettings;
  stop(): Promise<void>;
}

export interface SshdOptions {
  /** More lines for sshd_config; the first mention of a keyword wins, so these go first. */
  readonly config?: readonly string[];
  readonly hostKeyTypes?: readonly string[];
}

/** Whether the tests that need a real server can run here; it takes Debian's openssh-server (`apt-get install openssh-server`). */
export function haveSshd(): boolean {
  return existsSync(SSHD) && userInfo().uid === 0;
}

/** Makes a key pair with ssh-keygen and returns the private key's path. */
export function makeKey(dir: string, name: string, ...args: readonly string[]): string {
  const path = join(dir, name);
  const kind = args.includes('-t') ? [] : ['-t', 'ed25519'];
  const passphrase = args.includes('-N') ? [] : ['-N', ''];
  execFileSync('ssh-keygen', ['-q', ...kind, ...passphrase, ...args, '-f', path], { stdio: 'pipe' });
  return path;
}

export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  const dir = mkdtempSync(join(tmpdir(), 'fleet-sshd-'));
  // sshd reads authorized_keys as the user who logs in.
  chmodSync(dir, 0o755);
  mkdirSync('/run/sshd', { recursive: true });
  const types = options.hostKeyTypes ?? ['ed25519'];
  const hostKeys = types.map((type) => makeKey(dir, `host_${type}`, '-t', type));
  const key = makeKey(dir, 'user_key');
  const authorized = join(dir, 'authorized_keys');
  writeFileSync(authorized, readFileSync(`${key}.pub`, 'utf8'));
  const port = await freePort();
  const config = join(dir, 'sshd_config');
  writeFileSync(
    config,
    [
      ...(options.config ?? []),
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      ...hostKeys.map((path) => `HostKey ${path}`),
      `AuthorizedKeysFile ${authorized}`,
      'StrictModes no',
      'PermitRootLogin yes',
      'PidFile none',
      'UseDNS no',
      'UsePAM no',
      'PrintMotd no',
      'LogLevel VERBOSE',
      '',
    ].join('\n'),
  );
  const child = spawn(SSHD, ['-D', '-e', '-f', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  // Once for each address, and in its own order.
  const addresses = 1 + (options.config ?? []).filter((line) => line.startsWith('ListenAddress ')).length;
  await untilSaid(child, child.stderr, new RegExp(`(?:Server listening[^]*?){${addresses}}`));
  const gone = new Promise<void>((resolve) => {
    child.on('exit', () => resolve());
  });
  const hostKey = (type: string) =>
    readFileSync(join(dir, `host_${type}.pub`), 'utf8')
      .split(' ')
      .slice(0, 2)
      .join(' ')
      .trim();
  const knownHosts = join(dir, 'known_hosts');
  writeFileSync(knownHosts, types.map((type) => `[127.0.0.1]:${port} ${hostKey(type)}\n`).join(''));
  return {
    port,
    dir,
    key,
    knownHosts,
    hostKey,
    authorize: (line) => writeFileSync(authorized, `${line.trim()}\n`, { flag: 'a' }),
    log: () => log,
    settings: (more = {}) => ({
      name: 'node1',
      ansible_host: '127.0.0.1',
      ansible_port: port,
      ansible_user: userInfo().username,
      ansible_ssh_private_key_file: key,
      ansible_ssh_common_args: `-o UserKnownHostsFile=${knownHosts} -o IdentityAgent=none`,
      ...more,
    }),
    stop: async () => {
      child.kill('SIGTERM');
      await gone;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A port of 127.0.0.1 that nobody listens on at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve());
  });
  const address = server.address();
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return typeof address === 'object' && address !== null ? address.port : 0;
}
