import { spawn } from 'node:child_process';
import { userInfo } from 'node:os';
import { FleetError } from '../core/errors.ts';
import type { ShellScript } from '../core/shell.ts';
import type { Channel, ChannelEnd, ChannelOpener } from './channel.ts';
import type { Answer, Become, Connection, RunOptions, Shell } from './connection.ts';
import { runScript } from './run-script.ts';
import { openShell } from './shell.ts';

/** `ansible_connection: local`: the control node itself, through child processes; the same contract as over SSH. */
export class LocalConnection implements Connection, ChannelOpener {
  readonly host: string;
  readonly loginUser = userInfo().username;
  readonly closed: Promise<Error | undefined>;
  #resolveClosed: (reason: Error | undefined) => void = () => {};
  readonly #open = new Set<Channel>();

  constructor(host: string) {
    this.host = host;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  run(script: ShellScript, options: RunOptions): Promise<Answer> {
    return runScript(this, script, options);
  }

  async openShell(become: Become | undefined): Promise<Shell> {
    return openShell(this, become);
  }

  async open(command: string, options: { readonly pty?: boolean } = {}): Promise<Channel> {
    // util-linux' script is the terminal that sshd gives elsewhere.
    const [file, args] =
      options.pty === true ? ['script', ['-qefc', command, '/dev/null']] : ['/bin/sh', ['-c', command]];
    const channel = spawnChannel(this.host, file as string, args as string[]);
    this.#open.add(channel);
    channel.ended.then(() => this.#open.delete(channel));
    return channel;
  }

  async close(): Promise<void> {
    for (const channel of this.#open) channel.close();
    this.#resolveClosed(undefined);
  }
}

/**
 * A child process as a channel. `closesWith` (an exit status such as ssh's 255) says which end means that the way to the host is gone.
 */
export function spawnChannel(
  host: string,
  file: string,
  args: readonly string[],
  options: { readonly lostStatus?: number; readonly env?: NodeJS.ProcessEnv } = {},
): Channel {
  const child = spawn(file, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    // A group of its own: Ctrl-C on the terminal is fleet's to handle, not the child's to die of.
    detached: true,
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  child.stdin.on('error', () => {});
  const ended = new Promise<ChannelEnd>((resolve) => {
    child.on('error', (error) =>
      resolve({
        lost: new FleetError({
          code: 'CHANNEL_REFUSED',
          host,
          message: `${file} cannot be started: ${error.message}`,
        }),
      }),
    );
    child.on('close', (code, signal) => {
      if (code !== null && code === options.lostStatus)
        resolve({ lost: new Error(`${file} ended with status ${code}`) });
      else if (code !== null) resolve({ code });
      else resolve(signal === null ? {} : { signal });
    });
  });
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    ended,
    close: () => {
      child.stdin.destroy();
      child.stdout.destroy();
      child.stderr.destroy();
      child.kill('SIGHUP');
    },
  };
}
