import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FleetError } from '../core/errors.ts';
import { quote, type ShellScript } from '../core/shell.ts';
import type { Channel, ChannelOpener } from './channel.ts';
import { algorithmsUnsupported, authFailed, connectTimedOut, dropped, socketFault } from './connect-fault.ts';
import type { Answer, Become, Connection, RunOptions, Shell } from './connection.ts';
import { commandAborted, connectionLost, said } from './faults.ts';
import { spawnChannel } from './local-connection.ts';
import { runScript } from './run-script.ts';
import { openShell } from './shell.ts';
import type { Notice } from './ssh2-connection.ts';
import type { Target } from './target.ts';

/** ssh's own status for a failure of its own rather than of the command. */
const SSH_FAILED = 255;
const COMPLAINT_LIMIT = 8192;
/** How long after a client's status 255 the end of its master still counts as the cause. */
const MASTER_GRACE_MS = 200;

/**
 * One host over the system's ssh: a master process (ControlMaster) that is logged in, and a client process per channel that goes through
 * its private socket. Slower than ssh2 by a process per channel, and able to do all that the user's own ssh can.
 */
export class OpensshConnection implements Connection, ChannelOpener {
  readonly host: string;
  readonly loginUser: string;
  readonly closed: Promise<Error | undefined>;
  readonly #socket: string;
  readonly #master: Master;
  #closing = false;
  #gone = false;

  private constructor(target: Target, socket: string, master: Master) {
    this.host = target.name;
    this.loginUser = target.user;
    this.#socket = socket;
    this.#master = master;
    this.closed = master.ended.then((complaint) => {
      this.#gone = true;
      return this.#closing
        ? undefined
        : connectionLost(this.host, new Error(complaint.trim() || 'ssh ended'));
    });
  }

  /** @throws FleetError with the codes of the ssh2 transport, read from what ssh says; `SSH_CLIENT_MISSING` without an ssh. */
  static async open(
    target: Target,
    announce: (notice: Notice) => void,
    signal?: AbortSignal,
  ): Promise<OpensshConnection> {
    // Socket paths are limited to about 100 bytes and ssh puts a random suffix on them, so the directory's name is short.
    const dir = mkdtempSync(join(tmpdir(), 'fl-'));
    const socket = join(dir, 's');
    try {
      const master = await startMaster(target, dir, socket, signal);
      for (const line of master.complaint().split('\n')) {
        if (/^Warning: Permanently added/.test(line)) {
          announce({ code: 'HOST_KEY_ACCEPTED', host: target.name, message: line.trim() });
        }
      }
      master.ended.then(() => rmSync(dir, { recursive: true, force: true }));
      return new OpensshConnection(target, socket, master);
    } catch (error) {
      rmSync(dir, { recursive: true, force: true });
      throw error;
    }
  }

  run(script: ShellScript, options: RunOptions): Promise<Answer> {
    return runScript(this, script, options);
  }

  async openShell(become: Become | undefined): Promise<Shell> {
    return openShell(this, become);
  }

  async open(command: string, options: { readonly pty?: boolean } = {}): Promise<Channel> {
    if (this.#gone || this.#closing) throw connectionLost(this.host);
    const channel = spawnChannel(
      this.host,
      'ssh',
      [
        '-S',
        this.#socket,
        '-o',
        'ControlMaster=no',
        '-o',
        'BatchMode=yes',
        '-F',
        'none',
        options.pty === true ? '-tt' : '-T',
        '--',
        'fleet',
        command,
      ],
      { lostStatus: SSH_FAILED },
    );
    // 255 is also what a command may end with; the transport is lost only when the master is.
    const ended = channel.ended.then(async (end) => {
      if (end.lost === undefined || end.lost instanceof FleetError) return end;
      // The client of the master may be gone a moment before the master itself.
      await Promise.race([this.closed, new Promise((resolve) => setTimeout(resolve, MASTER_GRACE_MS))]);
      return this.#gone ? end : { code: SSH_FAILED };
    });
    return { ...channel, ended };
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#master.stop();
    await this.closed;
  }
}

interface Master {
  /** Resolves with what it complained of, when it has ended. */
  readonly ended: Promise<string>;
  complaint(): string;
  stop(): void;
}

function startMaster(
  target: Target,
  dir: string,
  socket: string,
  signal: AbortSignal | undefined,
): Promise<Master> {
  const asking = target.password === undefined ? undefined : askPass(dir, target.password.reveal());
  const child = spawn(
    'ssh',
    [
      '-N',
      ...target.sshArgs,
      '-o',
      'ControlMaster=yes',
      '-o',
      `ControlPath=${socket}`,
      '-o',
      'ControlPersist=no',
      // Runs once logged in, when the socket is there: the sign that channels may be opened.
      '-o',
      'PermitLocalCommand=yes',
      '-o',
      'LocalCommand=echo ready',
      '-o',
      `ConnectTimeout=${Math.max(1, Math.ceil(target.connectTimeoutMs / 1000))}`,
      '-o',
      `ServerAliveInterval=${Math.ceil(target.keepaliveIntervalMs / 1000)}`,
      '-o',
      `ServerAliveCountMax=${target.keepaliveCountMax}`,
      '-o',
      `StrictHostKeyChecking=${target.hostKeyMode}`,
      '-o',
      `BatchMode=${asking === undefined ? 'yes' : 'no'}`,
      '-o',
      'NumberOfPasswordPrompts=1',
      ...(target.identitiesNamed ? target.identityFiles.flatMap((file) => ['-i', file]) : []),
      '-o',
      `UserKnownHostsFile=${target.userKnownHostsFiles.map((file) => (/\s/.test(file) ? `"${file}"` : file)).join(' ')}`,
      '-p',
      String(target.port),
      '-l',
      target.user,
      '--',
      target.alias,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], detached: true, env: { ...process.env, ...asking, LC_ALL: 'C' } },
  );
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => {
    if (complaint.length < COMPLAINT_LIMIT) complaint += chunk.toString('utf8');
  });
  const ended = new Promise<string>((resolve) => {
    child.on('close', () => resolve(complaint));
    child.on('error', () => resolve(complaint));
  });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => fail(connectTimedOut(target, 'ssh is still at it')),
      target.connectTimeoutMs,
    );
    const onAbort = () => fail(commandAborted(target.name));
    const settle = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      rmSync(join(dir, 'secret'), { force: true });
    };
    const fail = (fault: FleetError) => {
      settle();
      child.kill('SIGTERM');
      reject(fault);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    child.on('error', (error: NodeJS.ErrnoException) => {
      fail(
        new FleetError({
          code: 'SSH_CLIENT_MISSING',
          host: target.name,
          message: `the openssh transport of ${target.name} needs the system's ssh, which cannot be started: ${error.message}`,
          fix: 'Install the OpenSSH client, or remove fleet_ssh_transport.',
        }),
      );
    });
    ended.then((text) => fail(faultFrom(target, text)));
    child.stdout.once('data', () => {
      settle();
      resolve({ ended, complaint: () => complaint, stop: () => child.kill('SIGTERM') });
    });
  });
}

/** ssh takes a password only from a terminal or from this program. It reads a 0600 file in a 0700 directory, gone once logged in. */
function askPass(dir: string, password: string): Record<string, string> {
  const secret = join(dir, 'secret');
  const program = join(dir, 'ask');
  writeFileSync(secret, `${password}\n`, { mode: 0o600 });
  writeFileSync(program, `#!/bin/sh\nexec cat ${quote(secret)}\n`, { mode: 0o700 });
  chmodSync(program, 0o700);
  return { SSH_ASKPASS: program, SSH_ASKPASS_REQUIRE: 'force', DISPLAY: process.env.DISPLAY ?? ':0' };
}

function faultFrom(target: Target, text: string): FleetError {
  const cause = new Error(text.trim());
  const hostKey = (code: string, message: string, fix: string, where?: { file: string; line: number }) =>
    new FleetError(
      { code, host: target.name, message, fix, ...(where === undefined ? {} : { where }) },
      { cause },
    );
  if (/REMOTE HOST IDENTIFICATION HAS CHANGED|Offending .*key/.test(text)) {
    const match = /Offending .* in (.*):(\d+)/.exec(text);
    const remove = /ssh-keygen -f .*/.exec(text)?.[0]?.trim();
    const where = match === null ? undefined : { file: match[1] ?? '', line: Number(match[2]) };
    return hostKey(
      'HOST_KEY_CHANGED',
      `the host key of ${target.name} is not the one at ${where === undefined ? 'known_hosts' : `${where.file}:${where.line}`}; somebody may be in between`,
      `When the host was rebuilt: \`${remove ?? `ssh-keygen -R ${target.alias}`}\`, then run again with --host-key-checking accept-new.`,
      where,
    );
  }
  if (/REVOKED HOST KEY|marked as revoked/i.test(text)) {
    return hostKey(
      'HOST_KEY_REVOKED',
      `the host key of ${target.name} is marked @revoked`,
      'Give the host a new key.',
    );
  }
  if (/Host key verification failed|No .* host key is known/i.test(text)) {
    return hostKey(
      'HOST_KEY_UNKNOWN',
      `the host key of ${target.name} is not in known_hosts`,
      'Log in once by hand and compare the fingerprint, or run with --host-key-checking accept-new.',
    );
  }
  if (/Permission denied|Too many authentication failures/i.test(text)) {
    return authFailed(target, ["what the system's ssh offers"], [], cause);
  }
  if (/Could not resolve hostname/i.test(text))
    return socketFault(target, Object.assign(cause, { code: 'ENOTFOUND' }));
  if (/Connection refused/i.test(text))
    return socketFault(target, Object.assign(cause, { code: 'ECONNREFUSED' }));
  if (/timed out/i.test(text)) return connectTimedOut(target, 'the network did not answer');
  if (/No route to host/i.test(text))
    return socketFault(target, Object.assign(cause, { code: 'EHOSTUNREACH' }));
  if (/no matching .* found/i.test(text)) return algorithmsUnsupported(target, cause);
  if (/kex_exchange_identification|Connection (closed|reset) by/i.test(text)) return dropped(target, cause);
  return new FleetError(
    {
      code: 'HOST_UNREACHABLE',
      host: target.name,
      message: `ssh could not log in on ${target.name}${said(text)}`,
      fix: `Try it by hand with \`ssh -v\`.`,
    },
    { cause },
  );
}
