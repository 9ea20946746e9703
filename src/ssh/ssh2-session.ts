import type { EventEmitter } from 'node:events';
import type { Client, ClientChannel } from 'ssh2';
import { FleetError } from '../core/errors.ts';
import type { Channel, ChannelEnd } from './channel.ts';
import { connectionLost } from './faults.ts';

/** What ssh2 1.17 keeps inside and we need to spare a round trip; looked at before use, never assumed. */
interface Internals {
  readonly _chanMgr?: { add(opened: OpenedCallback): number };
  readonly _protocol?: {
    session?(id: number, window: number, packet: number): void;
    exec?(id: number, command: string, wantReply: boolean): void;
    ping?(): void;
  };
  readonly _sock?: EventEmitter;
  readonly _callbacks?: (() => void)[];
}
interface OpenedCallback {
  (error: Error | undefined, channel?: ClientChannel): void;
  type?: string;
}
interface ChannelInternals {
  _callbacks: ((failed: unknown) => void)[];
  readonly outgoing: { readonly id: number };
  subtype?: string;
}

/** Window and packet size as ssh2's own Channel.js has them. */
const WINDOW_BYTES = 2 * 2 ** 20;
const PACKET_BYTES = 32 * 2 ** 10;

/**
 * Opens a session and asks for a command. `Client.exec` hands the channel over only after the server's answer to the request; the
 * protocol lets us write right behind the request, which saves one round trip per channel. Where ssh2's inside has changed, `exec` it is.
 * @throws FleetError `CHANNEL_REFUSED` or `CONNECTION_LOST`.
 */
export function openSession(
  host: string,
  client: Client,
  command: string,
  options: { readonly pty?: boolean } = {},
): Promise<Channel> {
  const inside = client as unknown as Internals;
  const { _chanMgr: channels, _protocol: protocol } = inside;
  if (options.pty === true || channels === undefined || !protocol?.session || !protocol.exec) {
    return execPublicly(host, client, command, options.pty === true);
  }
  const exec = protocol.exec.bind(protocol);
  return new Promise((resolve, reject) => {
    const stopNudging = nudge(inside);
    const opened: OpenedCallback = (error, channel) => {
      stopNudging();
      if (error !== undefined || channel === undefined) {
        reject(refused(host, error ?? new Error('no channel')));
        return;
      }
      const channelInside = channel as unknown as ChannelInternals;
      let requestFault: Error | undefined;
      channelInside._callbacks.push((failed) => {
        if (!failed) return;
        requestFault = failed instanceof Error ? failed : new Error('the server refused to run a command');
        channel.close();
      });
      channelInside.subtype = 'exec';
      exec(channelInside.outgoing.id, command, true);
      resolve(adapt(channel, () => requestFault));
    };
    opened.type = 'session';
    try {
      const id = channels.add(opened);
      if (id < 0) throw new Error('no free channels');
      protocol.session?.(id, WINDOW_BYTES, PACKET_BYTES);
    } catch (error) {
      stopNudging();
      reject(connectionLost(host, error as Error));
    }
  });
}

/** Keepalives sent at most while one channel opens. */
const NUDGES = 3;

/**
 * Until its first session runs, sshd leaves Nagle's algorithm on: its answer to our request waits for our kernel's ACK of the host keys that
 * it sends after login, and that ACK is delayed by 40 ms. Anything we send carries the ACK, so each packet that arrives meanwhile is
 * answered with a keepalive (measured on 127.0.0.1: login to first answer 45 -> 9 ms).
 */
function nudge(inside: Internals): () => void {
  const { _sock: socket, _callbacks: callbacks, _protocol: protocol } = inside;
  if (socket === undefined || callbacks === undefined || protocol?.ping === undefined) return () => {};
  let left = NUDGES;
  let waiting = true;
  const onData = () => {
    setImmediate(() => {
      if (!waiting || left === 0) return;
      left -= 1;
      // ssh2 matches replies to requests by order; this one's reply is nobody's business.
      callbacks.push(() => {});
      protocol.ping?.();
    });
  };
  socket.on('data', onData);
  return () => {
    waiting = false;
    socket.off('data', onData);
  };
}

function execPublicly(host: string, client: Client, command: string, pty: boolean): Promise<Channel> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | undefined, channel: ClientChannel) => {
      if (error) reject(refused(host, error));
      else resolve(adapt(channel, () => undefined));
    };
    try {
      if (pty) client.exec(command, { pty: { term: 'dumb', cols: 500 } }, done);
      else client.exec(command, done);
    } catch (error) {
      reject(connectionLost(host, error as Error));
    }
  });
}

function adapt(channel: ClientChannel, requestFault: () => Error | undefined): Channel {
  let end: ChannelEnd | undefined;
  channel.on('exit', (code: number | null, signal?: string) => {
    end = code === null ? (signal === undefined ? {} : { signal }) : { code };
  });
  // ssh2 emits no error on channels of its own accord, but they are streams: one unheard would end the process.
  channel.on('error', () => {});
  const ended = new Promise<ChannelEnd>((resolve) => {
    channel.on('close', () => {
      const fault = requestFault();
      if (fault !== undefined) resolve({ lost: fault });
      else resolve(end ?? { lost: new Error('the channel closed without an exit status') });
    });
  });
  return {
    stdin: channel,
    stdout: channel,
    stderr: channel.stderr,
    ended,
    close: () => channel.close(),
  };
}

function refused(host: string, error: Error & { reason?: unknown }): FleetError {
  // `No response from server` is what ssh2 tells every waiting channel when the socket goes.
  if (/no response from server|not connected/i.test(error.message)) return connectionLost(host, error);
  return new FleetError(
    {
      code: 'CHANNEL_REFUSED',
      host,
      message: `sshd on ${host} refused one more channel: ${error.message}`,
      fix: `Raise MaxSessions (default 10) in sshd_config on ${host}, or log in there and see \`journalctl -u ssh\`.`,
    },
    { cause: error },
  );
}
